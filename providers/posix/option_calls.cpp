#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "adapter.h"
#include "addresses.h"
#include "errors.h"
#include "options.h"
#include "perform.h"

namespace sockproof::posix {
namespace {

constexpr std::int64_t kSecond = 1000000000;

// The value of an option in the system's own form. Longer than any, so that lengths that are too large read zeros.
struct OptionValue {
  alignas(16) unsigned char bytes[256] = {};
  socklen_t length = 0;

  template <class T>
  void Put(const T& value) {
    std::memcpy(bytes, &value, sizeof value);
    length = sizeof value;
  }
  template <class T>
  T Take() const {
    T value{};
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
};

timeval Duration(std::int64_t nanoseconds) {
  timeval out{};
  if (nanoseconds == INT64_MAX) {
    out.tv_usec = 1000000;  // out of range
  } else if (nanoseconds < 0) {
    out.tv_sec = -1;
  } else {
    // Up to the next microsecond: a short time must not become 0, which means 'no limit'.
    const std::int64_t microseconds = nanoseconds / 1000 + (nanoseconds % 1000 != 0 ? 1 : 0);
    out.tv_sec = static_cast<time_t>(microseconds / 1000000);
    out.tv_usec = static_cast<suseconds_t>(microseconds % 1000000);
  }
  return out;
}

// An option's integer where the neutral number is another than the system's.
std::int32_t NativeInteger(std::int32_t option, std::int64_t value) {
  switch (option) {
    case SP_SO_ERROR:
      return ErrnoFromError(static_cast<std::int32_t>(value));
    case SP_SO_TYPE:
      return NativeType(static_cast<std::int32_t>(value));
    case SP_SO_DOMAIN:
      return NativeFamily(static_cast<std::int32_t>(value));
    default:
      return static_cast<std::int32_t>(value);
  }
}

bool Membership(const sp_option_args& args, OptionValue* value) {
  NativeAddress group;
  if (EncodeAddress(args.address, &group) != SP_OK) return false;
  if (args.address.family == SP_INET) {
    sockaddr_in address{};
    std::memcpy(&address, group.bytes, sizeof address);
    ip_mreqn request{};
    request.imr_multiaddr = address.sin_addr;
    request.imr_ifindex = static_cast<int>(args.address.scope);
    if (request.imr_ifindex == 0) request.imr_address.s_addr = htonl(INADDR_LOOPBACK);
    value->Put(request);
    return true;
  }
  if (args.address.family == SP_INET6) {
    sockaddr_in6 address{};
    std::memcpy(&address, group.bytes, sizeof address);
    ipv6_mreq request{};
    request.ipv6mr_multiaddr = address.sin6_addr;
    request.ipv6mr_interface = args.address.scope == 0 ? 1 : args.address.scope;  // 1: the loopback interface
    value->Put(request);
    return true;
  }
  return false;
}

void DecodeInteger(const OptionValue& value, socklen_t reported, sp_option_args& args, sp_result* result) {
  // IP options of one byte come back as one byte when the buffer was shorter than an int.
  if (reported >= sizeof(std::int32_t)) {
    args.integer = value.Take<std::int32_t>();
  } else if (reported >= 1) {
    args.integer = value.bytes[0];
  } else {
    return;
  }
  if (reported < sizeof(std::int32_t)) return;
  switch (args.option) {
    case SP_SO_ERROR:
      result->native = args.integer;
      args.integer = ErrorFromErrno(static_cast<int>(args.integer));
      break;
    case SP_SO_TYPE:
      args.integer = NeutralType(static_cast<int>(args.integer));
      break;
    case SP_SO_DOMAIN:
      args.integer = NeutralFamily(static_cast<int>(args.integer));
      break;
    default:
      break;
  }
}

void GetTcpInfo(int descriptor, sp_option_args& args, sp_result* result) {
  if (args.kind != SP_POINTER_VALID || args.length_kind != SP_POINTER_VALID || args.length != SP_NATURAL_LENGTH) {
    return NotSupported(result);  // the value is made up from another option's
  }
  tcp_info info{};
  socklen_t length = sizeof info;
  if (Perform(result, [&] { return ::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length); })) return;
  const std::int32_t state = NeutralTcpState(info.tcpi_state);
  if (args.option == SP_TCP_STATE) {
    args.integer = state;
  } else if (state == SP_TCP_LISTEN) {
    args.integer = info.tcpi_unacked;  // of a listener: the length of its queue
  } else {
    return NotSupported(result);
  }
  args.reported = static_cast<std::int32_t>(sizeof(std::int32_t));
}

}  // namespace

void CallGetOption(Adapter& adapter, int descriptor, sp_option_args& args, sp_result* result) {
  args.reported = -1;
  OptionName name{};
  if (!FindOption(args.option, &name)) return NotSupported(result);
  if (args.option == SP_TCP_STATE || args.option == SP_TCP_UNACCEPTED) return GetTcpInfo(descriptor, args, result);
  OptionValue value;
  void* pointer = value.bytes;
  socklen_t length = 0;
  switch (args.value_type) {
    case SP_VALUE_INTEGER:
      length = sizeof(int);
      break;
    case SP_VALUE_LINGER:
      length = sizeof(linger);
      break;
    case SP_VALUE_DURATION:
      length = sizeof(timeval);
      break;
    case SP_VALUE_BYTES:
      pointer = args.bytes;  // the caller's own, so that it sees what was written and what was not
      length = sizeof args.bytes;
      break;
    default:
      return NotSupported(result);
  }
  if (args.length != SP_NATURAL_LENGTH) {
    length = static_cast<socklen_t>(args.length);
    if (args.length > static_cast<std::int32_t>(sizeof args.bytes)) pointer = value.bytes;
  }
  const socklen_t passed = length;
  if (args.kind == SP_POINTER_NULL) pointer = nullptr;
  if (args.kind == SP_POINTER_INVALID) pointer = adapter.bad_page;
  socklen_t* length_pointer = &length;
  if (args.length_kind == SP_POINTER_NULL) length_pointer = nullptr;
  if (args.length_kind == SP_POINTER_INVALID) length_pointer = static_cast<socklen_t*>(adapter.bad_page);
  if (Perform(result, [&] { return ::getsockopt(descriptor, name.level, name.name, pointer, length_pointer); })) return;
  if (args.length_kind != SP_POINTER_VALID) return;
  args.reported = static_cast<std::int32_t>(length);
  if (args.kind != SP_POINTER_VALID) return;
  const socklen_t whole = std::min(length, passed);
  switch (args.value_type) {
    case SP_VALUE_INTEGER:
      DecodeInteger(value, whole, args, result);
      break;
    case SP_VALUE_LINGER:
      if (whole >= sizeof(linger)) {
        const auto lingering = value.Take<linger>();
        args.linger_on = lingering.l_onoff;
        args.linger_seconds = lingering.l_linger;
      }
      break;
    case SP_VALUE_DURATION:
      if (whole >= sizeof(timeval)) {
        const auto time = value.Take<timeval>();
        args.duration_ns = static_cast<std::int64_t>(time.tv_sec) * kSecond + static_cast<std::int64_t>(time.tv_usec) * 1000;
      }
      break;
    default:
      args.byte_count = std::min<std::uint32_t>(whole, sizeof args.bytes);
      if (pointer != args.bytes) std::memcpy(args.bytes, value.bytes, args.byte_count);
      break;
  }
}

void CallSetOption(Adapter& adapter, int descriptor, sp_option_args& args, sp_result* result) {
  OptionName name{};
  if (!FindOption(args.option, &name)) return NotSupported(result);
  OptionValue value;
  switch (args.value_type) {
    case SP_VALUE_INTEGER:
      value.Put(NativeInteger(args.option, args.integer));
      break;
    case SP_VALUE_LINGER: {
      linger lingering{};
      lingering.l_onoff = args.linger_on;
      lingering.l_linger = args.linger_seconds;
      value.Put(lingering);
      break;
    }
    case SP_VALUE_DURATION:
      value.Put(Duration(args.duration_ns));
      break;
    case SP_VALUE_BYTES:
      value.length = std::min<std::uint32_t>(args.byte_count, sizeof args.bytes);
      std::memcpy(value.bytes, args.bytes, value.length);
      break;
    case SP_VALUE_ADDRESS:
      if (!Membership(args, &value)) return NotSupported(result);
      break;
    default:
      return NotSupported(result);
  }
  const socklen_t length = args.length == SP_NATURAL_LENGTH ? value.length : static_cast<socklen_t>(args.length);
  const void* pointer = value.bytes;
  if (args.kind == SP_POINTER_NULL) pointer = nullptr;
  if (args.kind == SP_POINTER_INVALID) pointer = adapter.bad_page;
  Perform(result, [&] { return ::setsockopt(descriptor, name.level, name.name, pointer, length); });
}

}  // namespace sockproof::posix
