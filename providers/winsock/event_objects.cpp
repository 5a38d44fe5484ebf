// Event objects: WSAEventSelect's other half, the wait for the event object and WSAEnumNetworkEvents.
#include <algorithm>

#include "adapter.h"
#include "perform.h"
#include "windows/errors.h"
#include "watchers.h"

namespace sockproof::winsock {
namespace {

// WSAEnumNetworkEvents. Returns whether it failed.
bool Enumerate(Adapter& adapter, SOCKET socket, WSAEVENT event, std::uint64_t cookie, sp_watch_wait_args& args,
               sp_result* result) {
  constexpr int kUntouched = -0x5a5a5a5a;  // no error has this number
  WSANETWORKEVENTS seen{};
  std::fill(std::begin(seen.iErrorCode), std::end(seen.iErrorCode), kUntouched);
  auto* pointer = static_cast<WSANETWORKEVENTS*>(Pointer(adapter, args.kind, &seen));
  if (Perform(result, [&] { return ::WSAEnumNetworkEvents(socket, event, pointer); })) return true;
  if (args.kind != SP_POINTER_VALID) return false;
  for (const NetworkEvent& one : NetworkEventTable()) {
    const int error = seen.iErrorCode[one.index];
    if ((seen.lNetworkEvents & one.native) == 0) {
      if (error != kUntouched) args.strays |= one.neutral;
      continue;
    }
    if (one.native == FD_CONNECT) SettleLateData(adapter, socket);
    Deliver(args, cookie, one.neutral, windows::ErrorOf(error));
  }
  return false;
}

void ReportOne(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result) {
  SOCKET socket = INVALID_SOCKET;
  if (ToSocket(adapter, args.socket, &socket) != SP_OK) return NotSupported(result);
  const auto selection = adapter.selections.Find(static_cast<std::uint64_t>(socket));
  const WSAEVENT event = args.keep_event != 0 ? nullptr : watcher.event;
  if (!Enumerate(adapter, socket, event, selection ? selection->cookie : 0, args, result)) result->value = args.count;
}

}  // namespace

const std::vector<NetworkEvent>& NetworkEventTable() {
  static const std::vector<NetworkEvent> table = {
      {SP_FD_READ, FD_READ, FD_READ_BIT},
      {SP_FD_WRITE, FD_WRITE, FD_WRITE_BIT},
      {SP_FD_OOB, FD_OOB, FD_OOB_BIT},
      {SP_FD_ACCEPT, FD_ACCEPT, FD_ACCEPT_BIT},
      {SP_FD_CONNECT, FD_CONNECT, FD_CONNECT_BIT},
      {SP_FD_CLOSE, FD_CLOSE, FD_CLOSE_BIT},
  };
  return table;
}

long NativeNetworkEvents(std::uint32_t events) {
  long out = 0;
  for (const NetworkEvent& one : NetworkEventTable()) {
    if ((events & one.neutral) != 0) out |= one.native;
  }
  // Bits that are no network events stay what they are: an undefined one.
  constexpr std::uint32_t kKnown = SP_FD_READ | SP_FD_WRITE | SP_FD_OOB | SP_FD_ACCEPT | SP_FD_CONNECT | SP_FD_CLOSE;
  if ((events & ~kKnown) != 0) out |= 0x10000;
  return out;
}

void WaitEventObject(Adapter& adapter, std::int64_t handle, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result) {
  if (args.step == SP_REPORT_ONLY) return ReportOne(adapter, watcher, args, result);
  if (args.timeout_kind != 0) return NotSupported(result);  // its argument is an unsigned number of milliseconds
  DWORD waited = WAIT_FAILED;
  const bool failed = Perform(result, [&] {
    waited = ::WaitForSingleObject(watcher.event, WaitMilliseconds(args.timeout_ns));
    return waited != WAIT_FAILED;
  });
  if (failed) return;
  result->value = waited == WAIT_OBJECT_0 ? 1 : 0;
  if (args.step == SP_WAIT_ONLY || waited != WAIT_OBJECT_0) return;
  for (const auto& [socket, selection] : adapter.selections.Of(handle)) {
    if (Enumerate(adapter, static_cast<SOCKET>(socket), watcher.event, selection.cookie, args, result)) return;
  }
  result->value = args.count;
}

}  // namespace sockproof::winsock
