// AcceptEx, ConnectEx and DisconnectEx, in two halves.
#include <algorithm>
#include <cstring>
#include <vector>

#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp/adapter.h"

namespace sockproof::wsp {
namespace {

constexpr ULONG_PTR kPending = 0x103;  // STATUS_PENDING, and WSS_OPERATION_IN_PROGRESS

struct Operation {
  sp_call* call = nullptr;
  SOCKET socket = INVALID_SOCKET;
  WSAOVERLAPPED overlapped{};
  std::vector<uint8_t> output;  // AcceptEx: the data, and both addresses
  DWORD data = 0, local = 0, remote = 0;
  ~Operation() {
    if (overlapped.hEvent != nullptr) CloseHandle(overlapped.hEvent);
  }
};

template <typename Function>
void FindExtension(const Adapter& adapter, SOCKET socket, GUID id, Function* function) {
  DWORD returned = 0;
  int code = 0;
  if (adapter.table.lpWSPIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, function, sizeof *function, &returned,
                               nullptr, nullptr, nullptr, &code) != 0) {
    *function = nullptr;
  }
}

DWORD AddressRoom(const sp_address_out& out) {
  return out.length == SP_NATURAL_LENGTH ? static_cast<DWORD>(sizeof(sockaddr_in6) + 16) : static_cast<DWORD>(out.length);
}

// What the extension function said: 0, or the code that it left behind.
int Outcome(BOOL done) { return done ? 0 : WSAGetLastError(); }

int BeginAccept(const Adapter& adapter, Operation* operation, LPOVERLAPPED overlapped) {
  sp_accept_args& args = operation->call->u.accept;
  SOCKET on = INVALID_SOCKET;
  if (!SocketOf(adapter, args.accept_on, &on)) return -1;
  operation->data = static_cast<DWORD>(args.first_data_length);
  operation->local = AddressRoom(args.local);
  operation->remote = AddressRoom(args.peer);
  // Lengths that are wrong are passed on as they are; the memory behind them is large enough all the same.
  constexpr std::size_t kSpare = 256;
  const auto room = [](DWORD length) {
    return static_cast<std::size_t>(std::clamp<int32_t>(static_cast<int32_t>(length), 0, 1 << 20));
  };
  operation->output.resize(room(operation->data) + room(operation->local) + room(operation->remote) + kSpare);
  void* const output = const_cast<void*>(PointerFor(args.output.kind, operation->output.data()));
  DWORD received = 0;
  return Outcome(adapter.extensions.accept(operation->socket, on, output, operation->data, operation->local, operation->remote,
                                           &received, overlapped));
}

int BeginConnect(const Adapter& adapter, Operation* operation, LPOVERLAPPED overlapped) {
  sp_connect_args& args = operation->call->u.connect;
  const NameIn name(args.address);
  void* const data =
      args.first_data.length > 0 ? const_cast<void*>(PointerFor(args.first_data.kind, args.first_data.data)) : nullptr;
  DWORD sent = 0;
  return Outcome(adapter.extensions.connect(operation->socket, name.name, name.length, data,
                                            static_cast<DWORD>(args.first_data.length), &sent, overlapped));
}

int BeginDisconnect(const Adapter& adapter, Operation* operation, LPOVERLAPPED overlapped) {
  const sp_disconnect_args& args = operation->call->u.disconnect;
  const DWORD flags = args.extra_flags | (args.reuse != 0 ? TF_REUSE_SOCKET : 0);
  return Outcome(adapter.extensions.disconnect(operation->socket, overlapped, flags, args.reserved));
}

// Windows Sockets' code; -1 for what cannot be asked for.
int BeginOne(const Adapter& adapter, Operation* operation, LPOVERLAPPED overlapped) {
  switch (operation->call->op) {
    case SP_OP_ACCEPT:
      return adapter.extensions.accept != nullptr ? BeginAccept(adapter, operation, overlapped) : -1;
    case SP_OP_CONNECT:
      return adapter.extensions.connect != nullptr ? BeginConnect(adapter, operation, overlapped) : -1;
    case SP_OP_DISCONNECT:
      return adapter.extensions.disconnect != nullptr ? BeginDisconnect(adapter, operation, overlapped) : -1;
    default:
      return -1;
  }
}

void TakeAddress(const sockaddr* name, int length, sp_address_out* out) {
  out->reported = length;
  out->decoded = 0;
  if (name == nullptr || length <= 0 || !windows::CanRead(name, static_cast<std::size_t>(length))) return;
  if (out->kind == SP_POINTER_VALID && out->raw != nullptr) {
    std::memcpy(out->raw, name, static_cast<std::size_t>(std::min(length, out->raw_size)));
  }
  out->decoded = windows::Decode(name, length, &out->address) ? 1 : 0;
}

void FinishAccept(const Adapter& adapter, Operation* operation, DWORD count, sp_result* result) {
  sp_accept_args& args = operation->call->u.accept;
  result->handle = args.accept_on;
  if (count > 0 && args.output.data != nullptr) {
    std::memcpy(args.output.data, operation->output.data(), std::min<std::size_t>(count, args.output.length));
  }
  if (adapter.extensions.addresses == nullptr) return;
  sockaddr* local = nullptr;
  sockaddr* remote = nullptr;
  int local_length = 0, remote_length = 0;
  adapter.extensions.addresses(operation->output.data(), operation->data, operation->local, operation->remote, &local,
                               &local_length, &remote, &remote_length);
  TakeAddress(local, local_length, &args.local);
  TakeAddress(remote, remote_length, &args.peer);
}

struct Condition {
  HANDLE event;
  const WSAOVERLAPPED* overlapped;
  bool Holds() const {
    if (overlapped != nullptr && static_cast<const volatile WSAOVERLAPPED*>(overlapped)->Internal != kPending) return true;
    return overlapped == nullptr && WaitForSingleObject(event, 0) == WAIT_OBJECT_0;
  }
};

}  // namespace

