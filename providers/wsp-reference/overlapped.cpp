// Overlapped operations: how they are told of, and AcceptEx, ConnectEx, DisconnectEx and GetAcceptExSockaddrs.
//
// These handles are no file handles, so "Internal" and its kin are this provider's own (WSAOVERLAPPED structure, Members):
// Internal is WSS_OPERATION_IN_PROGRESS, then the code of Windows Sockets that it ended with; InternalHigh is the count, Offset
// the flags.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <list>
#include <memory>
#include <utility>

#include "reference/embedding.h"
#include "windows/controls.h"
#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

using windows::CodeOf;

// A completion routine on its way to the thread that asked for it.
struct Routine {
  Completion completion;
  DWORD code, count, flags;
  static void CALLBACK Run(DWORD_PTR context) {
    const std::unique_ptr<Routine> self(reinterpret_cast<Routine*>(context));
    self->completion.routine(self->code, self->count, self->completion.overlapped, self->flags);
  }
};

// An operation that the portable provider carries out.
struct Operation {
  sp_call call{};
  sp_operation running = nullptr;
  bool over = false;  // it has been told of, and can be given back
  Completion completion;
  uint8_t* output = nullptr;  // AcceptEx: where the addresses go
  DWORD local_size = 0, remote_size = 0;
  uint8_t local_raw[64] = {}, remote_raw[64] = {};
};

std::list<std::unique_ptr<Operation>>& Operations() {
  static auto* const all = new std::list<std::unique_ptr<Operation>>;
  return *all;
}

// The address lies at the beginning of its part of the buffer, its length in the last four bytes.
void PutAddress(const sp_address_out& out, uint8_t* part, DWORD size) {
  windows::AnyAddress address;
  const int32_t length = out.decoded != 0 ? windows::Encode(out.address, &address) : 0;
  std::memcpy(part, &address, static_cast<std::size_t>(std::min<DWORD>(static_cast<DWORD>(length), size)));
  if (size >= sizeof length) std::memcpy(part + size - sizeof length, &length, sizeof length);
}

void Ended(Operation* operation, const sp_result& result) {
  if (operation->over) return;
  operation->over = true;
  if (operation->call.op == SP_OP_ACCEPT && result.error == SP_OK) {
    const sp_accept_args& args = operation->call.u.accept;
    PutAddress(args.local, operation->output, operation->local_size);
    PutAddress(args.peer, operation->output + operation->local_size, operation->remote_size);
  }
  const DWORD count = result.error == SP_OK ? static_cast<DWORD>(std::max<int64_t>(result.value, 0)) : 0;
  Complete(operation->completion, result.error, count, 0);
}

// What Windows Sockets says of a call that an extension function was called with: TRUE, or FALSE and the thread's last error.
BOOL Answer(int32_t error) {
  if (error == SP_OK) return TRUE;
  WSASetLastError(CodeOf(error));
  return FALSE;
}

BOOL Begin(std::unique_ptr<Operation> operation) {
  Host& host = Host::Get();
  Operation* const begun = operation.get();
  Operations().push_back(std::move(operation));
  begun->call.size = sizeof begun->call;
  Started(begun->completion.overlapped);
  const int32_t error = host.table().begin(host.self(), &begun->call, &begun->running);
  if (error != SP_OK && error != SP_IO_PENDING) {
    Operations().remove_if([&](const auto& one) { return one.get() == begun; });
    return Answer(error);
  }
  reference::OnOperationEnd(begun->running, [begun](const sp_result& result) { Ended(begun, result); });
  return Answer(error);
}

int32_t FindSocket(SOCKET s, sp_handle* handle) {
  SocketContext* context = nullptr;
  const int32_t error = Entry::Find(s, &context);
  if (error == SP_OK) *handle = context->handle;
  return error;
}

