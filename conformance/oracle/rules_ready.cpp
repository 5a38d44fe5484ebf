// Readiness: what poll, select and epoll may report, and what they must not pass over.
#include <fmt/format.h>

#include "face/codec_words.h"
#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kOnlyAsked("ready.only_asked", "Nothing is reported but what was asked for, errors and hang-ups apart.",
                      "notify.only_asked");
const Rule kListenerIdle("ready.listener_idle", "A listener that nobody has connected to is not reported as readable.",
                         "notify.listener_idle");
const Rule kListenerStays("ready.listener_stays", "A listener stays readable until its last waiting connection is taken.",
                          "accept.stays_ready");
const Rule kNoData("ready.no_data", "A connection for which nothing has arrived is not reported as readable.", "notify.no_data");
const Rule kDataLeft("ready.stays", "A socket stays readable until what made it so was taken.", "notify.data_left");
const Rule kPeerOpen("ready.peer_open", "A peer that can still send is not reported as having ended its side.",
                     "notify.peer_open_not_reported");
const Rule kNoError("ready.no_error", "No error is reported on a connection that nothing has gone wrong with.", "",
                    "POSIX.1-2001 poll() DESCRIPTION POLLERR");
const Rule kTimeOut("ready.time_out", "A call does not end before its time with nothing to report.", "notify.time_out");
const Rule kWakes("ready.data_wakes", "A call that waits for data ends when some arrives.", "notify.data_wakes");
const Rule kListenerWakes("ready.listener_wakes", "A call that waits for a listener ends when a connection arrives.",
                          "notify.listener_wakes");
const Rule kPending("ready.connecting", "A socket whose connect is under way is not reported as ready.",
                    "notify.connecting_not_ready");
const Rule kErrorTaken("ready.error_taken", "Once the pending error was taken, no error is reported.", "notify.error_taken");
const Rule kOneShot("ready.one_shot", "A one-shot descriptor that was reported is not reported again.",
                    "notify.one_shot_disabled");
const Rule kAddTwice("ready.add_twice", "Adding a descriptor that is in the set already fails.", "notify.epoll_add_twice");
const Rule kNotThere("ready.not_there", "Changing or removing a descriptor that is not in the set fails.",
                     "notify.epoll_not_there");
const Rule kCount("ready.count", "A wait returns for how many descriptors it has something to report.", "",
                  "POSIX.1-2001 poll() RETURN VALUE");
const Rule kNoResult("ready.time_out_result", "A call whose time is over returns 0.", "notify.time_out_result");
const Rule kEndReady("ready.end", "A socket whose peer has ended its stream is readable.", "notify.end_readable");

constexpr int64_t kTick = 2000000;
// What was sent over loopback is there after this time, however busy the machine.
constexpr int64_t kDelivery = 2000000000;

std::pair<int, int64_t> Key(const Operation& call, const Handle& handle) { return {call.process, handle.value}; }

Watcher* Find(Court& court, const Operation& call, const Handle& handle) {
  if (!handle.valid || handle.kind != SP_HANDLE_WATCHER) return nullptr;
  const auto at = court.model.watchers.find(Key(call, handle));
  return at == court.model.watchers.end() ? nullptr : &at->second;
}

bool LevelOnly(const Watcher& watcher, const Watcher::Entry& entry) {
  switch (watcher.mechanism) {
    case SP_POLL:
    case SP_SELECT:
    case SP_PPOLL:
    case SP_PSELECT:
    case SP_EPOLL:
    case SP_WSAPOLL:
      return entry.flags == 0;
    default:
      return false;
  }
}

bool SelectLike(const Watcher& watcher) { return watcher.mechanism == SP_SELECT || watcher.mechanism == SP_PSELECT; }

struct Event {
  uint64_t cookie;
  uint32_t events;
};

std::vector<Event> Events(const Operation& call) {
  std::vector<Event> all;
  for (const auto& [key, text] : call.results.all()) {
    if (key != "event") continue;
    const std::size_t first = text.find(','), second = text.find(',', first + 1);
    Event event{};
    if (second == std::string_view::npos || !codec::ReadNumber(text.substr(0, first), &event.cookie)) continue;
    event.events = EventsByName(text.substr(first + 1, second - first - 1)).value_or(0);
    all.push_back(event);
  }
  return all;
}

// The set, of the socket that a rule is about, has to be blamed: the violation makes that socket unknown.
bool Blames(Court& court, const Rule& rule, const Operation& call, Id id, std::string_view outcome, std::string detail) {
  if (court.Allows(rule, call, outcome, std::move(detail))) return true;
  court.Forget(id);
  return false;
}

