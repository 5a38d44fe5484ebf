#include "face/watcher.h"

#include <fmt/format.h>

#include <algorithm>

#include "face/names.h"

namespace sockproof {

uint32_t WaitResult::EventsOf(uint64_t cookie) const {
  uint32_t found = 0;
  for (const sp_event& event : events) {
    if (event.cookie == cookie) found |= event.events;
  }
  return found;
}

uint32_t WaitResult::All() const {
  uint32_t found = 0;
  for (const sp_event& event : events) found |= event.events;
  return found;
}

std::optional<Outcome> WaitResult::ErrorOf(uint32_t wanted) const {
  for (const sp_event& event : events) {
    if ((event.events & wanted) != 0) return Outcome::OfError(event.error, 0, text());
  }
  return std::nullopt;
}

Watcher::Watcher(int32_t mechanism, uint32_t modes, Where where, Caller* caller)
    : caller_(caller != nullptr ? caller : &Host::Get()) {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_CREATE;
  call.u.watch_create = {mechanism, modes};
  if (caller_ == &Host::Get()) {
    Host::Get().CallRaw(&call, &result);
  } else {
    caller_->Call(&call, &result);
  }
  if (result.error == SP_NOT_SUPPORTED) {
    Host::Get().reporter().NotSupported(MechanismName(mechanism), "the provider has no such way to wait");
  }
  const Result made(call, result);
  if (!made.ok()) Host::Get().reporter().StepFailed(where, made.text(), made);
  handle_ = result.handle;
}

Watcher::~Watcher() {
  if (open_) static_cast<void>(Close());
}

Result Watcher::Change(uint32_t op, const Socket& socket, uint32_t events, uint32_t flags, uint64_t cookie) {
  sp_call call{};
  sp_result result{};
  call.op = op;
  call.handle = socket.handle();
  call.u.watch_set = {handle_, events, flags, cookie};
  caller_->Call(&call, &result);
  return Result(call, result);
}

Result Watcher::Add(const Socket& socket, uint32_t events, uint32_t flags, uint64_t cookie) {
  return Change(SP_OP_WATCH_ADD, socket, events, flags, cookie);
}

Result Watcher::Modify(const Socket& socket, uint32_t events, uint32_t flags, uint64_t cookie) {
  return Change(SP_OP_WATCH_MODIFY, socket, events, flags, cookie);
}

Result Watcher::Remove(const Socket& socket) { return Change(SP_OP_WATCH_REMOVE, socket, 0, 0, 0); }

WaitResult Watcher::WaitFor(const sp_watch_wait_args& args) {
  std::vector<sp_event> events(static_cast<std::size_t>(std::max(args.capacity, 1)));
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_WAIT;
  call.handle = handle_;
  call.u.watch_wait = args;
  call.u.watch_wait.events = events.data();
  caller_->Call(&call, &result);
  WaitResult waited(call, result);
  const auto count = static_cast<std::size_t>(std::clamp(call.u.watch_wait.count, 0, std::max(args.capacity, 0)));
  waited.events.assign(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(count));
  waited.strays = call.u.watch_wait.strays;
  return waited;
}

WaitResult Watcher::Wait(Nanoseconds timeout, int32_t capacity) {
  sp_watch_wait_args args{};
  args.timeout_ns = timeout.count();
  args.capacity = capacity;
  return WaitFor(args);
}

bool Watcher::IsSet(Nanoseconds limit, Where where) {
  sp_watch_wait_args args{};
  args.timeout_ns = limit.count();
  args.capacity = 1;
  args.step = SP_WAIT_ONLY;
  return Must(static_cast<Result>(WaitFor(args)), where).value() != 0;
}

WaitResult Watcher::Report(const Socket& socket, bool keep_event, int32_t kind) {
  sp_watch_wait_args args{};
  args.capacity = 16;
  args.step = SP_REPORT_ONLY;
  args.socket = socket.handle();
  args.keep_event = keep_event ? 1 : 0;
  args.kind = kind;
  return WaitFor(args);
}

Result Watcher::WaitWith(const sp_watch_wait_args& args) {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_WAIT;
  call.handle = handle_;
  call.u.watch_wait = args;
  caller_->Call(&call, &result);
  return Result(call, result);
}

Result Watcher::Close() {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_CLOSE;
  call.handle = handle_;
  open_ = false;
  caller_->Call(&call, &result);
  return Result(call, result);
}

Result SelectOnInvalidEvent(const Socket& socket, uint32_t events) {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_ADD;
  call.handle = socket.handle();
  call.u.watch_set = {{SP_HANDLE_INVALID, 0, -1}, events, 0, 0};
  socket.caller().Call(&call, &result);
  return Result(call, result);
}

namespace {

// WSAPoll has no capability of its own: it is there if a watcher of it can be made.
bool HasWsaPoll() {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_CREATE;
  call.u.watch_create = {SP_WSAPOLL, 0};
  Host::Get().CallRaw(&call, &result);
  if (result.error != SP_OK) return false;
  call = {};
  call.op = SP_OP_WATCH_CLOSE;
  call.handle = result.handle;
  Host::Get().CallRaw(&call, &result);
  return true;
}

struct Mechanisms {
  int32_t any = SP_POLL;  // without any of them: then the first watcher says that there is no poll
  int32_t of_events = -1;
};
const Mechanisms& TheMechanisms() {
  static const Mechanisms mechanisms = [] {
    const Host& host = Host::Get();
    if (host.Has(SP_CAP_POLL)) return Mechanisms{SP_POLL, SP_POLL};
    if (HasWsaPoll()) return Mechanisms{SP_WSAPOLL, SP_WSAPOLL};
    const bool epoll = host.Has(SP_CAP_EPOLL);
    if (host.Has(SP_CAP_SELECT)) return Mechanisms{SP_SELECT, epoll ? int32_t{SP_EPOLL} : -1};
    return epoll ? Mechanisms{SP_EPOLL, SP_EPOLL} : Mechanisms{};
  }();
  return mechanisms;
}

}  // namespace

int32_t DefaultMechanism() { return TheMechanisms().any; }

int32_t EventMechanism() {
  const int32_t mechanism = TheMechanisms().of_events;
  if (mechanism < 0) Host::Get().reporter().NotSupported("poll", "the provider has no way to wait that reports such events");
  return mechanism;
}

uint32_t Events(const Socket& socket, uint32_t asked, Nanoseconds limit, int32_t mechanism) {
  constexpr uint32_t kSets = SP_IN | SP_OUT | SP_PRI;
  // WSAPoll knows nothing of POLLPRI; select has a set for it.
  if (mechanism == kAnyMechanism && asked == SP_PRI && DefaultMechanism() == SP_WSAPOLL) mechanism = SP_SELECT;
  if (mechanism == kAnyMechanism) {
    mechanism = asked == 0 || (asked & ~kSets) != 0 ? EventMechanism() : DefaultMechanism();
    // A connect that failed is a writable socket to POSIX's select; Winsock's puts it into the set of exceptions alone.
    if (mechanism == SP_SELECT && (asked & SP_OUT) != 0) asked |= SP_PRI;
  }
  Watcher watcher(mechanism, 0, SOCKPROOF_HERE, &socket.caller());
  static_cast<void>(Must(watcher.Add(socket, asked)));
  const WaitResult waited = watcher.Wait(limit);
  static_cast<void>(Must(waited));
  return waited.EventsOf(0);
}

bool WaitReady(const Socket& socket, uint32_t asked, Nanoseconds limit) { return Events(socket, asked, limit) != 0; }

void MustBeReady(const Socket& socket, uint32_t asked, Where where) {
  if (WaitReady(socket, asked)) return;
  Host::Get().reporter().StepFailed(
      where, fmt::format("{} for {} on {}", MechanismName(DefaultMechanism()), EventNames(asked), HandleText(socket.handle())),
      Outcome(OutcomeName{"not_ready"}));
}

}  // namespace sockproof
