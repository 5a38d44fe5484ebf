// Runs a script on a provider, through the C interface, in one thread: every socket is non-blocking, or the clock is a virtual
// one. What is done is written down as a trace, in the form that the oracle reads; what no oracle can see in a trace (bytes that
// belong elsewhere, memory that was written to, handles that were left) is looked at on the way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fuzz/grammar.h"
#include "fuzz/provider.h"

namespace sockproof::fuzz {

// Something wrong: `cause` is the same for all that have the same one, as "data.lost recv" or "oracle.accept.order accept ok".
struct Breach {
  std::string cause;
  std::string detail;
  friend bool operator==(const Breach& a, const Breach& b) { return a.cause == b.cause; }
};

struct Execution {
  std::vector<std::string> trace;
  std::vector<std::string> outcomes;  // of each call: "connect EINPROGRESS"; handles, ports and times are left out
  std::vector<Breach> breaches;
  uint64_t calls = 0;
  bool impaired = false;  // the network was told to lose something
};

struct Ways {
  bool drain = false;  // at the end, receive everything, and see that nothing is missing
  bool record = true;  // write the trace; without it, only the calls are made
};

// Opens a fresh world, runs the script there and closes whatever is left open.
Execution Execute(Provider* provider, const Script& script, const Ways& ways);

// The same, and what the oracle says of the trace (`profile` by its number in the catalogue).
Execution ExecuteAndJudge(Provider* provider, const Script& script, const Ways& ways, int profile);

}  // namespace sockproof::fuzz
