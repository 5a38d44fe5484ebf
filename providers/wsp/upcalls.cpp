#include "wsp/upcalls.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace sockproof::wsp {

// Each upcall; the ledger is locked while it looks something up, never while something else is called.
struct Upcalls {
  static BOOL Win32(BOOL done, LPINT code) {
    if (!done && code != nullptr) *code = static_cast<int>(GetLastError());
    return done;
  }
  static int Refuse(int why, LPINT code) {
    if (code != nullptr) *code = why;
    return SOCKET_ERROR;
  }

  template <int Table>
  static SOCKET WSPAPI CreateSocketHandle(DWORD entry, DWORD_PTR context, LPINT) {
    Ledger& ledger = Ledger::Get();
    const std::lock_guard<std::mutex> lock(ledger.mutex_);
    // Numbers that the system gives to no handle, and none of them twice: one that is used after its end stands out.
    constexpr SOCKET kFirst = 0x53500000, kStep = 4;
    const SOCKET socket = kFirst + kStep * ledger.next_++;
    ledger.handles_[socket] = {true, false, true, context};
    ledger.Log(Table, fmt::format("WPUCreateSocketHandle entry={} socket=s{}", entry, socket));
    return socket;
  }
  template <int Table>
  static int WSPAPI CloseSocketHandle(SOCKET socket, LPINT code) {
    Ledger& ledger = Ledger::Get();
    const std::lock_guard<std::mutex> lock(ledger.mutex_);
    const auto found = ledger.handles_.find(socket);
    const bool known = found != ledger.handles_.end() && found->second.created && found->second.open;
    ledger.Log(Table, fmt::format("WPUCloseSocketHandle socket=s{}{}", socket, known ? "" : " refused"));
    if (!known) return Refuse(WSAENOTSOCK, code);
    found->second.open = false;
    return 0;
  }
  // Made in nearly every call: not logged, as nobody would see anything else for it.
  template <int Table>
  static int WSPAPI QuerySocketHandleContext(SOCKET socket, PDWORD_PTR context, LPINT code) {
    Ledger& ledger = Ledger::Get();
    const std::lock_guard<std::mutex> lock(ledger.mutex_);
    const auto found = ledger.handles_.find(socket);
    if (found == ledger.handles_.end() || !found->second.created || !found->second.open) return Refuse(WSAENOTSOCK, code);
    *context = found->second.context;
    return 0;
  }
  template <int Table>
  static SOCKET WSPAPI ModifyIfsHandle(DWORD entry, SOCKET proposed, LPINT) {
    Ledger& ledger = Ledger::Get();
    const std::lock_guard<std::mutex> lock(ledger.mutex_);
    Ledger::Handle& handle = ledger.handles_[proposed];
    handle.modified = handle.open = true;
    ledger.Log(Table, fmt::format("WPUModifyIFSHandle entry={} socket=s{}", entry, proposed));
    return proposed;
  }

  template <int Table>
  static WSAEVENT WSPAPI MakeEvent(LPINT code) {
    const HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    static_cast<void>(Win32(event != nullptr, code));
    Note(Table, "WPUCreateEvent", event);
    return event;
  }
  template <int Table>
  static BOOL WSPAPI EndEvent(WSAEVENT event, LPINT code) {
    Note(Table, "WPUCloseEvent", event);
    return Win32(CloseHandle(event), code);
  }
  template <int Table>
  static BOOL WSPAPI Set(WSAEVENT event, LPINT code) {
    Note(Table, "WPUSetEvent", event);
    return Win32(SetEvent(event), code);
  }
  template <int Table>
  static BOOL WSPAPI Reset(WSAEVENT event, LPINT code) {
    Note(Table, "WPUResetEvent", event);
    return Win32(ResetEvent(event), code);
  }
  static void Note(int table, const char* name, HANDLE event) {
    Ledger& ledger = Ledger::Get();
    const std::lock_guard<std::mutex> lock(ledger.mutex_);
    ledger.Log(table, fmt::format("{} event={}", name, fmt::ptr(event)));
  }

  template <int Table>
  static int WSPAPI IsInSet(SOCKET socket, fd_set* set) {
    const SOCKET* const end = set->fd_array + std::min<u_int>(set->fd_count, FD_SETSIZE);
    return std::find(static_cast<const SOCKET*>(set->fd_array), end, socket) != end ? 1 : 0;
  }
  template <int Table>
  static int WSPAPI ProviderPath(LPGUID id, WCHAR* path, LPINT length, LPINT code) {
    Ledger& ledger = Ledger::Get();
    const std::lock_guard<std::mutex> lock(ledger.mutex_);
    ledger.Log(Table, "WPUGetProviderPath");
    if (id == nullptr || path == nullptr || length == nullptr) return Refuse(WSAEFAULT, code);
    if (IsEqualGUID(*id, ledger.provider_) == 0) return Refuse(WSAEINVAL, code);
    const int needed = static_cast<int>(ledger.path_.size()) + 1, room = std::exchange(*length, needed);
    if (room < needed) return Refuse(WSAEFAULT, code);
    std::copy_n(ledger.path_.c_str(), needed, path);
    return 0;
  }
  template <int Table>
  static BOOL WSPAPI Post(HWND window, UINT message, WPARAM w, LPARAM l) {
    {
      Ledger& ledger = Ledger::Get();
      const std::lock_guard<std::mutex> lock(ledger.mutex_);
      ledger.Log(Table, fmt::format("WPUPostMessage window={} message={} socket=s{} event={} error={}", fmt::ptr(window), message,
                                    w, WSAGETSELECTEVENT(l), WSAGETSELECTERROR(l)));
    }
    return PostMessageW(window, message, w, l);
  }

