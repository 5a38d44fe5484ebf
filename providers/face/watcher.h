// Readiness: a watcher with a mechanism.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "face/socket.h"

namespace sockproof {

struct WaitResult : Result {
  using Result::Result;
  std::vector<sp_event> events;
  // The events reported for this cookie, 0 if none.
  uint32_t EventsOf(uint64_t cookie) const;
  // Event objects: the events reported for whichever socket, and the error of one of them ("ok" too; nothing if not reported).
  uint32_t All() const;
  std::optional<Outcome> ErrorOf(uint32_t event) const;
  uint32_t strays = 0;  // see sp_watch_wait_args
};

class Watcher {
 public:
  // `caller`: whose sockets it watches, if not this process's.
  explicit Watcher(int32_t mechanism, uint32_t modes = 0, Where where = SOCKPROOF_HERE, Caller* caller = nullptr);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  Result Add(const Socket& socket, uint32_t events, uint32_t flags = 0, uint64_t cookie = 0);
  Result Modify(const Socket& socket, uint32_t events, uint32_t flags = 0, uint64_t cookie = 0);
  Result Remove(const Socket& socket);
  // Blocks up to `timeout`; negative: no limit, zero: looks and returns.
  WaitResult Wait(Nanoseconds timeout, int32_t capacity = 16);
  Result WaitWith(const sp_watch_wait_args& args);  // wrong arguments on purpose
  // Event objects: whether it is set, within `limit`; resets nothing. A step that must succeed.
  bool IsSet(Nanoseconds limit = Nanoseconds(0), Where where = SOCKPROOF_HERE);
  // Event objects: what is recorded for this socket, which clears the record and resets the event object, in one step.
  // keep_event: names no event object, so that none is reset. kind: of the place where the record goes.
  WaitResult Report(const Socket& socket, bool keep_event = false, int32_t kind = SP_POINTER_VALID);
  Result Close();
  sp_handle handle() const { return handle_; }

 private:
  WaitResult WaitFor(const sp_watch_wait_args& args);
  Result Change(uint32_t op, const Socket& socket, uint32_t events, uint32_t flags, uint64_t cookie);

  sp_handle handle_{};
  Caller* caller_ = nullptr;
  bool open_ = true;
};

// WSAEventSelect on an event object that is none.
Result SelectOnInvalidEvent(const Socket& socket, uint32_t events);

// The way to wait that the helpers below ask, and whatever else only wants to know whether a socket is ready: the first one that
// the provider has of poll, WSAPoll, select and epoll. Asked once a process.
int32_t DefaultMechanism();
// The same for whoever looks at errors, hang-ups or the other events that select knows nothing of: poll, WSAPoll or epoll. Ends
// the scenario as not supported where there is only select.
int32_t EventMechanism();

// What this mechanism says of the socket (in the process that it belongs to) at once, or within `limit`: the events it reports, 0
// for none. Without a mechanism: DefaultMechanism(), or EventMechanism() if what is asked for is not in select's three sets.
inline constexpr int32_t kAnyMechanism = -1;
uint32_t Events(const Socket& socket, uint32_t asked, Nanoseconds limit = Nanoseconds(0), int32_t mechanism = kAnyMechanism);
// Waits until one of `asked` is reported (or an error or hang-up, which all but select report unasked); false after `limit`.
bool WaitReady(const Socket& socket, uint32_t asked, Nanoseconds limit = Patience());
// The same as a step that the scenario stands on.
void MustBeReady(const Socket& socket, uint32_t asked, Where where = SOCKPROOF_HERE);

}  // namespace sockproof
