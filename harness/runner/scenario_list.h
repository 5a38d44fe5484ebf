// What the battery says that it has: `--list=scenarios`, `--list=requirements`, `--info`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "filter.h"
#include "options.h"

namespace sockproof::runner {

struct Scenario {
  std::string name;  ///< Suite.Name/family
  std::string area;
  std::string suite;
  std::string family;
  std::vector<std::string> requirements;
  std::int64_t waits_ms = 0;  ///< how long it is likely to wait without using a core
  std::int64_t limit_ms = 0;  ///< after this it counts as hung
};

/// The area of what every call promises: these requirements may turn up in any scenario.
inline constexpr std::string_view kPromises = "contract.";
/// The same for the rules of the oracle, which judges the calls of every scenario. They are not in the catalogue by these names.
inline constexpr std::string_view kRules = "oracle.";

struct RequirementEntry {
  std::string id;
  std::string area;
  std::string text;
  std::vector<std::string> needs;  ///< capabilities without which no scenario can exist
  std::string level;               ///< empty when it says nothing about the profile
  std::vector<std::string> allow;
  std::vector<std::string> cite;
  std::string entry_of;  ///< the profile that the entry was written for
};

/// Both read the battery's JSON; they throw Failure with the reason when it is not what was agreed.
std::vector<Scenario> parse_scenarios(std::string_view json_text);
std::map<std::string, RequirementEntry> parse_requirements(std::string_view json_text);

/// The scenarios that filter and shard leave, in the battery's order. The shard is taken after the filter, by position, as
/// GoogleTest does it.
std::vector<Scenario> select(const std::vector<Scenario>& all, const Filter& filter, Shard shard);

}  // namespace sockproof::runner
