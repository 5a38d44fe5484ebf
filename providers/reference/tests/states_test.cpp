// What each state makes of segments that fit, and of those that do not: RFC 9293 3.10.7, RFC 5961.
#include <gtest/gtest.h>

#include "reference/tests/script.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kFar = 10'000'000;  // outside any window
constexpr enum sp_tcp_state kSynchronized[] = {SP_TCP_ESTABLISHED, SP_TCP_FIN_WAIT_1, SP_TCP_FIN_WAIT_2, SP_TCP_CLOSE_WAIT,
                                               SP_TCP_CLOSING,     SP_TCP_LAST_ACK,   SP_TCP_TIME_WAIT};

class Synchronized : public testing::TestWithParam<enum sp_tcp_state> {
 protected:
  void SetUp() override { at = script.Bring(GetParam()); }
  // An empty acknowledgement of where both ends are. What it says of ours is the highest that was sent.
  void ExpectPureAck() {
    const Packet ack = script.Take();
    EXPECT_EQ(int{ack.tcp.flags}, int{kAck});
    EXPECT_EQ(ack.tcp.acknowledgement, Script::kTheirs + at.theirs);
    EXPECT_TRUE(ack.payload.empty());
    EXPECT_EQ(script.connection->state(), GetParam());
    EXPECT_TRUE(script.Quiet());
  }
  Script script;
  Script::Numbers at;
};

TEST_P(Synchronized, SegmentOutsideTheWindowIsAnsweredByAnEmptyAck) {
  script.Send({.sequence = at.theirs + kFar, .acknowledgement = at.ours, .payload = "x"});
  ExpectPureAck();
  script.Send({.sequence = at.theirs - 1, .acknowledgement = at.ours});  // a keepalive probe
  ExpectPureAck();
}

TEST_P(Synchronized, AnswersToWhatDoesNotFitAreLimited) {
  script.Send({.sequence = at.theirs - 1, .acknowledgement = at.ours});
  ExpectPureAck();
  script.Send({.sequence = at.theirs - 1, .acknowledgement = at.ours});
  EXPECT_TRUE(script.Quiet());
}

TEST_P(Synchronized, ResetOutsideTheWindowIsIgnored) {
  script.Send({.flags = kRst, .sequence = at.theirs + kFar});
  script.Send({.flags = kRst, .sequence = at.theirs - 1});
  EXPECT_TRUE(script.Quiet());
  EXPECT_EQ(script.connection->state(), GetParam());
}

TEST_P(Synchronized, ResetInsideTheWindowIsChallengedAndAnExactOneTaken) {
  script.Send({.flags = kRst, .sequence = at.theirs + 10});
  ExpectPureAck();
  script.Send({.flags = kRst, .sequence = at.theirs});
  EXPECT_TRUE(script.Quiet());
  EXPECT_EQ(script.connection->state(), SP_TCP_CLOSED);
  const bool silent = GetParam() == SP_TCP_CLOSING || GetParam() == SP_TCP_LAST_ACK || GetParam() == SP_TCP_TIME_WAIT;
  EXPECT_EQ(script.connection->error(), silent ? SP_OK : SP_ECONNRESET);
}

TEST_P(Synchronized, SynIsChallenged) {
  script.listener->SetCapacity(0);
  script.Send({.flags = kSyn, .sequence = at.theirs - 1});
  ExpectPureAck();
  script.host.Pass(kSecond / 2);
  script.seen.clear();
  // Newer than everything before, it may begin a new incarnation in TIME-WAIT; tested below.
  if (GetParam() == SP_TCP_TIME_WAIT) return;
  script.Send({.flags = kSyn, .sequence = at.theirs + 1});
  ExpectPureAck();
}

TEST_P(Synchronized, AcknowledgementOfWhatWasNeverSentIsAnsweredByAnAck) {
  if (GetParam() == SP_TCP_TIME_WAIT) return;  // it looks at nothing but a FIN
  script.Send({.sequence = at.theirs, .acknowledgement = at.ours + 100});
  ExpectPureAck();
}

