// What select and WSAPoll say of listeners and of connections under way, and which sets and flags they refuse.
#include "battery/notify.h"
#include "catalogue/notify.h"

namespace sockproof {
namespace {

// Reported at this moment, or within `limit`.
uint32_t Reported(const Socket& socket, uint32_t asked, int32_t way, Nanoseconds limit = Nanoseconds(0)) {
  return Events(socket, asked, limit, way);
}

// A non-blocking socket whose connect has been turned down, or ends the scenario where connect itself says so.
Socket TurnedDown(const Flavor& net, const Listener& nobody) {
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result connecting = client.Connect(nobody.address);
  if (!UnderWay(connecting, net)) {
    Host::Get().reporter().NotSupported("pending_error", "a refusal is the result of the call itself: " + connecting.text());
  }
  return client;
}

}  // namespace

// The listener is silent at first, so that the attempt is under way for as long as that is looked at.
SCENARIO(Notify, AConnectIsReadyWhenItIsAnswered, kTcp.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1100)),
         notify::connecting_not_ready, notify::connected_writable) {
  const std::vector<int32_t> ways = EveryWay();
  Listener listener = ListenOn(net);
  Silence silence(listener.socket);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result connecting = client.Connect(listener.address);
  if (!UnderWay(connecting, net)) Step(connecting);
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::connecting_not_ready, Now(way, client, SP_OUT));
  silence.Lift();
  // The request is sent again after a second or so.
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::connected_writable, Soon(way, client, SP_OUT));
}

SCENARIO(Notify, SelectNamesAFailedConnect, kTcp.Needs({SP_CAP_SELECT}), notify::connecting_exception) {
  const Listener nobody = BoundOn(net);
  Socket client = TurnedDown(net, nobody);
  const uint32_t seen = Reported(client, SP_OUT | SP_PRI, SP_SELECT, Patience());
  CHECK_REQUIREMENT(notify::connecting_exception, Holds((seen & SP_PRI) != 0 && (seen & SP_OUT) == 0, EventNames(seen)));
}

SCENARIO(Notify, SelectOnNothing, kTcp4.Needs({SP_CAP_SELECT}), notify::select_nothing) {
  Watcher watcher(SP_SELECT);
  CHECK_REQUIREMENT(notify::select_nothing, watcher.Wait(Nanoseconds(0)));
}

SCENARIO(Notify, SelectOnWhatIsNoSocket, kTcp4.Needs({SP_CAP_SELECT}), notify::select_not_socket) {
  Pair pair = ConnectedPair(net);
  for (const uint32_t event : {SP_IN, SP_OUT, SP_PRI}) {
    Watcher watcher(SP_SELECT);
    Step(watcher.Add(pair.client, SP_IN, 0, 1));
    Step(watcher.Add(Socket::Wrong(SP_HANDLE_NOT_SOCKET), event, 0, 2));
    CHECK_REQUIREMENT(notify::select_not_socket, watcher.Wait(Nanoseconds(0)));
  }
}

// ---- WSAPoll ----

SCENARIO(Notify, WsaPollOfAListener, kTcp, notify::wsapoll_listener) {
  for (const int32_t way : Ways({SP_WSAPOLL})) {
    Listener listener = ListenOn(net);
    const uint32_t before = Reported(listener.socket, SP_RDNORM, way);
    const Socket client = ConnectTo(listener, net);
    const uint32_t after = Reported(listener.socket, SP_RDNORM, way, Patience());
    CHECK_REQUIREMENT(notify::wsapoll_listener,
                      Holds(before == 0 && (after & SP_RDNORM) != 0, EventNames(before) + ", then " + EventNames(after)));
  }
}

SCENARIO(Notify, WsaPollRefusesFlags, kTcp4, notify::wsapoll_refused_flags) {
  for (const int32_t way : Ways({SP_WSAPOLL})) {
    Pair pair = ConnectedPair(net);
    for (const uint32_t flag : {SP_PRI, SP_ERR, SP_HUP, SP_NVAL}) {
      Watcher watcher(way);
      const Result added = watcher.Add(pair.client, flag);
      CHECK_REQUIREMENT(notify::wsapoll_refused_flags, added.ok() ? Outcome(watcher.Wait(Nanoseconds(0))) : Outcome(added));
    }
  }
}

SCENARIO(Notify, WsaPollOfAFailedConnect, kTcp, notify::wsapoll_connecting) {
  for (const int32_t way : Ways({SP_WSAPOLL})) {
    const Listener nobody = BoundOn(net);
    Socket client = TurnedDown(net, nobody);
    const uint32_t seen = Reported(client, SP_WRNORM, way, Patience());
    CHECK_REQUIREMENT(notify::wsapoll_connecting, Readiness((seen & SP_ERR) != 0, EventNames(seen)));
    const uint32_t unasked = Reported(client, 0, way);
    CHECK_REQUIREMENT(notify::wsapoll_connecting, Readiness((unasked & SP_ERR) != 0, "unasked: " + EventNames(unasked)));
  }
}

SCENARIO(Notify, WsaPollOfABrokenConnection, kTcp, notify::wsapoll_hangup) {
  for (const int32_t way : Ways({SP_WSAPOLL})) {
    Pair pair = ConnectedPair(net);
    Step(pair.client.SetLinger(true, 0));
    Step(pair.client.Close());
    const uint32_t seen = Reported(pair.server, SP_RDNORM, way, Patience());
    CHECK_REQUIREMENT(notify::wsapoll_hangup, Readiness((seen & SP_HUP) != 0, EventNames(seen)));
  }
}

}  // namespace sockproof
