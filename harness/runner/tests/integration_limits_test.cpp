// Scenarios that crash, hang, flood, balloon, lie and leave things behind.
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "integration_fixture.h"
#include "process.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;

class Limits : public RunnerTest {
 protected:
  // Runs this one scenario together with one that passes: the run goes on, whatever happens.
  json one(const std::string& name, const Words& more = {}) {
    Words words{"--filter", name + "/inet:Good.Passes/inet"};
    words.insert(words.end(), more.begin(), more.end());
    result_ = run_recorded(words);
    EXPECT_EQ(scenario("Good.Passes/inet")["verdict"], "passed");
    return scenario(name + "/inet");
  }
  RunResult result_;
};

const bool kDebugger = !find_program("gdb").empty();

TEST_F(Limits, NamesTheSignalOfACrash) {
  const json segfault = one("Crash.Segfault");
  EXPECT_EQ(segfault["verdict"], "crashed");
  EXPECT_EQ(segfault["exit"]["signal"], SIGSEGV);
  EXPECT_EQ(segfault["reason"], "died of SIGSEGV");
  EXPECT_EQ(segfault["trace"], (json{"1 connect begin", "1 connect end ok"}));
  EXPECT_TRUE(segfault["stacks_missing"].is_string());
  EXPECT_EQ(result_.code, 1);
  EXPECT_EQ(one("Crash.Abort")["exit"]["signal"], SIGABRT);
}

TEST_F(Limits, TakesStacksOfAProcessThatWaitsForADebugger) {
  const json crash = one("Crash.WaitsForADebugger");
  EXPECT_EQ(crash["verdict"], "crashed");
  EXPECT_EQ(crash["exit"]["signal"], SIGBUS) << "what it died of, not what the runner ended it with";
  if (crash["stacks"].empty()) {
    EXPECT_TRUE(crash["stacks_missing"].is_string());
    EXPECT_FALSE(kDebugger) << crash["stacks_missing"];
  } else {
    EXPECT_EQ(crash["stacks"].size(), 2U) << "one for each thread";
    EXPECT_NE(crash["stacks"].dump().find("report_signal_and_die"), std::string::npos) << crash["stacks"].dump();
  }
}

TEST_F(Limits, SaysWhyThereAreNoStacks) {
  const json crash = one("Crash.WaitsForADebugger", {"--no-stacks"});
  EXPECT_EQ(crash["stacks_missing"], "switched off by --no-stacks");
  EXPECT_LT(crash["duration_ms"], 4000) << "nobody waits for a debugger that does not come";
}

TEST_F(Limits, CallsAnExitWithoutResultACrash) {
  EXPECT_EQ(one("Crash.ExitsWithoutResult")["reason"], "exit without a result (status 7)");
  EXPECT_EQ(scenario("Crash.ExitsWithoutResult/inet")["verdict"], "crashed");
  EXPECT_EQ(one("Crash.ExitsAfterPassing")["verdict"], "crashed");
}

TEST_F(Limits, EndsAHang) {
  const json hang = one("Hang.Sleeps");
  EXPECT_EQ(hang["verdict"], "hung");
  EXPECT_EQ(hang["limit"], "time");
  EXPECT_EQ(hang["trace"], (json{"1 accept begin", "2 poll begin"}));
  EXPECT_TRUE(!hang["stacks"].empty() || hang["stacks_missing"].is_string());
  EXPECT_GE(hang["duration_ms"], 300);
  EXPECT_EQ(result_.code, 1);
}

TEST_F(Limits, EndsWhateverHangs) {
  for (const char* name : {"Hang.IgnoresSigterm", "Hang.Stops", "Hang.Spins", "Hang.HasAChild"}) {
    EXPECT_EQ(one(name, {"--no-stacks"})["verdict"], "hung") << name;
    EXPECT_LT(scenario(std::string(name) + "/inet")["duration_ms"], 5000) << name;
  }
}

TEST_F(Limits, ScalesTheTimeLimit) {
  const json hang = one("Hang.Sleeps", {"--no-stacks", "--timeout-scale", "3"});
  EXPECT_GE(hang["duration_ms"], 900);
  EXPECT_EQ(hang["reason"], "still running after its time limit of 900 ms");
}

