#include "battery/records.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "battery/last_words.h"
#include "catalogue/contract.h"
#include "catalogue/outcomes.h"
#include "face/agent.h"
#include "face/flavor.h"
#include "face/platform.h"
#include "face/sameness.h"
#include "face/threads.h"
#include "face/trace.h"
#include "oracle/oracle.h"

namespace sockproof {
namespace {

using nlohmann::json;

constexpr std::string_view kMark = "@sockproof ";
constexpr std::size_t kTraceLines = 200;

// What was seen, for people: a call with a thousand buffers is not. Its begin says which call it was, its end how it went; the
// trace has all of it.
std::string Shortened(const std::string& text) {
  constexpr std::size_t kBegin = 600, kEnd = 200;
  if (text.size() <= kBegin + kEnd) return text;
  return text.substr(0, kBegin) + " ... " + text.substr(text.size() - kEnd);
}

json List(const TextList& list) {
  json array = json::array();
  for (const char* item : list) array.push_back(item);
  return array;
}

// Without the folder, of which compilers write either slash.
std::string_view FileName(std::string_view path) { return path.substr(path.find_last_of("/\\") + 1); }

// What a provider hands over need not be UTF-8.
std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

std::string TraceRecord() {
  const uint64_t written = Trace::Get().LinesWritten();
  const std::vector<std::string> lines = Trace::Get().Tail(kTraceLines);
  json record{{"record", "trace"}, {"lines", lines}, {"dropped", written - std::min<uint64_t>(written, lines.size())}};
  if (const std::string digest = TraceDigest(); !digest.empty()) record["digest"] = digest;
  return Dump(record);
}

struct Recorder::State {
  std::mutex mutex;  // held for each record, and never given back by who ends the process
  bool ended = false;
  std::string scenario;
  std::vector<const Requirement*> declared;
  std::set<const Requirement*> checked;
  std::set<const Requirement*> undeclared;
  std::set<std::string> broken_rules;  // of the oracle
  bool any_failed = false;
  bool any_judged = false;  // a check that could have failed
  Level worst = Level::kObserved;
  uint64_t handles_before = 0;
  bool counts_handles = false;
  int64_t process = 0;
};

Recorder& Recorder::Get() {
  static Recorder recorder;
  return recorder;
}

Recorder::State& Recorder::state() const {
  static State state;
  return state;
}

void Recorder::Write(const std::string& text) {
  // The mark stands at the beginning of a line even if the implementation has printed half of one.
  std::string line = "\n";
  line += kMark;
  line += text;
  line += '\n';
  WriteRecordStream(line.data(), line.size());
}

void Recorder::WriteTrace() { Write(TraceRecord()); }

void Recorder::WriteEnd(std::string_view verdict, std::string_view level, const std::string& detail) {
  json declared = json::array(), checked = json::array();
  for (const Requirement* requirement : state().declared) declared.push_back(requirement->id);
  for (const Requirement* requirement : state().checked) checked.push_back(requirement->id);
  for (const std::string& rule : state().broken_rules) {
    declared.push_back(rule);
    checked.push_back(rule);
  }
  WriteTrace();
  Write(Dump(json{{"record", "end"},
                  {"scenario", state().scenario},
                  {"verdict", verdict},
                  {"level", level},
                  {"declared", declared},
                  {"checked", checked},
                  {"detail", detail}}));
  state().ended = true;
}

void Recorder::Leave(int code) {
  // Threads may still be blocked in the provider: nothing is unwound, the process simply ends.
  if (platform::ProcessId() == state().process) {
    KillAgents();
    RemoveScratchDirectory();
  }
  EndProcess(code);
}

void Recorder::Begin(std::string scenario, std::vector<const Requirement*> declared) {
  State& now = state();
  now.ended = false;
  now.scenario = std::move(scenario);
  now.declared = std::move(declared);
  now.checked.clear();
  now.undeclared.clear();
  now.broken_rules.clear();
  now.any_failed = now.any_judged = false;
  now.worst = Level::kObserved;
  now.process = platform::ProcessId();
  Host& host = Host::Get();
  now.counts_handles =
      host.counters.open_handles != nullptr && host.counters.open_handles(host.self(), &now.handles_before) == SP_OK;
  Write(Dump(json{{"record", "begin"}, {"scenario", now.scenario}, {"pid", platform::ProcessId()}}));
}

bool Recorder::Check(const Requirement& requirement, const Outcome& outcome, Where where) {
  State& now = state();
  const std::lock_guard<std::mutex> lock(now.mutex);
  if (now.ended) return true;  // a thread that the scenario left behind: its time is over
  const Entry* entry = requirement.For(profile_);
  if (std::find(now.declared.begin(), now.declared.end(), &requirement) == now.declared.end())
    now.undeclared.insert(&requirement);
  now.checked.insert(&requirement);
  const bool allowed = entry != nullptr && entry->allow.Contains(outcome.name());
  const bool can_fail = entry != nullptr && entry->level >= Level::kShould;
  const char* verdict = !can_fail ? "observed" : allowed ? "passed" : "failed";
  now.any_judged = now.any_judged || can_fail;
  json native = nullptr;
  if (outcome.native() != 0) native = json{{"code", outcome.native()}};
  Write(Dump(json{{"record", "check"},
                  {"requirement", requirement.id},
                  {"outcome", outcome.name()},
                  {"native", native},
                  {"allowed", entry != nullptr ? List(entry->allow) : json::array()},
                  {"level", entry != nullptr ? LevelName(entry->level) : "OBSERVED"},
                  {"verdict", verdict},
                  {"citation", entry != nullptr ? List(entry->cite) : json::array()},
                  {"where", fmt::format("{}:{}", FileName(where.file), where.line)},
                  {"detail", Shortened(outcome.detail())}}));
  if (!can_fail || allowed) return true;
  now.any_failed = true;
  now.worst = std::max(now.worst, entry->level);
  std::string expected, citation;
  for (const char* item : entry->allow) expected += fmt::format("{}{}", expected.empty() ? "" : " or ", item);
  for (const char* item : entry->cite) citation += fmt::format("{}{}", citation.empty() ? "" : "; ", item);
  std::string calls;
  for (const std::string& line : Trace::Get().Tail(8)) calls += "\n    " + line;
  ADD_FAILURE_AT(where.file, where.line) << fmt::format(
      "requirement {} ({} of profile {})\n  {}\n  expected: {}\n  seen:     {}{}\n  because:  {}\n  {}\n  last calls:{}",
      requirement.id, LevelName(entry->level), TheCatalogue().profiles[profile_].name, requirement.text, expected, outcome.name(),
      outcome.native() != 0 ? fmt::format(" (native code {})", outcome.native()) : "", citation, Shortened(outcome.detail()),
      calls);
  return false;
}

void Recorder::HearOracle() {
  State& now = state();
  const std::clock_t start = std::clock();
  std::vector<std::string> lines = Trace::Get().Tail(SIZE_MAX);
  const bool whole = lines.size() == Trace::Get().LinesWritten();
  const oracle::Judgement judgement = oracle::Judge(std::move(lines), profile_, whole);
  for (const oracle::Violation& violation : judgement.violations) {
    const std::string id = fmt::format("oracle.{}", violation.rule->name());
    now.broken_rules.insert(id);
    now.any_failed = true;
    now.worst = std::max(now.worst, violation.level);
    const std::string detail = fmt::format("{} The call: {}{}{}", violation.rule->text(), violation.call,
                                           violation.detail.empty() ? "" : "; ", violation.detail);
    Write(Dump(json{{"record", "check"},
                    {"requirement", id},
                    {"outcome", violation.outcome},
                    {"native", nullptr},
                    {"allowed", violation.allowed},
                    {"level", LevelName(violation.level)},
                    {"verdict", "failed"},
                    {"citation", json::array({violation.citation})},
                    {"where", fmt::format("line {} of the trace", violation.line + 1)},
                    {"detail", Shortened(detail)}}));
    ADD_FAILURE() << fmt::format("oracle rule {} ({})\n  {}", violation.rule->name(), LevelName(violation.level), detail);
  }
  json fired = json::object();
  uint64_t rules = 0;  // that say something about the profile
  for (const oracle::Rule* rule : oracle::Rule::All()) {
    if (rule->SpeaksOf(profile_)) ++rules;
    if (const uint32_t count = judgement.fired[rule->number()]; count > 0) fired[rule->name()] = count;
  }
  Write(Dump(json{{"record", "oracle"},
                  {"calls", judgement.calls},
                  {"judged", judgement.judged},
                  {"unknown", judgement.unknown},
                  {"microseconds", static_cast<int64_t>(std::clock() - start) * 1000000 / CLOCKS_PER_SEC},
                  {"rules", rules},
                  {"fired", fired}}));
}

bool Recorder::End() {
  State& now = state();
  Host& host = Host::Get();
  uint64_t handles = 0;
  // A thread that was left behind may hold handles of its own, and may be about to give them up.
  const bool alone = RunningWorkers() == 0;
  if (alone && now.counts_handles && host.counters.open_handles(host.self(), &handles) == SP_OK && handles > now.handles_before) {
    char text[4096];
    uint32_t size = sizeof text;
    std::string left;
    if (host.counters.describe_handles != nullptr && host.counters.describe_handles(host.self(), text, &size) == SP_OK) {
      left.assign(text, std::min<std::size_t>(size, sizeof text));
    }
    ContractBroken("handles_released", fmt::format("{} handles more than at the beginning, after everything was closed:\n{}",
                                                   handles - now.handles_before, left));
  }
  const std::lock_guard<std::mutex> lock(now.mutex);
  HearOracle();
  for (const Requirement* requirement : now.undeclared) {
    WriteEnd("harness_error", "MUST", fmt::format("{} was checked and is not declared", requirement->id));
    return false;
  }
  for (const Requirement* requirement : now.declared) {
    if (now.checked.count(requirement) != 0 || now.any_failed) continue;
    WriteEnd("harness_error", "MUST", fmt::format("{} is declared and was not checked", requirement->id));
    return false;
  }
  if (now.any_failed) {
    WriteEnd("failed", LevelName(now.worst), "");
    return false;
  }
  WriteEnd(now.any_judged ? "passed" : "observed", "", "");
  return true;
}

// Several threads may come to an end of the scenario at the same time: the first one ends it, the others wait for that.
std::unique_lock<std::mutex> Recorder::LastWord() {
  std::unique_lock<std::mutex> lock(state().mutex);
  if (!state().ended) return lock;
  lock.unlock();
  platform::SleepForEver();
}

void Recorder::NotSupported(std::string_view capability, const std::string& detail) {
  const std::unique_lock<std::mutex> lock = LastWord();
  Write(Dump(json{{"record", "not_supported"}, {"capability", capability}, {"detail", detail}}));
  HearOracle();
  if (state().any_failed) {
    WriteEnd("failed", LevelName(state().worst), "");
    Leave(1);
  }
  WriteEnd("not_supported", "", fmt::format("{}: {}", capability, detail));
  Leave(0);
}

void Recorder::StepFailed(Where where, const std::string& step, const Outcome& outcome) {
  const std::unique_lock<std::mutex> lock = LastWord();
  const std::string place = fmt::format("{}:{}", FileName(where.file), where.line);
  Write(Dump(
      json{{"record", "step"}, {"call", step}, {"outcome", outcome.name()}, {"detail", outcome.detail()}, {"where", place}}));
  HearOracle();
  WriteEnd("failed", "MUST", fmt::format("{}: a step that must succeed did not: {} ({})", place, step, outcome.name()));
  Leave(1);
}

void Recorder::ProviderDied(const std::string& what) {
  const std::unique_lock<std::mutex> lock = LastWord();
  Write(Dump(json{{"record", "died"}, {"detail", what}}));
  WriteTrace();
  Leave(1);
}

void Recorder::ProviderBroke(const std::string& what) {
  const std::unique_lock<std::mutex> lock = LastWord();
  WriteEnd("harness_error", "MUST", what);
  Leave(2);
}

void Recorder::NoSuchOption(Where where, int32_t option, const std::string& step, const Outcome& outcome) {
  const std::string_view name = OptionName(option);
  if (TheCatalogue().profiles[profile_].options.Contains(name)) StepFailed(where, step, outcome);
  NotSupported(name, "an option that the profile does not ask for: " + step);
}

void Recorder::ContractBroken(std::string_view promise, const std::string& detail) {
  const Requirement* broken = &contract::possible_result;
  if (promise == "output_within_length") broken = &contract::output_within_length;
  if (promise == "handles_released") broken = &contract::handles_released;
  {
    // What every call promises is declared by every scenario.
    const std::lock_guard<std::mutex> lock(state().mutex);
    if (std::find(state().declared.begin(), state().declared.end(), broken) == state().declared.end())
      state().declared.push_back(broken);
  }
  Check(*broken, Outcome(outcome::violated, detail), Where{__FILE__, __LINE__});
}

}  // namespace sockproof
