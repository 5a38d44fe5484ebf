// Whether a listener serves, how an attempt to connect comes out, and how a connection ends: what the scenarios of listen,
// closing and bind look at again and again.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "battery/scenario.h"
#include "catalogue/outcomes.h"

namespace sockproof {

// A connect that never waits for longer than Patience(): "completed", "pending", or the error.
struct Attempt {
  Socket socket;  // non-blocking
  Outcome outcome{outcome::pending};
  bool completed() const { return outcome.name() == "completed"; }
};

inline Attempt TryConnect(Socket socket, const Flavor& net, const Address& address) {
  Attempt attempt;
  const Result result = socket.Connect(address);
  if (result.ok()) {
    attempt.outcome = outcome::completed;
  } else if (UnderWay(result, net)) {
    attempt.outcome = WaitReady(socket, SP_OUT) ? ConnectState(socket) : Outcome(outcome::pending);
  } else {
    attempt.outcome = result;
  }
  attempt.socket = std::move(socket);
  return attempt;
}

inline Attempt TryConnect(const Flavor& net, const Address& address, Where where = SOCKPROOF_HERE) {
  return TryConnect(net.NewConnecting(SP_NONBLOCKING, where), net, address);
}

// Bytes through both ends, or why not.
inline std::string PassBytes(Socket& one, Socket& other) {
  for (Socket* from : {&one, &other}) {
    Socket& to = from == &one ? other : one;
    const std::string text = from == &one ? "there" : "and back";
    const Result sent = from->SendBytes(text);
    if (!sent.ok() || sent.value() != static_cast<int64_t>(text.size())) return sent.text();
    if (!WaitReady(to, SP_IN)) return "what was sent did not arrive";
    RecvOptions options;
    options.flags = SP_MSG_DONTWAIT;
    const RecvResult received = to.Recv(64, options);
    if (!received.ok() || std::string(received.data.begin(), received.data.end()) != text) return received.text();
  }
  return {};
}

inline Outcome Passes(Socket& one, Socket& other) {
  const std::string problem = PassBytes(one, other);
  return Holds(problem.empty(), problem);
}

// Takes the next connection of a listener that must have one; "violated" says why there is none.
inline Outcome TakeNext(Socket& listener, Socket* out, Address* peer = nullptr) {
  if (!WaitReady(listener, SP_IN)) return Holds(false, "the listener did not become readable");
  AcceptResult accepted = listener.Accept();
  if (!accepted.ok()) return Holds(false, accepted.text());
  if (peer != nullptr) *peer = accepted.peer.address;
  *out = std::move(accepted.socket);
  return Holds(true, {});
}

// "holds" if a new client can connect to the address, is handed out by the listener, and bytes pass both ways.
inline Outcome Serves(const Flavor& net, Socket& listener, const Address& address, Where where = SOCKPROOF_HERE) {
  Attempt client = TryConnect(net, address, where);
  if (!client.completed()) return Holds(false, fmt::format("a client of {}: {}", address.ToString(), client.outcome.name()));
  Socket server;
  if (const Outcome taken = TakeNext(listener, &server); taken.name() != "holds") return taken;
  const Outcome passes = Passes(client.socket, server);
  // The client closes first, so that TIME-WAIT, if there is any, is not at the listener's address.
  static_cast<void>(client.socket.Close());
  return passes;
}
inline Outcome Serves(const Flavor& net, Listener& listener, Where where = SOCKPROOF_HERE) {
  return Serves(net, listener.socket, listener.address, where);
}

// How the other side ended the connection: "end_of_stream", an error, "data" if there is some, "pending" if nothing came.
inline Outcome Ending(Socket& socket) {
  if (!WaitReady(socket, SP_IN)) return outcome::pending;
  RecvOptions options;
  options.flags = SP_MSG_DONTWAIT;
  return socket.Recv(64, options).Seen();
}

// Where a client of the family reaches a socket bound to this name, also if that is the wildcard address.
inline Address Reach(const Flavor& net, const Address& name) {
  return net.local() ? name : Address::Loopback(net.connect_family, name.port());
}

// A fresh socket with these options switched on.
inline Socket NewWith(const Flavor& net, std::initializer_list<int32_t> options, Where where = SOCKPROOF_HERE) {
  Socket socket = net.NewListening(0, where);
  for (const int32_t option : options) static_cast<void>(Must(socket.Set(option, 1), where));
  return socket;
}

// Bound to a port of the implementation's choice, with these options switched on before.
inline Listener BoundWith(const Flavor& net, std::initializer_list<int32_t> options, Where where = SOCKPROOF_HERE) {
  Listener listener;
  listener.socket = NewWith(net, options, where);
  static_cast<void>(Must(listener.socket.Bind(net.ToBind()), where));
  listener.address = net.ToReach(listener.socket.LocalAddress(where));
  return listener;
}

// IP only: bound to a port that the caller named, as opposed to port 0. A port that was free a moment ago may have been taken by
// another program in between; then the next one is tried.
inline Listener BoundToNamedPort(const Flavor& net, std::initializer_list<int32_t> options, Where where = SOCKPROOF_HERE) {
  for (int attempt = 0;; ++attempt) {
    const Address free = BoundWith(net, options, where).socket.LocalAddress(where);
    Listener listener;
    listener.socket = NewWith(net, options, where);
    const Result bound = listener.socket.Bind(free);
    if (bound.ok() || bound.error() != SP_EADDRINUSE || attempt == 15) {
      static_cast<void>(Must(bound, where));
      listener.address = net.ToReach(free);
      return listener;
    }
  }
}

// SO_ACCEPTCONN as a number.
inline Outcome AcceptConn(Socket& socket) {
  const OptionResult option = socket.Get(SP_SO_ACCEPTCONN);
  return option.ok() ? Outcome::OfNumber(option.integer, option.text()) : Outcome(option);
}

// Whether the socket says that it listens: any number but 0 says so.
inline bool SaysItListens(Socket& socket) {
  const OptionResult option = socket.Get(SP_SO_ACCEPTCONN);
  return option.ok() && option.integer != 0;
}

}  // namespace sockproof
