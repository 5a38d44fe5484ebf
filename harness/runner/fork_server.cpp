#include "fork_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "battery/fork_protocol.h"
#include "failure.h"

namespace sockproof::runner {

using fork_protocol::Answer;

namespace {

// A fork takes far less; this is for a server that somebody has stopped.
constexpr int kPatienceMs = 60'000;

}  // namespace

ForkServer::ForkServer(boost::asio::io_context& context, Children& children, std::vector<std::string> arguments,
                       const std::vector<std::string>& environment, OnFailure on_failure)
    : channel_(context), on_failure_(std::move(on_failure)) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw Failure(std::string("socketpair: ") + std::strerror(errno));
  channel_.assign(ends[0]);
  ProcessOptions options;
  arguments.push_back("--serve=" + std::to_string(ends[1]));
  options.arguments = std::move(arguments);
  options.environment = environment;
  options.keep = ends[1];
  try {
    process_ = Process::start(
        context, children, options, [](Stream, std::string_view) {},
        [this](Exit, ResourceUse) {
          if (!ending_ && !running_.empty()) on_failure_("the battery that forks for each scenario has died");
        });
  } catch (...) {
    ::close(ends[1]);
    throw;
  }
  ::close(ends[1]);
  read_when_ready();
}

ForkServer::~ForkServer() {
  ending_ = true;
  process_->forget();
  process_->kill_group();
}

pid_t ForkServer::fork(const std::vector<std::string>& request, int output, int error, OnExit on_exit) {
  std::string text;
  for (const std::string& word : request) text.append(word.c_str(), word.size() + 1);
  iovec part{text.data(), text.size()};
  const int descriptors[] = {output, error};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
  if (text.size() > fork_protocol::kMostBytes || ::sendmsg(channel_.native_handle(), &message, MSG_NOSIGNAL) < 0)
    throw Failure("the battery that forks for each scenario does not take requests");
  // It does nothing else than this, so the answer is a matter of microseconds.
  started_ = 0;
  not_started_ = 0;
  while (started_ == 0 && not_started_ == 0)
    if (!read_once(true)) throw Failure("the battery that forks for each scenario has gone away");
  if (not_started_ != 0) throw Failure(std::string("the battery could not fork: ") + std::strerror(not_started_));
  running_.emplace(started_, std::move(on_exit));
  return started_;
}

void ForkServer::read_when_ready() {
  channel_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
    if (!error && read_once(false)) read_when_ready();
  });
}

bool ForkServer::read_once(bool wait) {
  Answer answer;
  pollfd ready{channel_.native_handle(), POLLIN, 0};
  if (wait && ::poll(&ready, 1, kPatienceMs) == 0) return false;
  const ssize_t got = ::recv(channel_.native_handle(), &answer, sizeof answer, MSG_DONTWAIT);
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got != sizeof answer) return false;
  switch (answer.kind) {
    case fork_protocol::kStarted:
      started_ = answer.pid;
      break;
    case fork_protocol::kNotStarted:
      not_started_ = answer.status;
      break;
    case fork_protocol::kEnded:
      if (const auto at = running_.find(answer.pid); at != running_.end()) {
        const OnExit on_exit = std::move(at->second);
        running_.erase(at);
        std::string not_started;
        if (const auto why = refused_.find(answer.pid); why != refused_.end()) {
          not_started = std::move(why->second);
          refused_.erase(why);
        }
        on_exit(answer.status, {answer.processor_us, answer.most_resident_kib}, not_started);
      }
      break;
    case fork_protocol::kNoNamespace:
      // It may be faster than the answer about its start, whose end is still to come.
      refused_[answer.pid] = std::string("no namespace of its own: ") + std::strerror(answer.status);
      break;
    default:
      return false;
  }
  return true;
}

}  // namespace sockproof::runner
