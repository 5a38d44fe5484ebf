#include "results_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <system_error>

#include "failure.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

void write_whole(int fd, const std::string& text, const char* where) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(fd, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw Failure(fmt::format("cannot write the results to {}: {}", where, std::strerror(errno)));
    at += static_cast<std::size_t>(written);
  }
}

}  // namespace

ResultSink::~ResultSink() {
  if (file_ >= 0) ::close(file_);
}

void ResultSink::open(const fs::path& file) {
  file_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) throw Failure(fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
}

void ResultSink::write(const std::vector<json>& records) {
  std::string text;
  // Whatever a provider printed has been made printable, but a record must never be lost to a stray byte.
  for (const json& record : records) text += record.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
  if (file_ >= 0) write_whole(file_, text, "the results file");
  if (stream_) write_whole(STDOUT_FILENO, text, "standard output");
}

EarlierResults read_earlier(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Failure(fmt::format("{}: there is no run to resume: {}", file.string(), std::strerror(errno)));
  EarlierResults earlier;
  std::string line;
  std::uintmax_t at = 0;
  while (std::getline(stream, line)) {
    if (stream.eof()) break;  // no newline: torn
    at += line.size() + 1;
    const json record = json::parse(line, nullptr, false);
    if (record.is_discarded() || !record.is_object() || !record.contains("record")) break;
    if (record["record"] == "run") {
      earlier.run = record;
      earlier.good_bytes = at;
    } else if (record["record"] == "requirement") {
      earlier.requirements = true;
      earlier.good_bytes = at;
    } else if (record["record"] == "scenario") {
      earlier.scenarios.push_back(record);
      earlier.good_bytes = at;
    } else if (record["record"] == "summary") {
      earlier.complete = !record.value("interrupted", false);
      if (earlier.complete) earlier.good_bytes = at;
      break;
    }
  }
  if (earlier.run.is_null()) throw Failure(fmt::format("{}: it holds no run record: nothing to resume", file.string()));
  return earlier;
}

fs::path make_run_directory(const std::string& target) {
  const fs::path runs = ".sockproof/runs";
  std::error_code error;
  fs::create_directories(runs, error);
  if (error) throw Failure(fmt::format("cannot make {}: {}", runs.string(), error.message()));
  const std::string time = fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::time(nullptr)));
  for (int attempt = 1; attempt < 10'000; ++attempt) {
    const std::string name = attempt == 1 ? fmt::format("{}-{}", time, target) : fmt::format("{}-{}-{}", time, target, attempt);
    if (fs::create_directory(runs / name, error)) {
      // Replaced in one step: two runs at once leave the link whole, to one of them.
      const fs::path link = runs / fmt::format(".latest.{}", ::getpid());
      fs::remove(link, error);
      fs::create_directory_symlink(name, link, error);
      if (!error) fs::rename(link, runs / "latest", error);
      return runs / name;
    }
    if (error) throw Failure(fmt::format("cannot make {}: {}", (runs / name).string(), error.message()));
  }
  throw Failure(fmt::format("{}: no free name for a run", runs.string()));
}

}  // namespace sockproof::runner
