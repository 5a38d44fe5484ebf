// A client is turned away before it was accepted: the listener goes, or has no room, or was never there.
#include <memory>

#include "battery/guarded.h"
#include "battery/queue_support.h"
#include "catalogue/rejection.h"
#include "face/agent.h"
#include "face/controls.h"

namespace sockproof {
namespace {

// What the client's next read says, when there is something to be said; "silent" if nothing comes.
Outcome Sees(Socket& client) {
  if (!WaitReady(client, SP_IN)) return outcome::silent;
  static_cast<void>(Must(client.SetModes(SP_NONBLOCKING)));
  return client.Recv(1).Seen();
}

// A listener with three clients in its queue, the last of which has sent data.
struct Queued {
  Listener listener;
  std::vector<Socket> clients;
};
Queued ThreeInTheQueue(const Flavor& net, Where where = SOCKPROOF_HERE) {
  NeedQueue(net, 3, where);
  Queued queued;
  queued.listener = ListenOn(net, 8, where);
  queued.clients = Enqueue(queued.listener, net, 3, 0, where);
  Tag(queued.clients.back(), 0, where);
  return queued;
}

bool AllHearNothing(Queued& queued, std::string* detail) {
  LetQuietTimePass(kQuiet);
  for (Socket& client : queued.clients) {
    const uint32_t events = Events(client, SP_IN | SP_RDHUP);
    if (events == 0) continue;
    *detail = fmt::format("events {:#x}", events);
    return false;
  }
  return true;
}

}  // namespace

SCENARIO(Rejection, ListenerCloses, kTcp, rejection::listener_closed, rejection::listener_closed_data) {
  Queued queued = ThreeInTheQueue(net);
  static_cast<void>(Must(queued.listener.socket.Close()));
  CHECK_REQUIREMENT(rejection::listener_closed, Sees(queued.clients[0]));
  CHECK_REQUIREMENT(rejection::listener_closed, Sees(queued.clients[1]));
  CHECK_REQUIREMENT(rejection::listener_closed_data, Sees(queued.clients[2]));
}

SCENARIO(Rejection, LocalListenerCloses, kLocal, rejection::listener_closed_local, rejection::listener_closed_data) {
  Queued queued = ThreeInTheQueue(net);
  static_cast<void>(Must(queued.listener.socket.Close()));
  CHECK_REQUIREMENT(rejection::listener_closed_local, Sees(queued.clients[0]));
  CHECK_REQUIREMENT(rejection::listener_closed_local, Sees(queued.clients[1]));
  CHECK_REQUIREMENT(rejection::listener_closed_data, Sees(queued.clients[2]));
}

SCENARIO(Rejection, ListenerShutsDown, kTcp, rejection::listener_shutdown) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_RDWR}) {
    Queued queued = ThreeInTheQueue(net);
    static_cast<void>(Must(queued.listener.socket.Shutdown(how)));
    for (Socket& client : queued.clients) CHECK_REQUIREMENT(rejection::listener_shutdown, Sees(client));
  }
}

SCENARIO(Rejection, ListenerShutsDownWrite, kTcp.Waits(milliseconds(50)), rejection::listener_shutdown_write) {
  Queued queued = ThreeInTheQueue(net);
  const Result shut = queued.listener.socket.Shutdown(SP_SHUT_WR);
  std::string detail = shut.text();
  CHECK_REQUIREMENT(rejection::listener_shutdown_write,
                    AllHearNothing(queued, &detail) ? Outcome(outcome::silent, detail) : Outcome(outcome::violated, detail));
}

SCENARIO(Rejection, LocalListenerShutsDown, kLocal.Waits(milliseconds(150)), rejection::listener_shutdown_local) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) {
    Queued queued = ThreeInTheQueue(net);
    const Result shut = queued.listener.socket.Shutdown(how);
    std::string detail = shut.text();
    CHECK_REQUIREMENT(rejection::listener_shutdown_local,
                      AllHearNothing(queued, &detail) ? Outcome(outcome::silent, detail) : Outcome(outcome::violated, detail));
  }
}

SCENARIO(Rejection, AcceptedStayWhenTheListenerCloses, kConnections.Waits(milliseconds(50)), rejection::accepted_unharmed) {
  Pair pair = ConnectedPair(net);
  std::vector<Socket> queued = Enqueue(pair.listener, net, 1);
  static_cast<void>(Must(pair.listener.socket.Close()));
  LetQuietTimePass(milliseconds(20));
  bool carried = Events(pair.client, SP_IN | SP_RDHUP) == 0;
  for (int i = 0; i < 3; ++i) carried = carried && Exchange(pair.client, pair.server);
  CHECK_REQUIREMENT(rejection::accepted_unharmed,
                    carried ? Outcome(outcome::carries_data) : Outcome(outcome::violated, "after the listener was closed"));
}

