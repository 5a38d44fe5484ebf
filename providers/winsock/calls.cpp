#include <cstring>

#include "adapter.h"
#include "addresses.h"
#include "perform.h"
#include "windows/errors.h"
#include "windows/options.h"

namespace sockproof::winsock {

std::int32_t ToSocket(const Adapter& adapter, const sp_handle& handle, SOCKET* socket) {
  switch (handle.kind) {
    case SP_HANDLE_SOCKET:
      *socket = static_cast<SOCKET>(handle.value);
      return SP_OK;
    case SP_HANDLE_INVALID:
      *socket = INVALID_SOCKET;
      return SP_OK;
    case SP_HANDLE_NOT_SOCKET:
      *socket = reinterpret_cast<SOCKET>(adapter.not_socket);
      return adapter.not_socket == INVALID_HANDLE_VALUE ? SP_NOT_SUPPORTED : SP_OK;
    default:
      return SP_NOT_SUPPORTED;
  }
}

sp_handle HandleOf(SOCKET socket) { return {SP_HANDLE_SOCKET, 0, static_cast<std::int64_t>(socket)}; }

bool Report(sp_result* result, std::int64_t returned, int error) {
  result->value = returned;
  if (returned >= 0) {
    result->error = SP_OK;
    return false;
  }
  result->native = error;
  result->error = error == 0 ? static_cast<std::int32_t>(SP_UNKNOWN_ERROR) : windows::ErrorOf(error);
  return true;
}

void NotSupported(sp_result* result) {
  result->error = SP_NOT_SUPPORTED;
  result->value = -1;
}

namespace {

void CallSocket(const Adapter& adapter, const sp_socket_args& args, sp_result* result) {
  constexpr std::uint32_t kKnown = SP_NONBLOCKING | SP_CLOSE_ON_EXEC | SP_MODE_UNKNOWN_BIT;
  if ((args.modes & ~kKnown) != 0 || args.family == SP_CONNDATA) return NotSupported(result);
  const int family = windows::FamilyNumber(args.family);
  const int type = windows::TypeNumber(args.type);
  DWORD flags = 0;
  if ((args.modes & SP_CLOSE_ON_EXEC) != 0) flags |= WSA_FLAG_NO_HANDLE_INHERIT;
  if ((args.modes & SP_MODE_UNKNOWN_BIT) != 0) flags |= 0x40000000;
  SOCKET made = INVALID_SOCKET;
  if (Perform(result, [&] { return made = MakeSocket(adapter, family, type, args.protocol, flags); })) return;
  // There is no such attribute at creation; in one call or in two, it is the same socket.
  u_long on = 1;
  if ((args.modes & SP_NONBLOCKING) != 0 && Perform(result, [&] { return ::ioctlsocket(made, FIONBIO, &on); })) {
    ::closesocket(made);
    return;
  }
  result->handle = HandleOf(made);
  result->value = result->handle.value;
}

void CallBind(const Adapter& adapter, SOCKET socket, const sp_bind_args& args, sp_result* result) {
  NativeAddress address;
  if (Encode(args.address, adapter.bad_page, &address) != SP_OK) return NotSupported(result);
  Perform(result, [&] { return ::bind(socket, address.pointer, address.length); });
}

void CallName(const Adapter& adapter, std::uint32_t op, SOCKET socket, sp_name_args& args, sp_result* result) {
  NativeAddressOut name(&args.name, adapter.bad_page);
  const bool failed = op == SP_OP_LOCAL_NAME
                          ? Perform(result, [&] { return ::getsockname(socket, name.address(), name.length()); })
                          : Perform(result, [&] { return ::getpeername(socket, name.address(), name.length()); });
  name.Finish(failed);
}

void CallShutdown(SOCKET socket, const sp_shutdown_args& args, sp_result* result) {
  int how = args.how;
  if (args.how == SP_SHUT_RD) how = SD_RECEIVE;
  if (args.how == SP_SHUT_WR) how = SD_SEND;
  if (args.how == SP_SHUT_RDWR) how = SD_BOTH;
  Perform(result, [&] { return ::shutdown(socket, how); });
}

void CallIoctl(const Adapter& adapter, SOCKET socket, const sp_ioctl_args& args, sp_result* result) {
  auto value = static_cast<u_long>(args.argument);
  void* const pointer = Pointer(adapter, args.kind, &value);
  long request = 0;
  switch (args.request) {
    case SP_IOCTL_READABLE:
      request = FIONREAD;
      break;
    case SP_IOCTL_NONBLOCKING:
      request = FIONBIO;
      break;
    case SP_IOCTL_AT_MARK:
      request = SIOCATMARK;
      break;
    case SP_IOCTL_UNKNOWN:
      request = 0x7ef1;
      break;
    case SP_IOCTL_FAST_PATH: {
      DWORD written = 0;
      Perform(result, [&] {
        return ::WSAIoctl(socket, SIO_LOOPBACK_FAST_PATH, pointer, sizeof(int), nullptr, 0, &written, nullptr, nullptr);
      });
      return;
    }
    default:
      return NotSupported(result);  // how much was sent and not acknowledged yet: nothing tells
  }
  const bool failed = Perform(result, [&] { return ::ioctlsocket(socket, request, static_cast<u_long*>(pointer)); });
  const bool asks = args.request == SP_IOCTL_READABLE || args.request == SP_IOCTL_AT_MARK;
  if (!failed && asks && args.kind == SP_POINTER_VALID) result->value = static_cast<std::int64_t>(value);
}

void CallSetMode(SOCKET socket, const sp_mode_args& args, sp_result* result) {
  constexpr std::uint32_t kKnown = SP_NONBLOCKING | SP_CLOSE_ON_EXEC;
  const std::uint32_t touched = args.set | args.clear;
  if ((touched & ~kKnown) != 0) return NotSupported(result);
  result->value = 0;
  if ((touched & SP_CLOSE_ON_EXEC) != 0) {
    const DWORD inherit = (args.set & SP_CLOSE_ON_EXEC) != 0 ? 0 : HANDLE_FLAG_INHERIT;
    const auto handle = reinterpret_cast<HANDLE>(socket);
    if (Perform(result, [&] { return ::SetHandleInformation(handle, HANDLE_FLAG_INHERIT, inherit) != FALSE; })) return;
  }
  if ((touched & SP_NONBLOCKING) == 0) return;
  u_long on = (args.set & SP_NONBLOCKING) != 0 ? 1 : 0;
  Perform(result, [&] { return ::ioctlsocket(socket, FIONBIO, &on); });
}

// A second descriptor of the same socket: "shared sockets" of WSADuplicateSocket, within one process.
void CallDuplicate(SOCKET socket, const sp_duplicate_args& args, sp_result* result) {
  if (args.onto != 0 || (args.modes & ~static_cast<std::uint32_t>(SP_CLOSE_ON_EXEC)) != 0) return NotSupported(result);
  WSAPROTOCOL_INFOW info{};
  if (Perform(result, [&] { return ::WSADuplicateSocketW(socket, ::GetCurrentProcessId(), &info); })) return;
  const DWORD flags = WSA_FLAG_OVERLAPPED | ((args.modes & SP_CLOSE_ON_EXEC) != 0 ? WSA_FLAG_NO_HANDLE_INHERIT : 0);
  SOCKET made = INVALID_SOCKET;
  const bool failed = Perform(
      result, [&] { return made = ::WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, flags); });
  if (!failed) result->handle = HandleOf(made);
}

void CallClose(Adapter& adapter, SOCKET socket, sp_result* result) {
  if (Perform(result, [&] { return ::closesocket(socket); })) return;
  const auto number = static_cast<std::uint64_t>(socket);
  adapter.selections.Remove(number);
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  adapter.late.erase(number);
}

}  // namespace

