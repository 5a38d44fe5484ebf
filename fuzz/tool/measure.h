// Measurements of the fuzzers' speed and of their steadiness, for people and for ./sockproof fuzz.
#pragma once

#include <string>

namespace sockproof::fuzz {

// How fast scripts are run: by the whole machinery, without the oracle, and the calls alone. Prints a table; 0 unless a provider
// cannot be had.
int MeasureSpeed(const std::string& spec, const std::string& profile, double seconds);

// Runs every input of a folder `times` times and compares what came of the calls. Prints what differs; 0 when nothing did.
int MeasureSameness(const std::string& spec, const std::string& profile, const std::string& folder, int times, std::size_t most);

}  // namespace sockproof::fuzz
