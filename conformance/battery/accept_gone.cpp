// accept of connections whose client did something before: sent, closed, reset; and listeners that were shut down.
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/accept.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// Resets the client's connection. What arrives at the other end arrives a moment later; a while is given to it.
void Reset(Socket& client) {
  Step(client.SetLinger(true, 0));
  Step(client.Close());
  LetQuietTimePass(milliseconds(5));
}

// Accepts a connection that was reset while it waited. An implementation may also have taken it out of the queue, or tell of it
// as aborted: then there is nothing to be seen of it. The listener must not block.
AcceptResult AcceptReset(Listener& listener, const AcceptOptions& options = {}) {
  AcceptResult accepted = AcceptNow(listener.socket, options);
  if (!accepted.ok()) {
    Host::Get().reporter().NotSupported(
        "queued_reset", "a connection that was reset while it waited is not handed out: " + Outcome(accepted).name());
  }
  return accepted;
}

// Shuts a listener down. It is not connected, and both POSIX.1 and shutdown(2) have ENOTCONN for a socket that is not: who takes
// them at their word has nothing that could be asked afterwards.
void ShutListenerDown(Socket& listener, int32_t how) {
  const Result shut = listener.Shutdown(how);
  if (shut.error() == SP_ENOTCONN) {
    Host::Get().reporter().NotSupported("listener_shutdown", "a listener is not shut down, as it is not connected");
  }
  Step(shut);
}

// Reads what had arrived; what came after it.
Outcome AfterTheData(Socket& server) {
  for (int i = 0; i < 64; ++i) {
    if (!WaitReady(server, SP_IN)) return outcome::not_ready;
    const Outcome seen = server.Recv(100).Seen();
    if (seen.name() != "data") return seen;
  }
  return outcome::data;
}

}  // namespace

SCENARIO(Accept, DataBeforeAccept, kConnections, accept::data_before_accept) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  const Payload payload{11, 0, 500};
  SendAll(client, payload);
  WaitQueued(listener, net, 1);
  Socket server = Must(AcceptNow(listener.socket));
  const bool arrived = WaitReady(server, SP_IN);
  Step(client.Shutdown(SP_SHUT_WR));  // so that a stream that is too short has an end too
  const Received received = ReceiveAll(server, payload);
  CHECK_REQUIREMENT(accept::data_before_accept,
                    Holds(arrived && received.Complete(payload),
                          fmt::format("{} of {} bytes; {}", received.bytes, payload.length, received.difference)));
}

SCENARIO(Accept, ClosedBeforeAccept, kConnections, accept::closed_before_accept, accept::closed_before_accept_end) {
  Listener listener = ListenOn(net);
  for (const uint64_t length : {uint64_t{0}, uint64_t{100}}) {
    Socket client = ConnectTo(listener, net);
    const Payload payload{12, 0, length};
    if (length > 0) SendAll(client, payload);
    Step(client.Close());
    WaitQueued(listener, net, 1);
    AcceptResult accepted;
    CHECK_REQUIREMENT(accept::closed_before_accept, AcceptSoon(listener.socket, &accepted, InTurn(length > 0 ? 1 : 0)));
    if (!accepted.ok()) {
      CHECK_REQUIREMENT(accept::closed_before_accept_end, Outcome(accepted));
      continue;
    }
    Socket server = std::move(accepted.socket);
    bool ready = WaitReady(server, SP_IN);
    const Received received = ReceiveAll(server, payload);
    std::string ends;
    for (int i = 0; i < 2; ++i) {
      ready = ready && WaitReady(server, SP_IN);
      ends += ready ? server.Recv(10).Seen().name() + " " : "nothing ";
    }
    CHECK_REQUIREMENT(accept::closed_before_accept_end,
                      Holds(received.Complete(payload) && ends == "end_of_stream end_of_stream ",
                            fmt::format("{} of {} bytes, then {}", received.bytes, length, ends)));
  }
}

