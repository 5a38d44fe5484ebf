// Time in which the machine did not run this process.
#pragma once

#include <chrono>

namespace sockproof::runner {

/// The runner looks at the clock every millisecond. When a look comes late by much, the machine slept, or the runner was stopped
/// or starved: the scenarios were not run either, or had ended without anybody to hear of it, and that time counts for no limit.
class Stalls {
 public:
  using Clock = std::chrono::steady_clock;

  /// Called again and again, and before a limit is judged.
  void look(Clock::time_point now) {
    const Clock::duration gap = now - last_;
    last_ = now;
    if (gap > kNotable) lost_ += gap;
  }
  /// All that was lost since the beginning.
  Clock::duration lost() const { return lost_; }

 private:
  static constexpr std::chrono::milliseconds kNotable{250};
  Clock::time_point last_ = Clock::now();
  Clock::duration lost_{0};
};

}  // namespace sockproof::runner