BOOL PASCAL AcceptExtended(SOCKET listener, SOCKET on, PVOID output, DWORD data_size, DWORD local_size, DWORD remote_size,
                           LPDWORD received, LPOVERLAPPED overlapped) {
  const Entry entry;
  auto operation = std::make_unique<Operation>();
  sp_call& call = operation->call;
  call.op = SP_OP_ACCEPT;
  sp_accept_args& args = call.u.accept;
  if (const int32_t error = FindSocket(listener, &call.handle); error != SP_OK) return Answer(error);
  if (const int32_t error = FindSocket(on, &args.accept_on); error != SP_OK) return Answer(error);
  // "cannot be set to NULL" (AcceptEx function, Parameters)
  if (!windows::CanWrite(overlapped, sizeof *overlapped)) return Answer(SP_INVALID_PARAMETER);
  const std::size_t whole = std::size_t{data_size} + local_size + remote_size;
  args.output = {output, data_size, SP_POINTER_VALID, 0};
  if (output == nullptr) {
    args.output.kind = SP_POINTER_NULL;
  } else if (!windows::CanWrite(output, whole)) {
    args.output.kind = SP_POINTER_INVALID;
  }
  args.extended = SP_OVERLAPPED;
  args.first_data_length = static_cast<int32_t>(data_size);
  args.local.raw = operation->local_raw;
  args.peer.raw = operation->remote_raw;
  args.local.raw_size = args.peer.raw_size = sizeof operation->local_raw;
  args.local.length = static_cast<int32_t>(local_size);
  args.peer.length = static_cast<int32_t>(remote_size);
  operation->output = static_cast<uint8_t*>(output) + data_size;
  operation->local_size = local_size;
  operation->remote_size = remote_size;
  operation->completion.overlapped = overlapped;
  if (received != nullptr) *received = 0;
  return Begin(std::move(operation));
}

BOOL PASCAL ConnectExtended(SOCKET s, const sockaddr* name, int length, PVOID data, DWORD size, LPDWORD sent,
                            LPOVERLAPPED overlapped) {
  const Entry entry;
  auto operation = std::make_unique<Operation>();
  sp_call& call = operation->call;
  call.op = SP_OP_CONNECT;
  if (const int32_t error = FindSocket(s, &call.handle); error != SP_OK) return Answer(error);
  if (!windows::CanWrite(overlapped, sizeof *overlapped)) return Answer(SP_INVALID_PARAMETER);
  sp_connect_args& args = call.u.connect;
  args.address = AddressIn(name, length);
  args.extended = SP_OVERLAPPED;
  args.first_data = {data, data != nullptr ? size : 0, SP_POINTER_VALID, 0};
  if (data != nullptr && !windows::CanRead(data, size)) args.first_data.kind = SP_POINTER_INVALID;
  operation->completion.overlapped = overlapped;
  if (sent != nullptr) *sent = 0;
  return Begin(std::move(operation));
}

BOOL PASCAL DisconnectExtended(SOCKET s, LPOVERLAPPED overlapped, DWORD flags, DWORD reserved) {
  const Entry entry;
  auto operation = std::make_unique<Operation>();
  sp_call& call = operation->call;
  call.op = SP_OP_DISCONNECT;
  if (const int32_t error = FindSocket(s, &call.handle); error != SP_OK) return Answer(error);
  sp_disconnect_args& args = call.u.disconnect;
  args = {(flags & TF_REUSE_SOCKET) != 0 ? 1u : 0u, reserved, flags & ~static_cast<DWORD>(TF_REUSE_SOCKET), SP_OVERLAPPED};
  if (overlapped == nullptr) {
    args.extended = SP_NO_OVERLAPPED;
    CallResult made;
    made.call.u.disconnect = args;
    Host::Get().Call(SP_OP_DISCONNECT, call.handle, &made);
    return Answer(made.error());
  }
  if (!windows::CanWrite(overlapped, sizeof *overlapped)) return Answer(SP_EFAULT);
  operation->completion.overlapped = overlapped;
  return Begin(std::move(operation));
}

void PASCAL AcceptAddresses(PVOID output, DWORD data_size, DWORD local_size, DWORD remote_size, sockaddr** local,
                            LPINT local_length, sockaddr** remote, LPINT remote_length) {
  auto* const parts = static_cast<uint8_t*>(output) + data_size;
  const auto take = [](uint8_t* part, DWORD size, sockaddr** name, LPINT length) {
    int32_t used = 0;
    if (size >= sizeof used) std::memcpy(&used, part + size - sizeof used, sizeof used);
    *name = reinterpret_cast<sockaddr*>(part);
    *length = used;
  };
  take(parts, local_size, local, local_length);
  take(parts + local_size, remote_size, remote, remote_length);
}

const sp_provider* WSAAPI HandOver(void** self) { return Host::Get().Controls(self); }

struct Extended {
  GUID id;
  void* function;
};

}  // namespace

void Started(LPWSAOVERLAPPED overlapped) {
  overlapped->Internal = WSS_OPERATION_IN_PROGRESS;
  overlapped->InternalHigh = 0;
  if (overlapped->hEvent == nullptr) return;
  int code = 0;
  static_cast<void>(Host::Get().upcalls().lpWPUResetEvent(overlapped->hEvent, &code));
}

