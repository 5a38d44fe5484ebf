#include <sys/select.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "provider_test.h"

namespace sockproof::posix::test {
namespace {

class Readiness : public ProviderTest {
 protected:
  sp_handle Watcher(std::int32_t mechanism) const {
    const Outcome made = Do(SP_OP_WATCH_CREATE, {}, [&](auto& u) { u.watch_create = {mechanism, 0}; });
    EXPECT_TRUE(made.ok());
    EXPECT_EQ(made.handle.kind, SP_HANDLE_WATCHER);
    return made.handle;
  }
  Outcome Set(std::uint32_t op, const sp_handle& watcher, const sp_handle& handle, std::uint32_t events, std::uint64_t cookie,
              std::uint32_t flags = 0) const {
    return Do(op, handle, [&](auto& u) { u.watch_set = {watcher, events, flags, cookie}; });
  }
  // The first event, or one of zeros.
  sp_event Wait(const sp_handle& watcher, std::int64_t timeout_ns, Outcome* outcome = nullptr, std::int32_t capacity = 4,
                std::int32_t kind = SP_POINTER_VALID, std::int32_t timeout_kind = 0) const {
    sp_event events[4] = {};
    sp_call call{};
    call.op = SP_OP_WATCH_WAIT;
    call.handle = watcher;
    call.u.watch_wait = {timeout_ns, timeout_kind, kind, capacity, 99, events, 0, 0, {}, 0, 0};
    const Outcome waited = Do(call);
    if (outcome != nullptr) *outcome = waited;
    return call.u.watch_wait.count > 0 ? events[0] : sp_event{};
  }
  // A connected socket, and a listener with a connection in its queue.
  void Connected(sp_handle* listener, sp_handle* client) const {
    *listener = Make(SP_INET);
    ASSERT_TRUE(Bind(*listener, Loopback(SP_INET)).ok());
    ASSERT_TRUE(Listen(*listener).ok());
    *client = Make(SP_INET);
    ASSERT_TRUE(Connect(*client, LocalName(*listener)).ok());
  }
};

constexpr std::int32_t kAll[] = {SP_POLL, SP_PPOLL, SP_SELECT, SP_PSELECT, SP_EPOLL};

TEST_F(Readiness, EveryMechanismSeesInAndOut) {
  sp_handle listener{};
  sp_handle client{};
  Connected(&listener, &client);
  for (const std::int32_t mechanism : kAll) {
    const sp_handle watcher = Watcher(mechanism);
    ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, client, SP_IN, 7).ok());
    Outcome outcome{};
    Wait(watcher, 0, &outcome);
    EXPECT_EQ(outcome.value, 0) << mechanism;
    ASSERT_TRUE(Set(SP_OP_WATCH_MODIFY, watcher, client, SP_IN | SP_OUT, 8).ok());
    sp_event event = Wait(watcher, -1, &outcome);
    EXPECT_EQ(outcome.value, 1);
    EXPECT_EQ(event.events, static_cast<std::uint32_t>(SP_OUT));
    EXPECT_EQ(event.cookie, 8u);
    ASSERT_TRUE(Set(SP_OP_WATCH_REMOVE, watcher, client, 0, 0).ok());
    EXPECT_EQ(Set(SP_OP_WATCH_REMOVE, watcher, client, 0, 0).error, SP_ENOENT);
    ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, listener, SP_IN, 9).ok());
    event = Wait(watcher, -1);
    EXPECT_EQ(event.events, static_cast<std::uint32_t>(SP_IN));
    EXPECT_EQ(event.cookie, 9u);
    EXPECT_TRUE(Do(SP_OP_WATCH_CLOSE, watcher, [](auto&) {}).ok());
    EXPECT_EQ(Do(SP_OP_WATCH_CLOSE, watcher, [](auto&) {}).error, SP_EBADF);
    EXPECT_EQ(Set(SP_OP_WATCH_ADD, watcher, client, SP_IN, 1).error, SP_EBADF);
  }
}

TEST_F(Readiness, TimeOutsAreKept) {
  const sp_handle listener = Make(SP_INET);
  ASSERT_TRUE(Bind(listener, Loopback(SP_INET)).ok());
  ASSERT_TRUE(Listen(listener).ok());
  for (const std::int32_t mechanism : kAll) {
    const sp_handle watcher = Watcher(mechanism);
    ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, listener, SP_IN, 1).ok());
    const auto start = std::chrono::steady_clock::now();
    Outcome outcome{};
    Wait(watcher, 15'000'000, &outcome);
    EXPECT_EQ(outcome.value, 0);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(15)) << mechanism;
  }
}

TEST_F(Readiness, WrongArguments) {
  const sp_handle socket = Make(SP_INET);
  for (const std::int32_t mechanism : kAll) {
    const sp_handle watcher = Watcher(mechanism);
    ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, socket, SP_IN, 1).ok());
    Outcome outcome{};
    Wait(watcher, 0, &outcome, 4, SP_POINTER_VALID, 1);
    const bool refuses = mechanism == SP_SELECT || mechanism == SP_PSELECT || mechanism == SP_PPOLL;
    EXPECT_EQ(outcome.error, refuses ? SP_EINVAL : SP_NOT_SUPPORTED) << mechanism;
    Wait(watcher, 0, &outcome, 4, SP_POINTER_INVALID);
    EXPECT_EQ(outcome.error, SP_EFAULT) << mechanism;
  }
  const sp_handle epoll = Watcher(SP_EPOLL);
  Outcome outcome{};
  Wait(epoll, 0, &outcome, 0);
  EXPECT_EQ(outcome.error, SP_EINVAL);
  Wait(epoll, 0, &outcome, -1);
  EXPECT_EQ(outcome.error, SP_EINVAL);
  Wait(socket, 0, &outcome);
  EXPECT_EQ(outcome.error, SP_EINVAL);
  EXPECT_EQ(Set(SP_OP_WATCH_ADD, epoll, kInvalid, SP_IN, 1).error, SP_EBADF);
  EXPECT_EQ(Set(SP_OP_WATCH_ADD, epoll, kNotSocket, SP_IN, 1).error, SP_EPERM);
  EXPECT_EQ(Set(SP_OP_WATCH_ADD, socket, socket, SP_IN, 1).error, SP_EINVAL);
}

