// SO_LINGER: the option, aborts, waits; and the end of processes.
#include "battery/ends.h"
#include "battery/scenario.h"
#include "catalogue/close.h"
#include "catalogue/outcomes.h"
#include "face/agent.h"

namespace sockproof {
namespace {

// Much longer than anything here may take, so that a close that sits it out is told from one that does not.
constexpr int32_t kLongLinger = 15;

// The client's end, blocking, with more sent than the server can hold; it lingers for `linger` seconds.
struct Laden {
  Pair pair;
  Payload sent;
};
Laden LadenPair(const Flavor& net, int32_t linger) {
  Laden laden{NarrowPair(net), {}};
  laden.sent = Payload{7, 0, FillSendPath(laden.pair.client)};
  if (net.tcp()) MustHoldUnsent(laden.pair.client);
  static_cast<void>(Must(laden.pair.client.SetModes(0, SP_NONBLOCKING)));
  static_cast<void>(Must(laden.pair.client.SetLinger(true, linger)));
  return laden;
}

// A close of `socket` that must wait until `laden`'s data are read; reads them; says how the close behaved.
struct Lingered {
  Outcome close;
  Outcome data;
};
Lingered WatchLingering(Socket& socket, Laden& laden) {
  auto closing = Spawn("close", [&socket] { return socket.Close(); });
  closing.WaitBlocked();
  LetQuietTimePass(milliseconds(20));
  const bool waited = !closing.Done();
  const Outcome data = InGoodOrder(ReadToEnd(laden.pair.server, laden.sent));
  if (!closing.DoneWithin(Patience())) return {Outcome(outcome::still_blocked, "although everything was read"), data};
  const Result result = closing.Join();
  if (!result.ok()) return {result, data};
  return {Outcome(waited ? outcome::waited : outcome::at_once), data};
}

}  // namespace

SCENARIO(Close, LingerOption, kConnections, close::linger_option, close::linger_default) {
  Pair pair = ConnectedPair(net);
  Socket fresh = net.NewConnecting();
  for (Socket* socket : {&fresh, &pair.client, &pair.server}) {
    const OptionResult before = Must(socket->Get(SP_SO_LINGER));
    CHECK_REQUIREMENT(close::linger_default, Outcome::OfNumber(before.linger_on ? 1 : 0));
    for (const int32_t time : {5, 0, 3600}) {
      static_cast<void>(Must(socket->SetLinger(true, time)));
      const OptionResult on = Must(socket->Get(SP_SO_LINGER));
      CHECK_REQUIREMENT(close::linger_option,
                        Holds(on.linger_on && on.linger_seconds == time,
                              fmt::format("on for {} s reads {} and {} s", time, on.linger_on, on.linger_seconds)));
    }
    static_cast<void>(Must(socket->SetLinger(false, 0)));
    CHECK_REQUIREMENT(close::linger_option, Holds(!Must(socket->Get(SP_SO_LINGER)).linger_on, "off"));
  }
}

// ---- Abort ----------------------------------------------------------------------------------------------------------

SCENARIO(Close, AbortResets, kTcp, close::abort) {
  for (const int32_t form : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    Pair idle = ConnectedPair(net);
    Abort(idle.client);
    RecvOptions options;
    options.form = form;
    CHECK_REQUIREMENT(close::abort, NextSeen(idle.server, options));
  }

  Pair used = ConnectedPair(net);
  const Payload payload{1, 0, 1000};
  SendAll(used.client, payload);
  const Received received = ReceiveAll(used.server, payload);
  if (!received.Complete(payload)) Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "receive what was sent", received.end);
  Abort(used.server);
  CHECK_REQUIREMENT(close::abort, NextSeen(used.client));
}

