// What a run will do, settled before it begins: target, scenarios, machine, and what an earlier run has done already.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "options.h"
#include "records.h"
#include "results_file.h"
#include "scenario_list.h"

namespace sockproof::runner {

struct Plan {
  RunFacts facts;
  std::filesystem::path battery;
  std::vector<Scenario> scenarios;  ///< after filter and shard
  std::map<std::string, RequirementEntry> requirements;
  std::optional<EarlierResults> earlier;  ///< with --resume
};

/// Throws Failure with the reason when the run cannot be made.
Plan make_plan(const Options& options);

}  // namespace sockproof::runner
