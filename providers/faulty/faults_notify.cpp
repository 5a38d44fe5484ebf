// Faults of readiness that poll, select and epoll have in common: events missing, early, too many; times and counts wrong.
#include "faulty/readiness.h"
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

constexpr int32_t kAny = -1;  // every mechanism
enum Slot { kSeen = 1 };

bool Fits(int32_t mechanism, int32_t wanted) {
  if (wanted == SP_POLL) return IsPoll(mechanism);
  if (wanted == SP_SELECT) return IsSelect(mechanism);
  return wanted == kAny || mechanism == wanted;
}

// Never reports these events.
template <uint32_t kEvents, int32_t kMechanism>
void Withhold(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    if (!Fits(report.mechanism, kMechanism)) return;
    for (Watched& one : report.entries) one.ready &= ~kEvents;
  });
}

// Never reports these events of a socket of which `what` holds; or always does, where they were asked for.
using What = bool (*)(Wrapped& provider, const Watched& one);

template <uint32_t kEvents, What kWhat, int32_t kMechanism = kAny>
void WithholdOf(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    if (!Fits(report.mechanism, kMechanism)) return;
    for (Watched& one : report.entries) {
      if ((one.ready & kEvents) != 0 && kWhat(provider, one)) one.ready &= ~kEvents;
    }
  });
}

template <uint32_t kEvents, What kWhat>
void Invent(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.asked & kEvents & ~one.ready) != 0 && kWhat(provider, one)) one.ready |= one.asked & kEvents;
    }
  });
}

bool Listens(Wrapped& provider, const Watched& one) { return provider.Of(one.socket).listening; }
bool IsAccepted(Wrapped& provider, const Watched& one) { return provider.Of(one.socket).accepted; }
bool IsConnected(Wrapped& provider, const Watched& one) { return provider.Of(one.socket).connected; }
bool IsConnecting(Wrapped& provider, const Watched& one) {
  const Known known = provider.Of(one.socket);
  return known.connecting && !known.connected;
}
bool HasData(Wrapped& provider, const Watched& one) {
  return provider.Of(one.socket).connected && Unread(provider, one.socket) > 0;
}
bool HasEnded(Wrapped& provider, const Watched& one) { return provider.Of(one.socket).connected && AtEnd(provider, one.socket); }
bool IsMarked(Wrapped& provider, const Watched& one) { return provider.Get(one.socket.value, kSeen) > 0; }

// A listener that has been accepted from once is reported no more while others wait.
void ForgetWaiting(Wrapped& provider, sp_call* call, sp_result* result) {
  WithholdOf<SP_IN, IsMarked>(provider, call, result);
  if (call->op != SP_OP_ACCEPT) return;
  if (result->error == SP_OK) provider.Add(call->handle.value, 1, kSeen);
  if (result->error == SP_EAGAIN) provider.Put(call->handle.value, 0, kSeen);
}

void UnaskedToo(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.ready & SP_OUT) != 0 && (one.asked & SP_IN) == 0 && HasData(provider, one)) one.ready |= SP_IN;
    }
  });
}

void OnlyIfAsked(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    for (Watched& one : report.entries) {
      if (one.asked == 0) one.ready &= ~static_cast<uint32_t>(SP_ERR | SP_HUP);
    }
  });
}

void ErrorStays(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [&](Report& report) {
    if (IsSelect(report.mechanism)) return;
    for (Watched& one : report.entries) {
      if ((one.ready & SP_ERR) != 0) provider.Put(one.socket.value, 1, kSeen);
      if (provider.Get(one.socket.value, kSeen) != 0) one.ready |= SP_ERR;
    }
  });
}

void NoRoomEverAgain(Wrapped& provider, sp_call* call, sp_result* result) {
  WithholdOf<SP_OUT, IsMarked>(provider, call, result);
  if (call->op == SP_OP_SEND && result->error == SP_EAGAIN) provider.Put(call->handle.value, 1, kSeen);
}

void FirstOnly(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    bool found = false;
    for (Watched& one : report.entries) {
      if (found) one.ready = 0;
      found = found || one.ready != 0;
    }
  });
}

void OneEventEach(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    for (Watched& one : report.entries) {
      if ((one.ready & SP_IN) != 0) one.ready &= ~static_cast<uint32_t>(SP_OUT);
    }
  });
}

void NextEntry(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    if (report.entries.size() < 2) return;
    const uint32_t last = report.entries.back().ready;
    for (std::size_t i = report.entries.size() - 1; i > 0; --i) report.entries[i].ready = report.entries[i - 1].ready;
    report.entries[0].ready = last;
  });
}

// ---- Times

