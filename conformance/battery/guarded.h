// A port that nobody else is given for as long as a scenario needs it.
#pragma once

#include <utility>

#include "battery/scenario.h"

namespace sockproof {

// A TCP listener on a port that stays ours once it is closed: the guard, which does not listen, keeps it. Whoever repeats a
// request there later is answered by nobody else; on a network that others use as well a port is given out again at once.
struct GuardedListener {
  Listener listener;
  Socket guard;
};
inline GuardedListener ListenGuarded(const Flavor& net, int32_t backlog, Where where = SOCKPROOF_HERE) {
  GuardedListener guarded{{net.NewListening(0, where), {}}, net.NewListening(0, where)};
  Socket& socket = guarded.listener.socket;
  for (Socket* one : {&socket, &guarded.guard}) static_cast<void>(Must(one->Set(SP_SO_REUSEADDR, 1), where));
  static_cast<void>(Must(socket.Bind(net.ToBind()), where));
  const Address local = socket.LocalAddress(where);
  static_cast<void>(Must(guarded.guard.Bind(local), where));
  static_cast<void>(Must(socket.Listen(backlog), where));
  guarded.listener.address = net.ToReach(local);
  return guarded;
}

}  // namespace sockproof
