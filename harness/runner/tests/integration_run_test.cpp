// What a run takes, what it hands to the battery, what it prints, and its exit codes.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>

#include "integration_fixture.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;

class Run : public RunnerTest {};

TEST_F(Run, IsAsExpectedWhenEverythingPasses) {
  const RunResult result = run_recorded({"--filter", "Good.*"});
  EXPECT_EQ(result.code, 0) << result.err << result.out;
  EXPECT_EQ(records("scenario").size(), 4U);
  EXPECT_EQ(scenario("Good.Passes/inet")["verdict"], "passed");
  EXPECT_EQ(scenario("Good.Observes/inet")["verdict"], "observed");
  EXPECT_EQ(scenario("Good.IsNotSupported/inet")["verdict"], "not_supported");
  EXPECT_EQ(scenario("Good.IsNotSupported/inet")["reason"], "signals: there are none");
  EXPECT_EQ(scenario("Good.TalksInBetween/inet")["verdict"], "passed");
  const json end = summary();
  EXPECT_EQ(end["counts"]["passed"], 2);
  EXPECT_EQ(end["exit_code"], 0);
  EXPECT_EQ(end["not_run"], 0);
  EXPECT_GT(end["cpu_ms"], 0);
}

TEST_F(Run, KeepsTheOrderOfRecords) {
  run_recorded({"--filter", "Good.*"});
  std::ifstream file(results());
  std::vector<json> all;
  for (std::string line; std::getline(file, line);) all.push_back(json::parse(line));
  ASSERT_GT(all.size(), 4U);
  EXPECT_EQ(all.front()["record"], "run");
  EXPECT_EQ(all.back()["record"], "summary");
  for (std::size_t i = 0; i + 1 < all.size(); ++i)
    if (all[i]["record"] == "check") {
      const json& next = all[i + 1];
      EXPECT_EQ(next[next["record"] == "check" ? "scenario" : "name"], all[i]["scenario"])
          << "checks stand before their scenario";
    }
  EXPECT_EQ(records("requirement").size(), 2U);
}

TEST_F(Run, TellsExitCodesApart) {
  EXPECT_EQ(run({"--stream-only", "--filter", "Bad.Must/*"}).code, 1);
  EXPECT_EQ(run({"--stream-only", "--filter", "Bad.Should/*"}).code, 0);
  EXPECT_EQ(run({"--stream-only", "--filter", "Bad.Should/*", "--strict"}).code, 1);
  EXPECT_EQ(run({"--stream-only", "--filter", "Lie.BrokenJson/*"}).code, 2);
  EXPECT_EQ(run({"--stream-only", "--filter", "Lie.BrokenJson/*:Bad.Must/*"}).code, 1);
  EXPECT_EQ(run({"--stream-only", "--filter", "No.Such*"}).code, 3);
  EXPECT_EQ(run({"--stream-only", "--filter", "Good.IsNotSupported/*"}).code, 3);
  EXPECT_EQ(run({"--nonsense"}).code, 2);
  EXPECT_EQ(run({"--target", "/nonexistent.toml"}).code, 2);
}

