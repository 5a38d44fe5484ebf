// What the scenarios about readiness have in common: every way to ask, and calls that wait in threads of their own.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "battery/scenario.h"
#include "battery/waiting.h"
#include "battery/ways.h"
#include "catalogue/outcomes.h"
#include "face/names.h"

namespace sockproof {

inline std::string WayName(int32_t way) { return std::string(MechanismName(way)); }

// Is this event reported at this moment; does it come?
inline Outcome Now(int32_t way, const Socket& socket, uint32_t event) {
  return Readiness((Events(socket, event, Nanoseconds(0), way) & event) != 0, WayName(way));
}
inline Outcome Soon(int32_t way, const Socket& socket, uint32_t event) {
  return Readiness((Events(socket, event, Patience(), way) & event) != 0, WayName(way));
}

// A wait in a thread of its own, on a watcher that outlives it.
inline Task<WaitResult> WaitInThread(Watcher& watcher, Nanoseconds limit = Nanoseconds(-1)) {
  return Spawn("wait", [&watcher, limit] { return watcher.Wait(limit); });
}
// What it reported: "ready" if this event was among it.
inline Outcome Reported(Task<WaitResult>& task, uint32_t event, uint64_t cookie = 0, const std::string& what = {}) {
  if (!task.DoneWithin(Patience())) return Outcome(outcome::still_blocked, what);
  const WaitResult result = task.Join();
  if (!result.ok()) return result;
  return Readiness((result.EventsOf(cookie) & event) != 0, what);
}

// One watcher for each way, each waited for by a thread.
struct Waiters {
  struct One {
    int32_t way;
    Watcher watcher;
    Task<WaitResult> task;
    One(int32_t mechanism, const Socket& socket, uint32_t event) : way(mechanism), watcher(mechanism) {
      Step(watcher.Add(socket, event));
      task = WaitInThread(watcher);
    }
  };
  std::vector<std::unique_ptr<One>> all;
  // All of them asleep when this returns.
  Waiters(const std::vector<int32_t>& ways, const Socket& socket, uint32_t event) {
    for (const int32_t way : ways) all.push_back(std::make_unique<One>(way, socket, event));
    for (auto& one : all) one->task.WaitBlocked();
  }
};

}  // namespace sockproof
