// What the network between two sockets can be made to do.
#pragma once

#include <string>

namespace sockproof::posix {

struct Adapter;

// Whether a filter on a socket really drops what arrives for it, found out with sockets on the loopback interface. Empty if
// so, else what is missing. `ends`: and can be taken away again.
std::string ProbeSilence(Adapter& adapter, bool ends);

// Whether TCP_INFO of a listener counts the connections that wait to be accepted, found out with one. Empty if so.
std::string ProbeQueueCount(Adapter& adapter);

}  // namespace sockproof::posix
