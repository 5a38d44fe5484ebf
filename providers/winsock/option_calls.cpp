#include <algorithm>

#include "adapter.h"
#include "option_values.h"
#include "perform.h"
#include "windows/options.h"

namespace sockproof::winsock {
namespace {

// SIO_TCP_INFO (mstcpip.h), TCPSTATE: the same states in the same order, from 0.
void GetTcpState(SOCKET socket, sp_option_args& args, sp_result* result) {
  if (args.kind != SP_POINTER_VALID || args.length_kind != SP_POINTER_VALID || args.length != SP_NATURAL_LENGTH) {
    return NotSupported(result);  // the value is made up from another call's
  }
  DWORD version = 0;
  DWORD written = 0;
  struct {
    DWORD state;  // TCP_INFO_v0.State
    unsigned char rest[252];
  } info{};
  const bool failed = Perform(result, [&] {
    return ::WSAIoctl(socket, SIO_TCP_INFO, &version, sizeof version, &info, sizeof info, &written, nullptr, nullptr);
  });
  if (failed) return;
  args.integer = static_cast<std::int64_t>(info.state) + SP_TCP_CLOSED;
  args.reported = static_cast<std::int32_t>(sizeof(std::int32_t));
}

}  // namespace

void CallGetOption(Adapter& adapter, SOCKET socket, sp_option_args& args, sp_result* result) {
  args.reported = -1;
  if (args.option == SP_TCP_STATE) return GetTcpState(socket, args, result);
  const windows::OptionNumber* const option = windows::FindOption(args.option);
  int length = NaturalLength(args);
  if (option == nullptr || length == 0) return NotSupported(result);
  OptionValue value;
  // Bytes go to the caller's own, so that it sees what was written and what was not.
  void* pointer = args.value_type == SP_VALUE_BYTES ? static_cast<void*>(args.bytes) : value.bytes;
  if (args.length != SP_NATURAL_LENGTH) {
    length = args.length;
    if (args.length > static_cast<std::int32_t>(sizeof args.bytes)) pointer = value.bytes;
  }
  const int passed = length;
  void* const place = Pointer(adapter, args.kind, pointer);
  auto* const length_place = static_cast<int*>(Pointer(adapter, args.length_kind, &length));
  const bool failed =
      Perform(result, [&] { return ::getsockopt(socket, option->level, option->name, static_cast<char*>(place), length_place); });
  if (failed || args.length_kind != SP_POINTER_VALID) return;
  args.reported = length;
  if (args.kind != SP_POINTER_VALID) return;
  const int whole = std::clamp(length, 0, std::max(passed, 0));
  if (args.value_type != SP_VALUE_BYTES) {
    DecodeOption(value, whole, args, &result->native);
    return;
  }
  args.byte_count = std::min<std::uint32_t>(static_cast<std::uint32_t>(whole), sizeof args.bytes);
  if (pointer != args.bytes) std::memcpy(args.bytes, value.bytes, args.byte_count);
}

void CallSetOption(Adapter& adapter, SOCKET socket, sp_option_args& args, sp_result* result) {
  const windows::OptionNumber* const option = windows::FindOption(args.option);
  OptionValue value;
  if (option == nullptr || !EncodeOption(args, &value)) return NotSupported(result);
  const int length = args.length == SP_NATURAL_LENGTH ? value.length : args.length;
  // "no value, length 0": a NULL pointer (SOL_SOCKET Socket Options, SO_UPDATE_CONNECT_CONTEXT)
  void* const own = option->form == windows::OptionForm::kNothing && length == 0 ? nullptr : value.bytes;
  const auto* const place = static_cast<const char*>(Pointer(adapter, args.kind, own));
  Perform(result, [&] { return ::setsockopt(socket, option->level, option->name, place, length); });
}

}  // namespace sockproof::winsock
