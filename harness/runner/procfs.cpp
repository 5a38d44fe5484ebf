#include "procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace sockproof::runner {
namespace {

std::vector<pid_t> numbered_entries(const std::string& directory) {
  std::vector<pid_t> numbers;
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return numbers;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && stop == name.data() + name.size()) numbers.push_back(number);
  }
  ::closedir(dir);
  return numbers;
}

std::optional<ProcessStat> parse_stat(const std::string& text) {
  // The name stands in parentheses and may hold any character, parentheses included.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return std::nullopt;
  ProcessStat stat;
  const char* at = text.c_str() + name_end + 2;
  stat.state = *at;
  char* next = nullptr;
  stat.parent = static_cast<pid_t>(std::strtol(at + 1, &next, 10));
  stat.group = static_cast<pid_t>(std::strtol(next, &next, 10));
  stat.session = static_cast<pid_t>(std::strtol(next, &next, 10));
  // tty_nr to cstime, priority, nice, then the number of threads: fields 7 to 19, then 20.
  for (int field = 7; field < 20; ++field) std::strtoll(next, &next, 10);
  stat.threads = static_cast<int>(std::strtol(next, &next, 10));
  return stat;
}

bool is_runnable(char state) { return state == 'R' || state == 'D'; }

}  // namespace

std::string read_text(const std::string& path, std::size_t most) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[4096];
  while (text.size() < most) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return text;
}

namespace {

// Appends the children of one thread. False when the kernel keeps no such list.
bool add_children(pid_t pid, pid_t thread, std::vector<pid_t>& children) {
  const std::string path = fmt::format("/proc/{}/task/{}/children", pid, thread);
  const std::string text = read_text(path);
  if (text.empty()) return ::access(path.c_str(), R_OK) == 0;
  const char* at = text.c_str();
  char* next = nullptr;
  for (long child = std::strtol(at, &next, 10); next != at; child = std::strtol(at, &next, 10)) {
    children.push_back(static_cast<pid_t>(child));
    at = next;
  }
  return true;
}

}  // namespace

std::vector<pid_t> children_of(pid_t pid, int threads) {
  std::vector<pid_t> children;
  bool listed = false;
  if (threads == 1) {
    listed = add_children(pid, pid, children);
  } else {
    for (const pid_t thread : numbered_entries(fmt::format("/proc/{}/task", pid)))
      listed = add_children(pid, thread, children) || listed;
  }
  if (listed) return children;
  // A kernel without CONFIG_PROC_CHILDREN: look at everybody. A process that is gone has none.
  if (::access(fmt::format("/proc/{}", pid).c_str(), F_OK) != 0) return children;
  for (const pid_t other : all_processes())
    if (const auto stat = read_stat(other); stat && stat->parent == pid) children.push_back(other);
  return children;
}

std::vector<pid_t> tree_of(pid_t pid, int threads) {
  std::vector<pid_t> tree{pid};
  // A fork bomb must not keep the runner busy.
  for (std::size_t i = 0; i < tree.size() && tree.size() < 1000; ++i)
    for (const pid_t child : children_of(tree[i], i == 0 ? threads : 0)) tree.push_back(child);
  return tree;
}

std::optional<ProcessStat> read_stat(pid_t pid) { return parse_stat(read_text(fmt::format("/proc/{}/stat", pid))); }

bool wants_processor(pid_t pid, int* threads) {
  const auto stat = read_stat(pid);
  if (!stat) return false;
  if (threads != nullptr) *threads = stat->threads;
  if (is_runnable(stat->state)) return true;
  if (stat->threads < 2) return false;
  for (const pid_t thread : numbered_entries(fmt::format("/proc/{}/task", pid))) {
    const auto of_thread = parse_stat(read_text(fmt::format("/proc/{}/task/{}/stat", pid, thread)));
    if (of_thread && is_runnable(of_thread->state)) return true;
  }
  return false;
}

std::optional<std::int64_t> processor_time(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return std::nullopt;
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t kept_waiting(pid_t pid) {
  std::int64_t sum = 0;
  for (const pid_t thread : numbered_entries(fmt::format("/proc/{}/task", pid))) {
    const std::string text = read_text(fmt::format("/proc/{}/task/{}/schedstat", pid, thread));
    char* next = nullptr;
    std::strtoll(text.c_str(), &next, 10);  // what it ran; what it waited comes second
    if (next != text.c_str()) sum += std::strtoll(next, nullptr, 10);
  }
  return sum;
}

std::int64_t resident_kib(pid_t pid) {
  const std::string text = read_text(fmt::format("/proc/{}/statm", pid));
  char* next = nullptr;
  std::strtoll(text.c_str(), &next, 10);  // the whole size; resident comes second
  if (next == text.c_str()) return 0;
  static const std::int64_t page_kib = ::sysconf(_SC_PAGESIZE) / 1024;
  return std::strtoll(next, nullptr, 10) * page_kib;
}

bool started_with(pid_t pid, const std::string& variable) {
  const std::string environment = read_text(fmt::format("/proc/{}/environ", pid));
  std::size_t at = 0;
  while (at < environment.size()) {
    const std::size_t end = environment.find('\0', at);
    if (environment.compare(at, (end == std::string::npos ? environment.size() : end) - at, variable) == 0) return true;
    if (end == std::string::npos) return false;
    at = end + 1;
  }
  return false;
}

std::vector<pid_t> all_processes() { return numbered_entries("/proc"); }

}  // namespace sockproof::runner
