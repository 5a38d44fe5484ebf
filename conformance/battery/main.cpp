// The battery: all scenarios in one program. The runner starts it once a scenario; docs/architecture.md says what passes between
// the two.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#ifndef _WIN32
#include "battery/fork_server.h"
#endif
#include "battery/last_words.h"
#include "battery/records.h"
#include "battery/registry.h"
#include "battery/replay.h"
#include "catalogue/capabilities.h"
#include "catalogue/requirement.h"
#include "face/agent.h"
#include "face/names.h"
#include "oracle/rule.h"
#include "face/threads.h"
#include "faulty/registry.h"

#ifndef _WIN32
#include "shim/shim.h"

extern "C" const struct sp_provider* sockproof_posix_provider(void);
#endif
#ifdef SOCKPROOF_WINSOCK
extern "C" const struct sp_provider* sockproof_winsock_provider(void);
#endif
#ifdef SOCKPROOF_WSP
extern "C" const struct sp_provider* sockproof_wsp_provider(void);
#endif
extern "C" const struct sp_provider* sockproof_reference_provider(void);

#ifndef SOCKPROOF_BUILD_TYPE
#define SOCKPROOF_BUILD_TYPE ""
#endif
#ifndef SOCKPROOF_BUILD_FLAGS
#define SOCKPROOF_BUILD_FLAGS ""
#endif

