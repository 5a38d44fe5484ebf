// The blocking hook: what a thread of the caller wants done while a call of its own waits.
//
// "only if all of the following are true: the routine is one which is defined as being able to block, the specified socket is a
// blocking socket, and the request cannot be completed immediately" (Windows Sockets 2 SPI, Blocking Hook). Without a hook this
// provider waits as the system does.
#include <map>

#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

// Threads whose hook is being run; the value: it has asked to end the call (WSPCancelBlockingCall).
std::map<DWORD, bool>& Hooked() {
  static auto* const all = new std::map<DWORD, bool>;
  return *all;
}

bool IsBlocking(const sp_handle& handle) {
  CallResult mode;
  Host::Get().Call(SP_OP_GET_MODE, handle, &mode);
  return mode.error() == SP_OK && (mode.result.value & SP_NONBLOCKING) == 0;
}

}  // namespace

int32_t RunBlockingHook(const SocketContext& context, uint32_t events) {
  Host& host = Host::Get();
  const sp_handle handle = context.handle;
  bool ready = false;
  // Errors are for the call itself to tell.
  if (!IsBlocking(handle) || IsReady(handle, events | SP_PRI, 0, &ready) != SP_OK || ready) return SP_OK;
  LPBLOCKINGCALLBACK hook = nullptr;
  DWORD_PTR argument = 0;
  int code = 0;
  if (host.upcalls().lpWPUQueryBlockingCallback(host.info().dwCatalogEntryId, &hook, &argument, &code) != 0 || hook == nullptr) {
    return SP_OK;
  }
  bool& cancelled = Hooked()[GetCurrentThreadId()];
  cancelled = false;
  while (!ready && !cancelled) {
    // As long as it says that there was a message it is called again.
    while (hook(argument) != 0 && !cancelled) {
    }
    constexpr int64_t kLook = 1'000'000;
    if (!cancelled && IsReady(handle, events | SP_PRI, kLook, &ready) != SP_OK) break;
  }
  const bool ended = cancelled;
  Hooked().erase(GetCurrentThreadId());
  return ended ? SP_EINTR : SP_OK;
}

int WSPAPI CancelBlockingCall(LPINT code) {
  const Entry entry;
  if (!Host::Get().started()) return Finish(SP_NOTINITIALISED, code);
  const auto running = Hooked().find(GetCurrentThreadId());
  if (running == Hooked().end()) return Finish(SP_EINVAL, code);  // "there is no outstanding blocking call" (Return value)
  running->second = true;
  return 0;
}

}  // namespace sockproof::wsp_reference