void Complete(const Completion& completion, int32_t error, DWORD count, DWORD flags) {
  const WSPUPCALLTABLE& upcalls = Host::Get().upcalls();
  WSAOVERLAPPED* const overlapped = completion.overlapped;
  overlapped->InternalHigh = count;
  overlapped->Offset = flags;
  overlapped->Internal = static_cast<DWORD>(CodeOf(error));
  // "canceled without setting the event object or invoking the completion routine" (LPWSPCLEANUP, Remarks)
  if (Host::Get().ending()) return;
  int code = 0;
  if (completion.routine != nullptr) {
    auto routine = std::make_unique<Routine>(Routine{completion, static_cast<DWORD>(CodeOf(error)), count, flags});
    WSATHREADID thread = completion.thread;
    const auto context = reinterpret_cast<DWORD_PTR>(routine.get());
    if (upcalls.lpWPUQueueApc(&thread, Routine::Run, context, &code) == 0) static_cast<void>(routine.release());
  } else if (overlapped->hEvent != nullptr) {
    static_cast<void>(upcalls.lpWPUSetEvent(overlapped->hEvent, &code));
  }
}

// Gives back what the portable provider keeps of operations that have been told of.
void ReapOperations() {
  Host& host = Host::Get();
  std::list<std::unique_ptr<Operation>> over;  // apart: others may run meanwhile
  for (auto at = Operations().begin(); at != Operations().end();) {
    const auto next = std::next(at);
    if ((*at)->over && (*at)->running != nullptr) over.splice(over.end(), Operations(), at);
    at = next;
  }
  for (const auto& one : over) {
    sp_result result{};
    result.size = sizeof result;
    static_cast<void>(host.table().wait(host.self(), one->running, 0, &result));
  }
}

int32_t CancelOverlapped(LPWSAOVERLAPPED overlapped) {
  const Entry entry;
  Host& host = Host::Get();
  for (const auto& one : Operations()) {
    if (one->completion.overlapped == overlapped && !one->over) return host.table().cancel(host.self(), one->running);
  }
  return SP_OK;  // it was done before
}

BOOL WSPAPI GetOverlappedResult(SOCKET s, LPWSAOVERLAPPED overlapped, LPDWORD count, BOOL wait, LPDWORD flags, LPINT code) {
  const Entry entry;
  Host& host = Host::Get();
  int32_t error = SP_OK;
  if (!host.started()) error = SP_NOTINITIALISED;
  if (error == SP_OK && (!windows::CanWrite(overlapped, sizeof *overlapped) || !windows::CanWrite(count, sizeof *count) ||
                         !windows::CanWrite(flags, sizeof *flags))) {
    error = SP_EFAULT;
  }
  const auto under_way = [](void* context) -> int32_t {
    return static_cast<const volatile WSAOVERLAPPED*>(context)->Internal == WSS_OPERATION_IN_PROGRESS ? 0 : 1;
  };
  if (error == SP_OK && under_way(overlapped) == 0) {
    // One whose socket has been closed meanwhile has ended; while it is under way its socket is there.
    SocketContext* context = nullptr;
    error = host.Find(s, &context);
    if (error == SP_OK && wait == 0) error = SP_IO_INCOMPLETE;
    if (error == SP_OK) host.table().scheduler->wait_until(host.self(), under_way, overlapped, -1, "an overlapped operation");
  }
  if (error != SP_OK) {
    static_cast<void>(Finish(error, code));
    return FALSE;
  }
  *count = static_cast<DWORD>(overlapped->InternalHigh);
  *flags = overlapped->Offset;
  if (overlapped->Internal == 0) return TRUE;
  if (code != nullptr) *code = static_cast<int>(overlapped->Internal);
  return FALSE;
}

void* FindExtension(const GUID& id) {
  const Extended kAll[] = {
      {WSAID_ACCEPTEX, reinterpret_cast<void*>(AcceptExtended)},
      {WSAID_CONNECTEX, reinterpret_cast<void*>(ConnectExtended)},
      {WSAID_DISCONNECTEX, reinterpret_cast<void*>(DisconnectExtended)},
      {WSAID_GETACCEPTEXSOCKADDRS, reinterpret_cast<void*>(AcceptAddresses)},
      {windows::kControls, reinterpret_cast<void*>(HandOver)},
  };
  for (const Extended& one : kAll) {
    if (std::memcmp(&one.id, &id, sizeof id) == 0) return one.function;
  }
  return nullptr;
}

}  // namespace sockproof::wsp_reference