namespace sockproof {
namespace {

using nlohmann::json;

json Texts(const TextList& list) {
  json array = json::array();
  for (const char* item : list) array.push_back(item);
  return array;
}

// Those that check something of which the profile speaks, by means that it knows.
json ListScenarios(int profile) {
  json array = json::array();
  const auto known = [profile](int32_t capability) { return ProfileKnows(profile, CapabilityName(capability)); };
  for (const Scenario& scenario : AllScenarios()) {
    json ids = json::array();
    bool concerned = false;
    for (const Requirement* requirement : scenario.requirements) {
      ids.push_back(requirement->id);
      concerned = concerned || requirement->For(profile) != nullptr;
    }
    if (!concerned || !std::all_of(scenario.over.needs.begin(), scenario.over.needs.end(), known)) continue;
    for (const Flavor* flavor : scenario.over.flavors) {
      if (!known(flavor->capability)) continue;
      array.push_back({{"name", FullName(scenario, *flavor)},
                       {"area", scenario.requirements.front()->area},
                       {"suite", scenario.suite},
                       {"family", flavor->name},
                       {"requirements", ids},
                       {"waits_ms", scenario.over.waits.count() / 1'000'000},
                       {"limit_ms", scenario.over.Limit().count() / 1'000'000}});
    }
  }
  return array;
}

json ListRequirements(int profile) {
  json array = json::array();
  const Catalogue& catalogue = TheCatalogue();
  for (std::size_t i = 0; i < catalogue.requirement_count; ++i) {
    const Requirement& requirement = *catalogue.requirements[i];
    const Entry* entry = requirement.For(profile);
    if (entry == nullptr) continue;
    array.push_back({{"id", requirement.id},
                     {"area", requirement.area},
                     {"text", requirement.text},
                     {"needs", Texts(requirement.needs)},
                     {"level", LevelName(entry->level)},
                     {"allow", Texts(entry->allow)},
                     {"cite", Texts(entry->cite)},
                     {"entry_of", entry->profile}});
  }
  return array;
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

// Whether it can fork for each scenario.
#ifdef _WIN32
constexpr bool kServes = false;
#else
constexpr bool kServes = true;
#endif

#ifdef _WIN32
constexpr const char* kProviders =
    "PROVIDER[:ARG]: winsock, wsp:DLL for a service provider, reference[:PROFILE], lib:DLL, or faulty:FAULT:PROVIDER[:ARG]";
#else
constexpr const char* kProviders =
    "PROVIDER[:ARG]: posix, reference[:PROFILE], lib:PATH for a shared library, shim:COMMAND for a program of its own, or "
    "faulty:FAULT:PROVIDER[:ARG]";
#endif

// The providers that are part of the program.
const std::vector<Host::Builtin> kBuiltin = {
#ifndef _WIN32
    {"posix", sockproof_posix_provider},
    {"linux", sockproof_posix_provider},
    {"shim", sockproof_shim_provider},
#endif
#ifdef SOCKPROOF_WINSOCK
    {"winsock", sockproof_winsock_provider},
#endif
#ifdef SOCKPROOF_WSP
    {"wsp", sockproof_wsp_provider},
#endif
    {"reference", sockproof_reference_provider}};

json Info() {
  json capabilities = json::array();
  Host& host = Host::Get();
  for (int32_t i = 0; i < SP_CAP_COUNT; ++i) {
    if (host.Has(i)) capabilities.push_back(std::string(CapabilityName(i)));
  }
  json sanitizers = json::array();
  if (kSanitized) sanitizers.push_back("address");
#ifdef __clang__
  const std::string compiler = fmt::format("clang {}", __clang_version__);
#else
  const std::string compiler = fmt::format("gcc {}", __VERSION__);
#endif
  return {
      {"serves", kServes},
      {"catalogue_digest", TheCatalogue().digest},
      {"build",
       {{"compiler", compiler}, {"type", SOCKPROOF_BUILD_TYPE}, {"flags", SOCKPROOF_BUILD_FLAGS}, {"sanitizers", sanitizers}}},
      {"provider", {{"name", host.table().name}, {"version", host.table().text}}},
      {"capabilities", capabilities}};
}

bool PutFault(const std::string& name, sp_provider* table, void* self) {
  // "none": the wrapper alone, to see that it changes nothing.
  const bool none = name == "none";
  const faulty::Fault* fault = none ? nullptr : faulty::FindFault(name);
  if (fault == nullptr && !none) return false;
  faulty::Wrap(fault, table, self);
  return true;
}

json ListFaults() {
  json all = json::array();
  const auto words = [](const char* text) {
    std::istringstream in(text);
    return std::vector<std::string>(std::istream_iterator<std::string>(in), {});
  };
  for (const faulty::Fault* fault : faulty::AllFaults()) {
    all.push_back({{"name", fault->name},
                   {"text", fault->text},
                   {"requirements", words(fault->requirements)},
                   {"profiles", words(fault->profiles)},
                   {"model", fault->model}});
  }
  return all;
}

int Fail(const std::string& why) {
  std::cerr << "sockproof-battery: " << why << '\n';
  return 2;
}

int Main(int argc, char** argv) {
  CLI::App app{"Drives a socket implementation through the scenarios of sockproof, one after the other in this process."};
  std::string provider = kBuiltin.front().name, profile = "linux", list, replay, replay_scenario, fault;
  uint64_t seed = 0;
  bool info = false, agent = false, selftest = false;
  int agent_in = -1, agent_out = -1;
#ifndef _WIN32
  int serve = -1;
  app.add_option("--serve", serve, "internal: fork for each scenario that the runner asks for");
#endif
  app.add_option("--provider", provider, kProviders);
  app.add_option("--profile", profile, "the documents that it answers to");
  app.add_option("--fault", fault, "put this seeded fault into the provider: faulty:FAULT:PROVIDER");
  app.add_option("--list", list, "print 'scenarios', 'requirements' or 'faults' as JSON and leave");
  app.add_option("--seed", seed, "for what the provider draws by lot")->envname("SOCKPROOF_SEED");
  app.add_flag("--info", info, "print what this program and its provider are, as JSON, and leave");
  app.add_flag("--selftest", selftest, "with the scenarios that measure the harness itself");
  app.add_option("--replay", replay, "run the calls of this trace or operation script, and let the oracle judge them");
  app.add_option("--replay-scenario", replay_scenario, "which scenario of a results.jsonl");
  app.add_flag("--agent", agent, "internal: serve another process of a scenario");
  app.add_option("--agent-in", agent_in, "internal");
  app.add_option("--agent-out", agent_out, "internal");
  testing::InitGoogleTest(&argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  if (selftest) AddSelftest();
  const int number = TheCatalogue().ProfileNumber(profile);
  if (number < 0) {
    std::string known;
    for (std::size_t i = 0; i < TheCatalogue().profile_count; ++i) known += fmt::format(" {}", TheCatalogue().profiles[i].name);
    return Fail(fmt::format("there is no profile '{}'; there are:{}", profile, known));
  }
  if (list == "scenarios" || list == "requirements") {
    std::cout << (list == "scenarios" ? ListScenarios(number) : ListRequirements(number)).dump() << '\n';
    return 0;
  }
  if (list == "faults") {
    std::cout << ListFaults().dump() << '\n';
    return 0;
  }
  if (!list.empty()) return Fail("--list takes 'scenarios', 'requirements' or 'faults'");

#ifndef _WIN32
  if (serve >= 0) {
    oracle::Rule::Resolve();
    NameScenarios();
    testing::GTEST_FLAG(filter) = ServeScenarios(serve);
    if (const char* asked = std::getenv("SOCKPROOF_FAULT")) fault = asked;
  }
#endif
  if (!fault.empty()) provider = "faulty:" + fault + ":" + provider;
  Recorder& recorder = Recorder::Get();
  recorder.UseProfile(number);
  Host& host = Host::Get();
  host.SetReporter(&recorder);
#ifndef _WIN32
  shim::SetOnTrouble([](shim::Trouble trouble, const std::string& what) {
    if (trouble == shim::Trouble::died) Recorder::Get().ProviderDied(what);
    Recorder::Get().ProviderBroke(what);
  });
#endif
  InstallFatalHandlers();
  Trace::Get().Open(agent);
  std::string why;
  if (!host.Open(provider, kBuiltin, &why, PutFault, seed)) return Fail(why);
  if (agent) return ServeAgent(agent_in, agent_out);
  if (info) {
    // On a line of its own, whatever the provider has printed.
    std::cout << '\n' << Info().dump() << std::endl;
    host.Close();
    return 0;
  }

  if (!replay.empty()) recorder.Leave(Replay(replay, replay_scenario, number));

  // The records say everything that the printed progress would.
  if (std::getenv("SOCKPROOF_RUNNER") != nullptr) {
    testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  RegisterTests();
  const int result = RUN_ALL_TESTS();
  if (RunningWorkers() > 0) {
    // A thread that is still in a call of the provider would find the provider closed, and objects destroyed.
    std::fflush(stdout);
    recorder.Leave(result);
  }
  host.Close();
  if (kSanitized) {  // leaks are looked for at the end
    RemoveScratchDirectory();
    return result;
  }
  // Taking thousands of registered tests apart costs more than most scenarios.
  std::fflush(stdout);
  recorder.Leave(result);
}

}  // namespace
}  // namespace sockproof

int main(int argc, char** argv) { return sockproof::Main(argc, argv); }
