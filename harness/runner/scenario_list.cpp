#include "scenario_list.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "failure.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;

constexpr std::int64_t kDefaultLimitMs = 10'000;

json parse_array(std::string_view text, const char* what) {
  json list = json::parse(text, nullptr, false);
  if (list.is_discarded() || !list.is_array()) throw Failure(fmt::format("the battery's {} is not a JSON array", what));
  return list;
}

}  // namespace

std::vector<Scenario> parse_scenarios(std::string_view json_text) {
  std::vector<Scenario> scenarios;
  std::set<std::string> names;
  for (const json& entry : parse_array(json_text, "--list=scenarios")) {
    try {
      Scenario scenario;
      entry.at("name").get_to(scenario.name);
      entry.at("area").get_to(scenario.area);
      entry.at("suite").get_to(scenario.suite);
      entry.at("family").get_to(scenario.family);
      entry.at("requirements").get_to(scenario.requirements);
      scenario.waits_ms = entry.value("waits_ms", std::int64_t{0});
      scenario.limit_ms = entry.value("limit_ms", kDefaultLimitMs);
      if (scenario.limit_ms <= 0) scenario.limit_ms = kDefaultLimitMs;
      if (!names.insert(scenario.name).second)
        throw Failure(fmt::format("the battery lists the scenario {} twice", scenario.name));
      scenarios.push_back(std::move(scenario));
    } catch (const json::exception& error) {
      throw Failure(
          fmt::format("the battery's --list=scenarios has an entry that cannot be read: {} ({})", entry.dump(), error.what()));
    }
  }
  return scenarios;
}

std::map<std::string, RequirementEntry> parse_requirements(std::string_view json_text) {
  std::map<std::string, RequirementEntry> requirements;
  for (const json& entry : parse_array(json_text, "--list=requirements")) {
    try {
      RequirementEntry requirement;
      entry.at("id").get_to(requirement.id);
      const auto text = [&entry](const char* key, std::string& into) {
        if (entry.contains(key) && entry[key].is_string()) entry[key].get_to(into);
      };
      const auto texts = [&entry](const char* key, std::vector<std::string>& into) {
        if (entry.contains(key) && entry[key].is_array()) entry[key].get_to(into);
      };
      text("area", requirement.area);
      text("text", requirement.text);
      text("level", requirement.level);
      text("entry_of", requirement.entry_of);
      texts("needs", requirement.needs);
      texts("allow", requirement.allow);
      texts("cite", requirement.cite);
      requirements.emplace(requirement.id, requirement);
    } catch (const json::exception& error) {
      throw Failure(
          fmt::format("the battery's --list=requirements has an entry that cannot be read: {} ({})", entry.dump(), error.what()));
    }
  }
  return requirements;
}

std::vector<Scenario> select(const std::vector<Scenario>& all, const Filter& filter, Shard shard) {
  std::vector<Scenario> chosen;
  unsigned position = 0;
  for (const Scenario& scenario : all) {
    if (!filter.matches(scenario.name)) continue;
    if (position++ % shard.total == shard.index) chosen.push_back(scenario);
  }
  return chosen;
}

}  // namespace sockproof::runner
