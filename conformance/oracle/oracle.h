// The oracle: judges a trace by the rules, for one profile. It knows nothing of scenarios, and nothing of the provider.
//
// What it cannot know it does not judge: a socket whose state is lost (a call that is not modelled, a handle from before the
// trace begins) is unknown from then on, and so are those that depend on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "catalogue/requirement.h"
#include "oracle/rule.h"

namespace sockproof::oracle {

struct Violation {
  const Rule* rule = nullptr;
  Level level = Level::kMust;
  std::string outcome;               // what was seen
  std::vector<std::string> allowed;  // what the rule allows
  std::string citation;
  std::string call;      // the call, and how it ended
  std::string detail;    // what else is known
  std::size_t line = 0;  // of the trace, from 0: where it was noticed
};

struct Judgement {
  std::vector<Violation> violations;
  std::vector<uint32_t> fired;  // by the rule's number: how often it was decided
  uint64_t calls = 0;           // of the trace
  uint64_t judged = 0;          // by at least one rule
  uint64_t unknown = 0;         // on a socket of which nothing is known
  uint64_t unreadable = 0;      // lines
};

// `whole`: the trace begins with the scenario. `lines` is taken over.
Judgement Judge(std::vector<std::string> lines, int profile, bool whole);

}  // namespace sockproof::oracle
