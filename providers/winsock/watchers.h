// Watchers: select and WSAPoll have no object of their own, so the adapter keeps a list; event objects are the system's, and
// messages go to a window.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "message_window.h"
#include "sockproof/provider.h"
#include "system.h"

namespace sockproof::winsock {

struct Adapter;

// A wait works on the list as it was when the wait began; add, modify and remove may be called at any time and hold for the
// next one.
struct Watcher {
  struct Entry {
    sp_handle handle;
    SOCKET socket;
    std::uint32_t events;
    std::uint64_t cookie;
  };
  std::int32_t mechanism = 0;
  std::vector<Entry> entries;             // SP_SELECT, SP_WSAPOLL
  WSAEVENT event = nullptr;               // SP_EVENT_OBJECT
  std::shared_ptr<MessageWindow> window;  // SP_WINDOW_MESSAGE
  bool closed = false;                    // a window that was: its handle is still known
};

class Watchers {
 public:
  std::int64_t Add(Watcher watcher);
  bool Remove(std::int64_t handle);
  // Calls f(Watcher&) under the lock; false if there is no such watcher.
  template <class F>
  bool With(std::int64_t handle, F f) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = watchers_.find(handle);
    if (found == watchers_.end()) return false;
    f(found->second);
    return true;
  }
  // A copy; false if there is no such watcher.
  bool Find(std::int64_t handle, Watcher* out) {
    return With(handle, [&](const Watcher& watcher) { *out = watcher; });
  }
  // Event objects that are open.
  std::vector<std::int64_t> Events() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::int64_t, Watcher> watchers_;
  std::int64_t next_ = std::int64_t{1} << 40;  // no socket has such a number
};

void CallWatchCreate(Adapter& adapter, const sp_watch_create_args& args, sp_result* result);
void CallWatchSet(Adapter& adapter, std::uint32_t op, const sp_handle& handle, const sp_watch_set_args& args, sp_result* result);
void CallWatchWait(Adapter& adapter, const sp_handle& watcher, sp_watch_wait_args& args, sp_result* result);
void CallWatchClose(Adapter& adapter, const sp_handle& watcher, sp_result* result);

// Network events: FD_* and the neutral bits.
long NativeNetworkEvents(std::uint32_t events);
struct NetworkEvent {
  std::uint32_t neutral;
  long native;
  int index;  // in WSANETWORKEVENTS.iErrorCode
};
const std::vector<NetworkEvent>& NetworkEventTable();

// The waits of event objects (event_objects.cpp) and of lists (lists.cpp).
void WaitEventObject(Adapter& adapter, std::int64_t handle, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result);
void WaitSelect(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result);
void WaitPoll(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result);

// A time-out in milliseconds, up to the next one; INFINITE for a negative one.
DWORD WaitMilliseconds(std::int64_t nanoseconds);

void Deliver(sp_watch_wait_args& args, std::uint64_t cookie, std::uint32_t events, std::int32_t error = SP_OK);

}  // namespace sockproof::winsock
