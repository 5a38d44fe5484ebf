// WSPSend, WSPSendTo, WSPRecv, WSPRecvFrom: at once, or overlapped.
#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "windows/memory.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

using windows::CanRead;
using windows::CanWrite;

constexpr DWORD kMostBuffers = 1024;

struct Flag {
  DWORD native;
  uint32_t neutral;
};
constexpr Flag kFlags[] = {
    {MSG_OOB, SP_MSG_OOB}, {MSG_PEEK, SP_MSG_PEEK}, {MSG_DONTROUTE, SP_MSG_DONTROUTE}, {MSG_WAITALL, SP_MSG_WAITALL}};

uint32_t FlagsIn(DWORD flags) {
  uint32_t neutral = 0;
  for (const Flag& flag : kFlags) {
    if ((flags & flag.native) != 0) neutral |= flag.neutral;
    flags &= ~flag.native;
  }
  flags &= ~static_cast<DWORD>(MSG_PARTIAL);
  return flags != 0 ? neutral | SP_MSG_UNKNOWN_BIT : neutral;
}

// One transfer, from its arguments to its end, which may come after the call has returned.
struct Transfer {
  bool sending = false;
  sp_handle handle{};
  std::vector<sp_buffer> buffers;
  CallResult call;
  Completion completion;
  std::unique_ptr<AddressOut> from;
  uint64_t room = 0;

  sp_transfer_args& args() { return sending ? call.call.u.send : call.call.u.recv; }
  uint32_t op() const { return sending ? SP_OP_SEND : SP_OP_RECV; }
  void Run(bool wait) {
    const uint32_t flags = args().flags;
    if (!wait) args().flags |= SP_MSG_DONTWAIT;
    Host::Get().Call(op(), handle, &call);
    args().flags = flags;
    if (from != nullptr) from->Deliver();
  }
  // A datagram that was cut off has filled the buffers.
  DWORD count() const {
    if (call.error() == SP_EMSGSIZE && !sending) return static_cast<DWORD>(room);
    return call.error() == SP_OK ? static_cast<DWORD>(call.result.value) : 0;
  }
};

int32_t Prepare(Transfer* transfer, const WSABUF* buffers, DWORD count, DWORD flags, bool addressed) {
  if (count > kMostBuffers) return SP_EINVAL;
  if (count > 0 && !CanRead(buffers, count * sizeof *buffers)) return SP_EFAULT;
  for (DWORD i = 0; i < count; ++i) {
    const WSABUF& buffer = buffers[i];
    const bool usable = transfer->sending ? CanRead(buffer.buf, buffer.len) : CanWrite(buffer.buf, buffer.len);
    const int32_t kind = buffer.buf == nullptr ? SP_POINTER_NULL : usable ? SP_POINTER_VALID : SP_POINTER_INVALID;
    transfer->buffers.push_back({buffer.buf, buffer.len, kind, 0});
    transfer->room += buffer.len;
  }
  sp_transfer_args& args = transfer->args();
  args.form = count == 1 ? (addressed ? SP_FORM_ADDRESS : SP_FORM_DEFAULT) : SP_FORM_MESSAGE;
  args.flags = FlagsIn(flags);
  args.buffers = transfer->buffers.data();
  args.buffer_count = count;
  args.to.kind = args.from.kind = SP_POINTER_NULL;
  return SP_OK;
}

// Waits for what the transfer needs, then carries it out, as a thread of the provider's own.
void InBackground(const std::shared_ptr<Transfer>& transfer) {
  Host& host = Host::Get();
  const sp_provider& table = host.table();
  table.scheduler->attach(host.self(), "an overlapped transfer");
  {
    const Entry entry;
    for (;;) {
      // On sockets that do not block, too: an overlapped operation waits all the same.
      // Not for ever: a socket that is closed meanwhile is no more ready than before.
      constexpr int64_t kLook = 20'000'000;
      bool ready = false;
      int32_t error = IsReady(transfer->handle, transfer->sending ? SP_OUT : SP_IN, kLook, &ready);
      if (error == SP_OK && ready) {
        transfer->Run(false);
        error = transfer->call.error();
        if (error != SP_EAGAIN) break;
      } else if (error != SP_OK) {
        transfer->call.result.error = SP_OPERATION_ABORTED;  // its socket is closed
        break;
      }
    }
    Complete(transfer->completion, transfer->call.error(), transfer->count(), 0);
  }
  table.scheduler->detach(host.self());
}