SOCKET MakeSocket(const Adapter& adapter, int family, int type, int protocol, DWORD flags) {
  if (!Chosen(adapter.choice)) {
    if (flags == 0) return ::socket(family, type, protocol);
    return ::WSASocketW(family, type, protocol, nullptr, 0, WSA_FLAG_OVERLAPPED | flags);
  }
  WSAPROTOCOL_INFOW info{};
  if (!FindEntry(adapter.choice, family, type, &info)) {
    ::WSASetLastError(WSAEAFNOSUPPORT);
    return INVALID_SOCKET;
  }
  return ::WSASocketW(family, type, protocol, &info, 0, WSA_FLAG_OVERLAPPED | flags);
}

void Call(void* self, sp_call* call, sp_result* result) {
  Adapter& adapter = *Self(self);
  result->error = SP_OK;
  result->native = 0;
  result->value = -1;
  result->handle = {SP_HANDLE_INVALID, 0, -1};

  // Those that have no socket, or a watcher in its place.
  switch (call->op) {
    case SP_OP_SOCKET:
      return CallSocket(adapter, call->u.socket, result);
    case SP_OP_WATCH_CREATE:
      return CallWatchCreate(adapter, call->u.watch_create, result);
    case SP_OP_WATCH_ADD:
    case SP_OP_WATCH_MODIFY:
    case SP_OP_WATCH_REMOVE:
      return CallWatchSet(adapter, call->op, call->handle, call->u.watch_set, result);
    case SP_OP_WATCH_WAIT:
      return CallWatchWait(adapter, call->handle, call->u.watch_wait, result);
    case SP_OP_WATCH_CLOSE:
      return CallWatchClose(adapter, call->handle, result);
    default:
      break;
  }

  SOCKET socket = INVALID_SOCKET;
  if (ToSocket(adapter, call->handle, &socket) != SP_OK) return NotSupported(result);
  switch (call->op) {
    case SP_OP_BIND:
      return CallBind(adapter, socket, call->u.bind, result);
    case SP_OP_LISTEN:
      Perform(result, [&] { return ::listen(socket, call->u.listen.backlog); });
      return;
    case SP_OP_CONNECT:
      if (call->u.connect.extended != SP_PLAIN) return CallWithoutOverlapped(adapter, call, result);
      return CallConnect(adapter, socket, call->u.connect, result);
    case SP_OP_ACCEPT:
      if (call->u.accept.extended != SP_PLAIN) return CallWithoutOverlapped(adapter, call, result);
      return CallAccept(adapter, socket, call->u.accept, result);
    case SP_OP_DISCONNECT:
      return CallWithoutOverlapped(adapter, call, result);
    case SP_OP_SEND:
      return CallSend(adapter, socket, call->u.send, result);
    case SP_OP_RECV:
      return CallRecv(adapter, socket, call->u.recv, result);
    case SP_OP_SHUTDOWN:
      return CallShutdown(socket, call->u.shutdown, result);
    case SP_OP_CLOSE:
      return CallClose(adapter, socket, result);
    case SP_OP_GET_OPTION:
      return CallGetOption(adapter, socket, call->u.get_option, result);
    case SP_OP_SET_OPTION:
      return CallSetOption(adapter, socket, call->u.set_option, result);
    case SP_OP_IOCTL:
      return CallIoctl(adapter, socket, call->u.ioctl, result);
    case SP_OP_LOCAL_NAME:
      return CallName(adapter, call->op, socket, call->u.local_name, result);
    case SP_OP_PEER_NAME:
      return CallName(adapter, call->op, socket, call->u.peer_name, result);
    case SP_OP_SET_MODE:
      return CallSetMode(socket, call->u.set_mode, result);
    case SP_OP_DUPLICATE:
      return CallDuplicate(socket, call->u.duplicate, result);
    default:
      return NotSupported(result);  // SP_OP_SOCKETPAIR; SP_OP_GET_MODE: the mode cannot be read; what a newer interface may have
  }
}

}  // namespace sockproof::winsock
