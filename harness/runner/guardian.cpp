#include "guardian.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <system_error>

#include "failure.h"
#include "procfs.h"
#include "temporary.h"

namespace sockproof::runner {
namespace {

struct Message {
  char what;  // '+' a session began, '-' it is over, 'q' goodbye
  pid_t session;
};

bool read_message(int fd, Message& message) {
  std::size_t have = 0;
  while (have < sizeof message) {
    const ssize_t got = ::read(fd, reinterpret_cast<char*>(&message) + have, sizeof message - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    have += static_cast<std::size_t>(got);
  }
  return true;
}

void kill_all(const std::set<pid_t>& sessions, const std::string& mark) {
  // Everything is looked at again until nothing is left: what was killed may have been about to fork.
  for (int round = 0; round < 50; ++round) {
    bool found = false;
    for (const pid_t session : sessions) ::kill(-session, SIGKILL);
    for (const pid_t pid : all_processes()) {
      if (pid == ::getpid() || pid == 1) continue;
      const auto stat = read_stat(pid);
      if (!stat || stat->state == 'Z' || stat->state == 'X') continue;
      if (sessions.count(stat->session) == 0 && !started_with(pid, mark)) continue;
      ::kill(pid, SIGKILL);
      found = true;
    }
    if (!found) return;
    const timespec pause{0, 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

[[noreturn]] void watch(int fd, const std::string& mark, const std::filesystem::path& temporary) {
  std::set<pid_t> sessions;
  Message message{};
  bool goodbye = false;
  while (!goodbye && read_message(fd, message)) {
    if (message.what == '+') sessions.insert(message.session);
    if (message.what == '-') sessions.erase(message.session);
    if (message.what == 'q') goodbye = true;
  }
  if (!goodbye) {
    kill_all(sessions, mark);
    remove_tree(temporary);
  }
  ::_exit(0);
}

}  // namespace

Guardian::Guardian(const std::string& mark, const std::filesystem::path& temporary) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Failure(std::string("pipe: ") + std::strerror(errno));
  pid_ = ::fork();
  if (pid_ < 0) {
    const int error = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    throw Failure(std::string("fork: ") + std::strerror(error));
  }
  if (pid_ == 0) {
    // A session of its own: what is sent to the runner's group must not end the guardian. No descriptor of the runner's
    // stays open here, so that who reads its output sees the end of it.
    ::setsid();
    ::prctl(PR_SET_NAME, "sockproof-guard");
    for (int number = 1; number < NSIG; ++number)
      if (number != SIGKILL && number != SIGSTOP && number != SIGCHLD) ::signal(number, SIG_IGN);
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(ends[0], 3);
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
    ::syscall(SYS_close_range, 4U, ~0U, 0U);
    if (ends[1] != 3) ::close(ends[1]);
    watch(3, mark, temporary);
  }
  ::close(ends[0]);
  pipe_ = ends[1];
}

Guardian::~Guardian() {
  tell('q', 0);
  ::close(pipe_);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Guardian::started(pid_t session) { tell('+', session); }
void Guardian::ended(pid_t session) { tell('-', session); }

void Guardian::tell(char what, pid_t session) {
  Message message{};
  message.what = what;
  message.session = session;
  // A guardian that is gone is no reason to end the run: SIGPIPE is ignored, and the write fails.
  [[maybe_unused]] const ssize_t written = ::write(pipe_, &message, sizeof message);
}

}  // namespace sockproof::runner
