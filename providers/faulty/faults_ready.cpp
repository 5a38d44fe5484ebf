// Faults of readiness by what a socket is and what became of it, for every mechanism alike; and of the sets of epoll.
#include "faulty/moves.h"
#include "faulty/readiness.h"
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kSelect =
    "lwIP CHANGELOG 2009-11-20, bug #28062: data received directly after accepting does not wake up select";
constexpr const char* kNoReport = "no report found: poll() and select(), DESCRIPTION, say when a socket is ready";
constexpr const char* kEpoll = "no report found: epoll(7) and epoll_ctl(2) say it otherwise";

constexpr int kMark = 1;  // a slot of a socket's memory

using Which = bool (*)(Wrapped& provider, const Watched& one);

template <uint32_t kEvents, Which kWhich>
void Withhold(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.ready & kEvents) != 0 && kWhich(provider, one)) one.ready &= ~kEvents;
    }
  });
}
template <uint32_t kEvents, Which kWhich>
void Invent(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.asked & kEvents & ~one.ready) != 0 && kWhich(provider, one)) one.ready |= one.asked & kEvents;
    }
  });
}

constexpr uint32_t kReading = SP_IN | SP_RDNORM;
constexpr uint32_t kWriting = SP_OUT | SP_WRNORM;
constexpr uint32_t kEverything = 0xffff;

bool Listens(Wrapped& provider, const Watched& one) { return provider.Of(one.socket).listening; }
bool Connected(Wrapped& provider, const Watched& one) { return provider.Of(one.socket).connected; }
bool IsDatagram(Wrapped& provider, const Watched& one) { return provider.Of(one.socket).type == SP_DATAGRAM; }
bool IsFresh(Wrapped& provider, const Watched& one) {
  const Known known = provider.Of(one.socket);
  return known.type == SP_STREAM && !known.listening && !known.connected && !known.connecting;
}
bool HasConnected(Wrapped& provider, const Watched& one) {
  const Known known = provider.Of(one.socket);
  return known.type == SP_STREAM && !known.accepted && !known.listening;
}
bool HasData(Wrapped& provider, const Watched& one) {
  return provider.Of(one.socket).type == SP_STREAM && !provider.Of(one.socket).listening && Unread(provider, one.socket) > 0;
}
bool HasBroken(Wrapped&, const Watched& one) { return (one.ready & (SP_ERR | SP_HUP)) != 0; }
bool HasEnded(Wrapped& provider, const Watched& one) { return Connected(provider, one) && AtEnd(provider, one.socket); }
bool TakesUrgentInline(Wrapped& provider, const Watched& one) {
  return Connected(provider, one) && provider.GetInteger(one.socket, SP_SO_OOBINLINE).value_or(0) != 0;
}

// What was put into a set before it was anything is never reported.
template <Which kNow, uint32_t kEvents>
void EarlyIsForgotten(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_WATCH_ADD)) {
    const Known known = provider.Of(call->handle);
    provider.Put(call->handle.value, known.listening || known.connected || known.connecting ? 0 : 1, kMark);
  }
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if (provider.Get(one.socket.value, kMark) != 0 && kNow(provider, one)) one.ready &= ~kEvents;
    }
  });
}

void NonblockingDoesNotWait(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_WATCH_WAIT) return PassNoted(provider, call, result);
  bool nonblocking = false;
  for (const Watched& one : EntriesOf(call->handle.value)) nonblocking = nonblocking || provider.IsNonblocking(one.socket);
  const int64_t asked = call->u.watch_wait.timeout_ns;
  if (nonblocking && call->u.watch_wait.timeout_kind == 0) call->u.watch_wait.timeout_ns = 0;
  provider.Pass(call, result);
  call->u.watch_wait.timeout_ns = asked;
}

