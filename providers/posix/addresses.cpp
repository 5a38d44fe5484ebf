#include "addresses.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

namespace sockproof::posix {
namespace {

static_assert(sizeof(sockaddr_un::sun_path) == SP_PATH_MAX, "the neutral address holds a whole sun_path");

constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);

}  // namespace

int NativeFamily(std::int32_t family) {
  switch (family) {
    case SP_UNSPEC:
      return AF_UNSPEC;
    case SP_INET:
      return AF_INET;
    case SP_INET6:
      return AF_INET6;
    case SP_UNIX:
      return AF_UNIX;
    case SP_OTHER_FAMILY:
      return kNoFamily;
    default:
      return -1;
  }
}

std::int32_t NeutralFamily(int family) {
  switch (family) {
    case AF_UNSPEC:
      return SP_UNSPEC;
    case AF_INET:
      return SP_INET;
    case AF_INET6:
      return SP_INET6;
    case AF_UNIX:
      return SP_UNIX;
    default:
      return SP_OTHER_FAMILY;
  }
}

int NativeType(std::int32_t type) {
  switch (type) {
    case SP_STREAM:
      return SOCK_STREAM;
    case SP_DATAGRAM:
      return SOCK_DGRAM;
    case SP_SEQPACKET:
      return SOCK_SEQPACKET;
    case SP_RAW:
      return SOCK_RAW;
    case SP_OTHER_TYPE:
      return kNoType;
    default:
      return -1;
  }
}

std::int32_t NeutralType(int type) {
  switch (type) {
    case SOCK_STREAM:
      return SP_STREAM;
    case SOCK_DGRAM:
      return SP_DATAGRAM;
    case SOCK_SEQPACKET:
      return SP_SEQPACKET;
    case SOCK_RAW:
      return SP_RAW;
    default:
      return SP_OTHER_TYPE;
  }
}

std::int32_t EncodeAddress(const sp_address& in, NativeAddress* out) {
  std::memset(out->bytes, 0, sizeof out->bytes);
  out->pointer = reinterpret_cast<const sockaddr*>(out->bytes);
  switch (in.family) {
    case SP_INET: {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(in.port);
      std::memcpy(&address.sin_addr, in.bytes, sizeof address.sin_addr);
      std::memcpy(out->bytes, &address, sizeof address);
      out->length = sizeof address;
      return SP_OK;
    }
    case SP_INET6: {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(in.port);
      address.sin6_flowinfo = htonl(in.flow);
      address.sin6_scope_id = in.scope;
      std::memcpy(&address.sin6_addr, in.bytes, sizeof address.sin6_addr);
      std::memcpy(out->bytes, &address, sizeof address);
      out->length = sizeof address;
      return SP_OK;
    }
    case SP_UNIX: {
      const std::size_t length = std::min<std::size_t>(in.path_length, SP_PATH_MAX);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::memcpy(address.sun_path, in.path, length);
      std::memcpy(out->bytes, &address, sizeof address);
      // A pathname carries its NUL where there is room for one; an abstract name is exactly as long as it says.
      const bool terminated = length > 0 && in.path[0] != '\0' && length < SP_PATH_MAX;
      out->length = static_cast<socklen_t>(kPathOffset + length + (terminated ? 1 : 0));
      return SP_OK;
    }
    case SP_UNSPEC:
    case SP_OTHER_FAMILY: {
      sockaddr address{};
      address.sa_family = static_cast<sa_family_t>(in.family == SP_UNSPEC ? AF_UNSPEC : kNoFamily);
      std::memcpy(out->bytes, &address, sizeof address);
      // The rest lies where AF_INET has it: some systems look at no more than the family, others at all of it.
      sockaddr_in rest{};
      rest.sin_port = htons(in.port);
      std::memcpy(&rest.sin_addr, in.bytes, sizeof rest.sin_addr);
      std::memcpy(out->bytes + sizeof(sa_family_t), reinterpret_cast<const unsigned char*>(&rest) + sizeof(sa_family_t),
                  sizeof rest - sizeof(sa_family_t));
      out->length = sizeof rest;
      return SP_OK;
    }
    default:
      return SP_NOT_SUPPORTED;
  }
}

