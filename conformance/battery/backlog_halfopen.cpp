// Connections whose handshake is not over: clients that do not hear the answer, answers that are lost, and handshakes that end
// at a full queue. Both ends' silence is what a lost segment would be.
#include <memory>
#include <optional>

#include "battery/backlog_support.h"
#include "face/controls.h"

namespace sockproof {
namespace {

// A client that has asked for a connection and is deaf to the answer: half open on the listener's side.
struct HalfOpen {
  Socket socket;
  std::unique_ptr<Silence> silence;
};
HalfOpen BeginHalfOpen(const Listener& listener, const Flavor& net, Where where = SOCKPROOF_HERE) {
  HalfOpen half;
  half.socket = net.NewConnecting(SP_NONBLOCKING, where);
  half.silence = std::make_unique<Silence>(half.socket, where);
  const Result result = half.socket.Connect(listener.address);
  if (!UnderWay(result, net)) static_cast<void>(Must(result, where));
  return half;
}
std::vector<HalfOpen> BeginHalfOpen(const Listener& listener, const Flavor& net, std::size_t count,
                                    Where where = SOCKPROOF_HERE) {
  std::vector<HalfOpen> halves;
  for (std::size_t i = 0; i < count; ++i) halves.push_back(BeginHalfOpen(listener, net, where));
  return halves;
}

// A client that holds its connection for established, while the listener's queue is full and has not taken it in. The client
// of a listener that defers accept stands exactly there once the listener no longer defers; its first data is what brings
// its connection to the queue.
struct Straddling {
  Listener listener;
  Socket client;
  std::vector<Socket> queued;
};
Straddling EstablishedBeforeAFullQueue(const Flavor& net, Where where = SOCKPROOF_HERE) {
  Straddling state;
  state.listener = ListenOn(net, 8, where);
  static_cast<void>(Must(state.listener.socket.Set(SP_TCP_DEFER_ACCEPT, 30), where));
  QueueAttempt attempt = TryToConnect(state.listener, net, Patience(), where);
  if (!attempt.in()) Host::Get().reporter().StepFailed(where, "the client of a deferring listener connects", attempt.state);
  state.client = std::move(attempt.socket);
  static_cast<void>(Must(state.listener.socket.Set(SP_TCP_DEFER_ACCEPT, 0), where));
  state.queued = Enqueue(state.listener, net, 1, 0, where);
  static_cast<void>(Must(state.listener.socket.Listen(0), where));
  return state;
}

}  // namespace

SCENARIO(Backlog, HalfOpenConnections, kTcp.Needs({SP_CAP_SILENCE}).Waits(milliseconds(100)), backlog::half_open_not_accepted,
         backlog::half_open_not_counted, backlog::half_open_leaves_established) {
  constexpr int32_t kBacklog = 8;
  const std::size_t room = QueueRoom(net, kBacklog, 1, kBacklog);  // without any half-open ones
  Pair pair = ConnectedPair(ListenOn(net, kBacklog), net);
  const std::vector<HalfOpen> halves = BeginHalfOpen(pair.listener, net, 4);
  static_cast<void>(Must(pair.listener.socket.SetModes(SP_NONBLOCKING)));
  const bool ready = Events(pair.listener.socket, SP_IN, kQuiet) != 0;
  const AcceptResult accepted = pair.listener.socket.Accept();
  CHECK_REQUIREMENT(backlog::half_open_not_accepted, Readiness(ready || accepted.error() != SP_EAGAIN, accepted.text()));
  CHECK_REQUIREMENT(backlog::half_open_leaves_established,
                    Kept(Exchange(pair.client, pair.server), "exchanged beside 4 half-open ones"));
  CHECK_REQUIREMENT(backlog::half_open_not_counted, DepthOf(MeasureDepth(pair.listener, net, room, room + 4), room));
}

SCENARIO(Backlog, HalfOpenLimit, kTcp.Needs({SP_CAP_SILENCE, SP_CAP_KNOBS}).Waits(milliseconds(50)), backlog::half_open_limit,
         backlog::half_open_leaves_established) {
  const Knob cookies(SP_KNOB_SYN_COOKIES, 0);
  Pair pair = ConnectedPair(ListenOn(net, 2), net);
  const std::vector<HalfOpen> halves = BeginHalfOpen(pair.listener, net, 4);
  const QueueAttempt attempt = TryToConnect(pair.listener, net);
  CHECK_REQUIREMENT(backlog::half_open_limit, attempt.state);
  CHECK_REQUIREMENT(backlog::half_open_leaves_established,
                    Kept(Exchange(pair.client, pair.server), "exchanged beside 4 half-open ones"));
}

SCENARIO(Backlog, CookiesServe, kTcp.Needs({SP_CAP_SILENCE}), backlog::cookies_serve, backlog::half_open_leaves_established) {
  // On is how systems come; where it is not, this needs a network of its own.
  std::optional<Knob> cookies;
  if (Knob::Value(SP_KNOB_SYN_COOKIES) != 1) cookies.emplace(SP_KNOB_SYN_COOKIES, 1);
  Pair pair = ConnectedPair(ListenOn(net, 2), net);
  const std::vector<HalfOpen> halves = BeginHalfOpen(pair.listener, net, 8);
  QueueAttempt attempt = TryToConnect(pair.listener, net, Patience());
  if (attempt.in()) {
    Socket server = AcceptNext(pair.listener.socket);
    if (!Exchange(attempt.socket, server)) attempt.state = Outcome(outcome::violated, "it got in and carries no data");
  }
  CHECK_REQUIREMENT(backlog::cookies_serve, attempt.state);
  CHECK_REQUIREMENT(backlog::half_open_leaves_established,
                    Kept(Exchange(pair.client, pair.server), "exchanged beside 8 half-open ones"));
}

SCENARIO(Backlog, HalfOpenWithdrawn, kTcp.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1300)), backlog::half_open_withdrawn) {
  Listener listener = ListenOn(net, 4);
  const uint16_t gone = [&] {
    HalfOpen half = BeginHalfOpen(listener, net);
    return half.socket.LocalAddress().port();
  }();  // closed: whatever arrives for it now is answered with a reset
  // The listener repeats its answer after a second.
  const bool ready = Events(listener.socket, SP_IN, milliseconds(1200)) != 0;
  QueueAttempt next = TryToConnect(listener, net, Patience());
  bool holds = !ready && next.in();
  std::string detail =
      fmt::format("{} for the one that is gone; the next client: {}", ready ? "ready" : "not ready", next.state.name());
  if (holds) {
    MustBeReady(listener.socket, SP_IN);
    AcceptResult accepted = listener.socket.Accept();
    holds = accepted.ok() && accepted.peer.address.port() != gone && Exchange(next.socket, accepted.socket);
  }
  CHECK_REQUIREMENT(backlog::half_open_withdrawn, Holds(holds, detail));
}

