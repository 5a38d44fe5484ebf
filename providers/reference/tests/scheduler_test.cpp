// Threads take turns by a seed's choice, and time moves when nobody can run.
#include "reference/scheduler.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sockproof::reference {
namespace {

// Threads that each write their letter, giving way in between.
std::string Interleaving(uint64_t seed) {
  Scheduler scheduler(seed);
  scheduler.Attach("main");
  std::string order;
  int running = 3;
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c'}) {
    scheduler.Expect();
    threads.emplace_back([&, letter] {
      scheduler.Attach(std::string(1, letter));
      for (int i = 0; i < 5; ++i) {
        order += letter;
        scheduler.Yield();
      }
      --running;
      scheduler.Detach();
    });
  }
  EXPECT_EQ(scheduler.WaitUntil([&] { return running == 0; }, kNever, "the threads"), Scheduler::Woken::kReady);
  for (std::thread& thread : threads) thread.join();
  return order;
}

TEST(Scheduler, OneSeedIsOneOrder) {
  const std::string first = Interleaving(7);
  EXPECT_EQ(first.size(), 15u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Interleaving(7), first);
}

TEST(Scheduler, SeedsDiffer) {
  int different = 0;
  for (uint64_t seed = 2; seed < 12; ++seed) different += Interleaving(seed) != Interleaving(1) ? 1 : 0;
  EXPECT_GE(different, 8);
}

TEST(Scheduler, TimeGoesToTheNextEvent) {
  Scheduler scheduler(1);
  scheduler.Attach("main");
  std::string fired;
  scheduler.At(kStart + 75 * kSecond, [&] { fired += "b"; });
  scheduler.At(kStart + kSecond, [&] { fired += "a"; });
  Scheduler::Timer never = scheduler.At(kStart + 2 * kSecond, [&] { fired += "x"; });
  scheduler.Cancel(&never);
  EXPECT_EQ(never, 0u);
  EXPECT_EQ(scheduler.WaitUntil([&] { return fired == "ab"; }, kNever, "both"), Scheduler::Woken::kReady);
  EXPECT_EQ(scheduler.Now(), kStart + 75 * kSecond);
}

TEST(Scheduler, ActionsOfOneTimeRunInTheirOrder) {
  Scheduler scheduler(1);
  scheduler.Attach("main");
  std::string fired;
  for (const char letter : {'a', 'b', 'c'}) scheduler.At(kStart, [&fired, letter] { fired += letter; });
  scheduler.At(kStart, [&] { scheduler.At(kStart, [&fired] { fired += 'd'; }); });
  scheduler.RunDue();
  EXPECT_EQ(fired, "abcd");
}

TEST(Scheduler, ALimitEndsAWait) {
  Scheduler scheduler(1);
  scheduler.Attach("main");
  EXPECT_EQ(scheduler.WaitUntil([] { return false; }, kStart + 200 * kMillisecond, "nothing"), Scheduler::Woken::kTimedOut);
  EXPECT_EQ(scheduler.Now(), kStart + 200 * kMillisecond);
}

TEST(Scheduler, ADeadlockIsTold) {
  Scheduler scheduler(1);
  scheduler.Attach("main");
  EXPECT_EQ(scheduler.WaitUntil([] { return false; }, kNever, "nothing"), Scheduler::Woken::kDeadlock);
}

TEST(Scheduler, WhoIsNotAttachedCannotWait) {
  Scheduler scheduler(1);
  EXPECT_FALSE(scheduler.Attached());
  EXPECT_EQ(scheduler.Current(), 0);
  EXPECT_EQ(scheduler.WaitUntil([] { return false; }, kNever, "nothing"), Scheduler::Woken::kDeadlock);
}

TEST(Scheduler, OnlyCallsCountAsBlocked) {
  Scheduler scheduler(1);
  scheduler.Attach("main");
  for (const bool in_call : {true, false}) {
    int64_t token = 0;
    bool go = false, done = false;
    scheduler.Expect();
    std::thread thread([&] {
      scheduler.Attach("other");
      token = scheduler.Current();
      scheduler.WaitUntil([&] { return go; }, kNever, "the word", in_call);
      done = true;
      scheduler.Detach();
    });
    scheduler.WaitUntil([] { return false; }, scheduler.Now() + kMillisecond, "a while");
    EXPECT_EQ(scheduler.Blocked(token), in_call);
    go = true;
    EXPECT_FALSE(scheduler.Blocked(token));  // it could go on
    EXPECT_EQ(scheduler.WaitUntil([&] { return done; }, kNever, "the other"), Scheduler::Woken::kReady);
    thread.join();
  }
}

// With the machine's time threads come and go as calls do, timers run while nobody is there, and waiting takes as long as it
// takes.
TEST(Scheduler, RealTime) {
  Scheduler scheduler(1);
  scheduler.UseRealTime(true);
  int64_t fired = 0;
  scheduler.Attach("main");
  const int64_t start = scheduler.Now();
  scheduler.At(start + 20 * kMillisecond, [&] { fired = scheduler.Now(); });
  EXPECT_EQ(scheduler.WaitUntil([] { return false; }, start + 5 * kMillisecond, "a while"), Scheduler::Woken::kTimedOut);
  EXPECT_GE(scheduler.Now(), start + 5 * kMillisecond);
  EXPECT_EQ(fired, 0);
  scheduler.Detach();
  bool seen = false, told = false;
  std::thread waiter([&] {
    scheduler.Attach("waiter");
    EXPECT_EQ(scheduler.WaitUntil([&] { return fired != 0 && told; }, kNever, "both", true), Scheduler::Woken::kReady);
    seen = true;
    scheduler.Detach();
  });
  std::thread teller([&] {
    scheduler.Attach("teller");
    told = true;
    scheduler.Detach();
  });
  teller.join();
  waiter.join();
  EXPECT_TRUE(seen);
  EXPECT_GE(fired, start + 20 * kMillisecond);
}

}  // namespace
}  // namespace sockproof::reference
