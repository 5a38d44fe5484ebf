#include "fuzz/grammar.h"

#include <gtest/gtest.h>

#include "fuzz/generate.h"
#include "fuzz/minimise.h"

namespace sockproof::fuzz {
namespace {

TEST(Grammar, AnyBytesAreAScript) {
  Lot lot(7);
  for (int i = 0; i < 2000; ++i) {
    std::vector<uint8_t> bytes(lot.Below(200));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(lot.Next());
    const Script script = Decode(bytes.data(), bytes.size());
    EXPECT_EQ(script.size(), std::min(bytes.size() / kOpSize, kMostOps));
  }
}

TEST(Grammar, WhatIsPrintedIsReadBackAsItWas) {
  Lot lot(11);
  for (int i = 0; i < 2000; ++i) {
    std::vector<uint8_t> bytes(kOpSize * (1 + lot.Below(30)));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(lot.Next());
    const Script script = Decode(bytes.data(), bytes.size());
    Script again;
    std::string why;
    ASSERT_TRUE(Parse(Print(script), &again, &why)) << why << '\n' << Print(script);
    EXPECT_EQ(script, again) << Print(script);
    const std::vector<uint8_t> encoded = Encode(script);
    EXPECT_EQ(Decode(encoded.data(), encoded.size()), script);
  }
}

TEST(Grammar, WhatIsNoScriptIsRefusedWithItsLine) {
  Script script;
  std::string why;
  EXPECT_FALSE(Parse("s0 = socket flavor=inet\nfly s0\n", &script, &why));
  EXPECT_EQ(why, "line 2: there is no operation 'fly'");
  EXPECT_FALSE(Parse("socket flavor=inet\n", &script, &why));
  EXPECT_EQ(why, "line 1: 'socket' wants a place to fill");
  EXPECT_FALSE(Parse("listen s9 backlog=1\n", &script, &why));
  EXPECT_EQ(why, "line 1: no place is called 's9'");
  EXPECT_FALSE(Parse("listen s0 backlog=7\n", &script, &why));
  EXPECT_EQ(why, "line 1: 'backlog' may not be '7'");
  EXPECT_FALSE(Parse("listen s0 depth=1\n", &script, &why));
  EXPECT_EQ(why, "line 1: 'listen' knows no 'depth'");
}

TEST(Grammar, RemarksAndEmptyLinesAreLeftOut) {
  Script script;
  std::string why;
  ASSERT_TRUE(Parse("# a remark\n\n  s0 = socket flavor=unix # another\n", &script, &why)) << why;
  ASSERT_EQ(script.size(), 1u);
  EXPECT_EQ(Print(script), "s0 = socket flavor=unix\n");
}

TEST(Generate, TheSameLotMakesTheSameScript) {
  Lot one(3), two(3);
  EXPECT_EQ(Generate(&one, Bent::kConnection, 40), Generate(&two, Bent::kConnection, 40));
}

TEST(Generate, ChangesKeepAScriptWithinItsBounds) {
  Lot lot(5);
  Script a = Generate(&lot, Bent::kData, 20), b = Generate(&lot, Bent::kConnection, 60);
  for (int i = 0; i < 5000; ++i) {
    Mutate(&lot, i % 2 == 0 ? Bent::kData : Bent::kConnection, &a);
    ASSERT_LE(a.size(), kMostOps);
    if (i % 7 == 0) a = CrossOver(&lot, a, b);
    ASSERT_LE(a.size(), kMostOps);
  }
}

TEST(Minimise, OnlyWhatMattersStays) {
  Script script;
  std::string why;
  ASSERT_TRUE(
      Parse("s0 = socket flavor=inet6\nclock by=1s\ns1 = socket flavor=udp\nlisten s0 backlog=5\nclose s1\n", &script, &why));
  const Script least = Minimise(script, [](const Script& candidate) {
    for (const Op& op : candidate) {
      if (op.kind == Kind::kListen) return true;
    }
    return false;
  });
  EXPECT_EQ(Print(least), "listen s0 backlog=0\n");
}

}  // namespace
}  // namespace sockproof::fuzz
