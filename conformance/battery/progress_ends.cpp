// connect() under way: time limits, signals, and giving up.
#include <string>

#include "battery/held.h"
#include "battery/scenario.h"
#include "catalogue/outcomes.h"
#include "catalogue/progress.h"

namespace sockproof {
namespace {

constexpr milliseconds kRetry{1050};
constexpr milliseconds kTick{10};  // what an implementation may round a time limit by: a tick of a 100 Hz timer

// Emptying the queue lets the waiting client in: whether it is then connected.
Outcome EstablishedAfterAll(Socket& client) {
  static_cast<void>(WaitReady(client, SP_OUT));
  return ConnectState(client);
}

Outcome StillThere(bool blocked) { return blocked ? outcome::still_blocked : outcome::returned; }

}  // namespace

// ---- time limits ----

namespace {

// A blocking connect that a time limit should end, and how well that kept its time. One that does not end is left to itself.
struct Timed {
  Outcome outcome;
  Outcome timing;
};
Timed TimedConnect(Socket& client, const Address& address, Nanoseconds limit) {
  const Stopwatch watch;
  auto connector = Spawn("connector", [&] { return client.Connect(address); });
  const bool done = connector.DoneWithin(Patience());
  const Outcome timing = Timing(watch, limit, kTick);
  if (done) return {connector.Join(), timing};
  static_cast<void>(client.Shutdown(SP_SHUT_RDWR));
  if (!connector.DoneWithin(milliseconds(100))) static_cast<void>(client.Release());
  return {outcome::still_blocked, timing};
}

}  // namespace

SCENARIO(Progress, TheSendTimeoutEndsTheWait, kTcp.Waits(milliseconds(1300)), progress::send_timeout, progress::send_timeout_time,
         progress::send_timeout_again, progress::send_timeout_goes_on) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  static_cast<void>(Must(client.SetDuration(SP_SO_SNDTIMEO, milliseconds(200))));
  const Timed first = TimedConnect(client, full.listener.address, milliseconds(200));
  CHECK_REQUIREMENT(progress::send_timeout_time, first.timing);
  CHECK_REQUIREMENT(progress::send_timeout, first.outcome);
  // Whether this one waits once more is nobody's business.
  CHECK_REQUIREMENT(progress::send_timeout_again, TimedConnect(client, full.listener.address, milliseconds(200)).outcome);
  const std::vector<Socket> accepted = MakeRoom(full);
  CHECK_REQUIREMENT(progress::send_timeout_goes_on, EstablishedAfterAll(client));
}

SCENARIO(Progress, TheSendTimeoutIsNotReached, kConnections, progress::send_timeout_unused) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  static_cast<void>(Must(client.SetDuration(SP_SO_SNDTIMEO, seconds(10))));
  CHECK_REQUIREMENT(progress::send_timeout_unused, client.Connect(listener.address));
}

SCENARIO(Progress, LocalConnectObeysTheSendTimeout, kLocal.Waits(milliseconds(200)), progress::unix_send_timeout,
         progress::send_timeout_time) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  static_cast<void>(Must(client.SetDuration(SP_SO_SNDTIMEO, milliseconds(200))));
  const Timed timed = TimedConnect(client, full.listener.address, milliseconds(200));
  CHECK_REQUIREMENT(progress::send_timeout_time, timed.timing);
  CHECK_REQUIREMENT(progress::unix_send_timeout, timed.outcome);
}

SCENARIO(Progress, TheReceiveTimeoutIsNotMeant, kTcp.Needs({SP_CAP_THREADS}).Waits(kRetry), progress::receive_timeout_ignored,
         progress::blocking_completes) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  static_cast<void>(Must(client.SetDuration(SP_SO_RCVTIMEO, milliseconds(50))));
  auto connector = Spawn("connector", [&] { return client.Connect(full.listener.address); });
  connector.WaitBlocked();
  LetQuietTimePass(milliseconds(150));
  CHECK_REQUIREMENT(progress::receive_timeout_ignored, StillThere(!connector.Done()));
  const std::vector<Socket> accepted = MakeRoom(full);
  CHECK_REQUIREMENT(progress::blocking_completes, connector.Join());
}

