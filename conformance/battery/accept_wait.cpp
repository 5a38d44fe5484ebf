// accept that waits: non-blocking mode, SO_RCVTIMEO, signals, cancellation.
#include <atomic>

#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/accept.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// An accept with its own time taken around it.
struct Timed {
  Outcome result;
  Outcome timing;
  Nanoseconds took;
  bool ok;
};

constexpr milliseconds kTick{10};  // what an implementation may round a time limit by: a tick of a 100 Hz timer

Task<Timed> TimedAccept(Socket& listener, Nanoseconds expected, const AcceptOptions& options = {}) {
  return Spawn("accept", [&listener, expected, options] {
    const Stopwatch watch;
    const AcceptResult accepted = listener.Accept(options);
    return Timed{accepted, Timing(watch, expected, kTick), watch.Elapsed(), accepted.ok()};
  });
}

// Lets a thread that still waits in accept go, so that nothing is left behind.
void Release(Task<AcceptResult>& waiting, Listener& listener, const Flavor& net) {
  const Socket client = ConnectTo(listener, net);
  static_cast<void>(waiting.Join());
}

constexpr Nanoseconds kQuiet = milliseconds(30);

}  // namespace

SCENARIO(Accept, NonBlockingAndEmpty, kConnections, accept::nonblocking_empty, accept::nonblocking_takes_waiting,
         accept::nonblocking_drained) {
  NeedQueue(net, 2);
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  CHECK_REQUIREMENT(accept::nonblocking_empty, AcceptSoon(listener.socket));
  CHECK_REQUIREMENT(accept::nonblocking_empty, AcceptSoon(listener.socket, nullptr, InTurn(1)));
  std::vector<Socket> clients;
  for (int i = 1; i <= 2; ++i) clients.push_back(ConnectAndTell(listener, net, "x", i));
  AcceptResult first, second;
  CHECK_REQUIREMENT(accept::nonblocking_takes_waiting, AcceptSoon(listener.socket, &first));
  CHECK_REQUIREMENT(accept::nonblocking_takes_waiting, AcceptSoon(listener.socket, &second, InTurn(1)));
  CHECK_REQUIREMENT(accept::nonblocking_drained, AcceptSoon(listener.socket));
}

SCENARIO(Accept, NonBlockingFromTheStart, kConnections, accept::nonblocking_empty, accept::nonblocking_takes_waiting) {
  // Non-blocking by the call that makes the socket, and by FIONBIO.
  for (const bool at_creation : {true, false}) {
    Listener listener;
    listener.socket = net.NewListening(at_creation ? uint32_t{SP_NONBLOCKING} : 0u);
    Step(listener.socket.Bind(net.ToBind()));
    Step(listener.socket.Listen(4));
    listener.address = net.ToReach(listener.socket.LocalAddress());
    if (!at_creation) Step(listener.socket.Ioctl(SP_IOCTL_NONBLOCKING, 1));
    CHECK_REQUIREMENT(accept::nonblocking_empty, AcceptSoon(listener.socket));
    const Socket client = ConnectAndTell(listener, net, "x");
    CHECK_REQUIREMENT(accept::nonblocking_takes_waiting, AcceptSoon(listener.socket));
  }
}

SCENARIO(Accept, BlocksUntilThereIsAConnection, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(60)),
         accept::blocks_until_connection) {
  Listener listener = ListenOn(net);
  for (int round = 0; round < 2; ++round) {
    Task<AcceptResult> waiting = AcceptInThread(listener.socket, InTurn(round));
    waiting.WaitBlocked();
    LetQuietTimePass(kQuiet);
    const bool waited = !waiting.Done();
    Socket client = ConnectTo(listener, net);
    AcceptResult accepted;
    const Outcome outcome = Settled(waiting, &accepted);
    CHECK_REQUIREMENT(accept::blocks_until_connection,
                      Holds(waited && accepted.ok(), (waited ? "waited, then " : "did not wait: ") + outcome.name()));
    if (accepted.ok()) {
      CHECK_REQUIREMENT(accept::blocks_until_connection, BothWays(client, accepted.socket));
    }
  }
}

SCENARIO(Accept, NonBlockingModeSetMeanwhile, kConnections.Needs({SP_CAP_THREADS}).Waits(kQuiet),
         accept::nonblocking_set_meanwhile_new_call, accept::nonblocking_set_meanwhile_old_call,
         accept::connection_wakes_old_call) {
  Listener listener = ListenOn(net);
  Task<AcceptResult> old_call = AcceptInThread(listener.socket);
  old_call.WaitBlocked();
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  CHECK_REQUIREMENT(accept::nonblocking_set_meanwhile_new_call, AcceptSoon(listener.socket));
  LetQuietTimePass(kQuiet);
  const bool waits = !old_call.Done();
  const Socket client = ConnectTo(listener, net);
  const Outcome outcome = Settled(old_call);
  CHECK_REQUIREMENT(accept::nonblocking_set_meanwhile_old_call, waits ? Outcome(outcome::still_blocked) : outcome);
  CHECK_REQUIREMENT(accept::connection_wakes_old_call, outcome);
}

