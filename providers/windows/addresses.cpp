#include "windows/addresses.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace sockproof::windows {
namespace {

constexpr int kUnixNumber = 1;    // AF_UNIX
constexpr int kNobodys = 0x7fff;  // of SP_OTHER_FAMILY
constexpr int kPathOffset = static_cast<int>(offsetof(UnixAddress, path));

}  // namespace

int FamilyNumber(std::int32_t family) {
  switch (family) {
    case SP_UNSPEC:
      return AF_UNSPEC;
    case SP_INET:
      return AF_INET;
    case SP_INET6:
      return AF_INET6;
    case SP_UNIX:
      return kUnixNumber;
    case SP_CONNDATA:
      return kConnDataFamily;
    default:
      return kNobodys;
  }
}

std::int32_t FamilyOf(int number) {
  switch (number) {
    case AF_UNSPEC:
      return SP_UNSPEC;
    case AF_INET:
      return SP_INET;
    case AF_INET6:
      return SP_INET6;
    case kUnixNumber:
      return SP_UNIX;
    case kConnDataFamily:
      return SP_CONNDATA;
    default:
      return SP_OTHER_FAMILY;
  }
}

int LengthOf(std::int32_t family) {
  switch (family) {
    case SP_INET6:
      return sizeof(sockaddr_in6);
    case SP_UNIX:
      return kPathOffset;
    case SP_CONNDATA:
      return sizeof(ConnDataAddress);
    default:
      return sizeof(sockaddr_in);
  }
}

int Encode(const sp_address& address, AnyAddress* out) {
  std::memset(out, 0, sizeof *out);
  switch (address.family) {
    case SP_INET6:
      out->inet6.sin6_family = AF_INET6;
      out->inet6.sin6_port = htons(address.port);
      out->inet6.sin6_flowinfo = address.flow;
      out->inet6.sin6_scope_id = address.scope;
      std::memcpy(&out->inet6.sin6_addr, address.bytes, 16);
      return sizeof(sockaddr_in6);
    case SP_UNIX: {
      const int length = std::min<int>(address.path_length, SP_PATH_MAX);
      out->local.family = kUnixNumber;
      std::memcpy(out->local.path, address.path, static_cast<std::size_t>(length));
      const bool terminated = length > 0 && length < SP_PATH_MAX && address.path[0] != '\0';
      return kPathOffset + length + (terminated ? 1 : 0);
    }
    case SP_CONNDATA:
      out->conndata.family = kConnDataFamily;
      out->conndata.port = htons(address.port);
      std::memcpy(out->conndata.bytes, address.bytes, 16);
      return sizeof(ConnDataAddress);
    default:
      out->inet.sin_family = static_cast<decltype(out->inet.sin_family)>(FamilyNumber(address.family));
      out->inet.sin_port = htons(address.port);
      std::memcpy(&out->inet.sin_addr, address.bytes, 4);
      return sizeof(sockaddr_in);
  }
}

bool Decode(const void* data, int length, sp_address* out) {
  *out = sp_address{};
  AnyAddress address{};
  if (length < static_cast<int>(sizeof address.base.sa_family)) return false;
  std::memcpy(&address, data, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof address));
  out->family = FamilyOf(address.base.sa_family);
  switch (out->family) {
    case SP_INET:
      if (length < static_cast<int>(sizeof(sockaddr_in))) return false;
      out->port = ntohs(address.inet.sin_port);
      std::memcpy(out->bytes, &address.inet.sin_addr, 4);
      return true;
    case SP_INET6:
      if (length < static_cast<int>(sizeof(sockaddr_in6))) return false;
      out->port = ntohs(address.inet6.sin6_port);
      out->flow = address.inet6.sin6_flowinfo;
      out->scope = address.inet6.sin6_scope_id;
      std::memcpy(out->bytes, &address.inet6.sin6_addr, 16);
      return true;
    case SP_UNIX: {
      const int room = std::min<int>(length - kPathOffset, SP_PATH_MAX);
      if (room < 0) return false;
      int used = room;
      if (used > 0 && address.local.path[0] != '\0') {
        used = static_cast<int>(std::find(address.local.path, address.local.path + room, '\0') - address.local.path);
      } else if (std::all_of(address.local.path, address.local.path + room, [](char byte) { return byte == '\0'; })) {
        used = 0;
      }
      out->path_length = static_cast<std::uint16_t>(used);
      std::memcpy(out->path, address.local.path, static_cast<std::size_t>(used));
      return true;
    }
    case SP_CONNDATA:
      if (length < static_cast<int>(sizeof(ConnDataAddress))) return false;
      out->port = ntohs(address.conndata.port);
      std::memcpy(out->bytes, address.conndata.bytes, 16);
      return true;
    default:
      return false;
  }
}

}  // namespace sockproof::windows
