// A network of its own for each scenario, where the machine allows it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "battery/namespaces.h"

namespace sockproof::runner {

using sockproof::Isolation;

/// What scenarios are told in SOCKPROOF_ISOLATION, and what the run record says: "netns" or "none".
std::string name_of(Isolation isolation);

struct IsolationFinding {
  Isolation isolation = Isolation::none;
  std::string reason;                          ///< why there is none; empty when there is
  std::map<std::string, std::string> sysctls;  ///< net.* as a scenario will find them
};

/// Tries in a process of its own what can be had. With `wanted` false it only reads the sysctls.
IsolationFinding find_isolation(bool wanted);

}  // namespace sockproof::runner
