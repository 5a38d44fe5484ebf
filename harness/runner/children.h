// Every process that is a child of the runner: which are meant to be there, what they used, and those left behind.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdint>
#include <map>
#include <string>

namespace sockproof::runner {

/// What a process used in its whole life, its own reaped children included.
struct ResourceUse {
  std::int64_t processor_us = 0;
  std::int64_t most_resident_kib = 0;  ///< 0 when it could not be learnt
};

/// The runner is a subreaper: a process whose parent died becomes its child, and is found here. One object in a process.
class Children {
 public:
  explicit Children(boost::asio::io_context& context);

  /// `variable` is a NAME=value of its environment that no other child's has; empty for helpers such as a debugger.
  void add(pid_t pid, std::string variable);
  /// Call it from the exit handler itself, before any other child is reaped: the child's use is what the total of all
  /// reaped children grew by.
  ResourceUse take(pid_t pid);

  /// Kills and reaps processes that belong to no child that is still there. Returns how many it had to kill.
  /// `all`: whoever is not in the list, without looking whose it is.
  /// `ended`: the scenario whose end this is (0: none).
  int sweep(pid_t ended, bool all = false);

  /// A process that is to be left alone although it is no scenario's.
  void spare(pid_t pid) { spared_ = pid; }

 private:
  struct Child {
    std::string variable;
    ResourceUse seen;  // looked up between its death and its reaping
    bool dead = false;
  };

  void listen();
  void look_at_the_dead();
  bool belongs_to_the_living(pid_t pid) const;

  boost::asio::signal_set signals_;
  std::map<pid_t, Child> children_;
  std::int64_t counted_us_ = 0;
  pid_t spared_ = 0;
};

}  // namespace sockproof::runner
