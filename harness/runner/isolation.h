// A network of its own for each scenario, where the machine allows it.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sockproof::runner {

enum class Isolation {
  none,
  netns,       ///< a network namespace, made with the privilege that the runner has
  user_netns,  ///< a user namespace first, which gives the privilege to make the other
};

/// What scenarios are told in SOCKPROOF_ISOLATION, and what the run record says: "netns" or "none".
std::string name_of(Isolation isolation);

struct IsolationFinding {
  Isolation isolation = Isolation::none;
  std::string reason;                          ///< why there is none; empty when there is
  std::map<std::string, std::string> sysctls;  ///< net.* as a scenario will find them
};

/// Tries in a process of its own what can be had. With `wanted` false it only reads the sysctls.
IsolationFinding find_isolation(bool wanted);

/// What a fresh child does before exec: enters its namespaces and brings the loopback up. `uid` and `gid` are the
/// runner's. Returns 0 or an errno value, and then says in `step` which step it was. Allocates nothing.
int enter_isolation(Isolation isolation, unsigned uid, unsigned gid, const char** step);

}  // namespace sockproof::runner
