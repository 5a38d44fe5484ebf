#include "overlapped.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "addresses.h"
#include "perform.h"
#include "windows/errors.h"

namespace sockproof::winsock {
namespace {

// Functions that only the provider of a socket knows (SIO_GET_EXTENSION_FUNCTION_POINTER). Without one the call cannot be made.
template <class Function>
bool FindExtension(SOCKET socket, GUID id, Function* out) {
  DWORD written = 0;
  return ::WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, out, sizeof *out, &written, nullptr, nullptr) ==
         0;
}

// Asked of the socket itself, or, if that is none that could tell, of a new one: what the function makes of it is to be seen.
template <class Function>
bool Extension(const Adapter& adapter, SOCKET socket, GUID id, Function* out) {
  if (FindExtension(socket, id, out)) return true;
  const SOCKET other = MakeSocket(adapter, AF_INET, SOCK_STREAM, 0, 0);
  if (other == INVALID_SOCKET) return false;
  const bool found = FindExtension(other, id, out);
  ::closesocket(other);
  return found;
}

// "at least 16 bytes more than the maximum address length for the transport protocol in use" (AcceptEx, Parameters)
DWORD NaturalAddressLength(SOCKET socket) {
  WSAPROTOCOL_INFOW info{};
  int length = sizeof info;
  const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, reinterpret_cast<char*>(&info), &length) == 0;
  const int most = known && info.iMaxSockAddr > 0 ? info.iMaxSockAddr : static_cast<int>(sizeof(sockaddr_in6));
  return static_cast<DWORD>(most) + 16;
}

DWORD AddressLength(const sp_address_out& out, DWORD natural) {
  return out.length == SP_NATURAL_LENGTH ? natural : static_cast<DWORD>(out.length);
}

// What a call came to: 0, or its error.
int Accept(OverlappedOperation& operation, OVERLAPPED* overlapped) {
  Adapter& adapter = *operation.adapter;
  sp_accept_args& args = operation.call->u.accept;
  SOCKET on = INVALID_SOCKET;
  LPFN_ACCEPTEX accept_ex = nullptr;
  if (ToSocket(adapter, args.accept_on, &on) != SP_OK) return -1;
  if (!Extension(adapter, operation.socket, WSAID_ACCEPTEX, &accept_ex)) return ::WSAGetLastError();
  args.local.reported = args.peer.reported = -1;
  args.local.decoded = args.peer.decoded = 0;
  const DWORD natural = NaturalAddressLength(operation.socket);
  operation.local_length = AddressLength(args.local, natural);
  operation.remote_length = AddressLength(args.peer, natural);
  // Room for what a call that takes lengths that are too small may write all the same.
  constexpr DWORD kSpare = 512;
  const auto room = [](DWORD length) { return std::min<DWORD>(length, 1u << 20); };
  const auto data = static_cast<DWORD>(std::max(args.first_data_length, 0));
  operation.buffer.assign(room(data) + room(operation.local_length) + room(operation.remote_length) + kSpare, 0);
  void* const buffer = Pointer(adapter, args.output.kind, operation.buffer.data());
  const auto wanted = static_cast<DWORD>(args.first_data_length);
  const InCall in_call;
  ::WSASetLastError(0);
  const BOOL done = accept_ex(operation.socket, on, buffer, wanted, operation.local_length, operation.remote_length,
                              &operation.transferred, overlapped);
  return done != FALSE ? 0 : ::WSAGetLastError();
}

int Connect(OverlappedOperation& operation, OVERLAPPED* overlapped) {
  Adapter& adapter = *operation.adapter;
  const sp_connect_args& args = operation.call->u.connect;
  NativeAddress address;
  LPFN_CONNECTEX connect_ex = nullptr;
  if (Encode(args.address, adapter.bad_page, &address) != SP_OK) return -1;
  if (!Extension(adapter, operation.socket, WSAID_CONNECTEX, &connect_ex)) return ::WSAGetLastError();
  void* const data = args.first_data.length == 0 && args.first_data.kind == SP_POINTER_VALID
                         ? nullptr
                         : Pointer(adapter, args.first_data.kind, args.first_data.data);
  const InCall in_call;
  ::WSASetLastError(0);
  const BOOL done = connect_ex(operation.socket, address.pointer, address.length, data,
                               static_cast<DWORD>(args.first_data.length), &operation.transferred, overlapped);
  return done != FALSE ? 0 : ::WSAGetLastError();
}

