#include "watchers.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "adapter.h"
#include "perform.h"
#include "windows/errors.h"

namespace sockproof::winsock {
namespace {

// An event that nobody ever made. NULL would mean none, and -1 this process.
const WSAEVENT kNoEvent = reinterpret_cast<WSAEVENT>(static_cast<ULONG_PTR>(0x7ffffff0));

bool IsList(std::int32_t mechanism) { return mechanism == SP_SELECT || mechanism == SP_WSAPOLL; }

void SetList(Watcher& watcher, std::uint32_t op, const Watcher::Entry& wanted, sp_result* result) {
  auto& entries = watcher.entries;
  const auto same = [&](const Watcher::Entry& entry) { return entry.socket == wanted.socket; };
  result->value = 0;
  if (op == SP_OP_WATCH_ADD) {
    entries.push_back(wanted);  // WSAPoll takes the same socket twice
    return;
  }
  const auto found = std::find_if(entries.begin(), entries.end(), same);
  if (found == entries.end()) {
    result->error = SP_ENOENT;
    result->value = -1;
  } else if (op == SP_OP_WATCH_MODIFY) {
    *found = wanted;
  } else {
    entries.erase(std::remove_if(entries.begin(), entries.end(), same), entries.end());
  }
}

// WSAEventSelect and WSAAsyncSelect, which are the same call with another place for what they tell.
void Select(Adapter& adapter, std::uint32_t op, SOCKET socket, const sp_watch_set_args& args, const Watcher& watcher,
            sp_result* result) {
  const bool removing = op == SP_OP_WATCH_REMOVE;
  const long events = removing ? 0 : NativeNetworkEvents(args.events);
  bool failed = false;
  if (watcher.mechanism == SP_WINDOW_MESSAGE) {
    const HWND window = watcher.window->window();
    const unsigned message = removing ? 0 : MessageWindow::message();
    failed = Perform(result, [&] { return ::WSAAsyncSelect(socket, window, message, events); });
  } else {
    const WSAEVENT event = removing ? nullptr : watcher.event;
    failed = Perform(result, [&] { return ::WSAEventSelect(socket, event, events); });
  }
  if (failed) return;
  if (removing || args.events == 0) {
    adapter.selections.Remove(static_cast<std::uint64_t>(socket));
  } else {
    adapter.selections.Set(static_cast<std::uint64_t>(socket), {args.watcher.value, args.cookie});
  }
}

void WaitWindow(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result) {
  if (args.timeout_kind != 0 || args.step != SP_WAIT_AND_REPORT || args.kind != SP_POINTER_VALID) return NotSupported(result);
  result->value = 0;
  {
    const InCall in_call;
    if (!watcher.window->Wait(WaitMilliseconds(args.timeout_ns))) return;
  }
  MessageWindow::Message message{};
  while (args.count < args.capacity && watcher.window->Take(&message)) {
    // A socket that nobody selected for is nobody's: a cookie that no selection has.
    const auto selection = adapter.selections.Find(static_cast<std::uint64_t>(message.socket));
    SettleLateData(adapter, message.socket);
    std::uint32_t neutral = 0;
    for (const NetworkEvent& event : NetworkEventTable()) {
      if ((message.event & event.native) != 0) neutral |= event.neutral;
    }
    Deliver(args, selection ? selection->cookie : UINT64_MAX, neutral, windows::ErrorOf(message.error));
  }
  result->value = args.count;
}

}  // namespace

std::int64_t Watchers::Add(Watcher watcher) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::int64_t handle = next_++;
  watchers_[handle] = std::move(watcher);
  return handle;
}

bool Watchers::Remove(std::int64_t handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return watchers_.erase(handle) != 0;
}

std::vector<std::int64_t> Watchers::Events() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::int64_t> out;
  for (const auto& [handle, watcher] : watchers_) {
    if (watcher.mechanism == SP_EVENT_OBJECT) out.push_back(handle);
  }
  return out;
}

DWORD WaitMilliseconds(std::int64_t nanoseconds) {
  if (nanoseconds < 0) return INFINITE;
  const std::int64_t milliseconds = nanoseconds / 1000000 + (nanoseconds % 1000000 != 0 ? 1 : 0);
  return static_cast<DWORD>(std::min<std::int64_t>(milliseconds, INT_MAX));
}