TEST_F(Limits, CountsNoTimeInWhichTheMachineStoodStill) {
  const pid_t runner =
      start({"--filter", "Hang.Sleeps/inet", "--no-stacks", "--timeout-scale", "5", "--output", output().string()});
  ASSERT_TRUE(eventually([&] {
    for (const std::string& below : left_directories()) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(below)) {
        if (entry.path().filename() == "trace") return true;
      }
    }
    return false;
  })) << "the scenario did not begin";
  // As it is for the runner when a virtual machine is paused: it does not run, and the clock goes on.
  ASSERT_EQ(::kill(runner, SIGSTOP), 0);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  ASSERT_EQ(::kill(runner, SIGCONT), 0);
  finish(runner);
  EXPECT_EQ(scenario("Hang.Sleeps/inet")["verdict"], "hung");
  EXPECT_GE(scenario("Hang.Sleeps/inet")["duration_ms"], 1500 + 2000);
}

TEST_F(Limits, EndsAFlood) {
  for (const char* name : {"Crash.Floods", "Crash.FloodsOneLineOfError"}) {
    const json flood = one(name);
    EXPECT_EQ(flood["verdict"], "crashed") << name;
    EXPECT_EQ(flood["limit"], "output") << name;
    EXPECT_EQ(flood["reason"], "wrote more than 16 MiB of output") << name;
    EXPECT_LE(flood["output_tail"].get<std::string>().size(), 8192U) << name;
  }
}

TEST_F(Limits, EndsABalloon) {
  const json balloon = one("Crash.Balloons", {"--memory-limit", "200"});
  EXPECT_EQ(balloon["verdict"], "crashed");
  EXPECT_EQ(balloon["limit"], "memory");
  EXPECT_EQ(balloon["reason"], "used more than 200 MiB of memory");
  EXPECT_GT(balloon["max_rss_kib"], 200 * 1024);
}

TEST_F(Limits, BelievesNoLies) {
  const std::map<std::string, std::string> lies{
      {"Lie.BrokenJson", "a record that is not JSON"},
      {"Lie.WrongScenario", "the end record names 'Good.Passes/inet'"},
      {"Lie.UndeclaredRequirement", "checked 'fake.two', which it does not declare"},
      {"Lie.NothingChecked", "declared 'fake.one', but never checked it"},
      {"Lie.PassesAfterFailing", "a check failed, but the end record says passed"},
      {"Lie.EndsTwice", "a record after the end record"},
      {"Lie.UnknownRecord", "a record of an unknown kind 'surprise'"},
      {"Lie.CheckWithoutOutcome", "a check record that breaks the agreed form"},
  };
  EXPECT_EQ(run_recorded({"--filter", "Lie.*"}).code, 2);
  for (const auto& [name, reason] : lies) {
    const json record = scenario(name + "/inet");
    EXPECT_EQ(record["verdict"], "harness_error") << name;
    EXPECT_EQ(record["reason"].get<std::string>().substr(0, reason.size()), reason);
  }
}

TEST_F(Limits, LeavesNothingOfAScenarioBehind) {
  EXPECT_EQ(one("Leave.Daemon")["verdict"], "passed");
  EXPECT_EQ(scenario("Leave.Daemon/inet")["stragglers"], 1);
  EXPECT_EQ(survivors().size(), 0U);
  EXPECT_EQ(one("Leave.ClosedDirectory")["verdict"], "passed");
  const json holder = one("Leave.ChildHoldsTheOutput");
  EXPECT_EQ(holder["verdict"], "passed");
  EXPECT_LT(holder["duration_ms"], 4000) << "the end of the scenario counts, not the end of its output";
}

TEST_F(Limits, ReportsAScenarioThatCannotBeStarted) {
  // Found when the run is made, gone when it is needed: every scenario says so, and the run still ends.
  const std::filesystem::path launcher = directory_ / "launcher";
  std::filesystem::copy_file("/bin/true", launcher);
  std::filesystem::permissions(launcher, std::filesystem::perms::owner_all);
  ASSERT_EQ(::truncate(launcher.c_str(), 3), 0);
  const RunResult result = run_recorded({"--filter", "Good.*", "--launcher", launcher.string()});
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(records("scenario").size(), 4U);
  EXPECT_EQ(scenario("Good.Passes/inet")["verdict"], "harness_error");
  EXPECT_TRUE(scenario("Good.Passes/inet")["exit"].is_null());
}

}  // namespace
}  // namespace sockproof::runner