SCENARIO(Accept, TimeoutEndsIt, kConnections.Waits(milliseconds(450)), accept::timeout_ends_accept, accept::timeout_duration,
         accept::timeout_again) {
  Listener listener = ListenOn(net);
  const Nanoseconds limit = milliseconds(200);
  Step(listener.socket.SetDuration(SP_SO_RCVTIMEO, limit));
  for (const Requirement* timing : {&accept::timeout_duration, &accept::timeout_again}) {
    Task<Timed> waiting = TimedAccept(listener.socket, limit, InTurn(timing == &accept::timeout_again ? 1 : 0));
    if (!waiting.DoneWithin(Patience())) {
      CHECK_REQUIREMENT(accept::timeout_ends_accept, outcome::still_blocked);
      CHECK_REQUIREMENT(*timing, outcome::still_blocked);
      const Socket client = ConnectTo(listener, net);
      static_cast<void>(waiting.Join());
      continue;
    }
    const Timed ended = waiting.Join();
    CHECK_REQUIREMENT(accept::timeout_ends_accept, ended.result);
    CHECK_REQUIREMENT(*timing, ended.timing);
  }
}

SCENARIO(Accept, ArrivalBeforeTheTimeout, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(100)),
         accept::timeout_arrival_in_time) {
  Listener listener = ListenOn(net);
  const Nanoseconds limit = seconds(4);
  Step(listener.socket.SetDuration(SP_SO_RCVTIMEO, limit));
  Task<Timed> waiting = TimedAccept(listener.socket, limit);
  LetQuietTimePass(milliseconds(100));
  const bool waited = !waiting.Done();
  const Socket client = ConnectTo(listener, net);
  if (!waiting.DoneWithin(Patience())) {
    CHECK_REQUIREMENT(accept::timeout_arrival_in_time, outcome::still_blocked);
    return;
  }
  const Timed ended = waiting.Join();
  // Returned because of the connection, and not when the time was over.
  CHECK_REQUIREMENT(accept::timeout_arrival_in_time,
                    Holds(waited && ended.ok && ended.took < limit, ended.result.name() + ", " + ended.timing.detail()));
}

SCENARIO(Accept, TimeoutWithAConnectionWaiting, kConnections, accept::timeout_connection_waiting) {
  Listener listener = ListenOn(net);
  const Nanoseconds limit = seconds(4);
  Step(listener.socket.SetDuration(SP_SO_RCVTIMEO, limit));
  const Socket client = ConnectAndTell(listener, net, "x");
  Task<Timed> waiting = TimedAccept(listener.socket, limit);
  if (!waiting.DoneWithin(Patience())) {
    CHECK_REQUIREMENT(accept::timeout_connection_waiting, outcome::still_blocked);
    return;
  }
  const Timed ended = waiting.Join();
  CHECK_REQUIREMENT(accept::timeout_connection_waiting,
                    Holds(ended.ok && ended.took < limit, ended.result.name() + ", " + ended.timing.detail()));
}

SCENARIO(Accept, TimeoutTakenBack, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(150)), accept::timeout_zero_waits) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetDuration(SP_SO_RCVTIMEO, milliseconds(50)));
  Step(listener.socket.SetDuration(SP_SO_RCVTIMEO, Nanoseconds(0)));
  Task<AcceptResult> waiting = AcceptInThread(listener.socket);
  LetQuietTimePass(milliseconds(150));
  if (waiting.Done()) {
    CHECK_REQUIREMENT(accept::timeout_zero_waits, waiting.Join());
    return;
  }
  CHECK_REQUIREMENT(accept::timeout_zero_waits, outcome::still_blocked);
  Release(waiting, listener, net);
}

SCENARIO(Accept, SendTimeout, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(150)),
         accept::send_timeout_does_not_matter) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetDuration(SP_SO_SNDTIMEO, milliseconds(50)));
  Task<AcceptResult> waiting = AcceptInThread(listener.socket);
  LetQuietTimePass(milliseconds(150));
  if (waiting.Done()) {
    CHECK_REQUIREMENT(accept::send_timeout_does_not_matter, waiting.Join());
    return;
  }
  CHECK_REQUIREMENT(accept::send_timeout_does_not_matter, outcome::still_blocked);
  Release(waiting, listener, net);
}

