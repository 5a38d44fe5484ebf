#include "target_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "failure.h"

namespace sockproof::runner {
namespace {

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void fail(const toml::source_region& at, const std::string& reason) const {
    throw Failure(where(at) + ": " + reason);
  }
  std::string where(const toml::source_region& at) const { return fmt::format("{}:{}", file_, at.begin.line); }

  void only(const toml::table& table, std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : table)
      if (std::find(keys.begin(), keys.end(), key.str()) == keys.end())
        fail(key.source(), fmt::format("unknown key '{}'", key.str()));
  }

  std::string text(const toml::table& table, std::string_view key, bool required) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) {
      if (required) fail(table.source(), fmt::format("'{}' is missing", key));
      return {};
    }
    const auto* value = node->as_string();
    if (value == nullptr) fail(node->source(), fmt::format("'{}' must be a string", key));
    if (required && value->get().empty()) fail(node->source(), fmt::format("'{}' is empty", key));
    return value->get();
  }

  std::string one_of(const toml::table& table, std::string_view key, std::initializer_list<std::string_view> values) const {
    std::string value = text(table, key, false);
    if (value.empty() && table.get(key) == nullptr) return std::string(*values.begin());
    if (std::find(values.begin(), values.end(), value) == values.end())
      fail(table.get(key)->source(), fmt::format("'{}' is '{}', but must be one of: {}", key, value, fmt::join(values, ", ")));
    return value;
  }

 private:
  std::string file_;
};

// A target names files by where it stands itself, and by where things are built.
std::string with_folders(std::string text, const std::filesystem::path& file, const std::filesystem::path& build) {
  const std::pair<std::string_view, std::string> folders[] = {
      {"{here}", std::filesystem::absolute(file).lexically_normal().parent_path().string()},
      {"{build}", build.empty() ? std::string() : std::filesystem::absolute(build).lexically_normal().string()}};
  for (const auto& [mark, folder] : folders)
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + folder.size()))
      text.replace(at, mark.size(), folder);
  return text;
}

// `families` names several places at once, of one scenario, that have the same reason.
std::vector<Deviation> read_deviation(const Reader& reader, const toml::table& table) {
  reader.only(table, {"scenario", "family", "families", "requirement", "outcome", "reason", "evidence"});
  Deviation deviation;
  deviation.where = reader.where(table.source());
  deviation.scenario = reader.text(table, "scenario", true);
  std::vector<std::string> families;
  if (const toml::node* node = table.get("families")) {
    const toml::array* list = node->as_array();
    if (list == nullptr || list->empty() || table.contains("family"))
      reader.fail(node->source(), "'families' is a list, in place of 'family'");
    for (const toml::node& family : *list) {
      if (!family.is_string()) reader.fail(family.source(), "a family is a string");
      families.push_back(family.as_string()->get());
    }
  } else {
    families.push_back(reader.text(table, "family", true));
  }
  deviation.requirement = reader.text(table, "requirement", true);
  deviation.outcome = reader.text(table, "outcome", true);
  deviation.reason = reader.text(table, "reason", true);
  deviation.evidence = reader.text(table, "evidence", true);
  std::vector<Deviation> places;
  for (const std::string& family : families) {
    deviation.family = family;
    for (const std::string* part : {&deviation.scenario, &deviation.family, &deviation.requirement, &deviation.outcome})
      if (part->find_first_of("*?") != std::string::npos)
        throw Failure(
            fmt::format("{}: '{}': a deviation names exactly one place; there are no wildcards", deviation.where, *part));
    places.push_back(deviation);
  }
  return places;
}

}  // namespace

