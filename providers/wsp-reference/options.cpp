// WSPGetSockOpt, WSPSetSockOpt and WSPIoctl.
#include "windows/options.h"

#include <algorithm>
#include <cstring>

#include "windows/controls.h"
#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

using windows::CanRead;
using windows::CanWrite;
using windows::OptionForm;
using windows::OptionNumber;

constexpr int64_t kMillisecond = 1'000'000;
constexpr int kDontLinger = ~0x0080;

// An option that this provider does not have either still has to be asked for, so that it says so in its own words.
OptionNumber NumberOf(int level, int name) {
  bool level_known = false;
  if (const OptionNumber* known = windows::FindOption(level, name, &level_known); known != nullptr) return *known;
  return {level_known ? SP_UNKNOWN_OPTION : SP_UNKNOWN_LEVEL, level, name, OptionForm::kNumber};
}

int SizeOf(OptionForm form) {
  switch (form) {
    case OptionForm::kLinger:
      return sizeof(LINGER);
    case OptionForm::kSocket:
      return sizeof(SOCKET);
    case OptionForm::kNothing:
      return 0;
    case OptionForm::kMembership:
      return sizeof(ip_mreq);
    case OptionForm::kMembership6:
      return sizeof(ipv6_mreq);
    default:
      return sizeof(DWORD);
  }
}

int32_t ValueTypeOf(OptionForm form) {
  switch (form) {
    case OptionForm::kLinger:
      return SP_VALUE_LINGER;
    case OptionForm::kMilliseconds:
      return SP_VALUE_DURATION;
    case OptionForm::kMembership:
    case OptionForm::kMembership6:
      return SP_VALUE_ADDRESS;
    default:
      return SP_VALUE_INTEGER;
  }
}

// The portable provider has lengths of its own: what is too short for Windows Sockets' form is too short for its form, too.
int LengthFor(OptionForm form, int given) {
  const int whole = SizeOf(form);
  if (given >= whole) return SP_NATURAL_LENGTH;
  return form == OptionForm::kSocket || form == OptionForm::kLinger ? std::min(given, 3) : given;
}

int32_t ReadValue(const OptionNumber& number, const char* value, sp_option_args* args) {
  DWORD word = 0;
  switch (number.form) {
    case OptionForm::kLinger: {
      LINGER linger{};
      std::memcpy(&linger, value, sizeof linger);
      args->linger_on = linger.l_onoff;
      args->linger_seconds = linger.l_linger;
      return SP_OK;
    }
    case OptionForm::kSocket: {
      SOCKET socket = INVALID_SOCKET;
      std::memcpy(&socket, value, sizeof socket);
      SocketContext* context = nullptr;
      if (const int32_t error = Host::Get().Find(socket, &context); error != SP_OK) return error;
      args->integer = context->handle.value;
      return SP_OK;
    }
    case OptionForm::kNothing:
      return SP_OK;
    case OptionForm::kMembership:
      args->address.family = SP_INET;
      std::memcpy(args->address.bytes, value, 4);
      return SP_OK;
    case OptionForm::kMembership6:
      args->address.family = SP_INET6;
      std::memcpy(args->address.bytes, value, 16);
      return SP_OK;
    case OptionForm::kMilliseconds:
      std::memcpy(&word, value, sizeof word);
      args->duration_ns = static_cast<int64_t>(word) * kMillisecond;
      return SP_OK;
    default:
      std::memcpy(&word, value, sizeof word);
      args->integer = static_cast<int32_t>(word);
      return SP_OK;
  }
}

void WriteValue(const OptionNumber& number, const sp_option_args& args, char* value) {
  DWORD word = static_cast<DWORD>(args.integer);
  switch (number.form) {
    case OptionForm::kLinger: {
      const LINGER linger{static_cast<u_short>(args.linger_on), static_cast<u_short>(args.linger_seconds)};
      std::memcpy(value, &linger, sizeof linger);
      return;
    }
    case OptionForm::kMilliseconds:
      word = static_cast<DWORD>((args.duration_ns + kMillisecond - 1) / kMillisecond);
      break;
    default:
      break;
  }
  if (number.option == SP_SO_ERROR) word = static_cast<DWORD>(windows::CodeOf(static_cast<int32_t>(args.integer)));
  if (number.option == SP_SO_TYPE) word = static_cast<DWORD>(windows::TypeNumber(static_cast<int32_t>(args.integer)));
  std::memcpy(value, &word, sizeof word);
}

int32_t ProtocolInfo(const SocketContext& context, int name, char* value, LPINT length) {
  if (name == SO_PROTOCOL_INFOA) return SP_ENOPROTOOPT;
  if (!CanWrite(length, sizeof *length)) return SP_EFAULT;
  if (*length < static_cast<int>(sizeof context.info) || !CanWrite(value, sizeof context.info)) return SP_EFAULT;
  std::memcpy(value, &context.info, sizeof context.info);
  *length = sizeof context.info;
  return SP_OK;
}

struct IoctlArguments {
  DWORD request;
  void* in;
  DWORD in_size;
  void* out;
  DWORD out_size;
  DWORD* returned;
};

int32_t Extension(const IoctlArguments& args) {
  void* function = nullptr;
  if (args.in_size < sizeof(GUID) || args.out_size < sizeof function) return SP_EFAULT;
  if (!CanRead(args.in, sizeof(GUID)) || !CanWrite(args.out, sizeof function)) return SP_EFAULT;
  GUID id;
  std::memcpy(&id, args.in, sizeof id);
  function = FindExtension(id);
  if (function == nullptr) return SP_EINVAL;
  std::memcpy(args.out, &function, sizeof function);
  if (args.returned != nullptr) *args.returned = sizeof function;
  return SP_OK;
}