TEST_F(Readiness, AClosedDescriptorIsSeenAndANegativeOneIsNot) {
  const sp_handle closed = Make(SP_INET);
  Close(closed);
  for (const std::int32_t mechanism : {SP_POLL, SP_PPOLL}) {
    const sp_handle watcher = Watcher(mechanism);
    ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, kInvalid, SP_IN, 2).ok());
    EXPECT_EQ(Wait(watcher, 0).events, 0u);
    ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, closed, SP_IN, 1).ok());
    EXPECT_EQ(Wait(watcher, 0).events, static_cast<std::uint32_t>(SP_NVAL));
  }
  for (const std::int32_t mechanism : {SP_SELECT, SP_PSELECT}) {
    const sp_handle watcher = Watcher(mechanism);
    EXPECT_EQ(Set(SP_OP_WATCH_ADD, watcher, kInvalid, SP_IN, 1).error, SP_NOT_SUPPORTED);
    ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, closed, SP_IN, 1).ok());
    Outcome outcome{};
    Wait(watcher, 0, &outcome);
    EXPECT_EQ(outcome.error, SP_EBADF);
  }
}

TEST_F(Readiness, WhatAMechanismCannotDoIsNotSupported) {
  const sp_handle socket = Make(SP_INET);
  const sp_handle poll = Watcher(SP_POLL);
  const sp_handle select = Watcher(SP_SELECT);
  EXPECT_EQ(Set(SP_OP_WATCH_ADD, poll, socket, SP_IN, 1, SP_EDGE).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Set(SP_OP_WATCH_ADD, select, socket, SP_RDHUP, 1).error, SP_NOT_SUPPORTED);
  const sp_handle far = {SP_HANDLE_SOCKET, 0, FD_SETSIZE};
  EXPECT_EQ(Set(SP_OP_WATCH_ADD, select, far, SP_IN, 1).error, SP_NOT_SUPPORTED);
  const Outcome port = Do(SP_OP_WATCH_CREATE, {}, [](auto& u) { u.watch_create = {SP_COMPLETION_PORT, 0}; });
  EXPECT_EQ(port.error, SP_NOT_SUPPORTED);
}

TEST_F(Readiness, EpollFlagsReachTheSystem) {
  sp_handle listener{};
  sp_handle client{};
  Connected(&listener, &client);
  const sp_handle epoll = Watcher(SP_EPOLL);
  ASSERT_TRUE(Set(SP_OP_WATCH_ADD, epoll, client, SP_OUT, 1, SP_ONESHOT).ok());
  EXPECT_EQ(Set(SP_OP_WATCH_ADD, epoll, client, SP_OUT, 1).error, SP_EEXIST);
  EXPECT_EQ(Wait(epoll, 0).cookie, 1u);
  EXPECT_EQ(Wait(epoll, 0).cookie, 0u);
  ASSERT_TRUE(Set(SP_OP_WATCH_MODIFY, epoll, client, SP_OUT, 2, SP_EDGE).ok());
  EXPECT_EQ(Wait(epoll, 0).cookie, 2u);
  EXPECT_EQ(Wait(epoll, 0).cookie, 0u);
  EXPECT_EQ(Set(SP_OP_WATCH_MODIFY, epoll, client, SP_OUT, 2, SP_EXCLUSIVE).error, SP_EINVAL);
  const sp_handle outer = Watcher(SP_EPOLL);
  ASSERT_TRUE(Set(SP_OP_WATCH_ADD, outer, epoll, SP_IN, 3).ok());
  ASSERT_TRUE(Set(SP_OP_WATCH_MODIFY, epoll, client, SP_OUT, 4).ok());
  EXPECT_EQ(Wait(outer, 0).cookie, 3u);
}

TEST_F(Readiness, AWatcherChangesWhileItIsWaitedFor) {
  sp_handle listener{};
  sp_handle client{};
  Connected(&listener, &client);
  const sp_handle watcher = Watcher(SP_POLL);
  ASSERT_TRUE(Set(SP_OP_WATCH_ADD, watcher, client, SP_IN, 1).ok());
  std::atomic<std::int64_t> thread{0};
  Outcome outcome{};
  std::thread waiter([&] {
    thread = provider_.threads->current(self_);
    Wait(watcher, -1, &outcome);
  });
  while (thread == 0 || provider_.threads->blocked(self_, thread) != SP_OK) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(Set(SP_OP_WATCH_ADD, watcher, listener, SP_IN, 2).ok());
    EXPECT_TRUE(Set(SP_OP_WATCH_REMOVE, watcher, listener, 0, 0).ok());
  }
  EXPECT_EQ(provider_.threads->blocked(self_, thread), SP_OK);
  EXPECT_EQ(provider_.threads->interrupt(self_, thread, 0), SP_OK);
  waiter.join();
  EXPECT_EQ(outcome.error, SP_EINTR);
}

}  // namespace
}  // namespace sockproof::posix::test
