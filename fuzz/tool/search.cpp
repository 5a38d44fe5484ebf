#include "fuzz/tool/search.h"

#include <chrono>
#include <cstdio>
#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "catalogue/requirement.h"
#include "fuzz/campaign.h"
#include "fuzz/execute.h"
#include "fuzz/minimise.h"

namespace sockproof::fuzz {
namespace {

bool Shows(const Execution& done, const std::string& cause) {
  for (const Breach& breach : done.breaches) {
    if (breach.cause == cause) return true;
  }
  return false;
}

}  // namespace

int Search(const std::string& spec, const std::string& profile, Bent bent, double seconds, uint64_t seed, bool stop_at_first) {
  const int number = TheCatalogue().ProfileNumber(profile);
  Provider provider;
  std::string why = number < 0 ? "there is no profile '" + profile + "'" : "";
  if (!why.empty() || !OwnNetwork(spec, &why) || !provider.Load(spec, &why)) {
    fmt::print(stderr, "sockproof-fuzz: {}\n", why);
    return 2;
  }
  constexpr std::size_t kMostKept = 20000;
  const Ways ways{bent == Bent::kData, true};
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  Lot lot(seed);
  std::vector<Script> kept;
  std::unordered_set<uint64_t> known;
  std::set<std::string> causes;
  uint64_t scripts = 0, calls = 0;
  while (elapsed() < seconds) {
    Script script;
    if (kept.empty() || lot.OneIn(8)) {
      script = Generate(&lot, bent, 6 + lot.Below(30));
    } else {
      script = kept[lot.Below(kept.size())];
      if (lot.OneIn(6)) script = CrossOver(&lot, script, kept[lot.Below(kept.size())]);
      Mutate(&lot, bent, &script);
    }
    const Execution done = ExecuteAndJudge(&provider, script, ways, number);
    ++scripts;
    calls += done.calls;
    std::size_t fresh = 0;
    uint64_t before = 0;
    for (const std::string& outcome : done.outcomes) {
      const uint64_t here = std::hash<std::string>{}(outcome);
      if (known.insert(before * 31 + here).second) ++fresh;
      before = here;
    }
    if (fresh > 0 && kept.size() < kMostKept) kept.push_back(script);
    for (const Breach& breach : done.breaches) {
      if (!causes.insert(breach.cause).second) continue;
      fmt::print("# after {:.1f} s, {} scripts\n", elapsed(), scripts);
      Breach last = breach;
      if (!stop_at_first) {
        script = Minimise(script, [&](const Script& candidate) {
          const Execution again = ExecuteAndJudge(&provider, candidate, ways, number);
          for (const Breach& each : again.breaches) {
            if (each.cause == breach.cause) last = each;
          }
          return Shows(again, breach.cause);
        });
      }
      fmt::print("{}\n", FindingText(script, last, bent == Bent::kData ? "data" : "connection", spec, profile));
      std::fflush(stdout);
      if (stop_at_first) return 1;
    }
  }
  fmt::print("{} scripts, {} calls, {} kept, {} causes in {:.0f} s\n", scripts, calls, kept.size(), causes.size(), elapsed());
  return causes.empty() ? 0 : 1;
}

}  // namespace sockproof::fuzz
