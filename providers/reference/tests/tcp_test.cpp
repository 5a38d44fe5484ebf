// Two ends in one host: what sockets see of a connection's life.
#include <gtest/gtest.h>

#include "reference/tests/host.h"

namespace sockproof::reference {
namespace {

TEST(Tcp, HandshakeTakesNoTimeOnLoopback) {
  for (const int32_t family : {SP_INET, SP_INET6, SP_CONNDATA}) {
    Host host;
    const auto listener = host.tcp.Listen(At(family, 80), true, {});
    int told = 0;
    listener->arrived = [&] { ++told; };
    const auto client = host.tcp.Connect({At(family, 1000), At(family, 80)}, {});
    EXPECT_EQ(client->state(), SP_TCP_SYN_SENT);
    const int64_t begin = host.scheduler.Now();
    host.Pass(0);
    EXPECT_EQ(host.Since(begin), 0);
    EXPECT_EQ(client->state(), SP_TCP_ESTABLISHED);
    ASSERT_EQ(listener->Waiting(), 1u);
    EXPECT_EQ(told, 1);
    const auto server = listener->Accept();
    EXPECT_EQ(server->state(), SP_TCP_ESTABLISHED);
    EXPECT_EQ(server->ends().remote, client->ends().local);
  }
}

TEST(Tcp, DataBothWaysAndOrderlyEnd) {
  Host host;
  Pair pair(&host);
  uint32_t told = 0;
  pair.server->changed = [&](uint32_t what) { told |= what; };
  EXPECT_EQ(Write(pair.client.get(), "hello"), 5u);
  EXPECT_EQ(Write(pair.server.get(), "world!"), 6u);
  host.Pass(0);
  EXPECT_EQ(told & TcpConnection::kArrived, TcpConnection::kArrived);
  EXPECT_EQ(Read(pair.server.get()), "hello");
  EXPECT_EQ(Read(pair.client.get()), "world!");
  EXPECT_TRUE(pair.client->Everything());
  pair.client->ShutdownWrite();
  host.Pass(0);
  EXPECT_TRUE(pair.server->PeerFinished());
  EXPECT_EQ(pair.client->state(), SP_TCP_FIN_WAIT_2);
  EXPECT_EQ(pair.server->state(), SP_TCP_CLOSE_WAIT);
  Write(pair.server.get(), "late");
  pair.server->Close();
  host.Pass(0);
  EXPECT_EQ(Read(pair.client.get()), "late");
  EXPECT_EQ(pair.client->state(), SP_TCP_TIME_WAIT);
  EXPECT_EQ(pair.server->state(), SP_TCP_CLOSED);
  EXPECT_TRUE(host.tcp.IsTimeWait(pair.client->ends()));
  host.Pass(60 * kSecond);
  EXPECT_FALSE(host.tcp.InUse(pair.client->ends()));
}

TEST(Tcp, RefusedWhereNobodyListens) {
  Host host;
  const auto client = host.Connect(1000, 80);
  host.Pass(0);
  EXPECT_EQ(client->state(), SP_TCP_CLOSED);
  EXPECT_EQ(client->TakeError(), SP_ECONNREFUSED);
  EXPECT_EQ(client->error(), SP_OK);
  EXPECT_FALSE(host.tcp.InUse(client->ends()));
}

TEST(Tcp, UnreachableIsKnownAtOnce) {
  Host host;
  Endpoint nowhere = Local(80);
  nowhere.ip.bytes = {10, 0, 0, 1};
  const auto client = host.tcp.Connect({Local(1000), nowhere}, {});
  EXPECT_EQ(client->error(), SP_ENETUNREACH);
  EXPECT_FALSE(host.tcp.InUse(client->ends()));
}

TEST(Tcp, ConnectToBlackHoleTimesOut) {
  Host host;
  const auto client = host.tcp.Connect({Local(1000), {Network::BlackHole(SP_INET), 80}}, {});
  const int64_t begin = host.scheduler.Now();
  EXPECT_TRUE(host.Until([&] { return client->error() == SP_ETIMEDOUT; }));
  EXPECT_EQ(host.Since(begin), 127 * kSecond);  // 1 + 2 + ... + 64
  TcpSettings once;
  once.syn_retries = 1;
  const auto quick = host.tcp.Connect({Local(1000), {Network::BlackHole(SP_INET), 80}}, once);
  const int64_t again = host.scheduler.Now();
  EXPECT_TRUE(host.Until([&] { return quick->error() == SP_ETIMEDOUT; }));
  EXPECT_EQ(host.Since(again), 3 * kSecond);
}

TEST(Tcp, WindowStopsTheWriterAndReadingLetsItGoOn) {
  Host host;
  TcpSettings settings;
  settings.send_buffer = 30'000;
  settings.receive_buffer = 20'000;
  Pair pair(&host, settings, settings);
  std::string sent;
  for (;;) {
    const std::string block(1000, static_cast<char>('a' + sent.size() / 1000 % 26));
    const std::size_t taken = Write(pair.client.get(), block);
    sent += block.substr(0, taken);
    host.Pass(0);
    if (taken < block.size()) break;
  }
  EXPECT_EQ(sent.size(), 50'000u);
  EXPECT_EQ(pair.server->Readable(), 20'000u);
  uint32_t told = 0;
  pair.client->changed = [&](uint32_t what) { told |= what; };
  std::string got;
  while (got.size() < sent.size() && host.Until([&] { return pair.server->Readable() > 0; })) got += Read(pair.server.get());
  EXPECT_EQ(got, sent);
  EXPECT_TRUE((told & TcpConnection::kRoomAgain) != 0);
  EXPECT_TRUE(host.Until([&] { return pair.client->Everything(); }));
}

TEST(Tcp, FullQueueDropsAndLetsInLater) {
  Host host;
  const auto listener = host.Listen(80, 2);
  std::vector<std::shared_ptr<TcpConnection>> clients;
  for (uint16_t i = 0; i < 3; ++i) {
    clients.push_back(host.Connect(static_cast<uint16_t>(1000 + i), 80));
    host.Pass(0);
  }
  EXPECT_EQ(listener->Waiting(), 2u);
  EXPECT_EQ(clients[2]->state(), SP_TCP_SYN_SENT);
  host.Pass(2 * kSecond);
  EXPECT_EQ(clients[2]->state(), SP_TCP_SYN_SENT);
  EXPECT_NE(listener->Accept(), nullptr);
  const int64_t begin = host.scheduler.Now();
  EXPECT_TRUE(host.Until([&] { return clients[2]->Established(); }));
  EXPECT_EQ(host.Since(begin), kSecond);  // the third SYN comes after 1 + 2 s
}

TEST(Tcp, FullQueueResetsUnderThatPolicy) {
  TcpPolicy policy;
  policy.overflow = TcpPolicy::Overflow::kReset;
  Host host(1, policy);
  const auto listener = host.Listen(80, 1);
  const auto first = host.Connect(1000, 80);
  host.Pass(0);
  const auto second = host.Connect(1001, 80);
  host.Pass(0);
  EXPECT_TRUE(first->Established());
  EXPECT_EQ(second->error(), SP_ECONNREFUSED);
}

TEST(Tcp, ResetInTheQueueStaysThereUnlessForgotten) {
  for (const bool forget : {false, true}) {
    Host host;
    const auto listener = host.Listen(80);
    listener->forget_reset = forget;
    const auto client = host.Connect(1000, 80);
    host.Pass(0);
    client->Abort();
    host.Pass(0);
    EXPECT_EQ(listener->Waiting(), forget ? 0u : 1u);
    if (forget) continue;
    EXPECT_TRUE(listener->Head()->withdrawn);
    EXPECT_EQ(listener->Accept()->TakeError(), SP_ECONNRESET);
  }
}

TEST(Tcp, StopListeningResetsThoseThatWait) {
  Host host;
  const auto listener = host.Listen(80);
  const auto client = host.Connect(1000, 80);
  host.Pass(0);
  host.tcp.StopListening(listener);
  host.Pass(0);
  EXPECT_EQ(client->error(), SP_ECONNRESET);
}

TEST(Tcp, CloseWithUnreadDataResets) {
  Host host;
  Pair pair(&host);
  Write(pair.client.get(), "x");
  host.Pass(0);
  pair.server->Close();
  host.Pass(0);
  EXPECT_EQ(pair.client->error(), SP_ECONNRESET);
  EXPECT_EQ(pair.server->state(), SP_TCP_CLOSED);
}

TEST(Tcp, DataAfterFullCloseIsAnsweredWithReset) {
  Host host;
  Pair pair(&host);
  pair.server->Close();
  host.Pass(0);
  EXPECT_EQ(pair.client->state(), SP_TCP_CLOSE_WAIT);
  EXPECT_EQ(pair.server->state(), SP_TCP_FIN_WAIT_2);
  Write(pair.client.get(), "x");
  host.Pass(0);
  EXPECT_EQ(pair.client->error(), SP_ECONNRESET);
  EXPECT_FALSE(host.tcp.InUse(pair.server->ends()));
}

TEST(Tcp, OrphanInFinWait2GoesAfterItsTime) {
  Host host;
  Pair pair(&host);
  pair.client->Close();
  host.Pass(0);
  EXPECT_EQ(pair.client->state(), SP_TCP_FIN_WAIT_2);
  host.Pass(59 * kSecond);
  EXPECT_TRUE(host.tcp.InUse(pair.client->ends()));
  host.Pass(kSecond);
  EXPECT_FALSE(host.tcp.InUse(pair.client->ends()));
}

TEST(Tcp, ResetKeepsWhatWasReceivedBefore) {
  Host host;
  Pair pair(&host);
  Write(pair.client.get(), "last words");
  pair.client->Abort();
  host.Pass(0);
  EXPECT_EQ(pair.server->error(), SP_ECONNRESET);
  EXPECT_EQ(Read(pair.server.get()), "last words");
}

TEST(Tcp, UserDataTravelWithTheHandshake) {
  Host host;
  const auto listener = host.tcp.Listen(At(SP_CONNDATA, 80), true, {});
  listener->SetConditional(true);
  const auto client = host.tcp.Connect({At(SP_CONNDATA, 1000), At(SP_CONNDATA, 80)}, {}, Bytes("caller"));
  host.Pass(0);
  ASSERT_EQ(listener->Waiting(), 1u);
  EXPECT_EQ(listener->Head()->caller_data, Bytes("caller"));
  EXPECT_EQ(client->state(), SP_TCP_SYN_SENT);
  host.Pass(5 * kSecond);  // sent again meanwhile: still one request
  ASSERT_EQ(listener->Waiting(), 1u);
  const auto server = listener->Accept(Bytes("callee"));
  host.Pass(0);
  EXPECT_EQ(client->state(), SP_TCP_ESTABLISHED);
  EXPECT_EQ(client->peer_user_data(), Bytes("callee"));
  EXPECT_EQ(server->state(), SP_TCP_ESTABLISHED);
  EXPECT_EQ(server->peer_user_data(), Bytes("caller"));
  Write(client.get(), "stream");
  host.Pass(0);
  EXPECT_EQ(Read(server.get()), "stream");
}

TEST(Tcp, ConditionalRequestIsRejectedWithUserData) {
  Host host;
  const auto listener = host.tcp.Listen(At(SP_CONNDATA, 80), true, {});
  listener->SetConditional(true);
  const auto client = host.tcp.Connect({At(SP_CONNDATA, 1000), At(SP_CONNDATA, 80)}, {});
  host.Pass(0);
  listener->Reject(Bytes("no"));
  host.Pass(0);
  EXPECT_EQ(client->error(), SP_ECONNREFUSED);
  EXPECT_EQ(client->peer_user_data(), Bytes("no"));
  EXPECT_EQ(listener->Waiting(), 0u);
}

TEST(Tcp, ConditionalRequestIsWithdrawnByTheClient) {
  TcpPolicy policy;
  policy.reset_abandoned_connect = true;
  for (const bool timed_out : {false, true}) {
    Host host(1, policy);
    const auto listener = host.Listen(80);
    listener->SetConditional(true);
    const auto client = host.Connect(1000, 80);
    host.Pass(0);
    ASSERT_NE(listener->Head(), nullptr);
    EXPECT_FALSE(listener->Head()->withdrawn);
    if (timed_out) {
      host.Pass(127 * kSecond);
      EXPECT_EQ(client->error(), SP_ETIMEDOUT);
    } else {
      client->Close();
      host.Pass(0);
    }
    ASSERT_NE(listener->Head(), nullptr);
    EXPECT_TRUE(listener->Head()->withdrawn);
    listener->Drop();
    EXPECT_EQ(listener->Waiting(), 0u);
  }
}

}  // namespace
}  // namespace sockproof::reference
