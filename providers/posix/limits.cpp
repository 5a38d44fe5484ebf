// The limit on descriptors (RLIMIT_NOFILE) and the settings of the private network namespace.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "adapter.h"
#include "counters.h"
#include "errors.h"
#include "knobs.h"

namespace sockproof::posix {
namespace {

// The limit is one on numbers: a new descriptor gets the lowest free one, and it must be below the limit. So that exactly N
// more can be opened, the free numbers below the highest descriptor are filled with descriptors of our own and the limit
// is set N above it. poll refuses more entries than the limit, which is why the holes are not just counted.
// Descriptors that are closed while the limit stands leave numbers that can be used again, as closing should.
constexpr int kMostToFill = 4096;

std::int32_t Lift(Adapter& adapter) {
  const std::lock_guard<std::mutex> lock(adapter.own_mutex);
  for (const int filler : adapter.fillers) ::close(filler);
  adapter.fillers.clear();
  if (!adapter.limited) return SP_OK;
  adapter.limited = false;
  return ::setrlimit(RLIMIT_NOFILE, &adapter.initial_limit) == 0 ? SP_OK : ErrorFromErrno(errno);
}

std::int32_t Lower(Adapter& adapter, std::int64_t headroom) {
  const std::int32_t lifted = Lift(adapter);
  if (lifted != SP_OK) return lifted;
  const std::map<int, Identity> open = OpenDescriptors();
  const int highest = open.empty() ? -1 : open.rbegin()->first;
  if (highest >= kMostToFill) return SP_NOT_SUPPORTED;
  const std::lock_guard<std::mutex> lock(adapter.own_mutex);
  for (int number = 0; number < highest; ++number) {
    if (open.count(number) != 0) continue;
    const int filler = ::fcntl(adapter.not_socket, F_DUPFD_CLOEXEC, number);
    if (filler < 0) return ErrorFromErrno(errno);
    if (filler > highest) {  // another thread has taken that number in the meantime
      ::close(filler);
      continue;
    }
    adapter.fillers.push_back(filler);
  }
  rlimit limit = adapter.initial_limit;
  limit.rlim_cur = static_cast<rlim_t>(highest + 1) + static_cast<rlim_t>(headroom);
  if (limit.rlim_cur > adapter.initial_limit.rlim_cur) return SP_EINVAL;  // more than there is room for anyway
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return ErrorFromErrno(errno);
  adapter.limited = true;
  return SP_OK;
}

std::int32_t SetLimit(void* self, std::int32_t limit, std::int64_t headroom) {
  Adapter& adapter = *Self(self);
  if (limit != SP_LIMIT_HANDLES) return SP_NOT_SUPPORTED;
  if (headroom < 0) return Lift(adapter);
  const std::int32_t error = Lower(adapter, headroom);
  if (error != SP_OK) Lift(adapter);
  return error;
}

struct Knob {
  std::int32_t knob;
  const char* path;
  int column;  // which number of the file, -1: it has one
};
constexpr Knob kKnobs[] = {
    {SP_KNOB_BACKLOG_MAX, "/proc/sys/net/core/somaxconn", -1},
    {SP_KNOB_SYN_RETRIES, "/proc/sys/net/ipv4/tcp_syn_retries", -1},
    {SP_KNOB_SYNACK_RETRIES, "/proc/sys/net/ipv4/tcp_synack_retries", -1},
    {SP_KNOB_SYN_COOKIES, "/proc/sys/net/ipv4/tcp_syncookies", -1},
    {SP_KNOB_ABORT_ON_OVERFLOW, "/proc/sys/net/ipv4/tcp_abort_on_overflow", -1},
    {SP_KNOB_FIN_TIMEOUT, "/proc/sys/net/ipv4/tcp_fin_timeout", -1},
    {SP_KNOB_MAX_SYN_BACKLOG, "/proc/sys/net/ipv4/tcp_max_syn_backlog", -1},
    {SP_KNOB_RTO_MAX_MS, "/proc/sys/net/ipv4/tcp_rto_max_ms", -1},
    {SP_KNOB_PORT_RANGE_LOW, "/proc/sys/net/ipv4/ip_local_port_range", 0},
    {SP_KNOB_PORT_RANGE_HIGH, "/proc/sys/net/ipv4/ip_local_port_range", 1},
    {SP_KNOB_TIME_WAIT_REUSE, "/proc/sys/net/ipv4/tcp_tw_reuse", -1},
    {SP_KNOB_UNIX_BACKLOG_MAX, "/proc/sys/net/unix/max_dgram_qlen", -1},
    {SP_KNOB_ORPHAN_RETRIES, "/proc/sys/net/ipv4/tcp_orphan_retries", -1},
    {SP_KNOB_RETRIES2, "/proc/sys/net/ipv4/tcp_retries2", -1},
};

const Knob* FindKnob(std::int32_t knob) {
  for (const Knob& row : kKnobs) {
    if (row.knob == knob) return &row;
  }
  return nullptr;
}

// One or two numbers, as the file has them.
std::int32_t ReadNumbers(const Knob& knob, long long (&numbers)[2]) {
  const int descriptor = ::open(knob.path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno == ENOENT ? static_cast<std::int32_t>(SP_NOT_SUPPORTED) : ErrorFromErrno(errno);
  char text[128];
  const ssize_t length = ::read(descriptor, text, sizeof text - 1);
  const int error = errno;
  ::close(descriptor);
  if (length < 0) return ErrorFromErrno(error);
  text[length] = '\0';
  const int wanted = knob.column < 0 ? 1 : 2;
  char* position = text;
  for (int i = 0; i < wanted; ++i) {
    char* end = nullptr;
    numbers[i] = std::strtoll(position, &end, 10);
    if (end == position) return SP_EIO;
    position = end;
  }
  return SP_OK;
}

std::int32_t GetKnob(void*, std::int32_t knob, std::int64_t* value) {
  const Knob* row = FindKnob(knob);
  if (row == nullptr) return SP_NOT_SUPPORTED;
  long long numbers[2] = {};
  const std::int32_t error = ReadNumbers(*row, numbers);
  if (error == SP_OK) *value = numbers[row->column < 0 ? 0 : row->column];
  return error;
}

std::int32_t SetKnob(void*, std::int32_t knob, std::int64_t value) {
  const Knob* row = FindKnob(knob);
  if (row == nullptr || !WhyNoKnobs().empty()) return SP_NOT_SUPPORTED;
  std::string text = std::to_string(value);
  if (row->column >= 0) {
    long long numbers[2] = {};
    const std::int32_t error = ReadNumbers(*row, numbers);
    if (error != SP_OK) return error;
    numbers[row->column] = value;
    text = std::to_string(numbers[0]) + " " + std::to_string(numbers[1]);
  }
  const int descriptor = ::open(row->path, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return errno == ENOENT ? static_cast<std::int32_t>(SP_NOT_SUPPORTED) : ErrorFromErrno(errno);
  const ssize_t written = ::write(descriptor, text.data(), text.size());
  const int error = errno;
  ::close(descriptor);
  // A file that is there for show: gVisor opens net.core.somaxconn for writing, and fails the write so.
  if (written < 0 && error == EIO) return SP_NOT_SUPPORTED;
  return written == static_cast<ssize_t>(text.size()) ? SP_OK : ErrorFromErrno(error);
}

std::string Digits(const char* text) {
  std::string out;
  for (; *text != '\0'; ++text) {
    if (*text >= '0' && *text <= '9') out += *text;
  }
  return out;
}

}  // namespace

std::string WhyNoKnobs() {
  const char* isolation = std::getenv("SOCKPROOF_ISOLATION");
  if (isolation == nullptr || std::strcmp(isolation, "netns") != 0) {
    return "this process has no network namespace of its own, and the machine's settings are not ours to change";
  }
  char name[64];
  const ssize_t length = ::readlink("/proc/self/ns/net", name, sizeof name - 1);
  if (length <= 0) return "/proc/self/ns/net cannot be read";
  name[length] = '\0';
  const char* host = std::getenv("SOCKPROOF_HOST_NETNS");
  if (host != nullptr && Digits(host) == Digits(name)) return "this is the machine's own network namespace";
  if (::access(kKnobs[0].path, W_OK) != 0) return std::string(kKnobs[0].path) + ": " + std::strerror(errno);
  return {};
}

std::string WhyNoHandleLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::string("RLIMIT_NOFILE: ") + std::strerror(errno);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return std::string("RLIMIT_NOFILE: ") + std::strerror(errno);
  return {};
}

const sp_limit_group kLimits = {sizeof(sp_limit_group), SetLimit, GetKnob, SetKnob};

}  // namespace sockproof::posix
