// What the scenarios about readiness have in common: every way to ask, and calls that wait in threads of their own.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/outcomes.h"
#include "face/names.h"

namespace sockproof {

// Those of these mechanisms that the provider has. The scenario ends as 'not supported' if it has none of them.
inline std::vector<int32_t> Ways(std::initializer_list<int32_t> among) {
  std::vector<int32_t> ways;
  for (const int32_t mechanism : among) {
    sp_call call{};
    sp_result result{};
    call.op = SP_OP_WATCH_CREATE;
    call.u.watch_create = {mechanism, 0};
    Host::Get().CallRaw(&call, &result);
    if (result.error == SP_NOT_SUPPORTED) continue;
    static_cast<void>(Must(Result(call, result)));
    sp_call close{};
    close.op = SP_OP_WATCH_CLOSE;
    close.handle = result.handle;
    Host::Get().CallRaw(&close, &result);
    ways.push_back(mechanism);
  }
  if (ways.empty())
    Host::Get().reporter().NotSupported("readiness", "the provider has none of the ways to wait that this is about");
  return ways;
}
inline std::vector<int32_t> EveryWay() { return Ways({SP_POLL, SP_PPOLL, SP_SELECT, SP_PSELECT, SP_EPOLL}); }
inline std::vector<int32_t> PollWays() { return Ways({SP_POLL, SP_PPOLL}); }
inline std::vector<int32_t> SelectWays() { return Ways({SP_SELECT, SP_PSELECT}); }
// Those that tell errors, hang-ups and the peer's shutdown apart.
inline std::vector<int32_t> EventWays() { return Ways({SP_POLL, SP_PPOLL, SP_EPOLL}); }

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
