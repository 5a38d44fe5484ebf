// One row of the report: what is tested, with which launcher, under which profile, and what is known to be wrong with it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "options.h"
#include "scenario_list.h"

namespace sockproof::runner {

/// A place where the target is known to give a wrong outcome: exactly that one, and no other.
struct Deviation {
  std::string scenario;  ///< full name, with the family
  std::string family;
  std::string requirement;
  std::string outcome;  ///< `hung`, `crashed` and `step:ERROR`, a step that fails so, stand for the whole scenario
  std::string reason;
  std::string evidence;
  std::string where;  ///< file:line, for messages
};

struct Target {
  std::string name;
  std::string text;
  std::string provider;
  std::string profile;
  bool for_windows = false;  ///< platform = "windows": the battery is a Windows program
  std::string launcher;
  bool launcher_each_scenario = true;  ///< launcher_mode = "scenario"; "run" puts it before the runner, not our business
  IsolationWish isolation = IsolationWish::automatic;
  std::map<std::string, std::string> environment;
  std::vector<Deviation> deviations;
};

/// Reads a target file. In provider and launcher, `{here}` stands for the folder of the file and `{build}` for `build`. Throws
/// Failure (file:line: reason) for anything that is not expected there.
Target read_target(const std::filesystem::path& file, const std::filesystem::path& build = {});

/// Checks each deviation against what the battery has: the scenario and its family exist, the scenario declares the
/// requirement, the outcome is not one that the profile allows. Completes the scenarios' names. Throws Failure.
void check_deviations(Target& target, const std::vector<Scenario>& scenarios,
                      const std::map<std::string, RequirementEntry>& requirements);

}  // namespace sockproof::runner
