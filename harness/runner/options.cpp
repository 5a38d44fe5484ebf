#include "options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>

#include "failure.h"

namespace sockproof::runner {
namespace {

std::optional<unsigned> number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  unsigned value = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end) throw Failure(std::string(name) + "=" + text + " is not a number");
  return value;
}

Shard shard_from_environment() {
  const auto total = number_from_environment("GTEST_TOTAL_SHARDS");
  const auto index = number_from_environment("GTEST_SHARD_INDEX");
  if (!total && !index) return {};
  if (!total || !index) throw Failure("GTEST_TOTAL_SHARDS and GTEST_SHARD_INDEX go together; only one of them is set");
  if (*total == 0 || *index >= *total) throw Failure("GTEST_SHARD_INDEX must be below GTEST_TOTAL_SHARDS");
  return {*total, *index};
}

}  // namespace

std::optional<Options> read_options(int argc, char** argv) {
  Options options;
  options.argv.assign(argv, argv + argc);
  std::uint64_t seed = 0;
  unsigned jobs = 0;
  unsigned repeat = 0;
  unsigned max_processes = 0;
  std::uint32_t protocol_id = 0;
  std::string provider_guid;
  std::string launcher;
  std::string filter;
  std::string output;
  std::string resume;

  CLI::App app{"Runs the scenarios of a sockproof battery, one process each, and writes results.jsonl."};
  app.add_option("--battery", options.battery, "the sockproof-battery program")->required()->check(CLI::ExistingFile);
  app.add_option("--battery-digest", options.battery_digest, "its SHA-256, for one who runs the same program many times");
  auto* target = app.add_option("--target", options.target_file, "target file (TOML)")->check(CLI::ExistingFile);
  auto* provider = app.add_option("--provider", options.provider, "PROVIDER[:ARG], in place of a target file");
  auto* profile = app.add_option("--profile", options.profile, "the documents that the provider answers to");
  target->excludes(provider)->excludes(profile);
  provider->needs(profile);
  auto* protocol_option =
      app.add_option("--protocol-id", protocol_id, "provider winsock: the entry of the catalogue of this number");
  auto* guid_option =
      app.add_option("--provider-guid", provider_guid, "provider winsock: the entries of the catalogue that this provider made");
  profile->needs(provider);
  auto* launcher_option =
      app.add_option("--launcher", launcher, "a command to put before each scenario's program (replaces the target's)");
  app.add_option("--emulator", options.emulator,
                 "a command that runs the battery, whatever it is asked; {job} becomes a number below that of the jobs");
  auto* filter_option = app.add_option("--filter", filter, "scenarios to run: GoogleTest syntax, 'A*:B.c/?-B.slow*'");
  auto* jobs_option =
      app.add_option("--jobs,-j", jobs, "processes that may use a core at once (default: the cores)")->check(CLI::Range(1, 4096));
  auto* repeat_option =
      app.add_option("--repeat", repeat, "run everything N times; differing verdicts are flaky")->check(CLI::Range(1, 1000000));
  auto* seed_option = app.add_option("--seed", seed, "for what a provider draws by lot (default: 1)");
  auto* fault_option =
      app.add_option("--fault", options.fault, "put one seeded fault into the provider; the battery must notice");
  auto* faults_option =
      app.add_option(
             "--faults", options.faults,
             "a JSON file of [{\"fault\": NAME, \"requirements\": [ID...]}]: put each into the provider, and say who notices")
          ->check(CLI::ExistingFile)
          ->excludes(fault_option);
  app.add_flag("--stop-at-first", options.stop_at_first,
               "end the run at the first unexpected result; with --faults, each fault's");
  app.add_flag("--strict", options.strict, "a SHOULD that fails is unexpected");
  auto* output_option = app.add_option("--output", output, "directory for results.jsonl");
  auto* resume_option = app.add_option("--resume", resume, "finish the run in this directory")->check(CLI::ExistingDirectory);
  output_option->excludes(resume_option);
  app.add_flag("--resume-anyway", options.resume_anyway, "resume although battery, target or options are others")
      ->needs(resume_option);
  app.add_option("--timeout-scale", options.timeout_scale, "multiplies every scenario's time limit")
      ->check(CLI::Range(0.01, 1000.0));
  app.add_option_function<std::string>(
         "--isolation",
         [&options](const std::string& text) {
           options.isolation = text == "none" ? IsolationWish::none : IsolationWish::automatic;
         },
         "auto: a network namespace for each scenario where allowed; none")
      ->check(CLI::IsMember({"auto", "none"}));
  app.add_option("--memory-limit", options.memory_limit_mib, "resident memory of a scenario in MiB")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--output-limit", options.output_limit_mib, "output of a scenario in MiB")->check(CLI::Range(1, 4096));
  auto* max_option = app.add_option("--max-processes", max_processes, "scenarios alive at once, waiting ones included")
                         ->check(CLI::Range(1, 100000));
  app.add_flag("--stream", options.stream, "each record on standard output as well, a JSON object a line");
  auto* stream_only = app.add_flag("--stream-only", options.stream_only, "records on standard output, and no directory at all");
  stream_only->excludes(output_option)->excludes(resume_option);
  faults_option->needs(stream_only);
  app.add_flag("--list", options.list, "print the names that would run, and run nothing");
  app.add_flag("--selftest", options.selftest, "with the battery's hidden scenarios that test the harness");
  app.add_flag("!--no-stacks", options.stacks, "never call a debugger");
  app.add_option_function<std::string>(
         "--format",
         [&options](const std::string& text) { options.format = text == "failures" ? Format::failures : Format::text; },
         "what goes to standard output at the end: text (a table) or failures (names only)")
      ->check(CLI::IsMember({"text", "failures"}));
  app.footer(
      "Exit codes: 0 as expected; 1 something unexpected (failure, unexpected pass, flake, crash, hang);\n"
      "2 the harness itself failed or was interrupted; 3 nothing ran or everything was not_supported.\n"
      "GTEST_TOTAL_SHARDS and GTEST_SHARD_INDEX are honoured.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    throw Failure(std::string(error.what()) + " (see --help)");
  }
  if (options.target_file.empty() && options.provider.empty() && resume.empty())
    throw Failure("say what to test: --target FILE, or --provider P with --profile N");
  if (protocol_option->count() != 0) options.catalogue_entry = "id=" + std::to_string(protocol_id);
  if (guid_option->count() != 0)
    options.catalogue_entry += (options.catalogue_entry.empty() ? "guid=" : ",guid=") + provider_guid;
  if (launcher_option->count() != 0) options.launcher = launcher;
  if (filter_option->count() != 0) options.filter = filter;
  if (jobs_option->count() != 0) options.jobs = jobs;
  if (repeat_option->count() != 0) options.repeat = repeat;
  if (seed_option->count() != 0) options.seed = seed;
  if (output_option->count() != 0) options.output = output;
  if (resume_option->count() != 0) options.resume = resume;
  if (max_option->count() != 0) options.max_processes = max_processes;
  if (options.stream_only) options.stream = true;
  if (options.stream && options.format == Format::failures)
    throw Failure("--stream and --format failures both want standard output");
  options.shard = shard_from_environment();
  return options;
}

}  // namespace sockproof::runner
