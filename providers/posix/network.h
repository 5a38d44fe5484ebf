// What the network between two sockets can be made to do.
#pragma once

#include <string>

namespace sockproof::posix {

struct Adapter;

// Whether a filter on a socket really drops what arrives for it, found out with sockets on the loopback interface. Empty if
// so, else what is missing.
std::string ProbeSilence(Adapter& adapter);

}  // namespace sockproof::posix
