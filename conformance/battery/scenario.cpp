#include "battery/scenario.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>

#include <gtest/gtest.h>

#include "battery/records.h"
#include "battery/registry.h"
#include "catalogue/contract.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

class ScenarioTest : public testing::Test {
 public:
  ScenarioTest(const Scenario* scenario, const Flavor* flavor) : scenario_(*scenario), flavor_(*flavor) {}

  void TestBody() override {
    Recorder& recorder = Recorder::Get();
    recorder.Begin(FullName(scenario_, flavor_), scenario_.requirements);
    const bool any = std::any_of(scenario_.requirements.begin(), scenario_.requirements.end(),
                                 [&](const Requirement* requirement) { return requirement->For(recorder.profile()) != nullptr; });
    // What cannot be tried is told first, by name: that the profile says nothing either is the smaller news.
    Host::Get().Need(flavor_.capability);
    for (const int32_t capability : scenario_.over.needs) Host::Get().Need(capability);
    if (!any) recorder.NotSupported("profile", "none of its requirements speaks of this profile");
    scenario_.body(flavor_);
    if (!recorder.End()) ADD_FAILURE() << "see the records above";
  }

 private:
  const Scenario& scenario_;
  const Flavor& flavor_;
};

using Names = std::unordered_map<std::string, std::pair<const Scenario*, const Flavor*>>;
Names& ByName() {
  static Names names;
  return names;
}

}  // namespace

std::vector<Scenario>& AllScenarios() {
  static std::vector<Scenario> scenarios;
  return scenarios;
}

void AddSelftest() {
  RegisterScenario("Selftest", "Empty", __FILE__, __LINE__, kTcp4, {&contract::possible_result},
                   [](const Flavor&) { CHECK_REQUIREMENT(contract::possible_result, Holds(true, "nothing was called")); });
}

std::string FullName(const Scenario& scenario, const Flavor& flavor) {
  return fmt::format("{}.{}/{}", scenario.suite, scenario.name, flavor.name);
}

bool RegisterScenario(const char* suite, const char* name, const char* file, int line, const Over& over,
                      std::initializer_list<const Requirement*> requirements, ScenarioBody body) {
  AllScenarios().push_back({suite, name, file, line, over, requirements, body});
  return true;
}

void RegisterTests() {
  // The runner names one scenario: to register all the others would take longer than most scenarios run.
  const std::string filter = GTEST_FLAG_GET(filter);
  const bool only_one = filter.find_first_of("*?:-") == std::string::npos;
  const auto add = [](const Scenario* scenario, const Flavor* flavor) {
    testing::RegisterTest(scenario->suite, fmt::format("{}/{}", scenario->name, flavor->name).c_str(), nullptr, nullptr,
                          scenario->file, scenario->line,
                          [scenario, flavor]() -> testing::Test* { return new ScenarioTest(scenario, flavor); });
  };
  if (const auto found = ByName().find(filter); found != ByName().end()) return add(found->second.first, found->second.second);
  for (const Scenario& scenario : AllScenarios()) {
    if (only_one && filter.rfind(scenario.suite, 0) != 0) continue;
    for (const Flavor* flavor : scenario.over.flavors) {
      if (!only_one || FullName(scenario, *flavor) == filter) add(&scenario, flavor);
    }
  }
}

void NameScenarios() {
  for (const Scenario& scenario : AllScenarios()) {
    for (const Flavor* flavor : scenario.over.flavors) ByName()[FullName(scenario, *flavor)] = {&scenario, flavor};
  }
}

bool CheckRequirement(const Requirement& requirement, const Outcome& outcome, const char* file, int line) {
  return Recorder::Get().Check(requirement, outcome, Where{file, line});
}

void CannotGoOn(const std::string& why) {
  Host::Get().reporter().NotSupported("precondition", why);
  std::abort();  // not reached; some compilers do not trust a virtual [[noreturn]]
}

Outcome Holds(bool condition, std::string detail) {
  return Outcome(condition ? outcome::holds : outcome::violated, std::move(detail));
}

Outcome SameAddress(const Address& seen, const Address& expected, std::string_view what) {
  return Holds(seen == expected, fmt::format("{}: {} against {}", what, seen.ToString(), expected.ToString()));
}

Outcome Readiness(bool ready, std::string detail) {
  return Outcome(ready ? outcome::ready : outcome::not_ready, std::move(detail));
}

Outcome Timing(const Stopwatch& watch, Nanoseconds expected, Nanoseconds grain) {
  const std::string detail = watch.Describe(expected);
  switch (watch.Against(expected, grain)) {
    case Punctual::kEarly:
      return Outcome(outcome::early, detail);
    case Punctual::kLate:
      return Outcome(outcome::late, detail);
    default:
      return Outcome(outcome::on_time, detail);
  }
}

Outcome Becomes(const std::function<bool()>& condition, std::string what) {
  return Holds(WaitUntil(condition, Patience(), what.c_str()), what);
}

}  // namespace sockproof
