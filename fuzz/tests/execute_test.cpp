#include "fuzz/execute.h"

#include <gtest/gtest.h>

#include "catalogue/requirement.h"

namespace sockproof::fuzz {
namespace {

constexpr const char* kConversation =
    "s0 = socket flavor=inet\n"
    "bind s0 at=any_port\n"
    "listen s0 backlog=2\n"
    "s1 = socket flavor=inet\n"
    "connect s1 to=s0\n"
    "s2 = accept s0 peer=whole form=0 condition=none\n"
    "send s1 length=1000\n"
    "clock by=50ms\n"
    "recv s2 room=513\n"
    "close s1\n";

Execution RunOn(const std::string& spec, const char* text) {
  Provider provider;
  Script script;
  std::string why;
  EXPECT_TRUE(provider.Load(spec, &why)) << why;
  EXPECT_TRUE(Parse(text, &script, &why)) << why;
  return ExecuteAndJudge(&provider, script, {true, true}, TheCatalogue().ProfileNumber(Provider::ProfileOf(spec)));
}

class OnEachProfile : public ::testing::TestWithParam<const char*> {};

TEST_P(OnEachProfile, AConversationIsRight) {
  const Execution done = RunOn(std::string("reference:") + GetParam(), kConversation);
  for (const Breach& breach : done.breaches) ADD_FAILURE() << breach.cause << ": " << breach.detail;
  std::string all;
  for (const std::string& outcome : done.outcomes) all += outcome + '\n';
  EXPECT_NE(all.find("recv ok 513"), std::string::npos) << all;
}
INSTANTIATE_TEST_SUITE_P(Execute, OnEachProfile, ::testing::Values("linux", "posix", "winsock"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Execute, TheSameScriptLeavesTheSameTrace) {
  EXPECT_EQ(RunOn("reference:linux", kConversation).trace, RunOn("reference:linux", kConversation).trace);
}

TEST(Execute, ALostByteIsFound) {
  const Execution done = RunOn("faulty:byte-lost:reference:linux",
                               "s0 = pair second=s1 type=stream\n"
                               "send s0 length=1460\n"
                               "recv s1 room=4096\n");
  bool found = false;
  for (const Breach& breach : done.breaches) found = found || breach.cause == "data.lost recv";
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace sockproof::fuzz
