#include "face/time.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>

#include "face/host.h"
#include "face/platform.h"

namespace sockproof {
namespace {

constexpr int64_t kBeat = 5'000'000;

}  // namespace

int64_t HostNow() { return platform::MonotonicNow(); }

int64_t Now() { return Host::Get().Now(); }

Nanoseconds Patience() {
  static const double scale = [] {
    const char* text = std::getenv("SOCKPROOF_TIMEOUT_SCALE");
    const double value = text != nullptr ? std::atof(text) : 1.0;
    return value > 0 ? value : 1.0;
  }();
  return Nanoseconds(static_cast<int64_t>(5e9 * scale));
}

// The heartbeat. With a virtual clock there is nothing to measure: no thread of ours waits for the machine.
class Stopwatch::Heart {
 public:
  Heart() : thread_([this] { Beat(); }) {}
  ~Heart() {
    stop_ = true;
    thread_.join();
  }
  int64_t late() const {
    // A stall that is still going on counts as well.
    return late_.load() + std::max<int64_t>(0, HostNow() - last_.load() - kBeat);
  }

 private:
  void Beat() {
    while (!stop_) {
      platform::Sleep(kBeat);
      const int64_t now = HostNow();
      late_ += now - last_.exchange(now) - kBeat;
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int64_t> last_{HostNow()};
  std::atomic<int64_t> late_{0};
  std::thread thread_;
};

Stopwatch::Stopwatch() {
  if (!Host::Get().HasVirtualClock()) heart_ = std::make_unique<Heart>();
  start_ = Now();
}

Stopwatch::~Stopwatch() = default;

Nanoseconds Stopwatch::Elapsed() const { return Nanoseconds(Now() - start_); }

Nanoseconds Stopwatch::Stall() const { return Nanoseconds(heart_ ? heart_->late() : 0); }

Punctual Stopwatch::Against(Nanoseconds expected, Nanoseconds grain) const {
  const Nanoseconds elapsed = Elapsed();
  if (elapsed < expected - grain) return Punctual::kEarly;
  // On a virtual clock nobody has to be scheduled. Elsewhere the caller has, after the time-out; a stall that began there is part
  // of Stall(), as far as another thread can tell. What takes twice its time is late.
  const Nanoseconds slack = heart_ ? expected / 2 + 2 * Stall() + std::chrono::milliseconds(40) : grain;
  return elapsed > expected + slack ? Punctual::kLate : Punctual::kOnTime;
}

std::string Stopwatch::Describe(Nanoseconds expected) const {
  const auto milliseconds = [](Nanoseconds span) { return static_cast<double>(span.count()) / 1e6; };
  return fmt::format("{:.1f} ms for {:.1f} ms, stalls of {:.1f} ms", milliseconds(Elapsed()), milliseconds(expected),
                     milliseconds(Stall()));
}

void LetQuietTimePass(Nanoseconds span) {
  if (Host::Get().HasVirtualClock()) {
    Host::Get().SleepVirtual(span);
    return;
  }
  for (int64_t left = span.count(); left > 0;) {
    const int64_t step = std::min(left, kBeat);
    const int64_t before = HostNow();
    platform::Sleep(step);
    // A step that took much longer than asked for was no time in which the other side could run either. A beat of
    // lateness is still none: short steps always take longer than asked for, and counting down by halves never ends.
    const int64_t took = HostNow() - before;
    left -= took <= step + kBeat ? took : step;
  }
}

}  // namespace sockproof
