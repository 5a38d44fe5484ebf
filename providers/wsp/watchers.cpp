// WSPSelect, WSPEventSelect and WSPEnumNetworkEvents.
#include <algorithm>
#include <cstring>

#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp/adapter.h"

namespace sockproof::wsp {
namespace {

struct EventNumber {
  uint32_t neutral;
  long native;
  int bit;
};
constexpr EventNumber kEvents[] = {
    {SP_FD_READ, FD_READ, FD_READ_BIT},       {SP_FD_WRITE, FD_WRITE, FD_WRITE_BIT},       {SP_FD_OOB, FD_OOB, FD_OOB_BIT},
    {SP_FD_ACCEPT, FD_ACCEPT, FD_ACCEPT_BIT}, {SP_FD_CONNECT, FD_CONNECT, FD_CONNECT_BIT}, {SP_FD_CLOSE, FD_CLOSE, FD_CLOSE_BIT},
};
const HANDLE kNoEvent = reinterpret_cast<HANDLE>(static_cast<intptr_t>(0x7ffffff0));  // a handle that nobody has

std::shared_ptr<Watcher> Find(Adapter* adapter, const sp_handle& handle) {
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  const auto found = adapter->watchers.find(handle.value);
  return handle.kind == SP_HANDLE_WATCHER && found != adapter->watchers.end() ? found->second : nullptr;
}

void Create(Adapter* adapter, const sp_watch_create_args& args, sp_result* result) {
  if (args.mechanism != SP_SELECT && args.mechanism != SP_EVENT_OBJECT) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  auto watcher = std::make_shared<Watcher>();
  watcher->mechanism = args.mechanism;
  // The application's, as WSACreateEvent makes it: manual reset, not set.
  if (args.mechanism == SP_EVENT_OBJECT) watcher->event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  const int64_t value = adapter->next_watcher++;
  adapter->watchers.emplace(value, std::move(watcher));
  result->value = value;
  result->handle = {SP_HANDLE_WATCHER, 0, value};
}

void EventSelect(Adapter* adapter, SOCKET socket, const Watcher* watcher, const sp_watch_set_args& args, bool remove,
                 sp_result* result) {
  long events = 0;
  for (const EventNumber& event : kEvents) events |= (args.events & event.neutral) != 0 ? event.native : 0;
  if (remove) events = 0;
  const HANDLE event = remove ? nullptr : watcher != nullptr ? watcher->event : kNoEvent;
  int code = 0;
  const int failed = adapter->table.lpWSPEventSelect(socket, event, events, &code);
  Report(result, failed != 0, 0, code);
  if (failed != 0) return;
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  adapter->selections.erase(socket);
  if (events != 0) adapter->selections[socket] = {args.watcher.value, args.events, args.cookie};
}

void Set(Adapter* adapter, sp_call* call, sp_result* result) {
  const sp_watch_set_args& args = call->u.watch_set;
  const std::shared_ptr<Watcher> watcher = Find(adapter, args.watcher);
  SOCKET socket = INVALID_SOCKET;
  if (!SocketOf(*adapter, call->handle, &socket)) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  const bool remove = call->op == SP_OP_WATCH_REMOVE;
  if (watcher == nullptr || watcher->mechanism == SP_EVENT_OBJECT) {
    return EventSelect(adapter, socket, watcher.get(), args, remove, result);
  }
  constexpr uint32_t kSets = SP_IN | SP_OUT | SP_PRI;
  if ((args.events & ~kSets) != 0 || args.flags != 0 || call->handle.kind == SP_HANDLE_INVALID) {
    result->error = SP_NOT_SUPPORTED;  // no fd_set says that
    return;
  }
  result->value = 0;
  auto& entries = watcher->entries;
  const auto same = [socket](const Watcher::Entry& entry) { return entry.socket == socket; };
  if (call->op == SP_OP_WATCH_ADD) return static_cast<void>(entries.push_back({socket, args.events, args.cookie}));
  const auto found = std::find_if(entries.begin(), entries.end(), same);
  if (found == entries.end()) {
    result->error = SP_ENOENT;
  } else if (remove) {
    entries.erase(std::remove_if(entries.begin(), entries.end(), same), entries.end());
  } else {
    *found = {socket, args.events, args.cookie};
  }
}

void Select(Adapter* adapter, const Watcher& watcher, sp_watch_wait_args* args, sp_result* result) {
  constexpr uint32_t kBits[3] = {SP_IN, SP_OUT, SP_PRI};
  fd_set sets[3] = {};
  bool used[3] = {};
  for (const Watcher::Entry& entry : watcher.entries) {
    for (int i = 0; i < 3; ++i) {
      if ((entry.events & kBits[i]) == 0) continue;
      const SOCKET* const end = sets[i].fd_array + sets[i].fd_count;
      if (std::find(static_cast<const SOCKET*>(sets[i].fd_array), end, entry.socket) != end) continue;
      if (sets[i].fd_count == FD_SETSIZE) {
        result->error = SP_NOT_SUPPORTED;
        return;
      }
      sets[i].fd_array[sets[i].fd_count++] = entry.socket;
      used[i] = true;
    }
  }
  const int64_t microseconds = (std::max<int64_t>(args->timeout_ns, 0) + 999) / 1000;
  TIMEVAL timeout{static_cast<long>(microseconds / 1'000'000), static_cast<long>(microseconds % 1'000'000)};
  if (args->timeout_kind != 0) timeout = {0, 1'000'001};
  const bool limited = args->timeout_ns >= 0 || args->timeout_kind != 0;
  int code = 0;
  const int ready = adapter->table.lpWSPSelect(0, used[0] ? &sets[0] : nullptr, used[1] ? &sets[1] : nullptr,
                                               used[2] ? &sets[2] : nullptr, limited ? &timeout : nullptr, &code);
  Report(result, ready == SOCKET_ERROR, ready, code);
  if (ready == SOCKET_ERROR) return;
  for (const Watcher::Entry& entry : watcher.entries) {
    uint32_t events = 0;
    for (int i = 0; i < 3; ++i) {
      const SOCKET* const begin = sets[i].fd_array;
      const SOCKET* const end = begin + std::min<u_int>(sets[i].fd_count, FD_SETSIZE);
      if (used[i] && ready > 0 && (entry.events & kBits[i]) != 0 && std::find(begin, end, entry.socket) != end)
        events |= kBits[i];
    }
    if (events != 0 && args->count < args->capacity) args->events[args->count++] = {entry.cookie, events, SP_OK};
  }
  if (args->count > 0) DeliverReplies(adapter, false);
}

// What one socket has recorded; SP_OK or the reason.
int Enumerate(Adapter* adapter, SOCKET socket, HANDLE event, uint64_t cookie, sp_watch_wait_args* args, int* code) {
  constexpr int kUntouched = 0x5a5a5a5a;
  WSANETWORKEVENTS events{};
  std::fill(std::begin(events.iErrorCode), std::end(events.iErrorCode), kUntouched);
  auto* const place = static_cast<LPWSANETWORKEVENTS>(const_cast<void*>(PointerFor(args->kind, &events)));
  const int failed = adapter->table.lpWSPEnumNetworkEvents(socket, event, place, code);
  if (failed != 0) return failed;
  for (const EventNumber& number : kEvents) {
    if ((events.lNetworkEvents & number.native) == 0) {
      if (events.iErrorCode[number.bit] != kUntouched) args->strays |= number.neutral;
      continue;
    }
    if (number.native == FD_CONNECT) DeliverReplies(adapter, true);
    if (args->count >= args->capacity) continue;
    args->events[args->count++] = {cookie, number.neutral, windows::ErrorOf(events.iErrorCode[number.bit])};
  }
  return 0;
}

void WaitForEvent(Adapter* adapter, const sp_handle& handle, const Watcher& watcher, sp_watch_wait_args* args,
                  sp_result* result) {
  int code = 0;
  args->strays = 0;
  if (args->step == SP_REPORT_ONLY) {
    SOCKET socket = INVALID_SOCKET;
    if (!SocketOf(*adapter, args->socket, &socket)) {
      result->error = SP_NOT_SUPPORTED;
      return;
    }
    uint64_t cookie = 0;
    {
      const std::lock_guard<std::mutex> lock(adapter->mutex);
      if (const auto selected = adapter->selections.find(socket); selected != adapter->selections.end())
        cookie = selected->second.cookie;
    }
    const int failed = Enumerate(adapter, socket, args->keep_event != 0 ? nullptr : watcher.event, cookie, args, &code);
    return Report(result, failed != 0, args->count, code);
  }
  if (args->timeout_kind != 0) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  const bool set = WaitFor(adapter, watcher.event, nullptr, args->timeout_ns);
  result->value = set ? 1 : 0;
  if (set) DeliverReplies(adapter, false);
  if (args->step == SP_WAIT_ONLY || !set) return;
  std::vector<std::pair<SOCKET, uint64_t>> selecting;
  {
    const std::lock_guard<std::mutex> lock(adapter->mutex);
    for (const auto& [socket, selection] : adapter->selections) {
      if (selection.watcher == handle.value) selecting.emplace_back(socket, selection.cookie);
    }
  }
  for (const auto& [socket, cookie] : selecting) {
    if (Enumerate(adapter, socket, watcher.event, cookie, args, &code) != 0) return Report(result, true, -1, code);
  }
  result->value = args->count;
}

}  // namespace

void CallWatcher(Adapter* adapter, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_CREATE) return Create(adapter, call->u.watch_create, result);
  if (call->op != SP_OP_WATCH_WAIT && call->op != SP_OP_WATCH_CLOSE) return Set(adapter, call, result);
  const std::shared_ptr<Watcher> watcher = Find(adapter, call->handle);
  if (watcher == nullptr) {
    result->error = call->handle.kind == SP_HANDLE_WATCHER ? SP_INVALID_HANDLE : SP_NOT_SUPPORTED;
    return;
  }
  if (call->op == SP_OP_WATCH_CLOSE) {
    if (watcher->event != nullptr) CloseHandle(watcher->event);
    const std::lock_guard<std::mutex> lock(adapter->mutex);
    adapter->watchers.erase(call->handle.value);
    result->value = 0;
    return;
  }
  sp_watch_wait_args& args = call->u.watch_wait;
  args.count = 0;
  if (watcher->mechanism == SP_SELECT) return Select(adapter, *watcher, &args, result);
  WaitForEvent(adapter, call->handle, *watcher, &args, result);
}

}  // namespace sockproof::wsp
