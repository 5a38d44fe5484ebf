// One child process: a session and namespaces of its own, its output, its end.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/process/child.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "children.h"
#include "isolation.h"
#include "verdict.h"

namespace sockproof::runner {

struct ProcessOptions {
  std::vector<std::string> arguments;    ///< the program, by path or by name in PATH, and its arguments
  std::vector<std::string> environment;  ///< NAME=value
  Isolation isolation = Isolation::none;
  std::string variable;  ///< see Children::add
  int keep = -1;         ///< a descriptor that the program gets under the same number; -1: none
};

enum class Stream { output, error };

class ForkServer;

/// Owned by a shared_ptr; alive until its end was told.
class Process : public std::enable_shared_from_this<Process> {
 public:
  using OnOutput = std::function<void(Stream, std::string_view)>;
  /// Told once, after all output that the process itself wrote.
  using OnExit = std::function<void(Exit, ResourceUse)>;

  /// Throws Failure with the reason when it cannot be started.
  static std::shared_ptr<Process> start(boost::asio::io_context& context, Children& children, const ProcessOptions& options,
                                        OnOutput on_output, OnExit on_exit);

  /// The same in a process that a battery forks for us. `request` are the words of fork_protocol.h.
  static std::shared_ptr<Process> start_in(ForkServer& server, boost::asio::io_context& context, Children& children,
                                           const std::vector<std::string>& request, const std::string& variable,
                                           OnOutput on_output, OnExit on_exit);

  pid_t pid() const { return pid_; }
  /// At its end: why it never became what it was to be; empty as a rule.
  const std::string& not_started() const { return not_started_; }
  /// To the process alone; nothing once it is gone.
  void signal(int number);
  /// SIGKILL to its whole group.
  void kill_group();
  /// Nothing more is told after this.
  void forget();

 private:
  Process(boost::asio::io_context& context, Children& children, OnOutput on_output, OnExit on_exit);
  void read_when_ready(Stream stream);
  bool read_once(Stream stream);
  boost::asio::posix::stream_descriptor& descriptor(Stream stream) { return stream == Stream::output ? output_ : error_; }
  void listen(int output, int error);
  void ended(int status, ResourceUse use);
  void finish();

  boost::asio::io_context& context_;
  Children& children_;
  OnOutput on_output_;
  OnExit on_exit_;
  boost::asio::posix::stream_descriptor output_;
  boost::asio::posix::stream_descriptor error_;
  boost::process::child child_;
  pid_t pid_ = -1;
  bool gone_ = false;
  std::string not_started_;
  Exit exit_;
  ResourceUse use_;
};

/// The program that a first word of a command names; empty when there is none.
std::string find_program(const std::string& word);

/// The runner's own environment without GoogleTest's and sockproof's variables, with `extra` added or replaced.
std::vector<std::string> child_environment(const std::map<std::string, std::string>& extra);

struct Captured {
  Exit exit;
  std::string output;
  std::string error;
  bool timed_out = false;
};

/// Runs a command to its end and gives its output. Throws Failure when it cannot be started.
Captured capture(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int limit_ms);

}  // namespace sockproof::runner
