// A battery that forks for each scenario, where nothing has to stand before its program: no launcher, no namespaces.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "children.h"
#include "process.h"

namespace sockproof::runner {

/// See conformance/battery/fork_protocol.h.
class ForkServer {
 public:
  /// `not_started`: why the scenario never began; empty as a rule.
  using OnExit = std::function<void(int status, ResourceUse, const std::string& not_started)>;
  /// Called when the server is gone while a scenario still runs in it, with the reason.
  using OnFailure = std::function<void(std::string)>;

  /// Starts `arguments` (the battery, without `--serve`). Throws Failure when it cannot be started.
  ForkServer(boost::asio::io_context& context, Children& children, std::vector<std::string> arguments,
             const std::vector<std::string>& environment, OnFailure on_failure);
  ~ForkServer();
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;

  /// Gives the new process; `on_exit` is told its end later, from the loop. Throws Failure.
  pid_t fork(const std::vector<std::string>& request, int output, int error, OnExit on_exit);
  pid_t pid() const { return process_->pid(); }

 private:
  void read_when_ready();
  bool read_once(bool wait);

  boost::asio::posix::stream_descriptor channel_;
  OnFailure on_failure_;
  std::shared_ptr<Process> process_;
  std::map<pid_t, OnExit> running_;
  std::map<pid_t, std::string> refused_;  // ended before they began, and why
  pid_t started_ = 0;                     // what the server answered to the last request
  int not_started_ = 0;                   // or why not
  bool ending_ = false;
};

}  // namespace sockproof::runner
