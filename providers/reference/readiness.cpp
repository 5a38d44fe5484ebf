#include "reference/readiness.h"

#include <algorithm>
#include <set>

#include "reference/socket.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kAlways = SP_ERR | SP_HUP | SP_NVAL;
constexpr uint32_t kSelectIn = SP_RDNORM | SP_RDBAND | SP_IN | SP_HUP | SP_ERR;
constexpr uint32_t kSelectOut = SP_WRBAND | SP_WRNORM | SP_OUT | SP_ERR;

bool IsSelect(int32_t mechanism) { return mechanism == SP_SELECT || mechanism == SP_PSELECT; }

void Deliver(sp_watch_wait_args* args, uint64_t cookie, uint32_t events) {
  if (args->count >= args->capacity || args->events == nullptr) return;
  args->events[args->count++] = {cookie, events, SP_OK};
}

// The file behind an entry; empty for a handle that is not open, or that only names something.
Hold FileOf(Stack* stack, const sp_handle& handle) {
  if (handle.kind == SP_HANDLE_NOT_SOCKET) return stack->plain_file();
  if (handle.kind != SP_HANDLE_SOCKET && handle.kind != SP_HANDLE_WATCHER) return {};
  const HandleTable::Entry* entry = stack->handles().Find(handle.value);
  return entry != nullptr ? entry->file : Hold();
}

uint32_t PollEvents(Stack* stack, const Watchers::Entry& entry) {
  if (entry.handle.kind == SP_HANDLE_INVALID) return 0;
  const Hold file = FileOf(stack, entry.handle);
  if (!file) return SP_NVAL;
  uint32_t ready = file->Ready();
  if ((ready & SP_HUP) != 0 && stack->profile().hangup_excludes_writable) {
    // A send would not wait if an error is to be told; without one there is nothing but the hang-up.
    ready &= (ready & SP_ERR) != 0 ? ~static_cast<uint32_t>(SP_HUP) : ~static_cast<uint32_t>(SP_OUT | SP_WRNORM | SP_WRBAND);
  }
  return ready & (entry.events | kAlways);
}

uint32_t SelectEvents(const Stack& stack, const File& file, uint32_t asked) {
  const uint32_t ready = file.Ready();
  uint32_t events = 0;
  const auto* socket = dynamic_cast<const Socket*>(&file);
  if (stack.profile().failed_connect_is_exception && socket != nullptr && socket->ConnectFailed()) return SP_PRI & asked;
  if ((ready & kSelectIn) != 0) events |= SP_IN;
  if ((ready & kSelectOut) != 0) events |= SP_OUT;
  const uint32_t exceptions = stack.profile().error_is_exception ? SP_PRI | SP_ERR : SP_PRI;
  if ((ready & exceptions) != 0) events |= SP_PRI;
  return events & asked;
}

// Of a list as it was when the wait began: changes hold for the next one.
struct Wait {
  Stack* stack;
  std::vector<Watchers::Entry> entries;
  std::vector<Hold> files;  // stay open meanwhile
  bool select;

  // What is said in the end: of handles as they are then.
  uint32_t Seen(std::size_t i) const {
    if (select) {
      const Hold file = FileOf(stack, entries[i].handle);
      return file ? SelectEvents(*stack, *file.get(), entries[i].events) : 0;
    }
    return PollEvents(stack, entries[i]);
  }
  // Whether a file has something to say: that a handle is closed wakes nobody.
  bool Any() const {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const File* file = files[i].get();
      if (file == nullptr) continue;
      if (select ? SelectEvents(*stack, *file, entries[i].events) != 0 : (file->Ready() & (entries[i].events | kAlways)) != 0)
        return true;
      if (file->cancelled) return true;
    }
    return false;
  }
  bool AtOnce() const {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (Seen(i) != 0) return true;
    }
    return false;
  }
};

int32_t WaitFor(const Wait& wait, int64_t timeout) {
  const auto any = [&wait] { return wait.Any(); };
  if (wait.AtOnce() || timeout == 0) return SP_OK;
  const int32_t error = wait.stack->Block(any, timeout, SP_OK, wait.select ? "select" : "poll");
  return error;
}