void Reported(Court& court, const Operation& call, const Watcher& watcher, const Watcher::Entry& entry, uint32_t events) {
  constexpr uint32_t kUnasked = SP_ERR | SP_HUP | SP_NVAL;
  uint32_t asked = entry.events;
  if ((asked & SP_IN) != 0) asked |= SP_RDNORM;
  if ((asked & SP_OUT) != 0) asked |= SP_WRNORM;
  if (!Blames(court, kOnlyAsked, call, entry.socket, (events & ~(asked | kUnasked)) == 0 ? "holds" : "violated",
              fmt::format("{} where {} was asked for", EventNames(events), EventNames(entry.events)))) {
    return;
  }
  Socket& socket = court.At(entry.socket);
  if (socket.unknown || !ConnectionMode(socket) || socket.odd || !Court::Stable(socket, call)) return;
  const bool readable = (events & (SP_IN | SP_RDNORM)) != 0;
  if (socket.phases == kListening) {
    const bool known = court.Alone(socket) && !socket.visitors && !socket.sharing && !socket.read_shut.Possible() &&
                       socket.local && !socket.shared;
    const auto waiting = static_cast<int64_t>(socket.queue.size()) - socket.accepted_count;
    if (readable && known) {
      if (!Blames(court, kListenerIdle, call, entry.socket,
                  waiting > 0 || socket.consumed > call.begin || socket.consuming > 0 ? "not_ready" : "ready",
                  "nobody has tried to connect who is not accepted already")) {
        return;
      }
    }
  }
  if ((socket.phases & (kConnecting | kFailed)) != 0 && (socket.phases & kConnected) != 0 && !SelectLike(watcher) &&
      (events & SP_OUT) != 0 && (events & (SP_ERR | SP_HUP)) == 0) {
    socket.phases = kConnected;
    if (socket.listener != kNobody) {
      for (Attempt& attempt : court.At(socket.listener).queue) {
        if (attempt.client == entry.socket) attempt.done = std::min(attempt.done, call.end);
      }
    }
  }
  if (socket.phases == kConnected && court.Alone(socket) && !socket.error_possible) {
    const Socket* peer = court.PeerOf(socket);
    const bool ended = court.EndPossible(socket);
    const bool quiet = !ended && socket.consuming == 0 && socket.consumed <= call.begin;
    const bool nothing = peer == nullptr
                             ? socket.listener != kNobody && !ended
                             : peer->out.taken + peer->out.under_way <= socket.read && !peer->out.urgent && !socket.jumbled;
    if (readable && quiet && !Blames(court, kNoData, call, entry.socket, nothing ? "ready" : "not_ready", "nothing was sent"))
      return;
    if ((events & SP_RDHUP) != 0 && !Blames(court, kPeerOpen, call, entry.socket, ended ? "not_ready" : "ready", "")) return;
    if ((events & SP_ERR) == 0 && !SelectLike(watcher)) court.Holds(kNoError, call, true);
    if ((events & SP_ERR) != 0 && !ended && !socket.write_shut.Possible() && !socket.out.urgent && !SelectLike(watcher)) {
      if (!Blames(court, kNoError, call, entry.socket, "violated", EventNames(events))) return;
    }
  }
  if (readable && call.elapsed_ns() > 0 && LevelOnly(watcher, entry)) {
    const Socket* peer = court.PeerOf(socket);
    if (socket.phases == kListening) court.Allows(kListenerWakes, call, "ready");
    if (socket.phases == kConnected && peer != nullptr)
      court.Allows(peer->out.taken > socket.read ? kWakes : kEndReady, call, "ready");
  }
  // One that nobody answers is given up by itself in the end, and that is told.
  const bool given_up = (events & SP_ERR) != 0 && call.elapsed_ns() >= 1'000'000'000;
  if (socket.phases == kConnecting && court.Alone(socket) && (events & (SP_IN | SP_OUT)) != 0 && !given_up) {
    if (!Blames(court, kPending, call, entry.socket, "ready", EventNames(events))) return;
  }
  if (!SelectLike(watcher) && (events & (SP_HUP | SP_ERR)) != 0 && socket.consuming == 0 && socket.consumed < call.begin) {
    const auto taken = socket.options.find(SP_SO_ERROR);
    const bool just_taken = taken != socket.options.end() && taken->second.value.value_or(0) != 0 &&
                            taken->second.set > socket.consumed && taken->second.set < call.begin;
    if (just_taken && (socket.phases == kConnected || socket.phases == kFailed)) {
      if (!Blames(court, kErrorTaken, call, entry.socket, (events & SP_ERR) != 0 ? "ready" : "not_ready", EventNames(events)))
        return;
    }
    if ((events & SP_ERR) != 0 && LevelOnly(watcher, entry)) socket.error_seen = call.end;
  }
  // It was readable before, and nobody took anything: it still is.
  if (readable && socket.ready < call.begin) {
    Blames(court, socket.phases == kListening ? kListenerStays : kDataLeft, call, entry.socket,
           socket.phases == kListening ? "holds" : "ready", "");
  }
  // From here on it is readable, until somebody takes something.
  if (readable && LevelOnly(watcher, entry) && socket.consuming == 0 && socket.consumed < call.begin &&
      (socket.phases == kListening || socket.phases == kConnected)) {
    socket.ready = call.end;
  }
}