void Deliver(sp_watch_wait_args& args, std::uint64_t cookie, std::uint32_t events, std::int32_t error) {
  if (args.count >= args.capacity || args.events == nullptr) return;
  args.events[args.count++] = {cookie, events, error};
}

void CallWatchCreate(Adapter& adapter, const sp_watch_create_args& args, sp_result* result) {
  if ((args.modes & ~static_cast<std::uint32_t>(SP_CLOSE_ON_EXEC)) != 0) return NotSupported(result);
  Watcher watcher;
  watcher.mechanism = args.mechanism;
  switch (args.mechanism) {
    case SP_SELECT:
    case SP_WSAPOLL:
      result->value = 0;
      break;
    case SP_EVENT_OBJECT:
      if (Perform(result, [&] { return (watcher.event = ::WSACreateEvent()) != WSA_INVALID_EVENT; })) return;
      break;
    case SP_WINDOW_MESSAGE:
      watcher.window = std::make_shared<MessageWindow>();
      if (Report(result, watcher.window->window() != nullptr ? 0 : -1, static_cast<int>(watcher.window->error()))) return;
      break;
    default:
      return NotSupported(result);
  }
  result->handle = {SP_HANDLE_WATCHER, 0, adapter.watchers.Add(std::move(watcher))};
}

void CallWatchSet(Adapter& adapter, std::uint32_t op, const sp_handle& handle, const sp_watch_set_args& args, sp_result* result) {
  SOCKET socket = INVALID_SOCKET;
  if (args.flags != 0 || ToSocket(adapter, handle, &socket) != SP_OK) return NotSupported(result);
  Watcher watcher;
  watcher.mechanism = SP_EVENT_OBJECT;
  watcher.event = kNoEvent;  // what a watcher that is none stands for
  if (args.watcher.kind == SP_HANDLE_WATCHER && !adapter.watchers.Find(args.watcher.value, &watcher)) {
    Report(result, -1, WSA_INVALID_HANDLE);
    return;
  }
  if (!IsList(watcher.mechanism)) return Select(adapter, op, socket, args, watcher, result);
  if (watcher.mechanism == SP_SELECT && (args.events & ~(SP_IN | SP_OUT | SP_PRI)) != 0) return NotSupported(result);
  adapter.watchers.With(args.watcher.value, [&](Watcher& found) {
    SetList(found, op, {handle, socket, args.events, args.cookie}, result);
  });
}

void CallWatchWait(Adapter& adapter, const sp_handle& handle, sp_watch_wait_args& args, sp_result* result) {
  args.count = 0;
  args.strays = 0;
  Watcher watcher;
  if (handle.kind != SP_HANDLE_WATCHER || !adapter.watchers.Find(handle.value, &watcher)) {
    Report(result, -1, WSA_INVALID_HANDLE);
    return;
  }
  switch (watcher.mechanism) {
    case SP_SELECT:
      return WaitSelect(adapter, watcher, args, result);
    case SP_WSAPOLL:
      return WaitPoll(adapter, watcher, args, result);
    case SP_EVENT_OBJECT:
      return WaitEventObject(adapter, handle.value, watcher, args, result);
    default:
      return WaitWindow(adapter, watcher, args, result);
  }
}

void CallWatchClose(Adapter& adapter, const sp_handle& handle, sp_result* result) {
  Watcher watcher;
  if (handle.kind != SP_HANDLE_WATCHER || !adapter.watchers.Find(handle.value, &watcher) || watcher.closed) {
    Report(result, -1, WSA_INVALID_HANDLE);
    return;
  }
  result->value = 0;
  if (watcher.mechanism == SP_WINDOW_MESSAGE) {
    watcher.window->Destroy();
    adapter.watchers.With(handle.value, [](Watcher& found) { found.closed = true; });
    return;
  }
  if (watcher.mechanism == SP_EVENT_OBJECT && Perform(result, [&] { return ::WSACloseEvent(watcher.event) != FALSE; })) {
    // Without a session the call may be refused; the event object itself is the system's and must not stay behind.
    if (result->error == SP_NOTINITIALISED) ::CloseHandle(watcher.event);
  }
  adapter.watchers.Remove(handle.value);
}

}  // namespace sockproof::winsock