int32_t WaitPoll(Stack* stack, const Watchers::Watcher& watcher, sp_watch_wait_args* args, int64_t* value) {
  if (static_cast<int64_t>(watcher.entries.size()) > stack->handles().numbers()) return SP_EINVAL;
  if (!watcher.entries.empty() && args->kind != SP_POINTER_VALID) return SP_EFAULT;
  for (const Watchers::Entry& entry : watcher.entries) {
    if (watcher.mechanism == SP_WSAPOLL && (entry.events & stack->profile().refused_poll_flags) != 0) return SP_EINVAL;
  }
  if (args->timeout_kind != 0) return watcher.mechanism == SP_PPOLL ? SP_EINVAL : SP_NOT_SUPPORTED;
  Wait wait{stack, watcher.entries, {}, false};
  for (const Watchers::Entry& entry : wait.entries) wait.files.push_back(FileOf(stack, entry.handle));
  int64_t timeout = args->timeout_ns;
  // poll counts in milliseconds: up to the next one.
  if (timeout > 0 && watcher.mechanism != SP_PPOLL) timeout = (timeout + kMillisecond - 1) / kMillisecond * kMillisecond;
  if (const int32_t error = WaitFor(wait, timeout); error != SP_OK) return error;
  *value = 0;
  for (std::size_t i = 0; i < wait.entries.size(); ++i) {
    const uint32_t events = wait.Seen(i);
    if (events == 0) continue;
    ++*value;
    Deliver(args, wait.entries[i].cookie, events);
  }
  return SP_OK;
}

int32_t WaitSelect(Stack* stack, const Watchers::Watcher& watcher, sp_watch_wait_args* args, int64_t* value) {
  if (args->timeout_kind != 0) return SP_EINVAL;
  if (args->kind == SP_POINTER_INVALID && !watcher.entries.empty()) return SP_EFAULT;
  Wait wait{stack, {}, {}, true};
  if (args->kind == SP_POINTER_VALID) wait.entries = watcher.entries;
  if (wait.entries.empty() && stack->profile().select_nothing != SP_OK) return stack->profile().select_nothing;
  for (const Watchers::Entry& entry : wait.entries) {
    Hold file = FileOf(stack, entry.handle);
    if (!file) return stack->profile().bad_handle;
    const bool socket = dynamic_cast<Socket*>(file.get()) != nullptr;
    if (!socket && stack->profile().select_not_socket != SP_OK) return stack->profile().select_not_socket;
    wait.files.push_back(std::move(file));
  }
  if (const int32_t error = WaitFor(wait, args->timeout_ns); error != SP_OK) return error;
  *value = 0;
  std::set<std::pair<int64_t, uint32_t>> counted;  // an fd_set has each of them once
  for (std::size_t i = 0; i < wait.entries.size(); ++i) {
    const uint32_t events = wait.Seen(i);
    for (const uint32_t bit : {SP_IN, SP_OUT, SP_PRI}) {
      if ((events & bit) != 0 && counted.emplace(wait.entries[i].handle.value, bit).second) ++*value;
    }
    if (events != 0) Deliver(args, wait.entries[i].cookie, events);
  }
  return SP_OK;
}

int32_t SetList(Watchers::Watcher* watcher, uint32_t op, const sp_handle& handle, const sp_watch_set_args& args) {
  if (args.flags != 0) return SP_NOT_SUPPORTED;
  const bool nowhere = handle.kind == SP_HANDLE_INVALID || (args.events & ~(SP_IN | SP_OUT | SP_PRI)) != 0;
  if (op != SP_OP_WATCH_REMOVE && IsSelect(watcher->mechanism) && nowhere) return SP_NOT_SUPPORTED;  // no fd_set says that
  auto& entries = watcher->entries;
  const auto same = [&](const Watchers::Entry& entry) {
    return entry.handle.kind == handle.kind && (handle.kind != SP_HANDLE_SOCKET || entry.handle.value == handle.value);
  };
  if (op == SP_OP_WATCH_ADD) {
    entries.push_back({handle, args.events, args.cookie});
    return SP_OK;
  }
  const auto found = std::find_if(entries.begin(), entries.end(), same);
  if (found == entries.end()) return SP_ENOENT;
  if (op == SP_OP_WATCH_MODIFY) {
    found->events = args.events;
    found->cookie = args.cookie;
  } else {
    entries.erase(std::remove_if(entries.begin(), entries.end(), same), entries.end());
  }
  return SP_OK;
}

int32_t SetEpoll(Stack* stack, uint32_t op, const sp_handle& handle, const sp_watch_set_args& args) {
  const Hold watcher = FileOf(stack, args.watcher);
  const Hold file = FileOf(stack, handle);
  if (!watcher || !file) return SP_EBADF;
  if (dynamic_cast<PlainFile*>(file.get()) != nullptr) return SP_EPERM;
  auto* epoll = dynamic_cast<Epoll*>(watcher.get());
  if (epoll == nullptr || file.get() == epoll) return SP_EINVAL;
  switch (op) {
    case SP_OP_WATCH_ADD:
      return epoll->Add(handle.value, file.file(), args);
    case SP_OP_WATCH_MODIFY:
      return epoll->Modify(handle.value, file.file(), args);
    default:
      return epoll->Remove(handle.value, file.file());
  }
}