INSTANTIATE_TEST_SUITE_P(States, Synchronized, testing::ValuesIn(kSynchronized));

TEST(Listen, AckIsAnsweredWithResetAndResetWithNothing) {
  Script script;
  script.Listen();
  script.Send({.acknowledgement = 7});
  const Packet reset = script.Take();
  EXPECT_EQ(int{reset.tcp.flags}, int{kRst});
  EXPECT_EQ(reset.tcp.sequence, 7u);
  script.Send({.flags = kRst | kAck});
  script.Send({.flags = kRst});
  script.Send({.flags = kFin});
  EXPECT_TRUE(script.Quiet());
}

TEST(Listen, SynSentAgainGetsTheSameAnswer) {
  Script script;
  script.HalfOpen();
  script.Send({.flags = kSyn, .sequence = 0});
  script.Expect(kSyn | kAck, 0, 1);
}

TEST(Listen, SynAckIsSentAgainAtGrowingDistancesThenForgotten) {
  Script script;
  script.HalfOpen();
  int64_t then = script.host.scheduler.Now();
  for (const int seconds : {1, 2, 4, 8, 16}) {
    EXPECT_TRUE(script.host.Until([&] { return !script.seen.empty(); }));
    EXPECT_EQ(script.host.Since(then), seconds * kSecond);
    then = script.host.scheduler.Now();
    script.Expect(kSyn | kAck, 0, 1);
  }
  EXPECT_EQ(script.listener->HalfOpen(), 1u);
  EXPECT_TRUE(script.host.Until([&] { return script.listener->HalfOpen() == 0; }));
  EXPECT_EQ(script.host.Since(then), 32 * kSecond);
  EXPECT_TRUE(script.Quiet());
}

TEST(Listen, FullSynQueueAnswersWithCookies) {
  TcpPolicy policy;
  policy.half_open_maximum = 1;
  for (const uint8_t flags : {uint8_t{kAck}, uint8_t{kAck | kPsh}}) {
    for (const std::string& payload : {std::string(), std::string("data")}) {
      Script script(policy);
      script.HalfOpen();
      Packet other;
      other.source = {script.there.ip, 6000};
      other.destination = script.here;
      other.tcp.flags = kSyn;
      other.tcp.sequence = 77;
      other.tcp.maximum_segment = 1300;
      const auto inject = [&] {
        const std::vector<uint8_t> bytes = Serialize(other);
        script.host.network.Inject(bytes.data(), bytes.size());
        script.host.Pass(0);
      };
      inject();
      EXPECT_EQ(script.listener->HalfOpen(), 1u);
      const Packet answer = script.Take();
      EXPECT_EQ(int{answer.tcp.flags}, kSyn | kAck);
      other.tcp = {};
      other.tcp.flags = flags;
      other.tcp.sequence = 78;
      other.tcp.acknowledgement = answer.tcp.sequence + 2;
      other.tcp.window = 1000;
      other.payload = Bytes(payload);
      inject();
      EXPECT_EQ(int{script.Take().tcp.flags}, int{kRst}) << "not the number that was sent";
      EXPECT_EQ(script.listener->Waiting(), 0u);
      other.tcp.acknowledgement = answer.tcp.sequence + 1;
      script.host.Pass(60 * kSecond);
      script.seen.clear();
      inject();
      ASSERT_EQ(script.listener->Waiting(), 1u);
      const auto connection = script.listener->Accept();
      EXPECT_EQ(connection->state(), SP_TCP_ESTABLISHED);
      EXPECT_EQ(connection->send_segment(), 1220);
      EXPECT_EQ(Read(connection.get()), payload);
    }
  }
}

