// The stacks of a process that hangs or is about to die, where a debugger may attach.
#pragma once

#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "children.h"
#include "process.h"

namespace sockproof::runner {

struct Stack {
  pid_t pid = 0;
  std::string thread;               ///< as the debugger names it
  std::vector<std::string> frames;  ///< innermost first
};

struct Stacks {
  std::vector<Stack> stacks;
  std::string missing;  ///< why there are none; empty when there are
};

/// Takes apart what `gdb -batch -ex 'thread apply all bt'` prints.
std::vector<Stack> parse_stacks(pid_t pid, std::string_view text);

/// Asks gdb, one process at a time, so that a run with many hangs stays responsive; only so many times in a run.
class StackTaker {
 public:
  using Done = std::function<void(Stacks)>;

  StackTaker(boost::asio::io_context& context, Children& children, bool enabled);
  /// `done` is called later, never from within. The processes must stay until then.
  void take(std::vector<pid_t> pids, Done done);
  /// Ends what is under way and answers nobody.
  void stop();

 private:
  struct Request;
  void next();
  void attach(const std::shared_ptr<Request>& request);
  void answer(const std::shared_ptr<Request>& request);

  boost::asio::io_context& context_;
  Children& children_;
  std::string debugger_;
  std::string unavailable_;
  int left_;
  std::deque<std::shared_ptr<Request>> waiting_;
  std::shared_ptr<Request> current_;
};

}  // namespace sockproof::runner