SCENARIO(Accept, HalfClosedBeforeAccept, kConnections, accept::half_closed_before_accept) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  Step(client.Shutdown(SP_SHUT_WR));
  WaitQueued(listener, net, 1);
  Socket server = Must(AcceptNow(listener.socket));
  const Outcome end = WaitReady(server, SP_IN) ? server.Recv(10).Seen() : Outcome(outcome::not_ready);
  CHECK_REQUIREMENT(accept::half_closed_before_accept,
                    Same(end.name(), std::string("end_of_stream"), "the half that was shut down"));
  const std::string wrong = OneWay(server, client, Payload{13, 0, 500});
  CHECK_REQUIREMENT(accept::half_closed_before_accept, Holds(wrong.empty(), "the half that is open: " + wrong));
}

SCENARIO(Accept, ResetBeforeAccept, kTcp.Waits(milliseconds(5)), accept::reset_before_accept, accept::reset_before_accept_seen) {
  for (const bool data : {false, true}) {
    Listener listener = ListenOn(net);
    Step(listener.socket.SetModes(SP_NONBLOCKING));
    Socket client = ConnectTo(listener, net);
    if (data) SendAll(client, Payload{14, 0, 100});
    WaitQueued(listener, net, 1);
    Reset(client);
    AcceptResult accepted;
    Outcome outcome = AcceptSoon(listener.socket, &accepted, InTurn(data ? 1 : 0));
    if (outcome.name() == "EAGAIN") outcome = Outcome(outcome::removed, outcome.detail());
    CHECK_REQUIREMENT(accept::reset_before_accept, outcome);
    CHECK_REQUIREMENT(accept::reset_before_accept_seen, outcome);
  }
}

SCENARIO(Accept, ResetIsTold, kTcp.Waits(milliseconds(5)), accept::reset_address, accept::reset_is_ready,
         accept::reset_error_and_hangup, accept::reset_peer_name, accept::reset_told_once, accept::reset_then_end) {
  for (const bool data : {false, true}) {
    Listener listener = ListenOn(net);
    Step(listener.socket.SetModes(SP_NONBLOCKING));
    Socket client = ConnectTo(listener, net);
    const Address name = client.LocalAddress();
    if (data) SendAll(client, Payload{14, 0, 100});
    WaitQueued(listener, net, 1);
    Reset(client);
    AcceptResult accepted = AcceptReset(listener, InTurn(data ? 1 : 0));
    const Address peer = accepted.peer.address;
    Socket server = std::move(accepted.socket);
    CHECK_REQUIREMENT(accept::reset_address, Holds(peer.port() == name.port(), peer.ToString() + " for " + name.ToString()));
    uint32_t events = 0;
    WaitUntil(
        [&] {
          events = Events(server, SP_IN, Nanoseconds(0), EventMechanism());
          return (events & SP_ERR) != 0 && (events & SP_HUP) != 0;
        },
        Patience(), "an error and a hang-up");
    CHECK_REQUIREMENT(accept::reset_is_ready, Readiness((events & SP_IN) != 0, EventNames(events)));
    CHECK_REQUIREMENT(accept::reset_error_and_hangup,
                      Holds((events & SP_ERR) != 0 && (events & SP_HUP) != 0, EventNames(events)));
    CHECK_REQUIREMENT(accept::reset_peer_name, server.PeerName());
    CHECK_REQUIREMENT(accept::reset_told_once, AfterTheData(server));
    CHECK_REQUIREMENT(accept::reset_then_end, WaitReady(server, SP_IN) ? server.Recv(10).Seen() : Outcome(outcome::not_ready));
  }
}

SCENARIO(Accept, ResetLeavesAPendingError, kTcp.Waits(milliseconds(5)), accept::reset_pending_error,
         accept::reset_pending_error_cleared) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Socket client = ConnectAndTell(listener, net, "x");
  Reset(client);
  Socket server = std::move(AcceptReset(listener).socket);
  // Once the reset has arrived.
  WaitUntil([&] { return (Events(server, SP_IN, Nanoseconds(0), EventMechanism()) & (SP_ERR | SP_HUP)) != 0; }, Patience(),
            "a reset");
  CHECK_REQUIREMENT(accept::reset_pending_error, server.TakeError());
  CHECK_REQUIREMENT(accept::reset_pending_error_cleared, server.TakeError());
}

