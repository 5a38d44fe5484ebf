#include "mutants.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "failure.h"

namespace sockproof::runner {

using nlohmann::json;

std::vector<std::string> noticed(const Outcome& outcome) {
  if (!outcome.judgement.unexpected || outcome.judgement.verdict == Verdict::harness_error) return {};
  std::set<std::string> failed, passed;
  for (const json& check : outcome.judgement.checks) {
    const auto id = check["requirement"].get<std::string>();
    (check["verdict"] == "failed" ? failed : passed).insert(id);
  }
  // A hang, a crash or a step that failed may be about any of them.
  const bool nothing_failed = failed.empty();
  for (const std::string& id : outcome.scenario->requirements) {
    if (nothing_failed || passed.count(id) == 0) failed.insert(id);
  }
  return {failed.begin(), failed.end()};
}

Mutants::Mutants(const std::filesystem::path& file, const std::vector<Scenario>& scenarios, bool stop_early)
    : scenarios_(scenarios), stop_early_(stop_early) {
  std::ifstream text(file);
  try {
    for (const json& entry : json::parse(text)) {
      Mutant mutant;
      mutant.fault = entry.at("fault").get<std::string>();
      mutant.requirements = entry.value("requirements", std::vector<std::string>());
      mutant.scenarios = entry.value("scenarios", std::vector<std::string>());
      mutant.times = entry.value("times", 1U);
      mutant.open.insert(mutant.requirements.begin(), mutant.requirements.end());
      mutants_.push_back(std::move(mutant));
    }
  } catch (const json::exception& error) {
    throw Failure(fmt::format("{}: {}", file.string(), error.what()));
  }
}

std::vector<std::size_t> Mutants::order(const Mutant& mutant) const {
  const auto cheaper = [&](std::size_t a, std::size_t b) { return scenarios_[a].waits_ms < scenarios_[b].waits_ms; };
  if (!mutant.scenarios.empty()) {
    std::vector<std::size_t> named;
    for (std::size_t i = 0; i < scenarios_.size(); ++i) {
      if (std::find(mutant.scenarios.begin(), mutant.scenarios.end(), scenarios_[i].name) != mutant.scenarios.end())
        named.push_back(i);
    }
    return named;
  }
  std::vector<std::vector<std::size_t>> by_requirement;
  for (const std::string& id : mutant.requirements) {
    std::vector<std::size_t>& about = by_requirement.emplace_back();
    for (std::size_t i = 0; i < scenarios_.size(); ++i) {
      const auto& declared = scenarios_[i].requirements;
      if (std::find(declared.begin(), declared.end(), id) != declared.end()) about.push_back(i);
    }
    std::stable_sort(about.begin(), about.end(), cheaper);
  }
  if (mutant.requirements.empty()) {
    std::vector<std::size_t>& all = by_requirement.emplace_back();
    for (std::size_t i = 0; i < scenarios_.size(); ++i) all.push_back(i);
    std::stable_sort(all.begin(), all.end(), cheaper);
  }
  std::vector<std::size_t> order;
  std::set<std::size_t> there;
  for (std::size_t turn = 0, left = 1; left > 0; ++turn) {
    left = 0;
    for (const auto& about : by_requirement) {
      if (turn >= about.size()) continue;
      ++left;
      if (there.insert(about[turn]).second) order.push_back(about[turn]);
    }
  }
  return order;
}

std::vector<std::vector<Task>> Mutants::lanes() const {
  std::vector<std::vector<Task>> lanes;
  for (unsigned lane = 0; lane < mutants_.size(); ++lane) {
    std::vector<Task>& tasks = lanes.emplace_back();
    for (const std::size_t scenario : order(mutants_[lane])) {
      for (unsigned time = 0; time < mutants_[lane].times; ++time) tasks.push_back({scenario, time, lane});
    }
  }
  return lanes;
}

bool Mutants::wanted(const Task& task) const {
  const Mutant& mutant = mutants_[task.lane];
  if (!stop_early_ || !mutant.scenarios.empty()) return true;
  if (mutant.settled) return false;
  if (mutant.requirements.empty()) return true;
  const auto& declared = scenarios_[task.scenario].requirements;
  return std::any_of(declared.begin(), declared.end(), [&](const std::string& id) { return mutant.open.count(id) != 0; });
}

json Mutants::tried(const Outcome& outcome, unsigned lane) {
  Mutant& mutant = mutants_[lane];
  const std::vector<std::string> seen = noticed(outcome);
  for (const std::string& id : seen) mutant.open.erase(id);
  if (stop_early_ && mutant.scenarios.empty() && !seen.empty() && mutant.open.empty()) mutant.settled = true;
  return {{"record", "tried"},
          {"fault", mutant.fault},
          {"scenario", outcome.scenario->name},
          {"verdict", name_of(outcome.judgement.verdict)},
          {"unexpected", outcome.judgement.unexpected},
          {"reason", outcome.judgement.reason},
          {"noticed", seen},
          {"duration_ms", outcome.duration_us / 1000},
          {"cpu_ms", outcome.use.processor_us / 1000}};
}

}  // namespace sockproof::runner
