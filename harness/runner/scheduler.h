// Which scenario starts next, and when: a core each for those that compute, none for those that wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace sockproof::runner {

/// One run of one scenario.
struct Task {
  std::size_t scenario = 0;  ///< index into the run's list
  unsigned repeat = 0;
  unsigned lane = 0;  ///< of tasks that were filled in lanes: its lane
};

/// Pure bookkeeping, no clock and no processes. Every task that was started is `active` until it is parked or ended.
class Scheduler {
 public:
  /// At most `jobs` tasks are active when another is started, and at most `most` are there at all.
  Scheduler(unsigned jobs, unsigned most);

  /// Repeats in turn; within one, whoever declares the longest wait first, so that waits overlap with everything else.
  void fill(const std::vector<std::int64_t>& waits_ms, const std::vector<Task>& tasks);

  /// Tasks of which one in each lane is active at a time; the first lanes come first. `task.lane` is the index into `lanes`.
  void fill_lanes(const std::vector<std::vector<Task>>& lanes);
  /// Nothing more of a lane is started.
  void drop(unsigned lane) { lanes_[lane].tasks.clear(); }

  /// The next task if there is room for one; it counts as active from now on.
  std::optional<Task> start_next();
  void park(unsigned lane = 0);
  void unpark(unsigned lane = 0);
  /// How many of the parked ones wait for much longer than they said: they will end at their limit, and take no place until then.
  void set_overdue(unsigned number) { overdue_ = number < kMostOverdue ? number : kMostOverdue; }
  void end(bool parked, unsigned lane = 0);
  /// Nothing more is started.
  void stop();

  unsigned active() const { return active_; }
  unsigned parked() const { return parked_; }
  std::size_t left() const;
  bool idle() const { return active_ + parked_ == 0; }

 private:
  // They cost memory still.
  static constexpr unsigned kMostOverdue = 192;
  // Others of a lane may say what one that waits will say much later.
  static constexpr unsigned kMostParkedInALane = 4;
  struct Lane {
    std::deque<Task> tasks;
    unsigned active = 0;
    unsigned parked = 0;
  };
  std::optional<Task> start_in_a_lane();

  unsigned jobs_;
  unsigned most_;
  unsigned active_ = 0;
  unsigned parked_ = 0;
  unsigned overdue_ = 0;
  std::deque<Task> waiting_;  // declare a wait
  std::deque<Task> working_;  // declare none: they fill the cores when no more waits may be begun
  std::vector<Lane> lanes_;
  std::size_t first_lane_ = 0;  // all before it are empty
};

/// Tells from samples of a process's processor time whether it holds a core.
class ActivityMeter {
 public:
  enum class State { active, parked };

  /// `now_ns` and `used_ns` grow; `wants` is asked only when the process seems to sleep. Returns the new state.
  template <typename Wants>
  State sample(std::int64_t now_ns, std::int64_t used_ns, Wants&& wants) {
    const std::int64_t elapsed = now_ns - last_ns_;
    const std::int64_t used = used_ns - last_used_ns_;
    if (last_ns_ == 0 || elapsed <= 0) {
      last_ns_ = now_ns;
      last_used_ns_ = used_ns;
      return state_;
    }
    if (state_ == State::active) {
      // Little used, and nobody who would like to: it waits for something.
      if (used * 5 < elapsed && !wants()) state_ = State::parked;
    } else if (used * 3 > elapsed) {
      state_ = State::active;
    }
    last_ns_ = now_ns;
    last_used_ns_ = used_ns;
    return state_;
  }
  State state() const { return state_; }

 private:
  State state_ = State::active;
  std::int64_t last_ns_ = 0;
  std::int64_t last_used_ns_ = 0;
};

}  // namespace sockproof::runner
