#include <cstring>

#include "provider_test.h"

namespace sockproof::winsock::test {
namespace {

// Both ways in which the end of an operation is told.
class OverlappedTest : public ProviderTest, public ::testing::WithParamInterface<const char*> {
 protected:
  OverlappedTest() : ProviderTest(GetParam()) {}

  Outcome WaitFor(sp_operation operation, std::int64_t timeout_ns = kPatience) const {
    Outcome outcome{};
    outcome.size = sizeof(sp_result);
    EXPECT_EQ(provider_.wait(self_, operation, timeout_ns, &outcome), SP_OK);
    return outcome;
  }
};

TEST_P(OverlappedTest, ConnectsAndAcceptsWithFirstData) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle on = Make();
  std::uint8_t peer[64], local[64];
  char first[16] = {};
  sp_call accept{};
  accept.size = sizeof accept;
  accept.op = SP_OP_ACCEPT;
  accept.handle = listener;
  sp_accept_args& args = accept.u.accept;
  args.extended = SP_OVERLAPPED;
  args.accept_on = on;
  args.first_data_length = 16;
  args.output = {first, 16, SP_POINTER_VALID, 0};
  args.peer.length = args.local.length = SP_NATURAL_LENGTH;
  args.peer.raw = peer;
  args.local.raw = local;
  args.peer.raw_size = args.local.raw_size = 64;
  sp_operation accepting = nullptr;
  ASSERT_EQ(provider_.begin(self_, &accept, &accepting), SP_IO_PENDING);
  Outcome nothing{};
  EXPECT_EQ(provider_.wait(self_, accepting, 0, &nothing), SP_EAGAIN);

  const sp_handle client = Make();
  EXPECT_TRUE(Bind(client, Loopback(SP_INET)).ok());
  char hello[] = "hello";
  sp_call connect{};
  connect.size = sizeof connect;
  connect.op = SP_OP_CONNECT;
  connect.handle = client;
  connect.u.connect.address = {SP_POINTER_VALID, SP_NATURAL_LENGTH, address};
  connect.u.connect.extended = SP_OVERLAPPED;
  connect.u.connect.first_data = {hello, 5, SP_POINTER_VALID, 0};
  sp_operation connecting = nullptr;
  const std::int32_t begun = provider_.begin(self_, &connect, &connecting);
  ASSERT_TRUE(begun == SP_OK || begun == SP_IO_PENDING) << begun;
  const Outcome connected = WaitFor(connecting);
  EXPECT_TRUE(connected.ok()) << connected.native;
  EXPECT_EQ(connected.value, 5);
  const Outcome accepted = WaitFor(accepting);
  EXPECT_TRUE(accepted.ok()) << accepted.native;
  EXPECT_EQ(accepted.value, 5);
  EXPECT_EQ(accepted.handle.value, on.value);
  EXPECT_EQ(std::memcmp(first, "hello", 5), 0);
  EXPECT_EQ(args.peer.decoded, 1);
  EXPECT_EQ(args.peer.address.port, LocalName(client).port);
  EXPECT_EQ(args.local.address.port, address.port);
  for (const sp_handle& one : {listener, client, on}) EXPECT_TRUE(Close(one).ok());
}

TEST_P(OverlappedTest, ACancelledAcceptEndsSo) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle on = Make();
  sp_call accept{};
  accept.size = sizeof accept;
  accept.op = SP_OP_ACCEPT;
  accept.handle = listener;
  accept.u.accept.extended = SP_OVERLAPPED;
  accept.u.accept.accept_on = on;
  accept.u.accept.peer.length = accept.u.accept.local.length = SP_NATURAL_LENGTH;
  sp_operation accepting = nullptr;
  ASSERT_EQ(provider_.begin(self_, &accept, &accepting), SP_IO_PENDING);
  EXPECT_EQ(provider_.cancel(self_, accepting), SP_OK);
  EXPECT_EQ(WaitFor(accepting).error, SP_OPERATION_ABORTED);
  EXPECT_TRUE(Close(on).ok());
  EXPECT_TRUE(Close(listener).ok());
}

TEST_P(OverlappedTest, AClosedListenerEndsItsAccept) {
  sp_address address{};
  const sp_handle listener = Listener(&address);
  const sp_handle on = Make();
  sp_call accept{};
  accept.size = sizeof accept;
  accept.op = SP_OP_ACCEPT;
  accept.handle = listener;
  accept.u.accept.extended = SP_OVERLAPPED;
  accept.u.accept.accept_on = on;
  accept.u.accept.peer.length = accept.u.accept.local.length = SP_NATURAL_LENGTH;
  sp_operation accepting = nullptr;
  ASSERT_EQ(provider_.begin(self_, &accept, &accepting), SP_IO_PENDING);
  EXPECT_TRUE(Close(listener).ok());
  EXPECT_FALSE(WaitFor(accepting).ok());
  EXPECT_TRUE(Close(on).ok());
}

TEST_P(OverlappedTest, DisconnectsWithoutAnOverlapped) {
  const auto [client, server] = Pair();
  const Outcome done = Do(SP_OP_DISCONNECT, client, [](auto& u) { u.disconnect.extended = SP_NO_OVERLAPPED; });
  EXPECT_TRUE(done.ok()) << done.native;
  EXPECT_EQ(Recv(server).first.value, 0);
  EXPECT_TRUE(Close(client).ok());
  EXPECT_TRUE(Close(server).ok());
}

INSTANTIATE_TEST_SUITE_P(Ways, OverlappedTest, ::testing::Values("", "port"),
                         [](const auto& info) { return *info.param != '\0' ? "Port" : "Event"; });

}  // namespace
}  // namespace sockproof::winsock::test
