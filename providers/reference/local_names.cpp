#include "reference/local_names.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

namespace sockproof::reference {
namespace {

namespace fs = std::filesystem;

int32_t ErrorOf(const std::error_code& code) {
  const std::error_condition condition = code.default_error_condition();
  if (condition == std::errc::permission_denied) return SP_EACCES;
  if (condition == std::errc::too_many_symbolic_link_levels) return SP_ELOOP;
  if (condition == std::errc::not_a_directory) return SP_ENOTDIR;
  if (condition == std::errc::filename_too_long) return SP_ENAMETOOLONG;
  if (condition == std::errc::read_only_file_system) return SP_EROFS;
  return SP_ENOENT;
}

bool IsAbstract(const std::string& name) { return !name.empty() && name.front() == '\0'; }

}  // namespace

int32_t LocalNames::Bind(const std::string& name, LocalSocket* socket) {
  if (IsAbstract(name)) return names_.try_emplace(name, socket).second ? SP_OK : SP_EADDRINUSE;
  std::error_code code;
  const fs::path path(name);
  const fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::file_status above = fs::status(directory, code);
  if (above.type() == fs::file_type::not_found) {
    static_cast<void>(fs::canonical(directory, code));  // tells a missing directory from one below a file
    return ErrorOf(code);
  }
  if (above.type() == fs::file_type::none) return ErrorOf(code);
  if (above.type() != fs::file_type::directory) return SP_ENOTDIR;
  // A dangling symbolic link is in the way as well.
  const fs::file_status there = fs::symlink_status(path, code);
  if (there.type() == fs::file_type::none) return ErrorOf(code);
  if (there.type() != fs::file_type::not_found) return SP_EADDRINUSE;
  if (!std::ofstream(path)) return SP_EACCES;
  names_[name] = socket;
  return SP_OK;
}

std::string LocalNames::BindAny(LocalSocket* socket, uint64_t start) {
  for (;; ++start) {
    const std::string name = std::string(1, '\0') + fmt::format("{:05x}", start & 0xfffff);
    if (names_.try_emplace(name, socket).second) return name;
  }
}

void LocalNames::Forget(LocalSocket* socket) {
  for (auto at = names_.begin(); at != names_.end();) at = at->second == socket ? names_.erase(at) : std::next(at);
}

int32_t LocalNames::Find(const std::string& name, LocalSocket** socket) const {
  if (IsAbstract(name)) {
    const auto found = names_.find(name);
    if (found == names_.end()) return SP_ECONNREFUSED;
    *socket = found->second;
    return SP_OK;
  }
  std::error_code code;
  if (fs::status(name, code).type() == fs::file_type::not_found || code) {
    static_cast<void>(fs::canonical(name, code));  // tells a missing file from a loop, and from one below a file
    return ErrorOf(code);
  }
  // To connect is to write (unix(7)).
  if (!std::fstream(name, std::ios::in | std::ios::out) && !std::ofstream(name, std::ios::app)) return SP_EACCES;
  // Another path may lead to the same file.
  for (const auto& [bound, owner] : names_) {
    if (IsAbstract(bound) || (bound != name && !fs::equivalent(bound, name, code))) continue;
    *socket = owner;
    return SP_OK;
  }
  return SP_ECONNREFUSED;
}

}  // namespace sockproof::reference
