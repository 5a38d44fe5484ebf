#include "verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

namespace sockproof::runner {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, kVerdicts> kNames{"passed",        "failed",       "known_deviation", "unexpected_pass",
                                                         "not_supported", "observed",     "crashed",         "hung",
                                                         "flaky",         "harness_error"};

std::string text_of(const json& record, const char* key) {
  return record.contains(key) && record[key].is_string() ? record[key].get<std::string>() : std::string();
}

int rank(std::string_view level) { return level == "MUST" ? 2 : level == "SHOULD" ? 1 : 0; }

std::string signal_name(int number) {
  const char* name = sigabbrev_np(number);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

// As Windows' headers name the exceptions that programs die of.
std::string exception_name(std::uint32_t code) {
  const char* name = nullptr;
  switch (code) {
    case 0xC0000005:
      name = "access violation";
      break;
    case 0xC0000006:
      name = "in-page error";
      break;
    case 0xC000001D:
      name = "illegal instruction";
      break;
    case 0xC0000094:
      name = "integer division by zero";
      break;
    case 0xC0000374:
      name = "heap corruption";
      break;
    case 0xC00000FD:
      name = "stack overflow";
      break;
    case 0xC0000409:
      name = "stack buffer overrun";
      break;
    case 0x40000015:
      name = "abort";
      break;
    case 0x80000003:
      name = "breakpoint";
      break;
    case 0xE06D7363:
    case 0x20474343:
      name = "C++ exception";
      break;
    default:
      break;
  }
  return fmt::format("exception 0x{:08X}{}", code, name != nullptr ? fmt::format(" ({})", name) : "");
}

const Deviation* find_deviation(const std::vector<Deviation>& deviations, const Scenario& scenario, std::string_view requirement,
                                std::string_view outcome) {
  for (const Deviation& deviation : deviations)
    if (deviation.scenario == scenario.name && deviation.family == scenario.family && deviation.outcome == outcome &&
        (requirement.empty() || deviation.requirement == requirement))
      return &deviation;
  return nullptr;
}

// What ends the scenario before it has checked everything: a hang, a crash, or a step that fails, whose error follows the colon.
bool of_the_whole(const Deviation& deviation) {
  return deviation.outcome == "hung" || deviation.outcome == "crashed" || deviation.outcome.rfind("step:", 0) == 0;
}

bool place_has_deviation(const std::vector<Deviation>& deviations, const Scenario& scenario, std::string_view requirement) {
  return std::any_of(deviations.begin(), deviations.end(), [&](const Deviation& deviation) {
    return deviation.scenario == scenario.name && deviation.family == scenario.family && deviation.requirement == requirement &&
           !of_the_whole(deviation);
  });
}

bool is_promise(const std::string& requirement) {
  return requirement.rfind(kPromises, 0) == 0 || requirement.rfind(kRules, 0) == 0;
}

json deviation_json(const Deviation& deviation) { return {{"reason", deviation.reason}, {"evidence", deviation.evidence}}; }

// Gives each check its verdict in the light of the known deviations.
void judge_checks(const Scenario& scenario, const std::vector<Deviation>& deviations, std::vector<json>& checks) {
  std::set<std::string> failed;
  for (json& check : checks) {
    check["deviation"] = nullptr;
    if (check["verdict"] != "failed") continue;
    const std::string requirement = text_of(check, "requirement");
    failed.insert(requirement);
    if (const Deviation* known = find_deviation(deviations, scenario, requirement, text_of(check, "outcome"))) {
      check["verdict"] = "known_deviation";
      check["deviation"] = deviation_json(*known);
    }
  }
  // A place with a known deviation where nothing went wrong at all.
  for (json& check : checks) {
    const std::string requirement = text_of(check, "requirement");
    if (check["verdict"] != "failed" && check["verdict"] != "known_deviation" && failed.count(requirement) == 0 &&
        place_has_deviation(deviations, scenario, requirement))
      check["verdict"] = "unexpected_pass";
  }
}

const json* first_with(const std::vector<json>& checks, std::string_view verdict) {
  for (const json& check : checks)
    if (check["verdict"] == verdict) return &check;
  return nullptr;
}

std::string describe_failure(const json& check) {
  std::string allowed;
  if (check.contains("allowed"))
    for (const json& outcome : check["allowed"])
      allowed += (allowed.empty() ? "" : " or ") + (outcome.is_string() ? outcome.get<std::string>() : outcome.dump());
  const std::string level = text_of(check, "level");
  return fmt::format("{}{}: {} where {} {} allowed", level.empty() ? "" : level + " ", text_of(check, "requirement"),
                     text_of(check, "outcome"), allowed.empty() ? "nothing" : allowed,
                     check.contains("allowed") && check["allowed"].size() > 1 ? "are" : "is");
}

std::string describe_steps(const json& step) {
  // The text of a call often says its outcome already.
  const std::string call = text_of(step, "call");
  const std::string outcome = text_of(step, "outcome");
  const std::string detail = text_of(step, "detail");
  std::string text = "a step that the scenario stands on failed: " + call;
  if (call.find(outcome) == std::string::npos) text += " gave " + outcome;
  if (!detail.empty() && detail != call) text += ": " + detail;
  return text;
}

// The process did not end by itself with all records written.
Judgement judge_death(const Scenario& scenario, const Evidence& evidence, const std::vector<Deviation>& deviations) {
  Judgement result;
  result.level = "MUST";
  if (evidence.limit == Limit::time) {
    result.verdict = Verdict::hung;
    result.reason = fmt::format("still running after its time limit of {} ms", evidence.limit_value);
  } else {
    result.verdict = Verdict::crashed;
    if (evidence.limit == Limit::memory)
      result.reason = fmt::format("used more than {} MiB of memory", evidence.limit_value);
    else if (evidence.limit == Limit::output)
      result.reason = fmt::format("wrote more than {} MiB of output", evidence.limit_value);
    else if (evidence.records.died)
      result.reason = *evidence.records.died;
    else if (evidence.records.signal)
      result.reason = fmt::format("died of {}", signal_name(*evidence.records.signal));
    else if (evidence.records.exception)
      result.reason = fmt::format("died of {}", exception_name(evidence.records.exception->code));
    else if (evidence.exit.signal != 0)
      result.reason = fmt::format("died of {}", signal_name(evidence.exit.signal));
    else
      result.reason = fmt::format("exit without a result (status {})", evidence.exit.status);
  }
  if (const Deviation* known = find_deviation(deviations, scenario, {}, name_of(result.verdict));
      known != nullptr && evidence.limit != Limit::memory && evidence.limit != Limit::output) {
    result.verdict = Verdict::known_deviation;
    result.unexpected = false;
    result.level.clear();
    result.reason += " (known)";
  }
  return result;
}

}  // namespace

std::string_view name_of(Verdict verdict) { return kNames[static_cast<std::size_t>(verdict)]; }

std::optional<Verdict> verdict_named(std::string_view name) {
  const auto at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<Verdict>(at - kNames.begin());
}

std::string_view name_of(Limit limit) {
  switch (limit) {
    case Limit::none:
      break;
    case Limit::time:
      return "time";
    case Limit::memory:
      return "memory";
    case Limit::output:
      return "output";
  }
  return "";
}

Judgement judge(const Scenario& scenario, const Evidence& evidence, const std::vector<Deviation>& deviations, bool strict) {
  const BatteryRecords& records = evidence.records;
  std::vector<json> checks = records.checks;
  judge_checks(scenario, deviations, checks);

  Judgement result;
  const auto with_checks = [&checks](Judgement judgement) {
    judgement.checks = std::move(checks);
    return judgement;
  };
  const auto broken = [&](std::string reason) {
    result.verdict = Verdict::harness_error;
    result.unexpected = true;
    result.reason = std::move(reason);
    return with_checks(result);
  };

  if (!evidence.not_started.empty()) return broken("could not be started: " + evidence.not_started);
  if (evidence.limit != Limit::none || records.signal || records.exception || evidence.exit.signal != 0 || !records.end) {
    // An exit with broken records says more by its records than by its status.
    if (evidence.limit == Limit::none && !records.signal && !records.exception && evidence.exit.signal == 0 &&
        !records.problems.empty())
      return broken(records.problems.front());
    return with_checks(judge_death(scenario, evidence, deviations));
  }
  if (!records.problems.empty()) return broken(records.problems.front());

  const json& end = *records.end;
  std::set<std::string> declared(scenario.requirements.begin(), scenario.requirements.end());
  // What every call promises, and the oracle's rules, are watched in all scenarios, and declared by one only when broken.
  for (const json& id : end["declared"])
    if (is_promise(id.get<std::string>())) declared.insert(id.get<std::string>());
  std::set<std::string> checked;
  for (const json& check : checks) {
    const std::string requirement = text_of(check, "requirement");
    if (declared.count(requirement) == 0) return broken(fmt::format("checked '{}', which it does not declare", requirement));
    checked.insert(requirement);
  }
  const std::string verdict = text_of(end, "verdict");
  const std::string detail = text_of(end, "detail");
  if (verdict == "harness_error") return broken(detail.empty() ? "the battery reports an error of its own" : detail);

  // The highest level that failed, known deviations aside.
  const json* failure = nullptr;
  for (const json& check : checks)
    if (check["verdict"] == "failed" && (failure == nullptr || rank(text_of(check, "level")) > rank(text_of(*failure, "level"))))
      failure = &check;
  const bool any_failed_check =
      std::any_of(records.checks.begin(), records.checks.end(), [](const json& check) { return check["verdict"] == "failed"; });

  if (verdict == "failed" || failure != nullptr || any_failed_check) {
    if (verdict != "failed") return broken(fmt::format("a check failed, but the end record says {}", verdict));
    if (failure != nullptr) {
      result.level = text_of(*failure, "level").empty() ? "MUST" : text_of(*failure, "level");
      result.reason = describe_failure(*failure);
    }
    const Deviation* const known_step =
        records.steps.size() == 1 ? find_deviation(deviations, scenario, {}, "step:" + text_of(records.steps.front(), "outcome"))
                                  : nullptr;
    // A failed step, or a failure with no failed check behind it, counts in full.
    if (known_step == nullptr && (!records.steps.empty() || (failure == nullptr && !any_failed_check))) {
      result.level = "MUST";
      if (failure == nullptr || rank(text_of(*failure, "level")) < 2)
        result.reason = !records.steps.empty() ? describe_steps(records.steps.front())
                        : !detail.empty()      ? detail
                                               : "the battery reports a failure outside of any check";
    }
    if (!result.level.empty()) {
      result.verdict = Verdict::failed;
      result.unexpected = result.level == "MUST" || strict;
      return with_checks(result);
    }
    result.verdict = Verdict::known_deviation;
    result.unexpected = false;
    const json* known = first_with(checks, "known_deviation");
    if (known_step != nullptr) result.reason = describe_steps(records.steps.front()) + " (known): " + known_step->reason;
    if (known != nullptr)
      result.reason = fmt::format("{}: {}", text_of(*known, "requirement"), text_of((*known)["deviation"], "reason"));
    if (const json* passed = first_with(checks, "unexpected_pass")) {
      result.verdict = Verdict::unexpected_pass;
      result.unexpected = true;
      result.reason = fmt::format("{} passed where a deviation is known", text_of(*passed, "requirement"));
    }
    return with_checks(result);
  }

  if (verdict == "not_supported") {
    result.verdict = Verdict::not_supported;
    result.unexpected = false;
    result.reason = records.missing.empty() ? detail : text_of(records.missing.front(), "detail");
    if (!records.missing.empty())
      result.reason =
          fmt::format("{}{}{}", text_of(records.missing.front(), "capability"), result.reason.empty() ? "" : ": ", result.reason);
    if (result.reason.empty()) result.reason = "not supported";
    return with_checks(result);
  }

  // passed or observed: only with everything that was promised.
  if (evidence.exit.status != 0) {
    // Something went wrong on the way out: a destructor, a sanitizer's last report.
    result.verdict = Verdict::crashed;
    result.level = "MUST";
    result.reason = fmt::format("ended with status {} after its end record said {}", evidence.exit.status, verdict);
    return with_checks(result);
  }
  if (!records.begun) return broken("no begin record");
  if (!records.steps.empty())
    return broken(fmt::format("the end record says {}, but {}", verdict, describe_steps(records.steps.front())));
  for (const std::string& requirement : scenario.requirements)
    if (checked.count(requirement) == 0) return broken(fmt::format("declared '{}', but never checked it", requirement));
  result.unexpected = false;
  if (const json* passed = first_with(checks, "unexpected_pass")) {
    result.verdict = Verdict::unexpected_pass;
    result.unexpected = true;
    result.reason = fmt::format("{} passed where a deviation is known", text_of(*passed, "requirement"));
  } else if (std::any_of(deviations.begin(), deviations.end(), [&](const Deviation& deviation) {
               return deviation.scenario == scenario.name && deviation.family == scenario.family && of_the_whole(deviation);
             })) {
    result.verdict = Verdict::unexpected_pass;
    result.unexpected = true;
    result.reason = "ran to its end where a hang, a crash or a failed step is known";
  } else {
    result.verdict = verdict == "observed" ? Verdict::observed : Verdict::passed;
  }
  return with_checks(result);
}

Verdict fold(const std::vector<Verdict>& verdicts) {
  const bool same = std::all_of(verdicts.begin(), verdicts.end(), [&](Verdict verdict) { return verdict == verdicts.front(); });
  return same ? verdicts.front() : Verdict::flaky;
}

}  // namespace sockproof::runner