SCENARIO(Accept, Interrupted, kConnections.Needs({SP_CAP_THREADS, SP_CAP_SIGNALS}), accept::interrupted,
         accept::interrupted_again, accept::interrupted_loses_nothing) {
  Listener listener = ListenOn(net);
  for (const Requirement* requirement : {&accept::interrupted, &accept::interrupted_again}) {
    Task<AcceptResult> waiting = AcceptInThread(listener.socket, InTurn(requirement == &accept::interrupted ? 0 : 1));
    if (!waiting.WaitBlocked()) {
      CHECK_REQUIREMENT(*requirement, Settled(waiting));
      CannotGoOn("the accept does not wait");
    }
    waiting.Interrupt();
    const Outcome outcome = Settled(waiting);
    CHECK_REQUIREMENT(*requirement, outcome);
    if (outcome.name() == "still_blocked") CannotGoOn("the accept does not end");
  }
  Socket client = ConnectTo(listener, net);
  AcceptResult accepted;
  CHECK_REQUIREMENT(accept::interrupted_loses_nothing, AcceptSoon(listener.socket, &accepted));
  if (accepted.ok()) {
    const Outcome data = BothWays(client, accepted.socket);
    if (data.name() != "holds") CHECK_REQUIREMENT(accept::interrupted_loses_nothing, data);
  }
}

SCENARIO(Accept, Restarted, kConnections.Needs({SP_CAP_THREADS, SP_CAP_SIGNALS}).Waits(kQuiet), accept::restarted) {
  Listener listener = ListenOn(net);
  Task<AcceptResult> waiting = AcceptInThread(listener.socket);
  for (int round = 0; round < 2 && waiting.WaitBlocked(); ++round) {
    waiting.Interrupt(true);
    LetQuietTimePass(kQuiet / 2);
  }
  const Socket client = ConnectTo(listener, net);
  CHECK_REQUIREMENT(accept::restarted, Settled(waiting));
}

SCENARIO(Accept, TimeoutIsNotRestarted, kConnections.Needs({SP_CAP_THREADS, SP_CAP_SIGNALS}), accept::timeout_not_restarted) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetDuration(SP_SO_RCVTIMEO, seconds(3)));
  Task<AcceptResult> waiting = AcceptInThread(listener.socket);
  waiting.WaitBlocked();
  if (!waiting.Done()) waiting.Interrupt(true);
  CHECK_REQUIREMENT(accept::timeout_not_restarted, Settled(waiting));
}

SCENARIO(Accept, Cancelled, kConnections.Needs({SP_CAP_THREADS, SP_CAP_CANCELLATION}), accept::cancellation_point,
         accept::cancelled_loses_nothing) {
  Listener listener = ListenOn(net);
  struct Waiting {
    sp_handle handle;
    std::atomic<int64_t> thread{-1};
    sp_result result{};
  } waiting{listener.socket.handle()};
  Host& host = Host::Get();
  // The bare call: what unwinds the thread goes through nothing of the suite.
  auto cancellable = Spawn("accept, cancellable", [&] {
    int64_t thread = -1;
    int32_t cancelled = 0;
    const int32_t error = host.threads.run_cancellable(
        host.self(),
        [](void* context) {
          auto& mine = *static_cast<Waiting*>(context);
          Host& here = Host::Get();
          sp_call call{};
          call.size = sizeof call;
          call.op = SP_OP_ACCEPT;
          call.handle = mine.handle;
          call.u.accept.peer.kind = SP_POINTER_NULL;
          call.u.accept.peer.length_kind = SP_POINTER_NULL;
          mine.result.size = sizeof mine.result;
          mine.thread = here.threads.current(here.self());
          here.table().call(here.self(), &call, &mine.result);
        },
        &waiting, &thread, &cancelled);
    host.Expect(error, "cancellation", "a thread that can be cancelled");
    return cancelled != 0;
  });
  const bool blocked =
      WaitUntil([&] { return waiting.thread >= 0 && host.threads.blocked(host.self(), waiting.thread) != SP_EAGAIN; }, Patience(),
                "a blocked accept");
  if (blocked) host.Expect(host.threads.cancel(host.self(), waiting.thread), "cancellation", "cancel");
  if (!cancellable.DoneWithin(Patience())) {
    CHECK_REQUIREMENT(accept::cancellation_point, outcome::still_blocked);
    CannotGoOn("the accept does not end");
  }
  const bool cancelled = cancellable.Join();
  CHECK_REQUIREMENT(accept::cancellation_point,
                    cancelled ? Outcome(outcome::cancelled) : Outcome::OfError(waiting.result.error, waiting.result.native));
  Socket client = ConnectTo(listener, net);
  AcceptResult accepted;
  CHECK_REQUIREMENT(accept::cancelled_loses_nothing, AcceptSoon(listener.socket, &accepted));
}

}  // namespace sockproof
