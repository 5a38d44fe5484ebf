// Requests that nobody has answered yet, and condition functions that take notes: what the scenarios about implementations in the
// manner of Winsock have in common.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "battery/held.h"
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/outcomes.h"
#include "face/condition.h"
#include "face/user_data.h"

namespace sockproof {

inline const Over kConditional = kWinsockStreams.Needs({SP_CAP_CONDITION});

// A client that has asked for a connection and does not wait for it. On TCP it may have one at once, from the listener's queue.
struct Asker {
  Socket socket;  // non-blocking, bound
  Address seen;   // as the listener knows it
};

inline Asker NewAsker(const Flavor& net, Where where = SOCKPROOF_HERE) {
  Asker asker;
  asker.socket = net.NewConnecting(0, where);
  Step(asker.socket.SetModes(SP_NONBLOCKING), where);
  // Bound by name, so that its address is known while its request is waiting.
  Step(asker.socket.Bind(Address::Loopback(net.connect_family)), where);
  asker.seen = SeenByListener(net, asker.socket.LocalAddress(where));
  return asker;
}

// A step: connect must have begun, or have succeeded.
inline void MustHaveAsked(const Result& connecting, Where where = SOCKPROOF_HERE) {
  const int32_t error = connecting.error();
  if (error == SP_EAGAIN || error == SP_EINPROGRESS) return;
  Step(connecting, where);
}

// Requests reach the listener one after the other: it has this one when the call returns.
inline Asker Ask(const Listener& listener, const Flavor& net, Where where = SOCKPROOF_HERE) {
  Asker asker = NewAsker(net, where);
  MustHaveAsked(asker.socket.Connect(listener.address), where);
  LetQuietTimePass(milliseconds(20));
  return asker;
}

// Where a request stands, without taking anything from it: "pending", "completed", or the error that ended it.
inline Outcome Standing(Asker& asker) { return ConnectState(asker.socket); }

// What a client learns of its request in the end: "pending", the error that turned it down, or, if it was completed, "completed"
// or how the connection ended again.
inline Outcome Fate(Asker& asker) {
  if (!WaitReady(asker.socket, SP_OUT)) return outcome::pending;
  const Outcome state = Standing(asker);
  if (state.name() != "completed" && state.name() != "ok") return state;
  if (!WaitReady(asker.socket, SP_IN)) return outcome::completed;
  return asker.socket.Recv(64).Seen();
}

using Notes = std::vector<ConditionRequest>;

// A condition function that answers so, and notes what it was asked.
inline AcceptOptions Answering(int32_t answer, Notes* notes = nullptr) {
  AcceptOptions options;
  options.condition = [answer, notes](ConditionRequest& request) {
    if (notes != nullptr) notes->push_back(request);
    return answer;
  };
  return options;
}

// What the condition function was asked first; a step: it must have been asked.
inline const ConditionRequest& TheRequest(const Notes& notes, Where where = SOCKPROOF_HERE) {
  if (notes.empty()) Host::Get().reporter().StepFailed(where, "the condition function was not asked", Outcome::OfNumber(0));
  return notes.front();
}

// Whether each of these requests was the one of that client.
inline bool AllAbout(const Notes& notes, const Asker& asker) {
  for (const ConditionRequest& request : notes) {
    if (!request.caller || *request.caller != asker.seen) return false;
  }
  return !notes.empty();
}
inline std::string Callers(const Notes& notes) {
  std::string text;
  for (const ConditionRequest& request : notes) text += (request.caller ? request.caller->ToString() : "null") + " ";
  return text;
}
inline Outcome About(const Notes& notes, const Asker& asker) {
  return Holds(AllAbout(notes, asker), "asked about " + Callers(notes) + "and not of " + asker.seen.ToString());
}

// Whether this accepted socket is that client's connection: by name, and by what goes through.
inline Outcome IsConnectionOf(Socket& server, Asker& asker, uint64_t seed = 1) {
  if (!WaitReady(asker.socket, SP_OUT)) return Holds(false, "the client is not connected");
  const NameResult peer = server.PeerName();
  if (!peer.ok() || peer.address != asker.seen) return Holds(false, "another peer: " + peer.text());
  return BothWays(asker.socket, server, seed);
}

}  // namespace sockproof