TEST(Listen, CookiesGrowOldAndCanBeOff) {
  TcpPolicy policy;
  policy.half_open_maximum = 1;
  policy.syn_ack_retries = 100;
  Host host(1, policy);
  const auto listener = host.Listen(80, 8);
  std::vector<Packet> seen;
  host.network.SetFilter([&](const Packet& packet) {
    if (packet.tcp.Has(kSyn) && packet.tcp.Has(kAck)) seen.push_back(packet);
    return packet.tcp.Has(kSyn) && packet.tcp.Has(kAck);
  });
  const auto first = host.Connect(1000, 80), second = host.Connect(1001, 80);
  host.Pass(0);
  ASSERT_EQ(seen.size(), 2u);
  Packet late;
  late.source = Local(1001);
  late.destination = Local(80);
  late.tcp.flags = kAck;
  late.tcp.sequence = seen.back().tcp.acknowledgement;
  late.tcp.acknowledgement = seen.back().tcp.sequence + 1;
  second->Close();
  host.Pass(3 * 64 * kSecond);
  host.network.Send(late);
  host.Pass(0);
  EXPECT_EQ(listener->Waiting(), 0u);
  host.tcp.policy().syn_cookies = false;
  seen.clear();
  const auto third = host.Connect(1002, 80);
  host.Pass(0);
  EXPECT_TRUE(seen.empty());
}

TEST(SynReceived, WrongAckIsAnsweredWithResetAndTheRightOneStillCompletes) {
  Script script;
  script.HalfOpen();
  script.Send({.acknowledgement = 100});
  const Packet reset = script.Take();
  EXPECT_EQ(int{reset.tcp.flags}, int{kRst});
  EXPECT_EQ(reset.tcp.sequence, script.ours + 100);
  script.Send({});
  EXPECT_EQ(script.listener->Waiting(), 1u);
}

TEST(SynReceived, ResetGoesBackToListening) {
  Script script;
  script.HalfOpen();
  script.Send({.flags = kRst, .sequence = 1});
  EXPECT_EQ(script.listener->HalfOpen(), 0u);
  EXPECT_TRUE(script.Quiet());
  script.Send({.flags = kSyn, .sequence = 0});
  EXPECT_EQ(int{script.Take().tcp.flags}, kSyn | kAck);
}

TEST(SynReceived, DataOrFinCompleteItAfterALostAck) {
  Script script;
  script.HalfOpen();
  script.Send({.flags = kAck | kPsh | kFin, .payload = "data"});
  ASSERT_EQ(script.listener->Waiting(), 1u);
  script.Expect(kAck, 1, 6);
  const auto connection = script.listener->Accept();
  EXPECT_EQ(Read(connection.get()), "data");
  EXPECT_TRUE(connection->PeerFinished());
}

TEST(SynReceived, LastAckIsPassedOverWhileTheQueueIsFull) {
  Script script;
  script.HalfOpen();
  script.listener->SetCapacity(0);
  script.Send({});
  EXPECT_TRUE(script.Quiet());
  EXPECT_EQ(script.listener->Waiting(), 0u);
  script.host.Pass(kSecond);
  script.Expect(kSyn | kAck, 0, 1);
  script.listener->SetCapacity(1);
  script.Send({.flags = kAck | kPsh, .payload = "late"});
  ASSERT_EQ(script.listener->Waiting(), 1u);
  EXPECT_EQ(Read(script.listener->Accept().get()), "late");
}

TEST(SynReceived, LastAckIsAnsweredWithResetWhereOverflowAborts) {
  Script script;
  script.HalfOpen();
  script.listener->SetCapacity(0);
  script.listener->abort_on_overflow = true;
  script.Send({});
  EXPECT_EQ(int{script.Take().tcp.flags}, int{kRst});
  EXPECT_EQ(script.listener->HalfOpen(), 0u);
}

