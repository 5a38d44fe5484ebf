#include "mutants.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "failure.h"

namespace sockproof::runner {
namespace {

class MutantsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    scenarios_.resize(3);
    const std::vector<std::vector<std::string>> declared = {{"a.one", "a.two"}, {"a.one"}, {"a.two"}};
    for (std::size_t i = 0; i < declared.size(); ++i) {
      scenarios_[i].name = "S" + std::to_string(i);
      scenarios_[i].requirements = declared[i];
    }
    scenarios_[0].waits_ms = 100;  // the dearest
    file_ = std::filesystem::temp_directory_path() / ("sockproof-mutants-" + std::to_string(::getpid()) + ".json");
  }
  void TearDown() override { std::filesystem::remove(file_); }

  Mutants read(const std::string& text, bool stop_early) {
    std::ofstream(file_) << text;
    return Mutants(file_, scenarios_, stop_early);
  }
  // A scenario with one check of each of these, failed or passed.
  Outcome ended(std::size_t scenario, const std::vector<std::pair<std::string, std::string>>& checks, bool unexpected = true) {
    Outcome outcome;
    outcome.scenario = &scenarios_[scenario];
    outcome.judgement.verdict = unexpected ? Verdict::failed : Verdict::passed;
    outcome.judgement.unexpected = unexpected;
    for (const auto& [id, verdict] : checks) outcome.judgement.checks.push_back({{"requirement", id}, {"verdict", verdict}});
    return outcome;
  }

  std::vector<Scenario> scenarios_;
  std::filesystem::path file_;
};

using Names = std::vector<std::string>;

TEST_F(MutantsTest, NoticesWhatWasNotSeenToHold) {
  EXPECT_EQ(noticed(ended(0, {{"a.one", "failed"}, {"a.two", "passed"}})), (Names{"a.one"}));
  EXPECT_EQ(noticed(ended(0, {{"a.one", "failed"}})), (Names{"a.one", "a.two"}));
  EXPECT_EQ(noticed(ended(0, {{"a.one", "passed"}})), (Names{"a.one", "a.two"})) << "a hang, a crash or a step";
  EXPECT_EQ(noticed(ended(0, {{"a.one", "passed"}}, false)), Names{});
}

TEST_F(MutantsTest, RunsNamedScenariosSoOftenWhoeverNotices) {
  Mutants mutants = read(R"([{"fault": "f", "requirements": ["a.one"], "scenarios": ["S2", "S0"], "times": 2}])", true);
  std::vector<std::pair<std::size_t, unsigned>> order;
  const auto lanes = mutants.lanes();
  for (const Task& task : lanes.at(0)) order.emplace_back(task.scenario, task.repeat);
  EXPECT_EQ(order, (std::vector<std::pair<std::size_t, unsigned>>{{0, 0}, {0, 1}, {2, 0}, {2, 1}}));
  static_cast<void>(mutants.tried(ended(0, {{"a.one", "failed"}}), 0));
  for (const Task& task : lanes.at(0)) EXPECT_TRUE(mutants.wanted(task));
}

TEST_F(MutantsTest, TriesTheCheapestScenarioOfEachRequirementFirst) {
  const Mutants mutants = read(R"([{"fault": "f", "requirements": ["a.one", "a.two"]}])", true);
  std::vector<std::size_t> order;
  const auto lanes = mutants.lanes();
  for (const Task& task : lanes.at(0)) order.push_back(task.scenario);
  EXPECT_EQ(order, (std::vector<std::size_t>{1, 2, 0}));
}

TEST_F(MutantsTest, WantsNothingThatWasNoticed) {
  Mutants mutants = read(R"([{"fault": "f", "requirements": ["a.one", "a.two"]}])", true);
  EXPECT_EQ(mutants.tried(ended(1, {{"a.one", "failed"}}), 0).at("noticed"), (Names{"a.one"}));
  EXPECT_FALSE(mutants.wanted({1, 0, 0}));
  EXPECT_TRUE(mutants.wanted({2, 0, 0}));
  EXPECT_FALSE(mutants.settled(0));
  mutants.tried(ended(2, {{"a.two", "failed"}}), 0);
  EXPECT_TRUE(mutants.settled(0));
}

TEST_F(MutantsTest, RunsEverythingUnlessToldToStop) {
  Mutants mutants = read(R"([{"fault": "f"}])", false);
  EXPECT_EQ(mutants.lanes().at(0).size(), scenarios_.size());
  mutants.tried(ended(1, {{"a.one", "failed"}}), 0);
  EXPECT_TRUE(mutants.wanted({2, 0, 0}));
}

TEST_F(MutantsTest, SaysWhatIsWrongWithTheFile) { EXPECT_THROW(read("[{\"requirements\": []}]", true), Failure); }

}  // namespace
}  // namespace sockproof::runner
