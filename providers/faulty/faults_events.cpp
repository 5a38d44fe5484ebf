// Faults of Winsock's network events: what is recorded, what sets the event object, and when either is cleared.
#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kViosock =
    "virtio-win/kvm-guest-drivers-windows pull request 1121: WSAEventSelect erased what was recorded before";
constexpr const char* kNoReport = "no report found: the Remarks of WSAEventSelect() and WSAEnumNetworkEvents() say it otherwise";

constexpr int kReported = 1;  // slots of a socket's memory
constexpr int kEventObject = 2;
constexpr int kMask = 3;
constexpr int kCookie = 4;
constexpr int kFlag = 5;
constexpr int kFull = 6;
constexpr uint32_t kAllEvents = SP_FD_READ | SP_FD_WRITE | SP_FD_OOB | SP_FD_ACCEPT | SP_FD_CONNECT | SP_FD_CLOSE;

bool Selects(const sp_call* call) { return IsSocketCall(call, SP_OP_WATCH_ADD) || IsSocketCall(call, SP_OP_WATCH_MODIFY); }

sp_handle SocketOf(Wrapped& provider, const sp_watch_wait_args& args, uint64_t cookie) {
  if (args.step == SP_REPORT_ONLY) return args.socket;
  return {SP_HANDLE_SOCKET, 0, provider.Get(static_cast<int64_t>(cookie) - 1'000'000, kCookie) - 1};
}

// Which socket a cookie stands for, which event object a socket names.
void Learn(Wrapped& provider, const sp_call* call, const sp_result* result) {
  if (result->error != SP_OK || !Selects(call)) return;
  const sp_watch_set_args& args = call->u.watch_set;
  provider.Put(static_cast<int64_t>(args.cookie) - 1'000'000, call->handle.value + 1, kCookie);
  provider.Put(call->handle.value, args.watcher.value + 1, kEventObject);
  provider.Put(call->handle.value, args.events, kMask);
}

bool IsEventObject(Wrapped& provider, const sp_call* call) {
  return call->op == SP_OP_WATCH_WAIT && call->u.watch_wait.kind == SP_POINTER_VALID && call->u.watch_wait.capacity > 0 &&
         call->u.watch_wait.events != nullptr &&
         provider.Of(sp_handle{SP_HANDLE_SOCKET, 0, call->handle.value}).watcher_mechanism == SP_EVENT_OBJECT;
}
bool Reports(Wrapped& provider, const sp_call* call) {
  return IsEventObject(provider, call) && call->u.watch_wait.step != SP_WAIT_ONLY;
}

// Every report goes through `edit`, entry by entry: it may change one, or have it left out (false).
using Edit = bool (*)(Wrapped& provider, sp_handle socket, sp_event* event);
void Edited(Wrapped& provider, sp_call* call, sp_result* result, Edit edit) {
  provider.Pass(call, result);
  Learn(provider, call, result);
  if (!Reports(provider, call) || result->error != SP_OK) return;
  sp_watch_wait_args& args = call->u.watch_wait;
  int32_t kept = 0;
  for (int32_t i = 0; i < args.count; ++i) {
    sp_event event = args.events[i];
    if (edit(provider, SocketOf(provider, args, event.cookie), &event)) args.events[kept++] = event;
  }
  args.count = kept;
  result->value = kept;
}

void AddEvent(sp_call* call, sp_result* result, uint32_t bit, uint64_t cookie) {
  sp_watch_wait_args& args = call->u.watch_wait;
  for (int32_t i = 0; i < args.count; ++i) {
    if (args.events[i].events == bit) return;
  }
  if (args.count >= args.capacity) return;
  args.events[args.count++] = sp_event{cookie, bit, SP_OK};
  result->value = args.count;
}

