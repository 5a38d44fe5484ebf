// Sockets from their making to their end, and their names.
#include "windows/errors.h"
#include "windows/memory.h"
#include "windows/options.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

// A call with the socket alone, or with what `fill` puts into it.
template <typename Fill>
int Simple(SOCKET s, uint32_t op, LPINT code, Fill fill) {
  const Entry entry;
  SocketContext* context = nullptr;
  int32_t error = Entry::Find(s, &context);
  if (error == SP_OK) {
    CallResult call;
    fill(&call.call);
    Host::Get().Call(op, context->handle, &call);
    error = call.error();
  }
  return Finish(error, code);
}

int Name(SOCKET s, uint32_t op, sockaddr* name, LPINT length, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  CallResult call;
  const AddressOut out(name, length, &call.call.u.local_name.name);
  Host::Get().Call(op, context->handle, &call);
  if (call.error() == SP_OK) out.Deliver();
  return Finish(call.error(), code);
}

// "FROM_PROTOCOL_INFO", or zero: what the protocol's entry says.
int Either(int given, int of_protocol) { return given == 0 || given == FROM_PROTOCOL_INFO ? of_protocol : given; }

SOCKET Refuse(int32_t error, LPINT code) {
  static_cast<void>(Finish(error, code));
  return INVALID_SOCKET;
}

}  // namespace

SOCKET WSPAPI Socket(int family, int type, int protocol, LPWSAPROTOCOL_INFOW info, GROUP, DWORD flags, LPINT code) {
  const Entry entry;
  Host& host = Host::Get();
  if (!host.started()) return Refuse(SP_NOTINITIALISED, code);
  if (info != nullptr && !windows::CanRead(info, sizeof *info)) return Refuse(SP_EFAULT, code);
  constexpr DWORD kMultipoint =
      WSA_FLAG_MULTIPOINT_C_ROOT | WSA_FLAG_MULTIPOINT_C_LEAF | WSA_FLAG_MULTIPOINT_D_ROOT | WSA_FLAG_MULTIPOINT_D_LEAF;
  if ((flags & kMultipoint) != 0) return Refuse(SP_EINVAL, code);
  WSAPROTOCOL_INFOW of = info != nullptr ? *info : host.info();
  CallResult call;
  if (info != nullptr && info->dwProviderReserved != 0) {
    // Made by WSPDuplicateSocket of this process.
    call.call.u.duplicate = {};
    host.Call(SP_OP_DUPLICATE, {SP_HANDLE_SOCKET, 0, static_cast<int64_t>(info->dwProviderReserved)}, &call);
  } else {
    of.iAddressFamily = Either(family, of.iAddressFamily);
    of.iSocketType = Either(type, of.iSocketType);
    // A protocol without a number of its own is the default one of its family and type.
    of.iProtocol = Either(protocol, of.iAddressFamily == windows::kConnDataFamily ? 0 : of.iProtocol);
    const bool default_protocol = of.iProtocol == FROM_PROTOCOL_INFO;
    call.call.u.socket = {windows::FamilyOf(of.iAddressFamily), windows::TypeOf(of.iSocketType),
                          default_protocol ? 0 : of.iProtocol, 0};
    host.Call(SP_OP_SOCKET, {}, &call);
    if (call.error() == SP_NOT_SUPPORTED) return Refuse(SP_EAFNOSUPPORT, code);
  }
  if (call.error() != SP_OK) return Refuse(call.error(), code);
  SocketContext* made = nullptr;
  if (const int32_t error = host.Install(call.result.handle, of, &made); error != SP_OK) return Refuse(error, code);
  return made->socket;
}

int WSPAPI Bind(SOCKET s, const sockaddr* name, int length, LPINT code) {
  return Simple(s, SP_OP_BIND, code, [&](sp_call* call) { call->u.bind.address = AddressIn(name, length); });
}

int WSPAPI Listen(SOCKET s, int backlog, LPINT code) {
  return Simple(s, SP_OP_LISTEN, code, [&](sp_call* call) { call->u.listen.backlog = backlog; });
}

int WSPAPI CloseSocket(SOCKET s, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  CallResult call;
  const sp_handle handle = context->handle;
  Host::Get().Call(SP_OP_CLOSE, handle, &call);
  // A close that lingers has let others run: it may have been taken away meanwhile.
  if (call.error() == SP_OK && Host::Get().FromHandle(handle) == context) Host::Get().Remove(context);
  return Finish(call.error(), code);
}

int WSPAPI Shutdown(SOCKET s, int how, LPINT code) {
  return Simple(s, SP_OP_SHUTDOWN, code, [&](sp_call* call) { call->u.shutdown.how = how; });
}

int WSPAPI GetSockName(SOCKET s, sockaddr* name, LPINT length, LPINT code) {
  return Name(s, SP_OP_LOCAL_NAME, name, length, code);
}

int WSPAPI GetPeerName(SOCKET s, sockaddr* name, LPINT length, LPINT code) {
  return Name(s, SP_OP_PEER_NAME, name, length, code);
}

// "the WSAPROTOCOL_INFO structure ... dwProviderReserved" (Shared Sockets in the SPI). These sockets live in one process.
int WSPAPI DuplicateSocketTo(SOCKET s, DWORD process, LPWSAPROTOCOL_INFOW info, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  if (!windows::CanWrite(info, sizeof *info)) return Finish(SP_EFAULT, code);
  if (process != GetCurrentProcessId()) return Finish(SP_EINVAL, code);
  *info = context->info;
  info->dwProviderReserved = static_cast<DWORD>(context->handle.value);
  return 0;
}

int WSPAPI SendDisconnect(SOCKET s, LPWSABUF data, LPINT code) {
  if (data != nullptr && (!windows::CanRead(data, sizeof *data) || data->len != 0)) {
    const Entry entry;
    SocketContext* context = nullptr;
    const int32_t error = Entry::Find(s, &context);
    return Finish(error != SP_OK ? error : static_cast<int32_t>(SP_ENOPROTOOPT), code);  // no data goes with the end
  }
  return Shutdown(s, SP_SHUT_WR, code);
}

int WSPAPI RecvDisconnect(SOCKET s, LPWSABUF data, LPINT code) {
  if (data != nullptr) {
    if (!windows::CanWrite(data, sizeof *data)) return Finish(SP_EFAULT, code);
    data->len = 0;
  }
  return Shutdown(s, SP_SHUT_RD, code);
}

}  // namespace sockproof::wsp_reference
