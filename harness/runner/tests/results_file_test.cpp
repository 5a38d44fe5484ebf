#include "results_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "failure.h"

namespace sockproof::runner {
namespace {

class ResultsFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/results.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path file() const { return directory_ / "results.jsonl"; }
  EarlierResults read(const std::string& text) const {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << text;
    return read_earlier(file());
  }
  std::filesystem::path directory_;
};

const std::string kRun = "{\"record\":\"run\"}\n";
const std::string kCheck = "{\"record\":\"check\"}\n";
const std::string kScenario = "{\"record\":\"scenario\",\"name\":\"A.B/inet\"}\n";

TEST_F(ResultsFile, ReadsAsFarAsWholeScenariosGo) {
  EXPECT_EQ(read(kRun + kCheck + kScenario).good_bytes, (kRun + kCheck + kScenario).size());
  EXPECT_EQ(read(kRun + kScenario + kCheck).good_bytes, (kRun + kScenario).size()) << "checks of a scenario that never ended";
  EXPECT_EQ(read(kRun + kScenario + "{\"record\":\"scen").good_bytes, (kRun + kScenario).size()) << "torn";
  EXPECT_EQ(read(kRun + kScenario + "{\"record\":\"scenario\"}").good_bytes, (kRun + kScenario).size())
      << "whole but for its newline: the next record would stand behind it";
  EXPECT_EQ(read(kRun + kScenario + kScenario).scenarios.size(), 2U);
}

TEST_F(ResultsFile, KnowsARunThatIsOver) {
  EXPECT_FALSE(read(kRun + kScenario).complete);
  EXPECT_TRUE(read(kRun + kScenario + "{\"record\":\"summary\",\"interrupted\":false}\n").complete);
  const EarlierResults interrupted = read(kRun + kScenario + "{\"record\":\"summary\",\"interrupted\":true}\n");
  EXPECT_FALSE(interrupted.complete);
  EXPECT_EQ(interrupted.good_bytes, (kRun + kScenario).size()) << "its summary goes";
}

TEST_F(ResultsFile, RefusesAFileWithoutARun) {
  EXPECT_THROW(read(""), Failure);
  EXPECT_THROW(read(kScenario), Failure);
  EXPECT_THROW(read("{\"record\":\"ru"), Failure);
  EXPECT_THROW(read_earlier(directory_ / "nothing"), Failure);
}

TEST_F(ResultsFile, AppendsALineForEachRecord) {
  {
    ResultSink sink;
    sink.open(file());
    sink.write({{{"record", "run"}}, {{"text", "a\nb\xff"}}});
    sink.write({{{"record", "summary"}}});
  }
  std::ifstream stream(file());
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 3U);
  for (const std::string& line : lines) EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded()) << line;
}

}  // namespace
}  // namespace sockproof::runner
