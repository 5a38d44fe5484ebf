// What the kernel says about other processes: descendants, states, memory, processor time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sockproof::runner {

/// The processes whose parent is `pid` at this moment. `threads`: how many it has, where that is known; one is looked up faster.
std::vector<pid_t> children_of(pid_t pid, int threads = 0);
/// `pid` and everything below it; `threads` are those of `pid` itself.
std::vector<pid_t> tree_of(pid_t pid, int threads = 0);

struct ProcessStat {
  char state = '?';
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  int threads = 0;
};
std::optional<ProcessStat> read_stat(pid_t pid);

/// Whether any thread of the process runs, wants to run, or waits for a disk. Tells as well how many threads it has.
bool wants_processor(pid_t pid, int* threads = nullptr);

/// Nanoseconds of processor time of all its threads; nothing once it is gone.
std::optional<std::int64_t> processor_time(pid_t pid);

/// Nanoseconds that its threads of now have been ready to run and were not run; 0 where the kernel does not count that.
std::int64_t kept_waiting(pid_t pid);

/// Resident memory in KiB, 0 once it is gone.
std::int64_t resident_kib(pid_t pid);

/// The environment that the process was started with holds this NAME=value.
bool started_with(pid_t pid, const std::string& variable);

/// All processes of the machine that can be seen.
std::vector<pid_t> all_processes();

/// A small file as text, empty when it cannot be read.
std::string read_text(const std::string& path, std::size_t most = 1 << 20);

}  // namespace sockproof::runner
