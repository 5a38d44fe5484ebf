#include "filter.h"

#include <gtest/gtest.h>

#include "failure.h"
#include "scenario_list.h"

namespace sockproof::runner {
namespace {

TEST(Filter, MatchesAsGoogleTestDoes) {
  EXPECT_TRUE(Filter("*").matches("Backlog.Capacity/inet"));
  EXPECT_TRUE(Filter("").matches("Backlog.Capacity/inet"));
  EXPECT_TRUE(Filter("Backlog*").matches("Backlog.Capacity/inet"));
  EXPECT_TRUE(Filter("*/inet").matches("Backlog.Capacity/inet"));
  EXPECT_FALSE(Filter("*/inet").matches("Backlog.Capacity/inet6"));
  EXPECT_TRUE(Filter("*/inet?").matches("Backlog.Capacity/inet6"));
  EXPECT_TRUE(Filter("Accept*:Backlog*").matches("Backlog.Capacity/inet"));
  EXPECT_FALSE(Filter("Backlog").matches("Backlog.Capacity/inet"));
  EXPECT_TRUE(Filter("*a*a*").matches("Backlog.Capacity/inet"));
  EXPECT_FALSE(Filter("*z*").matches("Backlog.Capacity/inet"));
}

TEST(Filter, TakesWhatStandsAfterTheDashAway) {
  const Filter filter("Backlog*-*/inet6:*.Slow*");
  EXPECT_TRUE(filter.matches("Backlog.Capacity/inet"));
  EXPECT_FALSE(filter.matches("Backlog.Capacity/inet6"));
  EXPECT_FALSE(filter.matches("Backlog.Slowly/inet"));
  EXPECT_FALSE(filter.matches("Accept.One/inet"));
  EXPECT_TRUE(Filter("-*/inet6").matches("Accept.One/inet"));
  EXPECT_FALSE(Filter("-*/inet6").matches("Accept.One/inet6"));
}

TEST(SplitCommand, KeepsWhatQuotesHoldTogether) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(split_command("env LD_PRELOAD=libfoo.so"), (Words{"env", "LD_PRELOAD=libfoo.so"}));
  EXPECT_EQ(split_command("  sh -c 'a \"b\"  c' \"d 'e'\" f\\ g ''"), (Words{"sh", "-c", "a \"b\"  c", "d 'e'", "f g", ""}));
  EXPECT_EQ(split_command("\"a\\\"b\\n\""), (Words{"a\"b\\n"}));
  EXPECT_EQ(split_command(""), Words{});
  EXPECT_THROW(split_command("a 'b"), Failure);
  EXPECT_THROW(split_command("a\\"), Failure);
}

TEST(SplitCommand, UndoesQuoteWord) {
  for (const std::string word : {"plain", "", "two words", "it's", "a\"b\\c", "Backlog.*/inet"})
    EXPECT_EQ(split_command(quote_word(word)), std::vector<std::string>{word});
}

TEST(ForJob, WritesTheNumberWhereverItIsNamed) {
  EXPECT_EQ(for_job({"env", "A={job}/x{job}", "wine"}, 12), (std::vector<std::string>{"env", "A=12/x12", "wine"}));
  EXPECT_TRUE(for_job({}, 0).empty());
}

TEST(Select, DealsTheFilteredScenariosOverTheShards) {
  std::vector<Scenario> all(7);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].name = (i == 3 ? "Other.S" : "Suite.S") + std::to_string(i) + "/inet";
  std::vector<std::string> seen;
  for (unsigned index = 0; index < 3; ++index)
    for (const Scenario& scenario : select(all, Filter("Suite*"), Shard{3, index})) seen.push_back(scenario.name);
  EXPECT_EQ(seen, (std::vector<std::string>{"Suite.S0/inet", "Suite.S4/inet", "Suite.S1/inet", "Suite.S5/inet", "Suite.S2/inet",
                                            "Suite.S6/inet"}));
}

TEST(ParseScenarios, RefusesWhatIsNotAList) {
  EXPECT_THROW(parse_scenarios("nonsense"), Failure);
  EXPECT_THROW(parse_scenarios("{}"), Failure);
  EXPECT_THROW(parse_scenarios("[{\"name\":\"A.B/inet\"}]"), Failure);
  const std::string one = R"({"name":"A.B/inet","area":"a","suite":"A","family":"inet","requirements":["a.b"]})";
  EXPECT_THROW(parse_scenarios("[" + one + "," + one + "]"), Failure);
  const auto scenarios = parse_scenarios("[" + one + "]");
  ASSERT_EQ(scenarios.size(), 1U);
  EXPECT_EQ(scenarios[0].waits_ms, 0);
  EXPECT_GT(scenarios[0].limit_ms, 0);
}

}  // namespace
}  // namespace sockproof::runner