TEST_F(Run, PrintsOnlyNamesForFailures) {
  const RunResult result = run_recorded({"--filter", "Good.*:Bad.*", "--format", "failures", "--repeat", "2"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "Bad.Must/inet\nBad.Step/inet\n");
}

TEST_F(Run, StreamsEveryRecordAndNothingElse) {
  const RunResult result = run_recorded({"--filter", "Good.*:Bad.*", "--stream"});
  std::istringstream lines(result.out);
  std::ifstream file(results());
  for (std::string streamed, written; std::getline(lines, streamed);) {
    ASSERT_TRUE(std::getline(file, written));
    EXPECT_EQ(streamed, written);
  }
  EXPECT_EQ(result.err, "");
}

TEST_F(Run, PrintsATableByArea) {
  const RunResult result = run_recorded({"--filter", "Good.*:Bad.Must/*"});
  EXPECT_NE(result.out.find("area   passed  failed  not_supported  observed\n"
                            "fake        2       1              1         1\n"),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("./sockproof run fake --filter Bad.Must/inet"), std::string::npos);
}

TEST_F(Run, ListsWithoutRunning) {
  const RunResult result = run({"--list", "--filter", "Good.*-*.Passes/*"});
  EXPECT_EQ(result.out, "Good.Observes/inet\nGood.IsNotSupported/inet\nGood.TalksInBetween/inet\n");
  EXPECT_EQ(run({"--list", "--filter", "Nothing"}).code, 3);
  EXPECT_EQ(run({"--list", "--filter", "Selftest*", "--selftest"}).out, "Selftest.Empty/inet\n");
  EXPECT_FALSE(std::filesystem::exists(directory_ / ".sockproof"));
}

TEST_F(Run, SharesTheScenariosBetweenShards) {
  std::set<std::string> seen;
  std::size_t total = 0;
  for (const char* index : {"0", "1", "2"}) {
    const RunResult result = run_recorded({"--filter", "Good.*"}, {{"GTEST_TOTAL_SHARDS", "3"}, {"GTEST_SHARD_INDEX", index}});
    EXPECT_NE(result.code, 2) << result.err;
    for (const json& record : records("scenario")) seen.insert(record["name"].get<std::string>()), ++total;
  }
  EXPECT_EQ(total, 4U);
  EXPECT_EQ(seen.size(), 4U);
  EXPECT_EQ(run({"--list"}, {{"GTEST_TOTAL_SHARDS", "3"}}).code, 2);
  EXPECT_EQ(run({"--list"}, {{"GTEST_TOTAL_SHARDS", "3"}, {"GTEST_SHARD_INDEX", "3"}}).code, 2);
}

TEST_F(Run, GivesEachScenarioACleanStart) {
  ::signal(SIGPIPE, SIG_IGN);
  run_recorded({"--filter", "Env.*", "--seed", "77", "--isolation", "none"},
               {{"FAKE_VARIABLE", "x"}, {"GTEST_SHARD_STATUS_FILE", ""}});
  const std::string said = scenario("Env.Tells/inet")["output_tail"];
  EXPECT_NE(said.find("SOCKPROOF_ISOLATION=none\n"), std::string::npos) << said;
  EXPECT_NE(said.find("--seed=77\n"), std::string::npos);
  EXPECT_NE(said.find("FAKE_VARIABLE=x\n"), std::string::npos);
  EXPECT_NE(said.find("GTEST_SHARD_INDEX=(unset)\n"), std::string::npos);
  EXPECT_NE(said.find("directory=yes\n"), std::string::npos);
  EXPECT_NE(said.find("descriptors=0\n"), std::string::npos);
  EXPECT_NE(said.find("sigpipe=default\n"), std::string::npos);
  const std::size_t at = said.find("\nTMPDIR=") + 8;
  EXPECT_LE(said.find('\n', at) - at, 50U) << "AF_UNIX addresses are short";
  EXPECT_EQ(records("run")[0]["isolation"]["mode"], "none");
  EXPECT_EQ(records("run")[0]["isolation"]["reason"], "asked for");
}

TEST_F(Run, TellsTheScenarioWhatTheRunRecordSays) {
  run_recorded({"--filter", "Env.*"});
  const json isolation = records("run")[0]["isolation"];
  const std::string said = scenario("Env.Tells/inet")["output_tail"];
  EXPECT_NE(said.find("SOCKPROOF_ISOLATION=" + isolation["mode"].get<std::string>() + "\n"), std::string::npos);
  EXPECT_EQ(isolation["mode"] == "none", isolation["reason"].is_string());
  EXPECT_TRUE(records("run")[0]["sysctls"].contains("net.core.somaxconn"));
}

TEST_F(Run, RefusesALauncherThatPreloadsNothing) {
  const RunResult result = run_recorded({"--filter", "Good.*", "--launcher", "env A=b LD_PRELOAD=./no-such.so"});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("the launcher preloads './no-such.so', which does not exist"), std::string::npos) << result.err;
}

TEST_F(Run, PutsTheLauncherBeforeEachScenario) {
  RunResult result = run_recorded({"--filter", "Env.*", "--launcher", "env FAKE_VARIABLE='from the launcher'"});
  EXPECT_EQ(result.code, 0);
  EXPECT_NE(scenario("Env.Tells/inet")["output_tail"].get<std::string>().find("FAKE_VARIABLE=from the launcher\n"),
            std::string::npos);
  EXPECT_NE(scenario("Env.Tells/inet")["replay"].get<std::string>().find("--launcher 'env FAKE_VARIABLE="), std::string::npos);
  // One that passes the output on through a process of its own.
  result = run_recorded({"--filter", "Good.Passes/*", "--launcher", "sh -c '\"$0\" \"$@\" | cat'"});
  EXPECT_EQ(result.code, 0) << result.out;
  result = run({"--filter", "Env.*", "--launcher", "no-such-program-anywhere"});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("no-such-program-anywhere"), std::string::npos);
  EXPECT_EQ(run({"--launcher", "'open"}).code, 2);
}