SCENARIO(Close, AbortWithUntransmittedData, kTcp.Waits(milliseconds(150)), close::abort_at_once, close::abort_discards) {
  Laden laden = LadenPair(net, 0);
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return laden.pair.client.Close(); });
  CHECK_REQUIREMENT(close::abort_at_once, AtOnce(closing, watch));
  const Passage passage = ReadToEnd(laden.pair.server, laden.sent);
  CHECK_REQUIREMENT(close::abort_discards, passage.end.name() == "ECONNRESET" ? passage.data : passage.end);
}

SCENARIO(Close, AbortAfterShutdown, kTcp, close::abort_after_wr) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.server);
  Abort(pair.client);
  BreaksOff(pair.server);
  CHECK_REQUIREMENT(close::abort_after_wr, pair.server.SendBytes("x"));
}

SCENARIO(Close, AbortInCloseWait, kTcp, close::abort_in_close_wait) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.client);
  Abort(pair.client);
  CHECK_REQUIREMENT(close::abort_in_close_wait, NextSeen(pair.server));
}

SCENARIO(Close, AbortFreesThePort, kTcp46, close::abort_frees_port) {
  Pair pair = BoundClientPair(net);
  const Address address = pair.client.LocalAddress();
  Abort(pair.client);
  Socket next = net.NewConnecting();
  CHECK_REQUIREMENT(close::abort_frees_port, next.Bind(address));
}

SCENARIO(Close, AbortLocal, kLocal, close::abort_unix) {
  Pair pair = ConnectedPair(net);
  const Payload payload{1, 0, 1000};
  SendAll(pair.client, payload);
  Abort(pair.client);
  CHECK_REQUIREMENT(close::abort_unix, InGoodOrder(ReadToEnd(pair.server, payload)));
}

// ---- Waiting --------------------------------------------------------------------------------------------------------

SCENARIO(Close, LingerWaitsForTheData, kTcp.Waits(milliseconds(200)), close::linger_waits, close::linger_delivers) {
  Laden laden = LadenPair(net, kLongLinger);
  const Lingered seen = WatchLingering(laden.pair.client, laden);
  CHECK_REQUIREMENT(close::linger_waits, seen.close);
  CHECK_REQUIREMENT(close::linger_delivers, seen.data);
}

SCENARIO(Close, LingerInVain, kTcp.Waits(milliseconds(1050)), close::linger_limit, close::linger_limit_result,
         close::linger_goes_on) {
  Laden laden = LadenPair(net, 1);
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return laden.pair.client.Close(); });
  const bool back = closing.DoneWithin(Patience());
  CHECK_REQUIREMENT(close::linger_limit, Timing(watch, seconds(1), milliseconds(10)));
  CHECK_REQUIREMENT(close::linger_limit_result, back ? Outcome(closing.Join()) : Outcome(outcome::still_blocked));
  CHECK_REQUIREMENT(close::linger_goes_on, InGoodOrder(ReadToEnd(laden.pair.server, laden.sent)));
}

SCENARIO(Close, LingerUnacknowledged, kTcp46.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1050)), close::linger_unacknowledged) {
  Pair pair = ConnectedPair(net);
  const Silence deaf(pair.server);
  SendAll(pair.client, Payload{1, 0, 100});
  static_cast<void>(Must(pair.client.SetLinger(true, 1)));
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return pair.client.Close(); });
  closing.DoneWithin(Patience());
  CHECK_REQUIREMENT(close::linger_unacknowledged, Timing(watch, seconds(1), milliseconds(10)));
}

SCENARIO(Close, LingerWithNothingToSend, kConnections.Waits(milliseconds(50)), close::linger_nothing) {
  // The other end may take its time to acknowledge the end of the stream (RFC 9293 3.8.6.3: up to half a second).
  constexpr milliseconds kAcknowledged{600};
  Pair idle = ConnectedPair(net);
  static_cast<void>(Must(idle.client.SetLinger(true, kLongLinger)));
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return idle.client.Close(); });
  CHECK_REQUIREMENT(close::linger_nothing, AtOnce(closing, watch, kAcknowledged));

  Pair used = ConnectedPair(net);
  const Payload payload{1, 0, 1000};
  SendAll(used.client, payload);
  static_cast<void>(ReceiveAll(used.server, payload));
  static_cast<void>(Must(used.client.SetLinger(true, kLongLinger)));
  auto next = Spawn("close", [&] { return used.client.Close(); });
  CHECK_REQUIREMENT(close::linger_nothing, AtOnce(next, watch, kAcknowledged));
}