template <int32_t kMechanism, int64_t kNumerator, int64_t kDenominator>
void ScaleTime(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_WATCH_WAIT || !Fits(MechanismOf(call->handle.value), kMechanism))
    return PassNoted(provider, call, result);
  int64_t& time = call->u.watch_wait.timeout_ns;
  const int64_t asked = time;
  if (asked > 0) time = asked / kDenominator * kNumerator;
  provider.Pass(call, result);
  time = asked;
}

void NoLimitIsNoTime(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_WATCH_WAIT) return provider.Pass(call, result);
  int64_t& time = call->u.watch_wait.timeout_ns;
  const int64_t asked = time;
  if (asked < 0) time = 100'000'000;
  provider.Pass(call, result);
  time = asked;
}

void NoTimeIsSome(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_WATCH_WAIT) return provider.Pass(call, result);
  int64_t& time = call->u.watch_wait.timeout_ns;
  const int64_t asked = time;
  if (asked == 0 && call->u.watch_wait.timeout_kind == 0) time = 1'000'000'000;
  provider.Pass(call, result);
  time = asked;
}

void TimeOverIsOne(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_WATCH_WAIT && result->error == SP_OK && result->value == 0 && call->u.watch_wait.timeout_ns > 0)
    result->value = 1;
}

void TimeOverIsError(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_WATCH_WAIT && result->error == SP_OK && result->value == 0 && call->u.watch_wait.timeout_ns > 0) {
    Fail(result, SP_ETIMEDOUT);
  }
}

void NeverInterrupted(Wrapped& provider, sp_call* call, sp_result* result) {
  do {
    provider.Pass(call, result);
  } while (call->op == SP_OP_WATCH_WAIT && result->error == SP_EINTR);
}

// A wait that begins with nothing ready is not woken by what comes; it finds it when its time is over.
void MissWakeUp(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_WATCH_WAIT || !IsSelect(MechanismOf(call->handle.value)) || call->u.watch_wait.timeout_kind != 0) {
    return PassNoted(provider, call, result);
  }
  int64_t& time = call->u.watch_wait.timeout_ns;
  const int64_t asked = time;
  time = 0;
  provider.Pass(call, result);
  if (asked != 0 && result->error == SP_OK && result->value == 0) {
    constexpr int64_t kLong = 30'000'000'000;
    provider.Pause(asked < 0 ? kLong : asked);
    provider.Pass(call, result);
  }
  time = asked;
}

void AnyTime(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_WATCH_WAIT || call->u.watch_wait.timeout_kind == 0) return provider.Pass(call, result);
  call->u.watch_wait.timeout_kind = 0;
  provider.Pass(call, result);
  call->u.watch_wait.timeout_kind = 1;
}

// ---- Counts

void CountEvents(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (call->op != SP_OP_WATCH_WAIT || !IsPoll(MechanismOf(call->handle.value)) || result->error != SP_OK) return;
  int64_t bits = 0;
  for (int32_t i = 0; i < call->u.watch_wait.count; ++i) {
    for (uint32_t rest = call->u.watch_wait.events[i].events; rest != 0; rest &= rest - 1) ++bits;
  }
  result->value = bits;
}

void CountDescriptors(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (call->op == SP_OP_WATCH_WAIT && IsSelect(MechanismOf(call->handle.value)) && result->error == SP_OK) {
    result->value = call->u.watch_wait.count;
  }
}

// ---- Entries that are none

void IgnoreInvalid(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (call->op != SP_OP_WATCH_WAIT || !IsPoll(MechanismOf(call->handle.value)) || result->error != SP_OK) return;
  sp_watch_wait_args& args = call->u.watch_wait;
  int32_t kept = 0;
  for (int32_t i = 0; i < args.count; ++i) {
    if ((args.events[i].events & SP_NVAL) == 0) args.events[kept++] = args.events[i];
  }
  result->value -= args.count - kept;
  args.count = kept;
}

void NegativeIsInvalid(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(provider, call, result, [](Report& report) {
    for (Watched& one : report.entries) {
      if (IsPoll(report.mechanism) && one.socket.kind == SP_HANDLE_INVALID) one.ready = SP_NVAL;
    }
  });
}

void ClosedIsQuiet(Wrapped& provider, sp_call* call, sp_result* result) {
  PassNoted(provider, call, result);
  if (call->op == SP_OP_WATCH_WAIT && IsSelect(MechanismOf(call->handle.value)) && result->error == SP_EBADF) Succeed(result, 0);
}

