// A run that puts one seeded fault after the other into the provider, to see which scenarios notice.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "records.h"
#include "scheduler.h"

namespace sockproof::runner {

/// Which faults are to be tried on which scenarios, and what is known of each. Pure bookkeeping.
class Mutants {
 public:
  /// `file`: a JSON array of {"fault": NAME, "requirements": [ID...]}. A fault meets the scenarios that declare one of its
  /// requirements, all scenarios if it names none. With `stop_early` those are left out that could only notice what others have
  /// noticed already; without, every one is run. With "scenarios": [NAME...] and "times": N the fault meets these, so often
  /// each. Throws Failure when the file is not that.
  Mutants(const std::filesystem::path& file, const std::vector<Scenario>& scenarios, bool stop_early);

  /// The tasks of each fault, in the order in which they are best tried: for each requirement the cheapest scenario, then the
  /// next one for each.
  std::vector<std::vector<Task>> lanes() const;
  const std::string& fault(unsigned lane) const { return mutants_[lane].fault; }

  /// False when nothing that this task could notice is still open.
  bool wanted(const Task& task) const;
  bool settled(unsigned lane) const { return mutants_[lane].settled; }
  /// What the runner says of one scenario that met a fault; the fault may be settled by it.
  nlohmann::json tried(const Outcome& outcome, unsigned lane);

 private:
  struct Mutant {
    std::string fault;
    std::vector<std::string> requirements;
    std::vector<std::string> scenarios;  // only these, `times` each, whoever notices; empty: whoever is about the requirements
    unsigned times = 1;
    std::set<std::string> open;  // of those, what nobody has noticed
    bool settled = false;
  };
  std::vector<std::size_t> order(const Mutant& mutant) const;

  const std::vector<Scenario>& scenarios_;
  bool stop_early_;
  std::vector<Mutant> mutants_;
};

/// The requirements of a scenario that ended unexpectedly which it has not seen to hold: those whose check failed and those that
/// it was kept from checking; all of them if it ended without a failed check.
std::vector<std::string> noticed(const Outcome& outcome);

}  // namespace sockproof::runner
