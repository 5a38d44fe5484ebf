#include "readiness.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <new>

#include "adapter.h"
#include "perform.h"

namespace sockproof::posix {
namespace {

struct EventRow {
  std::uint32_t neutral;
  std::uint32_t native;
};
constexpr EventRow kEvents[] = {
    {SP_IN, POLLIN},         {SP_OUT, POLLOUT},       {SP_PRI, POLLPRI},       {SP_ERR, POLLERR},
    {SP_HUP, POLLHUP},       {SP_NVAL, POLLNVAL},     {SP_RDHUP, POLLRDHUP},   {SP_RDNORM, POLLRDNORM},
    {SP_RDBAND, POLLRDBAND}, {SP_WRNORM, POLLWRNORM}, {SP_WRBAND, POLLWRBAND},
};
static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
                  EPOLLRDHUP == POLLRDHUP && EPOLLRDNORM == POLLRDNORM && EPOLLRDBAND == POLLRDBAND &&
                  EPOLLWRNORM == POLLWRNORM && EPOLLWRBAND == POLLWRBAND,
              "one table serves poll and epoll");

constexpr std::int64_t kSecond = 1000000000;

int Milliseconds(std::int64_t nanoseconds) {
  if (nanoseconds < 0) return -1;
  return static_cast<int>(std::min<std::int64_t>(nanoseconds / 1000000 + (nanoseconds % 1000000 != 0 ? 1 : 0), INT_MAX));
}

timespec Timespec(std::int64_t nanoseconds) {
  timespec out{};
  out.tv_sec = static_cast<time_t>(nanoseconds / kSecond);
  out.tv_nsec = static_cast<long>(nanoseconds % kSecond);
  return out;
}

void Deliver(sp_watch_wait_args& args, std::uint64_t cookie, std::uint32_t events) {
  if (args.count >= args.capacity || args.events == nullptr) return;
  sp_event& event = args.events[args.count++];
  event.cookie = cookie;
  event.events = events;
  event.error = SP_OK;
}

void WaitPoll(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result) {
  // poll has to clear what it does not report, so something stands there before.
  constexpr short kStale = POLLIN | POLLOUT | POLLPRI | POLLERR | POLLHUP | POLLNVAL;
  std::vector<pollfd> list;
  list.reserve(watcher.entries.size());
  for (const Watcher::Entry& entry : watcher.entries) {
    list.push_back({entry.descriptor, static_cast<short>(NativeEvents(entry.events)), kStale});
  }
  pollfd* pointer = list.data();
  if (args.kind == SP_POINTER_NULL) pointer = nullptr;
  if (args.kind == SP_POINTER_INVALID) pointer = static_cast<pollfd*>(adapter.bad_page);
  bool failed = false;
  if (watcher.mechanism == SP_POLL) {
    if (args.timeout_kind != 0) return NotSupported(result);  // every time-out is a good one
    const int timeout = Milliseconds(args.timeout_ns);
    failed = Perform(result, [&] { return ::poll(pointer, static_cast<nfds_t>(list.size()), timeout); });
  } else {
    timespec limit = Timespec(std::max<std::int64_t>(args.timeout_ns, 0));
    if (args.timeout_kind != 0) limit.tv_sec = -1;
    const bool unlimited = args.timeout_ns < 0 && args.timeout_kind == 0;
    failed = Perform(result,
                     [&] { return ::ppoll(pointer, static_cast<nfds_t>(list.size()), unlimited ? nullptr : &limit, nullptr); });
  }
  if (failed || result->value == 0 || args.kind != SP_POINTER_VALID) return;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].revents == 0) continue;
    Deliver(args, watcher.entries[i].cookie, NeutralEvents(static_cast<std::uint16_t>(list[i].revents)));
  }
}

