// How data travel: order, acknowledgements, retransmission, windows, Nagle (RFC 9293 3.8, RFC 5681, RFC 6298).
#include <gtest/gtest.h>

#include "reference/tests/script.h"

namespace sockproof::reference {
namespace {

std::string Pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

TEST(Reassembly, OutOfOrderAndOverlappingSegmentsBecomeOneStream) {
  Script script;
  script.Establish();
  script.Send({.sequence = 4, .acknowledgement = 1, .payload = "def"});
  script.Expect(kAck, 1, 1);  // at once, so that the peer counts duplicates
  script.Send({.sequence = 9, .acknowledgement = 1, .payload = "i"});
  script.Expect(kAck, 1, 1);
  script.Send({.sequence = 6, .acknowledgement = 1, .payload = "fgh"});
  script.Expect(kAck, 1, 1);
  EXPECT_EQ(script.connection->Readable(), 0u);
  script.Send({.flags = kAck | kFin, .sequence = 10, .acknowledgement = 1, .payload = "j"});
  script.Expect(kAck, 1, 1);
  EXPECT_FALSE(script.connection->PeerFinished());
  script.Send({.payload = "abcd"});
  script.Expect(kAck, 1, 12);
  EXPECT_EQ(Read(script.connection.get()), "abcdefghij");
  EXPECT_TRUE(script.connection->PeerFinished());
}

TEST(Reassembly, WhatWasReceivedBeforeIsCutOff) {
  Script script;
  script.Establish();
  script.Send({.payload = "abc"});
  script.Send({.payload = "abcdef"});
  script.Send({.payload = "abc"});
  EXPECT_EQ(Read(script.connection.get()), "abcdef");
  script.Expect(kAck, 1, 4);
  script.Expect(kAck, 1, 7);
  script.Expect(kAck, 1, 7);
}

TEST(Retransmission, BacksOffAndGivesUp) {
  TcpPolicy policy;
  policy.data_retries = 3;
  Script script(policy);
  script.Establish();
  script.host.Pass(kSecond);
  Write(script.connection.get(), "data");
  script.Expect(kAck | kPsh, 1, 1);
  int64_t then = script.host.scheduler.Now();
  for (const int milliseconds : {200, 400, 800}) {  // the handshake measured zero, so it begins with the minimum
    ASSERT_TRUE(script.host.Until([&] { return !script.seen.empty(); }));
    EXPECT_EQ(script.host.Since(then), milliseconds * kMillisecond);
    then = script.host.scheduler.Now();
    EXPECT_EQ(script.Take().tcp.sequence, script.ours + 1);
  }
  EXPECT_TRUE(script.host.Until([&] { return script.connection->error() == SP_ETIMEDOUT; }));
  EXPECT_EQ(script.host.Since(then), 1600 * kMillisecond);
}

TEST(Retransmission, HandshakeThatWasSlowLeavesThreeSeconds) {
  Script script;
  script.HalfOpen();
  script.host.Pass(kSecond);
  script.Expect(kSyn | kAck, 0, 1);
  script.Send({});
  const auto connection = script.listener->Accept();
  Write(connection.get(), "data");
  script.Expect(kAck | kPsh, 1, 1);
  const int64_t then = script.host.scheduler.Now();
  EXPECT_TRUE(script.host.Until([&] { return !script.seen.empty(); }));
  EXPECT_EQ(script.host.Since(then), 3 * kSecond);  // RFC 6298 5.7
}

TEST(Retransmission, ThirdDuplicateAckSendsTheMissingSegment) {
  Script script;
  script.Establish();
  Write(script.connection.get(), Pattern(6000));
  for (uint32_t i = 0; i < 6; ++i) EXPECT_EQ(script.Take().tcp.sequence, script.ours + 1 + 1000 * i);
  EXPECT_TRUE(script.Quiet());
  script.Send({.acknowledgement = 1001});
  script.Send({.acknowledgement = 1001});
  script.Send({.acknowledgement = 1001});
  EXPECT_TRUE(script.Quiet());
  script.Send({.acknowledgement = 1001});
  const Packet again = script.Take();
  EXPECT_EQ(again.tcp.sequence, script.ours + 1001);
  EXPECT_EQ(script.Text(again), Pattern(6000).substr(1000, 1000));
  // RFC 6582: a partial acknowledgement says what else is missing.
  script.Send({.acknowledgement = 3001});
  EXPECT_EQ(script.Take().tcp.sequence, script.ours + 3001);
  script.Send({.acknowledgement = 6001});
  EXPECT_TRUE(script.Quiet());
  EXPECT_TRUE(script.connection->Everything());
}

TEST(Retransmission, AfterTheTimerEverythingFromTheFirstMissingByteIsSentAgain) {
  Script script;
  script.Establish();
  Write(script.connection.get(), Pattern(3000));
  script.connection->ShutdownWrite();
  script.host.Pass(0);
  EXPECT_EQ(script.seen.size(), 4u);  // three segments, one FIN
  script.seen.clear();
  script.host.Pass(200 * kMillisecond);
  EXPECT_EQ(script.Take().tcp.sequence, script.ours + 1);
  EXPECT_TRUE(script.Quiet());
  script.Send({.acknowledgement = 1001});
  EXPECT_EQ(script.Take().tcp.sequence, script.ours + 1001);
  script.Send({.acknowledgement = 2001});
  const Packet last = script.Take();
  EXPECT_EQ(int{last.tcp.flags}, kAck | kPsh | kFin);
  script.Send({.acknowledgement = 3002});
  EXPECT_EQ(script.connection->state(), SP_TCP_FIN_WAIT_2);
}

TEST(Segments, AreAsLargeAsThePeerAndTheRouteAllow) {
  const struct {
    uint16_t theirs, setting;
    std::size_t sent;
  } cases[] = {{0, 0, 536}, {700, 0, 700}, {9000, 0, 1460}, {1460, 300, 300}};
  for (const auto& c : cases) {
    Script script;
    script.maximum_segment = c.theirs;
    TcpSettings settings;
    settings.maximum_segment = c.setting;
    script.Establish(settings);
    Write(script.connection.get(), Pattern(5000));
    EXPECT_EQ(script.Take().payload.size(), c.sent);
  }
}

TEST(Segments, OfferOfTheHandshake) {
  Script script;
  TcpSettings settings;
  settings.receive_buffer = 1 << 20;
  const auto connection = script.host.tcp.Connect({script.here, script.there}, settings);
  const Packet syn = script.Take();
  EXPECT_EQ(syn.tcp.maximum_segment, 1460);
  EXPECT_EQ(syn.tcp.window_scale, 5);  // 65535 << 4 is too little by 16
  EXPECT_EQ(syn.tcp.window, 65535);
}

TEST(Nagle, SmallSegmentsWaitForTheAcknowledgement) {
  Script script;
  script.Establish();
  Write(script.connection.get(), "a");
  script.Expect(kAck | kPsh, 1, 1);
  Write(script.connection.get(), "b");
  Write(script.connection.get(), "c");
  EXPECT_TRUE(script.Quiet());
  script.Send({.acknowledgement = 2});
  EXPECT_EQ(script.Text(script.Expect(kAck | kPsh, 2, 1)), "bc");
  script.connection->settings().no_delay = true;
  script.connection->SettingsChanged();
  Write(script.connection.get(), "d");
  EXPECT_EQ(script.Text(script.Take()), "d");
}

TEST(Cork, HoldsBackWhatIsLessThanASegmentForAWhile) {
  for (const bool by_flag : {false, true}) {
    Script script;
    script.Establish();
    script.connection->settings().cork = !by_flag;
    Write(script.connection.get(), "begin", !by_flag);
    EXPECT_TRUE(script.Quiet());
    const int64_t then = script.host.scheduler.Now();
    EXPECT_TRUE(script.host.Until([&] { return !script.seen.empty(); }));
    EXPECT_EQ(script.host.Since(then), 200 * kMillisecond);
    EXPECT_EQ(script.Text(script.Take()), "begin");
    script.Send({.acknowledgement = 6});
    Write(script.connection.get(), Pattern(1500), !by_flag);
    EXPECT_EQ(script.Take().payload.size(), 1000u);
    EXPECT_TRUE(script.Quiet());
    script.Send({.acknowledgement = 1006});
    if (by_flag) {
      Write(script.connection.get(), "!");
    } else {
      script.connection->settings().cork = false;
      script.connection->SettingsChanged();
    }
    EXPECT_EQ(script.Take().payload.size(), by_flag ? 501u : 500u);
  }
}

TEST(Cork, FinLetsGo) {
  Script script;
  script.Establish();
  script.connection->settings().cork = true;
  Write(script.connection.get(), "end");
  script.connection->ShutdownWrite();
  EXPECT_EQ(script.Text(script.Expect(kAck | kPsh | kFin, 1, 1)), "end");
}

TEST(DelayedAck, OneSegmentWaitsAndTheSecondDoesNot) {
  Script script;
  script.Establish();
  script.connection->settings().quick_ack = false;
  script.Send({.payload = "a"});
  EXPECT_TRUE(script.Quiet());
  script.host.Pass(40 * kMillisecond);
  script.Expect(kAck, 1, 2);
  script.Send({.sequence = 2, .payload = "b"});
  script.Send({.sequence = 3, .payload = "c"});
  script.Expect(kAck, 1, 4);
  script.Send({.sequence = 4, .payload = "d"});
  Write(script.connection.get(), "x");
  script.Expect(kAck | kPsh, 1, 5);  // rides on data
  script.seen.clear();
  script.host.Pass(100 * kMillisecond);
  EXPECT_TRUE(script.Quiet());
}

TEST(Window, ClosedOneIsProbedForAsLongAsThePeerAnswers) {
  Script script;
  script.Establish({}, 0);
  Write(script.connection.get(), "data");
  EXPECT_TRUE(script.Quiet());
  for (const int milliseconds : {200, 400, 800, 1600, 3200}) {
    const int64_t then = script.host.scheduler.Now();
    ASSERT_TRUE(script.host.Until([&] { return !script.seen.empty(); }));
    EXPECT_EQ(script.host.Since(then), milliseconds * kMillisecond);
    EXPECT_EQ(script.Text(script.Expect(kAck, 1, 1)), "d");
    script.Send({.window = 0});
  }
  script.Send({.acknowledgement = 2});  // took the byte, and opens
  EXPECT_EQ(script.Text(script.Expect(kAck | kPsh, 2, 1)), "ata");
  script.Send({.acknowledgement = 5});
  EXPECT_TRUE(script.connection->Everything());
}

TEST(Window, ProbesThatNobodyAnswersEndTheConnection) {
  TcpPolicy policy;
  policy.data_retries = 4;
  Script script(policy);
  script.Establish({}, 0);
  Write(script.connection.get(), "data");
  EXPECT_TRUE(script.host.Until([&] { return script.connection->error() == SP_ETIMEDOUT; }));
  EXPECT_EQ(script.seen.size(), 4u);
}

TEST(Window, OrphanBehindAClosedWindowDoesNotLiveForEver) {
  Script script;
  script.Establish({}, 0);
  Write(script.connection.get(), "data");
  script.connection->Close();
  int probes = 0;
  while (script.host.Until([&] { return !script.seen.empty(); }) && !script.Take().tcp.Has(kRst)) {
    ASSERT_LT(++probes, 100);
    script.Send({.window = 0});
  }
  EXPECT_EQ(probes, TcpPolicy().orphan_retries);
  EXPECT_FALSE(script.host.tcp.InUse(script.connection->ends()));
}

TEST(Window, ClosedOneStillTakesAcknowledgements) {
  Script script;
  TcpSettings settings;
  settings.receive_buffer = 1000;
  script.Establish(settings);
  script.Send({.payload = Pattern(1000)});
  EXPECT_EQ(script.Expect(kAck, 1, 1001).tcp.window, 0);
  Write(script.connection.get(), "x");
  script.Expect(kAck | kPsh, 1, 1001);
  script.Send({.sequence = 1001, .acknowledgement = 2, .payload = "too much"});
  EXPECT_TRUE(script.connection->Everything());
  script.Expect(kAck, 2, 1001);
}

TEST(Window, OpensByNoLessThanIsWorthASegment) {
  Script script;
  TcpSettings settings;
  settings.receive_buffer = 4000;
  script.Establish(settings);
  script.Send({.payload = Pattern(4000)});
  EXPECT_EQ(script.Take().tcp.window, 0);
  Read(script.connection.get(), 100);
  EXPECT_TRUE(script.Quiet());
  Read(script.connection.get(), 1359);
  EXPECT_TRUE(script.Quiet());
  Read(script.connection.get(), 1);  // 1460, the segment of this route
  EXPECT_EQ(script.Take().tcp.window, 1460);
}

TEST(Window, NeverShrinks) {
  Script script;
  script.Establish();
  script.connection->settings().receive_buffer = 10;
  script.connection->SettingsChanged();
  script.Send({.payload = Pattern(1000)});
  const Packet ack = script.Take();
  EXPECT_EQ(ack.tcp.window, 65535 - 1000);
  EXPECT_EQ(script.connection->Readable(), 1000u);
}

TEST(Window, ScaleOfThePeerIsUsed) {
  Script script;
  script.Listen();
  Packet syn;
  syn.source = script.there;
  syn.destination = script.here;
  syn.tcp.flags = kSyn;
  syn.tcp.sequence = Script::kTheirs;
  syn.tcp.maximum_segment = 1000;
  syn.tcp.window_scale = 4;
  const std::vector<uint8_t> bytes = Serialize(syn);
  script.host.network.Inject(bytes.data(), bytes.size());
  const Packet answer = script.Take();
  EXPECT_TRUE(answer.tcp.window_scale.has_value());
  script.ours = answer.tcp.sequence;
  script.Send({.window = 200});  // 3200 bytes
  const auto connection = script.listener->Accept();
  Write(connection.get(), Pattern(10'000));
  script.host.Pass(0);
  std::size_t sent = 0;
  for (const Packet& packet : script.seen) sent += packet.payload.size();
  EXPECT_EQ(sent, 3000u);  // the rest is less than a segment, and less than half a window
}

TEST(Congestion, BeginsWithTenSegmentsAndGrowsWithAcknowledgements) {
  Script script;
  script.Establish();
  Write(script.connection.get(), Pattern(40'000));
  script.host.Pass(0);
  EXPECT_EQ(script.seen.size(), 10u);
  script.seen.clear();
  script.Send({.acknowledgement = 2001});
  EXPECT_EQ(script.seen.size(), 3u);  // two that left, one more
}

}  // namespace
}  // namespace sockproof::reference