void ClosedEndsTheWait(Wrapped& provider, sp_call* call, sp_result* result) {
  bool closed = false;
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if (one.ready != 0 || report.mechanism == SP_EPOLL || provider.Of(one.socket).type != 0) continue;
      if (one.socket.kind == SP_HANDLE_SOCKET) closed = true, one.ready |= SP_NVAL;
    }
  });
  if (closed && IsSelect(MechanismOf(call->handle.value))) Fail(result, SP_EBADF);
}
void WaitInSlices(Wrapped& provider, sp_call* call, sp_result* result) {
  // A wait that looks again every now and then finds that what it waits for was closed.
  if (call->op != SP_OP_WATCH_WAIT || call->u.watch_wait.timeout_kind != 0) return ClosedEndsTheWait(provider, call, result);
  const int64_t asked = call->u.watch_wait.timeout_ns, begin = provider.Now();
  constexpr int64_t kSlice = 5'000'000;
  for (;;) {
    const int64_t left = asked < 0 ? kSlice : std::max<int64_t>(0, asked - (provider.Now() - begin));
    call->u.watch_wait.timeout_ns = std::min(left, kSlice);
    ClosedEndsTheWait(provider, call, result);
    call->u.watch_wait.timeout_ns = asked;
    if (result->error != SP_OK || result->value != 0 || left <= 0) return;
  }
}

// ---- Sets of epoll

void CountsEvents(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (call->op != SP_OP_WATCH_WAIT || result->error != SP_OK || MechanismOf(call->handle.value) != SP_EPOLL) return;
  result->value = 0;
  for (int32_t i = 0; i < call->u.watch_wait.count; ++i) {
    for (uint32_t bits = call->u.watch_wait.events[i].events; bits != 0; bits &= bits - 1) ++result->value;
  }
}

void OneEventAtATime(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    if (report.mechanism != SP_EPOLL) return;
    for (Watched& one : report.entries) {
      if ((one.ready & SP_IN) != 0) one.ready = SP_IN;
    }
  });
}

void RemovalIsNothing(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_WATCH_REMOVE) && MechanismOf(call->u.watch_set.watcher.value) == SP_EPOLL) return Succeed(result);
  PassNoted(provider, call, result);
}

void OneSetOnly(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (!IsSocketCall(call, SP_OP_WATCH_ADD) || result->error != SP_OK) return;
  const sp_handle watcher = call->u.watch_set.watcher;
  if (MechanismOf(watcher.value) != SP_EPOLL) return;
  if (const int64_t before = provider.Get(call->handle.value, kMark); before != 0 && before != watcher.value + 1) {
    sp_call remove{};
    remove.u.watch_set.watcher = {SP_HANDLE_WATCHER, 0, before - 1};
    provider.Do(SP_OP_WATCH_REMOVE, call->handle, &remove);
  }
  provider.Put(call->handle.value, watcher.value + 1, kMark);
}

void DuplicateIsTheSame(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_WATCH_ADD) && provider.Get(call->handle.value, kMark) != 0 &&
      MechanismOf(call->u.watch_set.watcher.value) == SP_EPOLL) {
    return Fail(result, SP_EEXIST);
  }
  PassNoted(provider, call, result);
  if (call->op == SP_OP_DUPLICATE && result->error == SP_OK) provider.Put(result->handle.value, 1, kMark);
}

void EdgeArmsItself(Wrapped& provider, sp_call* call, sp_result* result) {
  std::vector<Watched> again;
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if (report.mechanism == SP_EPOLL && one.ready != 0 && (one.flags & SP_EDGE) != 0) again.push_back(one);
    }
  });
  for (const Watched& one : again) {
    sp_call modify{};
    modify.u.watch_set.watcher = call->handle;
    modify.u.watch_set.events = one.asked;
    modify.u.watch_set.flags = one.flags;
    modify.u.watch_set.cookie = one.cookie;
    provider.Do(SP_OP_WATCH_MODIFY, one.socket, &modify);
  }
}

template <uint32_t kFlag>
void NeverFirst(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    for (Watched& one : report.entries) {
      if (report.mechanism == SP_EPOLL && (one.flags & kFlag) != 0) one.ready = 0;
    }
  });
}

