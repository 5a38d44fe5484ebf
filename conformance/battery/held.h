// States that the areas about connect share: attempts that are held under way, and ways to see how they end.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "battery/guarded.h"
#include "battery/scenario.h"
#include "catalogue/outcomes.h"

namespace sockproof {

// A listener whose queue is full: on TCP every further connect stays under way, on AF_UNIX it waits or is sent back.
struct FullListener {
  Listener listener;
  std::vector<Socket> queued;  // the clients that fill the queue
  Socket guard;                // TCP: bound to the same port, so that nobody else gets it when the listener is closed
};

inline FullListener FillListener(const Flavor& net, Where where = SOCKPROOF_HERE) {
  FullListener full;
  if (net.tcp()) {
    GuardedListener guarded = ListenGuarded(net, 0, where);
    full.guard = std::move(guarded.guard);
    Connecting held = HoldConnecting(std::move(guarded.listener), net, where);
    full.listener = std::move(held.listener);
    full.queued = std::move(held.queued);
    return full;  // the attempt that proved the queue to be full ends here
  }
  full.listener = ListenOn(net, 1, where);
  full.queued = FillBacklog(full.listener, net, 64, where).queued;
  return full;
}

// Lets one in whom HoldConnecting holds: on TCP when its SYN is sent again, within a few seconds. Accepts everything that is
// queued; where nothing is, it was a silent listener that held it, which hears again from now on.
inline std::vector<Socket> LetIn(Listener& listener, const std::vector<Socket>& queued, Where where = SOCKPROOF_HERE) {
  std::vector<Socket> accepted;
  for (std::size_t i = 0; i < queued.size(); ++i) {
    MustBeReady(listener.socket, SP_IN, where);
    accepted.push_back(Must(listener.socket.Accept(), where));
  }
  if (queued.empty() && Host::Get().Has(SP_CAP_SILENCE)) Silence(listener.socket, where).Lift(where);
  return accepted;
}
inline std::vector<Socket> MakeRoom(FullListener& full, Where where = SOCKPROOF_HERE) {
  return LetIn(full.listener, full.queued, where);
}

// A non-blocking connect followed to its end: "ok", or the error that ended it, from the call or from SO_ERROR.
inline Outcome ConnectToTheEnd(Socket& socket, const Flavor& net, const Address& address) {
  const Result call = socket.Connect(address);
  if (!UnderWay(call, net)) return call;
  if (!WaitReady(socket, SP_OUT)) return outcome::pending;
  return socket.TakeError();
}

// What a recv says once it has something to say; "not_ready" if that is nothing.
inline Outcome RecvSoon(Socket& socket, std::size_t room = 64, const RecvOptions& options = {}) {
  if (!WaitReady(socket, SP_IN)) return outcome::not_ready;
  return socket.Recv(room, options).Seen();
}

// Is an address free that somebody has just given up? Where the network is not this scenario's own, another process may take
// a port at that very moment, so it is asked for several times; who does not give addresses up does so every time.
// `give_up` makes a socket, has it use an address, gives that up and returns it.
inline Outcome FreesItsAddress(const Flavor& net, const std::function<Address()>& give_up) {
  Outcome last = outcome::pending;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const Address address = give_up();
    Socket other = net.NewConnecting();
    const Result result = other.Bind(address);
    last = result;
    if (result.ok()) break;
  }
  return last;
}

// Whether this is what a name call said; that it fails is no better than another name.
inline Outcome NameIs(const NameResult& name, const Address& expected, const std::string& what) {
  return name.ok() ? SameAddress(name.address, expected, what) : Holds(false, what + ": " + name.text());
}

// A few bytes from each end to the other.
inline Outcome Exchange(Socket& a, Socket& b) {
  const Payload there{11, 0, 100};
  const Payload back{12, 0, 100};
  SendAll(a, there);
  MustBeReady(b, SP_IN);
  const Received arrived = ReceiveAll(b, there);
  SendAll(b, back);
  MustBeReady(a, SP_IN);
  const Received returned = ReceiveAll(a, back);
  return Holds(arrived.Complete(there) && returned.Complete(back),
               fmt::format("there: {} bytes {}; back: {} bytes {}", arrived.bytes, arrived.difference, returned.bytes,
                           returned.difference));
}

// How the other end of a connection is named by the end that listens: IPv4 is seen through an IPv6 socket as mapped.
inline Address SeenByListener(const Flavor& net, const Address& name) {
  if (!net.dual() || name.family() != SP_INET) return name;
  const uint8_t* bytes = name.raw().bytes;
  return Address::V4Mapped({bytes[0], bytes[1], bytes[2], bytes[3]}, name.port());
}

}  // namespace sockproof