int Disconnect(OverlappedOperation& operation, OVERLAPPED* overlapped) {
  const sp_disconnect_args& args = operation.call->u.disconnect;
  LPFN_DISCONNECTEX disconnect_ex = nullptr;
  if (!Extension(*operation.adapter, operation.socket, WSAID_DISCONNECTEX, &disconnect_ex)) return ::WSAGetLastError();
  const DWORD flags = (args.reuse != 0 ? TF_REUSE_SOCKET : 0u) | args.extra_flags;
  const InCall in_call;
  ::WSASetLastError(0);
  return disconnect_ex(operation.socket, overlapped, flags, args.reserved) != FALSE ? 0 : ::WSAGetLastError();
}

// -1: the interface of Windows cannot express it.
int Start(OverlappedOperation& operation, OVERLAPPED* overlapped) {
  switch (operation.call->op) {
    case SP_OP_ACCEPT:
      return Accept(operation, overlapped);
    case SP_OP_CONNECT:
      return Connect(operation, overlapped);
    case SP_OP_DISCONNECT:
      return Disconnect(operation, overlapped);
    default:
      return -1;
  }
}

void StoreAddress(const sockaddr* address, int length, sp_address_out* out) {
  out->reported = length;
  if (address == nullptr || length <= 0) return;
  const int room = out->raw != nullptr ? std::clamp(length, 0, out->raw_size) : 0;
  if (room > 0) std::memcpy(out->raw, address, static_cast<std::size_t>(room));
  out->decoded = windows::Decode(address, length, &out->address) ? 1 : 0;
}

void StoreAccepted(OverlappedOperation& operation) {
  sp_accept_args& args = operation.call->u.accept;
  const auto taken = std::min<std::uint64_t>(operation.transferred, args.output.length);
  if (args.output.kind == SP_POINTER_VALID && taken > 0) std::memcpy(args.output.data, operation.buffer.data(), taken);
  LPFN_GETACCEPTEXSOCKADDRS addresses = nullptr;
  if (args.output.kind != SP_POINTER_VALID ||
      !Extension(*operation.adapter, operation.socket, WSAID_GETACCEPTEXSOCKADDRS, &addresses)) {
    return;
  }
  sockaddr* local = nullptr;
  sockaddr* remote = nullptr;
  int local_length = 0;
  int remote_length = 0;
  addresses(operation.buffer.data(), static_cast<DWORD>(args.first_data_length), operation.local_length, operation.remote_length,
            &local, &local_length, &remote, &remote_length);
  StoreAddress(local, local_length, &args.local);
  StoreAddress(remote, remote_length, &args.peer);
}

void Finish(OverlappedOperation& operation, int error, sp_result* result) {
  result->handle = {SP_HANDLE_INVALID, 0, -1};
  if (Report(result, error == 0 ? 0 : -1, error)) return;
  result->native = 0;
  result->value = operation.transferred;
  if (operation.call->op != SP_OP_ACCEPT) return;
  result->handle = operation.call->u.accept.accept_on;
  StoreAccepted(operation);
}

// The completion status, also of an operation whose socket has been closed meanwhile.
int StatusOf(OverlappedOperation& operation) {
  DWORD flags = 0;
  if (::WSAGetOverlappedResult(operation.socket, &operation.overlapped, &operation.transferred, FALSE, &flags) != FALSE) return 0;
  const int error = ::WSAGetLastError();
  if (error != WSAENOTSOCK && error != WSANOTINITIALISED) return error;
  using ToCode = ULONG(NTAPI*)(LONG);
  static const auto to_code = reinterpret_cast<ToCode>(
      reinterpret_cast<void*>(::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "RtlNtStatusToDosError")));
  const auto status = static_cast<LONG>(operation.overlapped.Internal);
  if (status >= 0) operation.transferred = static_cast<DWORD>(operation.overlapped.InternalHigh);
  return status >= 0 || to_code == nullptr ? 0 : static_cast<int>(to_code(status));
}