bool Offered(const Profile& profile, int32_t mechanism) {
  switch (mechanism) {
    case SP_POLL:
    case SP_PPOLL:
    case SP_PSELECT:
      return profile.capabilities.count(SP_CAP_POLL) != 0;
    case SP_EPOLL:
      return profile.capabilities.count(SP_CAP_EPOLL) != 0;
    case SP_SELECT:
      return true;
    case SP_WSAPOLL:
      return profile.conditional;
    case SP_EVENT_OBJECT:
      return profile.capabilities.count(SP_CAP_EVENT_OBJECTS) != 0;
    default:
      return false;
  }
}

}  // namespace

int64_t Watchers::Add(int32_t mechanism) {
  watchers_[next_].mechanism = mechanism;
  if (mechanism == SP_EVENT_OBJECT) watchers_[next_].event = std::make_shared<EventObject>();
  return next_++;
}

Watchers::Watcher* Watchers::Find(int64_t handle) {
  const auto found = watchers_.find(handle);
  return found == watchers_.end() ? nullptr : &found->second;
}

void WatchCreate(Stack* stack, const sp_watch_create_args& args, sp_result* result) {
  if (!Offered(stack->profile(), args.mechanism)) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  if (args.mechanism != SP_EPOLL) {
    if ((args.modes & ~static_cast<uint32_t>(SP_CLOSE_ON_EXEC)) != 0) {
      result->error = SP_NOT_SUPPORTED;
      return;
    }
    result->handle = {SP_HANDLE_WATCHER, 0, stack->watchers().Add(args.mechanism)};
    result->value = 0;
    return;
  }
  if ((args.modes & (SP_NONBLOCKING | SP_ASYNC)) != 0) {
    result->error = SP_NOT_SUPPORTED;
  } else if ((args.modes & SP_MODE_UNKNOWN_BIT) != 0) {
    result->error = SP_EINVAL;
  } else if (result->error = stack->handles().Room(); result->error == SP_OK) {
    result->value = stack->handles().Add(Hold(std::make_shared<Epoll>(stack)), (args.modes & SP_CLOSE_ON_EXEC) != 0);
    result->handle = {SP_HANDLE_WATCHER, 0, result->value};
  }
}

void WatchSet(Stack* stack, uint32_t op, const sp_handle& handle, const sp_watch_set_args& args, sp_result* result) {
  const bool listed = Watchers::IsOne(args.watcher);
  const Watchers::Watcher* object = listed ? stack->watchers().Find(args.watcher.value) : nullptr;
  // Who has no epoll can mean nothing but an event object by an invalid handle.
  if ((object != nullptr && object->event != nullptr) || (!listed && Offered(stack->profile(), SP_EVENT_OBJECT))) {
    const uint32_t mask = op == SP_OP_WATCH_REMOVE ? 0 : args.events;
    SelectEvents(stack, handle, object != nullptr ? object->event : nullptr, mask, args.cookie, result);
    return;
  }
  if (!listed) {
    result->error = SetEpoll(stack, op, handle, args);
  } else if (Watchers::Watcher* watcher = stack->watchers().Find(args.watcher.value); watcher != nullptr) {
    result->error = Watchers::IsOne(handle) ? SP_NOT_SUPPORTED : SetList(watcher, op, handle, args);
  } else {
    result->error = SP_EBADF;
  }
  if (result->error == SP_OK) result->value = 0;
}

void WatchWait(Stack* stack, const sp_handle& handle, sp_watch_wait_args* args, sp_result* result) {
  args->count = 0;
  int64_t value = -1;
  if (!Watchers::IsOne(handle)) {
    const Hold file = FileOf(stack, handle);
    auto* epoll = dynamic_cast<Epoll*>(file.get());
    result->error = !file ? SP_EBADF : epoll == nullptr ? SP_EINVAL : epoll->Wait(args, &value);
  } else if (const Watchers::Watcher* found = stack->watchers().Find(handle.value); found != nullptr) {
    const Watchers::Watcher watcher = *found;
    if (watcher.event != nullptr) {
      WaitForEvents(stack, watcher.event, args, result);
      return;
    }
    result->error =
        IsSelect(watcher.mechanism) ? WaitSelect(stack, watcher, args, &value) : WaitPoll(stack, watcher, args, &value);
  } else {
    result->error = SP_EBADF;
  }
  if (result->error == SP_OK) result->value = value;
}

void WatchClose(Stack* stack, const sp_handle& handle, sp_result* result) {
  if (Watchers::IsOne(handle)) {
    result->error = stack->watchers().Remove(handle.value) ? SP_OK : SP_EBADF;
  } else {
    const Hold file = handle.kind == SP_HANDLE_WATCHER ? stack->handles().Remove(handle.value) : Hold();
    result->error = file ? SP_OK : SP_EBADF;
  }
  if (result->error == SP_OK) result->value = 0;
}

}  // namespace sockproof::reference
