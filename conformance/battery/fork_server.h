// The battery as a server of the runner (fork_protocol.h).
#pragma once

#include <string>

namespace sockproof {

// Serves until the other end of `channel` is closed, and ends the process then. Returns in each process that it forks, with the
// name of the scenario that this one is to run. Call it while the process has one thread, and nothing that a scenario must not
// share is open.
std::string ServeScenarios(int channel);

}  // namespace sockproof