constexpr Fault kFaults[] = {
    {"listener-never-readable-in-select", "select never reports a listener as readable",
     "notify.listener_ready notify.listener_wakes", "posix",
     "lwIP CHANGELOG, bug #29332: lwip_select() processes the set for reading wrongly", WithholdOf<SP_IN, Listens, SP_SELECT>},
    {"listener-always-readable", "a listener is always reported as readable",
     "notify.listener_idle notify.listener_drained backlog.half_open_not_accepted notify.listener_half_open "
     "deferred.reset_is_not_handed_out",
     "posix winsock", "no report found: POSIX.1 accept() says that a listener is readable when there is a connection to accept",
     Invent<SP_IN, Listens>},
    {"listener-readable-once", "a listener is not reported any more once one connection was accepted", "notify.listener_more",
     "posix winsock", "OSv issue 974: a server with epoll accepts no connection after the first", ForgetWaiting},
    {"accepted-not-readable-in-select", "select does not report data of an accepted socket",
     "notify.data_ready notify.data_wakes", "posix",
     "lwIP CHANGELOG, bug #28062: data received directly after accepting does not wake up select",
     WithholdOf<SP_IN, IsAccepted, SP_SELECT>},
    {"always-readable", "a connected socket is reported as readable though there is nothing", "notify.no_data notify.data_taken",
     "posix winsock", "gVisor issue 8998: a socket is readable where it is not on Linux", Invent<SP_IN, IsConnected>},
    {"full-path-writable", "a connected socket is reported as writable though its path is full",
     "data.full_not_writable notify.full_times_out", "posix winsock",
     "lwIP CHANGELOG, bug #34176: select and non-blocking send disagree about room", Invent<SP_OUT, IsConnected>},
    {"never-writable-again", "a socket whose path was full once is not reported as writable any more",
     "data.drained_is_writable notify.drained_wakes_writer", "posix winsock",
     "lwIP CHANGELOG, bug #34176: select after a non-blocking send times out", NoRoomEverAgain},
    {"connecting-writable", "a socket whose connect is under way is reported as writable",
     "notify.connecting_not_ready progress.no_early_events backlog.overflow_not_writable", "posix winsock",
     "no report found: POSIX.1 connect() says that writable stands for the end of the attempt", Invent<SP_OUT, IsConnecting>},
    {"end-not-readable", "the end of a stream is not reported as readable", "notify.end_readable shutdown.wr_peer_readable",
     "linux", "gVisor issue 6015: a poll that waits for the end of the peer's stream times out", WithholdOf<SP_IN, HasEnded>},
    {"hangup-missing", "no hang-up is ever reported", "notify.reset_hangup notify.both_ended_hangup", "linux winsock",
     "gVisor issue 7331: epoll_wait does not return EPOLLHUP on remote close", Withhold<SP_HUP, kAny>},
    {"error-missing", "no error condition is ever reported", "notify.error_reported notify.error_unasked", "posix winsock",
     "gramine pull request 1073: errors and hang-ups were not told apart", Withhold<SP_ERR, kAny>},
    {"error-only-if-asked", "errors and hang-ups are not reported to who asked for no event",
     "notify.error_unasked notify.reset_hangup", "posix winsock",
     "OSv issue 971: poll masks away the events that it does not support", OnlyIfAsked},
    {"error-reported-for-ever", "an error condition stays reported after the error was taken",
     "notify.error_taken refused.poll_error_taken", "linux", "gVisor issue 6666: SO_ERROR takes the error and POLLERR stays",
     ErrorStays},
    {"rdhup-missing", "the end of the peer's stream is never reported as such",
     "notify.peer_shutdown_reported shutdown.wr_peer_rdhup", "linux", "gVisor issue 6015: POLLRDHUP not delivered",
     Withhold<SP_RDHUP, kAny>},
    {"rdhup-always", "who asks for the end of the peer's stream is told of it at once", "notify.peer_open_not_reported", "linux",
     "OSv pull request 1240: POLLRDHUP had the value of another flag", Invent<SP_RDHUP, IsConnected>},
    {"unasked-events", "who waits to write is told of data too", "notify.only_asked", "posix winsock",
     "OSv issue 971: events outside of those asked for were reported", UnaskedToo},
    {"one-event-each", "a socket that is ready for both is reported as readable alone", "notify.both_ready", "posix winsock",
     "mTCP issue 297: one event is generated, and then no more", OneEventEach},
    {"urgent-is-ordinary", "ordinary data is reported as an exceptional condition", "notify.urgent_none", "linux",
     "no report found: poll(2) gives POLLPRI to out-of-band data", Invent<SP_PRI, HasData>},
    {"urgent-never-reported", "no exceptional condition is ever reported", "notify.urgent_exception", "linux winsock",
     "lwIP CHANGELOG, patch #6860: before 1.4.0 select had no support for the set of exceptions", Withhold<SP_PRI, kAny>},
    {"normal-events-missing", "poll does not know POLLRDNORM and POLLWRNORM", "notify.normal_events progress.write_normal",
     "posix", "gVisor issues 5544 and 1659: a poll for POLLWRNORM or POLLRDNORM never returns",
     Withhold<SP_RDNORM | SP_WRNORM, kAny>},
    {"first-ready-only", "of several sockets only the first that is ready is reported", "notify.several_sockets", "posix winsock",
     "lwIP CHANGELOG, bug #31741: lwip_select() seems to have threading problems", FirstOnly},
    {"events-of-the-next", "the events of a socket are reported of the one after it", "notify.several_sockets", "posix winsock",
     "lwIP CHANGELOG, bug #29332: lwip_select() processes the set for reading wrongly", NextEntry},
    {"poll-time-early", "poll ends after a quarter of its time", "notify.time_out", "posix winsock",
     "sdk-nrf pull request 481: poll() times out immediately, whatever the time-out is", ScaleTime<SP_POLL, 1, 4>},
    {"poll-time-late", "poll ends after twice its time", "notify.time_out", "posix winsock",
     "no report found: POSIX.1 poll() says milliseconds", ScaleTime<SP_POLL, 2, 1>},
    {"select-time-early", "select ends after a quarter of its time", "notify.time_out", "posix winsock",
     "lwIP CHANGELOG, bug #28716: select() returns 0 after waiting for less than 1 ms", ScaleTime<SP_SELECT, 1, 4>},
    {"epoll-time-early", "epoll ends after a quarter of its time", "notify.time_out", "linux",
     "lwIP CHANGELOG, bug #28716, of select", ScaleTime<SP_EPOLL, 1, 4>},
    {"epoll-time-late", "epoll ends after twice its time", "notify.time_out", "linux",
     "gramine pull request 340: a wait that went on did not bring its time-out up to date", ScaleTime<SP_EPOLL, 2, 1>},
    {"no-limit-is-a-limit", "a wait without a limit returns 0 after 0.1 s", "notify.no_limit", "posix winsock",
     "Zephyr issue 111238: zsock_poll() returns 0 although its time-out is infinite", NoLimitIsNoTime},
    {"no-time-waits", "a wait of no time lasts a second", "notify.no_time", "posix winsock",
     "no report found: POSIX.1 poll() says that it does not block with a time-out of 0", NoTimeIsSome},
    {"time-over-counts-one", "a wait whose time is over returns 1", "notify.time_out_result", "posix winsock",
     "POCO issue 3708: epoll_wait returns 1 at once and there is nothing to report", TimeOverIsOne},
    {"time-over-fails", "a wait whose time is over fails with ETIMEDOUT", "notify.time_out_result", "posix winsock",
     "pjproject issue 512: the time-out of select was told as an error", TimeOverIsError},
    {"wait-never-interrupted", "a signal does not end a wait for events", "notify.signal", "posix",
     "AdaCore aws pull request 170: poll is called again on EINTR even if its time is over", NeverInterrupted},
    {"select-wake-up-lost", "a select that waits is not woken",
     "notify.data_wakes notify.listener_wakes notify.own_shutdown_wakes", "posix",
     "lwIP CHANGELOG, bugs #41495 and #26405: threading issues of select", MissWakeUp},
    {"any-time-out-taken", "select takes a time-out that cannot be one", "notify.bad_time_out", "posix",
     "no report found: POSIX.1 select() says EINVAL", AnyTime},
    {"poll-counts-events", "poll counts events, not descriptors", "notify.poll_counts_descriptors", "posix winsock",
     "no report found: POSIX.1 poll() counts the entries with events", CountEvents},
    {"select-counts-descriptors", "select counts descriptors, not bits", "notify.select_counts_bits", "posix winsock",
     "elks pull request 2660: select() is made to count a descriptor once, however many sets it is in", CountDescriptors},
    {"invalid-not-reported", "poll reports nothing of a descriptor that is not open", "notify.poll_closed", "posix",
     "gVisor issue 4747: poll does not report POLLNVAL; lwIP CHANGELOG, bug #43361: select() with stale descriptors",
     IgnoreInvalid},
    {"negative-is-invalid", "poll reports a negative descriptor as invalid", "notify.poll_negative", "posix winsock",
     "no report found: POSIX.1 poll() ignores negative ones", NegativeIsInvalid},
    {"select-closed-is-quiet", "select takes a descriptor that is not open for one that is not ready", "notify.select_closed",
     "posix", "lwIP CHANGELOG, bug #43361: select() with stale descriptors", ClosedIsQuiet},
};

}  // namespace

const FaultList kNotifyFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
