#include "processes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <new>

#include "adapter.h"
#include "counters.h"
#include "errors.h"
#include "threads.h"

// glibc has it since 2.36, whose header declares it for C only. Weak: an older one goes without.
extern "C" int pidfd_open(pid_t process, unsigned flags) __attribute__((weak));

namespace sockproof::posix {
namespace {

using Clock = std::chrono::steady_clock;

// A descriptor that becomes readable when the process ends; -1 where there is none.
int OpenProcess(pid_t process) {
  return ::pidfd_open != nullptr ? ::pidfd_open(process, 0) : -1;  // close-on-exec by itself
}

void Remember(Adapter& adapter, pid_t process) {
  const std::lock_guard<std::mutex> lock(adapter.own_mutex);
  adapter.children.insert(process);
}

// In the child: what belonged to threads that are not here, and what belongs to the parent.
void BecomeChild(Adapter& adapter) {
  new (&adapter.own_mutex) std::mutex;
  new (&adapter.reason_mutex) std::mutex;
  adapter.watchers.ResetLock();
  adapter.children.clear();
  adapter.process = ::getpid();
  ForgetOtherThreads();
}

std::int32_t Fork(void* self, std::int32_t (*child)(void* context), void* context, std::int64_t* process) {
  Adapter& adapter = *Self(self);
  const pid_t made = ::fork();
  if (made < 0) return ErrorFromErrno(errno);
  if (made == 0) {
    BecomeChild(adapter);
    ::_exit(child(context) & 0xff);  // no destructors, no buffers: they are the parent's
  }
  Remember(adapter, made);
  *process = made;
  return SP_OK;
}

std::int32_t Exec(void* self, const char* const* argv, const std::int32_t* keep, std::uint32_t keep_count,
                  std::int64_t* process) {
  Adapter& adapter = *Self(self);
  const pid_t made = ::fork();
  if (made < 0) return ErrorFromErrno(errno);
  if (made == 0) {
    for (std::uint32_t i = 0; i < keep_count; ++i) {
      const int flags = ::fcntl(keep[i], F_GETFD);
      if (flags >= 0) ::fcntl(keep[i], F_SETFD, flags & ~FD_CLOEXEC);
    }
    ::execv("/proc/self/exe", const_cast<char* const*>(argv));
    ::_exit(127);  // as a shell says it
  }
  Remember(adapter, made);
  *process = made;
  return SP_OK;
}

int ExitCode(int status) {
  if (WIFSIGNALED(status)) return 256 + WTERMSIG(status);
  return WEXITSTATUS(status);
}

// Waits a while for a change of the child without spinning. Bounded, so that the caller looks for itself now and then
// whatever poll has said.
void Doze(int descriptor, std::int64_t nanoseconds) {
  if (descriptor >= 0) {
    pollfd one{descriptor, POLLIN, 0};
    const std::int64_t slice = std::min<std::int64_t>(nanoseconds, 100'000'000);
    if (::poll(&one, 1, static_cast<int>((slice + 999'999) / 1'000'000)) >= 0) return;
  }
  timespec pause{};
  pause.tv_nsec = static_cast<long>(std::min<std::int64_t>(nanoseconds, 1'000'000));
  ::nanosleep(&pause, nullptr);
}

std::int32_t Wait(void* self, std::int64_t process, std::int64_t timeout_ns, std::int32_t* exit_code) {
  Adapter& adapter = *Self(self);
  const auto pid = static_cast<pid_t>(process);
  {
    const std::lock_guard<std::mutex> lock(adapter.own_mutex);
    if (adapter.children.count(pid) == 0) return SP_EINVAL;
  }
  const auto start = Clock::now();
  OwnDescriptor watch(adapter, -1);
  for (bool first = true;; first = false) {
    int status = 0;
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) {
      const std::lock_guard<std::mutex> lock(adapter.own_mutex);
      adapter.children.erase(pid);
      *exit_code = ExitCode(status);
      return SP_OK;
    }
    if (ended < 0 && errno != EINTR) return ErrorFromErrno(errno);
    std::int64_t left = 1'000'000'000;
    if (timeout_ns >= 0) {
      left = timeout_ns - std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
      if (left <= 0) return SP_EAGAIN;
    }
    if (first) watch.Reset(OpenProcess(pid));
    Doze(watch.get(), left);
  }
}

std::int32_t Kill(void* self, std::int64_t process) {
  Adapter& adapter = *Self(self);
  const std::lock_guard<std::mutex> lock(adapter.own_mutex);
  if (adapter.children.count(static_cast<pid_t>(process)) == 0) return SP_EINVAL;
  return ::kill(static_cast<pid_t>(process), SIGKILL) == 0 ? SP_OK : ErrorFromErrno(errno);
}

}  // namespace

void EndChildren(Adapter& adapter) {
  std::set<pid_t> left;
  {
    const std::lock_guard<std::mutex> lock(adapter.own_mutex);
    left.swap(adapter.children);
  }
  for (const pid_t child : left) {
    ::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

// Handles travel with SCM_RIGHTS (SP_FORM_MESSAGE), so there is nothing to export.
const sp_process_group kProcesses = {sizeof(sp_process_group), Fork, Exec, Wait, Kill, nullptr, nullptr};

}  // namespace sockproof::posix