void WaitSelect(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result) {
  fd_set sets[3];
  bool used[3] = {};
  constexpr std::uint32_t kBits[3] = {SP_IN, SP_OUT, SP_PRI};
  for (fd_set& set : sets) FD_ZERO(&set);
  int highest = -1;
  for (const Watcher::Entry& entry : watcher.entries) {
    for (int i = 0; i < 3; ++i) {
      if ((entry.events & kBits[i]) == 0) continue;
      FD_SET(entry.descriptor, &sets[i]);
      used[i] = true;
    }
    highest = std::max(highest, entry.descriptor);
  }
  fd_set* pointers[3];
  for (int i = 0; i < 3; ++i) {
    pointers[i] = used[i] ? &sets[i] : nullptr;
    if (args.kind == SP_POINTER_INVALID) pointers[i] = static_cast<fd_set*>(adapter.bad_page);
    if (args.kind == SP_POINTER_NULL) pointers[i] = nullptr;
  }
  const bool unlimited = args.timeout_ns < 0 && args.timeout_kind == 0;
  const std::int64_t nanoseconds = std::max<std::int64_t>(args.timeout_ns, 0);
  bool failed = false;
  if (watcher.mechanism == SP_SELECT) {
    timeval limit{};
    limit.tv_sec = static_cast<time_t>(nanoseconds / kSecond);
    limit.tv_usec = static_cast<suseconds_t>((nanoseconds % kSecond + 999) / 1000);
    if (limit.tv_usec == 1000000) {
      ++limit.tv_sec;
      limit.tv_usec = 0;
    }
    if (args.timeout_kind != 0) limit.tv_sec = -1;
    failed = Perform(result,
                     [&] { return ::select(highest + 1, pointers[0], pointers[1], pointers[2], unlimited ? nullptr : &limit); });
  } else {
    timespec limit = Timespec(nanoseconds);
    if (args.timeout_kind != 0) limit.tv_sec = -1;
    failed = Perform(result, [&] {
      return ::pselect(highest + 1, pointers[0], pointers[1], pointers[2], unlimited ? nullptr : &limit, nullptr);
    });
  }
  if (failed || args.kind != SP_POINTER_VALID) return;
  for (const Watcher::Entry& entry : watcher.entries) {
    std::uint32_t events = 0;
    for (int i = 0; i < 3; ++i) {
      if (used[i] && (entry.events & kBits[i]) != 0 && FD_ISSET(entry.descriptor, &sets[i])) events |= kBits[i];
    }
    if (events != 0) Deliver(args, entry.cookie, events);
  }
}

void WaitEpoll(Adapter& adapter, int descriptor, sp_watch_wait_args& args, sp_result* result) {
  if (args.timeout_kind != 0) return NotSupported(result);
  // The capacity goes on as it is. The array is never shorter than what there could be to say.
  constexpr int kEnough = 65536;
  std::vector<epoll_event> list(static_cast<std::size_t>(std::clamp(args.capacity, 1, kEnough)));
  epoll_event* pointer = list.data();
  if (args.kind == SP_POINTER_NULL) pointer = nullptr;
  if (args.kind == SP_POINTER_INVALID) pointer = static_cast<epoll_event*>(adapter.bad_page);
  const int timeout = Milliseconds(args.timeout_ns);
  const bool failed = Perform(result, [&] { return ::epoll_wait(descriptor, pointer, args.capacity, timeout); });
  if (failed || args.kind != SP_POINTER_VALID) return;
  for (std::size_t i = 0; i < std::min(static_cast<std::size_t>(result->value), list.size()); ++i) {
    Deliver(args, list[i].data.u64, NeutralEvents(list[i].events));
  }
}

void SetEpoll(Adapter& adapter, std::uint32_t op, const sp_handle& handle, const sp_watch_set_args& args, sp_result* result) {
  int watcher = -1;
  int socket = -1;
  if (Descriptor(adapter, args.watcher, &watcher) != SP_OK || Descriptor(adapter, handle, &socket) != SP_OK) {
    return NotSupported(result);
  }
  epoll_event event{};
  event.events = NativeEvents(args.events);
  if ((args.flags & SP_EDGE) != 0) event.events |= EPOLLET;
  if ((args.flags & SP_ONESHOT) != 0) event.events |= EPOLLONESHOT;
  if ((args.flags & SP_EXCLUSIVE) != 0) event.events |= EPOLLEXCLUSIVE;
  event.data.u64 = args.cookie;
  const int operation = op == SP_OP_WATCH_ADD ? EPOLL_CTL_ADD : op == SP_OP_WATCH_MODIFY ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
  Perform(result, [&] { return ::epoll_ctl(watcher, operation, socket, &event); });
}

}  // namespace

std::int64_t Watchers::Add(std::int32_t mechanism) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::int64_t handle = next_++;
  watchers_[handle].mechanism = mechanism;
  return handle;
}

bool Watchers::Remove(std::int64_t handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return watchers_.erase(handle) != 0;
}

void Watchers::ResetLock() { new (&mutex_) std::mutex; }

bool IsOwnWatcher(std::int64_t value) { return value >= Watchers::kFirst; }

std::uint32_t NativeEvents(std::uint32_t events) {
  std::uint32_t out = 0;
  for (const EventRow& row : kEvents) {
    if ((events & row.neutral) != 0) out |= row.native;
  }
  return out;
}

std::uint32_t NeutralEvents(std::uint32_t events) {
  std::uint32_t out = 0;
  for (const EventRow& row : kEvents) {
    if ((events & row.native) != 0) out |= row.neutral;
  }
  return out;
}

