// Faults of epoll alone: what is in a set, edges, single shots, exclusive wake-ups.
#include "faulty/readiness.h"
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kUndrained = 1, kSpent, kInFlight };

bool IsSet(const sp_call* call) { return call->op == SP_OP_WATCH_ADD || call->op == SP_OP_WATCH_MODIFY; }
bool IsEpollSet(const sp_call* call) { return IsSet(call) && MechanismOf(call->u.watch_set.watcher.value) == SP_EPOLL; }
bool IsEpollWait(const sp_call* call) { return call->op == SP_OP_WATCH_WAIT && MechanismOf(call->handle.value) == SP_EPOLL; }

// Carries a change of a set out with other flags or events.
void PassAs(Wrapped& provider, sp_call* call, sp_result* result, uint32_t events, uint32_t flags) {
  sp_watch_set_args& args = call->u.watch_set;
  const sp_watch_set_args asked = args;
  args.events = events;
  args.flags = flags;
  PassNoted(provider, call, result);
  args = asked;
}

template <uint32_t kAdd, uint32_t kRemove>
void OtherFlags(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!IsEpollSet(call)) return PassNoted(provider, call, result);
  const uint32_t flags = call->u.watch_set.flags;
  PassAs(provider, call, result, call->u.watch_set.events, (flags & ~kRemove) | kAdd);
}

void LevelIsEdge(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsEpollSet(call) && call->u.watch_set.flags == 0) return OtherFlags<SP_EDGE, 0>(provider, call, result);
  PassNoted(provider, call, result);
}

void ExclusiveForAll(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_ADD && IsEpollSet(call) && call->u.watch_set.flags == 0 && call->u.watch_set.events == SP_IN &&
      provider.Of(call->handle).listening) {
    return OtherFlags<SP_EXCLUSIVE, 0>(provider, call, result);
  }
  PassNoted(provider, call, result);
}

void ExclusiveForNobody(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsEpollSet(call) && (call->u.watch_set.flags & SP_EXCLUSIVE) != 0) {
    PassNoted(provider, call, result);  // whether it may be
    if (result->error != SP_OK) return;
    sp_call remove = *call;
    sp_result removed{};
    remove.op = SP_OP_WATCH_REMOVE;
    provider.Pass(&remove, &removed);
    return;
  }
  PassNoted(provider, call, result);
}

void TakeExclusive(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (!IsEpollSet(call) || result->error != SP_EINVAL) return;
  bool was_exclusive = false;
  for (const Watched& one : EntriesOf(call->u.watch_set.watcher.value)) {
    was_exclusive = was_exclusive || (one.socket.value == call->handle.value && (one.flags & SP_EXCLUSIVE) != 0);
  }
  if ((call->u.watch_set.flags & SP_EXCLUSIVE) != 0 || was_exclusive) Succeed(result);
}

void ForgetSpent(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (!IsEpollWait(call) || result->error != SP_OK) return;
  for (const Watched& one : EntriesOf(call->handle.value)) {
    for (int32_t i = 0; i < call->u.watch_wait.count; ++i) {
      if ((one.flags & SP_ONESHOT) == 0 || call->u.watch_wait.events[i].cookie != one.cookie) continue;
      sp_call remove{};
      remove.u.watch_set.watcher = call->handle;
      provider.Do(SP_OP_WATCH_REMOVE, one.socket, &remove);
    }
  }
}

template <uint32_t kFlag>
void IgnoreChange(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_MODIFY && IsEpollSet(call)) {
    for (const Watched& one : EntriesOf(call->u.watch_set.watcher.value)) {
      if (one.socket.value == call->handle.value && (kFlag == 0 || (one.flags & kFlag) != 0)) return Succeed(result);
    }
  }
  PassNoted(provider, call, result);
}

void KeepOldCookie(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_MODIFY && IsEpollSet(call)) {
    for (const Watched& one : EntriesOf(call->u.watch_set.watcher.value)) {
      if (one.socket.value == call->handle.value) call->u.watch_set.cookie = one.cookie;
    }
  }
  PassNoted(provider, call, result);
}

void CutCookie(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (!IsEpollWait(call) || result->error != SP_OK) return;
  for (int32_t i = 0; i < call->u.watch_wait.count; ++i) call->u.watch_wait.events[i].cookie &= 0xffffffff;
}

// More data while there is still some makes no edge: what counts is that the socket was not readable before.
void EdgeOnlyFromEmpty(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.flags & SP_EDGE) == 0 || (one.ready & SP_IN) == 0 || provider.Of(one.socket).listening) continue;
      if (provider.Get(one.socket.value, kUndrained) != 0) one.ready &= ~static_cast<uint32_t>(SP_IN);
      provider.Put(one.socket.value, 1, kUndrained);
    }
  });
  if (Is(call, SP_OP_RECV) && (result->error != SP_OK || Unread(provider, call->handle) == 0)) {
    provider.Put(call->handle.value, 0, kUndrained);
  }
}

