#include "reference/address.h"

#include <algorithm>
#include <cstring>

namespace sockproof::reference {
namespace {

// Numbers of the families in a sockaddr, which nobody looks at but who reads the bytes.
uint16_t NumberOf(int32_t family) {
  switch (family) {
    case SP_UNIX:
      return 1;
    case SP_INET:
      return 2;
    case SP_INET6:
      return 10;
    case SP_CONNDATA:
      return 40;
    default:
      return 0;
  }
}

void Put16(std::vector<uint8_t>* out, uint16_t value) {
  out->push_back(static_cast<uint8_t>(value >> 8));
  out->push_back(static_cast<uint8_t>(value));
}

void Put32(std::vector<uint8_t>* out, uint32_t value) {
  Put16(out, static_cast<uint16_t>(value >> 16));
  Put16(out, static_cast<uint16_t>(value));
}

constexpr std::array<uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

IpAddress ConnDataOnWire(const sp_address& address) {
  IpAddress ip = AnyOf(SP_CONNDATA);
  const bool short_form = std::all_of(address.bytes, address.bytes + 12, [](uint8_t byte) { return byte == 0; });
  if (!short_form) {
    std::fill_n(ip.bytes.begin(), 4, uint8_t{255});  // nobody's
    return ip;
  }
  std::copy_n(address.bytes + 12, 4, ip.bytes.begin());
  constexpr std::array<uint8_t, 4> kOne{0, 0, 0, 1};
  return std::equal(kOne.begin(), kOne.end(), ip.bytes.begin()) ? LoopbackOf(SP_CONNDATA) : ip;
}

}  // namespace

int32_t LengthOf(const sp_address& address) {
  switch (address.family) {
    case SP_INET6:
      return kInet6Length;
    case SP_CONNDATA:
      return kConnDataLength;
    case SP_UNIX: {
      const int32_t length = std::min<int32_t>(address.path_length, SP_PATH_MAX);
      const bool terminated = length > 0 && address.path[0] != '\0';
      return kPathOffset + length + (terminated ? 1 : 0);
    }
    default:
      return kInetLength;
  }
}

std::vector<uint8_t> Layout(const sp_address& address) {
  const uint16_t family = NumberOf(address.family);
  std::vector<uint8_t> out;
  out.reserve(kLongestAddress);
  out.push_back(static_cast<uint8_t>(family));
  out.push_back(static_cast<uint8_t>(family >> 8));
  if (address.family == SP_UNIX) {
    out.insert(out.end(), address.path, address.path + std::min<int>(address.path_length, SP_PATH_MAX));
  } else {
    Put16(&out, address.port);
    if (address.family == SP_INET6) {
      Put32(&out, address.flow);
      out.insert(out.end(), address.bytes, address.bytes + 16);
      for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<uint8_t>(address.scope >> shift));
    } else {
      out.insert(out.end(), address.bytes, address.bytes + (address.family == SP_CONNDATA ? 16 : 4));
    }
  }
  out.resize(static_cast<std::size_t>(LengthOf(address)));
  return out;
}

Endpoint ToEndpoint(const sp_address& address) {
  Endpoint endpoint;
  endpoint.port = address.port;
  if (IsMapped(address)) {
    endpoint.ip.family = SP_INET;
    std::copy_n(address.bytes + 12, 4, endpoint.ip.bytes.begin());
  } else if (address.family == SP_CONNDATA) {
    endpoint.ip = ConnDataOnWire(address);
  } else {
    endpoint.ip.family = address.family;
    std::copy_n(address.bytes, address.family == SP_INET6 ? 16 : 4, endpoint.ip.bytes.begin());
  }
  return endpoint;
}

sp_address ToAddress(const Endpoint& endpoint, int32_t family) {
  sp_address address{};
  address.family = family;
  address.port = endpoint.port;
  if (family == SP_INET6 && endpoint.ip.family == SP_INET) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes);
    std::copy_n(endpoint.ip.bytes.begin(), 4, address.bytes + 12);
  } else if (family == SP_CONNDATA) {
    std::copy_n(endpoint.ip.bytes.begin(), 4, address.bytes + 12);
    if (endpoint.ip == LoopbackOf(SP_CONNDATA)) {
      const std::array<uint8_t, 4> one{0, 0, 0, 1};
      std::copy(one.begin(), one.end(), address.bytes + 12);
    }
  } else {
    std::copy(endpoint.ip.bytes.begin(), endpoint.ip.bytes.end(), address.bytes);
  }
  return address;
}

sp_address NoAddress(int32_t family) {
  sp_address address{};
  address.family = family;
  return address;
}

bool IsAny(const IpAddress& address) {
  return std::all_of(address.bytes.begin(), address.bytes.end(), [](uint8_t byte) { return byte == 0; });
}

bool IsMapped(const sp_address& address) {
  return address.family == SP_INET6 && std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes);
}

bool IsMulticast(const IpAddress& address) {
  if (address.family == SP_INET6) return address.bytes[0] == 0xff;
  return address.family == SP_INET && (address.bytes[0] & 0xf0) == 0xe0;
}

bool IsBroadcast(const IpAddress& address) {
  const auto& bytes = address.bytes;
  if (address.family != SP_INET) return false;
  const bool all = bytes[0] == 255 && bytes[1] == 255 && bytes[2] == 255 && bytes[3] == 255;
  return all || (bytes[0] == 127 && bytes[1] == 255 && bytes[2] == 255 && bytes[3] == 255);
}

bool IsLinkLocal(const IpAddress& address) {
  return address.family == SP_INET6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

IpAddress AnyOf(int32_t family) {
  IpAddress address;
  address.family = family;
  return address;
}

IpAddress LoopbackOf(int32_t family) {
  IpAddress address = AnyOf(family);
  if (family == SP_INET6) {
    address.bytes[15] = 1;
  } else {
    address.bytes[0] = 127;
    address.bytes[3] = 1;
  }
  return address;
}

void Prepare(sp_address_out* out) {
  out->decoded = 0;
  out->reported = -1;
  if (out->length_kind == SP_POINTER_VALID) out->reported = out->length == SP_NATURAL_LENGTH ? out->raw_size : out->length;
}

int32_t Store(const sp_address& address, bool short_is_fault, sp_address_out* out) {
  if (out->length_kind != SP_POINTER_VALID) return SP_EFAULT;
  const int32_t room = out->length == SP_NATURAL_LENGTH ? out->raw_size : out->length;
  if (room < 0) return short_is_fault ? SP_EFAULT : SP_EINVAL;
  const std::vector<uint8_t> bytes = Layout(address);
  const int32_t whole = static_cast<int32_t>(bytes.size());
  const int32_t stored = std::min(room, whole);
  if (short_is_fault && stored < whole) return SP_EFAULT;
  if (stored > 0) {
    if (out->kind != SP_POINTER_VALID) return SP_EFAULT;
    std::memcpy(out->raw, bytes.data(), static_cast<std::size_t>(std::min(stored, out->raw_size)));
  }
  out->reported = whole;
  if (out->kind == SP_POINTER_VALID && stored == whole) {
    out->address = address;
    out->decoded = 1;
  }
  return SP_OK;
}

}  // namespace sockproof::reference
