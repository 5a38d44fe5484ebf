// What must not tell two runs with one seed apart, where the provider's clock is virtual: its network is its own then as well,
// and everything else is decided by the seed.
#pragma once

#include <string>

namespace sockproof {

// What tells names of this process, and its lines in the trace, from those of others: its number, or 0 on a virtual clock.
int ProcessTag();

// The digest of all lines that this process has written into the trace, without what differs from run to run though nothing else
// does: the directory that its local names lie in. Empty where the clock is not virtual, as nothing would make two runs alike.
std::string TraceDigest();

}  // namespace sockproof
