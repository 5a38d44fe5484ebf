#include <thread>

#include "provider_test.h"

namespace sockproof::winsock::test {
namespace {

using CallsTest = ProviderTest;

TEST_F(CallsTest, ConnectsAcceptsAndCarriesDataInEveryForm) {
  const auto [client, server] = Pair();
  for (const std::int32_t form : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    EXPECT_EQ(Send(client, "hello", form).value, 5) << form;
    const auto [got, text] = Recv(server, form);
    EXPECT_TRUE(got.ok()) << form << " " << got.native;
    EXPECT_EQ(text, "hello") << form;
  }
  EXPECT_TRUE(Do(SP_OP_SHUTDOWN, client, [](auto& u) { u.shutdown.how = SP_SHUT_WR; }).ok());
  EXPECT_EQ(Recv(server).first.value, 0);
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(server).ok());
}

TEST_F(CallsTest, VectorsAreGatheredAndScattered) {
  const auto [client, server] = Pair();
  char first[] = "abc", second[] = "defg";
  const sp_buffer out[] = {{first, 3, SP_POINTER_VALID, 0}, {second, 4, SP_POINTER_VALID, 0}};
  const Outcome sent = Do(SP_OP_SEND, client, [&](auto& u) {
    u.send.form = SP_FORM_VECTOR;
    u.send.buffers = out;
    u.send.buffer_count = 2;
    u.send.to.kind = SP_POINTER_NULL;
  });
  EXPECT_EQ(sent.value, 7);
  EXPECT_EQ(Recv(server).second, "abcdefg");
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(server).ok());
}

TEST_F(CallsTest, ErrorsHaveTheirNamesAndCodes) {
  const sp_handle socket = Make();
  EXPECT_EQ(Listen(socket).error, SP_EINVAL);
  EXPECT_EQ(Listen(socket).native, WSAEINVAL);
  EXPECT_EQ(Accept(socket).error, SP_EINVAL);
  EXPECT_EQ(Listen(kInvalid).error, SP_ENOTSOCK);
  EXPECT_FALSE(Listen(kNotSocket).ok());
  EXPECT_TRUE(Close(socket).ok());
  EXPECT_EQ(Close(socket).native, WSAENOTSOCK);
}

TEST_F(CallsTest, ARefusedConnectIsTold) {
  const sp_handle bound = Make();
  EXPECT_TRUE(Bind(bound, Loopback(SP_INET)).ok());
  const sp_handle socket = Make();
  EXPECT_EQ(Connect(socket, LocalName(bound)).error, SP_ECONNREFUSED);
  EXPECT_TRUE(Close(bound).ok());
  EXPECT_TRUE(Close(socket).ok());
}

TEST_F(CallsTest, NonblockingModeIsSetAtCreationAndLater) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  EXPECT_TRUE(Do(SP_OP_SET_MODE, listener, [](auto& u) { u.set_mode = {SP_NONBLOCKING, 0}; }).ok());
  EXPECT_EQ(Accept(listener).error, SP_EAGAIN);
  const sp_handle made = Make(SP_INET, SP_STREAM, SP_NONBLOCKING);
  EXPECT_TRUE(Bind(made, Loopback(SP_INET)).ok());
  EXPECT_TRUE(Listen(made).ok());
  EXPECT_EQ(Accept(made).error, SP_EAGAIN);
  EXPECT_TRUE(Close(made).ok());
  EXPECT_TRUE(Close(listener).ok());
}

TEST_F(CallsTest, AcceptReportsThePeer) {
  for (const std::int32_t family : {SP_INET, SP_INET6}) {
    sp_address address{};
    const sp_handle listener = Listener(&address, family);
    const sp_handle client = Make(family);
    ASSERT_TRUE(Connect(client, address).ok());
    std::uint8_t raw[64];
    sp_call call{};
    call.op = SP_OP_ACCEPT;
    call.handle = listener;
    call.u.accept.peer.length = SP_NATURAL_LENGTH;
    call.u.accept.peer.raw = raw;
    call.u.accept.peer.raw_size = sizeof raw;
    const Outcome accepted = Do(call);
    ASSERT_TRUE(accepted.ok());
    EXPECT_EQ(call.u.accept.peer.decoded, 1);
    EXPECT_EQ(call.u.accept.peer.address.port, LocalName(client).port);
    for (const sp_handle& one : {listener, client, accepted.handle}) EXPECT_TRUE(Close(one).ok());
  }
}

TEST_F(CallsTest, OptionsGoBothWays) {
  const sp_handle socket = Make();
  sp_option_args args{};
  args.option = SP_SO_RCVTIMEO;
  args.value_type = SP_VALUE_DURATION;
  args.length = SP_NATURAL_LENGTH;
  args.duration_ns = 1'500'000;  // up to the next millisecond
  EXPECT_TRUE(Do(SP_OP_SET_OPTION, socket, [&](auto& u) { u.set_option = args; }).ok());
  sp_call call{};
  call.op = SP_OP_GET_OPTION;
  call.handle = socket;
  call.u.get_option = args;
  call.u.get_option.duration_ns = 0;
  EXPECT_TRUE(Do(call).ok());
  EXPECT_EQ(call.u.get_option.duration_ns, 2'000'000);
  EXPECT_EQ(call.u.get_option.reported, 4);

  args = {};
  args.option = SP_SO_TYPE;
  args.length = SP_NATURAL_LENGTH;
  call.u.get_option = args;
  EXPECT_TRUE(Do(call).ok());
  EXPECT_EQ(call.u.get_option.integer, SP_STREAM);
  args.option = SP_SO_DOMAIN;
  EXPECT_EQ(Do(SP_OP_GET_OPTION, socket, [&](auto& u) { u.get_option = args; }).error, SP_NOT_SUPPORTED);
  EXPECT_TRUE(Close(socket).ok());
}

