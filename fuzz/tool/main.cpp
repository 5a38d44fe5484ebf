// sockproof-fuzz: plays scripts, makes them smaller, turns traces into them, measures. ./sockproof fuzz and ./sockproof findings
// are made of it; docs/fuzzing.md shows both.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "catalogue/requirement.h"
#include "fuzz/campaign.h"
#include "fuzz/execute.h"
#include "fuzz/minimise.h"
#include "fuzz/tool/measure.h"
#include "fuzz/tool/search.h"

namespace sockproof::fuzz {
namespace {

using nlohmann::json;

constexpr int kHangs = 10'000;  // milliseconds that a script may take

struct Setting {
  std::string spec = "reference:linux", profile, fuzzer = "connection";
  int profile_number = -1;
};

bool Read(const std::string& file, Script* script, std::string* why) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    *why = "cannot read " + file;
    return false;
  }
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  // An input of the engine has bytes that no text has.
  std::string reason;
  if (Parse(bytes, script, &reason) && !script->empty()) return true;
  if (bytes.find_first_of(std::string("\0\1\2\3\4\5\6\7", 8)) == std::string::npos) {
    *why = file + ": " + reason;
    return false;
  }
  *script = Decode(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return true;
}

// What came of one run: the causes, or how the process ended.
struct Played {
  std::map<std::string, std::string> causes;  // and what is to be said about each
  std::vector<std::string> trace, outcomes;
};

Played PlayHere(const Setting& setting, const Script& script) {
  Played played;
  Provider provider;
  std::string why;
  if (!OwnNetwork(setting.spec, &why) || !provider.Load(setting.spec, &why)) {
    played.causes["fuzzer.provider"] = why;
    return played;
  }
  Ways ways;
  ways.drain = setting.fuzzer == "data";
  Execution done = ExecuteAndJudge(&provider, script, ways, setting.profile_number);
  for (const Breach& breach : done.breaches) played.causes.emplace(breach.cause, breach.detail);
  played.trace = std::move(done.trace);
  played.outcomes = std::move(done.outcomes);
  return played;
}

// In a process of its own, which may crash or hang.
Played Play(const Setting& setting, const Script& script) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  std::cout.flush();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    const Played played = PlayHere(setting, script);
    const json answer = {{"causes", played.causes}, {"trace", played.trace}, {"outcomes", played.outcomes}};
    const std::string text = answer.dump(-1, ' ', false, json::error_handler_t::replace);
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t wrote = ::write(ends[1], text.data() + at, text.size() - at);
      if (wrote <= 0) break;
      at += static_cast<std::size_t>(wrote);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  bool hung = false;
  for (char buffer[65536];;) {
    pollfd waiting{ends[0], POLLIN, 0};
    if (::poll(&waiting, 1, kHangs) == 0) {
      hung = true;
      ::kill(child, SIGKILL);
      break;
    }
    const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  Played played;
  if (hung) {
    played.causes["hang"] = fmt::format("not done after {} s", kHangs / 1000);
  } else if (WIFSIGNALED(status)) {
    played.causes[fmt::format("crash signal {}", WTERMSIG(status))] = "the process was ended by a signal";
  } else if (WEXITSTATUS(status) != 0) {
    played.causes[fmt::format("crash exit {}", WEXITSTATUS(status))] =
        "a sanitizer ended the process; what it said stands on standard error";
  } else if (const json answer = json::parse(text, nullptr, false); !answer.is_discarded()) {
    played.causes = answer["causes"].get<std::map<std::string, std::string>>();
    played.trace = answer["trace"].get<std::vector<std::string>>();
    played.outcomes = answer["outcomes"].get<std::vector<std::string>>();
  }
  return played;
}

int Replay(const Setting& setting, const std::string& file, int times, bool as_json) {
  Script script;
  std::string why;
  if (!Read(file, &script, &why)) {
    fmt::print(stderr, "sockproof-fuzz: {}\n", why);
    return 2;
  }
  std::map<std::string, int> counts;
  std::map<std::string, std::string> details;
  Played last;
  for (int i = 0; i < times; ++i) {
    last = Play(setting, script);
    for (const auto& [cause, detail] : last.causes) ++counts[cause], details[cause] = detail;
  }
  if (as_json) {
    std::cout
        << json{{"times", times}, {"causes", counts}, {"details", details}, {"trace", last.trace}, {"script", Print(script)}}
               .dump()
        << '\n';
  } else {
    for (const std::string& line : last.trace) std::cout << line << '\n';
    for (const auto& [cause, count] : counts) {
      std::cout << fmt::format("\n{}: {} of {} times ({})\n  {}\n", IdOf(cause), count, times, cause, details[cause]);
    }
    if (counts.empty()) std::cout << "\nnothing is wrong\n";
  }
  return counts.empty() ? 0 : 1;
}

int Smaller(const Setting& setting, const std::string& file, const std::string& cause, const std::string& output) {
  Script script;
  std::string why;
  if (!Read(file, &script, &why)) {
    fmt::print(stderr, "sockproof-fuzz: {}\n", why);
    return 2;
  }
  Played shown = Play(setting, script);
  if (shown.causes.count(cause) == 0) {
    fmt::print(stderr, "sockproof-fuzz: {} does not show '{}'\n", file, cause);
    return 1;
  }
  // A crash may take the process with it; what the oracle says, and it is most, needs none of its own.
  const bool alone = cause.rfind("crash", 0) == 0 || cause == "hang";
  Provider provider;
  if (!alone && (!OwnNetwork(setting.spec, &why) || !provider.Load(setting.spec, &why))) return 2;
  script = Minimise(
      script,
      [&](const Script& candidate) {
        if (alone) return Play(setting, candidate).causes.count(cause) != 0;
        const Execution done = ExecuteAndJudge(&provider, candidate, {setting.fuzzer == "data", true}, setting.profile_number);
        for (const Breach& breach : done.breaches) {
          if (breach.cause == cause) return true;
        }
        return false;
      },
      alone ? 300 : 3000);
  shown = Play(setting, script);
  std::ofstream(output) << FindingText(script, {cause, shown.causes[cause]}, setting.fuzzer, setting.spec, setting.profile);
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app{"Plays scripts of operations on sockets, as the fuzzers make them."};
  app.require_subcommand(1);
  app.fallthrough();
  Setting setting;
  std::string file, cause, output;
  int times = 1;
  bool as_json = false;
  double seconds = 5;
  std::size_t most = 1000;
  uint64_t seed = 1;
  std::size_t count = 100;
  app.add_option("--provider", setting.spec, "PROVIDER[:ARG]");
  app.add_option("--profile", setting.profile, "the documents that it is judged by; those of the provider where nothing is said");
  app.add_option("--fuzzer", setting.fuzzer, "connection or data")->check(CLI::IsMember({"connection", "data"}));
  auto* replay = app.add_subcommand("replay", "make the calls of a script, and say what is wrong");
  replay->add_option("FILE", file, "a script, or an input of a fuzzer")->required();
  replay->add_option("--times", times, "how often")->check(CLI::Range(1, 100000));
  replay->add_flag("--json", as_json, "one object");
  auto* minimise = app.add_subcommand("minimise", "take out of a script whatever does not matter");
  minimise->add_option("FILE", file, "a script, or an input of a fuzzer")->required();
  minimise->add_option("--cause", cause, "what it must go on to show")->required();
  minimise->add_option("--output", output, "the smaller script")->required();
  auto* text = app.add_subcommand("text", "print an input of a fuzzer as a script");
  text->add_option("FILE", file, "the input")->required();
  auto* bytes = app.add_subcommand("bytes", "turn a script into an input");
  bytes->add_option("FILE", file, "the script")->required();
  bytes->add_option("--output", output, "the input")->required();
  auto* dictionary = app.add_subcommand("dictionary", "print the words of the grammar");
  auto* generate = app.add_subcommand("generate", "write scripts by lot into a folder, as inputs");
  generate->add_option("--output", output, "the folder")->required();
  generate->add_option("--count", count, "how many");
  generate->add_option("--seed", seed, "of the lot");
  auto* speed = app.add_subcommand("speed", "measure how fast scripts are run");
  speed->add_option("--seconds", seconds, "for how long");
  auto* sameness = app.add_subcommand("sameness", "run every input of a folder again and again, and compare");
  sameness->add_option("FOLDER", file, "the inputs")->required();
  sameness->add_option("--times", times, "how often each");
  sameness->add_option("--most", most, "at most so many inputs");
  bool stop_at_first = false;
  auto* search = app.add_subcommand("search", "fuzz without an engine, and print what is wrong");
  search->add_option("--seconds", seconds, "for how long");
  search->add_option("--seed", seed, "of the lot");
  search->add_flag("--stop-at-first", stop_at_first, "end at the first thing that is wrong");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (setting.profile.empty()) setting.profile = Provider::ProfileOf(setting.spec);
  setting.profile_number = TheCatalogue().ProfileNumber(setting.profile);
  if (setting.profile_number < 0) {
    fmt::print(stderr, "sockproof-fuzz: there is no profile '{}'\n", setting.profile);
    return 2;
  }
  if (*replay) return Replay(setting, file, times, as_json);
  if (*minimise) return Smaller(setting, file, cause, output);
  if (*search) {
    return Search(setting.spec, setting.profile, setting.fuzzer == "data" ? Bent::kData : Bent::kConnection, seconds, seed,
                  stop_at_first);
  }
  if (*speed) return MeasureSpeed(setting.spec, setting.profile, seconds);
  if (*sameness) return MeasureSameness(setting.spec, setting.profile, file, times, most);
  if (*dictionary) {
    std::cout << Dictionary();
    return 0;
  }
  if (*generate) {
    Lot lot(seed);
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<uint8_t> made =
          Encode(Generate(&lot, setting.fuzzer == "data" ? Bent::kData : Bent::kConnection, 8 + lot.Below(32)));
      std::ofstream(fmt::format("{}/lot-{}-{:04}", output, seed, i), std::ios::binary)
          .write(reinterpret_cast<const char*>(made.data()), static_cast<std::streamsize>(made.size()));
    }
    return 0;
  }
  Script script;
  std::string why;
  if (!Read(file, &script, &why)) {
    fmt::print(stderr, "sockproof-fuzz: {}\n", why);
    return 2;
  }
  if (*text) {
    std::cout << Print(script);
    return 0;
  }
  const std::vector<uint8_t> made = Encode(script);
  std::ofstream(output, std::ios::binary)
      .write(reinterpret_cast<const char*>(made.data()), static_cast<std::streamsize>(made.size()));
  return 0;
}

}  // namespace
}  // namespace sockproof::fuzz

int main(int argc, char** argv) { return sockproof::fuzz::Main(argc, argv); }