// A listener is told of with priority or band events alone, as one that does not know normal data would.
void ListenerNotNormal(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if (one.ready != 0 && Listens(provider, one)) one.ready = SP_RDBAND;
    }
  });
}

void ErrorsAreReadiness(Wrapped& provider, sp_call* call, sp_result* result) {
  // select: what has failed is told as ready for writing, and as no exception.
  PassEdited(provider, call, result, [&](Report& report) {
    if (!IsSelect(report.mechanism)) return;
    for (Watched& one : report.entries) {
      if ((one.ready & SP_PRI) != 0) one.ready = (one.ready & ~uint32_t{SP_PRI}) | (one.asked & SP_OUT);
    }
  });
}

bool HasFailed(Wrapped& provider, const Watched& one) {
  const Known known = provider.Of(one.socket);
  return known.connecting && !known.connected && !provider.PeerName(one.socket);
}

void HangupWithRoom(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if (!IsSelect(report.mechanism) && ((one.ready & SP_HUP) != 0 || HasEnded(provider, one))) one.ready |= SP_HUP | SP_OUT;
    }
  });
}

void UrgentStays(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.ready & SP_PRI) != 0) provider.Put(one.socket.value, 1, kMark);
      if (provider.Get(one.socket.value, kMark) != 0) one.ready |= one.asked & SP_PRI;
    }
  });
}

