// Repeats, and runs that are finished later.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <set>

#include "integration_fixture.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;

class Repeats : public RunnerTest {};

TEST_F(Repeats, CallDifferingVerdictsFlaky) {
  const RunResult result = run_recorded({"--filter", "Flaky.*:Good.Passes/*", "--repeat", "4", "--jobs", "1"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(records("scenario").size(), 8U);
  std::set<unsigned> repeats;
  for (const json& record : records("scenario"))
    if (record["name"] == "Flaky.InTurn/inet") repeats.insert(record["repeat"].get<unsigned>());
  EXPECT_EQ(repeats, (std::set<unsigned>{0, 1, 2, 3}));
  const json end = summary();
  EXPECT_EQ(end["counts"]["flaky"], 1);
  EXPECT_EQ(end["counts"]["passed"], 1);
  EXPECT_EQ(end["unexpected"], json{"Flaky.InTurn/inet"});
  EXPECT_EQ(end["flaky"][0]["verdicts"], (json{{"passed", 2}, {"failed", 2}}));
}

class Resume : public RunnerTest {
 protected:
  std::set<std::string> done() const {
    std::set<std::string> names;
    for (const json& record : records("scenario"))
      EXPECT_TRUE(names.insert(record["name"].get<std::string>() + "#" + record["repeat"].dump()).second) << "run twice";
    return names;
  }
};

TEST_F(Resume, FinishesARunThatWasKilled) {
  const pid_t pid = start({"--filter", "Good.Passes*:Slow.Waits/*", "--repeat", "3", "--jobs", "1", "--max-processes", "2",
                           "--output", output().string()},
                          {{"FAKE_FAMILIES", "3"}});
  ASSERT_TRUE(eventually([this] { return records("scenario").size() >= 5; }));
  ::kill(pid, SIGKILL);
  EXPECT_EQ(finish(pid).code, 128 + SIGKILL);
  EXPECT_TRUE(eventually([this] { return survivors().empty(); }));
  EXPECT_TRUE(eventually([this] { return left_directories().empty(); }));
  const std::size_t before = records("scenario").size();
  EXPECT_LT(before, 18U);
  EXPECT_TRUE(records("summary").empty());
  std::ofstream(results(), std::ios::app) << "{\"record\":\"scenario\",\"name\":\"Good.Pas";  // a torn line

  target_given_ = true;  // what the run was is in its run record
  const RunResult result = run({"--resume", output().string()}, {{"FAKE_FAMILIES", "3"}});
  EXPECT_EQ(result.code, 0) << result.err << result.out;
  EXPECT_EQ(done().size(), 18U);
  EXPECT_EQ(records("run").size(), 1U);
  EXPECT_EQ(records("requirement").size(), 2U);
  EXPECT_EQ(summary()["not_run"], 0);
  EXPECT_EQ(summary()["resumed"], 1);
  EXPECT_EQ(summary()["counts"]["passed"], 6);
}

TEST_F(Resume, CountsWhatFailedBefore) {
  EXPECT_EQ(run_recorded({"--filter", "Bad.Must/*"}).code, 1);
  EXPECT_EQ(run({"--resume", output().string(), "--filter", "Bad.Must/*"}).code, 1) << "nothing is left to do";
  EXPECT_EQ(records("summary").size(), 1U);
}

TEST_F(Resume, RefusesToMixDifferentRuns) {
  run_recorded({"--filter", "Good.*"});
  const RunResult filter = run({"--resume", output().string(), "--filter", "Bad.*"});
  EXPECT_EQ(filter.code, 2);
  EXPECT_NE(filter.err.find("the filter is not that of the earlier run"), std::string::npos) << filter.err;
  EXPECT_EQ(run({"--resume", output().string(), "--repeat", "3"}).code, 2);
  EXPECT_EQ(records("scenario").size(), 4U) << "a refused resume changes nothing";
  const RunResult anyway = run({"--resume", output().string(), "--filter", "Bad.Must/*", "--resume-anyway"});
  EXPECT_EQ(anyway.code, 1);
  EXPECT_EQ(records("scenario").size(), 5U);
}

TEST_F(Resume, RefusesADirectoryWithoutARun) {
  std::filesystem::create_directory(output());
  EXPECT_EQ(run({"--resume", output().string()}).code, 2);
}

TEST_F(Resume, FinishesARunThatWasInterrupted) {
  const pid_t pid = start(
      {"--filter", "Slow.Waits/*:Hang.IgnoresSigterm/*:Good.Passes/*", "--timeout-scale", "40", "--output", output().string()});
  ASSERT_TRUE(eventually([this] { return records("scenario").size() == 2; }));
  ::kill(pid, SIGINT);
  const RunResult stopped = finish(pid);
  EXPECT_EQ(stopped.code, 2) << stopped.err;
  EXPECT_EQ(summary()["interrupted"], true);
  EXPECT_EQ(summary()["not_run"], 1);
  EXPECT_EQ(survivors().size(), 0U);
  EXPECT_EQ(run({"--resume", output().string(), "--no-stacks"}).code, 1) << "the hang";
  EXPECT_EQ(summary()["interrupted"], false);
  EXPECT_EQ(done().size(), 3U);
}

}  // namespace
}  // namespace sockproof::runner