// A listener makes an edge when its queue was empty, and for no further connection.
void EdgePerQueue(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.flags & SP_EDGE) == 0 || (one.ready & SP_IN) == 0 || !provider.Of(one.socket).listening) continue;
      if (provider.Add(one.socket.value, 1, 100 + static_cast<int>(report.watcher)) > 1) one.ready = 0;
    }
  });
}

// A socket that was closed stays in the sets that it was in.
void KeepClosed(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_ADD && IsEpollSet(call)) provider.Put(call->handle.value, 1, kSpent);
  if (call->op == SP_OP_CLOSE && call->handle.kind == SP_HANDLE_SOCKET && provider.Get(call->handle.value, kSpent) != 0) {
    sp_call duplicate{};
    provider.Do(SP_OP_DUPLICATE, call->handle, &duplicate);
    if (provider.Of(call->handle).connected) provider.Shutdown(call->handle, SP_SHUT_RDWR);
  }
  PassNoted(provider, call, result);
}

// What has the number of a closed socket that was in a set is taken for it.
void TakeForClosed(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t watcher = call->u.watch_set.watcher.value;
  if (!IsEpollSet(call)) return PassNoted(provider, call, result);
  const int slot = static_cast<int>(call->handle.value);
  const bool stale = provider.Get(watcher, slot) != 0;
  PassNoted(provider, call, result);
  if (result->error == SP_OK && call->op == SP_OP_WATCH_ADD && stale) {
    provider.Put(watcher, 1, slot);
    sp_call remove = *call;
    sp_result removed{};
    remove.op = SP_OP_WATCH_REMOVE;
    PassNoted(provider, &remove, &removed);
    return Fail(result, SP_EEXIST);
  }
  if (result->error == SP_OK) provider.Put(watcher, 1, slot);
  if (result->error == SP_ENOENT && call->op == SP_OP_WATCH_MODIFY && stale) Succeed(result);
}

// With a copy left, a closed descriptor is out of the set all the same.
void CloseTakesOut(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_ADD && IsEpollSet(call)) provider.Put(call->handle.value, call->u.watch_set.watcher.value, kSpent);
  if (call->op == SP_OP_CLOSE && call->handle.kind == SP_HANDLE_SOCKET && provider.Get(call->handle.value, kSpent) != 0) {
    sp_call remove{};
    remove.u.watch_set.watcher = {SP_HANDLE_WATCHER, 0, provider.Get(call->handle.value, kSpent)};
    provider.Do(SP_OP_WATCH_REMOVE, call->handle, &remove);
  }
  PassNoted(provider, call, result);
}

// Changes of a set while it is waited for take effect with the next wait.
struct Late {
  std::mutex mutex;
  std::map<int64_t, std::vector<sp_call>> calls;
};
void ChangeLater(Wrapped& provider, sp_call* call, sp_result* result) {
  static Late* late = new Late;
  if (IsEpollWait(call)) {
    const int64_t watcher = call->handle.value;
    std::vector<sp_call> now;
    {
      const std::lock_guard<std::mutex> lock(late->mutex);
      now.swap(late->calls[watcher]);
    }
    for (sp_call& one : now) {
      sp_result ignored{};
      PassNoted(provider, &one, &ignored);
    }
    provider.Add(watcher, 1, kInFlight);
    PassNoted(provider, call, result);
    provider.Add(watcher, -1, kInFlight);
    return;
  }
  if (IsEpollSet(call) && provider.Get(call->u.watch_set.watcher.value, kInFlight) > 0) {
    const std::lock_guard<std::mutex> lock(late->mutex);
    late->calls[call->u.watch_set.watcher.value].push_back(*call);
    return Succeed(result);
  }
  PassNoted(provider, call, result);
}

void NestedIsQuiet(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    for (Watched& one : report.entries) {
      if (one.socket.kind == SP_HANDLE_WATCHER || MechanismOf(one.socket.value) == SP_EPOLL) one.ready = 0;
    }
  });
}

void CountBeyondRoom(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (IsEpollWait(call) && result->error == SP_OK && call->u.watch_wait.capacity > 0 &&
      result->value == call->u.watch_wait.capacity) {
    ++result->value;
  }
}

