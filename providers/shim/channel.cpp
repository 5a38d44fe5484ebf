#include "shim/channel.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace sockproof::shim {
namespace {

int64_t MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Whether there is room in time.
bool WaitForRoom(int descriptor, int64_t span_ns) {
  for (const int64_t end = MonotonicNow() + span_ns;;) {
    const int64_t left = std::max<int64_t>(end - MonotonicNow(), 0);
    const timespec span{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
    pollfd watched{descriptor, POLLOUT, 0};
    const long got = syscall(SYS_ppoll, &watched, 1, &span, nullptr, 0);
    if (got > 0) return true;
    if (got == 0 || errno != EINTR) return false;
  }
}

// False when `stop` ended first.
bool WaitForInput(int descriptor, int stop) {
  for (;;) {
    pollfd watched[] = {{descriptor, POLLIN, 0}, {stop, POLLIN, 0}};
    const long got = syscall(SYS_ppoll, watched, 2, nullptr, nullptr, 0);
    if (got > 0) return watched[1].revents == 0;
    if (errno != EINTR) return false;
  }
}

// Out of the way of descriptors whose numbers somebody counts on.
int MoveUp(int descriptor) {
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 650);
  if (moved < 0) return descriptor;
  close(descriptor);
  return moved;
}

void MakeNonblocking(int descriptor) { fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

std::string Why(const char* what) { return fmt::format("{}: {}", what, std::strerror(errno)); }

// The words of a command that needs no shell; empty if it does.
std::vector<std::string> PlainWords(std::string_view command) {
  std::vector<std::string> words(1);
  for (const char c : command) {
    if (c == ' ') {
      if (!words.back().empty()) words.emplace_back();
    } else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("_./=+,:@%-", c) != nullptr) {
      words.back() += c;
    } else {
      return {};
    }
  }
  if (words.back().empty()) words.pop_back();
  // NAME=VALUE before a command is the shell's.
  if (!words.empty() && words.front().find('=') != std::string::npos) return {};
  return words;
}

}  // namespace

std::unique_ptr<Channel> Channel::Open(std::string_view where, std::string* why) {
  std::unique_ptr<Channel> channel(new Channel);
  if (pipe2(channel->stop_, O_CLOEXEC) != 0) {
    *why = Why("no pipe");
    return nullptr;
  }
  for (int& end : channel->stop_) end = MoveUp(end);
  bool good;
  if (where.substr(0, 4) == "tcp:") {
    good = channel->ConnectTcp(where.substr(4), why);
  } else if (where.substr(0, 5) == "unix:") {
    good = channel->ConnectUnix(where.substr(5), why);
  } else {
    good = channel->Start(where, why);
  }
  return good ? std::move(channel) : nullptr;
}

Channel::~Channel() {
  End(0);
  for (const int descriptor : {from_, stop_[0]}) {
    if (descriptor >= 0) close(descriptor);
  }
}

bool Channel::Start(std::string_view command, std::string* why) {
  std::vector<std::string> words = PlainWords(command);
  if (words.empty()) words = {"/bin/sh", "-c", std::string(command)};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int down[2], up[2], failure[2];
  if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0 || pipe2(failure, O_CLOEXEC) != 0) {
    *why = Why("no pipe to a shim");
    return false;
  }
  process_ = fork();
  if (process_ == 0) {
    setpgid(0, 0);
    dup2(down[0], STDIN_FILENO);
    dup2(up[1], STDOUT_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    execvp(arguments[0], arguments.data());
    const int code = errno;
    static_cast<void>(!write(failure[1], &code, sizeof code));
    _exit(127);
  }
  close(down[0]);
  close(up[1]);
  close(failure[1]);
  int code = 0;
  ssize_t got = 0;
  if (process_ > 0) {
    setpgid(process_, process_);  // whoever is first
    while ((got = read(failure[0], &code, sizeof code)) < 0 && errno == EINTR) {
    }
  }
  close(failure[0]);
  to_ = MoveUp(down[1]);
  from_ = MoveUp(up[0]);
  MakeNonblocking(to_);
#ifdef F_SETPIPE_SZ
  for (const int end : {to_, from_}) fcntl(end, F_SETPIPE_SZ, 1 << 20);  // mebibytes go over in a few turns
#endif
  if (process_ < 0) {
    *why = Why("cannot start a process");
    return false;
  }
  if (got == sizeof code) {
    *why = fmt::format("cannot start '{}': {}", words.front(), std::strerror(code));
    return false;
  }
  return true;
}

