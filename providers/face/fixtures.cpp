#include "face/fixtures.h"

#include <fmt/format.h>

#include <algorithm>

#include "face/codec.h"
#include "face/settle.h"
#include "face/threads.h"
#include "face/trace.h"

namespace sockproof {

Listener BoundOn(const Flavor& net, Where where) {
  Listener listener;
  listener.socket = net.NewListening(0, where);
  static_cast<void>(Must(listener.socket.Bind(net.ToBind()), where));
  listener.address = net.ToReach(listener.socket.LocalAddress(where));
  return listener;
}

Listener ListenOn(const Flavor& net, int32_t backlog, Where where) {
  Listener listener = BoundOn(net, where);
  static_cast<void>(Must(listener.socket.Listen(backlog), where));
  return listener;
}

bool UnderWay(const Result& connecting, const Flavor& net) {
  return connecting.error() == SP_EINPROGRESS || (connecting.error() == SP_EAGAIN && !net.local());
}

Socket ConnectTo(const Listener& listener, const Flavor& net, Where where) {
  Socket client = net.NewConnecting(0, where);
  static_cast<void>(Must(client.Connect(listener.address), where));
  return client;
}

Pair ConnectedPair(const Flavor& net, Where where) { return ConnectedPair(ListenOn(net, 16, where), net, where); }

Pair ConnectedPair(Listener listener, const Flavor& net, Where where) {
  Pair pair;
  pair.listener = std::move(listener);
  pair.client = ConnectTo(pair.listener, net, where);
  MustBeReady(pair.listener.socket, SP_IN, where);
  pair.server = Must(pair.listener.socket.Accept(), where);
  return pair;
}

Outcome ConnectState(Socket& socket) {
  const uint32_t events = Events(socket, SP_OUT);
  if (events == 0) return OutcomeName{"pending"};
  if ((events & SP_ERR) != 0) return socket.TakeError();
  if (const NameResult peer = socket.PeerName(); !peer.ok()) {
    // Said to be writable, yet neither connected nor failed: it is still under way, whatever poll says of it.
    if (peer.error() == SP_ENOTCONN && (events & SP_HUP) == 0) {
      if (DefaultMechanism() != SP_SELECT) return OutcomeName{"pending"};
      // select says of a connect that failed no more than that it is over: SO_ERROR tells.
      const Outcome error = socket.TakeError();
      return error.name() == "ok" ? Outcome(OutcomeName{"pending"}) : error;
    }
    return peer;
  }
  return OutcomeName{"completed"};
}

void AwaitQueued(const Socket& listener, const Flavor& net, std::size_t count) {
  if (!net.tcp() || !Host::Get().Has(SP_CAP_TCP_STATE_SHOWN)) return;
  WaitUntil(
      [&] {
        sp_call call{};
        sp_result result{};
        call.size = sizeof call;
        result.size = sizeof result;
        call.op = SP_OP_GET_OPTION;
        call.handle = listener.handle();
        call.u.get_option.option = SP_TCP_UNACCEPTED;
        call.u.get_option.value_type = SP_VALUE_INTEGER;
        call.u.get_option.length = SP_NATURAL_LENGTH;
        Host::Get().CallRaw(&call, &result);
        return result.error != SP_OK || call.u.get_option.integer >= static_cast<int64_t>(count);
      },
      std::chrono::milliseconds(500), "the queue to take a connection in");
}

Filled FillBacklog(const Listener& listener, const Flavor& net, std::size_t most, Where where) {
  Filled filled;
  while (filled.queued.size() < most) {
    Socket client = net.NewConnecting(SP_NONBLOCKING, where);
    const OnOneProcessor before_the_probe;
    const Result connecting = client.Connect(listener.address);
    if (UnderWay(connecting, net)) {
      if (Events(client, SP_OUT, std::chrono::milliseconds(1)) == 0) LetNetworkSettle(net, std::chrono::milliseconds(50));
      const Outcome state = ConnectState(client);
      if (state.name() != "completed") {
        filled.overflow = state;
        filled.waiting = std::move(client);
        return filled;
      }
    } else if (!connecting.ok()) {
      filled.overflow = connecting;
      filled.waiting = std::move(client);
      return filled;
    }
    filled.queued.push_back(std::move(client));
    AwaitQueued(listener.socket, net, filled.queued.size());
  }
  return filled;
}

std::size_t QueueRoom(const Flavor& net, std::size_t most, std::size_t least, int32_t backlog, Where where) {
  const Listener listener = ListenOn(net, backlog, where);
  const Filled filled = FillBacklog(listener, net, most, where);
  const std::size_t room = filled.queued.size();
  if (room == 0) Host::Get().reporter().StepFailed(where, "the first client of a listener", filled.overflow);
  if (room < least) {
    Host::Get().reporter().NotSupported(
        "queue", fmt::format("the queue of a listener takes no more than {} here, and {} are to wait in it", room, least));
  }
  return room;
}

namespace {

// Takes out and resets what stands in a listener's queue, so that nothing of it is left anywhere.
void EmptyQueue(Listener* listener, std::vector<Socket> clients, Where where) {
  static_cast<void>(Must(listener->socket.SetModes(SP_NONBLOCKING), where));
  for (std::size_t i = 0; i < clients.size(); ++i) {
    MustBeReady(listener->socket, SP_IN, where);
    Socket server = Must(listener->socket.Accept(), where);
    static_cast<void>(Must(server.SetLinger(true, 0), where));
  }
  static_cast<void>(Must(listener->socket.SetModes(0, SP_NONBLOCKING), where));
}

// Like Silence, and beyond its scope: until somebody lifts it, or the listener is closed.
void SilenceForGood(const Socket& listener, Where where) {
  Host& host = Host::Get();
  Trace::Get().Note("silence " + HandleText(listener.handle()));
  host.Expect(host.network.silence(host.self(), listener.handle(), 1), "silence", "silence a socket", where);
}

}  // namespace

Connecting HoldConnecting(const Flavor& net, Where where) { return HoldConnecting(ListenOn(net, 0, where), net, where); }

Connecting HoldConnecting(Listener listener, const Flavor& net, Where where) {
  Connecting held;
  held.listener = std::move(listener);
  Filled filled = FillBacklog(held.listener, net, 64, where);
  if (const std::string& state = filled.overflow.name(); state != "pending") {
    // What an implementation may do instead of ignoring the request, or with a queue that has no end; anything else is wrong.
    const bool possible = state == "completed" || state == "ECONNREFUSED" || state == "ECONNRESET";
    if (!possible) Host::Get().reporter().StepFailed(where, "hold a connect at a full backlog", filled.overflow);
    if (!Host::Get().Has(SP_CAP_SILENCE) || Host::Get().network.silence == nullptr) {
      Host::Get().reporter().NotSupported("full_backlog", "a full backlog does not hold a connect here: it is " + state);
    }
    filled.waiting.reset();
    EmptyQueue(&held.listener, std::move(filled.queued), where);
    SilenceForGood(held.listener.socket, where);
    filled = FillBacklog(held.listener, net, 1, where);
    if (filled.overflow.name() != "pending") {
      Host::Get().reporter().StepFailed(where, "hold a connect at a silent listener", filled.overflow);
    }
  }
  held.queued = std::move(filled.queued);
  held.socket = std::move(*filled.waiting);
  return held;
}

void SendAll(Socket& socket, const Payload& payload, std::size_t chunk, const SendOptions& options, Where where) {
  for (uint64_t sent = 0; sent < payload.length;) {
    const Payload part{payload.seed, payload.offset + sent, std::min<uint64_t>(chunk, payload.length - sent)};
    const Result result = Must(socket.Send(part, options), where);
    if (result.value() <= 0) Host::Get().reporter().StepFailed(where, result.text() + ": took nothing", result.Counted());
    sent += static_cast<uint64_t>(result.value());
  }
}

Received ReceiveAll(Socket& socket, const Payload& payload, std::size_t chunk, const RecvOptions& options) {
  Received received;
  while (received.bytes < payload.length) {
    const Payload part{payload.seed, payload.offset + received.bytes, payload.length - received.bytes};
    RecvOptions with = options;
    with.expected = &part;
    const RecvResult result = socket.Recv(std::min<uint64_t>(chunk, part.length), with);
    if (!result.ok() || result.value() == 0) {
      received.end = result.Seen();
      return received;
    }
    received.difference = part.Difference(result.data.data(), result.data.size());
    received.bytes += result.data.size();
    if (!received.difference.empty()) return received;  // what is lost would be waited for in vain
  }
  return received;
}

namespace {

// What a socket's data goes over, as far as waiting for it is concerned.
const Flavor* PathOf(Socket& socket) {
  const NameResult local = socket.LocalName();
  if (!local.ok() || local.address.family() == SP_UNIX) return &kUnix;
  return Host::Get().Has(kInet.capability) ? &kInet : &kInet6;
}

}  // namespace

uint64_t FillSendPath(Socket& socket, uint64_t seed, Where where) {
  static_cast<void>(Must(socket.SetModes(SP_NONBLOCKING), where));
  // A buffer that sizes itself grows again whenever the peer acknowledges; one whose size was set does not. Where the option
  // does not exist the loop below still finds the end.
  {
    sp_call call{};
    sp_result result{};
    call.op = SP_OP_SET_OPTION;
    call.handle = socket.handle();
    call.u.set_option.option = SP_SO_SNDBUF;
    call.u.set_option.length = SP_NATURAL_LENGTH;
    call.u.set_option.integer = 65536;
    if (&socket.caller() == &Host::Get()) Host::Get().CallRaw(&call, &result);
  }
  constexpr uint64_t kMost = 1u << 28;
  // Full means that it stays full: the peer's side may still be taking what was sent, and poll may call a socket full that
  // would take a little more. So four sends in a row must be refused, with a quiet time between them; together these are longer
  // than an acknowledgement is delayed on a short path, which makes room once more.
  constexpr int kRefusals = 4;
  constexpr uint64_t kChunk = 65536;
  const Flavor* const net = PathOf(socket);
  const OnOneProcessor before_the_probe;
  uint64_t sent = 0, chunk = kChunk;
  for (int refused = 0; sent < kMost;) {
    const Result result = socket.Send(Payload{seed, sent, chunk});
    if (result.ok()) {
      sent += static_cast<uint64_t>(result.value());
      refused = 0;
      chunk = kChunk;
      continue;
    }
    if (result.error() != SP_EAGAIN) static_cast<void>(Must(result, where));
    if (chunk == kChunk) {
      chunk = 1;  // a record that does not fit says nothing about a smaller one
      continue;
    }
    chunk = kChunk;
    if (++refused == kRefusals) return sent;
    LetNetworkSettle(*net, std::chrono::milliseconds(25));
  }
  Host::Get().reporter().StepFailed(where, fmt::format("the send path took {} bytes and was not full", sent),
                                    Outcome(OutcomeName{"not_ready"}));
  return sent;  // not reached
}

}  // namespace sockproof
