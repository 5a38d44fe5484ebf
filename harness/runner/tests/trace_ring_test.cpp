#include "trace_ring.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace sockproof::runner {
namespace {

class TraceRing : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/ring.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return (directory_ / "trace").string(); }

  // As a process would leave it that has written `text` in all.
  void write(const std::string& text, std::uint64_t capacity) const {
    std::string file(64 + capacity, '\0');
    std::memcpy(file.data(), "SPTRACE1", 8);
    const std::uint64_t written = text.size();
    std::memcpy(file.data() + 8, &written, 8);
    std::memcpy(file.data() + 16, &capacity, 8);
    const auto lines = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
    std::memcpy(file.data() + 40, &lines, 8);
    for (std::size_t i = 0; i < text.size(); ++i) file[64 + i % capacity] = text[i];
    std::ofstream(path(), std::ios::binary) << file;
  }

  std::filesystem::path directory_;
};

using Lines = std::vector<std::string>;

TEST_F(TraceRing, GivesEveryLineOfARingThatIsNotFull) {
  write("one\ntwo\nthr", 64);
  EXPECT_EQ(read_trace_ring(path(), 10), (Lines{"one", "two", "thr"}));
  EXPECT_EQ(read_trace_ring(path(), 2), (Lines{"two", "thr"}));
}

TEST_F(TraceRing, LeavesOutTheLineThatTheRingHasEatenInto) {
  write("first line\nsecond line\nthird\nfourth\n", 24);
  EXPECT_EQ(read_trace_ring(path(), 10), (Lines{"third", "fourth"}));
}

TEST_F(TraceRing, SaysHowManyLinesCameBefore) {
  write("first line\nsecond line\nthird\nfourth\n", 24);
  std::int64_t dropped = -1;
  EXPECT_EQ(read_trace_ring(path(), 1, &dropped), Lines{"fourth"});
  EXPECT_EQ(dropped, 3);
  EXPECT_EQ(read_trace_ring(path() + ".not", 1, &dropped), Lines{});
  EXPECT_EQ(dropped, 0);
}

TEST_F(TraceRing, IsEmptyForEverythingElse) {
  EXPECT_EQ(read_trace_ring(path(), 10), Lines{});
  std::ofstream(path()) << "something else, and longer than any header would be: "
                           "sixty-four bytes and a few";
  EXPECT_EQ(read_trace_ring(path(), 10), Lines{});
  write("", 64);
  EXPECT_EQ(read_trace_ring(path(), 10), Lines{});
}

TEST_F(TraceRing, BelievesNoCapacityBeyondTheFile) {
  write("one\n", 64);
  std::fstream file(path(), std::ios::binary | std::ios::in | std::ios::out);
  const std::uint64_t huge = ~std::uint64_t{0};
  file.seekp(8);
  file.write(reinterpret_cast<const char*>(&huge), 8);
  file.write(reinterpret_cast<const char*>(&huge), 8);
  file.close();
  EXPECT_LE(read_trace_ring(path(), 10).size(), 10U);
}

}  // namespace
}  // namespace sockproof::runner
