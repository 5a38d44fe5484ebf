#include "battery/fork_server.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "battery/fork_protocol.h"
#include "battery/namespaces.h"

namespace sockproof {
namespace {

using fork_protocol::Answer;

struct Request {
  std::vector<std::string> words;  // namespaces, the scenario, then its environment
  int output = -1;
  int error = -1;
};

void Tell(int channel, const Answer& answer) {
  while (send(channel, &answer, sizeof answer, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

// False when the runner has gone away, or says what nobody can understand.
bool Take(int channel, Request* request) {
  static char text[fork_protocol::kMostBytes];
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  iovec part{text, sizeof text};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  while ((got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (got <= 0 || header == nullptr || header->cmsg_len != CMSG_LEN(2 * sizeof(int))) return false;
  int descriptors[2];
  std::memcpy(descriptors, CMSG_DATA(header), sizeof descriptors);
  request->output = descriptors[0];
  request->error = descriptors[1];
  for (const char* at = text; at < text + got;) {
    const std::size_t length = strnlen(at, static_cast<std::size_t>(text + got - at));
    request->words.emplace_back(at, length);
    at += length + 1;
  }
  return request->words.size() >= 2;
}

void TellOfTheDead(int channel) {
  for (;;) {
    int status = 0;
    rusage use{};
    const pid_t pid = wait4(-1, &status, WNOHANG, &use);
    if (pid <= 0) return;
    Answer answer;
    answer.kind = fork_protocol::kEnded;
    answer.pid = pid;
    answer.status = status;
    answer.processor_us =
        (std::int64_t{use.ru_utime.tv_sec} + use.ru_stime.tv_sec) * 1'000'000 + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
    answer.most_resident_kib = use.ru_maxrss;
    Tell(channel, answer);
  }
}

// In the place of the old value where it is as long: only what stands there is seen from outside (/proc/PID/environ), by which
// the runner tells whose a process is that has outlived its scenario.
void SetVariable(const std::string& name, const std::string& value) {
  char* there = getenv(name.c_str());
  if (there != nullptr && std::strlen(there) >= value.size()) {
    std::memcpy(there, value.c_str(), value.size() + 1);
  } else {
    setenv(name.c_str(), value.c_str(), 1);
  }
}

void BecomeScenario(const Request& request, pid_t server, int channel) {
  setsid();
  dup2(request.output, STDOUT_FILENO);
  dup2(request.error, STDERR_FILENO);
  close(request.output);
  close(request.error);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const std::string& wish = request.words[0];
  const Isolation isolation = wish == "netns" ? Isolation::netns : wish == "user_netns" ? Isolation::user_netns : Isolation::none;
  const char* step = "";
  if (const int failed = EnterNamespaces(isolation, geteuid(), getegid(), &step); failed != 0) {
    Answer answer;
    answer.kind = fork_protocol::kNoNamespace;
    answer.pid = getpid();
    answer.status = failed;
    Tell(channel, answer);
    _exit(127);
  }
  close(channel);
  // After the namespaces, since new credentials clear it; then look whether the parent had gone before.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != server) _exit(127);
  for (std::size_t i = 2; i < request.words.size(); ++i) {
    const std::size_t equals = request.words[i].find('=');
    if (equals != std::string::npos) SetVariable(request.words[i].substr(0, equals), request.words[i].substr(equals + 1));
  }
}

}  // namespace

std::string ServeScenarios(int channel) {
  const pid_t server = getpid();
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  const int deaths = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  for (;;) {
    pollfd watched[] = {{channel, POLLIN, 0}, {deaths, POLLIN, 0}};
    if (poll(watched, 2, -1) < 0 && errno != EINTR) _exit(2);
    if (watched[1].revents != 0) {
      signalfd_siginfo ignored;
      while (read(deaths, &ignored, sizeof ignored) > 0) {
      }
      TellOfTheDead(channel);
    }
    if (watched[0].revents == 0) continue;
    Request request;
    if (!Take(channel, &request)) _exit(0);
    const pid_t pid = fork();
    if (pid == 0) {
      close(deaths);
      BecomeScenario(request, server, channel);
      return request.words[1];
    }
    close(request.output);
    close(request.error);
    Answer answer;
    answer.kind = pid > 0 ? fork_protocol::kStarted : fork_protocol::kNotStarted;
    answer.pid = pid;
    answer.status = pid > 0 ? 0 : errno;
    Tell(channel, answer);
  }
}

}  // namespace sockproof
