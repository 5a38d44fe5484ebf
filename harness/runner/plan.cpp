#include "plan.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "failure.h"
#include "filter.h"
#include "process.h"
#include "sha256.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kListLimitMs = 60'000;

unsigned usable_cores() {
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) return static_cast<unsigned>(std::max(1, CPU_COUNT(&cores)));
  return static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

// Asks the battery itself, without the launcher: what it has does not depend on where it will run.
std::string ask_battery(const fs::path& battery, const RunFacts& facts, const std::string& question) {
  std::vector<std::string> arguments = for_job(facts.emulator, 0);
  arguments.insert(arguments.end(),
                   {battery.string(), "--provider=" + facts.target.provider, "--profile=" + facts.target.profile, question});
  if (facts.selftest) arguments.push_back("--selftest");
  const Captured answer = capture(arguments, child_environment({}), kListLimitMs);
  if (answer.timed_out) throw Failure(fmt::format("{} {} did not end", battery.string(), question));
  if (answer.exit.status != 0 || answer.exit.signal != 0) {
    const std::string why = answer.exit.signal != 0 ? fmt::format("died of signal {}", answer.exit.signal)
                                                    : fmt::format("exited with status {}", answer.exit.status);
    throw Failure(fmt::format("{} {} {}: {}", battery.string(), question, why, printable(answer.error.substr(0, 2000))));
  }
  return answer.output;
}

// The object among what a provider has to say of its own when it is opened and closed.
json find_info(std::string_view output) {
  json info;
  while (!output.empty()) {
    const std::size_t newline = output.find('\n');
    const std::string_view line = output.substr(0, newline);
    output.remove_prefix(newline == std::string_view::npos ? output.size() : newline + 1);
    if (line.empty() || line.front() != '{') continue;
    json parsed = json::parse(line, nullptr, false);
    if (parsed.is_object() && parsed.contains("catalogue_digest")) info = std::move(parsed);
  }
  return info;
}

Target choose_target(const Options& options) {
  if (!options.target_file.empty()) return read_target(options.target_file, fs::absolute(options.battery).parent_path());
  Target target;
  target.name = options.provider;
  target.provider = options.provider;
  target.profile = options.profile;
  return target;
}

// The entry of Windows' catalogue that sockets are made of is an argument of the provider that is Windows itself.
std::string with_entry(const std::string& provider, const std::string& entry) {
  if (entry.empty()) return provider;
  const bool has_argument = provider.rfind("winsock:", 0) == 0;
  if (!has_argument && provider != "winsock")
    throw Failure(fmt::format(
        "--protocol-id and --provider-guid choose among what ws2_32 offers: they go with winsock, not with '{}'", provider));
  return provider + (has_argument ? "," : ":") + entry;
}

// What an earlier run had asked for beside what its target's file says.
std::string entry_of(const std::string& provider, const std::string& in_file) {
  const bool longer = provider.size() > in_file.size() + 1 && provider.compare(0, in_file.size(), in_file) == 0;
  return longer && in_file.rfind("winsock", 0) == 0 ? provider.substr(in_file.size() + 1) : std::string();
}

// A name for files and the like.
std::string plain_name(const std::string& name) {
  std::string plain;
  for (const char c : name)
    plain +=
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ? c : '_';
  return plain.empty() || plain.front() == '.' ? "_" + plain : plain;
}

// With --resume, what was not said again is as it was.
Options with_earlier(const Options& given, const json& run) {
  Options options = given;
  const json& target = run.at("target");
  if (options.target_file.empty() && options.provider.empty()) {
    if (target.at("file").is_string()) {
      options.target_file = target.at("file").get<std::string>();
    } else {
      options.provider = target.at("provider").get<std::string>();
      options.profile = target.at("profile").get<std::string>();
    }
  }
  if (!options.filter) options.filter = run.at("filter").get<std::string>();
  if (!options.repeat) options.repeat = run.at("repeat").get<unsigned>();
  if (!options.seed) options.seed = run.at("seed").get<std::uint64_t>();
  if (!options.launcher && run.at("launcher_mode") == "scenario") {
    std::string launcher;
    for (const json& word : run.at("launcher")) launcher += (launcher.empty() ? "" : " ") + quote_word(word.get<std::string>());
    options.launcher = launcher;
  }
  options.strict = options.strict || run.at("strict").get<bool>();
  options.selftest = options.selftest || run.at("selftest").get<bool>();
  if (options.shard.total == 1 && run.at("shard").is_object())
    options.shard = {run["shard"].at("total").get<unsigned>(), run["shard"].at("index").get<unsigned>()};
  return options;
}

// The loader says of a library that it cannot find only that it is ignored, and goes on without it: every scenario would pass, on
// what nobody wanted to test. Names without a slash are looked for in the loader's own places, and not looked at here.
void refuse_missing_preloads(const std::vector<std::string>& launcher) {
  constexpr std::string_view kVariable = "LD_PRELOAD=";
  if (launcher.empty() || fs::path(launcher.front()).filename() != "env") return;
  for (std::size_t i = 1; i < launcher.size() && launcher[i].find('=') != std::string::npos; ++i) {
    if (launcher[i].rfind(kVariable, 0) != 0) continue;
    std::string_view names = std::string_view(launcher[i]).substr(kVariable.size());
    while (!names.empty()) {
      const std::size_t end = std::min(names.find_first_of(": "), names.size());
      const std::string name(names.substr(0, end));
      names.remove_prefix(std::min(end + 1, names.size()));
      if (name.find('/') != std::string::npos && name.find('$') == std::string::npos && !fs::exists(name))
        throw Failure(fmt::format("the launcher preloads '{}', which does not exist", name));
    }
  }
}

