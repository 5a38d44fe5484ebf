// Nothing outlives the runner, however it ends.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "integration_fixture.h"
#include "procfs.h"

namespace sockproof::runner {
namespace {

class DeathOfTheRunner : public RunnerTest, public ::testing::WithParamInterface<int> {};

TEST_P(DeathOfTheRunner, TakesEverythingWithIt) {
  // A scenario that hangs, one with a child, and one that has left a daemon in a session of its own and hangs then.
  const pid_t pid = start({"--filter", "Hang.IgnoresSigterm/*:Hang.HasAChild/*:Leave.DaemonAndHang/*", "--timeout-scale", "100",
                           "--jobs", "3", "--selftest", "--stream-only"});
  // The runner, its guardian, three scenarios, a child and a daemon; and the battery that forks, where it does.
  const std::size_t all = std::getenv("FAKE_SERVES") != nullptr ? 8 : 7;
  EXPECT_TRUE(eventually([&] { return survivors().size() == all; })) << survivors().size();
  ::kill(pid, GetParam());
  finish(pid);
  EXPECT_TRUE(eventually([this] { return survivors().empty(); })) << survivors().size();
  EXPECT_TRUE(eventually([this] { return left_directories().empty(); }));
}

INSTANTIATE_TEST_SUITE_P(BySignal, DeathOfTheRunner, ::testing::Values(SIGKILL, SIGINT, SIGTERM, SIGHUP, SIGSEGV),
                         [](const auto& parameter) { return std::string("SIG") + sigabbrev_np(parameter.param); });

}  // namespace
}  // namespace sockproof::runner
