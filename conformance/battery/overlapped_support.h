// What the scenarios about overlapped operations have in common.
#pragma once

#include <string>
#include <utility>

#include "battery/requests.h"
#include "catalogue/overlapped.h"
#include "face/overlapped.h"

namespace sockproof {

inline const Over kOverlapped = kTcp.Needs({SP_CAP_OVERLAPPED});

// A call that is wrong: "refused_call" if it fails at once or its operation ends with an error, "taken" otherwise.
inline Outcome Refused(Pending pending) {
  const std::string text = pending.Began().detail() + " -> " + pending.Began().name();
  if (!pending.begun()) return Outcome(outcome::refused_call, text);
  LetQuietTimePass(milliseconds(20));
  if (!pending.Done()) return Outcome(outcome::taken, text);
  const Result result = pending.Wait();
  return Outcome(result.ok() ? outcome::taken : outcome::refused_call, result.text());
}
inline Outcome Refused(const Result& result) {
  return Outcome(result.ok() ? outcome::taken : outcome::refused_call, result.text());
}

// How an operation that something else must end comes out.
inline Outcome EndedWithError(Pending& pending) {
  if (!pending.Done(Patience())) return outcome::still_blocked;
  const Result result = pending.Wait();
  return result.ok() ? Outcome(result) : Outcome(outcome::ended_with_error, result.text());
}

// A socket bound as ConnectEx wants it.
inline Socket BoundClient(const Flavor& net, Where where = SOCKPROOF_HERE) {
  Socket client = net.NewConnecting(0, where);
  Step(client.Bind(Address::Loopback(net.connect_family)), where);
  return client;
}

// SO_UPDATE_ACCEPT_CONTEXT: the accepted socket becomes an ordinary one.
inline Result UpdateAccepted(Socket& accepted, const Socket& listener) {
  return accepted.Set(SP_SO_UPDATE_ACCEPT_CONTEXT, listener.handle().value);
}
inline Result UpdateConnected(Socket& socket) {
  sp_option_args args{};
  args.option = SP_SO_UPDATE_CONNECT_CONTEXT;
  args.kind = SP_POINTER_NULL;
  args.length = 0;
  return socket.SetOption(args);
}

}  // namespace sockproof