void FindExtensions(Adapter* adapter, SOCKET socket) {
  FindExtension(*adapter, socket, WSAID_ACCEPTEX, &adapter->extensions.accept);
  FindExtension(*adapter, socket, WSAID_CONNECTEX, &adapter->extensions.connect);
  FindExtension(*adapter, socket, WSAID_DISCONNECTEX, &adapter->extensions.disconnect);
  FindExtension(*adapter, socket, WSAID_GETACCEPTEXSOCKADDRS, &adapter->extensions.addresses);
}

bool WaitFor(Adapter* adapter, HANDLE event, const WSAOVERLAPPED* overlapped, int64_t timeout) {
  Condition condition{event, overlapped};
  if (condition.Holds()) return true;
  if (timeout == 0) return false;
  if (adapter->controls != nullptr && adapter->controls->scheduler != nullptr) {
    const auto holds = [](void* context) -> int32_t { return static_cast<const Condition*>(context)->Holds() ? 1 : 0; };
    const char* what = overlapped != nullptr ? "an overlapped operation" : "an event object";
    return adapter->controls->scheduler->wait_until(adapter->controls_self, holds, &condition, timeout, what) == SP_OK;
  }
  // An operation that ends without its event (the last cleanup) is seen by its status alone, so that is looked at now and then.
  constexpr DWORD kLook = 10;
  const ULONGLONG start = GetTickCount64();
  for (;;) {
    const ULONGLONG gone = GetTickCount64() - start;
    const auto limit = static_cast<ULONGLONG>(timeout < 0 ? INT64_MAX : (timeout + 999'999) / 1'000'000);
    if (gone >= limit && gone > 0) return condition.Holds();
    const ULONGLONG left = limit - gone;
    const DWORD step = overlapped != nullptr ? static_cast<DWORD>(std::min<ULONGLONG>(left, kLook))
                                             : static_cast<DWORD>(std::min<ULONGLONG>(left, INFINITE - 1));
    static_cast<void>(WaitForSingleObject(event, step));
    if (condition.Holds()) return true;
  }
}

int32_t Begin(void* self, sp_call* call, sp_operation* operation) {
  Adapter* adapter = Self(self);
  auto begun = std::make_unique<Operation>();
  begun->call = call;
  if (!SocketOf(*adapter, call->handle, &begun->socket)) return SP_NOT_SUPPORTED;
  begun->overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  begun->overlapped.Internal = kPending;
  const int code = BeginOne(*adapter, begun.get(), &begun->overlapped);
  if (code < 0) return SP_NOT_SUPPORTED;
  if (code != 0 && code != ERROR_IO_PENDING) return windows::ErrorOf(code);
  *operation = reinterpret_cast<sp_operation>(begun.release());
  return code == 0 ? SP_OK : SP_IO_PENDING;
}

int32_t Wait(void* self, sp_operation operation, int64_t timeout, sp_result* result) {
  Adapter* adapter = Self(self);
  auto* begun = reinterpret_cast<Operation*>(operation);
  if (!WaitFor(adapter, begun->overlapped.hEvent, &begun->overlapped, timeout)) return SP_EAGAIN;
  const std::unique_ptr<Operation> done(begun);
  DWORD count = 0, flags = 0;
  int code = 0;
  const BOOL succeeded = adapter->table.lpWSPGetOverlappedResult(done->socket, &done->overlapped, &count, FALSE, &flags, &code);
  result->handle = {SP_HANDLE_INVALID, 0, -1};
  // One whose socket is closed has no result to ask for: it was ended by that.
  if (!succeeded && (code == WSAENOTSOCK || code == WSANOTINITIALISED)) code = WSA_OPERATION_ABORTED;
  Report(result, !succeeded, count, code);
  if (succeeded && done->call->op == SP_OP_ACCEPT) FinishAccept(*adapter, done.get(), count, result);
  return SP_OK;
}

int32_t Cancel(void* self, sp_operation operation) {
  Adapter* adapter = Self(self);
  auto* begun = reinterpret_cast<Operation*>(operation);
  if (adapter->controls != nullptr && adapter->controls->cancel != nullptr) {
    return adapter->controls->cancel(adapter->controls_self, reinterpret_cast<sp_operation>(&begun->overlapped));
  }
  if (CancelIoEx(reinterpret_cast<HANDLE>(begun->socket), &begun->overlapped) != 0) return SP_OK;
  // Handles that are the system's alone can be cancelled so.
  return GetLastError() == ERROR_NOT_FOUND ? SP_OK : SP_NOT_SUPPORTED;
}

void WithoutOverlapped(Adapter* adapter, SOCKET socket, sp_call* call, sp_result* result) {
  Operation operation;
  operation.call = call;
  operation.socket = socket;
  const int code = BeginOne(*adapter, &operation, nullptr);
  if (code < 0) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  Report(result, code != 0, 0, code);
}

}  // namespace sockproof::wsp