bool Channel::ConnectTcp(std::string_view where, std::string* why) {
  const std::size_t colon = where.rfind(':');
  std::string host(where.substr(0, colon));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  if (colon == std::string_view::npos ||
      getaddrinfo(host.c_str(), std::string(where.substr(colon + 1)).c_str(), &hints, &found) != 0) {
    *why = fmt::format("'tcp:{}' is no address: it is tcp:HOST:PORT, HOST in numbers or 'localhost'", where);
    return false;
  }
  sockaddr_storage address{};
  const socklen_t length = found->ai_addrlen;
  std::memcpy(&address, found->ai_addr, length);
  freeaddrinfo(found);
  const auto* inet = reinterpret_cast<const sockaddr_in*>(&address);
  const auto* inet6 = reinterpret_cast<const sockaddr_in6*>(&address);
  const bool local =
      address.ss_family == AF_INET ? (ntohl(inet->sin_addr.s_addr) >> 24) == 127 : IN6_IS_ADDR_LOOPBACK(&inet6->sin6_addr);
  if (!local) {
    *why = fmt::format("'tcp:{}' is not this machine: a shim is spoken to over loopback alone", where);
    return false;
  }
  to_ = MoveUp(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (to_ < 0 || connect(to_, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    *why = Why(fmt::format("no connection to a shim at tcp:{}", where).c_str());
    return false;
  }
  const int on = 1;
  setsockopt(to_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  from_ = fcntl(to_, F_DUPFD_CLOEXEC, 650);
  MakeNonblocking(to_);
  return true;
}

bool Channel::ConnectUnix(std::string_view path, std::string* why) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    *why = fmt::format("'unix:{}' is no path of 1 to {} bytes", path, sizeof address.sun_path - 1);
    return false;
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  to_ = MoveUp(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (to_ < 0 || connect(to_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    *why = Why(fmt::format("no connection to a shim at unix:{}", path).c_str());
    return false;
  }
  from_ = fcntl(to_, F_DUPFD_CLOEXEC, 650);
  MakeNonblocking(to_);
  return true;
}

Channel::Wrote Channel::Write(std::string_view text, int64_t patience_ns) {
  while (!text.empty()) {
    const long wrote = syscall(SYS_write, to_, text.data(), text.size());
    if (wrote > 0) {
      text.remove_prefix(static_cast<std::size_t>(wrote));
    } else if (wrote < 0 && errno == EAGAIN) {
      if (!WaitForRoom(to_, patience_ns)) return Wrote::stalled;
    } else if (wrote == 0 || errno != EINTR) {
      return Wrote::gone;
    }
  }
  return Wrote::all;
}

Channel::Read Channel::ReadLine(std::string* line, const std::atomic<int64_t>& limit) {
  for (;;) {
    const std::size_t end = pending_.find('\n', searched_);
    if (end != std::string::npos && static_cast<int64_t>(end) <= limit) {
      line->assign(pending_, 0, end);
      pending_.erase(0, end + 1);
      searched_ = 0;
      return Read::line;
    }
    searched_ = pending_.size();
    *line = pending_.substr(0, 200);
    if (static_cast<int64_t>(std::min(end, pending_.size())) > limit.load()) return Read::too_long;
    if (!WaitForInput(from_, stop_[0])) return Read::end;
    char buffer[65536];
    const long got = syscall(SYS_read, from_, buffer, sizeof buffer);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return pending_.empty() ? Read::end : Read::torn;
    pending_.append(buffer, static_cast<std::size_t>(got));
  }
}

bool Channel::Reap(int64_t patience_ns) {
  const std::lock_guard<std::mutex> lock(reaping_);
  const int64_t end = MonotonicNow() + patience_ns;
  // It is waited for once in a scenario's life, so a look every now and then is good enough.
  for (int64_t pause = 20'000; process_ > 0 && !reaped_; pause = std::min<int64_t>(2 * pause, 2'000'000)) {
    siginfo_t info{};
    const int got = waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT);
    if (got != 0 && errno != EINTR) process_ = -1;  // somebody else was told
    if (got == 0 && info.si_pid == process_) {
      kill(-process_, SIGKILL);  // whom it has started itself; now, while nobody else can have its number
      reaped_ = waitpid(process_, &status_, 0) == process_;
      break;
    }
    if (MonotonicNow() >= end) break;
    const timespec span{0, static_cast<long>(pause)};
    nanosleep(&span, nullptr);
  }
  return reaped_;
}

std::string Channel::HowItEnded(int64_t patience_ns) {
  if (!Reap(patience_ns)) return {};
  if (WIFEXITED(status_)) return fmt::format("ended with exit code {}", WEXITSTATUS(status_));
  const int number = WTERMSIG(status_);
  const char* name = sigabbrev_np(number);
  return name != nullptr ? fmt::format("died of SIG{}", name) : fmt::format("died of signal {}", number);
}

void Channel::End(int64_t patience_ns) {
  if (to_ >= 0) {
    if (process_ <= 0) shutdown(to_, SHUT_RDWR);
    close(std::exchange(to_, -1));
  }
  if (process_ > 0 && !Reap(patience_ns)) {
    kill(-process_, SIGKILL);
    Reap(10'000'000'000);
  }
  if (stop_[1] >= 0) close(std::exchange(stop_[1], -1));
}

}  // namespace sockproof::shim
