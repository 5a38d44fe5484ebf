#include "records.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>

#include "failure.h"
#include "filter.h"
#include "sha256.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;

constexpr std::size_t kTraceLines = 200;
constexpr int kFormatVersion = 1;

json or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

double milliseconds(std::int64_t microseconds) { return static_cast<double>(microseconds) / 1000.0; }
double rounded(double value) { return std::round(value * 1000.0) / 1000.0; }

json text_in(const json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string() ? object[key] : json(nullptr);
}

json machine() {
  utsname name{};
  ::uname(&name);
  const std::int64_t pages = ::sysconf(_SC_PHYS_PAGES);
  return {{"system", name.sysname},
          {"release", name.release},
          {"version", name.version},
          {"architecture", name.machine},
          {"cores", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"memory_mib", pages / 1024 * ::sysconf(_SC_PAGESIZE) / 1024}};
}

// A provider that is a file of its own (lib:PATH, shim:PATH) is known by its bytes as well.
json provider_digest(const std::string& provider) {
  const std::size_t colon = provider.find(':');
  if (colon == std::string::npos) return nullptr;
  const std::string argument = provider.substr(colon + 1);
  return or_null(sha256_of_file(argument.substr(0, argument.find(' '))));
}

// What to give to `./sockproof run` to get this target: its name if it is one of those that come with sockproof.
std::string target_word(const RunFacts& facts) {
  const std::size_t before = facts.fault.empty() ? 0 : std::string("faulty:").size() + facts.fault.size() + 1;
  if (facts.target_path.empty()) return facts.target.provider.substr(before);
  const std::filesystem::path file(facts.target_path);
  const bool known = file.stem() == facts.target.name && file.parent_path().filename() == "targets";
  return known ? facts.target.name : facts.target_path;
}

std::string replay_command(const RunFacts& facts, const Scenario& scenario) {
  std::string command = fmt::format("./sockproof run {}", quote_word(target_word(facts)));
  command += fmt::format(" --filter {}", quote_word(scenario.name));
  if (facts.launcher_replaced) command += fmt::format(" --launcher {}", quote_word(facts.target.launcher));
  if (facts.target_path.empty() && facts.target.profile != "linux")
    command += fmt::format(" --profile {}", quote_word(facts.target.profile));
  if (!facts.fault.empty()) command += fmt::format(" --fault {}", quote_word(facts.fault));
  if (facts.seed != 1) command += fmt::format(" --seed {}", facts.seed);
  return command;
}

// One name or a list of them.
json texts_in(const json& object, const char* key) {
  json texts = json::array();
  if (!object.is_object() || !object.contains(key)) return texts;
  if (object[key].is_string() && object[key] != "") texts.push_back(object[key]);
  if (object[key].is_array())
    for (const json& text : object[key])
      if (text.is_string()) texts.push_back(text);
  return texts;
}

// The implementation's own code as one value, however the battery wraps it.
json native_code(const json& check) {
  if (!check.contains("native")) return nullptr;
  const json& native = check["native"];
  if (native.is_object() && native.contains("code") && native["code"].is_number_integer()) return native["code"];
  return native.is_number_integer() || native.is_string() ? native : json(nullptr);
}

}  // namespace