SCENARIO(Close, LingerUnconnected, (Over{{&kInet, &kInet6, &kUnix, &kSeqpacket, &kUdp, &kUdp6}, {}}), close::linger_unconnected) {
  const auto check = [](Socket& socket) {
    static_cast<void>(Must(socket.SetLinger(true, kLongLinger)));
    const Stopwatch watch;
    auto closing = Spawn("close", [&socket] { return socket.Close(); });
    CHECK_REQUIREMENT(close::linger_unconnected, AtOnce(closing, watch));
  };
  Socket fresh = net.NewConnecting();
  check(fresh);
  Listener bound = BoundOn(net);
  check(bound.socket);
  if (net.type == SP_DATAGRAM) return;
  Listener listening = ListenOn(net);
  const Socket queued = ConnectTo(listening, net);
  check(listening.socket);
}

SCENARIO(Close, LingerWhileConnecting, kTcp46.Waits(milliseconds(50)), close::linger_unconnected) {
  Connecting held = HoldConnecting(net);
  static_cast<void>(Must(held.socket.SetLinger(true, kLongLinger)));
  static_cast<void>(Must(held.socket.SetModes(0, SP_NONBLOCKING)));
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return held.socket.Close(); });
  CHECK_REQUIREMENT(close::linger_unconnected, AtOnce(closing, watch));
}

SCENARIO(Close, LingerOfDuplicates, kTcp.Waits(milliseconds(200)), close::linger_duplicate, close::linger_waits) {
  Laden laden = LadenPair(net, kLongLinger);
  Socket copy;
  static_cast<void>(Must(laden.pair.client.Duplicate(&copy)));
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return laden.pair.client.Close(); });
  CHECK_REQUIREMENT(close::linger_duplicate, AtOnce(closing, watch));
  CHECK_REQUIREMENT(close::linger_waits, WatchLingering(copy, laden).close);
}

SCENARIO(Close, LingerNonBlocking, kTcp.Waits(milliseconds(200)), close::linger_nonblocking, close::linger_nonblocking_keeps) {
  Laden laden = LadenPair(net, kLongLinger);
  static_cast<void>(Must(laden.pair.client.SetModes(SP_NONBLOCKING)));
  Socket same = Socket::Borrowed(laden.pair.client.handle());
  const Lingered seen = WatchLingering(laden.pair.client, laden);
  CHECK_REQUIREMENT(close::linger_nonblocking, seen.close);
  if (seen.close.name() != "EAGAIN") {
    CHECK_REQUIREMENT(close::linger_nonblocking_keeps, Holds(false, "close did not fail: " + seen.close.name()));
    return;
  }
  // Everything that was sent has been read, and no end of the stream has come. Without lingering the close must succeed.
  const Result sent = same.SendBytes("still here");
  const Outcome arrived = sent.ok() ? NextSeen(laden.pair.server) : Outcome(sent);
  CHECK_REQUIREMENT(close::linger_nonblocking_keeps,
                    Holds(arrived.name() == outcome::data.text, "data after the close that failed: " + arrived.name()));
  static_cast<void>(Must(same.SetLinger(false, 0)));
  static_cast<void>(Must(same.Close()));
}

SCENARIO(Close, LingerAndShutdown, kTcp.Waits(milliseconds(150)), close::linger_shutdown) {
  Laden laden = LadenPair(net, kLongLinger);
  const Stopwatch watch;
  auto shutting = Spawn("shutdown", [&] { return laden.pair.client.Shutdown(SP_SHUT_WR); });
  CHECK_REQUIREMENT(close::linger_shutdown, AtOnce(shutting, watch));
  static_cast<void>(laden.pair.client.SetLinger(false, 0));
}