// Asked for and not reported.
void PassedOver(Court& court, const Operation& call, const Watcher& watcher, const Watcher::Entry& entry) {
  Socket& socket = court.At(entry.socket);
  if (socket.phases == kConnecting && !socket.unknown) court.Fired(kPending);
  if ((entry.events & (SP_IN | SP_RDNORM)) == 0 || !LevelOnly(watcher, entry) || socket.unknown || socket.odd || socket.shared ||
      !ConnectionMode(socket) || !Court::Stable(socket, call) || socket.consuming > 0 || socket.consumed >= call.begin) {
    return;
  }
  if (socket.ready < call.begin) {
    Blames(court, socket.phases == kListening ? kListenerStays : kDataLeft, call, entry.socket,
           socket.phases == kListening ? "violated" : "not_ready", "it was reported readable before, and nothing was taken");
    return;
  }
  // Nothing at all was reported, after a wait that was long enough for all that had been sent before it began.
  if (call.value != 0 || call.elapsed_ns() < kDelivery || !court.Alone(socket) || court.model.impaired || court.model.limited)
    return;
  if (socket.phases == kListening && !socket.read_shut.Possible() && !socket.visitors && !socket.sharing) {
    for (const Attempt& attempt : socket.queue) {
      const Socket& client = court.At(attempt.client);
      if (attempt.done < call.begin && !client.unknown && !client.closed.Possible() && !client.reset.Possible() &&
          client.listener == entry.socket && client.phases == kConnected && socket.accepted_count == 0 &&
          static_cast<int64_t>(socket.queue.size()) <= socket.least_backlog) {
        Blames(court, kListenerWakes, call, entry.socket, "not_ready", "a connection was made before the wait began");
        return;
      }
    }
  }
  const Socket* peer = court.PeerOf(socket);
  if (socket.phases != kConnected || peer == nullptr || peer->unknown || socket.type != SP_STREAM || peer->odd ||
      socket.jumbled || socket.read_shut.Possible()) {
    return;
  }
  // A stream moves on when its receiver makes room: only what was sent into an empty path must be there.
  if (peer->out.taken > socket.read && peer->out.under_way == 0 && !peer->out.urgent) {
    Blames(court, kWakes, call, entry.socket, "not_ready",
           fmt::format("{} of {} bytes were delivered", socket.read, peer->out.taken));
  } else if ((peer->write_shut.Certain(call) || peer->closed.Certain(call)) && peer->out.taken == socket.read) {
    Blames(court, kEndReady, call, entry.socket, "not_ready", "the peer has ended its stream");
  }
}

}  // namespace

void BeginWatch(Court& court, const Operation& call) {
  if (call.op == SP_OP_WATCH_CREATE) return;
  const bool sets = call.op == SP_OP_WATCH_ADD || call.op == SP_OP_WATCH_MODIFY || call.op == SP_OP_WATCH_REMOVE;
  Watcher* watcher = Find(court, call, sets ? ReadHandle(call.arguments.Get("watcher")) : call.handle);
  if (watcher == nullptr || call.op == SP_OP_WATCH_WAIT) return;
  ++watcher->changing;
}