// ---- signals ----

namespace {

// A connect blocked in a thread of its own, then interrupted: what it returned, or that it did not.
Outcome InterruptedConnect(Socket& client, const Address& address, bool restart = false) {
  auto connector = Spawn("connector", [&] { return client.Connect(address); });
  if (connector.WaitBlocked()) connector.Interrupt(restart);
  if (connector.DoneWithin(Patience())) return connector.Join();
  // It has not noticed; so that it ends before what it uses is gone.
  static_cast<void>(client.Shutdown(SP_SHUT_RDWR));
  if (!connector.DoneWithin(Patience())) static_cast<void>(client.Release());
  return outcome::still_blocked;
}

}  // namespace

SCENARIO(Progress, ASignalEndsTheCallOnly, kTcp.Needs({SP_CAP_SIGNALS, SP_CAP_THREADS}).Waits(kRetry), progress::interrupted,
         progress::interrupted_goes_on, progress::first_address_holds) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(progress::interrupted, InterruptedConnect(client, full.listener.address));
  const std::vector<Socket> accepted = MakeRoom(full);
  CHECK_REQUIREMENT(progress::interrupted_goes_on, EstablishedAfterAll(client));
  const NameResult peer = client.PeerName();
  CHECK_REQUIREMENT(progress::first_address_holds, NameIs(peer, full.listener.address, "the peer"));
}

SCENARIO(Progress, AnotherCallAfterASignal, kTcp.Needs({SP_CAP_SIGNALS, SP_CAP_THREADS}).Waits(kRetry), progress::interrupted,
         progress::interrupted_again, progress::first_address_holds) {
  FullListener full = FillListener(net);
  Listener other = ListenOn(net);
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(progress::interrupted, InterruptedConnect(client, full.listener.address));
  for (int i = 0; i < 2; ++i) {
    CHECK_REQUIREMENT(progress::interrupted_again, InterruptedConnect(client, other.address));
  }
  const std::vector<Socket> accepted = MakeRoom(full);
  static_cast<void>(EstablishedAfterAll(client));
  const NameResult peer = client.PeerName();
  CHECK_REQUIREMENT(progress::first_address_holds, NameIs(peer, full.listener.address, "the peer"));
}

SCENARIO(Progress, ASignalEndsALocalConnect, kLocal.Needs({SP_CAP_SIGNALS, SP_CAP_THREADS}).Waits(milliseconds(60)),
         progress::interrupted, progress::unix_interrupted_goes_on) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(progress::interrupted, InterruptedConnect(client, full.listener.address));
  const std::vector<Socket> accepted = MakeRoom(full);
  LetQuietTimePass(milliseconds(50));
  CHECK_REQUIREMENT(progress::unix_interrupted_goes_on,
                    client.PeerName().ok() ? Outcome(outcome::completed) : Outcome(outcome::of_progress::not_established));
}

SCENARIO(Progress, ASignalMayAskForARestart, kConnections.Needs({SP_CAP_SIGNALS, SP_CAP_THREADS}).Waits(kRetry),
         progress::restarted, progress::restarted_completes) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  auto connector = Spawn("connector", [&] { return client.Connect(full.listener.address); });
  connector.WaitBlocked();
  for (int i = 0; i < 2 && !connector.Done(); ++i) {
    connector.Interrupt(true);
    LetQuietTimePass(milliseconds(30));
  }
  CHECK_REQUIREMENT(progress::restarted, StillThere(!connector.Done()));
  const std::vector<Socket> accepted = MakeRoom(full);
  CHECK_REQUIREMENT(progress::restarted_completes, connector.Join());
}

SCENARIO(Progress, NoRestartWithATimeLimit, kTcp.Needs({SP_CAP_SIGNALS, SP_CAP_THREADS}).Waits(milliseconds(50)),
         progress::not_restarted_with_timeout) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  static_cast<void>(Must(client.SetDuration(SP_SO_SNDTIMEO, seconds(15))));
  CHECK_REQUIREMENT(progress::not_restarted_with_timeout, InterruptedConnect(client, full.listener.address, true));
}