  // The hook of the thread, in a form that can be called.
  static BOOL CALLBACK RunHook(DWORD_PTR) {
    Ledger::Hook hook;
    {
      Ledger& ledger = Ledger::Get();
      const std::lock_guard<std::mutex> lock(ledger.mutex_);
      hook = ledger.hooks_[GetCurrentThreadId()];
    }
    return hook.function != nullptr && hook.function(hook.context) != 0 ? TRUE : FALSE;
  }
  // "a null pointer will be returned indicating that the provider is to use native operating system blocking functions", unless a
  // hook was installed for the thread (Blocking Hook).
  template <int Table>
  static int WSPAPI BlockingCallback(DWORD, LPBLOCKINGCALLBACK* callback, PDWORD_PTR context, LPINT) {
    Ledger& ledger = Ledger::Get();
    const std::lock_guard<std::mutex> lock(ledger.mutex_);
    ledger.Log(Table, "WPUQueryBlockingCallback");
    const auto found = ledger.hooks_.find(GetCurrentThreadId());
    *callback = found != ledger.hooks_.end() && found->second.function != nullptr ? RunHook : nullptr;
    *context = 0;
    return 0;
  }

  template <int Table>
  static int WSPAPI QueueApc(LPWSATHREADID thread, LPWSAUSERAPC function, DWORD_PTR context, LPINT code) {
    Note(Table, "WPUQueueApc", thread->ThreadHandle);
    if (QueueUserAPC(reinterpret_cast<PAPCFUNC>(function), thread->ThreadHandle, context) != 0) return 0;
    return Refuse(static_cast<int>(GetLastError()), code);
  }
  template <int Table>
  static int WSPAPI OpenThisThread(LPWSATHREADID thread, LPINT code) {
    HANDLE handle = nullptr;
    const HANDLE process = GetCurrentProcess();
    if (DuplicateHandle(process, GetCurrentThread(), process, &handle, 0, FALSE, DUPLICATE_SAME_ACCESS) == 0) {
      return Refuse(static_cast<int>(GetLastError()), code);
    }
    Note(Table, "WPUOpenCurrentThread", handle);
    *thread = {handle, 0};
    return 0;
  }
  template <int Table>
  static int WSPAPI EndThread(LPWSATHREADID thread, LPINT code) {
    Note(Table, "WPUCloseThread", thread->ThreadHandle);
    return CloseHandle(thread->ThreadHandle) != 0 ? 0 : Refuse(static_cast<int>(GetLastError()), code);
  }

  template <int Table>
  static WSPUPCALLTABLE Make() {
    return {EndEvent<Table>,
            CloseSocketHandle<Table>,
            MakeEvent<Table>,
            CreateSocketHandle<Table>,
            IsInSet<Table>,
            ProviderPath<Table>,
            ModifyIfsHandle<Table>,
            Post<Table>,
            BlockingCallback<Table>,
            QuerySocketHandleContext<Table>,
            QueueApc<Table>,
            Reset<Table>,
            Set<Table>,
            OpenThisThread<Table>,
            EndThread<Table>};
  }
};

Ledger& Ledger::Get() {
  // Never destroyed: a provider's threads may still call when the process ends.
  static Ledger* const ledger = new Ledger;
  return *ledger;
}

WSPUPCALLTABLE Ledger::NextTable() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ++tables_ % 2 == 1 ? Upcalls::Make<1>() : Upcalls::Make<2>();
}

WSPUPCALLTABLE Ledger::CurrentTable() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return tables_ % 2 == 1 ? Upcalls::Make<1>() : Upcalls::Make<2>();
}

Ledger::Handle Ledger::Of(SOCKET socket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = handles_.find(socket);
  return found != handles_.end() ? found->second : Handle{};
}

std::size_t Ledger::open_handles() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(handles_.begin(), handles_.end(), [](const auto& one) { return one.second.open; }));
}

std::string Ledger::Describe() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string text;
  for (const auto& [socket, handle] : handles_) {
    if (handle.open)
      text += fmt::format("s{} {}\n", socket, handle.created ? "from WPUCreateSocketHandle" : "a handle of the system");
  }
  return text;
}

void Ledger::Closed(SOCKET socket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = handles_.find(socket);
  if (found != handles_.end() && !found->second.created) handles_.erase(found);
}

void Ledger::ClosedAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto at = handles_.begin(); at != handles_.end();) at = at->second.created ? std::next(at) : handles_.erase(at);
}

std::string Ledger::Take(std::size_t room) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string text;
  while (!log_.empty() && text.size() + log_.front().size() <= room) {
    text += log_.front();
    log_.pop_front();
  }
  return text;
}

void Ledger::SetPath(std::wstring path, const GUID& provider) {
  const std::lock_guard<std::mutex> lock(mutex_);
  path_ = std::move(path);
  provider_ = provider;
}

void Ledger::SetHook(const Hook& hook) {
  const std::lock_guard<std::mutex> lock(mutex_);
  hooks_[GetCurrentThreadId()] = hook;
}

void Ledger::Log(int table, std::string text) {
  if (log_.size() >= kLongestLog) log_.pop_front();
  log_.push_back(fmt::format("{} {}\n", table, text));
}

}  // namespace sockproof::wsp
