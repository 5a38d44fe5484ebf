// A peer that sends exactly what a test says: another host at the end of a link, whose segments are written by hand.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "reference/tests/host.h"
#include "reference/wire.h"

namespace sockproof::reference {

class Script {
 public:
  static constexpr uint16_t kHere = 80, kThere = 5000;
  static constexpr uint32_t kTheirs = 1'000'000;  // the peer's initial sequence number

  explicit Script(const TcpPolicy& policy = {}) : host(1, policy) {
    host.network.AttachLink(here.ip, there.ip, 1500, [this](const std::vector<uint8_t>& bytes) {
      const std::optional<Packet> packet = Parse(bytes.data(), bytes.size());
      ASSERT_TRUE(packet.has_value());
      seen.push_back(*packet);
    });
  }

  // ---- What the peer sends. Numbers are relative to the initial ones: 1 is the first byte.
  struct Sent {
    uint8_t flags = kAck;
    uint32_t sequence = 1, acknowledgement = 1;
    std::string payload = {};
    uint16_t window = 65535, urgent = 0;
  };
  void Send(const Sent& sent) {
    Packet packet;
    packet.source = there;
    packet.destination = here;
    packet.tcp.flags = sent.flags;
    packet.tcp.sequence = kTheirs + sent.sequence;
    packet.tcp.acknowledgement = (sent.flags & kAck) != 0 ? ours + sent.acknowledgement : 0;
    packet.tcp.window = sent.window;
    packet.tcp.urgent = sent.urgent;
    if ((sent.flags & kSyn) != 0 && maximum_segment != 0) packet.tcp.maximum_segment = maximum_segment;
    packet.payload = Bytes(sent.payload);
    const std::vector<uint8_t> bytes = Serialize(packet);
    ASSERT_TRUE(host.network.Inject(bytes.data(), bytes.size()));
    host.Pass(0);
  }

  // ---- What comes from the host
  bool Quiet() {
    host.Pass(0);
    return seen.empty();
  }
  Packet Take() {
    host.Pass(0);
    if (seen.empty()) {
      ADD_FAILURE() << "nothing was sent";
      return {};
    }
    Packet packet = seen.front();
    seen.pop_front();
    return packet;
  }
  // The next segment has these flags, and these numbers (relative ones again).
  Packet Expect(uint8_t flags, uint32_t sequence, uint32_t acknowledgement) {
    const Packet packet = Take();
    EXPECT_EQ(int{packet.tcp.flags}, int{flags});
    EXPECT_EQ(packet.tcp.sequence - ours, sequence);
    if ((flags & kAck) != 0) {
      EXPECT_EQ(packet.tcp.acknowledgement - kTheirs, acknowledgement);
    }
    return packet;
  }
  std::string Text(const Packet& packet) const { return {packet.payload.begin(), packet.payload.end()}; }

  // ---- Beginnings
  std::shared_ptr<TcpListener> Listen(std::size_t capacity = 2, const TcpSettings& settings = {}) {
    listener = host.tcp.Listen(here, true, settings);
    listener->SetCapacity(capacity);
    return listener;
  }
  void HalfOpen(const TcpSettings& settings = {}) {
    Listen(2, settings);
    Send({.flags = kSyn, .sequence = 0});
    const Packet answer = Take();
    EXPECT_EQ(int{answer.tcp.flags}, kSyn | kAck);
    EXPECT_EQ(answer.tcp.acknowledgement, kTheirs + 1);
    ours = answer.tcp.sequence;
  }
  void Establish(const TcpSettings& settings = {}, uint16_t window = 65535) {
    HalfOpen(settings);
    Send({.window = window});
    ASSERT_EQ(listener->Waiting(), 1u);
    connection = listener->Accept();
    EXPECT_TRUE(Quiet());
  }
  void Connect(const TcpSettings& settings = {}) {
    connection = host.tcp.Connect({here, there}, settings);
    const Packet syn = Take();
    EXPECT_EQ(int{syn.tcp.flags}, kSyn);
    ours = syn.tcp.sequence;
  }
  // Into any of the synchronized states; the numbers that both ends have reached then.
  struct Numbers {
    uint32_t theirs = 1, ours = 1;
  };
  Numbers Bring(enum sp_tcp_state state) {
    Establish();
    Numbers at;
    const auto finish = [&](uint32_t acknowledgement) {
      Send({.flags = kFin | kAck, .sequence = 1, .acknowledgement = acknowledgement});
      at.theirs = 2;
      seen.clear();
    };
    const auto shut = [&] {
      connection->ShutdownWrite();
      host.Pass(0);
      at.ours = 2;
      seen.clear();
    };
    switch (state) {
      case SP_TCP_FIN_WAIT_1:
        shut();
        at.ours = 1;
        break;
      case SP_TCP_FIN_WAIT_2:
        shut();
        Send({.acknowledgement = 2});
        break;
      case SP_TCP_CLOSE_WAIT:
        finish(1);
        break;
      case SP_TCP_CLOSING:
        shut();
        finish(1);
        at.ours = 1;
        break;
      case SP_TCP_LAST_ACK:
        finish(1);
        shut();
        at.ours = 1;
        break;
      case SP_TCP_TIME_WAIT:
        shut();
        finish(2);
        break;
      default:
        break;
    }
    EXPECT_EQ(connection->state(), state);
    EXPECT_TRUE(Quiet());
    return at;
  }

  const Endpoint here{{SP_INET, {10, 0, 0, 1}}, kHere}, there{{SP_INET, {10, 0, 0, 2}}, kThere};
  uint16_t maximum_segment = 1000;
  uint32_t ours = 0;  // the host's initial sequence number
  std::deque<Packet> seen;
  Host host;
  std::shared_ptr<TcpListener> listener;
  std::shared_ptr<TcpConnection> connection;
};

}  // namespace sockproof::reference
