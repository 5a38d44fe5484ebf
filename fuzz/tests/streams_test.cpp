#include "fuzz/streams.h"

#include <gtest/gtest.h>

#include "face/payload.h"

namespace sockproof::fuzz {
namespace {

class StreamsTest : public ::testing::Test {
 protected:
  StreamsTest() : a_(streams_.Open(false)), b_(streams_.Open(false)), c_(streams_.Open(false)) {
    streams_.Took(a_, 1000);
    streams_.Took(c_, 1000);
  }
  std::vector<uint8_t> Bytes(Streams::End from, uint64_t offset, uint64_t length) {
    return Payload{streams_.Seed(from), offset, length}.Bytes();
  }
  // What is wrong with these bytes at b.
  std::string Got(const std::vector<uint8_t>& bytes, bool peek = false) {
    return streams_.Got(b_, bytes.data(), bytes.size(), peek, &detail_).value_or("");
  }
  Streams streams_;
  Streams::End a_, b_, c_;
  std::string detail_;
};

TEST_F(StreamsTest, WhatWasSentIsRight) {
  EXPECT_EQ(Got(Bytes(a_, 0, 1)), "");
  EXPECT_EQ(Got(Bytes(a_, 1, 500), true), "");
  EXPECT_EQ(Got(Bytes(a_, 1, 999)), "");
  ASSERT_TRUE(streams_.PeerOf(b_));
  EXPECT_EQ(*streams_.PeerOf(b_), a_);
}

TEST_F(StreamsTest, LossIsNamed) {
  EXPECT_EQ(Got(Bytes(a_, 0, 100)), "");
  EXPECT_EQ(Got(Bytes(a_, 101, 100)), "lost") << detail_;
}

TEST_F(StreamsTest, DoublingIsNamed) {
  EXPECT_EQ(Got(Bytes(a_, 0, 100)), "");
  EXPECT_EQ(Got(Bytes(a_, 50, 100)), "doubled") << detail_;
}

TEST_F(StreamsTest, BytesOfAnotherStreamAreNamed) {
  EXPECT_EQ(Got(Bytes(a_, 0, 100)), "");
  EXPECT_EQ(Got(Bytes(c_, 100, 100)), "mixed") << detail_;
}

TEST_F(StreamsTest, ChangedBytesAreNamed) {
  std::vector<uint8_t> bytes = Bytes(a_, 0, 100);
  bytes[60] ^= 1;
  EXPECT_EQ(Got(bytes), "corrupt") << detail_;
}

TEST_F(StreamsTest, MoreThanWasSentIsNamed) {
  EXPECT_EQ(Got(Bytes(a_, 0, 1000)), "");
  EXPECT_EQ(Got(Bytes(a_, 1000, 8)), "more") << detail_;
}

TEST_F(StreamsTest, OneCauseIsToldOnce) {
  EXPECT_EQ(Got(Bytes(a_, 4, 100)), "lost");
  EXPECT_EQ(Got(Bytes(a_, 4, 100)), "");
}

TEST_F(StreamsTest, AMessageBeginsWhereOneWasSent) {
  const Streams::End sender = streams_.Open(true), receiver = streams_.Open(true);
  streams_.Took(sender, 40);
  streams_.Took(sender, 60);
  const std::vector<uint8_t> second = Bytes(sender, 40, 50), torn = Bytes(sender, 41, 50);
  EXPECT_FALSE(streams_.Got(receiver, second.data(), second.size(), false, &detail_));
  EXPECT_EQ(streams_.Got(receiver, torn.data(), torn.size(), false, &detail_).value_or(""), "corrupt_message");
}

}  // namespace
}  // namespace sockproof::fuzz
