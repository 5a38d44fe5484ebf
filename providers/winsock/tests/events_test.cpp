#include "provider_test.h"

namespace sockproof::winsock::test {
namespace {

using EventsTest = ProviderTest;

TEST_F(EventsTest, SelectFindsAListenerReadable) {
  for (const std::int32_t mechanism : {SP_SELECT, SP_WSAPOLL}) {
    sp_address address{};
    const sp_handle listener = Listener(&address);
    const sp_handle watcher = Watcher(mechanism);
    EXPECT_TRUE(Watch(watcher, listener, SP_IN, 7).ok());
    EXPECT_TRUE(Wait(watcher, 0).empty());
    const sp_handle client = Make();
    ASSERT_TRUE(Connect(client, address).ok());
    const auto events = Wait(watcher, kPatience);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].cookie, 7u);
    EXPECT_EQ(events[0].events, static_cast<std::uint32_t>(SP_IN));
    EXPECT_TRUE(Close(client).ok());
    EXPECT_TRUE(Close(listener).ok());
  }
}

TEST_F(EventsTest, SelectTakesMoreSocketsThanAnFdSetHas) {
  const sp_handle watcher = Watcher(SP_SELECT);
  std::vector<sp_handle> sockets;
  for (int i = 0; i < FD_SETSIZE + 10; ++i) {
    sockets.push_back(Make(SP_INET, SP_DATAGRAM));
    EXPECT_TRUE(Watch(watcher, sockets.back(), SP_OUT, static_cast<std::uint64_t>(i)).ok());
  }
  Outcome waited{};
  Wait(watcher, 0, &waited);
  EXPECT_EQ(waited.value, FD_SETSIZE + 10);
  for (const sp_handle& socket : sockets) EXPECT_TRUE(Close(socket).ok());
}

TEST_F(EventsTest, AnEventObjectTellsOfAnArrivalOnce) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle event = Watcher(SP_EVENT_OBJECT);
  EXPECT_TRUE(Watch(event, listener, SP_FD_ACCEPT, 9).ok());
  const sp_handle client = Make();
  ASSERT_TRUE(Connect(client, address).ok());
  const auto events = Wait(event, kPatience);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].events, static_cast<std::uint32_t>(SP_FD_ACCEPT));
  EXPECT_EQ(events[0].cookie, 9u);
  EXPECT_EQ(events[0].error, SP_OK);
  EXPECT_TRUE(Wait(event, 0).empty());
  std::uint32_t strays = 0;
  EXPECT_TRUE(Report(event, listener, &strays).empty());
  EXPECT_TRUE(Do(SP_OP_WATCH_CLOSE, event, [](auto&) {}).ok());
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(listener).ok());
}

TEST_F(EventsTest, AnInvalidEventIsRefused) {
  const sp_handle socket = Make();
  EXPECT_FALSE(Watch(kInvalid, socket, SP_FD_ACCEPT).ok());
  EXPECT_TRUE(Close(socket).ok());
}

TEST_F(EventsTest, MessagesReachTheWindowInOrder) {
  const char* why = "";
  if (provider_.capability(self_, SP_CAP_WINDOW_MESSAGES, &why) != SP_OK) GTEST_SKIP() << why;
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle window = Watcher(SP_WINDOW_MESSAGE);
  EXPECT_TRUE(Watch(window, listener, SP_FD_ACCEPT | SP_FD_READ, 3).ok());
  const sp_handle client = Make();
  EXPECT_TRUE(Watch(window, client, SP_FD_CONNECT, 4).ok());
  EXPECT_EQ(Connect(client, address).error, SP_EAGAIN);
  std::uint32_t seen = 0;
  for (int i = 0; i < 2 && seen != (SP_FD_ACCEPT | SP_FD_CONNECT); ++i) {
    for (const sp_event& one : Wait(window, kPatience)) {
      seen |= one.events;
      EXPECT_EQ(one.cookie, one.events == SP_FD_ACCEPT ? 3u : 4u);
    }
  }
  EXPECT_EQ(seen, static_cast<std::uint32_t>(SP_FD_ACCEPT | SP_FD_CONNECT));
  const Outcome accepted = Accept(listener);
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(Send(client, "x").value, 1);
  const auto events = Wait(window, kPatience);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].events, static_cast<std::uint32_t>(SP_FD_READ));
  EXPECT_EQ(events[0].cookie, 3u) << "inherited";
  EXPECT_TRUE(Do(SP_OP_WATCH_CLOSE, window, [](auto&) {}).ok());
  EXPECT_EQ(Do(SP_OP_WATCH_CLOSE, window, [](auto&) {}).error, SP_INVALID_HANDLE);
  for (const sp_handle& one : {listener, client, accepted.handle}) EXPECT_TRUE(Close(one).ok());
}

}  // namespace
}  // namespace sockproof::winsock::test
