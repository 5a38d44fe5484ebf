// What the scenarios about the queue in front of accept() share: clients that are told apart, full queues, measured depths.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "battery/guarded.h"
#include "battery/scenario.h"
#include "catalogue/outcomes.h"

namespace sockproof {

// How long nothing must happen before a client counts as passed over. On loopback a connection that can be completed is
// completed before connect returns, or very soon after.
inline constexpr Nanoseconds kQuiet = milliseconds(50);

// One attempt to connect, without blocking, and what became of it.
struct QueueAttempt {
  Socket socket;
  Outcome state{outcome::pending};
  bool in() const { return state.name() == outcome::completed.text; }
  bool waits() const { return state.name() == outcome::pending.text; }
};

// Connects and looks what comes of it: at most for `limit` if that is given, otherwise until nothing has come for a quiet time.
inline QueueAttempt TryToConnect(const Address& address, const Flavor& net, Nanoseconds limit = Nanoseconds(0),
                                 Where where = SOCKPROOF_HERE) {
  QueueAttempt attempt;
  attempt.socket = net.NewConnecting(SP_NONBLOCKING, where);
  const OnOneProcessor before_the_probe;
  // A local connect that waits although it must not is not waited for.
  const Result result = net.local() ? Spawn("connect", [&] { return attempt.socket.Connect(address); }).Join(Patience(), where)
                                    : attempt.socket.Connect(address);
  if (!result.ok() && !UnderWay(result, net)) {
    attempt.state = result;
    return attempt;
  }
  if (!WaitReady(attempt.socket, SP_OUT, limit == Nanoseconds(0) ? milliseconds(1) : limit) && limit == Nanoseconds(0)) {
    LetNetworkSettle(net, kQuiet);
  }
  attempt.state = ConnectState(attempt.socket);
  if (result.ok() && !attempt.in()) {
    attempt.state = Outcome(outcome::violated, "connect succeeded, and the socket is " + attempt.state.name());
  }
  return attempt;
}

inline QueueAttempt TryToConnect(const Listener& listener, const Flavor& net, Nanoseconds limit = Nanoseconds(0),
                                 Where where = SOCKPROOF_HERE) {
  return TryToConnect(listener.address, net, limit, where);
}

// So many clients, one after the other, each completed and in the queue before the next begins. `before`: how many stand in
// the queue already. Every one must get in.
inline std::vector<Socket> Enqueue(const Listener& listener, const Flavor& net, std::size_t count, std::size_t before = 0,
                                   Where where = SOCKPROOF_HERE) {
  std::vector<Socket> clients;
  for (std::size_t i = 0; i < count; ++i) {
    QueueAttempt attempt = TryToConnect(listener, net, Patience(), where);
    if (!attempt.in()) {
      Host::Get().reporter().StepFailed(where, fmt::format("client {} did not get into the queue", before + i + 1),
                                        attempt.state);
    }
    AwaitQueued(listener.socket, net, before + i + 1);
    clients.push_back(std::move(attempt.socket));
  }
  return clients;
}

// Clients until one does not get in, which is given back as it is: pending, or sent away.
struct Overflow {
  std::vector<Socket> queued;
  QueueAttempt extra;
};
inline Overflow OverflowQueue(const Listener& listener, const Flavor& net, std::size_t most = 32, Where where = SOCKPROOF_HERE) {
  Overflow full;
  while (full.queued.size() < most) {
    full.extra = TryToConnect(listener, net, Nanoseconds(0), where);
    if (!full.extra.in()) return full;
    AwaitQueued(listener.socket, net, full.queued.size() + 1);
    full.queued.push_back(std::move(full.extra.socket));
  }
  return full;
}

// The same with the extra client gone again: a queue that is full, and nobody waits. A backlog may be a hint, and the shortest
// queue of an implementation a long one: backlog::capacity says where that is wrong, and what needs a full queue cannot be had.
inline std::vector<Socket> FillQueue(const Listener& listener, const Flavor& net, Where where = SOCKPROOF_HERE) {
  Overflow full = OverflowQueue(listener, net, 32, where);
  if (full.extra.in()) Host::Get().reporter().NotSupported("full_queue", "32 clients do not fill the queue");
  return std::move(full.queued);
}

// A client says which one it is, in one byte; whoever accepts it can tell.
inline void Tag(Socket& client, std::size_t index, Where where = SOCKPROOF_HERE) {
  static_cast<void>(Must(client.SendBytes(std::string(1, static_cast<char>('A' + index))), where));
}
// The tag of an accepted connection, '?' if none came.
inline char TagOf(Socket& server) {
  if (!WaitReady(server, SP_IN)) return '?';
  const RecvResult received = server.Recv(1);
  return received.ok() && received.data.size() == 1 ? static_cast<char>(received.data[0]) : '?';
}

// Everything that can be accepted now, without waiting for more.
inline std::vector<Socket> AcceptAll(Socket& listener, Where where = SOCKPROOF_HERE) {
  static_cast<void>(Must(listener.SetModes(SP_NONBLOCKING), where));
  std::vector<Socket> accepted;
  while (accepted.size() < 1000) {
    AcceptResult result = listener.Accept();
    if (!result.ok()) {
      if (result.error() != SP_EAGAIN) static_cast<void>(Must(std::move(result), where));
      break;
    }
    accepted.push_back(std::move(result.socket));
  }
  return accepted;
}

// The next connection, which must come. Leaves the listener non-blocking: one that is ready and has nothing to hand out ends
// the scenario, and does not hang it.
inline Socket AcceptNext(Socket& listener, Where where = SOCKPROOF_HERE) {
  static_cast<void>(Must(listener.SetModes(SP_NONBLOCKING), where));
  MustBeReady(listener, SP_IN, where);
  return Must(listener.Accept(), where);
}

// Sends a few bytes each way and looks that they arrive, and as they were sent.
inline bool Exchange(Socket& a, Socket& b, std::size_t length = 100) {
  const auto one_way = [length](Socket& from, Socket& to, uint64_t seed) {
    const Payload payload{seed, 0, length};
    const Result sent = from.Send(payload);
    if (!sent.ok() || static_cast<uint64_t>(sent.value()) != length) return false;
    for (uint64_t got = 0; got < length;) {
      if (!WaitReady(to, SP_IN)) return false;
      const RecvResult received = to.Recv(length - got);
      if (!received.ok() || received.data.empty()) return false;
      if (!Payload{seed, got, received.data.size()}.Difference(received.data.data(), received.data.size()).empty()) return false;
      got += received.data.size();
    }
    return true;
  };
  return one_way(a, b, 11) && one_way(b, a, 13);
}

// Receives all of it, and gives up when nothing has come for Patience().
inline Received ReceivePatiently(Socket& socket, const Payload& payload, Where where = SOCKPROOF_HERE) {
  static_cast<void>(Must(socket.SetModes(0, SP_NONBLOCKING), where));
  static_cast<void>(Must(socket.SetDuration(SP_SO_RCVTIMEO, Patience()), where));
  return ReceiveAll(socket, payload);
}

// How many get in before anybody accepts.
struct Depth {
  std::size_t connected = 0;  // clients that hold themselves for connected
  std::size_t accepted = 0;   // connections that were there to be accepted
};
// Leaves the listener's queue empty. `expected`: clients up to that number are waited for with patience, further ones are
// looked at for a quiet time. At most `most` clients.
inline Depth MeasureDepth(Listener& listener, const Flavor& net, std::size_t expected, std::size_t most,
                          Where where = SOCKPROOF_HERE) {
  Depth depth;
  std::vector<Socket> clients;
  {
    QueueAttempt attempt;
    while (clients.size() < most) {
      attempt = TryToConnect(listener, net, clients.size() < expected ? Patience() : Nanoseconds(0), where);
      if (!attempt.in()) break;
      AwaitQueued(listener.socket, net, clients.size() + 1);
      clients.push_back(std::move(attempt.socket));
    }
  }  // the one that did not get in withdraws, so that it does not come back
  depth.connected = clients.size();
  if (!clients.empty()) MustBeReady(listener.socket, SP_IN, where);
  std::vector<Socket> accepted = AcceptAll(listener.socket, where);
  depth.accepted = accepted.size();
  ResetAll(accepted);
  return depth;
}

}  // namespace sockproof
