#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "provider_test.h"

namespace sockproof::posix::test {
namespace {

class Calls : public ProviderTest {
 protected:
  // Two connected sockets.
  void Pair(std::int32_t type, sp_handle* one, sp_handle* other) const {
    sp_call call{};
    call.op = SP_OP_SOCKETPAIR;
    call.u.socketpair.of = {SP_UNIX, type, 0, 0};
    const Outcome made = Do(call);
    ASSERT_TRUE(made.ok());
    *one = made.handle;
    *other = call.u.socketpair.second;
  }

  Outcome Option(const sp_handle& handle, std::uint32_t op, sp_option_args& args) const {
    sp_call call{};
    call.op = op;
    call.handle = handle;
    call.u.get_option = args;
    const Outcome outcome = Do(call);
    args = call.u.get_option;
    return outcome;
  }

  static sp_option_args Args(std::int32_t option, std::int32_t type = SP_VALUE_INTEGER) {
    sp_option_args args{};
    args.option = option;
    args.value_type = type;
    args.length = SP_NATURAL_LENGTH;
    return args;
  }
};

TEST_F(Calls, AConnectionOverEachFamily) {
  for (const std::int32_t family : {SP_INET, SP_INET6}) {
    const sp_handle listener = Make(family);
    ASSERT_TRUE(Bind(listener, Loopback(family)).ok());
    ASSERT_TRUE(Listen(listener).ok());
    const sp_handle client = Make(family);
    ASSERT_TRUE(Connect(client, LocalName(listener)).ok());
    const Outcome accepted = Accept(listener, 1, SP_NONBLOCKING | SP_CLOSE_ON_EXEC);
    ASSERT_TRUE(accepted.ok());
    EXPECT_EQ(Do(SP_OP_GET_MODE, accepted.handle, [](auto&) {}).value, SP_NONBLOCKING | SP_CLOSE_ON_EXEC);
    for (const sp_handle& handle : {listener, client, accepted.handle}) EXPECT_TRUE(Close(handle).ok());
  }
  EXPECT_EQ(OpenHandles(), 0u);
}

TEST_F(Calls, HandlesOfEveryKind) {
  EXPECT_EQ(Listen(kInvalid).error, SP_EBADF);
  EXPECT_EQ(Listen(kInvalid).native, EBADF);
  EXPECT_EQ(Listen(kInvalid).value, -1);
  EXPECT_EQ(Listen(kNotSocket).error, SP_ENOTSOCK);
  EXPECT_EQ(Listen(kPathOnly).error, SP_EBADF);
  const Outcome watcher = Do(SP_OP_WATCH_CREATE, {}, [](auto& u) { u.watch_create = {SP_POLL, 0}; });
  EXPECT_EQ(Listen(watcher.handle).error, SP_NOT_SUPPORTED);
}

TEST_F(Calls, PointersAndLengthsArePassedOn) {
  const sp_handle socket = Make(SP_INET);
  EXPECT_EQ(Bind(socket, Loopback(SP_INET), SP_NATURAL_LENGTH, SP_POINTER_INVALID).error, SP_EFAULT);
  EXPECT_EQ(Bind(socket, Loopback(SP_INET), 3).error, SP_EINVAL);
  EXPECT_EQ(Bind(socket, Loopback(SP_INET), -1).error, SP_EINVAL);
  EXPECT_EQ(Bind(socket, Loopback(SP_INET), 4096).error, SP_EINVAL);
  sp_buffer buffer{nullptr, 8, SP_POINTER_INVALID, 0};
  sp_handle one{};
  sp_handle other{};
  Pair(SP_STREAM, &one, &other);
  for (const std::int32_t form : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    const Outcome sent = Do(SP_OP_SEND, one, [&](auto& u) {
      u.send.form = form;
      u.send.buffers = &buffer;
      u.send.buffer_count = 1;
      u.send.to.kind = SP_POINTER_NULL;
    });
    EXPECT_EQ(sent.error, SP_EFAULT) << form;
  }
  auto linger = Args(SP_SO_LINGER, SP_VALUE_LINGER);
  linger.kind = SP_POINTER_NULL;
  EXPECT_EQ(Option(one, SP_OP_SET_OPTION, linger).error, SP_EFAULT);
  auto reuse = Args(SP_SO_REUSEADDR);
  reuse.length = 1;
  EXPECT_EQ(Option(one, SP_OP_SET_OPTION, reuse).error, SP_EINVAL);
  reuse.length = SP_NATURAL_LENGTH;
  reuse.length_kind = SP_POINTER_INVALID;
  EXPECT_EQ(Option(one, SP_OP_GET_OPTION, reuse).error, SP_EFAULT);
  auto unknown = Args(SP_UNKNOWN_OPTION);
  EXPECT_EQ(Option(socket, SP_OP_GET_OPTION, unknown).error, SP_ENOPROTOOPT);
  const Outcome odd = Do(SP_OP_SOCKET, {}, [](auto& u) { u.socket = {SP_INET, SP_STREAM, 0, SP_MODE_UNKNOWN_BIT}; });
  EXPECT_EQ(odd.error, SP_EINVAL);
}

TEST_F(Calls, AddressBuffersAreTheCallers) {
  const sp_handle socket = Make(SP_INET);
  ASSERT_TRUE(Bind(socket, Loopback(SP_INET)).ok());
  std::uint8_t raw[64];
  std::memset(raw, 0xa5, sizeof raw);
  sp_call call{};
  call.op = SP_OP_LOCAL_NAME;
  call.handle = socket;
  call.u.local_name.name.raw = raw;
  call.u.local_name.name.raw_size = sizeof raw;
  call.u.local_name.name.length = 5;
  ASSERT_TRUE(Do(call).ok());
  EXPECT_EQ(call.u.local_name.name.reported, 16);
  EXPECT_EQ(call.u.local_name.name.decoded, 0);
  EXPECT_NE(raw[4], 0xa5);
  EXPECT_EQ(raw[5], 0xa5);
  call.u.local_name.name.length = -1;
  EXPECT_EQ(Do(call).error, SP_EINVAL);
  call.u.local_name.name.length = SP_NATURAL_LENGTH;
  call.u.local_name.name.kind = SP_POINTER_INVALID;
  EXPECT_EQ(Do(call).error, SP_EFAULT);
}

TEST_F(Calls, EveryFormMovesTheSameBytes) {
  sp_handle one{};
  sp_handle other{};
  Pair(SP_STREAM, &one, &other);
  for (const std::int32_t send : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    for (const std::int32_t recv : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
      char out[] = "abcdef";
      char in[8] = {};
      const bool several = send == SP_FORM_MESSAGE || send == SP_FORM_VECTOR;
      const sp_buffer parts[2] = {{out, several ? 2u : 6u, 0, 0}, {out + 2, 4, 0, 0}};
      const Outcome sent = Do(SP_OP_SEND, one, [&](auto& u) {
        u.send.form = send;
        u.send.buffers = parts;
        u.send.buffer_count = several ? 2 : 1;
        u.send.to.kind = SP_POINTER_NULL;
      });
      ASSERT_EQ(sent.value, 6) << send;
      const sp_buffer whole = {in, sizeof in, 0, 0};
      const Outcome got = Do(SP_OP_RECV, other, [&](auto& u) {
        u.recv.form = recv;
        u.recv.buffers = &whole;
        u.recv.buffer_count = 1;
        u.recv.from.kind = SP_POINTER_NULL;
      });
      ASSERT_EQ(got.value, 6) << recv;
      EXPECT_STREQ(in, out);
    }
  }
}

TEST_F(Calls, WhatAFormCannotSayIsNotSupported) {
  sp_handle one{};
  sp_handle other{};
  Pair(SP_STREAM, &one, &other);
  const sp_buffer parts[2] = {};
  const auto send = [&](std::int32_t form, std::uint32_t flags, std::uint32_t count) {
    return Do(SP_OP_SEND, one,
              [&](auto& u) {
                u.send.form = form;
                u.send.flags = flags;
                u.send.buffers = parts;
                u.send.buffer_count = count;
                u.send.to.kind = SP_POINTER_NULL;
              })
        .error;
  };
  EXPECT_EQ(send(SP_FORM_FILE, SP_MSG_PEEK, 1), SP_NOT_SUPPORTED);
  EXPECT_EQ(send(SP_FORM_VECTOR, SP_MSG_DONTWAIT, 1), SP_NOT_SUPPORTED);
  EXPECT_EQ(send(SP_FORM_DEFAULT, 0, 2), SP_NOT_SUPPORTED);
}

TEST_F(Calls, HandlesTravel) {
  sp_handle one{};
  sp_handle other{};
  Pair(SP_SEQPACKET, &one, &other);
  const sp_handle passenger = Make(SP_INET);
  ASSERT_TRUE(Bind(passenger, Loopback(SP_INET)).ok());
  char byte = 'x';
  const sp_buffer buffer = {&byte, 1, 0, 0};
  const Outcome sent = Do(SP_OP_SEND, one, [&](auto& u) {
    u.send.form = SP_FORM_MESSAGE;
    u.send.buffers = &buffer;
    u.send.buffer_count = 1;
    u.send.to.kind = SP_POINTER_NULL;
    u.send.handles[0] = passenger;
    u.send.handles[1] = passenger;
    u.send.handle_count = 2;
  });
  ASSERT_TRUE(sent.ok());
  sp_call call{};
  call.op = SP_OP_RECV;
  call.handle = other;
  call.u.recv.form = SP_FORM_MESSAGE;
  call.u.recv.flags = SP_MSG_CLOSE_ON_EXEC;
  call.u.recv.buffers = &buffer;
  call.u.recv.buffer_count = 1;
  call.u.recv.from.kind = SP_POINTER_NULL;
  call.u.recv.handle_count = 1;  // room for one of two
  ASSERT_EQ(Do(call).value, 1);
  ASSERT_EQ(call.u.recv.handle_count, 1u);
  EXPECT_NE(call.u.recv.flags_out & SP_MSG_CTRUNC, 0u);
  EXPECT_EQ(LocalName(call.u.recv.handles[0]).port, LocalName(passenger).port);
  EXPECT_EQ(Do(SP_OP_GET_MODE, call.u.recv.handles[0], [](auto&) {}).value, SP_CLOSE_ON_EXEC);
}

TEST_F(Calls, OptionsOfEveryType) {
  const sp_handle socket = Make(SP_INET);
  auto linger = Args(SP_SO_LINGER, SP_VALUE_LINGER);
  linger.linger_on = 1;
  linger.linger_seconds = 5;
  ASSERT_TRUE(Option(socket, SP_OP_SET_OPTION, linger).ok());
  linger.linger_on = linger.linger_seconds = 0;
  ASSERT_TRUE(Option(socket, SP_OP_GET_OPTION, linger).ok());
  EXPECT_EQ(linger.linger_on, 1);
  EXPECT_EQ(linger.linger_seconds, 5);
  EXPECT_EQ(linger.reported, 8);

  auto time = Args(SP_SO_RCVTIMEO, SP_VALUE_DURATION);
  time.duration_ns = 1250000000;
  ASSERT_TRUE(Option(socket, SP_OP_SET_OPTION, time).ok());
  time.duration_ns = 0;
  ASSERT_TRUE(Option(socket, SP_OP_GET_OPTION, time).ok());
  EXPECT_NEAR(static_cast<double>(time.duration_ns), 1.25e9, 1e7);
  time.duration_ns = INT64_MAX;
  EXPECT_EQ(Option(socket, SP_OP_SET_OPTION, time).error, SP_EDOM);

  auto type = Args(SP_SO_TYPE);
  ASSERT_TRUE(Option(socket, SP_OP_GET_OPTION, type).ok());
  EXPECT_EQ(type.integer, SP_STREAM);
  auto domain = Args(SP_SO_DOMAIN);
  ASSERT_TRUE(Option(socket, SP_OP_GET_OPTION, domain).ok());
  EXPECT_EQ(domain.integer, SP_INET);
  auto bytes = Args(SP_TCP_CONGESTION, SP_VALUE_BYTES);
  ASSERT_TRUE(Option(socket, SP_OP_GET_OPTION, bytes).ok());
  EXPECT_GT(bytes.byte_count, 0u);
  auto state = Args(SP_TCP_STATE);
  ASSERT_TRUE(Option(socket, SP_OP_GET_OPTION, state).ok());
  EXPECT_EQ(state.integer, SP_TCP_CLOSED);
  auto foreign = Args(SP_SO_CONNDATA, SP_VALUE_BYTES);
  EXPECT_EQ(Option(socket, SP_OP_GET_OPTION, foreign).error, SP_NOT_SUPPORTED);
}

TEST_F(Calls, TheQueueAndThePendingErrorAreShown) {
  const sp_handle listener = Make(SP_INET);
  ASSERT_TRUE(Bind(listener, Loopback(SP_INET)).ok());
  const sp_address address = LocalName(listener);
  const sp_handle refused = Make(SP_INET, SP_STREAM, SP_NONBLOCKING);
  Connect(refused, address);
  auto error = Args(SP_SO_ERROR);
  const Outcome asked = Option(refused, SP_OP_GET_OPTION, error);
  EXPECT_EQ(error.integer, SP_ECONNREFUSED);
  EXPECT_EQ(asked.native, ECONNREFUSED);
  ASSERT_TRUE(Listen(listener).ok());
  const sp_handle client = Make(SP_INET);
  ASSERT_TRUE(Connect(client, address).ok());
  auto waiting = Args(SP_TCP_UNACCEPTED);
  ASSERT_TRUE(Option(listener, SP_OP_GET_OPTION, waiting).ok());
  EXPECT_EQ(waiting.integer, 1);
  EXPECT_EQ(Option(client, SP_OP_GET_OPTION, waiting).error, SP_NOT_SUPPORTED);
}

TEST_F(Calls, ModesAndDuplicates) {
  const sp_handle socket = Make(SP_INET);
  EXPECT_EQ(Do(SP_OP_GET_MODE, socket, [](auto&) {}).value, 0);
  ASSERT_TRUE(Do(SP_OP_SET_MODE, socket, [](auto& u) { u.set_mode = {SP_NONBLOCKING | SP_CLOSE_ON_EXEC | SP_ASYNC, 0}; }).ok());
  EXPECT_EQ(Do(SP_OP_GET_MODE, socket, [](auto&) {}).value, SP_NONBLOCKING | SP_CLOSE_ON_EXEC | SP_ASYNC);
  ASSERT_TRUE(Do(SP_OP_SET_MODE, socket, [](auto& u) { u.set_mode = {0, SP_ASYNC}; }).ok());
  ASSERT_TRUE(Do(SP_OP_IOCTL, socket, [](auto& u) { u.ioctl = {SP_IOCTL_NONBLOCKING, SP_POINTER_VALID, 0}; }).ok());
  EXPECT_EQ(Do(SP_OP_GET_MODE, socket, [](auto&) {}).value, SP_CLOSE_ON_EXEC);
  const Outcome plain = Do(SP_OP_DUPLICATE, socket, [](auto&) {});
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(Do(SP_OP_GET_MODE, plain.handle, [](auto&) {}).value, 0);
  const Outcome closing = Do(SP_OP_DUPLICATE, socket, [](auto& u) { u.duplicate.modes = SP_CLOSE_ON_EXEC; });
  EXPECT_EQ(Do(SP_OP_GET_MODE, closing.handle, [](auto&) {}).value, SP_CLOSE_ON_EXEC);
  const Outcome onto = Do(SP_OP_DUPLICATE, socket, [&](auto& u) {
    u.duplicate.onto = 1;
    u.duplicate.target = closing.handle;
  });
  EXPECT_EQ(onto.handle.value, closing.handle.value);
  EXPECT_EQ(OpenHandles(), 3u);
  EXPECT_EQ(Do(SP_OP_IOCTL, socket, [](auto& u) { u.ioctl = {SP_IOCTL_UNKNOWN, SP_POINTER_VALID, 0}; }).error, SP_ENOTTY);
}

TEST_F(Calls, WhatSocketsDoNotHaveIsNotSupported) {
  const sp_handle socket = Make(SP_INET);
  EXPECT_EQ(Do(SP_OP_DISCONNECT, socket, [](auto&) {}).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_CONNECT, socket, [](auto& u) { u.connect.extended = 1; }).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_ACCEPT, socket, [](auto& u) { u.accept.extended = 1; }).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_COUNT, socket, [](auto&) {}).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_SOCKET, {}, [](auto& u) { u.socket = {SP_CONNDATA, SP_STREAM, 0, 0}; }).error, SP_NOT_SUPPORTED);
  EXPECT_EQ(Do(SP_OP_SOCKET, {}, [](auto& u) { u.socket = {SP_OTHER_FAMILY, SP_STREAM, 0, 0}; }).error, SP_EAFNOSUPPORT);
}

}  // namespace
}  // namespace sockproof::posix::test
