// The records of results.jsonl; reports/schema/results.schema.json describes them for everybody else.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "isolation.h"
#include "options.h"
#include "stacks.h"
#include "target_file.h"
#include "verdict.h"

namespace sockproof::runner {

/// Everything about the run that is settled before its first scenario.
struct RunFacts {
  Target target;
  std::vector<std::string> launcher;
  std::vector<std::string> emulator;
  bool launcher_replaced = false;  ///< by the command line; the target's own is another one, or none
  std::string fault;               ///< that was put into the target's provider; empty: none
  std::string filter = "*";
  unsigned jobs = 1;
  unsigned cores = 1;
  unsigned repeat = 1;
  std::uint64_t seed = 1;
  bool strict = false;
  bool selftest = false;
  double timeout_scale = 1.0;
  Shard shard;
  IsolationFinding isolation;
  nlohmann::json info;  ///< the battery's --info
  std::string battery_path;
  std::string battery_digest;
  std::string target_digest;  ///< of the target file; empty without one
  std::string target_path;
  std::size_t scenarios = 0;
  std::vector<std::string> argv;
};

nlohmann::json run_record(const RunFacts& facts);

/// What the profile asks for, so that a report needs nothing but the results.
std::vector<nlohmann::json> requirement_records(const std::map<std::string, RequirementEntry>& requirements);

/// What one run of one scenario left, once it is over.
struct Outcome {
  const Scenario* scenario = nullptr;
  unsigned repeat = 0;
  Evidence evidence;
  Judgement judgement;
  std::int64_t duration_us = 0;
  ResourceUse use;
  Stacks stacks;
  std::vector<std::string> trace;
  std::int64_t trace_dropped = 0;
  std::string output_tail;
  int stragglers = 0;
};

/// The check records and the scenario record, in the order in which they are written.
std::vector<nlohmann::json> scenario_records(const RunFacts& facts, const Outcome& outcome);

/// Counts as the run goes on, and is the summary at its end. It lives on scenario records alone, so that those of a
/// resumed run count like its own.
class Tally {
 public:
  explicit Tally(const RunFacts& facts) : facts_(facts) {}

  void add(const nlohmann::json& scenario_record);
  /// Scenario names with their verdict over all repeats, in order of names.
  struct Folded {
    std::string area;
    Verdict verdict = Verdict::passed;
    bool unexpected = false;
    std::string reason;  ///< of the first unexpected repeat
    std::string replay;
    std::map<std::string, unsigned> verdicts;
  };
  std::map<std::string, Folded> folded() const;
  std::size_t results() const { return results_; }

  /// `runner_us` is the processor time of the runner itself. `expected_results` is scenarios times repeats; fewer than that is an
  /// interrupted run.
  nlohmann::json summary(std::int64_t wall_ms, std::int64_t runner_us, std::size_t expected_results, bool interrupted,
                         unsigned resumed) const;

 private:
  struct Entry {
    std::string area;
    std::vector<Verdict> verdicts;
    bool unexpected = false;
    std::string reason;
    std::string replay;
  };
  const RunFacts& facts_;
  std::map<std::string, Entry> entries_;
  std::size_t results_ = 0;
  double cpu_ms_ = 0;
  double longest_ms_ = 0;
};

}  // namespace sockproof::runner
