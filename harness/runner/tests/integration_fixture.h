// Runs sockproof-runner as a user would, against the fake battery.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sockproof::runner {

/// Polls until it holds; false when it never did. There is no event to wait for from outside of another program.
bool eventually(const std::function<bool()>& holds, std::chrono::seconds limit = std::chrono::seconds(20));

struct RunResult {
  int code = -1;    ///< exit status, or 128 + signal
  std::string out;  ///< standard output
  std::string err;
};

class RunnerTest : public ::testing::Test {
 protected:
  using Words = std::vector<std::string>;
  using Variables = std::map<std::string, std::string>;

  void SetUp() override;
  void TearDown() override;

  /// Battery, provider and profile are added to the arguments.
  RunResult run(const Words& arguments, const Variables& environment = {}) const;
  /// With --output, and the records that are there afterwards.
  RunResult run_recorded(Words arguments, const Variables& environment = {});
  pid_t start(const Words& arguments, const Variables& environment = {}) const;
  RunResult finish(pid_t pid) const;

  std::filesystem::path output() const { return directory_ / "out"; }
  std::filesystem::path results() const { return output() / "results.jsonl"; }
  /// All whole records in the results file.
  std::vector<nlohmann::json> records(const std::string& kind) const;
  /// The record of the only run of a scenario.
  nlohmann::json scenario(const std::string& name) const;
  nlohmann::json summary() const;
  /// Processes of the machine that carry this test's mark in their environment, the test itself aside.
  std::vector<pid_t> survivors() const;
  /// Directories that a run has made for its scenarios and not removed.
  std::vector<std::string> left_directories() const;

  std::filesystem::path directory_;
  bool target_given_ = false;  ///< the arguments say what to test

 private:
  std::filesystem::path temporary() const { return directory_ / "t"; }
};

}  // namespace sockproof::runner
