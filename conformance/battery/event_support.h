// What the scenarios about event objects look at: whether the event is set, and what is recorded.
#pragma once

#include <string>

#include "battery/requests.h"
#include "face/names.h"

namespace sockproof {

inline const Over kEvents = kWinsockStreams.Needs({SP_CAP_EVENT_OBJECTS});

// What waits for something that must not come: long enough for it to come if it does.
inline void LetItHappen() { LetQuietTimePass(milliseconds(50)); }

// An event object and what it was asked for last.
inline std::string Reported(const WaitResult& report) {
  std::string text;
  for (const sp_event& event : report.events) {
    if (!text.empty()) text += ' ';
    text += EventNames(event.events);
    if (event.error != SP_OK) text += "=" + std::string(ErrorName(event.error));
  }
  return text.empty() ? "nothing" : text;
}

// The event becomes set, and the report of this socket holds exactly these events, none with an error. The report clears them.
inline Outcome Recorded(Watcher& event, const Socket& socket, uint32_t expected) {
  const bool set = event.IsSet(Patience());
  const WaitResult report = event.Report(socket);
  const bool right = report.ok() && report.All() == expected && report.events.size() == static_cast<std::size_t>(report.value());
  bool clean = true;
  for (const sp_event& one : report.events) clean = clean && one.error == SP_OK && (one.events & (one.events - 1)) == 0;
  return Holds(set && right && clean,
               fmt::format("{}, reported {}, expected {}", set ? "set" : "not set", Reported(report), EventNames(expected)));
}

// The event is not set, stays so, and nothing is recorded for this socket.
inline Outcome Nothing(Watcher& event, const Socket& socket) {
  LetItHappen();
  const bool set = event.IsSet();
  const WaitResult report = event.Report(socket);
  return Holds(!set && report.ok() && report.events.empty(),
               fmt::format("{}, reported {}", set ? "set" : "not set", Reported(report)));
}

// The error that came with this event, once it is reported.
inline Outcome ErrorWith(Watcher& event, const Socket& socket, uint32_t wanted, Nanoseconds limit = Patience()) {
  if (!event.IsSet(limit)) return outcome::not_ready;
  const WaitResult report = event.Report(socket);
  return report.ErrorOf(wanted).value_or(Outcome(outcome::not_ready, "reported " + Reported(report)));
}

// A connection whose ends are blocking and selected by nobody. The client asks without waiting, so that this works for families
// whose connect waits for accept, too.
struct Connected {
  Listener listener;
  Socket client;  // non-blocking
  Socket server;
};
inline Connected Connect(const Flavor& net, Where where = SOCKPROOF_HERE) {
  Connected made;
  made.listener = ListenOn(net, 16, where);
  Asker asker = Ask(made.listener, net, where);
  made.server = Must(AcceptNow(made.listener.socket, {}, where), where);
  MustBeReady(asker.socket, SP_OUT, where);
  made.client = std::move(asker.socket);
  return made;
}

}  // namespace sockproof