// Results of different things do not belong into one file.
void refuse_if_different(const json& earlier, const json& now) {
  const auto compare = [&](const json::json_pointer& field, const char* what) {
    if (earlier.value(field, json(nullptr)) != now.value(field, json(nullptr)))
      throw Failure(fmt::format("cannot resume: {} is not that of the earlier run (was {}, is {}); --resume-anyway mixes them",
                                what, earlier.value(field, json(nullptr)).dump(), now.value(field, json(nullptr)).dump()));
  };
  using pointer = json::json_pointer;
  compare(pointer("/battery/sha256"), "the battery");
  compare(pointer("/target/name"), "the target");
  compare(pointer("/target/digest"), "the target's file");
  compare(pointer("/target/provider"), "the provider");
  compare(pointer("/target/profile"), "the profile");
  compare(pointer("/provider/digest"), "the provider's file");
  compare(pointer("/launcher"), "the launcher");
  compare(pointer("/filter"), "the filter");
  compare(pointer("/shard"), "the shard");
  compare(pointer("/repeat"), "the number of repeats");
  compare(pointer("/seed"), "the seed");
  compare(pointer("/strict"), "--strict");
}

}  // namespace

Plan make_plan(const Options& given) {
  Plan plan;
  Options options = given;
  if (options.resume) {
    plan.earlier = read_earlier(*options.resume / "results.jsonl");
    try {
      options = with_earlier(given, plan.earlier->run);
    } catch (const json::exception& error) {
      throw Failure(fmt::format("{}: its run record cannot be read: {}", options.resume->string(), error.what()));
    }
  }
  RunFacts& facts = plan.facts;
  facts.target = choose_target(options);
  if (plan.earlier && options.catalogue_entry.empty())
    options.catalogue_entry =
        entry_of(plan.earlier->run.value(json::json_pointer("/target/provider"), std::string()), facts.target.provider);
  facts.target.provider = with_entry(facts.target.provider, options.catalogue_entry);
  facts.target.name = plain_name(facts.target.name);
  plan.battery = fs::absolute(options.battery);
  if (!options.target_file.empty()) {
    facts.target_path = fs::absolute(options.target_file).string();
    facts.target_digest = sha256_of_file(options.target_file);
  }
  if (options.launcher) {
    facts.launcher_replaced = *options.launcher != facts.target.launcher;
    facts.target.launcher = *options.launcher;
    facts.target.launcher_each_scenario = true;
  }
  if (facts.target.launcher_each_scenario) {
    facts.launcher = split_command(facts.target.launcher);
    if (!facts.launcher.empty() && find_program(facts.launcher.front()).empty())
      throw Failure(fmt::format("the launcher's program '{}' cannot be found", facts.launcher.front()));
    refuse_missing_preloads(facts.launcher);
  }
  facts.emulator = split_command(options.emulator);
  if (facts.target.for_windows && facts.emulator.empty())
    throw Failure(
        fmt::format("the battery of target '{}' is a Windows program: --emulator says what runs it", facts.target.name));
  if (!facts.emulator.empty() && find_program(facts.emulator.front()).empty())
    throw Failure(fmt::format("the emulator's program '{}' cannot be found", facts.emulator.front()));
  facts.fault = options.fault;
  if (!facts.fault.empty()) facts.target.provider = fmt::format("faulty:{}:{}", facts.fault, facts.target.provider);
  facts.filter = options.filter.value_or("*");
  facts.cores = usable_cores();
  facts.jobs = options.jobs.value_or(facts.cores);
  facts.repeat = options.repeat.value_or(1);
  facts.seed = options.seed.value_or(1);
  facts.strict = options.strict;
  facts.selftest = options.selftest;
  facts.timeout_scale = options.timeout_scale;
  facts.shard = options.shard;
  facts.argv = options.argv;
  facts.battery_path = plan.battery.string();
  facts.battery_digest = options.battery_digest.empty() ? sha256_of_file(plan.battery) : options.battery_digest;

  const auto ask = [&](const char* question) { return ask_battery(plan.battery, facts, question); };
  const std::vector<Scenario> all = parse_scenarios(ask("--list=scenarios"));
  plan.scenarios = select(all, Filter(facts.filter), facts.shard);
  facts.scenarios = plan.scenarios.size();
  plan.requirements = parse_requirements(ask("--list=requirements"));
  check_deviations(facts.target, all, plan.requirements);
  if (options.list) return plan;

  facts.info = find_info(ask("--info"));
  if (!facts.info.is_object()) throw Failure("the battery's --info is not a JSON object");
  facts.isolation = find_isolation(options.isolation.value_or(facts.target.isolation) == IsolationWish::automatic);
  if (plan.earlier && !options.resume_anyway) refuse_if_different(plan.earlier->run, run_record(facts));
  return plan;
}

}  // namespace sockproof::runner