namespace {

// A client that holds its connection for established; its last acknowledgement was lost before the listener.
struct LostAck {
  Listener listener;
  Socket client;
};
LostAck LoseTheLastAck(const Flavor& net, Where where = SOCKPROOF_HERE) {
  LostAck lost;
  lost.listener = ListenOn(net, 4, where);
  HalfOpen half = BeginHalfOpen(lost.listener, net, where);
  {
    Silence deaf(lost.listener.socket, where);
    half.silence->Lift(where);
    // The listener repeats its answer after a second; this time the client hears it.
    MustBeReady(half.socket, SP_OUT, where);
    const Outcome state = ConnectState(half.socket);
    if (state.name() != outcome::completed.text) Host::Get().reporter().StepFailed(where, "the client connects", state);
    deaf.Lift(where);
  }
  lost.client = std::move(half.socket);
  return lost;
}

}  // namespace

SCENARIO(Backlog, LostAckAndData, kTcp.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1200)), backlog::lost_ack_data) {
  LostAck lost = LoseTheLastAck(net);
  const Payload payload{21, 0, 3000};
  SendAll(lost.client, payload);
  Outcome seen = outcome::pending;
  if (WaitReady(lost.listener.socket, SP_IN)) {
    Socket server = Must(lost.listener.socket.Accept());
    const Received received = ReceivePatiently(server, payload);
    seen = received.Complete(payload)
               ? Outcome(outcome::completed)
               : Outcome(outcome::violated, fmt::format("{} bytes came; {}", received.bytes, received.difference));
  }
  CHECK_REQUIREMENT(backlog::lost_ack_data, seen);
}

SCENARIO(Backlog, LostAckAndFin, kTcp.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1200)), backlog::lost_ack_fin) {
  LostAck lost = LoseTheLastAck(net);
  static_cast<void>(Must(lost.client.Shutdown(SP_SHUT_WR)));
  Outcome seen = outcome::pending;
  if (WaitReady(lost.listener.socket, SP_IN)) {
    Socket server = Must(lost.listener.socket.Accept());
    seen = WaitReady(server, SP_IN) ? server.Recv(1).Seen() : Outcome(outcome::not_ready);
  }
  CHECK_REQUIREMENT(backlog::lost_ack_fin, seen);
}

// ---- handshakes that end at a full queue ----

SCENARIO(Backlog, AbortOnOverflow, kTcp.Needs({SP_CAP_KNOBS}), backlog::abort_on_overflow) {
  const Knob abort(SP_KNOB_ABORT_ON_OVERFLOW, 1);
  Straddling state = EstablishedBeforeAFullQueue(net);
  const Result sent = state.client.SendBytes("knock");
  Outcome seen = sent;
  if (sent.ok()) seen = WaitReady(state.client, SP_IN) ? state.client.Recv(1).Seen() : Outcome(outcome::silent);
  CHECK_REQUIREMENT(backlog::abort_on_overflow, seen);
}

SCENARIO(Backlog, BurstRecovers, kTcp.Waits(milliseconds(300)), backlog::burst_not_reset, backlog::burst_recovers) {
  // Off is how systems come; where it is on, this needs a network of its own.
  std::optional<Knob> abort;
  if (Knob::Value(SP_KNOB_ABORT_ON_OVERFLOW) != 0) abort.emplace(SP_KNOB_ABORT_ON_OVERFLOW, 0);
  Straddling state = EstablishedBeforeAFullQueue(net);
  const Payload payload{22, 0, 3000};
  SendAll(state.client, payload);
  const uint32_t events = Events(state.client, SP_IN | SP_RDHUP, kQuiet);
  const NameResult peer = state.client.PeerName();
  CHECK_REQUIREMENT(backlog::burst_not_reset,
                    events == 0 && peer.ok() ? Outcome(outcome::silent)
                                             : Outcome(outcome::reset, fmt::format("events {:#x}, {}", events, peer.text())));
  Tag(state.queued.front(), 0);
  Socket first = AcceptNext(state.listener.socket);
  const bool in_turn = TagOf(first) == 'A';
  Outcome seen = outcome::pending;
  if (WaitReady(state.listener.socket, SP_IN)) {
    Socket server = Must(state.listener.socket.Accept());
    const Received received = ReceivePatiently(server, payload);
    seen = in_turn && received.Complete(payload)
               ? Outcome(outcome::completed)
               : Outcome(outcome::violated, fmt::format("{} bytes came; {}{}", received.bytes, received.difference,
                                                        in_turn ? "" : "; it was handed out before the one in the queue"));
  }
  CHECK_REQUIREMENT(backlog::burst_recovers, seen);
}

}  // namespace sockproof