// A report about one socket in place of whatever it is for: clears its record.
void Discard(Wrapped& provider, int64_t socket, bool keep_event) {
  const int64_t event_object = provider.Get(socket, kEventObject);
  if (event_object == 0) return;
  sp_event events[16];
  sp_call call{};
  call.u.watch_wait.step = SP_REPORT_ONLY;
  call.u.watch_wait.socket = {SP_HANDLE_SOCKET, 0, socket};
  call.u.watch_wait.keep_event = keep_event ? 1 : 0;
  call.u.watch_wait.capacity = 16;
  call.u.watch_wait.events = events;
  provider.Do(SP_OP_WATCH_WAIT, {SP_HANDLE_WATCHER, 0, event_object - 1}, &call);
}

// ---- What is recorded

template <uint32_t kBit>
void Never(Wrapped& provider, sp_call* call, sp_result* result) {
  Edited(provider, call, result, [](Wrapped&, sp_handle, sp_event* event) { return event->events != kBit; });
}

template <uint32_t kBit>
void Once(Wrapped& provider, sp_call* call, sp_result* result) {
  Edited(provider, call, result, [](Wrapped& at, sp_handle socket, sp_event* event) {
    return event->events != kBit || at.Add(socket.value, 1, kReported) == 1;
  });
}

// What was reported once stands in every later report as well.
template <uint32_t kBit>
void Again(Wrapped& provider, sp_call* call, sp_result* result) {
  Edited(provider, call, result, [](Wrapped& at, sp_handle socket, sp_event* event) {
    if (event->events == kBit) at.Put(socket.value, static_cast<int64_t>(event->cookie) + 1, kReported);
    return true;
  });
  if (!Reports(provider, call) || result->error != SP_OK || call->u.watch_wait.step != SP_REPORT_ONLY) return;
  const int64_t cookie = provider.Get(call->u.watch_wait.socket.value, kReported);
  if (cookie != 0) AddEvent(call, result, kBit, static_cast<uint64_t>(cookie) - 1);
}

template <uint32_t kBit, int32_t kFrom, int32_t kTo>
void ErrorAs(Wrapped& provider, sp_call* call, sp_result* result) {
  Edited(provider, call, result, [](Wrapped&, sp_handle, sp_event* event) {
    if (event->events == kBit && event->error == kFrom) event->error = kTo;
    return true;
  });
}

// Where one is recorded, another is too.
template <uint32_t kBit, uint32_t kOther>
void With(Wrapped& provider, sp_call* call, sp_result* result) {
  Edited(provider, call, result, [](Wrapped&, sp_handle, sp_event*) { return true; });
  if (!Reports(provider, call) || result->error != SP_OK) return;
  for (int32_t i = 0; i < call->u.watch_wait.count; ++i) {
    const sp_event event = call->u.watch_wait.events[i];
    if (event.events == kBit) return AddEvent(call, result, kOther, event.cookie);
  }
}

using Which = bool (*)(Wrapped& provider, sp_handle socket);
bool IsAccepted(Wrapped& provider, sp_handle socket) { return provider.Of(socket).accepted; }
bool HasConnected(Wrapped& provider, sp_handle socket) { return !provider.Of(socket).accepted; }
bool WasFull(Wrapped& provider, sp_handle socket) { return provider.Get(socket.value, kFull) != 0; }

template <Which kWhich>
void NeverWritable(Wrapped& provider, sp_call* call, sp_result* result) {
  Edited(provider, call, result,
         [](Wrapped& at, sp_handle socket, sp_event* event) { return event->events != SP_FD_WRITE || !kWhich(at, socket); });
  if (IsSocketCall(call, SP_OP_SEND) && result->error == SP_EAGAIN) provider.Put(call->handle.value, 1, kFull);
}

