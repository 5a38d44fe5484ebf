#include "battery/ends.h"

#include <fmt/format.h>

#include <algorithm>

#include "catalogue/outcomes.h"
#include "face/names.h"

namespace sockproof {

Passage ReadToEnd(Socket& receiver, const Payload& sent) {
  const Received received = ReceiveAll(receiver, sent);
  const std::string amount = fmt::format("{} of {} bytes", received.bytes, sent.length);
  Passage passage{Outcome(outcome::violated, amount + ": " + received.difference), received.end};
  if (received.difference.empty()) {
    passage.data = Outcome(received.bytes == sent.length ? outcome::delivered : outcome::discarded, amount);
  }
  // ReceiveAll stops behind the last byte that is expected; what comes then is looked at here.
  if (received.bytes == sent.length) passage.end = receiver.Recv(1).Seen();
  return passage;
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

WaitingSend HoldSend(Socket& socket, const Flavor& net, Where where) {
  WaitingSend held;
  held.before = FillSendPath(socket, 7, where);
  static_cast<void>(Must(socket.SetModes(0, SP_NONBLOCKING), where));
  // A record of the size that no longer went in; a single byte of a stream, so that there is no partial success.
  held.length = net.stream() ? 1 : 65536;
  constexpr int kMostMore = 100;
  for (int i = 0;; ++i) {
    const Payload next{7, held.before, held.length};
    held.task = Spawn("send", [&socket, next] { return socket.Send(next); });
    if (held.task.WaitBlocked()) return held;
    if (i == kMostMore) {
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
  const RecvResult result = Must(socket.Recv(1), where);
  if (result.value() == 0) return;
  Host::Get().reporter().StepFailed(where, result.text() + ": no end of the stream", result.Seen());
}

void Abort(Socket& socket, Where where) {
  static_cast<void>(Must(socket.SetLinger(true, 0), where));
  static_cast<void>(Must(socket.Close(), where));
}

}  // namespace sockproof
