#include "children.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/process/async.hpp>

#include "procfs.h"

namespace sockproof::runner {
namespace {

std::int64_t microseconds(const rusage& use) {
  return (std::int64_t{use.ru_utime.tv_sec} + use.ru_stime.tv_sec) * 1'000'000 + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
}

std::int64_t all_reaped_us() {
  rusage use{};
  ::getrusage(RUSAGE_CHILDREN, &use);
  return microseconds(use);
}

// The object that reaps must have asked for SIGCHLD before this one does: asio tells the last to ask first, and the dead
// can be looked at only until they are reaped.
boost::asio::io_context& after_the_reaper(boost::asio::io_context& context) {
  boost::asio::use_service<boost::process::detail::posix::sigchld_service>(context);
  return context;
}

}  // namespace

Children::Children(boost::asio::io_context& context) : signals_(after_the_reaper(context), SIGCHLD) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  counted_us_ = all_reaped_us();
  listen();
}

void Children::listen() {
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    look_at_the_dead();
    listen();
  });
}

void Children::look_at_the_dead() {
  for (auto& [pid, child] : children_) {
    if (child.dead) continue;
    siginfo_t info{};
    rusage use{};
    // The system call gives the use as well, which the library's function does not hand on.
    if (::syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, &use) != 0 || info.si_pid != pid) continue;
    child.dead = true;
    child.seen = {microseconds(use), use.ru_maxrss};
  }
}

void Children::add(pid_t pid, std::string variable) { children_.emplace(pid, Child{std::move(variable), {}, false}); }

ResourceUse Children::take(pid_t pid) {
  const std::int64_t total = all_reaped_us();
  ResourceUse use{total - counted_us_, 0};
  counted_us_ = total;
  if (const auto at = children_.find(pid); at != children_.end()) {
    if (at->second.dead) use = at->second.seen;
    // A scenario's stays until its own sweep, so that nobody else's takes what it left behind for nobody's.
    if (at->second.variable.empty()) children_.erase(at);
  }
  return use;
}

bool Children::belongs_to_the_living(pid_t pid) const {
  const auto stat = read_stat(pid);
  if (!stat) return false;
  if (children_.count(stat->session) != 0) return true;
  bool anybody = false;
  for (const auto& [child, entry] : children_) {
    if (entry.variable.empty()) continue;
    anybody = true;
    if (started_with(pid, entry.variable)) return true;
  }
  // Without a mark of its own nobody can tell whose it is; it stays until the last scenario is over.
  const std::string environment = read_text(fmt::format("/proc/{}/environ", pid));
  return anybody && environment.find("SOCKPROOF_TMPDIR=") == std::string::npos;
}

int Children::sweep(pid_t ended, bool all) {
  children_.erase(ended);
  int killed = 0;
  for (const pid_t pid : children_of(::getpid(), 1 /* all are forked by the one thread there is */)) {
    if (pid == spared_ || children_.count(pid) != 0) continue;
    if (::waitpid(pid, nullptr, WNOHANG) == pid) continue;
    if (!all && belongs_to_the_living(pid)) continue;
    // What it has below it comes up here when it is gone, and is found by the next sweep.
    if (::kill(pid, SIGKILL) == 0) ++killed;
    if (all) ::waitpid(pid, nullptr, 0);
  }
  counted_us_ = all_reaped_us();
  return killed;
}

}  // namespace sockproof::runner