void CallWatchCreate(Adapter& adapter, const sp_watch_create_args& args, sp_result* result) {
  switch (args.mechanism) {
    case SP_POLL:
    case SP_PPOLL:
    case SP_SELECT:
    case SP_PSELECT:
      if ((args.modes & ~static_cast<std::uint32_t>(SP_CLOSE_ON_EXEC)) != 0) return NotSupported(result);
      result->handle = {SP_HANDLE_WATCHER, 0, adapter.watchers.Add(args.mechanism)};
      result->value = 0;
      return;
    case SP_EPOLL: {
      if ((args.modes & (SP_NONBLOCKING | SP_ASYNC)) != 0) return NotSupported(result);
      int flags = 0;
      if ((args.modes & SP_CLOSE_ON_EXEC) != 0) flags |= EPOLL_CLOEXEC;
      if ((args.modes & SP_MODE_UNKNOWN_BIT) != 0) flags |= static_cast<int>(SP_MODE_UNKNOWN_BIT);
      if (!Perform(result, [&] { return ::epoll_create1(flags); })) {
        result->handle = {SP_HANDLE_WATCHER, 0, result->value};
      }
      return;
    }
    default:
      return NotSupported(result);
  }
}

void CallWatchSet(Adapter& adapter, std::uint32_t op, const sp_handle& handle, const sp_watch_set_args& args, sp_result* result) {
  if (args.watcher.kind != SP_HANDLE_WATCHER || !IsOwnWatcher(args.watcher.value)) {
    return SetEpoll(adapter, op, handle, args, result);
  }
  if (args.flags != 0) return NotSupported(result);
  int descriptor = -1;
  if (Descriptor(adapter, handle, &descriptor) != SP_OK) return NotSupported(result);
  std::int32_t error = SP_OK;
  const bool found = adapter.watchers.With(args.watcher.value, [&](Watcher& watcher) {
    const bool select = watcher.mechanism == SP_SELECT || watcher.mechanism == SP_PSELECT;
    if (op != SP_OP_WATCH_REMOVE && select) {
      // What an fd_set and its three sets cannot say.
      if (descriptor < 0 || descriptor >= FD_SETSIZE || (args.events & ~(SP_IN | SP_OUT | SP_PRI)) != 0) {
        error = SP_NOT_SUPPORTED;
        return;
      }
    }
    auto& entries = watcher.entries;
    const auto same = [&](const Watcher::Entry& entry) { return entry.descriptor == descriptor; };
    if (op == SP_OP_WATCH_ADD) {
      entries.push_back({descriptor, args.events, args.cookie});  // poll takes the same descriptor twice
      return;
    }
    const auto entry = std::find_if(entries.begin(), entries.end(), same);
    if (entry == entries.end()) {
      error = SP_ENOENT;
    } else if (op == SP_OP_WATCH_MODIFY) {
      entry->events = args.events;
      entry->cookie = args.cookie;
    } else {
      entries.erase(std::remove_if(entries.begin(), entries.end(), same), entries.end());
    }
  });
  if (!found) error = SP_EBADF;
  result->error = error;
  result->value = error == SP_OK ? 0 : -1;
}

void CallWatchWait(Adapter& adapter, const sp_handle& handle, sp_watch_wait_args& args, sp_result* result) {
  args.count = 0;
  if (handle.kind != SP_HANDLE_WATCHER || !IsOwnWatcher(handle.value)) {
    int descriptor = -1;
    if (Descriptor(adapter, handle, &descriptor) != SP_OK) return NotSupported(result);
    return WaitEpoll(adapter, descriptor, args, result);
  }
  Watcher copy{};
  if (!adapter.watchers.With(handle.value, [&](const Watcher& watcher) { copy = watcher; })) {
    result->error = SP_EBADF;
    result->value = -1;
    return;
  }
  if (copy.mechanism == SP_POLL || copy.mechanism == SP_PPOLL) {
    WaitPoll(adapter, copy, args, result);
  } else {
    WaitSelect(adapter, copy, args, result);
  }
}

void CallWatchClose(Adapter& adapter, const sp_handle& handle, sp_result* result) {
  if (handle.kind == SP_HANDLE_WATCHER && IsOwnWatcher(handle.value)) {
    const bool removed = adapter.watchers.Remove(handle.value);
    result->error = removed ? SP_OK : SP_EBADF;
    result->value = removed ? 0 : -1;
    return;
  }
  int descriptor = -1;
  if (Descriptor(adapter, handle, &descriptor) != SP_OK) return NotSupported(result);
  Perform(result, [&] { return ::close(descriptor); });
}

}  // namespace sockproof::posix