Target read_target(const std::filesystem::path& file, const std::filesystem::path& build) {
  toml::table table;
  try {
    table = toml::parse_file(file.string());
  } catch (const toml::parse_error& error) {
    throw Failure(fmt::format("{}:{}: {}", file.string(), error.source().begin.line, error.description()));
  }
  const Reader reader(file.string());
  reader.only(table,
              {"name", "text", "provider", "profile", "platform", "launcher", "launcher_mode", "isolation", "env", "deviation",
               // What must be there before a run is for whoever starts the runner.
               "packages", "prepare"});
  Target target;
  target.name = reader.text(table, "name", true);
  target.text = reader.text(table, "text", false);
  target.provider = reader.text(table, "provider", true);
  target.profile = reader.text(table, "profile", true);
  target.for_windows = reader.one_of(table, "platform", {"posix", "windows"}) == "windows";
  const auto absolute = [&](const std::string& text) { return with_folders(text, file, build); };
  target.provider = absolute(target.provider);
  target.launcher = absolute(reader.text(table, "launcher", false));
  target.launcher_each_scenario = reader.one_of(table, "launcher_mode", {"scenario", "run"}) == "scenario";
  target.isolation =
      reader.one_of(table, "isolation", {"auto", "none"}) == "none" ? IsolationWish::none : IsolationWish::automatic;

  if (const toml::node* node = table.get("env")) {
    const toml::table* env = node->as_table();
    if (env == nullptr) reader.fail(node->source(), "'env' must be a table of strings");
    for (const auto& [key, value] : *env) {
      if (!value.is_string()) reader.fail(value.source(), fmt::format("'env.{}' must be a string", key.str()));
      if (key.str().empty() || key.str().find('=') != std::string_view::npos)
        reader.fail(key.source(), fmt::format("'{}' is no name for an environment variable", key.str()));
      target.environment.emplace(key.str(), value.as_string()->get());
    }
  }
  if (const toml::node* node = table.get("deviation")) {
    const toml::array* list = node->as_array();
    if (list == nullptr) reader.fail(node->source(), "deviations are written as [[deviation]]");
    for (const toml::node& entry : *list) {
      if (!entry.is_table()) reader.fail(entry.source(), "deviations are written as [[deviation]]");
      for (Deviation& place : read_deviation(reader, *entry.as_table())) target.deviations.push_back(std::move(place));
    }
  }
  return target;
}

void check_deviations(Target& target, const std::vector<Scenario>& scenarios,
                      const std::map<std::string, RequirementEntry>& requirements) {
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  for (Deviation& deviation : target.deviations) {
    const auto fail = [&deviation](const std::string& reason) { throw Failure(deviation.where + ": " + reason); };
    const std::string full = deviation.scenario + "/" + deviation.family;
    const auto match = std::find_if(scenarios.begin(), scenarios.end(), [&](const Scenario& scenario) {
      return scenario.family == deviation.family && (scenario.name == full || scenario.name == deviation.scenario);
    });
    if (match == scenarios.end())
      fail(fmt::format("the battery has no scenario '{}' for the family '{}'", deviation.scenario, deviation.family));
    deviation.scenario = match->name;
    if (deviation.requirement.rfind(kRules, 0) == 0) {
      if (!seen.emplace(deviation.scenario, deviation.requirement, deviation.outcome).second)
        fail("the same deviation is listed twice");
      continue;
    }
    if (deviation.requirement.rfind(kPromises, 0) != 0 &&
        std::find(match->requirements.begin(), match->requirements.end(), deviation.requirement) == match->requirements.end())
      fail(fmt::format("the scenario '{}' declares no requirement '{}'; it declares: {}", match->name, deviation.requirement,
                       fmt::join(match->requirements, ", ")));
    const auto requirement = requirements.find(deviation.requirement);
    if (requirement == requirements.end())
      fail(fmt::format("the catalogue has no requirement '{}' for the profile '{}'", deviation.requirement, target.profile));
    const auto& allow = requirement->second.allow;
    if (std::find(allow.begin(), allow.end(), deviation.outcome) != allow.end())
      fail(fmt::format("'{}' allows the outcome '{}' in the profile '{}': that is no deviation", deviation.requirement,
                       deviation.outcome, target.profile));
    if (!seen.emplace(deviation.scenario, deviation.requirement, deviation.outcome).second)
      fail("the same deviation is listed twice");
  }
}

}  // namespace sockproof::runner