TEST_F(CallsTest, WhatCannotBeExpressedIsNotSupported) {
  const sp_handle socket = Make();
  EXPECT_EQ(Do(SP_OP_ACCEPT, socket, [](auto& u) { u.accept.modes = SP_NONBLOCKING; }).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_GET_MODE, socket, [](auto&) {}).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_SOCKETPAIR, {}, [](auto&) {}).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_WATCH_CREATE, {}, [](auto& u) { u.watch_create.mechanism = SP_EPOLL; }).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_RECV, socket, [](auto& u) { u.recv.flags = SP_MSG_DONTWAIT; }).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Listen({SP_HANDLE_PATH_ONLY, 0, 0}).error, SP_NOT_SUPPORTED);
  EXPECT_TRUE(Close(socket).ok());
}

TEST_F(CallsTest, ADuplicateIsTheSameSocket) {
  const auto [client, server] = Pair();
  const Outcome copy = Do(SP_OP_DUPLICATE, client, [](auto&) {});
  ASSERT_TRUE(copy.ok()) << copy.native;
  EXPECT_NE(copy.handle.value, client.value);
  EXPECT_TRUE(Close(client).ok());
  EXPECT_EQ(Send(copy.handle, "still").value, 5);
  EXPECT_EQ(Recv(server).second, "still");
  EXPECT_TRUE(Close(copy.handle).ok());
  EXPECT_EQ(Recv(server).first.value, 0);
  EXPECT_TRUE(Close(server).ok());
}

TEST_F(CallsTest, OpenSocketsAndEventsAreCounted) {
  const std::uint64_t before = OpenHandles();
  const sp_handle socket = Make();
  const sp_handle event = Watcher(SP_EVENT_OBJECT);
  EXPECT_EQ(OpenHandles(), before + 2);
  EXPECT_TRUE(Do(SP_OP_WATCH_CLOSE, event, [](auto&) {}).ok());
  EXPECT_TRUE(Close(socket).ok());
  EXPECT_EQ(OpenHandles(), before);
}

TEST_F(CallsTest, AThreadInACallIsSeenToBlock) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  std::atomic<std::int64_t> token{0};
  std::thread waiting([&] {
    token = provider_.threads->current(self_);
    const Outcome accepted = Accept(listener);
    EXPECT_TRUE(accepted.ok());
    EXPECT_TRUE(Close(accepted.handle).ok());
  });
  EXPECT_EQ(provider_.threads->blocked(self_, provider_.threads->current(self_)), SP_EAGAIN);
  bool blocked = false;
  for (int i = 0; i < 10000 && !blocked; ++i) {
    blocked = token != 0 && provider_.threads->blocked(self_, token) == SP_OK;
    ::Sleep(1);
  }
  EXPECT_TRUE(blocked);
  const sp_handle client = Make();
  EXPECT_TRUE(Connect(client, address).ok());
  waiting.join();
  EXPECT_EQ(provider_.threads->blocked(self_, token), SP_EAGAIN);
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(listener).ok());
}

TEST_F(CallsTest, ABlackHoleSwallowsConnects) {
  const char* why = "";
  if (provider_.capability(self_, SP_CAP_BLACK_HOLE, &why) != SP_OK) GTEST_SKIP() << why;
  sp_address address{};
  ASSERT_EQ(provider_.network->black_hole(self_, SP_INET, &address), SP_OK);
  const std::uint64_t before = OpenHandles();
  const sp_handle client = Make(SP_INET, SP_STREAM, SP_NONBLOCKING);
  EXPECT_EQ(Connect(client, address).error, SP_EAGAIN);
  const sp_handle watcher = Watcher(SP_SELECT);
  EXPECT_TRUE(Watch(watcher, client, SP_OUT | SP_PRI).ok());
  EXPECT_TRUE(Wait(watcher, 200'000'000).empty());
  EXPECT_EQ(OpenHandles(), before + 1) << "the adapter's own sockets are not counted";
  EXPECT_TRUE(Close(client).ok());
}

TEST_F(CallsTest, TheSessionIsCounted) {
  std::uint32_t given = 0, highest = 0;
  std::int64_t native = 0;
  EXPECT_EQ(provider_.session->startup(self_, 0x0202, &given, &highest, &native), SP_OK);
  EXPECT_EQ(given, 0x0202u);
  EXPECT_EQ(highest, 0x0202u);
  EXPECT_EQ(provider_.session->cleanup(self_, &native), SP_OK);
  EXPECT_TRUE(Close(Make()).ok()) << "the session that open began is still there";
}

TEST(OpenTest, ArgumentsAreReadOrRefused) {
  const sp_provider& provider = *sockproof_winsock_provider();
  for (const char* argument : {"port", "id=1001", "guid={e70f1aa0-ab8b-11cf-8ca3-00805f48a192}", "port,id=1001"}) {
    void* self = nullptr;
    const char* why = nullptr;
    EXPECT_EQ(provider.open(argument, &self, &why), SP_OK) << argument;
    provider.close(self);
  }
  for (const char* argument : {"harbour", "id=", "id=x", "guid={1}", "guid=e70f1aa0"}) {
    void* self = nullptr;
    const char* why = nullptr;
    EXPECT_EQ(provider.open(argument, &self, &why), SP_EINVAL) << argument;
    EXPECT_NE(why, nullptr);
  }
}

}  // namespace
}  // namespace sockproof::winsock::test