// ---- giving up ----

SCENARIO(Progress, ShutdownMeanwhile, kTcp.Waits(milliseconds(50)), progress::shutdown_pending, progress::shutdown_ends_attempt,
         progress::shutdown_reconnect) {
  FullListener full = FillListener(net);
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) {
    Socket client = net.NewConnecting(SP_NONBLOCKING);
    static_cast<void>(client.Connect(full.listener.address));
    CHECK_REQUIREMENT(progress::shutdown_pending, client.Shutdown(how));
    CHECK_REQUIREMENT(progress::shutdown_ends_attempt, client.TakeError());
    CHECK_REQUIREMENT(progress::shutdown_reconnect, client.Connect(full.listener.address));
  }
}

SCENARIO(Progress, ShutdownAgainstABlockedConnect, kTcp.Needs({SP_CAP_THREADS}).Waits(milliseconds(20)),
         progress::shutdown_wakes_blocked) {
  FullListener full = FillListener(net);
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) {
    Socket client = net.NewConnecting();
    // So that it ends in any case.
    static_cast<void>(Must(client.SetDuration(SP_SO_SNDTIMEO, seconds(3))));
    auto connector = Spawn("connector", [&] { return client.Connect(full.listener.address); });
    connector.WaitBlocked();
    static_cast<void>(client.Shutdown(how));
    CHECK_REQUIREMENT(progress::shutdown_wakes_blocked, connector.Join());
  }
}

SCENARIO(Progress, DissolvedMeanwhile, kTcp.Waits(milliseconds(50)), progress::dissolve_pending) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(client.Connect(full.listener.address));
  CHECK_REQUIREMENT(progress::dissolve_pending, client.Connect(Address::Unspecified()));
}

SCENARIO(Progress, ClosedMeanwhile, kTcp.Waits(milliseconds(1300)), progress::close_pending, progress::close_frees_address,
         progress::close_withdraws) {
  FullListener full = FillListener(net);
  CHECK_REQUIREMENT(progress::close_frees_address, FreesItsAddress(net, [&] {
                      Socket client = net.NewConnecting(SP_NONBLOCKING);
                      static_cast<void>(Must(client.Bind(Address::Loopback(net.connect_family))));
                      const Address own = Must(client.LocalName());
                      static_cast<void>(client.Connect(full.listener.address));
                      CHECK_REQUIREMENT(progress::close_pending, client.Close());
                      return own;
                    }));
  const std::vector<Socket> accepted = MakeRoom(full);
  // Longer than it would take to send the SYN again.
  CHECK_REQUIREMENT(progress::close_withdraws,
                    Readiness(WaitReady(full.listener.socket, SP_IN, milliseconds(1200)), "a connection at the listener"));
}

SCENARIO(Progress, ClosedWhileItBegins, kTcp.Needs({SP_CAP_THREADS}), progress::close_race) {
  constexpr int kRounds = 20;
  Listener listener = ListenOn(net, 2 * kRounds);
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  for (int round = 0; round < kRounds; ++round) {
    Socket client = net.NewConnecting();
    const sp_handle handle = client.handle();
    Latch start;
    auto connector = Spawn("connector", [&] {
      start.Wait();
      return Socket::Borrowed(handle).Connect(listener.address);
    });
    auto closer = Spawn("closer", [&] {
      start.Wait();
      return client.Close();
    });
    start.Open();
    const bool came_through = connector.Join().ok();
    static_cast<void>(closer.Join());
    // One that came through is taken out, so that the next one finds room.
    if (came_through) WaitReady(listener.socket, SP_IN, milliseconds(50));
    while (listener.socket.Accept().ok()) {
    }
  }
  // Afterwards a connection is made as before.
  Socket client = net.NewConnecting();
  const Result connected = client.Connect(listener.address);
  MustBeReady(listener.socket, SP_IN);
  CHECK_REQUIREMENT(progress::close_race, Holds(connected.ok() && listener.socket.Accept().ok(), connected.text()));
}

}  // namespace sockproof
