#include "scheduler.h"

#include <gtest/gtest.h>

namespace sockproof::runner {
namespace {

std::vector<std::size_t> drain(Scheduler& scheduler) {
  std::vector<std::size_t> order;
  while (const auto task = scheduler.start_next()) {
    order.push_back(task->scenario);
    scheduler.park();
  }
  return order;
}

TEST(Scheduler, BeginsTheLongestWaitsFirst) {
  Scheduler scheduler(2, 100);
  scheduler.fill({0, 500, 0, 3000, 500}, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}});
  EXPECT_EQ(drain(scheduler), (std::vector<std::size_t>{3, 1, 4, 0, 2}));
}

TEST(Scheduler, KeepsAsManyActiveAsThereAreJobs) {
  Scheduler scheduler(2, 100);
  scheduler.fill({0, 0, 0, 0}, {{0, 0}, {1, 0}, {2, 0}, {3, 0}});
  EXPECT_TRUE(scheduler.start_next());
  EXPECT_TRUE(scheduler.start_next());
  EXPECT_FALSE(scheduler.start_next());
  scheduler.park();
  EXPECT_TRUE(scheduler.start_next());
  scheduler.unpark();  // now three are active
  scheduler.end(false);
  EXPECT_FALSE(scheduler.start_next());
  scheduler.end(false);
  EXPECT_TRUE(scheduler.start_next());
  EXPECT_EQ(scheduler.left(), 0U);
}

TEST(Scheduler, LetsWorkGoOnWhenAllPlacesWait) {
  Scheduler scheduler(1, 3);
  scheduler.fill({900, 800, 700, 600, 0, 0}, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}});
  EXPECT_EQ(drain(scheduler), (std::vector<std::size_t>{0, 1, 2, 4, 5}));
  scheduler.end(true);
  scheduler.end(true);
  EXPECT_EQ(drain(scheduler), std::vector<std::size_t>{});
  scheduler.end(true);
  EXPECT_EQ(drain(scheduler), (std::vector<std::size_t>{3}));
}

TEST(Scheduler, DoesNotWaitForThoseThatHang) {
  Scheduler scheduler(1, 2);
  scheduler.fill({900, 800, 700, 600}, {{0, 0}, {1, 0}, {2, 0}, {3, 0}});
  EXPECT_EQ(drain(scheduler), (std::vector<std::size_t>{0, 1}));
  scheduler.set_overdue(1);
  EXPECT_EQ(drain(scheduler), (std::vector<std::size_t>{2}));
  scheduler.set_overdue(0);  // the one that hung has ended
  scheduler.end(true);
  EXPECT_EQ(drain(scheduler), std::vector<std::size_t>{});
}

TEST(Scheduler, RunsOneRepeatAfterTheOther) {
  Scheduler scheduler(8, 100);
  scheduler.fill({0, 100}, {{0, 0}, {1, 0}, {0, 1}, {1, 1}});
  std::vector<std::pair<std::size_t, unsigned>> order;
  while (const auto task = scheduler.start_next()) order.emplace_back(task->scenario, task->repeat);
  EXPECT_EQ(order, (std::vector<std::pair<std::size_t, unsigned>>{{1, 0}, {1, 1}, {0, 0}, {0, 1}}));
}

TEST(Scheduler, StartsNothingOnceStopped) {
  Scheduler scheduler(2, 100);
  scheduler.fill({0}, {{0, 0}});
  scheduler.stop();
  EXPECT_FALSE(scheduler.start_next());
  EXPECT_TRUE(scheduler.idle());
}

TEST(Scheduler, RunsOneTaskOfEachLane) {
  Scheduler scheduler(8, 100);
  scheduler.fill_lanes({{{0, 0, 0}, {1, 0, 0}}, {{2, 0, 1}, {3, 0, 1}}});
  EXPECT_EQ(scheduler.start_next()->scenario, 0U);
  EXPECT_EQ(scheduler.start_next()->scenario, 2U);
  EXPECT_FALSE(scheduler.start_next());
  scheduler.end(false, 1);
  EXPECT_EQ(scheduler.start_next()->scenario, 3U);
  scheduler.park(0);  // it waits: others of its lane may say more
  EXPECT_EQ(scheduler.start_next()->scenario, 1U);
  EXPECT_EQ(scheduler.left(), 0U);
}

TEST(Scheduler, DropsWhatIsLeftOfALane) {
  Scheduler scheduler(8, 100);
  scheduler.fill_lanes({{{0, 0, 0}, {1, 0, 0}}, {{2, 0, 1}}});
  scheduler.drop(0);
  EXPECT_EQ(scheduler.left(), 1U);
  EXPECT_EQ(scheduler.start_next()->scenario, 2U);
  EXPECT_FALSE(scheduler.start_next());
}

using State = ActivityMeter::State;
constexpr std::int64_t kMs = 1'000'000;

TEST(ActivityMeter, ParksWhoSleepsAndNobodyElse) {
  ActivityMeter meter;
  const auto asleep = [] { return false; };
  const auto wants = [] { return true; };
  EXPECT_EQ(meter.sample(10 * kMs, 0, asleep), State::active) << "one sample says nothing";
  EXPECT_EQ(meter.sample(12 * kMs, 2 * kMs, asleep), State::active) << "it computed all the time";
  EXPECT_EQ(meter.sample(14 * kMs, 2 * kMs, wants), State::active) << "it only waits for a core";
  EXPECT_EQ(meter.sample(16 * kMs, 2 * kMs, asleep), State::parked);
  EXPECT_EQ(meter.sample(26 * kMs, 3 * kMs, wants), State::parked) << "a short wake-up takes no place";
  EXPECT_EQ(meter.sample(36 * kMs, 12 * kMs, wants), State::active);
}

}  // namespace
}  // namespace sockproof::runner
