// Fuzzing without an engine: scripts by lot and changes of those that showed something new, which is told by the outcomes that
// follow each other alone. It wants no instrumented build, so it is quick to be had, and fast.
#pragma once

#include <cstdint>
#include <string>

#include "fuzz/generate.h"

namespace sockproof::fuzz {

// Prints each cause once, with the smallest script that shows it. 0: nothing was found, 1: something was, 2: no such provider.
int Search(const std::string& spec, const std::string& profile, Bent bent, double seconds, uint64_t seed, bool stop_at_first);

}  // namespace sockproof::fuzz