SCENARIO(Close, LingerLocal, kLocal.Waits(milliseconds(100)), close::linger_unix) {
  Laden laden = LadenPair(net, kLongLinger);
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return laden.pair.client.Close(); });
  CHECK_REQUIREMENT(close::linger_unix, AtOnce(closing, watch));
}

SCENARIO(Close, LingerInterrupted, kTcp.Needs({SP_CAP_SIGNALS}).Waits(milliseconds(150)), close::interrupted,
         close::interrupted_ok, close::interrupted_frees) {
  Laden laden = LadenPair(net, kLongLinger);
  Socket same = Socket::Borrowed(laden.pair.client.handle());
  auto closing = Spawn("close", [&] { return laden.pair.client.Close(); });
  closing.WaitBlocked();
  closing.Interrupt();
  // One that is not interrupted waits on; then it must end when the data are read.
  Outcome seen(outcome::still_blocked);
  if (!closing.DoneWithin(milliseconds(500))) static_cast<void>(ReadToEnd(laden.pair.server, laden.sent));
  if (closing.DoneWithin(Patience())) seen = closing.Join();
  CHECK_REQUIREMENT(close::interrupted, seen);
  CHECK_REQUIREMENT(close::interrupted_ok, seen);
  CHECK_REQUIREMENT(close::interrupted_frees, same.LocalName());
}

// ---- The end of processes ---------------------------------------------------------------------------------------------

SCENARIO(Close, AtTheEndOfAProcess, kTcp.Needs({SP_CAP_PROCESSES}).Waits(milliseconds(150)), close::linger_exit,
         close::linger_exit_delivers) {
  Laden laden = LadenPair(net, kLongLinger);
  auto child = Agent::Fork();
  // From here on the child alone holds this end. (The option makes the close here no abort: it is not the last one.)
  static_cast<void>(Must(laden.pair.client.Close()));
  const Stopwatch watch;
  auto ending = Spawn("end of the child", [&] { return child->Finish(); });
  const bool ended = ending.DoneWithin(Patience());
  // Starting a process and ending it take their time; a process that lingers takes all of the time that was set.
  CHECK_REQUIREMENT(close::linger_exit, ended ? Outcome(outcome::at_once) : Outcome(outcome::still_blocked));
  CHECK_REQUIREMENT(close::linger_exit_delivers, InGoodOrder(ReadToEnd(laden.pair.server, laden.sent)));
  if (ended) static_cast<void>(ending.Join());
}

SCENARIO(Close, ByKill, kConnections.Needs({SP_CAP_PROCESSES}), close::killed) {
  Pair pair = ConnectedPair(net);
  const Payload payload{1, 0, 1000};
  auto child = Agent::Fork();
  Socket there = Socket::Borrowed(pair.client.handle(), child.get());
  SendAll(there, payload);
  static_cast<void>(Must(pair.client.Close()));
  child->Kill();
  CHECK_REQUIREMENT(close::killed, InGoodOrder(ReadToEnd(pair.server, payload)));
}

SCENARIO(Close, ByKillWithUnreadData, kTcp.Needs({SP_CAP_PROCESSES}), close::killed_unread) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.server, Payload{1, 0, 1000});
  MustArrive(pair.client, 1000);
  auto child = Agent::Fork();
  static_cast<void>(Must(pair.client.Close()));
  child->Kill();
  CHECK_REQUIREMENT(close::killed_unread, NextSeen(pair.server));
}

SCENARIO(Close, ByKillWithoutLinger, kTcp.Needs({SP_CAP_PROCESSES}), close::abort) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.SetLinger(true, 0)));
  auto child = Agent::Fork();
  static_cast<void>(Must(pair.client.Close()));
  child->Kill();
  CHECK_REQUIREMENT(close::abort, NextSeen(pair.server));
}

}  // namespace sockproof
