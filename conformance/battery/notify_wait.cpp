// How the calls that wait for events wait: for how long, what ends them early, and which arguments they refuse.
#include <algorithm>
#include <memory>

#include "battery/notify.h"
#include "catalogue/notify.h"

namespace sockproof {
namespace {

// Waits, each way in a thread of its own, for an event that does not come; how long that took and what it returned.
struct TimedWait {
  Outcome timing{outcome::not_ready};
  Outcome count{outcome::not_ready};
};
std::vector<TimedWait> WaitInVain(const Socket& socket, Nanoseconds limit) {
  std::vector<Task<TimedWait>> tasks;
  for (const int32_t way : EveryWay()) {
    tasks.push_back(Spawn("wait", [way, limit, &socket] {
      Watcher watcher(way);
      Step(watcher.Add(socket, SP_IN));
      const Stopwatch watch;
      const WaitResult result = watcher.Wait(limit);
      const Outcome timing = Timing(watch, limit);
      // Neither the count nor the sets may speak of an event.
      const auto reported = std::max(result.value(), static_cast<int64_t>(result.events.size()));
      const Outcome count = result.ok() ? Outcome::OfNumber(reported) : Outcome(result);
      return TimedWait{timing.With(WayName(way) + ", " + timing.detail()), count.With(WayName(way))};
    }));
  }
  std::vector<TimedWait> seen;
  for (Task<TimedWait>& task : tasks) seen.push_back(task.Join());
  return seen;
}

// A number that is no open handle any more.
Socket ClosedSocket(const Flavor& net) {
  Socket socket = net.NewConnecting();
  const sp_handle handle = socket.handle();
  Step(socket.Close());
  return Socket::Borrowed(handle);
}

}  // namespace

SCENARIO(Notify, ATimeOutIsKept, (Over{{&kInet, &kUnix, &kUdp}, {}}).Waits(milliseconds(330)), notify::time_out,
         notify::time_out_result) {
  Listener idle = BoundOn(net);
  if (net.type != SP_DATAGRAM) Step(idle.socket.Listen(1));
  for (const milliseconds limit : {milliseconds(30), milliseconds(300)}) {
    for (const TimedWait& seen : WaitInVain(idle.socket, limit)) {
      CHECK_REQUIREMENT(notify::time_out, seen.timing);
      CHECK_REQUIREMENT(notify::time_out_result, seen.count);
    }
  }
}

SCENARIO(Notify, TheSocketsOwnModeAndLimitsDoNotMatter, kConnections.Waits(milliseconds(300)), notify::non_blocking_waits,
         notify::socket_time_out) {
  Pair pair = ConnectedPair(net);
  Step(pair.server.SetModes(SP_NONBLOCKING));
  for (const TimedWait& seen : WaitInVain(pair.server, milliseconds(150))) {
    CHECK_REQUIREMENT(notify::non_blocking_waits, seen.timing);
  }
  Step(pair.server.SetModes(0, SP_NONBLOCKING));
  Step(pair.server.SetDuration(SP_SO_RCVTIMEO, milliseconds(30)));
  Step(pair.server.SetDuration(SP_SO_SNDTIMEO, milliseconds(30)));
  for (const TimedWait& seen : WaitInVain(pair.server, milliseconds(150))) {
    CHECK_REQUIREMENT(notify::socket_time_out, seen.timing);
  }
}

SCENARIO(Notify, NoTimeAndNoLimit, kConnections.Waits(milliseconds(250)), notify::no_time, notify::no_limit) {
  Listener listener = ListenOn(net);
  for (const int32_t way : EveryWay()) {
    Watcher watcher(way);
    Step(watcher.Add(listener.socket, SP_IN));
    const Outcome seen = WithoutWaiting([&watcher] { return watcher.Wait(Nanoseconds(0)); });
    const bool returned = seen.name() == "ok";
    CHECK_REQUIREMENT(notify::no_time, returned ? Outcome(outcome::returned, WayName(way)) : seen.With(WayName(way)));
  }
  Waiters waiters(EveryWay(), listener.socket, SP_IN);
  LetQuietTimePass(milliseconds(250));
  for (auto& one : waiters.all) {
    CHECK_REQUIREMENT(notify::no_limit,
                      Outcome(one->task.Done() ? outcome::returned : outcome::still_blocked, WayName(one->way)));
  }
  Socket client = ConnectTo(listener, net);
  for (auto& one : waiters.all) static_cast<void>(one->task.Join());
}

SCENARIO(Notify, ASignalEndsTheWait, (Over{{&kInet, &kUnix}, {}}).Needs({SP_CAP_SIGNALS}), notify::signal,
         notify::signal_restart) {
  Listener listener = ListenOn(net);
  for (const bool restart : {false, true}) {
    Waiters waiters(EveryWay(), listener.socket, SP_IN);
    std::vector<Outcome> seen;
    for (auto& one : waiters.all) {
      one->task.Interrupt(restart);
      // A call that goes on has been asleep again long before this is over.
      const bool ended = one->task.DoneWithin(restart ? Nanoseconds(milliseconds(200)) : Patience());
      seen.push_back(ended ? Outcome(one->task.Join()) : Outcome(outcome::still_blocked));
      seen.back() = seen.back().With(WayName(one->way));
    }
    for (const Outcome& outcome : seen) {
      if (restart) {
        CHECK_REQUIREMENT(notify::signal_restart, outcome);
      } else {
        CHECK_REQUIREMENT(notify::signal, outcome);
      }
    }
    Socket client = ConnectTo(listener, net);  // ends those that were not
    MustBeReady(listener.socket, SP_IN);
    Socket server = Must(listener.socket.Accept());
  }
}

SCENARIO(Notify, ClosingDoesNotEndTheWait, kConnections.Waits(milliseconds(240)), notify::closed_meanwhile) {
  for (const int32_t way : Ways({SP_POLL, SP_PPOLL, SP_SELECT, SP_PSELECT})) {
    Pair pair = ConnectedPair(net);
    Watcher watcher(way);
    Step(watcher.Add(pair.server, SP_IN));
    constexpr milliseconds kLimit(60);
    Task<Outcome> task = Spawn("wait", [&watcher, kLimit, way] {
      const Stopwatch watch;
      const WaitResult result = watcher.Wait(kLimit);
      // What it says in the end is left open (poll finds the descriptor invalid then); that it waited till then is not.
      const bool waited = result.ok() && watch.Against(kLimit) != Punctual::kEarly;
      const std::string detail = WayName(way) + ": " + result.text() + " after " + watch.Describe(kLimit);
      return waited ? Outcome(outcome::still_blocked, detail) : result.Counted().With(detail);
    });
    task.WaitBlocked();
    Step(pair.server.Close());
    CHECK_REQUIREMENT(notify::closed_meanwhile, task.Join());
  }
}

// ---- arguments ----

SCENARIO(Notify, ATimeOutThatCannotBeOneIsRefused, kTcp4, notify::bad_time_out, notify::bad_time_out_ppoll) {
  Listener listener = ListenOn(net);
  const auto wait = [&](int32_t way) {
    // In a thread: taken for 'no limit', it would never end.
    Task<Result> task = Spawn("wait", [&listener, way] {
      Watcher watcher(way);
      Step(watcher.Add(listener.socket, SP_IN));
      sp_event events[4] = {};
      sp_watch_wait_args args{};
      args.timeout_kind = 1;
      args.capacity = 4;
      args.events = events;
      return watcher.WaitWith(args);
    });
    return Settled(task).With(WayName(way));
  };
  for (const int32_t way : SelectWays()) CHECK_REQUIREMENT(notify::bad_time_out, wait(way));
  for (const int32_t way : Ways({SP_PPOLL})) CHECK_REQUIREMENT(notify::bad_time_out_ppoll, wait(way));
}

SCENARIO(Notify, PollOnWhatIsNotOpen, kTcp4, notify::poll_closed, notify::poll_negative) {
  Pair pair = ConnectedPair(net);
  const Socket closed = ClosedSocket(net);
  for (const int32_t way : PollWays()) {
    {
      Watcher watcher(way);
      Step(watcher.Add(closed, SP_IN, 0, 1));
      Task<WaitResult> task = WaitInThread(watcher);
      CHECK_REQUIREMENT(notify::poll_closed, Reported(task, SP_NVAL, 1, WayName(way)));
    }
    Watcher watcher(way);
    Step(watcher.Add(Socket::Wrong(SP_HANDLE_INVALID), SP_IN | SP_OUT, 0, 1));
    Step(watcher.Add(pair.client, SP_OUT, 0, 2));
    const WaitResult seen = watcher.Wait(Nanoseconds(0));
    Step(seen);
    CHECK_REQUIREMENT(notify::poll_negative, Holds(seen.value() == 1 && seen.EventsOf(1) == 0 && seen.EventsOf(2) == SP_OUT,
                                                   WayName(way) + ": " + seen.text()));
  }
}

SCENARIO(Notify, SelectOnWhatIsNotOpen, kTcp4, notify::select_closed) {
  const Socket closed = ClosedSocket(net);
  for (const int32_t way : SelectWays()) {
    for (const uint32_t event : {SP_IN, SP_OUT, SP_PRI}) {
      Watcher watcher(way);
      Step(watcher.Add(closed, event));
      CHECK_REQUIREMENT(notify::select_closed, Outcome(watcher.Wait(Nanoseconds(0))).With(WayName(way)));
    }
  }
}

SCENARIO(Notify, PollWithTooManyEntries, kTcp4.Needs({SP_CAP_HANDLE_LIMIT}), notify::poll_too_many) {
  Pair pair = ConnectedPair(net);
  for (const int32_t way : PollWays()) {
    Watcher watcher(way);
    // Far more than the handles that this process has open and may open.
    for (uint64_t i = 0; i < 1000; ++i) Step(watcher.Add(pair.client, SP_IN, 0, i));
    const Limited limited(0);
    CHECK_REQUIREMENT(notify::poll_too_many, Outcome(watcher.Wait(Nanoseconds(0))).With(WayName(way)));
  }
}

SCENARIO(Notify, InvalidPointersToEvents, kTcp4, notify::poll_invalid_pointer, notify::select_invalid_pointer) {
  Pair pair = ConnectedPair(net);
  const auto wait = [&](int32_t way) {
    Watcher watcher(way);
    Step(watcher.Add(pair.client, SP_OUT));
    sp_watch_wait_args args{};
    args.kind = SP_POINTER_INVALID;
    args.capacity = 4;
    return Outcome(watcher.WaitWith(args)).With(WayName(way));
  };
  for (const int32_t way : PollWays()) CHECK_REQUIREMENT(notify::poll_invalid_pointer, wait(way));
  for (const int32_t way : SelectWays()) CHECK_REQUIREMENT(notify::select_invalid_pointer, wait(way));
}

}  // namespace sockproof
