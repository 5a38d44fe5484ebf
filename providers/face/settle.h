// Waits for the network between two sockets of this machine, where "nothing came" must not mean "it is still on its way".
#pragma once

#include "face/flavor.h"
#include "face/time.h"

namespace sockproof {

namespace platform {
struct Bound;
}

// Keeps the calling thread on the processor that it runs on, where the system has that. A loopback interface hands packets over
// in the order in which one processor sent them: what was sent before a probe from the same processor arrives before it.
// Does nothing on a virtual clock, nor where threads cannot be bound.
class OnOneProcessor {
 public:
  OnOneProcessor();
  ~OnOneProcessor();
  OnOneProcessor(const OnOneProcessor&) = delete;
  OnOneProcessor& operator=(const OnOneProcessor&) = delete;

 private:
  platform::Bound* bound_;  // owned; null: nothing to undo
};

// Lets `span` pass in which this process could have run, and the network too: on TCP a connection of its own is made
// afterwards, through the provider and from the same thread, and if that was slow (a machine so busy that even its kernel
// waits for a processor) another span passes; 20 at most. Elsewhere than on TCP, and on a virtual clock, it is
// LetQuietTimePass. Where the probe cannot be made (no descriptors, no listener) it proves nothing, and nothing is waited for.
void LetNetworkSettle(const Flavor& net, Nanoseconds span);

// Sets an integer option where there is one of this kind; false if not. For what a scenario is better with and can do without:
// Socket::Set ends it as not supported.
bool TrySet(Socket& socket, int32_t option, int64_t integer);

// Makes the close of a stream socket a reset (SO_LINGER of 0), where there is such an option; nothing otherwise. For connections
// that have served their scenario: thousands of them in TIME-WAIT keep the ports of a network that others use too.
void ResetOnClose(Socket& socket);

}  // namespace sockproof
