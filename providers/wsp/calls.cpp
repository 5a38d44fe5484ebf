// The data path: one call of the C interface is one call of the provider's table.
#include <algorithm>
#include <cstring>

#include "windows/errors.h"
#include "windows/memory.h"
#include "windows/options.h"
#include "wsp/adapter.h"
#include "wsp/upcalls.h"

namespace sockproof::wsp {
namespace {

void NotSupported(sp_result* result) { result->error = SP_NOT_SUPPORTED; }

// A new socket is the result.
void ReportSocket(sp_result* result, SOCKET socket, int code) {
  Report(result, socket == INVALID_SOCKET, static_cast<int64_t>(socket), code);
  if (socket != INVALID_SOCKET) result->handle = {SP_HANDLE_SOCKET, 0, static_cast<int64_t>(socket)};
}

int SetBlocking(const Adapter& adapter, SOCKET socket, bool blocking, int* code) {
  u_long on = blocking ? 0 : 1;
  DWORD returned = 0;
  return adapter.table.lpWSPIoctl(socket, static_cast<DWORD>(FIONBIO), &on, sizeof on, nullptr, 0, &returned, nullptr, nullptr,
                                  nullptr, code);
}

void CallSocket(Adapter* adapter, const sp_socket_args& args, sp_result* result) {
  if ((args.modes & ~static_cast<uint32_t>(SP_NONBLOCKING)) != 0) return NotSupported(result);
  int code = 0;
  const SOCKET socket = MakeSocket(adapter, args, SP_SPI_GIVEN, SP_SPI_GIVEN, true, &code);
  ReportSocket(result, socket, code);
  if (socket == INVALID_SOCKET || (args.modes & SP_NONBLOCKING) == 0) return;
  if (SetBlocking(*adapter, socket, false, &code) != 0) Report(result, true, -1, code);
}

void CallClose(Adapter* adapter, SOCKET socket, sp_result* result) {
  int code = 0;
  const int failed = adapter->table.lpWSPCloseSocket(socket, &code);
  Report(result, failed != 0, 0, code);
  if (failed != 0) return;
  Ledger::Get().Closed(socket);
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  adapter->selections.erase(socket);
  adapter->replies.erase(socket);
}

void CallName(const Adapter& adapter, SOCKET socket, uint32_t op, sp_name_args* args, sp_result* result) {
  NameOut out(&args->name);
  int code = 0;
  const auto call = op == SP_OP_LOCAL_NAME ? adapter.table.lpWSPGetSockName : adapter.table.lpWSPGetPeerName;
  const int failed = call(socket, out.name(), out.length(), &code);
  out.Finish();
  Report(result, failed != 0, 0, code);
}

void CallSetMode(const Adapter& adapter, SOCKET socket, const sp_mode_args& args, sp_result* result) {
  if (((args.set | args.clear) & ~static_cast<uint32_t>(SP_NONBLOCKING)) != 0) return NotSupported(result);
  int code = 0;
  const int failed = SetBlocking(adapter, socket, (args.set & SP_NONBLOCKING) == 0, &code);
  Report(result, failed != 0, 0, code);
}

// To the process itself: another handle of the same socket.
void CallDuplicate(const Adapter& adapter, SOCKET socket, const sp_duplicate_args& args, sp_result* result) {
  if (args.onto != 0 || args.modes != 0) return NotSupported(result);
  WSAPROTOCOL_INFOW info{};
  int code = 0;
  if (adapter.table.lpWSPDuplicateSocket(socket, GetCurrentProcessId(), &info, &code) != 0) return Report(result, true, -1, code);
  const SOCKET second =
      adapter.table.lpWSPSocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED, &code);
  ReportSocket(result, second, code);
}

void OnSocket(Adapter* adapter, SOCKET socket, sp_call* call, sp_result* result) {
  const WSPPROC_TABLE& table = adapter->table;
  int code = 0;
  switch (call->op) {
    case SP_OP_BIND: {
      const NameIn name(call->u.bind.address);
      const int failed = table.lpWSPBind(socket, name.name, name.length, &code);
      return Report(result, failed != 0, 0, code);
    }
    case SP_OP_LISTEN: {
      const int failed = table.lpWSPListen(socket, call->u.listen.backlog, &code);
      return Report(result, failed != 0, 0, code);
    }
    case SP_OP_CONNECT:
      if (call->u.connect.extended != SP_PLAIN) return WithoutOverlapped(adapter, socket, call, result);
      return CallConnect(adapter, socket, &call->u.connect, result);
    case SP_OP_ACCEPT:
      if (call->u.accept.extended != SP_PLAIN) return WithoutOverlapped(adapter, socket, call, result);
      return CallAccept(adapter, socket, &call->u.accept, result);
    case SP_OP_DISCONNECT:
      return WithoutOverlapped(adapter, socket, call, result);
    case SP_OP_SEND:
      return CallSend(adapter, socket, &call->u.send, result);
    case SP_OP_RECV:
      return CallRecv(adapter, socket, &call->u.recv, result);
    case SP_OP_SHUTDOWN: {
      const int failed = table.lpWSPShutdown(socket, call->u.shutdown.how, &code);
      return Report(result, failed != 0, 0, code);
    }
    case SP_OP_CLOSE:
      return CallClose(adapter, socket, result);
    case SP_OP_GET_OPTION:
      return CallGetOption(adapter, socket, &call->u.get_option, result);
    case SP_OP_SET_OPTION:
      return CallSetOption(adapter, socket, call->u.set_option, result);
    case SP_OP_IOCTL:
      return CallIoctl(adapter, socket, call->u.ioctl, result);
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      return CallName(*adapter, socket, call->op, &call->u.local_name, result);
    case SP_OP_SET_MODE:
      return CallSetMode(*adapter, socket, call->u.set_mode, result);
    case SP_OP_DUPLICATE:
      return CallDuplicate(*adapter, socket, call->u.duplicate, result);
    default:
      return NotSupported(result);  // there is no way to ask for a socket's mode, and no pair of sockets
  }
}

}  // namespace