TEST(SynReceived, ListenerClosedMeanwhileAnswersWithReset) {
  Script script;
  script.HalfOpen();
  script.host.tcp.StopListening(script.listener);
  EXPECT_TRUE(script.Quiet());
  script.Send({});
  EXPECT_EQ(int{script.Take().tcp.flags}, int{kRst});
}

TEST(SynSent, WrongAcknowledgementIsAnsweredWithReset) {
  Script script;
  script.Connect();
  script.Send({.flags = kFin | kAck, .sequence = 77, .acknowledgement = 55});
  const Packet reset = script.Take();
  EXPECT_EQ(int{reset.tcp.flags}, int{kRst});
  EXPECT_EQ(reset.tcp.sequence, script.ours + 55);
  script.Send({.flags = kSyn | kAck, .sequence = 0, .acknowledgement = 55});
  EXPECT_EQ(int{script.Take().tcp.flags}, int{kRst});
  EXPECT_EQ(script.connection->state(), SP_TCP_SYN_SENT);
  script.Send({.flags = kSyn | kAck, .sequence = 0});
  script.Expect(kAck, 1, 1);
  EXPECT_EQ(script.connection->state(), SP_TCP_ESTABLISHED);
}

TEST(SynSent, ResetNeedsAnAcknowledgement) {
  Script script;
  script.Connect();
  script.Send({.flags = kRst, .sequence = 0});
  script.Send({.flags = kRst | kAck, .acknowledgement = 2});
  EXPECT_EQ(script.connection->state(), SP_TCP_SYN_SENT);
  script.Send({.flags = kRst | kAck, .sequence = 0});
  EXPECT_EQ(script.connection->error(), SP_ECONNREFUSED);
  EXPECT_TRUE(script.Quiet());
}

TEST(SynSent, LateSynAckIsAnsweredWithReset) {
  Script script;
  script.Connect();
  script.connection->Close();
  EXPECT_TRUE(script.Quiet());
  script.Send({.flags = kSyn | kAck, .sequence = 0});
  EXPECT_EQ(int{script.Take().tcp.flags}, int{kRst});
}

TEST(SynSent, BothEndsOpenAtOnce) {
  for (const bool reset : {false, true}) {
    Script script;
    script.Connect();
    script.Send({.flags = kSyn, .sequence = 0});
    script.Expect(kSyn | kAck, 0, 1);
    EXPECT_EQ(script.connection->state(), SP_TCP_SYN_RECEIVED);
    if (reset) {
      script.Send({.flags = kRst | kAck, .sequence = 1});
      EXPECT_EQ(script.connection->error(), SP_ECONNREFUSED);
      continue;
    }
    script.Send({.flags = kSyn | kAck, .sequence = 0});  // as a peer of its kind would
    EXPECT_EQ(script.connection->state(), SP_TCP_ESTABLISHED);
    Write(script.connection.get(), "x");
    script.Expect(kAck | kPsh, 1, 1);
  }
}

TEST(SynSent, UnreachableEndsTheAttempt) {
  const std::pair<IcmpHeader::Reason, int32_t> reasons[] = {{IcmpHeader::Reason::kPort, SP_ECONNREFUSED},
                                                            {IcmpHeader::Reason::kProtocol, SP_ENOPROTOOPT},
                                                            {IcmpHeader::Reason::kHost, SP_EHOSTUNREACH},
                                                            {IcmpHeader::Reason::kNetwork, SP_ENETUNREACH}};
  for (const auto& [reason, error] : reasons) {
    Script script;
    script.Connect();
    Packet icmp;
    icmp.protocol = Protocol::kIcmp;
    icmp.source.ip = script.there.ip;
    icmp.destination.ip = script.here.ip;
    icmp.icmp = {reason, Protocol::kTcp, script.here, script.there, script.ours + 1};
    std::vector<uint8_t> bytes = Serialize(icmp);
    script.host.network.Inject(bytes.data(), bytes.size());
    script.host.Pass(0);
    EXPECT_EQ(script.connection->state(), SP_TCP_SYN_SENT) << "of something that is not in flight";
    icmp.icmp.tcp_sequence = script.ours;
    bytes = Serialize(icmp);
    script.host.network.Inject(bytes.data(), bytes.size());
    script.host.Pass(0);
    EXPECT_EQ(script.connection->error(), error);
  }
}

