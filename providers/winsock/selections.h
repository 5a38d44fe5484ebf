// Which network events of which socket were selected, where to, and with which cookie: WSAEventSelect and WSAAsyncSelect know the
// socket alone.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace sockproof::winsock {

struct Selection {
  std::int64_t watcher = 0;
  std::uint64_t cookie = 0;
};

class Selections {
 public:
  void Set(std::uint64_t socket, Selection selection) {
    const std::lock_guard<std::mutex> lock(mutex_);
    selections_[socket] = selection;
  }
  void Remove(std::uint64_t socket) {
    const std::lock_guard<std::mutex> lock(mutex_);
    selections_.erase(socket);
  }
  // A socket that accept makes has the listener's.
  void Inherit(std::uint64_t listener, std::uint64_t child) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = selections_.find(listener);
    if (found == selections_.end()) {
      selections_.erase(child);
    } else {
      selections_[child] = found->second;
    }
  }
  std::optional<Selection> Find(std::uint64_t socket) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = selections_.find(socket);
    if (found == selections_.end()) return std::nullopt;
    return found->second;
  }
  // The sockets whose selection names this watcher.
  std::vector<std::pair<std::uint64_t, Selection>> Of(std::int64_t watcher) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::pair<std::uint64_t, Selection>> out;
    for (const auto& one : selections_) {
      if (one.second.watcher == watcher) out.push_back(one);
    }
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Selection> selections_;
};

}  // namespace sockproof::winsock