void EndWatch(Court& court, const Operation& call) {
  if (call.op == SP_OP_WATCH_CREATE) {
    const Handle made = ReadHandle(call.results.Get("handle"));
    if (!call.ok() || !made.valid) return;
    Watcher watcher;
    watcher.mechanism = MechanismByName(call.arguments.Get("mechanism")).value_or(SP_EVENT_OBJECT);
    watcher.changed = call.end;
    court.model.watchers[Key(call, made)] = std::move(watcher);
    return;
  }
  const bool sets = call.op == SP_OP_WATCH_ADD || call.op == SP_OP_WATCH_MODIFY || call.op == SP_OP_WATCH_REMOVE;
  const Handle handle = sets ? ReadHandle(call.arguments.Get("watcher")) : call.handle;
  Watcher* watcher = Find(court, call, handle);
  if (watcher == nullptr) return;
  if (call.op == SP_OP_WATCH_CLOSE) {
    court.model.watchers.erase(Key(call, handle));
    return;
  }
  if (sets) {
    --watcher->changing;
    watcher->changed = call.end;
    if (Is(call, SP_EEXIST)) court.Fired(kAddTwice);
    if (Is(call, SP_ENOENT)) court.Fired(kNotThere);
    if (!call.ok()) return;
    const bool epoll = watcher->mechanism == SP_EPOLL;
    const auto there = std::find_if(watcher->entries.begin(), watcher->entries.end(), [&](const Watcher::Entry& of) {
      return of.handle == call.handle.value && of.socket == call.subject;
    });
    const bool alone = epoll && watcher->changing == 0 && !watcher->unknown && call.subject != kNobody &&
                       call.handle.kind == SP_HANDLE_SOCKET && !court.At(call.subject).shared;
    if (call.op == SP_OP_WATCH_ADD && alone && there != watcher->entries.end()) {
      court.Allows(kAddTwice, call, "ok");
      watcher->unknown = true;
      return;
    }
    if (call.op != SP_OP_WATCH_ADD && alone && there == watcher->entries.end()) {
      court.Allows(kNotThere, call, "ok");
      watcher->unknown = true;
      return;
    }
    if (call.op != SP_OP_WATCH_ADD || call.subject == kNobody) {
      watcher->unknown = true;
      return;
    }
    watcher->entries.push_back({call.subject, EventsByName(call.arguments.Get("events")).value_or(0),
                                static_cast<uint32_t>(call.arguments.Number("flags", 0)),
                                static_cast<uint64_t>(call.arguments.Number("cookie", 0)), call.handle.value, false});
    // A socket with an event object is non-blocking, and stays so.
    if (watcher->mechanism == SP_EVENT_OBJECT || watcher->mechanism == SP_WINDOW_MESSAGE) {
      court.At(call.subject).nonblocking.Set(std::nullopt, call.end);
    }
    return;
  }
  if (!call.ok() || watcher->unknown || watcher->changing > 0 || watcher->changed > call.begin ||
      watcher->mechanism == SP_EVENT_OBJECT || watcher->mechanism == SP_WINDOW_MESSAGE ||
      watcher->mechanism == SP_COMPLETION_PORT) {
    return;
  }
  const int64_t timeout = call.arguments.Number("timeout_ns", -1);
  const std::vector<Event> events = Events(call);
  // Where there is no room, what is reported has no place to go.
  if (call.arguments.Number("room", 0) < 1 || call.arguments.Has("pointer")) return;
  if (events.empty()) {
    court.Allows(kNoResult, call, fmt::format("={}", call.value));
  } else if (watcher->mechanism == SP_POLL || watcher->mechanism == SP_PPOLL) {
    court.Holds(kCount, call, call.value == static_cast<int64_t>(events.size()),
                fmt::format("{} and not {}", call.value, events.size()));
  }
  if (events.empty() && timeout > 0 && !call.arguments.Has("timeout_kind") && !watcher->entries.empty()) {
    // The clock of the trace starts before the call's own does, so what it measures is never too short.
    court.Allows(kTimeOut, call, call.elapsed_ns() + kTick < timeout ? "early" : "on_time");
  }
  const bool room = static_cast<int64_t>(watcher->entries.size()) <= call.arguments.Number("room", 0);
  // Entries may share a cookie, and the set may be looked at after a socket in it was closed.
  const std::vector<Watcher::Entry> entries = watcher->entries;
  const Watcher as_it_was{watcher->mechanism, {}, 0, 0, false};
  for (const Watcher::Entry& entry : entries) {
    const auto same =
        std::count_if(entries.begin(), entries.end(), [&](const Watcher::Entry& of) { return of.cookie == entry.cookie; });
    if (same != 1 || court.At(entry.socket).closed.Possible()) continue;
    uint32_t seen = 0;
    bool any = false;
    for (const Event& event : events) {
      if (event.cookie != entry.cookie) continue;
      seen |= event.events;
      any = true;
    }
    if (any && watcher->mechanism == SP_EPOLL && (entry.flags & SP_ONESHOT) != 0) {
      Watcher::Entry& kept = watcher->entries[static_cast<std::size_t>(&entry - entries.data())];
      if (kept.reported && !Blames(court, kOneShot, call, entry.socket, "ready", "")) watcher->unknown = true;
      court.Fired(kOneShot);
      kept.reported = true;
    }
    if (any) Reported(court, call, as_it_was, entry, seen);
    if ((seen & (SP_IN | SP_RDNORM | SP_ERR | SP_HUP | SP_NVAL)) == 0 && room) PassedOver(court, call, as_it_was, entry);
  }
}

}  // namespace sockproof::oracle
