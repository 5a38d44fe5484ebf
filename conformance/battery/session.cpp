// The session with an implementation: versions, counting, and what the last cleanup ends. It has been started once, with the
// highest version, when a scenario begins.
#include "catalogue/session.h"

#include "battery/event_support.h"
#include "face/overlapped.h"

namespace sockproof {
namespace {

const Over kSession = kTcp46.Needs({SP_CAP_SESSION});
const Over kSessionOnce = kTcp4.Needs({SP_CAP_SESSION});

std::string VersionText(uint32_t version) { return fmt::format("{}.{}", version >> 8, version & 0xff); }

void MustStart(Where where = SOCKPROOF_HERE) {
  const SessionStart start = StartSession(0x0202);
  if (start.outcome.name() != "ok") Host::Get().reporter().StepFailed(where, "startup", start.outcome);
}
void MustCleanUp(Where where = SOCKPROOF_HERE) {
  const Outcome cleaned = CleanUpSession();
  if (cleaned.name() != "ok") Host::Get().reporter().StepFailed(where, "cleanup", cleaned);
}

// Whether sockets work: a connection, and bytes through it.
Outcome SocketsWork(const Flavor& net) {
  Pair pair = ConnectedPair(net);
  return BothWays(pair.client, pair.server);
}

// A socket that a last cleanup has taken away: nothing is left to close.
Socket TakenAway(Socket* socket) { return Socket::Borrowed(socket->Release()); }

}  // namespace

SCENARIO(Session, Versions, kSessionOnce, session::version_given, session::version_highest) {
  const uint32_t highest = StartSession(0xffff).highest;
  for (const uint32_t version : {0x0100u, 0x0101u, 0x0200u, 0x0201u, 0x0202u, 0x0203u, 0x0300u, 0xff00u}) {
    const SessionStart start = StartSession(version);
    if (start.outcome.name() == "VERNOTSUPPORTED") continue;  // below the lowest that there is
    CHECK_REQUIREMENT(session::version_given, Same(VersionText(start.given), VersionText(std::min(version, highest)),
                                                   "asked for " + VersionText(version)));
    CHECK_REQUIREMENT(session::version_highest, Same(VersionText(start.highest), VersionText(highest), VersionText(version)));
  }
}

SCENARIO(Session, AVersionThatIsTooLow, kSessionOnce, session::version_too_low, session::refused_startup_not_counted) {
  const SessionStart start = StartSession(0x0000);
  CHECK_REQUIREMENT(session::version_too_low, start.outcome);
  MustCleanUp();
  const Outcome more = CleanUpSession();
  CHECK_REQUIREMENT(session::refused_startup_not_counted,
                    Holds(more.name() != "ok", "a second cleanup after one startup and a refused one: " + more.name()));
}

SCENARIO(Session, EachStartupNeedsItsCleanup, kSession, session::startup_again, session::counted, session::cleanup_too_often) {
  for (int i = 0; i < 2; ++i) CHECK_REQUIREMENT(session::startup_again, StartSession(0x0202).outcome);
  Pair pair = ConnectedPair(net);
  for (uint64_t i = 0; i < 2; ++i) {
    MustCleanUp();
    CHECK_REQUIREMENT(session::counted, BothWays(pair.client, pair.server, i + 1));
    CHECK_REQUIREMENT(session::counted, SocketsWork(net));
  }
  Step(pair.client.Close());
  Step(pair.server.Close());
  Step(pair.listener.socket.Close());
  MustCleanUp();
  for (int i = 0; i < 2; ++i) CHECK_REQUIREMENT(session::cleanup_too_often, CleanUpSession());
}

SCENARIO(Session, StartedAgain, kSession, session::started_again) {
  for (int i = 0; i < 3; ++i) {
    MustCleanUp();
    MustStart();
    CHECK_REQUIREMENT(session::started_again, SocketsWork(net));
  }
}

SCENARIO(Session, WithoutASession, kSessionOnce, session::no_socket_without_session) {
  MustCleanUp();
  Socket socket;
  CHECK_REQUIREMENT(session::no_socket_without_session, Socket::Make(net.listen_family, net.type, 0, 0, &socket));
  MustStart();
}

SCENARIO(Session, SocketsFromBefore, kSession, session::old_socket, session::old_address_free) {
  Listener listener = ListenOn(net);
  Socket bound = net.NewListening(), unbound = net.NewConnecting();
  Step(bound.Bind(net.ToBind()));
  const Address address = listener.socket.LocalAddress();
  MustCleanUp();
  Socket old_listener = TakenAway(&listener.socket), old_bound = TakenAway(&bound), old_unbound = TakenAway(&unbound);
  CHECK_REQUIREMENT(session::old_socket, AcceptSoon(old_listener));
  CHECK_REQUIREMENT(session::old_socket, old_bound.Listen(1));
  CHECK_REQUIREMENT(session::old_socket, old_unbound.Connect(address));
  MustStart();
  Socket again = net.NewListening();
  CHECK_REQUIREMENT(session::old_address_free, again.Bind(address));
}

SCENARIO(Session, TheLastCleanupEndsCalls, kSession, session::pending_call_cancelled) {
  Listener listener = ListenOn(net);
  Pair pair = ConnectedPair(net);
  const auto outcome_of = [](const Result& result) {
    return result.ok() ? Outcome(result) : Outcome(outcome::ended_with_error, result.text());
  };
  auto accepting = Spawn("accept", [&] { return outcome_of(listener.socket.Accept()); });
  auto receiving = Spawn("recv", [&] { return outcome_of(pair.server.Recv(16)); });
  static_cast<void>(accepting.WaitBlocked());
  static_cast<void>(receiving.WaitBlocked());
  MustCleanUp();
  static_cast<void>(listener.socket.Release());
  static_cast<void>(pair.server.Release());
  static_cast<void>(pair.client.Release());
  static_cast<void>(pair.listener.socket.Release());
  CHECK_REQUIREMENT(session::pending_call_cancelled, Settled(accepting));
  CHECK_REQUIREMENT(session::pending_call_cancelled, Settled(receiving));
  MustStart();
}

SCENARIO(Session, TheLastCleanupEndsOperations, kSession.Needs({SP_CAP_OVERLAPPED}), session::pending_operation_cancelled) {
  Listener listener = ListenOn(net);
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  MustCleanUp();
  static_cast<void>(listener.socket.Release());
  static_cast<void>(on.Release());
  const Outcome ended = pending.Settle();
  const bool failed = ended.name() != "ok" && ended.name() != "still_blocked";
  CHECK_REQUIREMENT(session::pending_operation_cancelled, failed ? Outcome(outcome::ended_with_error, ended.name()) : ended);
  MustStart();
}

SCENARIO(Session, TheLastCleanupSignalsNothing, kSession.Needs({SP_CAP_EVENT_OBJECTS}), session::cleanup_signals_nothing) {
  Listener listener = ListenOn(net);
  Pair pair = ConnectedPair(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT | SP_FD_CLOSE));
  Step(event.Add(pair.server, SP_FD_READ | SP_FD_CLOSE));
  LetItHappen();
  const bool before = event.IsSet();
  MustCleanUp();
  static_cast<void>(listener.socket.Release());
  static_cast<void>(pair.server.Release());
  static_cast<void>(pair.client.Release());
  static_cast<void>(pair.listener.socket.Release());
  LetItHappen();
  CHECK_REQUIREMENT(session::cleanup_signals_nothing,
                    Holds(!before && !event.IsSet(), before ? "it was set before" : "sockets that were taken away"));
  MustStart();
}

}  // namespace sockproof