int Carry(std::shared_ptr<Transfer> transfer, LPDWORD count, bool hook, const SocketContext& context, LPINT code) {
  if (transfer->completion.overlapped == nullptr) {
    if (!CanWrite(count, sizeof *count)) return Finish(SP_EFAULT, code);
    if (hook) {
      const int32_t error = RunBlockingHook(context, transfer->sending ? SP_OUT : SP_IN);
      if (error != SP_OK) return Finish(error, code);
    }
    transfer->Run(true);
    *count = transfer->count();
    return Finish(transfer->call.error(), code);
  }
  if (!CanWrite(transfer->completion.overlapped, sizeof(WSAOVERLAPPED))) return Finish(SP_EFAULT, code);
  transfer->Run(false);
  const int32_t error = transfer->call.error();
  if (error == SP_OK) {
    if (CanWrite(count, sizeof *count)) *count = transfer->count();
    Complete(transfer->completion, SP_OK, transfer->count(), 0);
    return 0;
  }
  if (error != SP_EAGAIN) return Finish(error, code);
  Started(transfer->completion.overlapped);
  Host& host = Host::Get();
  host.table().scheduler->expect(host.self());
  std::thread(InBackground, std::move(transfer)).detach();
  return Finish(SP_IO_PENDING, code);
}

Completion Told(LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread) {
  return {overlapped, routine, thread != nullptr && routine != nullptr ? *thread : WSATHREADID{}};
}

int SendOn(SOCKET s, const WSABUF* buffers, DWORD count, LPDWORD sent, DWORD flags, const sockaddr* to, int to_length,
           const Completion& completion, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  auto transfer = std::make_shared<Transfer>();
  transfer->sending = true;
  transfer->handle = context->handle;
  transfer->completion = completion;
  if (const int32_t error = Prepare(transfer.get(), buffers, count, flags, to != nullptr); error != SP_OK)
    return Finish(error, code);
  if (to != nullptr) transfer->args().to = AddressIn(to, to_length);
  return Carry(std::move(transfer), sent, true, *context, code);
}

int RecvOn(SOCKET s, const WSABUF* buffers, DWORD count, LPDWORD received, LPDWORD flags, sockaddr* from, LPINT from_length,
           const Completion& completion, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  if (!CanWrite(flags, sizeof *flags)) return Finish(SP_EFAULT, code);
  auto transfer = std::make_shared<Transfer>();
  transfer->handle = context->handle;
  transfer->completion = completion;
  if (const int32_t error = Prepare(transfer.get(), buffers, count, *flags, from != nullptr); error != SP_OK)
    return Finish(error, code);
  if (from != nullptr) transfer->from = std::make_unique<AddressOut>(from, from_length, &transfer->args().from);
  const bool urgent = (*flags & MSG_OOB) != 0;
  return Carry(std::move(transfer), received, !urgent, *context, code);
}

}  // namespace

int WSPAPI Send(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags, LPWSAOVERLAPPED overlapped,
                LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code) {
  return SendOn(s, buffers, count, sent, flags, nullptr, 0, Told(overlapped, routine, thread), code);
}

int WSPAPI SendTo(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags, const sockaddr* to, int to_length,
                  LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code) {
  return SendOn(s, buffers, count, sent, flags, to, to_length, Told(overlapped, routine, thread), code);
}

int WSPAPI Recv(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags, LPWSAOVERLAPPED overlapped,
                LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code) {
  return RecvOn(s, buffers, count, received, flags, nullptr, nullptr, Told(overlapped, routine, thread), code);
}

int WSPAPI RecvFrom(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags, sockaddr* from, LPINT from_length,
                    LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code) {
  return RecvOn(s, buffers, count, received, flags, from, from_length, Told(overlapped, routine, thread), code);
}

}  // namespace sockproof::wsp_reference
