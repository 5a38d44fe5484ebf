// What becomes of a request that the condition function rejects or defers.
#include "catalogue/conditional.h"

#include "battery/requests.h"

namespace sockproof {
namespace {

// Is anything left to be asked about, or to be accepted? Leaves the listener non-blocking.
Outcome NothingLeft(Listener& listener) {
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  const AcceptResult next = AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER));
  return Holds(!next.ok() && next.asked == 0, fmt::format("{}, asked {} times", Outcome(next).name(), next.asked));
}

// Accepts the next request, which must be that client's.
Outcome TakesNext(Listener& listener, Asker& client, uint64_t seed) {
  Notes notes;
  AcceptResult accepted = AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes));
  if (!accepted.ok()) return Holds(false, accepted.text());
  if (!AllAbout(notes, client)) return About(notes, client);
  return IsConnectionOf(accepted.socket, client, seed);
}

// Where a client's request stands, and what has come of it.
std::string State(Asker& client) {
  const std::string standing = Standing(client).name();
  if (standing != "completed") return standing;
  return Events(client.socket, SP_IN) == 0 ? standing : "completed, and something to read";
}

}  // namespace

SCENARIO(Conditional, Rejects, kConditional, conditional::reject_error, conditional::reject_removes, conditional::reject_told,
         conditional::reject_keeps_listener) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  CHECK_REQUIREMENT(conditional::reject_error, AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT)));
  CHECK_REQUIREMENT(conditional::reject_removes, NothingLeft(listener));
  CHECK_REQUIREMENT(conditional::reject_told, Fate(client));
  Asker next = Ask(listener, net);
  MustBeReady(listener.socket, SP_IN);
  CHECK_REQUIREMENT(conditional::reject_keeps_listener, TakesNext(listener, next, 2));
}

SCENARIO(Conditional, RejectionEndsTheConnect, kConnDataOnly.Needs({SP_CAP_CONDITION}), conditional::reject_refuses_connect,
         conditional::reject_error) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  auto connecting = Spawn("connect", [&] { return client.Connect(listener.address); });
  CHECK_REQUIREMENT(conditional::reject_error, AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT)));
  CHECK_REQUIREMENT(conditional::reject_refuses_connect, Settled(connecting));
}

SCENARIO(Conditional, RejectionSparesTheOthers, kConditional, conditional::reject_spares_others, conditional::reject_told) {
  Listener listener = ListenOn(net);
  std::vector<Asker> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(Ask(listener, net));
  // One rejected and one accepted in turn.
  for (std::size_t i = 0; i < clients.size(); i += 2) {
    static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT)));
    CHECK_REQUIREMENT(conditional::reject_spares_others, TakesNext(listener, clients[i + 1], i));
    CHECK_REQUIREMENT(conditional::reject_told, Fate(clients[i]));
  }
}

SCENARIO(Conditional, Defers, kConditional, conditional::defer_error, conditional::defer_again, conditional::defer_stays_first,
         conditional::defer_no_action, conditional::deferred_accepted, conditional::deferred_connection) {
  Listener listener = ListenOn(net);
  Asker first = Ask(listener, net), second = Ask(listener, net);
  const std::string before = State(first);
  for (int i = 0; i < 3; ++i) {
    Notes notes;
    const AcceptResult deferred = AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER, &notes));
    CHECK_REQUIREMENT(i == 0 ? conditional::defer_error : conditional::defer_again, deferred);
    CHECK_REQUIREMENT(conditional::defer_stays_first, About(notes, first));
  }
  LetQuietTimePass(milliseconds(50));
  const std::string after = State(first);
  CHECK_REQUIREMENT(conditional::defer_no_action,
                    Outcome(before == after ? outcome::unchanged : outcome::changed, before + ", then " + after));
  Notes notes;
  AcceptResult accepted = AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT, &notes));
  CHECK_REQUIREMENT(conditional::deferred_accepted, accepted);
  CHECK_REQUIREMENT(conditional::defer_stays_first, About(notes, first));
  Socket server = Must(std::move(accepted));
  CHECK_REQUIREMENT(conditional::deferred_connection, IsConnectionOf(server, first));
  CHECK_REQUIREMENT(conditional::deferred_connection, TakesNext(listener, second, 2));
}

SCENARIO(Conditional, DeferredThenRejected, kConditional, conditional::defer_error, conditional::deferred_rejected,
         conditional::reject_told, conditional::reject_spares_others) {
  Listener listener = ListenOn(net);
  Asker first = Ask(listener, net), second = Ask(listener, net);
  CHECK_REQUIREMENT(conditional::defer_error, AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER)));
  CHECK_REQUIREMENT(conditional::deferred_rejected, AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT)));
  CHECK_REQUIREMENT(conditional::reject_told, Fate(first));
  CHECK_REQUIREMENT(conditional::reject_spares_others, TakesNext(listener, second, 2));
}

SCENARIO(Conditional, DeferredThenTakenUnasked, kConditional, conditional::defer_error, conditional::deferred_taken_unasked,
         conditional::deferred_connection) {
  Listener listener = ListenOn(net);
  Asker first = Ask(listener, net), second = Ask(listener, net);
  CHECK_REQUIREMENT(conditional::defer_error, AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER)));
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(conditional::deferred_taken_unasked, SameAddress(Must(server.PeerName()), first.seen, "whose connection"));
  CHECK_REQUIREMENT(conditional::deferred_connection, IsConnectionOf(server, first));
  CHECK_REQUIREMENT(conditional::deferred_connection, TakesNext(listener, second, 2));
}

SCENARIO(Conditional, DeferredThenWithdrawn, kConditional, conditional::defer_error, conditional::deferred_withdrawn,
         conditional::withdrawn_leaves_others) {
  Listener listener = ListenOn(net);
  Asker first = Ask(listener, net), second = Ask(listener, net);
  CHECK_REQUIREMENT(conditional::defer_error, AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER)));
  Step(first.socket.SetLinger(true, 0));
  Step(first.socket.Close());
  LetQuietTimePass(milliseconds(50));
  CHECK_REQUIREMENT(conditional::deferred_withdrawn, AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT)));
  CHECK_REQUIREMENT(conditional::withdrawn_leaves_others, TakesNext(listener, second, 2));
}

}  // namespace sockproof
