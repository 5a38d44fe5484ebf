// Packets as bytes: IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293), UDP (RFC 768), ICMP (RFC 792, RFC 4443), with their
// checksums. No fragments, no extension headers; options of TCP that nobody here knows are passed over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "reference/packet.h"

namespace sockproof::reference {

std::vector<uint8_t> Serialize(const Packet& packet);  // SP_INET or SP_INET6
// Nothing if it is cut, no packet of these protocols, or a checksum is wrong.
std::optional<Packet> Parse(const uint8_t* bytes, std::size_t size);

}  // namespace sockproof::reference