// An accept that fails with this leaves FD_ACCEPT recorded, or keeps it from being recorded ever again.
template <int32_t kError, bool kRecord>
void AfterAccept(Wrapped& provider, sp_call* call, sp_result* result) {
  Edited(provider, call, result, [](Wrapped& at, sp_handle socket, sp_event* event) {
    if (event->events == SP_FD_ACCEPT) at.Put(socket.value, static_cast<int64_t>(event->cookie) + 1, kReported);
    return kRecord || event->events != SP_FD_ACCEPT || at.Get(socket.value, kFlag) == 0;
  });
  const bool hit = kError != SP_OK ? result->error == kError : result->error != SP_OK && result->error != SP_TRY_AGAIN;
  if (IsSocketCall(call, SP_OP_ACCEPT)) provider.Put(call->handle.value, hit ? 1 : 0, kFlag);
  if (!kRecord || !Reports(provider, call) || result->error != SP_OK || call->u.watch_wait.step != SP_REPORT_ONLY) return;
  const int64_t listener = call->u.watch_wait.socket.value, cookie = provider.Get(listener, kReported);
  if (provider.Get(listener, kFlag) != 0 && cookie != 0) AddEvent(call, result, SP_FD_ACCEPT, static_cast<uint64_t>(cookie) - 1);
}

// ---- What is selected

void SelectsAll(Wrapped& provider, sp_call* call, sp_result* result) {
  const uint32_t asked = call->u.watch_set.events;
  const bool ours = Selects(call) && asked != 0 && (asked & ~kAllEvents) == 0;
  if (ours) call->u.watch_set.events = kAllEvents;
  provider.Pass(call, result);
  if (ours) call->u.watch_set.events = asked;
}

void AddsToTheFormer(Wrapped& provider, sp_call* call, sp_result* result) {
  const uint32_t asked = call->u.watch_set.events;
  const bool ours = Selects(call) && asked != 0 && (asked & ~kAllEvents) == 0;
  if (ours) call->u.watch_set.events |= static_cast<uint32_t>(provider.Get(call->handle.value, kMask));
  provider.Pass(call, result);
  Learn(provider, call, result);
  if (ours) call->u.watch_set.events = asked;
}

bool IsEmptySelection(Wrapped& provider, const sp_call* call) {
  return IsSocketCall(call, SP_OP_WATCH_REMOVE) ||
         (Selects(call) && call->u.watch_set.events == 0 && provider.Get(call->handle.value, kEventObject) != 0);
}

void EmptyIsNothing(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsEmptySelection(provider, call)) return Succeed(result);
  provider.Pass(call, result);
  Learn(provider, call, result);
}

void EmptyWantsAnEvent(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Selects(call) && call->u.watch_set.events == 0 && call->u.watch_set.watcher.kind != SP_HANDLE_WATCHER)
    return Fail(result, SP_EINVAL);
  provider.Pass(call, result);
}

void KeepsTheRecord(Wrapped& provider, sp_call* call, sp_result* result) {
  // Of the selection before: what was recorded then is reported with the next report.
  const bool again = Selects(call) && provider.Get(call->handle.value, kEventObject) != 0;
  if (again) {
    sp_event events[16];
    sp_call report{};
    report.u.watch_wait.step = SP_REPORT_ONLY;
    report.u.watch_wait.socket = call->handle;
    report.u.watch_wait.keep_event = 1;
    report.u.watch_wait.capacity = 16;
    report.u.watch_wait.events = events;
    const sp_handle event_object{SP_HANDLE_WATCHER, 0, provider.Get(call->handle.value, kEventObject) - 1};
    if (provider.Do(SP_OP_WATCH_WAIT, event_object, &report).error == SP_OK && report.u.watch_wait.count > 0)
      provider.Put(call->handle.value, events[0].events, kFlag);
  }
  provider.Pass(call, result);
  Learn(provider, call, result);
  if (!Reports(provider, call) || result->error != SP_OK || call->u.watch_wait.step != SP_REPORT_ONLY) return;
  const int64_t socket = call->u.watch_wait.socket.value;
  if (const int64_t bits = provider.Get(socket, kFlag); bits != 0) {
    provider.Put(socket, 0, kFlag);
    AddEvent(call, result, static_cast<uint32_t>(bits), 0);
  }
}

void NotAfterTheFact(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  Learn(provider, call, result);
  if (Selects(call) && result->error == SP_OK && call->u.watch_set.events != 0) Discard(provider, call->handle.value, false);
}

void NotInherited(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsAccept(provider, call);
  provider.Pass(call, result);
  if (!ours || result->error != SP_OK) return;
  sp_call remove{};
  provider.Do(SP_OP_WATCH_REMOVE, result->handle, &remove);
}