json run_record(const RunFacts& facts) {
  const json& info = facts.info;
  const json build = info.is_object() && info.contains("build") ? info["build"] : json::object();
  const json provider = info.is_object() && info.contains("provider") ? info["provider"] : json::object();
  json shard = nullptr;
  if (facts.shard.total > 1) shard = {{"total", facts.shard.total}, {"index", facts.shard.index}};
  return {
      {"record", "run"},
      {"format", kFormatVersion},
      {"started", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
      {"target",
       {{"name", facts.target.name},
        {"text", facts.target.text},
        {"file", or_null(facts.target_path)},
        {"digest", or_null(facts.target_digest)},
        {"provider", facts.target.provider},
        {"profile", facts.target.profile},
        {"environment", facts.target.environment}}},
      {"provider",
       {{"name", text_in(provider, "name")},
        {"version", text_in(provider, "version")},
        {"digest", provider_digest(facts.target.provider)}}},
      {"launcher", facts.launcher},
      {"launcher_mode", facts.target.launcher_each_scenario ? "scenario" : "run"},
      {"machine", machine()},
      {"sysctls", facts.isolation.sysctls},
      {"isolation",
       {{"mode", name_of(facts.isolation.isolation)},
        {"user_namespace", facts.isolation.isolation == Isolation::user_netns},
        {"reason", or_null(facts.isolation.reason)}}},
      {"catalogue_digest", text_in(info, "catalogue_digest")},
      {"build",
       {{"compiler", text_in(build, "compiler")},
        {"type", text_in(build, "type")},
        {"flags", text_in(build, "flags")},
        {"sanitizers", texts_in(build, "sanitizers")}}},
      {"capabilities", texts_in(info, "capabilities")},
      {"battery", {{"path", facts.battery_path}, {"sha256", facts.battery_digest}}},
      {"filter", facts.filter},
      {"shard", shard},
      {"selftest", facts.selftest},
      {"scenarios", facts.scenarios},
      {"seed", facts.seed},
      {"jobs", facts.jobs},
      {"repeat", facts.repeat},
      {"strict", facts.strict},
      {"timeout_scale", facts.timeout_scale},
      {"argv", facts.argv},
  };
}

std::vector<json> requirement_records(const std::map<std::string, RequirementEntry>& requirements) {
  std::vector<json> records;
  for (const auto& [id, entry] : requirements)
    records.push_back({{"record", "requirement"},
                       {"id", id},
                       {"area", entry.area},
                       {"text", entry.text},
                       {"needs", entry.needs},
                       {"level", or_null(entry.level)},
                       {"allow", entry.allow},
                       {"cite", entry.cite},
                       {"entry_of", or_null(entry.entry_of)}});
  return records;
}

std::vector<json> scenario_records(const RunFacts& facts, const Outcome& outcome) {
  const Scenario& scenario = *outcome.scenario;
  std::vector<json> records;
  for (const json& check : outcome.judgement.checks) {
    const json level = check.contains("level") && check["level"] != "" ? check["level"] : json(nullptr);
    records.push_back({{"record", "check"},
                       {"scenario", scenario.name},
                       {"area", scenario.area},
                       {"family", scenario.family},
                       {"repeat", outcome.repeat},
                       {"requirement", check["requirement"]},
                       {"outcome", check["outcome"]},
                       {"native", native_code(check)},
                       {"allowed", check.contains("allowed") ? check["allowed"] : json::array()},
                       {"level", level},
                       {"verdict", check["verdict"]},
                       {"citation", check.contains("citation") ? check["citation"] : json::array()},
                       {"where", check.contains("where") ? check["where"] : json("")},
                       {"detail", check.contains("detail") ? check["detail"] : json("")},
                       {"deviation", check.contains("deviation") ? check["deviation"] : json(nullptr)}});
  }
  json stacks = json::array();
  for (const Stack& stack : outcome.stacks.stacks)
    stacks.push_back(fmt::format("process {} {}\n{}", stack.pid, stack.thread, fmt::join(stack.frames, "\n")));
  std::vector<std::string> trace = outcome.trace;
  std::int64_t dropped = outcome.trace_dropped;
  if (trace.size() > kTraceLines) {
    dropped += static_cast<std::int64_t>(trace.size() - kTraceLines);
    trace.erase(trace.begin(), trace.end() - static_cast<std::ptrdiff_t>(kTraceLines));
  }
  const Evidence& evidence = outcome.evidence;
  json exit = nullptr;
  if (evidence.not_started.empty()) {
    const int signal = evidence.records.signal && evidence.limit == Limit::none ? *evidence.records.signal : evidence.exit.signal;
    exit =
        signal != 0 ? json{{"status", nullptr}, {"signal", signal}} : json{{"status", evidence.exit.status}, {"signal", nullptr}};
  }
  records.push_back({{"record", "scenario"},
                     {"name", scenario.name},
                     {"area", scenario.area},
                     {"family", scenario.family},
                     {"repeat", outcome.repeat},
                     {"verdict", name_of(outcome.judgement.verdict)},
                     {"unexpected", outcome.judgement.unexpected},
                     {"reason", outcome.judgement.reason},
                     {"level", or_null(outcome.judgement.level)},
                     {"requirements", scenario.requirements},
                     {"steps", evidence.records.steps},
                     {"missing", evidence.records.missing},
                     {"oracle", evidence.records.oracle},
                     {"duration_ms", rounded(milliseconds(outcome.duration_us))},
                     {"cpu_ms", rounded(milliseconds(outcome.use.processor_us))},
                     {"max_rss_kib", outcome.use.most_resident_kib},
                     {"exit", exit},
                     {"limit", or_null(std::string(name_of(evidence.limit)))},
                     {"stragglers", outcome.stragglers},
                     {"stacks", stacks},
                     {"stacks_missing", or_null(outcome.stacks.missing)},
                     {"trace", trace},
                     {"trace_dropped", dropped},
                     {"output_tail", outcome.output_tail},
                     {"replay", replay_command(facts, scenario)}});
  if (const auto& said = evidence.records.trace; said && said->contains("digest") && (*said)["digest"].is_string())
    records.back()["trace_digest"] = (*said)["digest"];
  return records;
}

void Tally::add(const json& record) {
  Entry& entry = entries_[record.at("name").get<std::string>()];
  entry.area = record.at("area").get<std::string>();
  const auto verdict = verdict_named(record.at("verdict").get<std::string>());
  entry.verdicts.push_back(verdict.value_or(Verdict::harness_error));
  if (record.at("unexpected").get<bool>() && !entry.unexpected) {
    entry.unexpected = true;
    entry.reason = record.at("reason").get<std::string>();
  }
  entry.replay = record.at("replay").get<std::string>();
  ++results_;
  cpu_ms_ += record.at("cpu_ms").get<double>();
  longest_ms_ = std::max(longest_ms_, record.at("duration_ms").get<double>());
}

std::map<std::string, Tally::Folded> Tally::folded() const {
  std::map<std::string, Folded> all;
  for (const auto& [name, entry] : entries_) {
    Folded& folded = all[name];
    folded.area = entry.area;
    folded.verdict = fold(entry.verdicts);
    folded.unexpected = entry.unexpected || folded.verdict == Verdict::flaky;
    folded.reason = entry.reason;
    folded.replay = entry.replay;
    for (const Verdict verdict : entry.verdicts) ++folded.verdicts[std::string(name_of(verdict))];
  }
  return all;
}

json Tally::summary(std::int64_t wall_ms, std::int64_t runner_us, std::size_t expected_results, bool interrupted,
                    unsigned resumed) const {
  json counts = json::object();
  for (int i = 0; i < kVerdicts; ++i) counts[std::string(name_of(static_cast<Verdict>(i)))] = 0;
  json unexpected = json::array();
  json flaky = json::array();
  bool only_harness_errors = true;
  bool anything_supported = false;
  for (const auto& [name, entry] : folded()) {
    json& count = counts[std::string(name_of(entry.verdict))];
    count = count.get<int>() + 1;
    if (entry.verdict != Verdict::not_supported) anything_supported = true;
    if (entry.verdict == Verdict::flaky) flaky.push_back({{"name", name}, {"verdicts", entry.verdicts}});
    if (!entry.unexpected) continue;
    unexpected.push_back(name);
    if (entry.verdict != Verdict::harness_error) only_harness_errors = false;
  }
  int exit_code = kAsExpected;
  if (interrupted)
    exit_code = kHarnessFailed;
  else if (!unexpected.empty())
    exit_code = only_harness_errors ? kHarnessFailed : kUnexpected;
  else if (!anything_supported)
    exit_code = kNothingRan;

  // What no scheduling can go below: the longest scenario, and all processor time of the run spread over the cores.
  const double runner_ms = milliseconds(runner_us);
  const auto over = [&](double processor_ms) {
    const double bound = std::max(longest_ms_, processor_ms / facts_.cores);
    return bound > 0 ? json(rounded(static_cast<double>(wall_ms) / bound)) : json(nullptr);
  };
  return {{"record", "summary"},
          {"scenarios", entries_.size()},
          {"results", results_},
          {"not_run", expected_results - std::min(expected_results, results_)},
          {"counts", counts},
          {"unexpected", unexpected},
          {"flaky", flaky},
          {"wall_ms", wall_ms},
          {"cpu_ms", rounded(cpu_ms_)},
          {"runner_cpu_ms", rounded(runner_ms)},
          {"longest_ms", rounded(longest_ms_)},
          {"wall_over_bound", over(cpu_ms_ + runner_ms)},
          {"wall_over_scenarios", over(cpu_ms_)},
          {"wall_ms_per_result",
           results_ > 0 ? json(rounded(static_cast<double>(wall_ms) / static_cast<double>(results_))) : json(nullptr)},
          {"interrupted", interrupted},
          {"resumed", resumed},
          {"exit_code", exit_code}};
}

}  // namespace sockproof::runner
