#include "option_values.h"

#include <algorithm>
#include <climits>

#include "addresses.h"
#include "system.h"
#include "windows/errors.h"
#include "windows/options.h"

namespace sockproof::winsock {
namespace {

// SO_RCVTIMEO and SO_SNDTIMEO are a DWORD of milliseconds. A time that is negative or out of range has no such form but the
// largest numbers.
DWORD Milliseconds(std::int64_t nanoseconds) {
  if (nanoseconds < 0) return static_cast<DWORD>(-1);
  // Up to the next millisecond: a short time must not become 0, which means 'no limit'.
  const std::int64_t milliseconds = nanoseconds / 1000000 + (nanoseconds % 1000000 != 0 ? 1 : 0);
  return static_cast<DWORD>(std::min<std::int64_t>(milliseconds, UINT32_MAX - 1));
}

bool EncodeInteger(const sp_option_args& args, OptionValue* value) {
  switch (args.option) {
    case SP_SO_UPDATE_ACCEPT_CONTEXT:
      value->Put(static_cast<SOCKET>(args.integer));
      return true;
    case SP_SO_UPDATE_CONNECT_CONTEXT:
      value->length = 0;
      return true;
    case SP_SO_ERROR:
      value->Put(windows::CodeOf(static_cast<std::int32_t>(args.integer)));
      return true;
    case SP_SO_TYPE:
      value->Put(windows::TypeNumber(static_cast<std::int32_t>(args.integer)));
      return true;
    default:
      value->Put(static_cast<std::int32_t>(args.integer));
      return true;
  }
}

bool EncodeMembership(const sp_address& group, OptionValue* value) {
  NativeAddress native;
  if (EncodeAddress(group, &native) != SP_OK) return false;
  if (group.family == SP_INET) {
    sockaddr_in address{};
    std::memcpy(&address, native.bytes, sizeof address);
    ip_mreq request{};
    request.imr_multiaddr = address.sin_addr;
    // "0.x.x.x": an interface by its index (ip_mreq structure)
    request.imr_interface.s_addr = htonl(group.scope != 0 ? group.scope : INADDR_LOOPBACK);
    value->Put(request);
    return true;
  }
  if (group.family == SP_INET6) {
    sockaddr_in6 address{};
    std::memcpy(&address, native.bytes, sizeof address);
    ipv6_mreq request{};
    request.ipv6mr_multiaddr = address.sin6_addr;
    request.ipv6mr_interface = group.scope == 0 ? 1 : group.scope;  // 1: the loopback interface
    value->Put(request);
    return true;
  }
  return false;
}

}  // namespace

bool EncodeOption(const sp_option_args& args, OptionValue* value) {
  switch (args.value_type) {
    case SP_VALUE_INTEGER:
      return EncodeInteger(args, value);
    case SP_VALUE_LINGER: {
      linger lingering{};
      lingering.l_onoff = static_cast<u_short>(args.linger_on);
      lingering.l_linger = static_cast<u_short>(args.linger_seconds);
      value->Put(lingering);
      return true;
    }
    case SP_VALUE_DURATION:
      value->Put(Milliseconds(args.duration_ns));
      return true;
    case SP_VALUE_BYTES:
      value->length = static_cast<int>(std::min<std::size_t>(args.byte_count, sizeof args.bytes));
      std::memcpy(value->bytes, args.bytes, static_cast<std::size_t>(value->length));
      return true;
    case SP_VALUE_ADDRESS:
      return EncodeMembership(args.address, value);
    default:
      return false;
  }
}

int NaturalLength(const sp_option_args& args) {
  switch (args.value_type) {
    case SP_VALUE_INTEGER:
      return sizeof(int);
    case SP_VALUE_LINGER:
      return sizeof(linger);
    case SP_VALUE_DURATION:
      return sizeof(DWORD);
    case SP_VALUE_BYTES:
      return sizeof args.bytes;
    default:
      return 0;
  }
}

void DecodeOption(const OptionValue& value, int whole, sp_option_args& args, std::int64_t* native) {
  switch (args.value_type) {
    case SP_VALUE_INTEGER:
      break;
    case SP_VALUE_LINGER:
      if (whole >= static_cast<int>(sizeof(linger))) {
        const auto lingering = value.Take<linger>();
        args.linger_on = lingering.l_onoff;
        args.linger_seconds = lingering.l_linger;
      }
      return;
    case SP_VALUE_DURATION:
      if (whole >= static_cast<int>(sizeof(DWORD))) args.duration_ns = std::int64_t{value.Take<DWORD>()} * 1000000;
      return;
    default:
      return;
  }
  // A BOOL may come back as one byte.
  if (whole < static_cast<int>(sizeof(std::int32_t))) {
    if (whole >= 1) args.integer = value.bytes[0];
    return;
  }
  args.integer = value.Take<std::int32_t>();
  switch (args.option) {
    case SP_SO_ERROR:
      *native = args.integer;
      args.integer = windows::ErrorOf(static_cast<int>(args.integer));
      break;
    case SP_SO_TYPE:
      args.integer = windows::TypeOf(static_cast<int>(args.integer));
      break;
    case SP_SO_CONNECT_TIME:
    case SP_SO_MAX_MSG_SIZE:
      args.integer = value.Take<std::uint32_t>();
      break;
    default:
      break;
  }
}

}  // namespace sockproof::winsock
