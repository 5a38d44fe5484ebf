// Packets as bytes, there and back; and against bytes worked out by hand.
#include <gtest/gtest.h>

#include "reference/tests/host.h"
#include "reference/wire.h"

namespace sockproof::reference {
namespace {

Packet Example(Protocol protocol, int32_t family) {
  Packet packet;
  packet.protocol = protocol;
  packet.source = At(family, 4660);
  packet.destination = At(family, 22136);
  packet.ttl = 7;
  packet.tos = 0x1c;
  packet.payload = Bytes("odd");
  return packet;
}

TEST(Wire, TcpThereAndBack) {
  for (const int32_t family : {SP_INET, SP_INET6}) {
    Packet packet = Example(Protocol::kTcp, family);
    packet.tcp.sequence = 0x89abcdef;
    packet.tcp.acknowledgement = 0x01234567;
    packet.tcp.flags = kSyn | kAck | kUrg;
    packet.tcp.window = 4321;
    packet.tcp.urgent = 77;
    packet.tcp.maximum_segment = 1234;
    packet.tcp.window_scale = 9;
    const std::vector<uint8_t> bytes = Serialize(packet);
    const std::optional<Packet> back = Parse(bytes.data(), bytes.size());
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->source, packet.source);
    EXPECT_EQ(back->destination, packet.destination);
    EXPECT_EQ(back->ttl, 7);
    EXPECT_EQ(back->tos, 0x1c);
    EXPECT_EQ(back->tcp.sequence, 0x89abcdef);
    EXPECT_EQ(back->tcp.acknowledgement, 0x01234567u);
    EXPECT_EQ(int{back->tcp.flags}, kSyn | kAck | kUrg);
    EXPECT_EQ(back->tcp.window, 4321);
    EXPECT_EQ(back->tcp.urgent, 77);
    EXPECT_EQ(back->tcp.maximum_segment, 1234);
    EXPECT_EQ(back->tcp.window_scale, 9);
    EXPECT_EQ(back->payload, packet.payload);
  }
}

TEST(Wire, UdpThereAndBack) {
  for (const int32_t family : {SP_INET, SP_INET6}) {
    const Packet packet = Example(Protocol::kUdp, family);
    const std::vector<uint8_t> bytes = Serialize(packet);
    const std::optional<Packet> back = Parse(bytes.data(), bytes.size());
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->protocol, Protocol::kUdp);
    EXPECT_EQ(back->source, packet.source);
    EXPECT_EQ(back->destination, packet.destination);
    EXPECT_EQ(back->payload, packet.payload);
  }
}

TEST(Wire, IcmpThereAndBack) {
  using Reason = IcmpHeader::Reason;
  for (const int32_t family : {SP_INET, SP_INET6}) {
    for (const Reason reason : {Reason::kPort, Reason::kProtocol, Reason::kHost, Reason::kNetwork}) {
      Packet packet = Example(Protocol::kIcmp, family);
      packet.payload.clear();
      packet.icmp = {reason, Protocol::kTcp, At(family, 1), At(family, 2), 99};
      const std::vector<uint8_t> bytes = Serialize(packet);
      const std::optional<Packet> back = Parse(bytes.data(), bytes.size());
      ASSERT_TRUE(back.has_value());
      EXPECT_EQ(back->protocol, Protocol::kIcmp);
      EXPECT_EQ(back->icmp.reason, reason);
      EXPECT_EQ(back->icmp.protocol, Protocol::kTcp);
      EXPECT_EQ(back->icmp.source, At(family, 1));
      EXPECT_EQ(back->icmp.destination, At(family, 2));
      EXPECT_EQ(back->icmp.tcp_sequence, 99u);
    }
  }
}

// A UDP datagram from 127.0.0.1:4660 to 127.0.0.1:22136 with the bytes 'odd'. By hand, with end-around carry:
// IPv4: 451c + 001f + 0000 + 4000 + 0711 + 7f00 + 0001 + 7f00 + 0001 = 8a4f, complement 75b0.
// UDP:  7f00 + 0001 + 7f00 + 0001 + 0011 + 000b, 1234 + 5678 + 000b, 6f64 + 6400 = 3a3b, complement c5c4.
TEST(Wire, BytesOfADatagram) {
  const std::vector<uint8_t> expected = {
      0x45, 0x1c, 0x00, 0x1f, 0x00, 0x00, 0x40, 0x00, 0x07, 0x11, 0x75, 0xb0, 127, 0,   0,   1,
      127,  0,    0,    1,    0x12, 0x34, 0x56, 0x78, 0x00, 0x0b, 0xc5, 0xc4, 'o', 'd', 'd',
  };
  const std::vector<uint8_t> bytes = Serialize(Example(Protocol::kUdp, SP_INET));
  EXPECT_EQ(bytes, expected);
}

TEST(Wire, DamagedPacketsAreRefused) {
  for (const int32_t family : {SP_INET, SP_INET6}) {
    Packet packet = Example(Protocol::kTcp, family);
    packet.tcp.maximum_segment = 1000;
    const std::vector<uint8_t> bytes = Serialize(packet);
    for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(Parse(bytes.data(), size).has_value()) << size;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      // Class, flow label and hop limit of IPv6 are covered by no checksum.
      if (family == SP_INET6 && (at < 4 || at == 7)) continue;
      std::vector<uint8_t> damaged = bytes;
      damaged[at] ^= 0x20;
      EXPECT_FALSE(Parse(damaged.data(), damaged.size()).has_value()) << at;
    }
  }
}

// Whatever arrives: an answer, and no byte read that is not there (the sanitizers watch).
TEST(Wire, NoiseIsRefusedOrParsed) {
  Scheduler source(1);
  for (int round = 0; round < 100'000; ++round) {
    std::vector<uint8_t> bytes(source.Below(100));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(source.Random());
    if (!bytes.empty()) bytes[0] = source.Below(2) == 0 ? 0x45 : 0x60;
    Parse(bytes.data(), bytes.size());
  }
}

}  // namespace
}  // namespace sockproof::reference
