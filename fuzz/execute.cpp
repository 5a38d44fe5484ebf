#include "fuzz/execute.h"

#include <fmt/format.h>

#include "face/names.h"
#include "fuzz/world.h"
#include "oracle/oracle.h"

namespace sockproof::fuzz {

Execution Execute(Provider* provider, const Script& script, const Ways& ways) {
  std::string why;
  if (!provider->Fresh(&why)) {
    Execution failed;
    failed.breaches.push_back({"fuzzer.provider", why});
    return failed;
  }
  World world(provider, ways);
  world.Run(script);
  return world.Finish();
}

Execution ExecuteAndJudge(Provider* provider, const Script& script, const Ways& ways, int profile) {
  Execution done = Execute(provider, script, ways);
  const oracle::Judgement judgement = oracle::Judge(done.trace, profile, true);
  for (const oracle::Violation& violation : judgement.violations) {
    const std::string name = violation.call.substr(0, violation.call.find(' '));
    std::string allowed;
    for (const std::string& each : violation.allowed) allowed += (allowed.empty() ? "" : " or ") + each;
    done.breaches.push_back(
        {fmt::format("oracle.{} {} {}", violation.rule->name(), name, violation.outcome),
         fmt::format("{} ({}): {}\n  call:    {}\n  seen:    {}\n  allowed: {}\n{}  stands in: {}", violation.rule->name(),
                     LevelName(violation.level), violation.rule->text(), violation.call, violation.outcome, allowed,
                     violation.detail.empty() ? "" : fmt::format("  because: {}\n", violation.detail), violation.citation)});
  }
  return done;
}

}  // namespace sockproof::fuzz