SOCKET MakeSocket(Adapter* adapter, const sp_socket_args& args, int32_t family, int32_t type, bool overlapped, int* code) {
  WSAPROTOCOL_INFOW info = ProtocolOf(args.family, args.type, args.protocol);
  const auto number = [](int32_t how, int given) {
    return how == SP_SPI_ZERO ? 0 : how == SP_SPI_FROM_INFO ? static_cast<int>(FROM_PROTOCOL_INFO) : given;
  };
  return adapter->table.lpWSPSocket(number(family, windows::FamilyNumber(args.family)),
                                    number(type, windows::TypeNumber(args.type)), args.protocol, &info, 0,
                                    overlapped ? WSA_FLAG_OVERLAPPED : 0, code);
}

void Call(void* self, sp_call* call, sp_result* result) {
  Adapter* adapter = Self(self);
  result->error = SP_OK;
  result->native = 0;
  result->value = -1;
  result->handle = {SP_HANDLE_INVALID, 0, -1};
  switch (call->op) {
    case SP_OP_SOCKET:
      return CallSocket(adapter, call->u.socket, result);
    case SP_OP_SOCKETPAIR:
      return NotSupported(result);
    case SP_OP_WATCH_CREATE:
    case SP_OP_WATCH_ADD:
    case SP_OP_WATCH_MODIFY:
    case SP_OP_WATCH_REMOVE:
    case SP_OP_WATCH_WAIT:
    case SP_OP_WATCH_CLOSE:
      return CallWatcher(adapter, call, result);
    default:
      break;
  }
  SOCKET socket = INVALID_SOCKET;
  if (!SocketOf(*adapter, call->handle, &socket)) return NotSupported(result);
  OnSocket(adapter, socket, call, result);
}

}  // namespace sockproof::wsp