SCENARIO(Rejection, CloseOfOneDescriptorOfTheListener, kConnections.Waits(milliseconds(50)),
         rejection::listener_last_descriptor) {
  Queued queued = ThreeInTheQueue(net);
  Socket copy;
  static_cast<void>(Must(queued.listener.socket.Duplicate(&copy)));
  static_cast<void>(Must(queued.listener.socket.Close()));
  LetQuietTimePass(milliseconds(20));
  std::size_t carried = 0;
  for (std::size_t i = 0; i < queued.clients.size(); ++i) {
    if (!WaitReady(copy, SP_IN)) break;
    Socket server = Must(copy.Accept());
    if (i + 1 == queued.clients.size() && TagOf(server) != 'A') break;
    if (Exchange(queued.clients[i], server)) ++carried;
  }
  CHECK_REQUIREMENT(rejection::listener_last_descriptor,
                    carried == queued.clients.size() ? Outcome(outcome::carries_data)
                                                     : Outcome(outcome::violated, fmt::format("{} of 3 were accepted", carried)));
}

SCENARIO(Rejection, WaiterIsRefused, kTcp.Waits(milliseconds(1100)), rejection::waiter_refused) {
  GuardedListener guarded = ListenGuarded(net, 1);
  Overflow full = OverflowQueue(guarded.listener, net);
  static_cast<void>(Must(guarded.listener.socket.Close()));
  if (full.extra.waits()) {
    // It repeats its request after a second.
    WaitReady(full.extra.socket, SP_OUT);
    full.extra.state = ConnectState(full.extra.socket);
  }
  CHECK_REQUIREMENT(rejection::waiter_refused, full.extra.state);
}

SCENARIO(Rejection, OverflowWithAbort, kTcp.Needs({SP_CAP_SILENCE, SP_CAP_KNOBS}).Waits(milliseconds(1100)),
         rejection::overflow_abort) {
  const Knob abort(SP_KNOB_ABORT_ON_OVERFLOW, 1);
  Listener listener = ListenOn(net, 4);
  // A client that does not hear the answer to its request until the queue is full of others.
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  Silence deaf(client);
  const Result connecting = client.Connect(listener.address);
  if (!UnderWay(connecting, net)) static_cast<void>(Must(connecting));
  std::vector<Socket> queued = FillQueue(listener, net);
  deaf.Lift();
  // The answer is repeated after a second; the client then holds its connection for established.
  WaitReady(client, SP_OUT);
  CHECK_REQUIREMENT(rejection::overflow_abort, Sees(client));
}

SCENARIO(Rejection, OverflowIsSilence, kTcp.Waits(milliseconds(100)), rejection::overflow_silence) {
  Listener listener = ListenOn(net, 1);
  Overflow full = OverflowQueue(listener, net);
  LetQuietTimePass(kQuiet);
  CHECK_REQUIREMENT(rejection::overflow_silence, full.extra.waits() ? ConnectState(full.extra.socket) : full.extra.state);
}

SCENARIO(Rejection, NobodyListens, kConnections, rejection::nobody_listens) {
  const Listener nobody = BoundOn(net);
  Socket client = net.NewConnecting();
  auto connecting = Spawn("connect", [&] { return client.Connect(nobody.address); });
  CHECK_REQUIREMENT(rejection::nobody_listens, connecting.Join());
}

SCENARIO(Rejection, TheProcessEnds, kConnections.Needs({SP_CAP_PROCESSES}), rejection::process_ends) {
  for (const bool killed : {false, true}) {
    Pair pair = ConnectedPair(net);
    const std::unique_ptr<Agent> server = Agent::Fork();
    {
      // Over there the connection works; here it is given up, so that the other process alone holds it.
      Socket theirs = server->Attach(pair.server);
      Tag(theirs, 0);
      if (TagOf(pair.client) != 'A')
        Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "data from the other process", outcome::silent);
      theirs.Release();
    }
    static_cast<void>(Must(pair.server.Close()));
    if (killed) {
      server->Kill();
    } else {
      server->Finish();
    }
    CHECK_REQUIREMENT(rejection::process_ends, Sees(pair.client));
  }
}

}  // namespace sockproof
