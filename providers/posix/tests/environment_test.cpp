// Limits, counters, the network and capabilities.
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "provider_test.h"

namespace sockproof::posix::test {
namespace {

class Environment : public ProviderTest {
 protected:
  bool Can(std::int32_t capability) const {
    const char* why = nullptr;
    const bool can = provider_.capability(self_, capability, &why) == SP_OK;
    EXPECT_TRUE(can || (why != nullptr && *why != '\0')) << "no reason for " << capability;
    return can;
  }
  Outcome TryMake() const {
    return Do(SP_OP_SOCKET, {}, [](auto& u) { u.socket = {SP_UNIX, SP_STREAM, 0, 0}; });
  }
};

TEST_F(Environment, EveryCapabilityHasAnAnswer) {
  for (std::int32_t capability = 0; capability < SP_CAP_COUNT; ++capability) Can(capability);
  EXPECT_TRUE(Can(SP_CAP_POLL));
  EXPECT_FALSE(Can(SP_CAP_OVERLAPPED));
  EXPECT_EQ(OpenHandles(), 0u);
}

TEST_F(Environment, ExactlySoManyHandlesMoreCanBeOpened) {
  ASSERT_TRUE(Can(SP_CAP_HANDLE_LIMIT));
  // Holes below the highest descriptor, which a limit on numbers would miss.
  std::vector<sp_handle> some;
  for (int i = 0; i < 6; ++i) some.push_back(TryMake().handle);
  Close(some[1]);
  Close(some[3]);
  for (const int headroom : {0, 1, 3}) {
    ASSERT_EQ(provider_.limits->set_limit(self_, SP_LIMIT_HANDLES, headroom), SP_OK);
    std::vector<sp_handle> made;
    for (int i = 0; i < headroom; ++i) {
      const Outcome outcome = TryMake();
      EXPECT_TRUE(outcome.ok());
      made.push_back(outcome.handle);
    }
    EXPECT_EQ(TryMake().error, SP_EMFILE);
    EXPECT_EQ(OpenHandles(), 4u + made.size());
    for (const sp_handle& handle : made) Close(handle);
    if (headroom > 0) {
      EXPECT_TRUE(Close(TryMake().handle).ok());
    }
  }
  ASSERT_EQ(provider_.limits->set_limit(self_, SP_LIMIT_HANDLES, -1), SP_OK);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(TryMake().ok());
  EXPECT_EQ(OpenHandles(), 14u);
  EXPECT_EQ(provider_.limits->set_limit(self_, SP_LIMIT_BUFFERS, 0), SP_NOT_SUPPORTED);
}

TEST_F(Environment, HandlesAreCountedAndDescribed) {
  EXPECT_EQ(OpenHandles(), 0u);
  const sp_handle socket = TryMake().handle;
  const Outcome epoll = Do(SP_OP_WATCH_CREATE, {}, [](auto& u) { u.watch_create = {SP_EPOLL, 0}; });
  EXPECT_EQ(OpenHandles(), 2u);
  char text[256];
  std::uint32_t size = sizeof text;
  ASSERT_EQ(provider_.counters->describe_handles(self_, text, &size), SP_OK);
  EXPECT_EQ(size, std::strlen(text));
  EXPECT_NE(std::strstr(text, (std::to_string(socket.value) + " socket:[").c_str()), nullptr) << text;
  EXPECT_NE(std::strstr(text, "eventpoll"), nullptr) << text;
  size = 5;
  ASSERT_EQ(provider_.counters->describe_handles(self_, text, &size), SP_OK);
  EXPECT_EQ(size, 4u);
  Close(socket);
  Close(epoll.handle);
  EXPECT_EQ(OpenHandles(), 0u);
}

TEST_F(Environment, ASilencedListenerAnswersNobodyUntilItIsHeardAgain) {
  if (!Can(SP_CAP_SILENCE)) GTEST_SKIP();
  const sp_handle listener = Make(SP_INET);
  ASSERT_TRUE(Bind(listener, Loopback(SP_INET)).ok());
  ASSERT_TRUE(Listen(listener).ok());
  ASSERT_EQ(provider_.network->silence(self_, listener, 1), SP_OK);
  const sp_handle client = Make(SP_INET, SP_STREAM, SP_NONBLOCKING);
  EXPECT_EQ(Connect(client, LocalName(listener)).error, SP_EINPROGRESS);
  pollfd one{static_cast<int>(client.value), POLLOUT, 0};
  EXPECT_EQ(::poll(&one, 1, 20), 0);
  ASSERT_EQ(provider_.network->silence(self_, listener, 0), SP_OK);
  ASSERT_EQ(provider_.network->silence(self_, listener, 0), SP_OK);  // nothing to end is fine
  EXPECT_EQ(::poll(&one, 1, 10'000), 1);                             // the repeated SYN gets through
  EXPECT_EQ(one.revents, POLLOUT);
  EXPECT_EQ(provider_.network->silence(self_, Make(SP_UNIX), 1), SP_NOT_SUPPORTED);
}

TEST_F(Environment, ABlackHoleSwallows) {
  if (!Can(SP_CAP_BLACK_HOLE)) GTEST_SKIP();
  sp_address hole{};
  ASSERT_EQ(provider_.network->black_hole(self_, SP_INET, &hole), SP_OK);
  sp_address again{};
  ASSERT_EQ(provider_.network->black_hole(self_, SP_INET, &again), SP_OK);
  EXPECT_EQ(std::memcmp(&hole, &again, sizeof hole), 0);
  EXPECT_EQ(OpenHandles(), 0u);
  const sp_handle client = Make(SP_INET, SP_STREAM, SP_NONBLOCKING);
  EXPECT_EQ(Connect(client, hole).error, SP_EINPROGRESS);
  pollfd one{static_cast<int>(client.value), POLLOUT, 0};
  EXPECT_EQ(::poll(&one, 1, 20), 0);
  EXPECT_EQ(provider_.network->black_hole(self_, SP_UNIX, &hole), SP_NOT_SUPPORTED);
}

TEST_F(Environment, SettingsAreOnlyThoseOfANamespaceOfOurOwn) {
  std::int64_t value = -1;
  EXPECT_EQ(provider_.limits->get_knob(self_, SP_KNOB_BACKLOG_MAX, &value), SP_OK);
  EXPECT_GT(value, 0);
  ::unsetenv("SOCKPROOF_ISOLATION");
  EXPECT_FALSE(Can(SP_CAP_KNOBS));
  EXPECT_EQ(provider_.limits->set_knob(self_, SP_KNOB_BACKLOG_MAX, value), SP_NOT_SUPPORTED);
  // Claimed, but it is the machine's own after all.
  char name[64] = {};
  ASSERT_GT(::readlink("/proc/self/ns/net", name, sizeof name - 1), 0);
  ::setenv("SOCKPROOF_ISOLATION", "netns", 1);
  ::setenv("SOCKPROOF_HOST_NETNS", name, 1);
  EXPECT_EQ(provider_.limits->set_knob(self_, SP_KNOB_BACKLOG_MAX, value), SP_NOT_SUPPORTED);
  ::unsetenv("SOCKPROOF_ISOLATION");
  ::unsetenv("SOCKPROOF_HOST_NETNS");
}

}  // namespace
}  // namespace sockproof::posix::test
