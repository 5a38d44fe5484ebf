// WSPSend and its kin, options and ioctls.
#include <algorithm>
#include <cstring>
#include <vector>

#include "windows/errors.h"
#include "windows/memory.h"
#include "windows/options.h"
#include "wsp/adapter.h"

namespace sockproof::wsp {
namespace {

using windows::OptionForm;

constexpr int64_t kMillisecond = 1'000'000;
constexpr DWORD kFastPath = _WSAIOW(IOC_VENDOR, 16);  // SIO_LOOPBACK_FAST_PATH
constexpr DWORD kNobodys = _WSAIO(IOC_WS2, 0x7ffe);   // a request that nobody has
constexpr DWORD kUnknownFlag = 0x40000000;

// False for a flag that there is none of.
bool FlagsOf(uint32_t flags, DWORD* native) {
  const struct {
    uint32_t neutral;
    DWORD native;
  } all[] = {{SP_MSG_PEEK, MSG_PEEK},
             {SP_MSG_OOB, MSG_OOB},
             {SP_MSG_WAITALL, MSG_WAITALL},
             {SP_MSG_DONTROUTE, MSG_DONTROUTE},
             {SP_MSG_UNKNOWN_BIT, kUnknownFlag}};
  *native = 0;
  flags &= ~static_cast<uint32_t>(SP_MSG_NOSIGNAL);  // no call here raises one
  for (const auto& flag : all) {
    if ((flags & flag.neutral) != 0) *native |= flag.native;
    flags &= ~flag.neutral;
  }
  return flags == 0;
}

bool Buffers(const sp_transfer_args& args, std::vector<WSABUF>* buffers) {
  if (args.form != SP_FORM_DEFAULT && args.form != SP_FORM_ADDRESS && args.form != SP_FORM_VECTOR) return false;
  if (args.handle_count != 0) return false;
  for (uint32_t i = 0; i < args.buffer_count; ++i) {
    const sp_buffer& buffer = args.buffers[i];
    if (buffer.length > UINT32_MAX) return false;
    buffers->push_back(
        {static_cast<ULONG>(buffer.length), static_cast<char*>(const_cast<void*>(PointerFor(buffer.kind, buffer.data)))});
  }
  return args.form == SP_FORM_VECTOR || buffers->size() == 1;
}

// The value of an option in the interface's own form.
struct Value {
  alignas(16) unsigned char bytes[256] = {};
  int length = 0;
  template <typename T>
  void Put(const T& value) {
    std::memcpy(bytes, &value, sizeof value);
    length = sizeof value;
  }
  template <typename T>
  T Take() const {
    T value{};
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
};

bool PutValue(const windows::OptionNumber& number, const sp_option_args& args, Value* value) {
  switch (number.form) {
    case OptionForm::kLinger:
      value->Put(LINGER{static_cast<u_short>(args.linger_on), static_cast<u_short>(args.linger_seconds)});
      return args.linger_seconds >= 0 && args.linger_seconds <= 0xffff;
    case OptionForm::kMilliseconds:
      // A DWORD of milliseconds: neither negative nor out of range.
      if (args.duration_ns < 0 || args.duration_ns == INT64_MAX) return false;
      value->Put(static_cast<DWORD>((args.duration_ns + kMillisecond - 1) / kMillisecond));
      return true;
    case OptionForm::kSocket:
      value->Put(static_cast<SOCKET>(args.integer));
      return true;
    case OptionForm::kNothing:
      return true;
    case OptionForm::kMembership: {
      ip_mreq request{};
      std::memcpy(&request.imr_multiaddr, args.address.bytes, 4);
      request.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
      value->Put(request);
      return true;
    }
    case OptionForm::kMembership6: {
      ipv6_mreq request{};
      std::memcpy(&request.ipv6mr_multiaddr, args.address.bytes, 16);
      request.ipv6mr_interface = args.address.scope;
      value->Put(request);
      return true;
    }
    default:
      value->Put(static_cast<DWORD>(args.integer));
      return true;
  }
}

void TakeValue(const windows::OptionNumber& number, const Value& value, sp_option_args* args, sp_result* result) {
  switch (number.form) {
    case OptionForm::kLinger: {
      const auto linger = value.Take<LINGER>();
      args->linger_on = linger.l_onoff;
      args->linger_seconds = linger.l_linger;
      return;
    }
    case OptionForm::kMilliseconds:
      args->duration_ns = static_cast<int64_t>(value.Take<DWORD>()) * kMillisecond;
      return;
    default:
      break;
  }
  const auto word = value.Take<DWORD>();
  args->integer = static_cast<int32_t>(word);
  if (number.option == SP_SO_CONNECT_TIME) args->integer = static_cast<int64_t>(word);
  if (number.option == SP_SO_MAX_MSG_SIZE) args->integer = static_cast<int64_t>(word);
  if (number.option == SP_SO_TYPE) args->integer = windows::TypeOf(static_cast<int>(word));
  if (number.option == SP_SO_ERROR) {
    result->native = word;
    args->integer = windows::ErrorOf(word);
  }
}

}  // namespace

void CallSend(Adapter* adapter, SOCKET socket, sp_transfer_args* args, sp_result* result) {
  std::vector<WSABUF> buffers;
  DWORD flags = 0, sent = 0;
  if (!Buffers(*args, &buffers) || !FlagsOf(args->flags, &flags)) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  const auto count = static_cast<DWORD>(buffers.size());
  int code = 0, failed = 0;
  if (args->form == SP_FORM_ADDRESS) {
    const NameIn to(args->to);
    const bool none = args->to.kind == SP_POINTER_NULL;
    failed = adapter->table.lpWSPSendTo(socket, buffers.data(), count, &sent, flags, none ? nullptr : to.name,
                                        none ? 0 : to.length, nullptr, nullptr, nullptr, &code);
  } else {
    failed = adapter->table.lpWSPSend(socket, buffers.data(), count, &sent, flags, nullptr, nullptr, nullptr, &code);
  }
  Report(result, failed != 0, sent, code);
}

void CallRecv(Adapter* adapter, SOCKET socket, sp_transfer_args* args, sp_result* result) {
  std::vector<WSABUF> buffers;
  DWORD flags = 0, received = 0;
  args->flags_out = 0;
  if (!Buffers(*args, &buffers) || !FlagsOf(args->flags, &flags)) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  const auto count = static_cast<DWORD>(buffers.size());
  int code = 0, failed = 0;
  if (args->form == SP_FORM_ADDRESS && args->from.kind != SP_POINTER_NULL) {
    NameOut from(&args->from);
    failed = adapter->table.lpWSPRecvFrom(socket, buffers.data(), count, &received, &flags, from.name(), from.length(), nullptr,
                                          nullptr, nullptr, &code);
    from.Finish();
  } else {
    args->from.reported = -1;
    failed = adapter->table.lpWSPRecv(socket, buffers.data(), count, &received, &flags, nullptr, nullptr, nullptr, &code);
  }
  Report(result, failed != 0, received, code);
}

void CallGetOption(Adapter* adapter, SOCKET socket, sp_option_args* args, sp_result* result) {
  args->reported = -1;
  const windows::OptionNumber* number = windows::FindOption(args->option);
  if (number == nullptr) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  Value value;
  int length = args->length != SP_NATURAL_LENGTH     ? args->length
               : number->form == OptionForm::kSocket ? static_cast<int>(sizeof(SOCKET))
                                                     : static_cast<int>(sizeof(DWORD));
  int code = 0;
  const int failed = adapter->table.lpWSPGetSockOpt(
      socket, number->level, number->name, static_cast<char*>(const_cast<void*>(PointerFor(args->kind, value.bytes))),
      static_cast<LPINT>(const_cast<void*>(PointerFor(args->length_kind, &length))), &code);
  Report(result, failed != 0, 0, code);
  if (args->length_kind == SP_POINTER_VALID) args->reported = length;
  if (failed == 0) TakeValue(*number, value, args, result);
}

void CallSetOption(Adapter* adapter, SOCKET socket, const sp_option_args& args, sp_result* result) {
  const windows::OptionNumber* number = windows::FindOption(args.option);
  Value value;
  if (number == nullptr || !PutValue(*number, args, &value)) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  const int length = args.length != SP_NATURAL_LENGTH ? args.length : value.length;
  int code = 0;
  const auto* data = static_cast<const char*>(PointerFor(args.kind, value.length > 0 ? value.bytes : nullptr));
  const int failed = adapter->table.lpWSPSetSockOpt(socket, number->level, number->name, data, length, &code);
  Report(result, failed != 0, 0, code);
}

void CallIoctl(Adapter* adapter, SOCKET socket, const sp_ioctl_args& args, sp_result* result) {
  u_long value = static_cast<u_long>(args.argument);
  void* const data = const_cast<void*>(PointerFor(args.kind, &value));
  DWORD request = 0, returned = 0;
  bool in = true;
  switch (args.request) {
    case SP_IOCTL_READABLE:
    case SP_IOCTL_AT_MARK:
      request = static_cast<DWORD>(args.request == SP_IOCTL_READABLE ? FIONREAD : SIOCATMARK);
      in = false;
      break;
    case SP_IOCTL_NONBLOCKING:
      request = static_cast<DWORD>(FIONBIO);
      break;
    case SP_IOCTL_FAST_PATH:
      request = kFastPath;
      break;
    case SP_IOCTL_UNKNOWN:
      request = kNobodys;
      break;
    default:
      result->error = SP_NOT_SUPPORTED;
      return;
  }
  int code = 0;
  const int failed = adapter->table.lpWSPIoctl(socket, request, in ? data : nullptr, in ? sizeof value : 0, in ? nullptr : data,
                                               in ? 0 : sizeof value, &returned, nullptr, nullptr, nullptr, &code);
  Report(result, failed != 0, in ? 0 : static_cast<int64_t>(value), code);
}

}  // namespace sockproof::wsp