void ChildChangesListener(Wrapped& provider, sp_call* call, sp_result* result) {
  const Known known = provider.Of(call->handle);
  provider.Pass(call, result);
  if (!Selects(call) || result->error != SP_OK || !known.accepted) return;
  sp_call also{};
  also.u.watch_set = call->u.watch_set;
  provider.Do(SP_OP_WATCH_ADD, {SP_HANDLE_SOCKET, 0, known.listener}, &also);
}

void BlockingAgain(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_IOCTL || call->op == SP_OP_SET_MODE) Forgive(result, SP_EINVAL);
}

void StaysBlocking(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  Learn(provider, call, result);
  const bool waits = IsSocketCall(call, SP_OP_RECV) || IsSocketCall(call, SP_OP_ACCEPT);
  // As a blocking call would: half a second is more than anybody waits for a call that must not.
  if (waits && result->error == SP_EAGAIN && provider.Get(call->handle.value, kMask) != 0) provider.Pause(20'000'000'000);
}

// ---- When it is cleared, and what sets the event object

void KeepsTheEvent(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = Reports(provider, call) && call->u.watch_wait.step == SP_REPORT_ONLY;
  const int32_t asked = call->u.watch_wait.keep_event;
  if (ours) call->u.watch_wait.keep_event = 1;
  provider.Pass(call, result);
  if (ours) call->u.watch_wait.keep_event = asked;
}

void ResetsTheEvent(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = Reports(provider, call) && call->u.watch_wait.step == SP_REPORT_ONLY && call->u.watch_wait.keep_event == 1;
  if (ours) call->u.watch_wait.keep_event = 0;
  provider.Pass(call, result);
  if (ours) call->u.watch_wait.keep_event = 1;
}

void FailedReportClears(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_WAIT && call->u.watch_wait.step == SP_REPORT_ONLY && call->u.watch_wait.kind != SP_POINTER_VALID) {
    Discard(provider, call->u.watch_wait.socket.value, false);
  }
  provider.Pass(call, result);
  Learn(provider, call, result);
}

void EventSetOnceMore(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t event_object = provider.Get(call->handle.value, kEventObject);
  const bool closes = IsSocketCall(call, SP_OP_CLOSE) && event_object != 0;
  provider.Pass(call, result);
  Learn(provider, call, result);
  if (closes) provider.Put(kWorld, event_object, kFlag);
  if (IsEventObject(provider, call) && call->u.watch_wait.step == SP_WAIT_ONLY && result->error == SP_OK && result->value == 0 &&
      provider.Get(kWorld, kFlag) == call->handle.value + 1) {
    result->value = 1;
  }
}

void EventClosedWithTheSocket(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t event_object = provider.Get(call->handle.value, kEventObject);
  const bool closes = IsSocketCall(call, SP_OP_CLOSE) && event_object != 0;
  provider.Pass(call, result);
  Learn(provider, call, result);
  if (!closes) return;
  sp_call gone{};
  provider.Do(SP_OP_WATCH_CLOSE, {SP_HANDLE_WATCHER, 0, event_object - 1}, &gone);
}

void ReadinessTakesEvents(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool asks = call->op == SP_OP_WATCH_WAIT && !IsEventObject(provider, call);
  Edited(provider, call, result, [](Wrapped& at, sp_handle, sp_event*) { return at.Get(kWorld, kFlag) == 0; });
  if (asks && result->error == SP_OK && result->value > 0) provider.Put(kWorld, 1, kFlag);
}

void NextIsLost(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t watcher = call->handle.value;
  if (IsEventObject(provider, call) && call->u.watch_wait.step == SP_WAIT_ONLY && provider.Get(watcher, kFlag) != 0) {
    if (call->u.watch_wait.timeout_ns > 0) provider.Pause(call->u.watch_wait.timeout_ns);
    return Succeed(result, 0);
  }
  provider.Pass(call, result);
  if (Reports(provider, call) && result->error == SP_OK && result->value > 0) provider.Put(watcher, 1, kFlag);
}