// With little room, always the same ones.
void Starve(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!IsEpollWait(call) || call->u.watch_wait.kind != SP_POINTER_VALID || call->u.watch_wait.capacity <= 0) {
    return PassNoted(provider, call, result);
  }
  const std::vector<Watched> entries = EntriesOf(call->handle.value);
  for (const Watched& one : entries) {
    if (one.flags != 0) return provider.Pass(call, result);
  }
  sp_watch_wait_args& args = call->u.watch_wait;
  const sp_watch_wait_args asked = args;
  std::vector<sp_event> events(entries.size() + 1);
  args.events = events.data();
  args.capacity = static_cast<int32_t>(events.size());
  provider.Pass(call, result);
  const int32_t count = args.count;
  args = asked;
  if (result->error != SP_OK) return;
  std::sort(events.begin(), events.begin() + count, [](const sp_event& a, const sp_event& b) { return a.cookie < b.cookie; });
  args.count = std::min(count, asked.capacity);
  std::copy_n(events.begin(), args.count, args.events);
  result->value = args.count;
}

template <bool kOn>
void CloseOnExec(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_WATCH_CREATE || call->u.watch_create.mechanism != SP_EPOLL) return provider.Pass(call, result);
  const uint32_t modes = call->u.watch_create.modes;
  call->u.watch_create.modes = (modes & ~static_cast<uint32_t>(SP_CLOSE_ON_EXEC)) | (kOn ? SP_CLOSE_ON_EXEC : 0);
  provider.Pass(call, result);
  call->u.watch_create.modes = modes;
}

template <int32_t kFrom>
void ControlSucceeds(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op >= SP_OP_WATCH_ADD && call->op <= SP_OP_WATCH_REMOVE && result->error == kFrom) Succeed(result);
}

template <int32_t kFrom, int32_t kTo>
void ControlTellsAs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op >= SP_OP_WATCH_ADD && call->op <= SP_OP_WATCH_WAIT && result->error == kFrom) Fail(result, kTo);
}