int32_t Control(const SocketContext& context, const IoctlArguments& args) {
  CallResult call;
  sp_ioctl_args& asked = call.call.u.ioctl;
  bool answers = false;
  switch (args.request) {
    case SIO_GET_EXTENSION_FUNCTION_POINTER:
      return Extension(args);
    case static_cast<DWORD>(FIONBIO): {
      asked.request = SP_IOCTL_NONBLOCKING;
      u_long on = 0;
      if (args.in_size < sizeof on || !CanRead(args.in, sizeof on)) {
        asked.kind = SP_POINTER_INVALID;
      } else {
        std::memcpy(&on, args.in, sizeof on);
      }
      asked.argument = on != 0 ? 1 : 0;
      break;
    }
    case static_cast<DWORD>(FIONREAD):
    case static_cast<DWORD>(SIOCATMARK):
      asked.request = args.request == static_cast<DWORD>(FIONREAD) ? SP_IOCTL_READABLE : SP_IOCTL_AT_MARK;
      if (args.out_size < sizeof(u_long) || !CanWrite(args.out, sizeof(u_long))) return SP_EFAULT;
      answers = true;
      break;
    case _WSAIOW(IOC_VENDOR, 16):  // SIO_LOOPBACK_FAST_PATH
      asked.request = SP_IOCTL_FAST_PATH;
      break;
    default:
      return SP_EOPNOTSUPP;
  }
  Host::Get().Call(SP_OP_IOCTL, context.handle, &call);
  if (call.error() != SP_OK) return call.error();
  if (answers) {
    // At the mark: whether all urgent data has been read, which is the other way round.
    u_long value = static_cast<u_long>(call.result.value);
    std::memcpy(args.out, &value, sizeof value);
    if (args.returned != nullptr) *args.returned = sizeof value;
  }
  return SP_OK;
}

}  // namespace

int WSPAPI GetSockOpt(SOCKET s, int level, int name, char* value, LPINT length, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  if (level == SOL_SOCKET && (name == SO_PROTOCOL_INFOW || name == SO_PROTOCOL_INFOA)) {
    return Finish(ProtocolInfo(*context, name, value, length), code);
  }
  const bool dont_linger = level == SOL_SOCKET && name == kDontLinger;
  const OptionNumber number = dont_linger ? *windows::FindOption(SP_SO_LINGER) : NumberOf(level, name);
  const int size = dont_linger ? static_cast<int>(sizeof(DWORD)) : SizeOf(number.form);
  CallResult call;
  sp_option_args& args = call.call.u.get_option;
  args.option = number.option;
  args.value_type = ValueTypeOf(number.form);
  args.length_kind = CanWrite(length, sizeof *length) ? SP_POINTER_VALID : SP_POINTER_INVALID;
  const int room = args.length_kind == SP_POINTER_VALID ? *length : 0;
  args.length = LengthFor(number.form, room);
  if (value == nullptr) {
    args.kind = SP_POINTER_NULL;
  } else if (!CanWrite(value, static_cast<std::size_t>(std::clamp(room, 0, size)))) {
    args.kind = SP_POINTER_INVALID;
  }
  Host::Get().Call(SP_OP_GET_OPTION, context->handle, &call);
  if (call.error() == SP_OK) {
    if (dont_linger) {
      const DWORD off = args.linger_on == 0 ? 1 : 0;
      std::memcpy(value, &off, sizeof off);
    } else {
      WriteValue(number, args, value);
    }
    *length = size;
  }
  return Finish(call.error(), code);
}

int WSPAPI SetSockOpt(SOCKET s, int level, int name, const char* value, int length, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  const bool dont_linger = level == SOL_SOCKET && name == kDontLinger;
  const OptionNumber number = dont_linger ? OptionNumber{SP_SO_LINGER, level, name, OptionForm::kNumber} : NumberOf(level, name);
  CallResult call;
  sp_option_args& args = call.call.u.set_option;
  args.option = number.option;
  args.value_type = dont_linger ? static_cast<int32_t>(SP_VALUE_LINGER) : ValueTypeOf(number.form);
  args.length = LengthFor(number.form, length);
  const int needed = SizeOf(number.form);
  const int looked_at = std::clamp(length, 0, needed);
  if (needed > 0 && value == nullptr) {
    args.kind = SP_POINTER_NULL;
  } else if (!CanRead(value, static_cast<std::size_t>(looked_at))) {
    args.kind = SP_POINTER_INVALID;
  } else if (looked_at == needed) {
    if (const int32_t error = ReadValue(number, value, &args); error != SP_OK) return Finish(error, code);
    if (dont_linger) args.linger_on = args.integer == 0 ? 1 : 0;
  }
  Host::Get().Call(SP_OP_SET_OPTION, context->handle, &call);
  return Finish(call.error(), code);
}

int WSPAPI Ioctl(SOCKET s, DWORD request, LPVOID in, DWORD in_size, LPVOID out, DWORD out_size, LPDWORD returned,
                 LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  DWORD count = 0;
  if (returned != nullptr && !CanWrite(returned, sizeof *returned)) return Finish(SP_EFAULT, code);
  const int32_t error = Control(*context, {request, in, in_size, out, out_size, &count});
  if (returned != nullptr) *returned = count;
  if (error == SP_OK && overlapped != nullptr) {
    Complete({overlapped, routine, thread != nullptr ? *thread : WSATHREADID{}}, SP_OK, count, 0);
  }
  return Finish(error, code);
}

}  // namespace sockproof::wsp_reference