void StrayErrors(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Reports(provider, call) && result->error == SP_OK) call->u.watch_wait.strays |= SP_FD_OOB;
}

constexpr Fault kFaults[] = {
    {"events-accept-never", "FD_ACCEPT is never recorded",
     "events.accept_recorded events.accept_level_triggered events.inherited events.select_after_the_fact", "winsock", kNoReport,
     Never<SP_FD_ACCEPT>},
    {"events-read-never", "FD_READ is never recorded", "events.read_recorded events.read_level_triggered events.inherited",
     "winsock", kNoReport, Never<SP_FD_READ>},
    {"events-close-never", "FD_CLOSE is never recorded", "events.close_graceful events.close_reset events.close_once", "winsock",
     kNoReport, Never<SP_FD_CLOSE>},
    {"events-connect-never", "FD_CONNECT is never recorded",
     "events.connect_recorded events.connect_refused_recorded events.connect_timeout_recorded", "winsock", kNoReport,
     Never<SP_FD_CONNECT>},
    {"events-accept-once", "FD_ACCEPT is recorded once in the life of a listener",
     "events.accept_level_triggered events.accept_failed_reenables events.indication_after_deferred", "winsock", kNoReport,
     Once<SP_FD_ACCEPT>},
    {"events-read-once", "FD_READ is recorded once in the life of a connection", "events.read_level_triggered", "winsock",
     kNoReport, Once<SP_FD_READ>},
    {"events-accept-again", "FD_ACCEPT stands in every report after the first",
     "events.accept_not_repeated events.accept_level_triggered events.report_clears", "winsock", kNoReport, Again<SP_FD_ACCEPT>},
    {"events-read-again", "FD_READ stands in every report after the first", "events.read_not_repeated events.report_clears",
     "winsock", kNoReport, Again<SP_FD_READ>},
    {"events-write-again", "FD_WRITE stands in every report after the first", "events.write_not_repeated", "winsock", kNoReport,
     Again<SP_FD_WRITE>},
    {"events-close-again", "FD_CLOSE stands in every report after the first", "events.close_once", "winsock", kNoReport,
     Again<SP_FD_CLOSE>},
    {"events-connect-again", "FD_CONNECT stands in every report after the first", "events.connect_once", "winsock", kNoReport,
     Again<SP_FD_CONNECT>},
    {"events-close-forgets-the-reset", "FD_CLOSE after a reset has no error", "events.close_reset", "winsock", kNoReport,
     ErrorAs<SP_FD_CLOSE, SP_ECONNRESET, SP_OK>},
    {"events-close-says-reset", "FD_CLOSE after an orderly end says ECONNRESET", "events.close_graceful", "winsock", kNoReport,
     ErrorAs<SP_FD_CLOSE, SP_OK, SP_ECONNRESET>},
    {"events-connect-forgets-the-refusal", "FD_CONNECT after a refusal has no error", "events.connect_refused_recorded",
     "winsock", kNoReport, ErrorAs<SP_FD_CONNECT, SP_ECONNREFUSED, SP_OK>},
    {"events-connect-says-refused", "FD_CONNECT after a success says ECONNREFUSED", "events.connect_recorded", "winsock",
     kNoReport, ErrorAs<SP_FD_CONNECT, SP_OK, SP_ECONNREFUSED>},
    {"events-connect-late-is-refused", "FD_CONNECT after a time-out says ECONNREFUSED", "events.connect_timeout_recorded",
     "winsock", kNoReport, ErrorAs<SP_FD_CONNECT, SP_ETIMEDOUT, SP_ECONNREFUSED>},
    {"events-accept-has-an-error", "FD_ACCEPT carries an error", "events.accept_recorded", "winsock", kNoReport,
     ErrorAs<SP_FD_ACCEPT, SP_OK, SP_ECONNABORTED>},
    {"events-close-is-a-read", "with FD_CLOSE, FD_READ is recorded too", "events.close_is_no_read", "winsock", kNoReport,
     With<SP_FD_CLOSE, SP_FD_READ>},
    {"events-accepted-never-writable", "FD_WRITE is not recorded for an accepted socket", "events.write_after_accept", "winsock",
     kNoReport, NeverWritable<IsAccepted>},
    {"events-connected-never-writable", "FD_WRITE is not recorded for a socket that has connected", "events.write_after_connect",
     "winsock", kNoReport, NeverWritable<HasConnected>},
    {"events-full-never-writable", "after a send that would have blocked FD_WRITE is not recorded any more",
     "events.write_after_full", "winsock", kNoReport, NeverWritable<WasFull>},
    {"events-defer-reenables", "after an accept that defers, FD_ACCEPT is recorded again",
     "events.defer_does_not_reenable events.no_indication_behind_deferred", "winsock",
     "no report found: WSAAccept(), Remarks: no further FD_ACCEPT until the deferred request is accepted or rejected",
     AfterAccept<SP_TRY_AGAIN, true>},
    {"events-failed-accept-ends-them", "after an accept that failed FD_ACCEPT is not recorded until one has succeeded",
     "events.accept_failed_reenables", "winsock", kNoReport, AfterAccept<SP_OK, false>},
    {"events-all-selected", "whatever is selected, all network events are", "events.only_selected", "winsock", kNoReport,
     SelectsAll},
    {"events-selections-add-up", "a new selection adds its events to those of the one before", "events.new_selection_replaces",
     "winsock", kNoReport, AddsToTheFormer},
    {"events-empty-selection-ignored", "selecting nothing leaves the selection before as it is",
     "events.empty_selection_ends events.blocking_after_clearing", "winsock", kNoReport, EmptyIsNothing},
    {"events-empty-selection-wants-an-event", "selecting nothing fails with EINVAL without an event object",
     "events.empty_selection_ignores_event", "winsock", kNoReport, EmptyWantsAnEvent},
    {"events-record-survives-selection", "a new selection leaves what was recorded before", "events.new_selection_clears",
     "winsock", kNoReport, KeepsTheRecord},
    {"events-not-after-the-fact", "what has happened before it is selected is not recorded", "events.select_after_the_fact",
     "winsock", kViosock, NotAfterTheFact},
    {"events-not-inherited", "an accepted socket has no selection", "events.inherited events.write_after_accept", "winsock",
     kNoReport, NotInherited},
    {"events-child-changes-the-listener", "a selection on an accepted socket becomes its listener's as well",
     "events.inherited_replaced", "winsock", kNoReport, ChildChangesListener},
    {"events-blocking-allowed", "a socket with a selection can be made blocking", "events.blocking_refused", "winsock", kNoReport,
     BlockingAgain},
    {"events-selected-stays-blocking", "a socket with a selection still waits in its calls", "events.select_makes_nonblocking",
     "winsock", kNoReport, StaysBlocking},
    {"events-report-leaves-the-event", "a report that names the event object leaves it set", "events.report_resets", "winsock",
     kNoReport, KeepsTheEvent},
    {"events-report-resets-unnamed", "a report that names no event object resets it", "events.report_without_event", "winsock",
     kNoReport, ResetsTheEvent},
    {"events-failed-report-clears", "a report that fails clears the record", "events.failed_report_changes_nothing", "winsock",
     kNoReport, FailedReportClears},
    {"events-local-close-sets", "closing a socket sets its event object", "events.local_close_silent", "winsock", kNoReport,
     EventSetOnceMore},
    {"events-close-closes-the-event", "closing a socket closes its event object", "events.event_outlives_socket", "winsock",
     kNoReport, EventClosedWithTheSocket},
    {"events-readiness-clears", "select and WSAPoll clear the record of network events", "events.readiness_leaves_events",
     "winsock", kNoReport, ReadinessTakesEvents},
    {"events-next-is-lost", "what happens after a report does not set the event object", "events.report_loses_nothing", "winsock",
     kNoReport, NextIsLost},
    {"events-stray-error-codes", "a report writes error codes of events that were not recorded",
     "events.report_only_errors_of_events", "winsock", kNoReport, StrayErrors},
};

}  // namespace

const FaultList kEventFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