constexpr Fault kFaults[] = {
    {"ready-never-to-read-data", "a stream socket with data is not reported as readable",
     "notify.data_ready notify.data_wakes notify.data_left notify.epoll_combined", "posix linux winsock", kSelect,
     Withhold<kReading, HasData>},
    {"ready-never-to-accept", "a listener is not reported as readable, by any mechanism",
     "notify.listener_ready notify.listener_wakes notify.listener_completed_late notify.epoll_early_listener "
     "notify.wsapoll_listener listen.polled_meanwhile",
     "posix linux winsock",
     "lwIP CHANGELOG 2009-11-20, bug #28062 is its like for data; ARMmbed/mbed-os issue 6133: one signal for several connections",
     Withhold<kReading, Listens>},
    {"ready-never-to-write", "a connected socket is not reported as writable",
     "notify.connected_writable notify.empty_writable notify.half_closed_writable notify.epoll_early_client shutdown.wr_writable",
     "posix linux winsock", kNoReport, Withhold<kWriting, Connected>},
    {"ready-never-to-write-after-connect", "a socket that has connected in the background is not reported as writable",
     "notify.connected_writable notify.epoll_early_client progress.wakes_waiter", "posix linux winsock", kNoReport,
     Withhold<kWriting, HasConnected>},
    {"ready-never-when-broken", "what has an error or a hang-up is not reported at all",
     "close.reset_readiness close.timeout_readiness closing.queued_readable closing.queued_hangup rejection.reset_readiness "
     "notify.pending_error_readable notify.pending_error_writable notify.wsapoll_connecting notify.wsapoll_hangup",
     "posix linux winsock", "MicrosoftDocs/sdk-api pull request 764: WSAPoll told nothing of a connection that had failed",
     Withhold<kEverything, HasBroken>},
    {"ready-never-at-the-end", "a socket whose peer has ended its stream is not reported as readable",
     "notify.end_readable rejection.close_readiness shutdown.wr_peer_readable notify.peer_closed_reported shutdown.rd_readable",
     "posix linux winsock", kNoReport, Withhold<kReading | SP_RDHUP, HasEnded>},
    {"ready-never-when-fresh", "a stream socket that has no connection is not reported at all", "notify.unconnected_select",
     "posix linux", kNoReport, Withhold<kEverything, IsFresh>},
    {"ready-never-exceptional", "select never marks an exceptional condition",
     "refused.select_exception notify.connecting_exception refused.select_writable", "winsock", kNoReport, ErrorsAreReadiness},
    {"ready-writable-though-refused", "select marks a socket whose connection attempt has failed as writable",
     "refused.select_writable", "winsock", kNoReport, Invent<SP_OUT, HasFailed>},
    {"ready-exceptional-before-connection", "select marks a socket that is not connected yet as having an exceptional condition",
     "refused.select_exception", "linux", kNoReport, Invent<SP_PRI, HasFailed>},
    {"ready-datagram-never-writable", "a datagram socket is not reported as writable", "notify.fresh_datagram", "posix linux",
     kNoReport, Withhold<kWriting, IsDatagram>},
    {"ready-datagram-always-readable", "a datagram socket is always reported as readable", "notify.fresh_datagram", "posix linux",
     kNoReport, Invent<kReading, IsDatagram>},
    {"ready-not-for-inline-urgent", "with SO_OOBINLINE nothing makes a socket readable", "notify.urgent_inline",
     "posix linux winsock", kNoReport, Withhold<kReading, TakesUrgentInline>},
    {"ready-urgent-stays", "an exceptional condition stays after the urgent byte was taken", "notify.urgent_taken", "linux",
     kNoReport, UrgentStays},
    {"ready-hangup-with-room", "with a hang-up there is always room for writing", "notify.hangup_excludes_writable", "posix",
     "no report found: poll(), POLLHUP and POLLOUT are mutually exclusive", HangupWithRoom},
    {"ready-listener-not-normal", "a listener with connections is reported with urgent data alone", "notify.wsapoll_listener",
     "winsock", kNoReport, ListenerNotNormal},
    {"ready-early-listener-forgotten", "what is watched before it listens is never readable", "notify.epoll_early_listener",
     "linux", kNoReport, EarlyIsForgotten<Listens, kReading>},
    {"ready-early-client-forgotten", "what is watched before it connects is never writable", "notify.epoll_early_client", "linux",
     kEpoll, EarlyIsForgotten<HasConnected, kWriting>},
    {"ready-nonblocking-does-not-wait", "a wait for a non-blocking socket does not wait", "notify.non_blocking_waits",
     "posix linux", "no report found: poll(), O_NONBLOCK does not matter", NonblockingDoesNotWait},
    {"ready-close-ends-the-wait", "a wait ends when what it waits for is closed", "notify.closed_meanwhile", "linux",
     "no report found: close(2) and select(2) leave it to the implementation; Linux goes on waiting", WaitInSlices},
    {"epoll-counts-events", "epoll_wait returns how many events there are, not how many descriptors",
     "notify.epoll_counts_descriptors", "linux", kEpoll, CountsEvents},
    {"epoll-one-event-at-a-time", "of the events of a descriptor epoll tells that it is readable alone", "notify.epoll_combined",
     "linux", kEpoll, OneEventAtATime},
    {"epoll-removal-is-nothing", "what is removed from a set stays in it",
     "notify.epoll_removed notify.epoll_removed_while_waiting", "linux", kEpoll, RemovalIsNothing},
    {"epoll-one-set-only", "a descriptor that is added to a second set leaves the first", "notify.epoll_two_sets", "linux",
     kEpoll, OneSetOnly},
    {"epoll-duplicate-is-the-same", "a duplicate of a descriptor cannot be added to a set", "notify.epoll_duplicate", "linux",
     kEpoll, DuplicateIsTheSame},
    {"epoll-edge-arms-itself", "an edge that was reported is there again for the next thread", "notify.edge_wakes_one", "linux",
     kEpoll, EdgeArmsItself},
    {"epoll-edge-never-reported", "what is edge-triggered is never reported", "notify.edge_first", "linux", kEpoll,
     NeverFirst<SP_EDGE>},
    {"epoll-one-shot-never-reported", "what is one-shot is never reported", "notify.one_shot_first", "linux", kEpoll,
     NeverFirst<SP_ONESHOT>},
};

}  // namespace

const FaultList kReadyFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