TEST(Established, AcknowledgementOlderThanAnyWindowIsChallenged) {
  Script script;
  script.Establish();
  script.Send({.acknowledgement = 1u - 70'000, .payload = "forged"});
  script.Expect(kAck, 1, 1);
  EXPECT_EQ(script.connection->Readable(), 0u);
  script.Send({.acknowledgement = 1u - 60'000, .payload = "old"});
  EXPECT_EQ(Read(script.connection.get()), "old");
}

TEST(Established, UnreachableIsTheReasonOfALaterTimeOut) {
  TcpPolicy policy;
  policy.data_retries = 2;
  Script script(policy);
  script.Establish();
  Write(script.connection.get(), "data");
  Packet icmp;
  icmp.protocol = Protocol::kIcmp;
  icmp.source.ip = script.there.ip;
  icmp.destination.ip = script.here.ip;
  icmp.icmp = {IcmpHeader::Reason::kHost, Protocol::kTcp, script.here, script.there, script.ours + 1};
  const std::vector<uint8_t> bytes = Serialize(icmp);
  script.host.network.Inject(bytes.data(), bytes.size());
  script.host.Pass(0);
  EXPECT_EQ(script.connection->state(), SP_TCP_ESTABLISHED);
  EXPECT_EQ(script.connection->error(), SP_OK);
  EXPECT_TRUE(script.host.Until([&] { return script.connection->error() != SP_OK; }));
  EXPECT_EQ(script.connection->error(), SP_EHOSTUNREACH);
}

TEST(Established, WithoutTheChecksOfRfc5961AnyResetInTheWindowCounts) {
  TcpPolicy policy;
  policy.challenge_acks = false;
  Script script(policy);
  script.Establish();
  script.Send({.flags = kRst, .sequence = 100});
  EXPECT_EQ(script.connection->error(), SP_ECONNRESET);
}

TEST(FinWait2, FullyShutEndAnswersDataWithReset) {
  Script script;
  const auto at = script.Bring(SP_TCP_FIN_WAIT_2);
  script.connection->ShutdownRead();
  script.Send({.sequence = at.theirs, .acknowledgement = at.ours, .payload = "x"});
  EXPECT_EQ(int{script.Take().tcp.flags}, int{kRst});
  EXPECT_EQ(script.connection->error(), SP_ECONNRESET);
}

TEST(LastAck, CloseWithUnreadDataResets) {
  Script script;
  script.Establish();
  script.Send({.flags = kAck | kFin, .payload = "unread"});
  script.connection->ShutdownWrite();
  script.host.Pass(0);
  EXPECT_EQ(script.connection->state(), SP_TCP_LAST_ACK);
  script.seen.clear();
  script.connection->Close();
  EXPECT_EQ(int{script.Take().tcp.flags}, kRst | kAck);
  EXPECT_EQ(script.connection->state(), SP_TCP_CLOSED);
}

TEST(ShutdownRead, WhatBecomesOfDataIsAPolicy) {
  using After = TcpPolicy::AfterShutdownRead;
  for (const After after : {After::kDeliver, After::kDiscard, After::kReset}) {
    TcpPolicy policy;
    policy.after_shutdown_read = after;
    Script script(policy);
    script.Establish();
    script.connection->ShutdownRead();
    script.Send({.payload = "data"});
    EXPECT_EQ(int{script.Take().tcp.flags}, after == After::kReset ? int{kRst} : int{kAck});
    EXPECT_EQ(script.connection->error(), after == After::kReset ? SP_ECONNRESET : SP_OK);
    EXPECT_EQ(Read(script.connection.get()), after == After::kDeliver ? "data" : "");
  }
}

TEST(TimeWait, NewerSynBeginsANewIncarnation) {
  Script script;
  const auto at = script.Bring(SP_TCP_TIME_WAIT);
  script.Send({.flags = kSyn, .sequence = at.theirs + 1});
  EXPECT_EQ(int{script.Take().tcp.flags}, kSyn | kAck);
  EXPECT_EQ(script.listener->HalfOpen(), 1u);
  EXPECT_EQ(script.connection->state(), SP_TCP_CLOSED);
}

TEST(TimeWait, RepeatedFinIsAcknowledgedAndBeginsTheTimeAnew) {
  Script script;
  const auto at = script.Bring(SP_TCP_TIME_WAIT);
  script.host.Pass(40 * kSecond);
  script.Send({.flags = kFin | kAck, .sequence = at.theirs - 1, .acknowledgement = at.ours});
  script.Expect(kAck, at.ours, at.theirs);
  script.host.Pass(40 * kSecond);
  EXPECT_EQ(script.connection->state(), SP_TCP_TIME_WAIT);
  script.host.Pass(20 * kSecond);
  EXPECT_EQ(script.connection->state(), SP_TCP_CLOSED);
}

TEST(TimeWait, ResetIsIgnoredUnderRfc1337) {
  TcpPolicy policy;
  policy.time_wait_ignores_reset = true;
  Script script(policy);
  const auto at = script.Bring(SP_TCP_TIME_WAIT);
  script.Send({.flags = kRst, .sequence = at.theirs});
  EXPECT_EQ(script.connection->state(), SP_TCP_TIME_WAIT);
}

TEST(Closed, ResetsHaveTheNumbersOfRfc9293) {
  Script script;
  script.Send({.flags = kAck, .sequence = 5, .acknowledgement = 9});
  const Packet to_ack = script.Take();
  EXPECT_EQ(int{to_ack.tcp.flags}, int{kRst});
  EXPECT_EQ(to_ack.tcp.sequence, 9u);
  script.Send({.flags = kSyn | kFin, .sequence = 5, .payload = "abc"});
  const Packet to_other = script.Take();
  EXPECT_EQ(int{to_other.tcp.flags}, kRst | kAck);
  EXPECT_EQ(to_other.tcp.sequence, 0u);
  EXPECT_EQ(to_other.tcp.acknowledgement, Script::kTheirs + 5 + 3 + 2);
  script.Send({.flags = kRst | kAck});
  EXPECT_TRUE(script.Quiet());
}

TEST(Closed, ImpossibleSourcesAreNotAnswered) {
  Script script;
  script.Listen();
  for (const std::array<uint8_t, 4> source : {std::array<uint8_t, 4>{0, 0, 0, 0}, {255, 255, 255, 255}, {224, 0, 0, 1}}) {
    Packet syn;
    syn.source = {{SP_INET, {source[0], source[1], source[2], source[3]}}, 5000};
    syn.destination = script.here;
    syn.tcp.flags = kSyn;
    const std::vector<uint8_t> bytes = Serialize(syn);
    EXPECT_TRUE(script.host.network.Inject(bytes.data(), bytes.size()));
  }
  EXPECT_TRUE(script.Quiet());
  EXPECT_EQ(script.listener->HalfOpen(), 0u);
}

TEST(Owner, IsWhoWouldGetThePacket) {
  Script script;
  Packet packet;
  packet.source = script.there;
  packet.destination = script.here;
  EXPECT_EQ(script.host.tcp.OwnerOf(packet), nullptr);
  script.HalfOpen();
  EXPECT_EQ(script.host.tcp.OwnerOf(packet), script.listener.get());
  script.Send({});
  EXPECT_EQ(script.host.tcp.OwnerOf(packet), script.listener->Head()->connection.get());
}

}  // namespace
}  // namespace sockproof::reference
