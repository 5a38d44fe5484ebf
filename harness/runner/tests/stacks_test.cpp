#include "stacks.h"

#include <gtest/gtest.h>

namespace sockproof::runner {
namespace {

TEST(ParseStacks, TakesAThreadAndItsFramesTogether) {
  const auto stacks = parse_stacks(7,
                                   "[New LWP 8]\n"
                                   "0x00007f in pause () from /lib/libc.so.6\n"
                                   "\n"
                                   "Thread 2 (Thread 0x7f (LWP 8) \"two\"):\n"
                                   "#0  0x00007f in poll ()\n"
                                   "#1  wait_there (ms=3) at a.cpp:4\n"
                                   "\n"
                                   "Thread 1 (Thread 0x7e (LWP 7) \"one\"):\n"
                                   "#0  0x00007f in pause ()\n"
                                   "[Inferior 1 (process 7) detached]\n");
  ASSERT_EQ(stacks.size(), 2U);
  EXPECT_EQ(stacks[0].thread, "Thread 2 (Thread 0x7f (LWP 8) \"two\")");
  EXPECT_EQ(stacks[0].frames, (std::vector<std::string>{"#0  0x00007f in poll ()", "#1  wait_there (ms=3) at a.cpp:4"}));
  EXPECT_EQ(stacks[1].frames.size(), 1U);
  EXPECT_EQ(stacks[1].pid, 7);
}

TEST(ParseStacks, FindsNoneInAnErrorMessage) {
  EXPECT_TRUE(parse_stacks(7, "Could not attach to process.\nptrace: Operation not permitted.\n").empty());
}

}  // namespace
}  // namespace sockproof::runner
