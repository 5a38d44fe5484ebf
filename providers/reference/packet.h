// What travels on the network of the reference provider: parsed headers and a payload. wire.h turns them into bytes and back.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "sockproof/provider.h"

namespace sockproof::reference {

struct IpAddress {
  int32_t family = SP_UNSPEC;  // SP_INET, SP_INET6, SP_CONNDATA
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const IpAddress&) const = default;
};

struct Endpoint {
  IpAddress ip;
  uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};

// The two ends of a connection as one of them sees it.
struct FourTuple {
  Endpoint local, remote;
  auto operator<=>(const FourTuple&) const = default;
};

enum TcpFlags : uint8_t { kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32 };

struct TcpHeader {
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
  uint8_t flags = 0;
  uint16_t window = 0;  // as on the wire: not scaled
  uint16_t urgent = 0;
  std::optional<uint16_t> maximum_segment;
  std::optional<uint8_t> window_scale;
  bool Has(uint8_t flag) const { return (flags & flag) != 0; }
};

enum class Protocol : uint8_t { kIcmp = 1, kTcp = 6, kUdp = 17 };

// ICMP, as far as anybody here sends it: a destination cannot be reached.
struct IcmpHeader {
  enum class Reason : uint8_t { kPort, kProtocol, kHost, kNetwork };
  Reason reason = Reason::kPort;
  Protocol protocol = Protocol::kUdp;  // of the packet that this is about, as its sender sent it:
  Endpoint source, destination;
  uint32_t tcp_sequence = 0;
};

struct Packet {
  Endpoint source, destination;  // ICMP: ports are 0
  Protocol protocol = Protocol::kTcp;
  uint8_t ttl = 64;
  uint8_t tos = 0;
  TcpHeader tcp;    // kTcp
  IcmpHeader icmp;  // kIcmp
  // The user's bytes. On a SYN, SYN+ACK or RST of SP_CONNDATA: the caller's or callee's user data, which do not count in the
  // sequence space.
  std::vector<uint8_t> payload;
};

// The ends of a packet as its receiver sees them.
inline FourTuple EndsOf(const Packet& packet) { return {packet.destination, packet.source}; }

}  // namespace sockproof::reference
