#include "battery/ends.h"

#include <fmt/format.h>

#include <algorithm>

#include "catalogue/outcomes.h"
#include "face/names.h"

namespace sockproof {

Outcome NextSeen(Socket& receiver, const RecvOptions& options) {
  // Looking first bounds the wait; an error or the end of the stream makes a socket ready too.
  if (!WaitReady(receiver, SP_IN)) return Outcome(outcome::still_blocked, "nothing to receive and no end of the stream");
  return receiver.Recv(1, options).Seen();
}

Passage ReadToEnd(Socket& receiver, const Payload& sent) {
  uint64_t bytes = 0;
  std::string difference;
  Outcome end(outcome::still_blocked, "nothing more to receive and no end of the stream");
  // Room for a byte more than was sent, so that too much shows too.
  while (bytes <= sent.length && WaitReady(receiver, SP_IN)) {
    const Payload rest{sent.seed, sent.offset + bytes, sent.length - bytes};
    RecvOptions options;
    options.expected = &rest;
    const RecvResult result = receiver.Recv(std::min<uint64_t>(rest.length + 1, 65536), options);
    end = result.Seen();
    if (!result.ok() || result.value() == 0) break;
    if (difference.empty()) difference = rest.Difference(result.data.data(), result.data.size());
    bytes += result.data.size();
  }
  const std::string amount = fmt::format("{} of {} bytes", bytes, sent.length);
  if (!difference.empty()) return {Outcome(outcome::violated, amount + ": " + difference), end};
  return {Outcome(bytes == sent.length ? outcome::delivered : outcome::discarded, amount), end};
}

Outcome InGoodOrder(const Passage& passage) {
  if (passage.end.name() == outcome::end_of_stream.text) return passage.data;
  return passage.end.With(passage.data.detail() + ", then " + passage.end.detail());
}

bool Arrives(Socket& socket, uint64_t bytes) {
  return WaitUntil(
      [&] {
        const Result queued = socket.Ioctl(SP_IOCTL_READABLE);
        return !queued.ok() || static_cast<uint64_t>(queued.value()) >= bytes;
      },
      Patience(), "data to arrive");
}

void MustArrive(Socket& socket, uint64_t bytes, Where where) {
  if (Arrives(socket, bytes)) return;
  Host::Get().reporter().StepFailed(where, fmt::format("{} bytes were sent and did not arrive", bytes),
                                    Outcome(outcome::not_ready));
}

Pair NarrowPair(const Flavor& net, Where where) {
  if (!net.tcp()) return ConnectedPair(net, where);
  // Both sizes must be known before the handshake to take effect. They are large enough for whole segments of loopback.
  Pair pair;
  pair.listener = BoundOn(net, where);
  static_cast<void>(Must(pair.listener.socket.Set(SP_SO_RCVBUF, 131072), where));
  static_cast<void>(Must(pair.listener.socket.Listen(1), where));
  pair.client = net.NewConnecting(0, where);
  static_cast<void>(Must(pair.client.Set(SP_SO_SNDBUF, 131072), where));
  static_cast<void>(Must(pair.client.Connect(pair.listener.address), where));
  MustBeReady(pair.listener.socket, SP_IN, where);
  pair.server = Must(pair.listener.socket.Accept(), where);
  return pair;
}

Pair BoundClientPair(const Flavor& net, Where where) {
  Pair pair;
  pair.listener = ListenOn(net, 1, where);
  pair.client = net.NewConnecting(0, where);
  static_cast<void>(Must(pair.client.Bind(Address::Loopback(net.connect_family)), where));
  static_cast<void>(Must(pair.client.Connect(pair.listener.address), where));
  MustBeReady(pair.listener.socket, SP_IN, where);
  pair.server = Must(pair.listener.socket.Accept(), where);
  return pair;
}

Payload SendWhatFits(Socket& socket, const Payload& payload, uint64_t chunk, Where where) {
  static_cast<void>(Must(socket.SetModes(SP_NONBLOCKING), where));
  Payload sent{payload.seed, payload.offset, 0};
  while (sent.length < payload.length) {
    const uint64_t length = std::min(chunk, payload.length - sent.length);
    const Result result = socket.Send(Payload{payload.seed, payload.offset + sent.length, length});
    if (result.error() == SP_EAGAIN && sent.length > 0) break;
    const auto taken = static_cast<uint64_t>(Must(result, where).value());
    sent.length += taken;
    if (taken == 0) break;
  }
  static_cast<void>(Must(socket.SetModes(0, SP_NONBLOCKING), where));
  return sent;
}

void MustHoldUnsent(const Socket& socket) {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_IOCTL;
  call.handle = socket.handle();
  call.u.ioctl.request = SP_IOCTL_UNSENT;
  Host::Get().CallRaw(&call, &result);
  if (result.error == SP_OK && result.value == 0) {
    Host::Get().reporter().NotSupported("unsent_data", "all that a send took is with the other end at once");
  }
}

WaitingSend HoldSend(Socket& socket, const Flavor& net, Where where) {
  WaitingSend held;
  held.before = FillSendPath(socket, 7, where);
  static_cast<void>(Must(socket.SetModes(0, SP_NONBLOCKING), where));
  // A record of the size that no longer went in; a single byte of a stream, so that there is no partial success.
  constexpr uint64_t kChunk = 65536;
  held.length = net.stream() ? 1 : kChunk;
  SendOptions without_waiting;
  without_waiting.flags |= SP_MSG_DONTWAIT;
  constexpr int kMostRounds = 100;
  for (int round = 0;; ++round) {
    // A socket that poll calls full may still take a little.
    for (Result more = socket.Send(Payload{7, held.before, kChunk}, without_waiting); more.error() != SP_EAGAIN;
         more = socket.Send(Payload{7, held.before, kChunk}, without_waiting)) {
      held.before += static_cast<uint64_t>(Must(more, where).value());
    }
    const Payload next{7, held.before, held.length};
    held.task = Spawn("send", [&socket, next] { return socket.Send(next); });
    if (held.task.WaitBlocked()) return held;
    if (round == kMostRounds) {
      Host::Get().reporter().StepFailed(where, "sends on a full connection did not wait", Outcome(outcome::returned));
    }
    held.before += static_cast<uint64_t>(Must(held.task.Join(Patience(), where), where).value());
  }
}

bool Reaches(Socket& socket, int64_t state) {
  return WaitUntil([&] { return socket.Get(SP_TCP_STATE).integer == state; }, Patience(), "a state of TCP");
}

void MustReach(Socket& socket, int64_t state, Where where) {
  if (Reaches(socket, state)) return;
  Host::Get().reporter().StepFailed(where, fmt::format("TCP did not reach state {}", state), Outcome(outcome::not_ready));
}

void MustEnd(Socket& socket, Where where) {
  const Outcome seen = NextSeen(socket);
  if (seen.name() != outcome::end_of_stream.text) Host::Get().reporter().StepFailed(where, "the end of the stream", seen);
}

Outcome WouldNotWait(const Socket& socket, uint32_t event, int32_t mechanism) {
  const uint32_t seen = Events(socket, event, Nanoseconds(0), mechanism);
  const bool ready = (seen & (mechanism == SP_SELECT || mechanism == SP_PSELECT ? event : event | SP_ERR | SP_HUP)) != 0;
  return Outcome(ready ? outcome::ready : outcome::not_ready, fmt::format("events {:#x} where {:#x} was asked for", seen, event));
}

bool BreaksOff(Socket& socket) { return Events(socket, 0, Patience()) != 0; }

Outcome AtOnce(Task<Result>& call, const Stopwatch& watch, Nanoseconds limit) {
  if (!call.DoneWithin(Patience())) return Outcome(outcome::still_blocked);
  const Nanoseconds took = call.Elapsed();
  const Result result = call.Join();
  if (!result.ok()) return result;
  const auto milliseconds = [](Nanoseconds span) { return span.count() / 1000000; };
  const std::string detail =
      fmt::format("{} after {} ms, stalls of {} ms", result.text(), milliseconds(took), milliseconds(watch.Stall()));
  return took <= limit + watch.Stall() ? Outcome(OutcomeName{"at_once"}, detail) : Outcome(outcome::late, detail);
}

void Abort(Socket& socket, Where where) {
  static_cast<void>(Must(socket.SetLinger(true, 0), where));
  static_cast<void>(Must(socket.Close(), where));
}

}  // namespace sockproof
