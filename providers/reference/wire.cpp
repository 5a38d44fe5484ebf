#include "reference/wire.h"

#include <algorithm>

namespace sockproof::reference {
namespace {

constexpr uint8_t kIcmp6 = 58;  // ICMPv6 has a number of its own
constexpr std::size_t kTcpHeader = 20, kUdpHeader = 8, kIcmpHeader = 8;

void Put16(std::vector<uint8_t>* out, uint32_t value) {
  out->push_back(static_cast<uint8_t>(value >> 8));
  out->push_back(static_cast<uint8_t>(value));
}
void Put32(std::vector<uint8_t>* out, uint32_t value) {
  Put16(out, value >> 16);
  Put16(out, value);
}
void Set16(std::vector<uint8_t>* out, std::size_t at, uint16_t value) {
  (*out)[at] = static_cast<uint8_t>(value >> 8);
  (*out)[at + 1] = static_cast<uint8_t>(value);
}
uint16_t Get16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }
uint32_t Get32(const uint8_t* at) { return static_cast<uint32_t>(Get16(at)) << 16 | Get16(at + 2); }

// The Internet checksum (RFC 1071) as a running sum.
uint32_t Sum(const uint8_t* bytes, std::size_t size, uint32_t sum = 0) {
  for (; size > 1; bytes += 2, size -= 2) {
    sum += Get16(bytes);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return size == 1 ? sum + (static_cast<uint32_t>(*bytes) << 8) : sum;
}
uint16_t Fold(uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::size_t AddressSize(int32_t family) { return family == SP_INET6 ? 16 : 4; }

uint8_t WireProtocol(const Packet& packet) {
  if (packet.protocol == Protocol::kIcmp && packet.source.ip.family == SP_INET6) return kIcmp6;
  return static_cast<uint8_t>(packet.protocol);
}

// TCP, UDP and ICMPv6 count the addresses as well; ICMP for IPv4 does not.
uint32_t PseudoHeader(const Packet& packet, uint8_t protocol, std::size_t length) {
  if (protocol == static_cast<uint8_t>(Protocol::kIcmp)) return 0;
  const std::size_t size = AddressSize(packet.source.ip.family);
  uint32_t sum = Sum(packet.source.ip.bytes.data(), size);
  sum = Sum(packet.destination.ip.bytes.data(), size, sum);
  return sum + protocol + static_cast<uint32_t>(length);
}

std::vector<uint8_t> TcpBytes(const Packet& packet) {
  const TcpHeader& tcp = packet.tcp;
  std::vector<uint8_t> out;
  Put16(&out, packet.source.port);
  Put16(&out, packet.destination.port);
  Put32(&out, tcp.sequence);
  Put32(&out, tcp.acknowledgement);
  Put16(&out, tcp.flags);
  Put16(&out, tcp.window);
  Put16(&out, 0);  // checksum
  Put16(&out, tcp.urgent);
  if (tcp.maximum_segment) {
    Put16(&out, 2 << 8 | 4);
    Put16(&out, *tcp.maximum_segment);
  }
  if (tcp.window_scale) {
    Put16(&out, 1 << 8 | 3);  // a no-operation first, so that the header stays a multiple of four bytes
    Put16(&out, 3 << 8 | *tcp.window_scale);
  }
  out[12] = static_cast<uint8_t>(out.size() / 4 << 4);
  out.insert(out.end(), packet.payload.begin(), packet.payload.end());
  return out;
}

std::vector<uint8_t> UdpBytes(const Packet& packet) {
  std::vector<uint8_t> out;
  Put16(&out, packet.source.port);
  Put16(&out, packet.destination.port);
  Put16(&out, static_cast<uint32_t>(kUdpHeader + packet.payload.size()));
  Put16(&out, 0);
  out.insert(out.end(), packet.payload.begin(), packet.payload.end());
  return out;
}

// Type and code of 'destination unreachable' (RFC 792, RFC 4443 3.1), and the other way round.
struct IcmpCode {
  IcmpHeader::Reason reason;
  uint8_t code4, type6, code6;
};
constexpr uint8_t kUnreachable4 = 3, kUnreachable6 = 1, kParameterProblem6 = 4;
constexpr IcmpCode kIcmpCodes[] = {
    {IcmpHeader::Reason::kPort, 3, kUnreachable6, 4},
    {IcmpHeader::Reason::kProtocol, 2, kParameterProblem6, 1},  // 'unrecognized next header'
    {IcmpHeader::Reason::kHost, 1, kUnreachable6, 3},
    {IcmpHeader::Reason::kNetwork, 0, kUnreachable6, 0},
};

std::vector<uint8_t> IcmpBytes(const Packet& packet) {
  const bool six = packet.source.ip.family == SP_INET6;
  const IcmpHeader& icmp = packet.icmp;
  std::vector<uint8_t> out;
  for (const IcmpCode& code : kIcmpCodes) {
    if (code.reason == icmp.reason) out = {six ? code.type6 : kUnreachable4, six ? code.code6 : code.code4};
  }
  out.resize(kIcmpHeader);
  // As much of the packet in question as everybody sends back: its IP header and eight bytes.
  Packet about;
  about.source = icmp.source;
  about.destination = icmp.destination;
  about.protocol = icmp.protocol;
  about.tcp.sequence = icmp.tcp_sequence;
  std::vector<uint8_t> quoted = Serialize(about);
  quoted.resize((six ? 40 : 20) + 8);
  out.insert(out.end(), quoted.begin(), quoted.end());
  return out;
}

bool ParseTcp(const uint8_t* bytes, std::size_t size, Packet* packet) {
  const std::size_t header = size < kTcpHeader ? 0 : static_cast<std::size_t>(bytes[12] >> 4) * 4;
  if (header < kTcpHeader || header > size) return false;
  TcpHeader& tcp = packet->tcp;
  packet->source.port = Get16(bytes);
  packet->destination.port = Get16(bytes + 2);
  tcp.sequence = Get32(bytes + 4);
  tcp.acknowledgement = Get32(bytes + 8);
  tcp.flags = bytes[13] & 0x3f;
  tcp.window = Get16(bytes + 14);
  tcp.urgent = Get16(bytes + 18);
  for (std::size_t at = kTcpHeader; at < header && bytes[at] != 0;) {
    if (bytes[at] == 1) {
      ++at;
      continue;
    }
    const std::size_t length = at + 1 < header ? bytes[at + 1] : 0;
    if (length < 2 || at + length > header) break;
    if (bytes[at] == 2 && length == 4) tcp.maximum_segment = Get16(bytes + at + 2);
    if (bytes[at] == 3 && length == 3) tcp.window_scale = std::min<uint8_t>(bytes[at + 2], 14);  // RFC 7323 2.3
    at += length;
  }
  packet->payload.assign(bytes + header, bytes + size);
  return true;
}

bool ParseUdp(const uint8_t* bytes, std::size_t size, Packet* packet) {
  if (size < kUdpHeader || Get16(bytes + 4) < kUdpHeader || Get16(bytes + 4) > size) return false;
  packet->source.port = Get16(bytes);
  packet->destination.port = Get16(bytes + 2);
  packet->payload.assign(bytes + kUdpHeader, bytes + Get16(bytes + 4));
  return true;
}

bool ParseIcmp(const uint8_t* bytes, std::size_t size, Packet* packet) {
  const bool six = packet->source.ip.family == SP_INET6;
  const uint8_t* quoted = bytes + kIcmpHeader;
  if (size < kIcmpHeader + (six ? 40 : 20) + 8) return false;
  const std::size_t header = six ? 40 : static_cast<std::size_t>(quoted[0] & 15) * 4;
  if (header < 20 || size < kIcmpHeader + header + 8) return false;
  const auto* found = std::find_if(std::begin(kIcmpCodes), std::end(kIcmpCodes), [&](const IcmpCode& code) {
    return six ? bytes[0] == code.type6 && bytes[1] == code.code6 : bytes[0] == kUnreachable4 && bytes[1] == code.code4;
  });
  if (found == std::end(kIcmpCodes)) return false;
  IcmpHeader& icmp = packet->icmp;
  icmp.reason = found->reason;
  icmp.protocol = static_cast<Protocol>(six ? quoted[6] : quoted[9]);
  icmp.source.ip.family = icmp.destination.ip.family = packet->source.ip.family;
  const std::size_t length = AddressSize(packet->source.ip.family);
  std::copy_n(quoted + (six ? 8 : 12), length, icmp.source.ip.bytes.begin());
  std::copy_n(quoted + (six ? 24 : 16), length, icmp.destination.ip.bytes.begin());
  icmp.source.port = Get16(quoted + header);
  icmp.destination.port = Get16(quoted + header + 2);
  icmp.tcp_sequence = Get32(quoted + header + 4);
  return true;
}

}  // namespace

std::vector<uint8_t> Serialize(const Packet& packet) {
  std::vector<uint8_t> body = packet.protocol == Protocol::kTcp   ? TcpBytes(packet)
                              : packet.protocol == Protocol::kUdp ? UdpBytes(packet)
                                                                  : IcmpBytes(packet);
  const uint8_t protocol = WireProtocol(packet);
  const std::size_t checksum_at = packet.protocol == Protocol::kTcp ? 16 : packet.protocol == Protocol::kUdp ? 6 : 2;
  uint16_t checksum = Fold(Sum(body.data(), body.size(), PseudoHeader(packet, protocol, body.size())));
  if (packet.protocol == Protocol::kUdp && checksum == 0) checksum = 0xffff;  // RFC 768: zero says that there is none
  Set16(&body, checksum_at, checksum);

  std::vector<uint8_t> out;
  const std::size_t size = AddressSize(packet.source.ip.family);
  const auto put_addresses = [&] {
    out.insert(out.end(), packet.source.ip.bytes.begin(), packet.source.ip.bytes.begin() + static_cast<std::ptrdiff_t>(size));
    out.insert(out.end(), packet.destination.ip.bytes.begin(),
               packet.destination.ip.bytes.begin() + static_cast<std::ptrdiff_t>(size));
  };
  if (packet.source.ip.family == SP_INET6) {
    Put32(&out, 6u << 28 | static_cast<uint32_t>(packet.tos) << 20);
    Put16(&out, static_cast<uint32_t>(body.size()));
    Put16(&out, static_cast<uint32_t>(protocol) << 8 | packet.ttl);
    put_addresses();
  } else {
    Put16(&out, 0x4500u | packet.tos);
    Put16(&out, static_cast<uint32_t>(20 + body.size()));
    Put16(&out, 0);       // identification
    Put16(&out, 0x4000);  // don't fragment
    Put16(&out, static_cast<uint32_t>(packet.ttl) << 8 | protocol);
    Put16(&out, 0);
    put_addresses();
    Set16(&out, 10, Fold(Sum(out.data(), out.size())));
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

std::optional<Packet> Parse(const uint8_t* bytes, std::size_t size) {
  if (size < 20) return std::nullopt;
  const bool six = bytes[0] >> 4 == 6;
  if (!six && bytes[0] >> 4 != 4) return std::nullopt;
  const std::size_t header = six ? 40 : static_cast<std::size_t>(bytes[0] & 15) * 4;
  if (header < 20 || size < header) return std::nullopt;
  const std::size_t total = six ? header + Get16(bytes + 4) : Get16(bytes + 2);
  if (total < header || total > size) return std::nullopt;
  if (!six && (Fold(Sum(bytes, header)) != 0 || (Get16(bytes + 6) & 0x3fff) != 0)) return std::nullopt;  // or a fragment

  Packet packet;
  packet.source.ip.family = packet.destination.ip.family = six ? SP_INET6 : SP_INET;
  const std::size_t length = AddressSize(packet.source.ip.family);
  std::copy_n(bytes + (six ? 8 : 12), length, packet.source.ip.bytes.begin());
  std::copy_n(bytes + (six ? 24 : 16), length, packet.destination.ip.bytes.begin());
  packet.ttl = six ? bytes[7] : bytes[8];
  packet.tos = six ? static_cast<uint8_t>(Get16(bytes) >> 4) : bytes[1];
  const uint8_t protocol = six ? bytes[6] : bytes[9];
  const uint8_t* body = bytes + header;
  const std::size_t body_size = total - header;
  const bool unchecked = protocol == static_cast<uint8_t>(Protocol::kUdp) && body_size >= kUdpHeader && Get16(body + 6) == 0;
  if (!unchecked && Fold(Sum(body, body_size, PseudoHeader(packet, protocol, body_size))) != 0) return std::nullopt;

  bool good = false;
  if (protocol == static_cast<uint8_t>(Protocol::kTcp)) {
    packet.protocol = Protocol::kTcp;
    good = ParseTcp(body, body_size, &packet);
  } else if (protocol == static_cast<uint8_t>(Protocol::kUdp)) {
    packet.protocol = Protocol::kUdp;
    good = ParseUdp(body, body_size, &packet);
  } else if (protocol == (six ? kIcmp6 : static_cast<uint8_t>(Protocol::kIcmp))) {
    packet.protocol = Protocol::kIcmp;
    good = ParseIcmp(body, body_size, &packet);
  }
  if (!good) return std::nullopt;
  return packet;
}

}  // namespace sockproof::reference