TEST_F(Run, PutsTheEmulatorBeforeWhateverItAsksTheBattery) {
  const std::filesystem::path asked = directory_ / "asked";
  // Says what it was called for, and in which job's surroundings.
  const std::string emulator = "bash -c 'echo \"$1 ${@: -1}\" >> " + asked.string() + "; shift; exec \"$@\"' emulator job{job}";
  const RunResult result = run_recorded({"--filter", "Good.*:Env.*", "--jobs", "3", "--emulator", emulator});
  EXPECT_EQ(result.code, 0) << result.err;
  std::ifstream lines(asked);
  std::set<std::string> jobs;
  std::size_t questions = 0, scenarios = 0;
  for (std::string job, last; lines >> job >> last;) {
    jobs.insert(job);
    if (last.rfind("--gtest_filter=", 0) == 0)
      ++scenarios;
    else
      ++questions;
  }
  EXPECT_EQ(questions, 3U);
  EXPECT_EQ(scenarios, records("scenario").size());
  EXPECT_EQ(jobs, (std::set<std::string>{"job0", "job1", "job2"}));
  EXPECT_EQ(run({"--filter", "Env.*", "--emulator", "no-such-program-anywhere"}).code, 2);
}

TEST_F(Run, RunsNoWindowsProgramWithoutAnEmulator) {
  std::ofstream(directory_ / "w.toml") << "name = \"w\"\nprovider = \"fake\"\nprofile = \"linux\"\nplatform = \"windows\"\n";
  target_given_ = true;
  const RunResult result = run({"--target", (directory_ / "w.toml").string()});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("--emulator"), std::string::npos) << result.err;
}

class RunOfATarget : public RunnerTest {
 protected:
  std::string write_target(const std::string& more) {
    target_given_ = true;
    const std::filesystem::path file = directory_ / "t.toml";
    std::ofstream(file) << "name = \"t\"\nprovider = \"fake\"\nprofile = \"linux\"\n" << more;
    return file.string();
  }
  static std::string deviation(const std::string& scenario, const std::string& outcome) {
    return "[[deviation]]\nscenario = \"" + scenario + "\"\nfamily = \"inet\"\nrequirement = \"fake.one\"\noutcome = \"" +
           outcome + "\"\nreason = \"it is so\"\nevidence = \"seen\"\n";
  }
};

TEST_F(RunOfATarget, KnowsItsDeviations) {
  const std::string target = write_target("[env]\nFAKE_VARIABLE = \"of the target\"\n" + deviation("Bad.Must", "ECONNRESET") +
                                          deviation("Hang.Sleeps", "hung"));
  const RunResult result = run_recorded({"--target", target, "--filter", "Bad.Must/*:Hang.Sleeps/*:Env.*"});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_EQ(scenario("Bad.Must/inet")["verdict"], "known_deviation");
  EXPECT_EQ(scenario("Hang.Sleeps/inet")["verdict"], "known_deviation");
  EXPECT_NE(scenario("Env.Tells/inet")["output_tail"].get<std::string>().find("FAKE_VARIABLE=of the target\n"),
            std::string::npos);
  EXPECT_EQ(records("run")[0]["target"]["name"], "t");
}

TEST_F(RunOfATarget, MindsAPassWhereADeviationIsKnown) {
  const RunResult result =
      run_recorded({"--target", write_target(deviation("Good.Passes", "ECONNRESET")), "--filter", "Good.Passes/*"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(scenario("Good.Passes/inet")["verdict"], "unexpected_pass");
  EXPECT_EQ(records("check")[0]["verdict"], "unexpected_pass");
}

TEST_F(RunOfATarget, RefusesADeviationThatIsNowhere) {
  const RunResult result = run({"--target", write_target(deviation("Bad.Nowhere", "ECONNRESET")), "--filter", "Good.*"});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("t.toml:4: the battery has no scenario 'Bad.Nowhere'"), std::string::npos) << result.err;
}

TEST_F(Run, MakesADirectoryWhenNoneIsNamed) {
  const RunResult result = run({"--filter", "Good.Passes/*"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::is_symlink(directory_ / ".sockproof/runs/latest"));
  EXPECT_TRUE(std::filesystem::exists(directory_ / ".sockproof/runs/latest/results.jsonl"));
  run({"--filter", "Good.Passes/*"});
  std::size_t runs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / ".sockproof/runs"))
    runs += entry.is_symlink() ? 0 : 1;
  EXPECT_EQ(runs, 2U) << "two runs in one second keep apart";
}

TEST_F(Run, NeedsNoDirectoryWhenItOnlyStreams) {
  const RunResult result = run({"--filter", "Good.Passes/*", "--stream-only"});
  EXPECT_EQ(result.code, 0);
  EXPECT_FALSE(std::filesystem::exists(directory_ / ".sockproof"));
  EXPECT_NE(result.out.find("\"record\":\"summary\""), std::string::npos);
}

TEST_F(Run, LetsWaitsOverlap) {
  // Twelve scenarios that wait 400 ms each, half of them without having said so, and one process at a time.
  const RunResult result = run_recorded({"--filter", "Slow.Waits*", "--jobs", "1"}, {{"FAKE_FAMILIES", "6"}});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(records("scenario").size(), 12U);
  EXPECT_LT(summary()["wall_ms"], 12 * 400 / 2) << "one after the other takes twice this and more";
}

}  // namespace
}  // namespace sockproof::runner
