// From what a scenario's process left behind to its verdict.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "battery_output.h"
#include "scenario_list.h"
#include "target_file.h"

namespace sockproof::runner {

enum class Verdict {
  passed,
  failed,
  known_deviation,
  unexpected_pass,
  not_supported,
  observed,
  crashed,
  hung,
  flaky,
  harness_error,
};
inline constexpr int kVerdicts = 10;

std::string_view name_of(Verdict verdict);
std::optional<Verdict> verdict_named(std::string_view name);

/// A limit of the runner's that ended the process.
enum class Limit { none, time, memory, output };

std::string_view name_of(Limit limit);

/// How the process ended.
struct Exit {
  int status = 0;  ///< exit status, where it ended by itself
  int signal = 0;  ///< or the signal that ended it
};

/// What is known about one run of one scenario.
struct Evidence {
  BatteryRecords records;
  Exit exit;
  Limit limit = Limit::none;
  std::int64_t limit_value = 0;  ///< ms, MiB: as the limit was set, for the sentence
  std::string not_started;       ///< why there was no process at all
};

struct Judgement {
  Verdict verdict = Verdict::harness_error;
  bool unexpected = true;
  std::string reason;                  ///< one sentence; empty when passed
  std::string level;                   ///< the highest level that failed; empty when none did
  std::vector<nlohmann::json> checks;  ///< the check records, with their verdicts and known deviations
};

/// `deviations` are those of the whole target; `strict` makes a failed SHOULD unexpected.
Judgement judge(const Scenario& scenario, const Evidence& evidence, const std::vector<Deviation>& deviations, bool strict);

/// The verdict over several runs of one scenario: the common one, or flaky.
Verdict fold(const std::vector<Verdict>& verdicts);

}  // namespace sockproof::runner