SCENARIO(Accept, ResetSparesTheOthers, kConnections.Waits(milliseconds(5)), accept::reset_spares_others) {
  NeedQueue(net, 3);
  Listener listener = ListenOn(net);
  Socket before = ConnectAndTell(listener, net, "b", 1);
  Socket leaves = ConnectAndTell(listener, net, "x", 2);
  Socket after = ConnectAndTell(listener, net, "a", 3);
  Reset(leaves);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  std::vector<Socket> accepted;
  std::string told;
  for (int i = 0; i < 3; ++i) {
    AcceptResult one = AcceptNow(listener.socket);
    if (!one.ok()) continue;
    accepted.push_back(std::move(one.socket));
    const std::string name = Told(accepted.back());
    if (name == "a" || name == "b") told += name;
  }
  CHECK_REQUIREMENT(accept::reset_spares_others,
                    Same(told, std::string("ba"), "connections that were accepted beside the one that was reset"));
}

SCENARIO(Accept, ReadyThenGone, kConnections.Waits(milliseconds(5)), accept::ready_then_gone) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Reset(client);
  CHECK_REQUIREMENT(accept::ready_then_gone, AcceptSoon(listener.socket));
}

SCENARIO(Accept, ReadyThenGoneWhileBlocking, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(5)),
         accept::ready_then_gone_blocking) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Reset(client);
  Task<AcceptResult> accepting = AcceptInThread(listener.socket);
  if (accepting.DoneWithin(seconds(1))) {
    CHECK_REQUIREMENT(accept::ready_then_gone_blocking, accepting.Join());
    return;
  }
  CHECK_REQUIREMENT(accept::ready_then_gone_blocking, outcome::still_blocked);
  const Socket other = ConnectTo(listener, net);
  static_cast<void>(accepting.Join());
}

SCENARIO(Accept, AcceptConnAfterShutdown, kTcp, accept::acceptconn_after_shutdown) {
  Listener listener = ListenOn(net);
  ShutListenerDown(listener.socket, SP_SHUT_RD);
  CHECK_REQUIREMENT(accept::acceptconn_after_shutdown, Outcome::OfNumber(Must(listener.socket.Get(SP_SO_ACCEPTCONN)).integer));
}

SCENARIO(Accept, AfterReadShutdown, kTcp.Waits(milliseconds(5)), accept::after_read_shutdown,
         accept::after_read_shutdown_peer_gone) {
  enum class Peer { kNone, kThere, kClosed, kReset };
  for (const Peer peer : {Peer::kNone, Peer::kThere, Peer::kClosed, Peer::kReset}) {
    Listener listener = ListenOn(net);
    Step(listener.socket.SetModes(SP_NONBLOCKING));
    Socket client;
    if (peer != Peer::kNone) client = ConnectAndTell(listener, net, "x");
    if (peer == Peer::kClosed) Step(client.Close());
    if (peer == Peer::kReset) Reset(client);
    ShutListenerDown(listener.socket, SP_SHUT_RD);
    const Outcome outcome = AcceptSoon(listener.socket);
    if (peer == Peer::kClosed || peer == Peer::kReset) {
      CHECK_REQUIREMENT(accept::after_read_shutdown_peer_gone, outcome);
    } else {
      CHECK_REQUIREMENT(accept::after_read_shutdown, outcome);
    }
  }
}

SCENARIO(Accept, AfterWriteShutdown, kConnections, accept::after_write_shutdown) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Socket waiting = ConnectAndTell(listener, net, "x");
  ShutListenerDown(listener.socket, SP_SHUT_WR);
  CHECK_REQUIREMENT(accept::after_write_shutdown, AcceptSoon(listener.socket));
  Socket later = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(later.Connect(listener.address));
  const bool ready = WaitReady(listener.socket, SP_IN);
  CHECK_REQUIREMENT(accept::after_write_shutdown, ready ? AcceptSoon(listener.socket) : Outcome(outcome::not_ready));
}

SCENARIO(Accept, LocalListenerAfterReadShutdown, kLocal, accept::unix_after_read_shutdown) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Socket waiting = ConnectAndTell(listener, net, "x");
  ShutListenerDown(listener.socket, SP_SHUT_RD);
  CHECK_REQUIREMENT(accept::unix_after_read_shutdown, AcceptSoon(listener.socket));
}

}  // namespace sockproof
