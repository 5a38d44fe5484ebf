#include "face/payload.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace sockproof {
namespace {

TEST(Payload, PiecesOfAStreamFitTogether) {
  const std::vector<uint8_t> whole = Payload{9, 0, 1000}.Bytes();
  for (uint64_t cut = 0; cut <= 1000; cut += 37) {
    std::vector<uint8_t> joined = Payload{9, 0, cut}.Bytes();
    const std::vector<uint8_t> rest = Payload{9, cut, 1000 - cut}.Bytes();
    joined.insert(joined.end(), rest.begin(), rest.end());
    EXPECT_EQ(joined, whole) << cut;
  }
  EXPECT_EQ(Payload({9, 500, 1}).At(3), whole[503]);
}

TEST(Payload, StreamsOfDifferentSeedsDiffer) { EXPECT_NE(Payload({1, 0, 64}).Bytes(), Payload({2, 0, 64}).Bytes()); }

TEST(Payload, NamesLostDoubledAndSwappedBytes) {
  const Payload payload{5, 100, 400};
  const std::vector<uint8_t> right = payload.Bytes();
  EXPECT_EQ(payload.Difference(right.data(), right.size()), "");
  EXPECT_EQ(payload.Difference(right.data(), 10), "");

  std::vector<uint8_t> lost = right;
  lost.erase(lost.begin() + 50);
  EXPECT_NE(payload.Difference(lost.data(), lost.size()).find("byte 150"), std::string::npos);
  EXPECT_NE(payload.Difference(lost.data(), lost.size()).find("belongs at 151"), std::string::npos);

  std::vector<uint8_t> twice = right;
  twice.insert(twice.begin() + 50, right[49]);
  EXPECT_NE(payload.Difference(twice.data(), 400).find("belongs at 149"), std::string::npos);

  std::vector<uint8_t> swapped = right;
  std::swap(swapped[10], swapped[11]);
  EXPECT_NE(payload.Difference(swapped.data(), swapped.size()).find("byte 110"), std::string::npos);

  EXPECT_NE(payload.Difference(right.data(), 401).find("more than"), std::string::npos);
}

}  // namespace
}  // namespace sockproof