OverlappedOperation* ToOperation(sp_operation operation) { return reinterpret_cast<OverlappedOperation*>(operation); }

}  // namespace

CompletionPort::CompletionPort() : port_(::CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1)) {
  thread_ = std::thread([this] { Serve(); });
}

CompletionPort::~CompletionPort() {
  ::PostQueuedCompletionStatus(port_, 0, 0, nullptr);
  thread_.join();
  ::CloseHandle(port_);
}

void CompletionPort::Associate(SOCKET socket) {
  // Refused for one that is associated already.
  ::CreateIoCompletionPort(reinterpret_cast<HANDLE>(socket), port_, 0, 0);
}

void CompletionPort::Serve() {
  for (;;) {
    DWORD transferred = 0;
    ULONG_PTR key = 0;
    OVERLAPPED* ended = nullptr;
    ::GetQueuedCompletionStatus(port_, &transferred, &key, &ended, INFINITE);
    if (ended == nullptr) return;
    ::SetEvent(reinterpret_cast<OverlappedOperation*>(ended)->ended);
  }
}

std::int32_t BeginOverlapped(void* self, sp_call* call, sp_operation* operation) {
  const bool overlapped = (call->op == SP_OP_ACCEPT && call->u.accept.extended == SP_OVERLAPPED) ||
                          (call->op == SP_OP_CONNECT && call->u.connect.extended == SP_OVERLAPPED) ||
                          (call->op == SP_OP_DISCONNECT && call->u.disconnect.extended == SP_OVERLAPPED);
  auto begun = std::make_unique<OverlappedOperation>();
  begun->adapter = Self(self);
  begun->call = call;
  if (!overlapped || ToSocket(*begun->adapter, call->handle, &begun->socket) != SP_OK) return SP_NOT_SUPPORTED;
  begun->ended = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
  if (begun->adapter->port != nullptr) {
    begun->adapter->port->Associate(begun->socket);
  } else {
    begun->overlapped.hEvent = begun->ended;
  }
  const int error = Start(*begun, &begun->overlapped);
  if (error != 0 && error != WSA_IO_PENDING) {
    ::CloseHandle(begun->ended);
    return error == -1 ? static_cast<std::int32_t>(SP_NOT_SUPPORTED) : windows::ErrorOf(error);
  }
  *operation = reinterpret_cast<sp_operation>(begun.release());
  return error == 0 ? SP_OK : SP_IO_PENDING;
}

std::int32_t WaitOverlapped(void*, sp_operation operation, std::int64_t timeout_ns, sp_result* result) {
  OverlappedOperation* const waited = ToOperation(operation);
  {
    const InCall in_call;
    if (::WaitForSingleObject(waited->ended, WaitMilliseconds(timeout_ns)) != WAIT_OBJECT_0) return SP_EAGAIN;
  }
  Finish(*waited, StatusOf(*waited), result);
  ::CloseHandle(waited->ended);
  delete waited;
  return SP_OK;
}

std::int32_t CancelOverlapped(void*, sp_operation operation) {
  OverlappedOperation* const asked = ToOperation(operation);
  if (::CancelIoEx(reinterpret_cast<HANDLE>(asked->socket), &asked->overlapped) != FALSE) return SP_OK;
  const DWORD error = ::GetLastError();
  // Done already; or its socket is closed, which has ended it.
  if (error == ERROR_NOT_FOUND || error == ERROR_INVALID_HANDLE) return SP_OK;
  return windows::ErrorOf(static_cast<std::int64_t>(error));
}

void CallWithoutOverlapped(Adapter& adapter, sp_call* call, sp_result* result) {
  const std::int32_t extended = call->op == SP_OP_ACCEPT    ? call->u.accept.extended
                                : call->op == SP_OP_CONNECT ? call->u.connect.extended
                                                            : call->u.disconnect.extended;
  OverlappedOperation operation;
  operation.adapter = &adapter;
  operation.call = call;
  if (extended != SP_NO_OVERLAPPED || ToSocket(adapter, call->handle, &operation.socket) != SP_OK) return NotSupported(result);
  const int error = Start(operation, nullptr);
  if (error == -1) return NotSupported(result);
  Finish(operation, error, result);
}

}  // namespace sockproof::winsock