std::int32_t Encode(const sp_address_in& in, void* bad, NativeAddress* out) {
  const std::int32_t error = EncodeAddress(in.address, out);
  if (error != SP_OK) return error;
  if (in.length != SP_NATURAL_LENGTH) out->length = static_cast<socklen_t>(in.length);
  if (in.kind == SP_POINTER_NULL) out->pointer = nullptr;
  if (in.kind == SP_POINTER_INVALID) out->pointer = static_cast<const sockaddr*>(bad);
  return SP_OK;
}

bool Decode(const std::uint8_t* raw, std::size_t available, sp_address* out) {
  *out = sp_address{};
  sa_family_t family = 0;
  if (available < sizeof family) return false;
  std::memcpy(&family, raw, sizeof family);
  out->family = NeutralFamily(family);
  if (family == AF_INET) {
    sockaddr_in address{};
    if (available < sizeof address) return false;
    std::memcpy(&address, raw, sizeof address);
    out->port = ntohs(address.sin_port);
    std::memcpy(out->bytes, &address.sin_addr, sizeof address.sin_addr);
    return true;
  }
  if (family == AF_INET6) {
    sockaddr_in6 address{};
    if (available < sizeof address) return false;
    std::memcpy(&address, raw, sizeof address);
    out->port = ntohs(address.sin6_port);
    out->flow = ntohl(address.sin6_flowinfo);
    out->scope = address.sin6_scope_id;
    std::memcpy(out->bytes, &address.sin6_addr, sizeof address.sin6_addr);
    return true;
  }
  if (family == AF_UNIX) {
    if (available <= kPathOffset) return true;  // unnamed
    std::size_t length = std::min<std::size_t>(available - kPathOffset, SP_PATH_MAX);
    const auto* path = reinterpret_cast<const char*>(raw) + kPathOffset;
    if (path[0] != '\0') length = ::strnlen(path, length);
    std::memcpy(out->path, path, length);
    out->path_length = static_cast<std::uint16_t>(length);
    return true;
  }
  return true;  // nothing more is known of other families
}

NativeAddressOut::NativeAddressOut(sp_address_out* out, void* bad) : out_(out) {
  initial_ = static_cast<socklen_t>(out->length == SP_NATURAL_LENGTH ? out->raw_size : out->length);
  length_ = initial_;
  switch (out->kind) {
    case SP_POINTER_NULL:
      address_ = nullptr;
      break;
    case SP_POINTER_INVALID:
      address_ = static_cast<sockaddr*>(bad);
      break;
    default:
      address_ = reinterpret_cast<sockaddr*>(out->raw);
      break;
  }
  switch (out->length_kind) {
    case SP_POINTER_NULL:
      length_pointer_ = nullptr;
      break;
    case SP_POINTER_INVALID:
      length_pointer_ = static_cast<socklen_t*>(bad);
      break;
    default:
      length_pointer_ = &length_;
      break;
  }
  out->reported = -1;
  out->decoded = 0;
}

void NativeAddressOut::Finish(bool failed) { FinishWith(failed, length_); }

void NativeAddressOut::FinishWith(bool failed, socklen_t reported) {
  out_->reported = -1;
  out_->decoded = 0;
  if (out_->length_kind != SP_POINTER_VALID) return;
  // After a failure too: whether the length was touched is the caller's to see.
  out_->reported = static_cast<std::int32_t>(reported);
  if (failed) return;
  if (out_->kind != SP_POINTER_VALID || out_->raw == nullptr || out_->raw_size <= 0) return;
  const std::size_t room = std::min<std::size_t>(initial_, static_cast<std::size_t>(out_->raw_size));
  if (reported > room) {  // cut off: say what can be said, but not that it is an address
    Decode(out_->raw, room, &out_->address);
    return;
  }
  out_->decoded = Decode(out_->raw, reported, &out_->address) ? 1 : 0;
}

}  // namespace sockproof::posix
