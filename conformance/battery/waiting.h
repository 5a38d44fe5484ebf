// What scenarios about accept have in common: calls that may wait, and queues that must have been reached.
#pragma once

#include <string>

#include "battery/scenario.h"
#include "catalogue/outcomes.h"

namespace sockproof {

// A step that must succeed, of which nothing more is wanted.
inline void Step(const Result& result, Where where = SOCKPROOF_HERE) { static_cast<void>(Must(result, where)); }

// What a call in a thread of its own came to; "still_blocked" if it did not come back although there was ample time.
template <typename Value>
Outcome Settled(Task<Value>& task, Value* value = nullptr) {
  if (!task.DoneWithin(Patience())) return outcome::still_blocked;
  Value result = task.Join();
  Outcome seen = result;
  if (value != nullptr) *value = std::move(result);
  return seen;
}

// What a call came to that must not wait: "still_blocked" if it did not come back, "late" if it took its time all the same. Time
// that the machine took from this process does not count.
template <typename Call>
Outcome WithoutWaiting(Call call) {
  constexpr milliseconds kAtOnce{500};
  const Stopwatch watch;
  auto task = Spawn("a call that must not wait", std::move(call));
  if (!task.DoneWithin(Patience())) return outcome::still_blocked;
  const Nanoseconds took = task.Elapsed();
  const Outcome seen = task.Join();
  if (took <= kAtOnce + watch.Stall()) return seen;
  return Outcome(outcome::late, fmt::format("{} after {} ms", seen.name(), took / milliseconds(1)));
}

// accept and accept4 in turn: what holds for one holds for the other.
inline AcceptOptions InTurn(int64_t number) {
  AcceptOptions options;
  options.form = static_cast<int32_t>(number & 1);
  return options;
}

// Accepts in a thread of its own, for calls that a wrong implementation might never end.
inline Task<AcceptResult> AcceptInThread(Socket& listener, const AcceptOptions& options = {}) {
  return Spawn("accept", [&listener, options] { return listener.Accept(options); });
}
// The same, waited for.
inline Outcome AcceptSoon(Socket& listener, AcceptResult* result = nullptr, const AcceptOptions& options = {}) {
  Task<AcceptResult> task = AcceptInThread(listener, options);
  return Settled(task, result);
}

// The same as a step that must come to an end, however it ends.
inline AcceptResult AcceptNow(Socket& listener, const AcceptOptions& options = {}, Where where = SOCKPROOF_HERE) {
  Task<AcceptResult> task = AcceptInThread(listener, options);
  return task.Join(Patience(), where);
}

// A connect has returned when the client knows of the connection. The listener's side may be a moment behind: the last segment
// of the handshake is still on its way to the queue. Waits until `count` connections stand there.
inline void WaitQueued(Listener& listener, const Flavor& net, int64_t count, Where where = SOCKPROOF_HERE) {
  MustBeReady(listener.socket, SP_IN, where);
  if (!net.tcp() || count <= 1) return;  // AF_UNIX: connect puts the connection into the queue itself
  if (!Host::Get().Has(SP_CAP_TCP_STATE_SHOWN)) {
    LetQuietTimePass(milliseconds(20));
    return;
  }
  WaitUntil([&] { return listener.socket.Get(SP_TCP_UNACCEPTED).integer >= count; }, Patience(), "connections in the queue");
}

// A client that connects and says who it is, so that its connection can be told from others; queued when this returns.
inline Socket ConnectAndTell(Listener& listener, const Flavor& net, const std::string& name, int64_t queued = 1,
                             Where where = SOCKPROOF_HERE) {
  Socket client = ConnectTo(listener, net, where);
  Step(client.SendBytes(name), where);
  WaitQueued(listener, net, queued, where);
  return client;
}
// What the client of an accepted connection told, up to `length` bytes; an error's name if nothing came.
inline std::string Told(Socket& server, std::size_t length = 1) {
  if (!WaitReady(server, SP_IN)) return "nothing";
  const RecvResult received = server.Recv(length);
  if (!received.ok()) return Outcome(received).name();
  return std::string(received.data.begin(), received.data.end());
}

// Does what one end sends arrive unchanged at the other? Empty if so, else what was wrong. Never waits for ever.
inline std::string OneWay(Socket& from, Socket& to, const Payload& payload) {
  const Result sent = from.Send(payload);
  if (!sent.ok() || static_cast<uint64_t>(sent.value()) != payload.length) return sent.text();
  for (uint64_t got = 0; got < payload.length;) {
    if (!WaitReady(to, SP_IN)) return fmt::format("{} of {} bytes arrived", got, payload.length);
    const Payload part{payload.seed, payload.offset + got, payload.length - got};
    RecvOptions options;
    options.expected = &part;
    const RecvResult received = to.Recv(part.length, options);
    if (!received.ok() || received.value() == 0)
      return fmt::format("{} of {} bytes, then {}", got, payload.length, received.text());
    const std::string difference = part.Difference(received.data.data(), received.data.size());
    if (!difference.empty()) return difference;
    got += received.data.size();
  }
  return {};
}
inline Outcome BothWays(Socket& one, Socket& other, uint64_t seed = 1) {
  std::string wrong = OneWay(one, other, Payload{seed, 0, 777});
  if (wrong.empty()) wrong = OneWay(other, one, Payload{seed + 1000, 0, 777});
  return Holds(wrong.empty(), wrong);
}

}  // namespace sockproof
