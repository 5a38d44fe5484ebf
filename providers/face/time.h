// Time as scenarios measure it: nanoseconds of the provider's clock where it has one, of the host's monotonic clock otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace sockproof {

using Nanoseconds = std::chrono::nanoseconds;

int64_t HostNow();  // CLOCK_MONOTONIC in nanoseconds
int64_t Now();      // the provider's clock

// How long to wait for something that must come at once before it counts as not coming: long enough for a machine that is
// busy with something else. Stretched by SOCKPROOF_TIMEOUT_SCALE.
Nanoseconds Patience();

// Where a measured duration lies against the one that was asked for.
enum class Punctual { kEarly, kOnTime, kLate };

// Measures a duration, and beside it how long this machine kept a thread of ours from running in all (a heartbeat thread
// sleeps in short steps and adds up by how much each overshoots). A time-out of `expected` is on time when
//     expected - grain <= elapsed <= 1.5 * expected + 2 * stall + 40 ms
// so an implementation is not blamed for a busy machine, and the bound stays tight on a quiet one, where twice the time is
// late: the 40 ms are for the thread that measures, which may be kept waiting where the heartbeat was not. On a virtual clock
// it is on time within `grain`. `grain` is the clock step that the implementation may round down by; one whose clock is finer
// than 1 ms needs no more than the default. Both ends are inclusive.
class Stopwatch {
 public:
  Stopwatch();
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  Nanoseconds Elapsed() const;
  Nanoseconds Stall() const;
  Punctual Against(Nanoseconds expected, Nanoseconds grain = std::chrono::milliseconds(1)) const;
  std::string Describe(Nanoseconds expected) const;  // "203 ms for 200 ms, stalls of 4 ms"

 private:
  class Heart;
  std::unique_ptr<Heart> heart_;
  int64_t start_;
};

// Lets `span` go by in which this process could have run all the time: stalls of the machine extend it. For states in which
// nothing may happen; the only wait of the suite that is not for a condition.
void LetQuietTimePass(Nanoseconds span);

}  // namespace sockproof
