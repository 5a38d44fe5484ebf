#include "temporary.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "failure.h"

namespace sockproof::runner {
namespace {

namespace fs = std::filesystem;

void open_up(const fs::path& directory) {
  std::error_code ignored;
  fs::permissions(directory, fs::perms::owner_all, ignored);
  for (const auto& entry : fs::directory_iterator(directory, ignored))
    if (entry.symlink_status(ignored).type() == fs::file_type::directory) open_up(entry.path());
}

}  // namespace

void remove_tree(const fs::path& directory) {
  std::error_code failed;
  fs::remove_all(directory, failed);
  if (!failed) return;
  open_up(directory);
  fs::remove_all(directory, failed);
}

TemporaryDirectory::TemporaryDirectory(bool launched) {
  const char* wish = ::getenv("TMPDIR");
  std::vector<std::string> places;
  if (wish != nullptr && *wish != '\0' && std::strlen(wish) <= 32)
    places.emplace_back(wish);
  else if (!launched)
    places.emplace_back("/dev/shm");
  places.emplace_back("/tmp");
  for (const std::string& place : places) {
    std::string name = place + "/sp.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) continue;
    path_ = name;
    return;
  }
  throw Failure(fmt::format("cannot make a temporary directory in {}: {}", places.back(), std::strerror(errno)));
}

}  // namespace sockproof::runner
