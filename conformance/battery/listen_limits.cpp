// listen() where something is short: descriptors, buffers; and listeners that are told to pause.
#include "battery/scenario.h"
#include "battery/serving.h"
#include "battery/waiting.h"
#include "catalogue/listen.h"
#include "catalogue/outcomes.h"

namespace sockproof {

SCENARIO(Listen, WithoutDescriptors, kConnections.Needs({SP_CAP_HANDLE_LIMIT}), listen::no_descriptors,
         listen::no_descriptors_serves) {
  Listener listener = ListenOn(net);
  {
    const Limited limited(0);
    CHECK_REQUIREMENT(listen::no_descriptors, listener.socket.Listen(4));
  }
  CHECK_REQUIREMENT(listen::no_descriptors_serves, Serves(net, listener));
}

SCENARIO(Listen, WithoutBuffers, kConnections.Needs({SP_CAP_FAULTY_LIMITS}), listen::buffer_limit) {
  Listener bound = BoundOn(net);
  const Limited limited(0, SP_LIMIT_BUFFERS);
  CHECK_REQUIREMENT(listen::buffer_limit, bound.socket.Listen(4));
}

SCENARIO(Listen, Paused, kTcp46, listen::paused, listen::paused_ends) {
  Listener listener = ListenOn(net);
  static_cast<void>(Must(listener.socket.Set(SP_SO_PAUSE_ACCEPT, 1)));
  CHECK_REQUIREMENT(listen::paused, TryConnect(net, listener.address).outcome);
  static_cast<void>(Must(listener.socket.Set(SP_SO_PAUSE_ACCEPT, 0)));
  CHECK_REQUIREMENT(listen::paused_ends, Serves(net, listener));
}

}  // namespace sockproof
