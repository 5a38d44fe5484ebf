// Where scenarios keep their sockets and traces while they run.
#pragma once

#include <filesystem>

namespace sockproof::runner {

/// Removes a directory with everything in it, also what a scenario has taken its own rights from. Leaves what cannot be removed.
void remove_tree(const std::filesystem::path& directory);

/// Short, because AF_UNIX addresses hold 108 bytes with everything in them. In memory where that is possible: a directory for
/// each scenario, made and removed, is work for a disk.
class TemporaryDirectory {
 public:
  /// `launched`: a launcher may show its program another /dev/shm than ours. Throws Failure when there is no place for it.
  explicit TemporaryDirectory(bool launched);
  ~TemporaryDirectory() { remove_tree(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace sockproof::runner
