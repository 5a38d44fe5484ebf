// Watchers: poll and select have no object of their own, so the adapter keeps one; epoll is the system's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "sockproof/provider.h"

namespace sockproof::posix {

struct Adapter;

// The watchers of poll, ppoll, select and pselect. A wait works on the list as it was when the wait began, which is what
// these calls do; add, modify and remove may be called at any time and hold for the next wait.
struct Watcher {
  struct Entry {
    int descriptor;
    std::uint32_t events;
    std::uint64_t cookie;
  };
  std::int32_t mechanism;
  std::vector<Entry> entries;
};

class Watchers {
 public:
  std::int64_t Add(std::int32_t mechanism);
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
  // In a child of fork, where the lock may have been left held.
  void ResetLock();

 private:
  std::mutex mutex_;
  std::map<std::int64_t, Watcher> watchers_;
  std::int64_t next_;
  friend bool IsOwnWatcher(std::int64_t value);
  static constexpr std::int64_t kFirst = std::int64_t{1} << 32;  // no descriptor has such a number

 public:
  Watchers() : next_(kFirst) {}
};

// Whether a handle's value is a watcher of the adapter's own, not a descriptor.
bool IsOwnWatcher(std::int64_t value);

// Event bits of poll (epoll has the same numbers) and the neutral ones.
std::uint32_t NativeEvents(std::uint32_t events);
std::uint32_t NeutralEvents(std::uint32_t events);

void CallWatchCreate(Adapter& adapter, const sp_watch_create_args& args, sp_result* result);
void CallWatchSet(Adapter& adapter, std::uint32_t op, const sp_handle& handle, const sp_watch_set_args& args, sp_result* result);
void CallWatchWait(Adapter& adapter, const sp_handle& watcher, sp_watch_wait_args& args, sp_result* result);
void CallWatchClose(Adapter& adapter, const sp_handle& watcher, sp_result* result);

}  // namespace sockproof::posix
