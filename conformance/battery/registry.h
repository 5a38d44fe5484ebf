// All scenarios of this program.
#pragma once

#include <string>
#include <vector>

#include "battery/scenario.h"

namespace sockproof {

struct Scenario {
  const char* suite;
  const char* name;
  const char* file;
  int line;
  Over over;
  std::vector<const Requirement*> requirements;
  ScenarioBody body;
};

std::vector<Scenario>& AllScenarios();
// Adds Selftest.Empty, which does nothing: what it takes is what isolation and records cost.
void AddSelftest();
std::string FullName(const Scenario& scenario, const Flavor& flavor);
void RegisterTests();  // with GoogleTest; once, before RUN_ALL_TESTS
// For a process that forks for one scenario after the other: finding the one that is wanted takes nothing then.
void NameScenarios();

}  // namespace sockproof