constexpr Fault kFaults[] = {
    {"epoll-level-is-edge", "a socket that stays ready is reported once",
     "notify.data_left notify.end_readable notify.epoll_round_robin", "linux",
     "mTCP issue 297: epoll forgets events that are not edge-triggered", LevelIsEdge},
    {"epoll-edge-is-level", "EPOLLET has no effect", "notify.edge_once", "linux",
     "Shadow issue 169: edge-triggered mode was not supported", OtherFlags<0, SP_EDGE>},
    {"epoll-one-shot-ignored", "EPOLLONESHOT has no effect", "notify.one_shot_disabled", "linux",
     "Shadow issue 349: an event is reported several times in one-shot mode", OtherFlags<0, SP_ONESHOT>},
    {"epoll-one-shot-forgotten", "a one-shot entry leaves the set when it was reported",
     "notify.one_shot_still_there notify.one_shot_rearmed", "linux",
     "NuttX pull request 8871: a one-shot node was moved to the free list, where a change does not find it", ForgetSpent},
    {"epoll-one-shot-not-rearmed", "a change does not arm a one-shot entry again", "notify.one_shot_rearmed", "linux",
     "Shadow issue 349: no event is reported after EPOLL_CTL_MOD has armed it again", IgnoreChange<SP_ONESHOT>},
    {"epoll-edge-not-rearmed", "a change of an edge-triggered entry has no effect", "notify.edge_modified", "linux",
     "Shadow issue 343: no event in edge-triggered mode after EPOLL_CTL_MOD", IgnoreChange<SP_EDGE>},
    {"epoll-change-ignored", "a change of an entry has no effect", "notify.epoll_modified notify.epoll_modified_while_waiting",
     "linux", "tgoskits pull request 314: after EPOLL_CTL_MOD the ready queue still held the old entry", IgnoreChange<0>},
    {"epoll-change-keeps-data", "a change of an entry leaves its data as they were", "notify.epoll_modified", "linux",
     "tgoskits pull request 314: an event after EPOLL_CTL_MOD has to carry the new data", KeepOldCookie},
    {"epoll-data-cut", "the data of an event come back cut to 32 bits", "notify.several_sockets notify.epoll_modified", "linux",
     "no report found: epoll_ctl(2) gives the data 64 bits", CutCookie},
    {"epoll-edge-only-from-empty", "more data while some is left makes no edge", "notify.edge_again", "linux",
     "tgoskits pull request 1034: an edge is what was not ready when epoll_wait looked last; unikraft pull request 1297",
     EdgeOnlyFromEmpty},
    {"epoll-edge-once-per-listener", "only the first connection of a listener is an edge", "notify.edge_every_connection",
     "linux", "OSv issue 974: a server with edge-triggered epoll accepts no connection after the first", EdgePerQueue},
    {"epoll-exclusive-for-all", "every set that holds a listener is woken exclusively", "notify.all_sets_woken", "linux",
     "no report found: epoll_ctl(2) says that without EPOLLEXCLUSIVE all are woken", ExclusiveForAll},
    {"epoll-exclusive-wakes-nobody", "an entry with EPOLLEXCLUSIVE is never reported",
     "notify.exclusive_wakes notify.exclusive_mixed", "linux", "no report found: epoll_ctl(2) says that at least one is woken",
     ExclusiveForNobody},
    {"epoll-exclusive-unlimited", "EPOLLEXCLUSIVE is taken wherever it is asked for",
     "notify.exclusive_modify notify.exclusive_events notify.exclusive_set", "linux",
     "tgoskits pull request 1018: EPOLLEXCLUSIVE was taken with EPOLL_CTL_MOD and with EPOLLONESHOT", TakeExclusive},
    {"epoll-reports-closed", "a socket that was closed is still reported", "notify.epoll_closed accept.stale_event", "linux",
     "mushroom pull request 130: epoll returned events for closed descriptors; nanos pull request 355", KeepClosed},
    {"epoll-takes-number-for-socket", "a new socket with the number of one that was in the set is taken for that",
     "notify.epoll_number_reused progress.epoll_forgets_closed", "linux",
     "nanos pull request 1178: EPOLL_CTL_ADD of a number that is used again fails with EEXIST", TakeForClosed},
    {"epoll-close-ignores-duplicate", "a closed descriptor leaves the set though a duplicate is open",
     "notify.epoll_closed_one_of_two", "linux",
     "miri issue 5182: on illumos, unlike Linux, the close of the descriptor ends its events", CloseTakesOut},
    {"epoll-change-wakes-nobody", "what is added or changed is not seen by a wait that has begun",
     "notify.epoll_added_while_waiting notify.epoll_modified_while_waiting", "linux",
     "tgoskits pull request 314: a change swallowed the event, and the waiter slept on", ChangeLater},
    {"epoll-nested-quiet", "a set with events is not reported as readable", "notify.epoll_nested", "linux",
     "nanos issue 1192, gVisor issue 6427: an epoll descriptor in another one yields no events", NestedIsQuiet},
    {"epoll-count-beyond-room", "epoll_wait returns one more than there is room for", "notify.epoll_no_more_than_room", "linux",
     "POCO issue 3708: epoll_wait returns a count and there is nothing to go with it", CountBeyondRoom},
    {"epoll-starves", "with little room always the same sockets are reported", "notify.epoll_round_robin", "linux",
     "no report found: epoll_wait(2) says that successive calls go round robin", Starve},
    {"epoll-always-close-on-exec", "an epoll set is always closed on exec", "notify.epoll_modes", "linux",
     "no report found: epoll_create(2) says that EPOLL_CLOEXEC sets it", CloseOnExec<true>},
    {"epoll-never-close-on-exec", "EPOLL_CLOEXEC has no effect", "notify.epoll_modes", "linux",
     "NuttX pull request 5460: what becomes of an epoll descriptor made without EPOLL_CLOEXEC", CloseOnExec<false>},
    {"epoll-add-twice-succeeds", "a descriptor that is in the set can be added again",
     "notify.epoll_add_twice notify.one_shot_still_there", "linux", "no report found: epoll_ctl(2) says EEXIST",
     ControlSucceeds<SP_EEXIST>},
    {"epoll-change-of-nothing-succeeds", "what is not in the set can be changed and removed", "notify.epoll_not_there", "linux",
     "no report found: epoll_ctl(2) says ENOENT", ControlSucceeds<SP_ENOENT>},
    {"epoll-takes-files", "a regular file can be added", "notify.epoll_file", "linux", "no report found: epoll_ctl(2) says EPERM",
     ControlSucceeds<SP_EPERM>},
    {"epoll-takes-loops", "two sets can watch each other", "notify.epoll_loop", "linux",
     "Occlum issue 1490: sets can be nested without limit", ControlSucceeds<SP_ELOOP>},
    {"epoll-bad-handle-told-einval", "a descriptor that is not open is refused with EINVAL",
     "notify.epoll_bad_handle notify.epoll_wait_bad_handle", "linux", "no report found: epoll_ctl(2) says EBADF",
     ControlTellsAs<SP_EBADF, SP_EINVAL>},
    {"epoll-not-epoll-told-ebadf", "what is no epoll set is refused with EBADF",
     "notify.epoll_not_epoll notify.epoll_wait_not_epoll notify.epoll_no_room notify.epoll_itself", "linux",
     "Occlum issue 1490: the errors of epoll_ctl are not those of Linux", ControlTellsAs<SP_EINVAL, SP_EBADF>},
    {"epoll-bad-pointer-told-einval", "an array that cannot be written to is refused with EINVAL",
     "notify.epoll_invalid_pointer notify.poll_invalid_pointer", "linux", "no report found: epoll_wait(2) says EFAULT",
     ControlTellsAs<SP_EFAULT, SP_EINVAL>},
};

}  // namespace

const FaultList kEpollFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
