// A port that nobody else is given for as long as a scenario needs it.
#pragma once

#include <utility>
#include <vector>

#include "battery/scenario.h"

namespace sockproof {

// A TCP listener on a port that stays ours once it is closed: the guard, which does not listen, keeps it. Whoever repeats a
// request there later is answered by nobody else; on a network that others use as well a port is given out again at once.
struct GuardedListener {
  Listener listener;
  Socket guard;
};
// Where there is no SO_REUSEADDR, and on other families than TCP's, it is a listener like any other.
inline GuardedListener ListenGuarded(const Flavor& net, int32_t backlog = 16, Where where = SOCKPROOF_HERE) {
  GuardedListener guarded;
  Socket socket = net.NewListening(0, where), guard = net.NewListening(0, where);
  if (!net.tcp() || !TrySet(socket, SP_SO_REUSEADDR, 1) || !TrySet(guard, SP_SO_REUSEADDR, 1)) {
    guarded.listener = ListenOn(net, backlog, where);
    return guarded;
  }
  static_cast<void>(Must(socket.Bind(net.ToBind()), where));
  const Address local = socket.LocalAddress(where);
  if (guard.Bind(local).ok()) guarded.guard = std::move(guard);
  static_cast<void>(Must(socket.Listen(backlog), where));
  guarded.listener = {std::move(socket), net.ToReach(local)};
  return guarded;
}

// Connections that have served: ended by a reset.
inline void ResetAll(std::vector<Socket>& sockets) {
  for (Socket& socket : sockets) ResetOnClose(socket);
  sockets.clear();
}

}  // namespace sockproof
