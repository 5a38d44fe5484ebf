// What happens because time passes: keepalive, user time-out, deferred accept, orphans. And what two ends do at the same time.
#include <gtest/gtest.h>

#include "reference/tests/script.h"

namespace sockproof::reference {
namespace {

TcpSettings KeepAlive(int64_t idle, int64_t interval, int count) {
  TcpSettings settings;
  settings.keep_alive = true;
  settings.keep_idle = idle;
  settings.keep_interval = interval;
  settings.keep_count = count;
  return settings;
}

TEST(KeepAlive, ProbesAnIdleConnectionAndGivesItUp) {
  Script script;
  script.Establish(KeepAlive(10 * kSecond, 2 * kSecond, 3));
  int64_t then = script.host.scheduler.Now();
  for (const int seconds : {10, 2, 2}) {
    ASSERT_TRUE(script.host.Until([&] { return !script.seen.empty(); }));
    EXPECT_EQ(script.host.Since(then), seconds * kSecond);
    then = script.host.scheduler.Now();
    EXPECT_TRUE(script.Expect(kAck, 0, 1).payload.empty());
  }
  EXPECT_TRUE(script.host.Until([&] { return script.connection->error() == SP_ETIMEDOUT; }));
  EXPECT_EQ(script.host.Since(then), 2 * kSecond);
  EXPECT_EQ(int{script.Take().tcp.flags}, kRst | kAck);
}

TEST(KeepAlive, AnswersKeepItAlive) {
  Host host;
  Pair pair(&host, KeepAlive(10 * kSecond, 2 * kSecond, 3));
  host.Pass(1000 * kSecond);
  EXPECT_EQ(pair.client->state(), SP_TCP_ESTABLISHED);
}

TEST(KeepAlive, CanBeTurnedOnLate) {
  Script script;
  script.Establish();
  script.host.Pass(100 * kSecond);
  script.connection->settings() = KeepAlive(10 * kSecond, 2 * kSecond, 3);
  script.connection->SettingsChanged();
  EXPECT_FALSE(script.Quiet());  // it has been idle for longer
}

TEST(UserTimeout, EndsUnacknowledgedDataOnTime) {
  Script script;
  script.Establish();
  script.connection->settings().user_timeout = 5 * kSecond;
  Write(script.connection.get(), "data");
  const int64_t then = script.host.scheduler.Now();
  EXPECT_TRUE(script.host.Until([&] { return script.connection->error() == SP_ETIMEDOUT; }));
  EXPECT_EQ(script.host.Since(then), 5 * kSecond);
}

TEST(UserTimeout, EndsAConnectAndAClosedWindowToo) {
  Host host;
  TcpSettings settings;
  settings.user_timeout = 5 * kSecond;
  const auto client = host.tcp.Connect({Local(1000), {Network::BlackHole(SP_INET), 80}}, settings);
  const int64_t then = host.scheduler.Now();
  EXPECT_TRUE(host.Until([&] { return client->error() == SP_ETIMEDOUT; }));
  EXPECT_EQ(host.Since(then), 5 * kSecond);

  Script script;
  script.Establish(settings, 0);
  Write(script.connection.get(), "data");
  const int64_t begin = script.host.scheduler.Now();
  while (script.host.Until([&] { return !script.seen.empty() || script.connection->error() != SP_OK; }) &&
         script.connection->error() == SP_OK) {
    script.seen.clear();
    script.Send({.window = 0});  // answers, but never opens
  }
  EXPECT_EQ(script.connection->error(), SP_ETIMEDOUT);
  EXPECT_GE(script.host.Since(begin), 5 * kSecond);
  EXPECT_LE(script.host.Since(begin), 6 * kSecond);
}

TEST(DeferAccept, ConnectionWithoutDataWaitsItsTime) {
  Host host;
  TcpSettings settings;
  settings.defer_accept = 3 * kSecond;
  const auto listener = host.Listen(80, 2, settings);
  const auto client = host.Connect(1000, 80);
  host.Pass(0);
  EXPECT_TRUE(client->Established());
  EXPECT_EQ(listener->Waiting(), 0u);
  EXPECT_EQ(listener->HalfOpen(), 1u);
  const int64_t then = host.scheduler.Now();
  EXPECT_TRUE(host.Until([&] { return listener->Waiting() == 1; }));
  EXPECT_EQ(host.Since(then), 3 * kSecond);  // the SYN+ACK that would go after 1 + 2 s is the one that asks again
}

TEST(DeferAccept, DataOrFinEndTheWait) {
  for (const bool finish : {false, true}) {
    Host host;
    TcpSettings settings;
    settings.defer_accept = 10 * kSecond;
    const auto listener = host.Listen(80, 2, settings);
    const auto client = host.Connect(1000, 80);
    host.Pass(kSecond / 2);
    EXPECT_EQ(listener->Waiting(), 0u);
    if (finish) {
      client->ShutdownWrite();
    } else {
      Write(client.get(), "x");
    }
    host.Pass(0);
    EXPECT_EQ(listener->Waiting(), 1u);
  }
}

TEST(DeferAccept, BareAcksChangeNothingAndTheSynAckIsSentOnceMore) {
  Script script;
  TcpSettings settings;
  settings.defer_accept = 3 * kSecond;
  script.HalfOpen(settings);
  for (int i = 0; i < 5; ++i) script.Send({});
  EXPECT_TRUE(script.Quiet());
  script.host.Pass(2'999 * kMillisecond);
  EXPECT_TRUE(script.Quiet());
  script.host.Pass(kMillisecond);
  script.Expect(kSyn | kAck, 0, 1);
  EXPECT_EQ(script.listener->Waiting(), 0u);
  script.Send({});
  EXPECT_EQ(script.listener->Waiting(), 1u);
}

TEST(DeferAccept, UserTimeoutEndsItEarlier) {
  Host host;
  TcpSettings settings;
  settings.defer_accept = 10 * kSecond;
  settings.user_timeout = 2 * kSecond;
  const auto listener = host.Listen(80, 2, settings);
  const auto client = host.Connect(1000, 80);
  host.Pass(0);
  EXPECT_EQ(listener->HalfOpen(), 1u);
  host.Pass(2 * kSecond);
  EXPECT_EQ(listener->HalfOpen(), 0u);
}

TEST(Orphan, LingerOfFinWait2IsASetting) {
  Script script;
  const auto at = script.Bring(SP_TCP_FIN_WAIT_2);
  script.connection->settings().linger2 = 3 * kSecond;
  script.connection->Close();
  script.host.Pass(2 * kSecond);
  EXPECT_EQ(script.connection->state(), SP_TCP_FIN_WAIT_2);
  script.host.Pass(kSecond);
  EXPECT_EQ(script.connection->state(), SP_TCP_CLOSED);
  script.Send({.flags = kFin | kAck, .sequence = at.theirs, .acknowledgement = at.ours});
  EXPECT_EQ(int{script.Take().tcp.flags}, int{kRst});

  Script none;
  none.Bring(SP_TCP_FIN_WAIT_2);
  none.connection->settings().linger2 = -1;
  none.connection->Close();
  EXPECT_EQ(none.connection->state(), SP_TCP_CLOSED);
  EXPECT_EQ(int{none.Take().tcp.flags}, kRst | kAck);
}

TEST(Orphan, FinIsSentAgainAsOftenAsThePolicySays) {
  TcpPolicy policy;
  policy.orphan_retries = 2;
  Script script(policy);
  script.Establish();
  script.connection->Close();
  EXPECT_TRUE(script.host.Until([&] { return script.connection->state() == SP_TCP_CLOSED; }));
  EXPECT_EQ(script.seen.size(), 3u);
}

TEST(AtOnce, ConnectionToItself) {
  Host host;
  const auto self = host.Connect(1000, 1000);
  host.Pass(0);
  EXPECT_EQ(self->state(), SP_TCP_ESTABLISHED);
  Write(self.get(), "echo");
  host.Pass(0);
  EXPECT_EQ(Read(self.get()), "echo");
  self->Close();
  host.Pass(0);
  EXPECT_EQ(self->state(), SP_TCP_TIME_WAIT);
}

TEST(AtOnce, BothEndsOpen) {
  Host host;
  const auto one = host.Connect(1000, 2000), other = host.Connect(2000, 1000);
  host.Pass(0);
  EXPECT_EQ(one->state(), SP_TCP_ESTABLISHED);
  EXPECT_EQ(other->state(), SP_TCP_ESTABLISHED);
  Write(one.get(), "there");
  Write(other.get(), "back");
  host.Pass(0);
  EXPECT_EQ(Read(other.get()), "there");
  EXPECT_EQ(Read(one.get()), "back");
}

TEST(AtOnce, BothEndsClose) {
  Host host;
  Pair pair(&host);
  pair.client->ShutdownWrite();
  pair.server->ShutdownWrite();
  EXPECT_EQ(pair.client->state(), SP_TCP_FIN_WAIT_1);
  host.Pass(0);
  EXPECT_EQ(pair.client->state(), SP_TCP_TIME_WAIT);
  EXPECT_EQ(pair.server->state(), SP_TCP_TIME_WAIT);
  host.Pass(60 * kSecond);
  EXPECT_EQ(pair.client->state(), SP_TCP_CLOSED);
  EXPECT_EQ(pair.server->state(), SP_TCP_CLOSED);
}

}  // namespace
}  // namespace sockproof::reference
