// Event objects: selecting network events, and reporting them.
#include "catalogue/events.h"

#include "battery/event_support.h"

namespace sockproof {
namespace {

constexpr uint32_t kAll = SP_FD_READ | SP_FD_WRITE | SP_FD_OOB | SP_FD_ACCEPT | SP_FD_CONNECT | SP_FD_CLOSE;

// A listener with a request that is recorded.
struct WithRequest {
  Listener listener;
  Asker client;
};
WithRequest ListenerWithRequest(const Flavor& net, Watcher& event, Where where = SOCKPROOF_HERE) {
  WithRequest made{ListenOn(net, 16, where), {}};
  Step(event.Add(made.listener.socket, SP_FD_ACCEPT), where);
  made.client = Ask(made.listener, net, where);
  if (!event.IsSet(Patience())) {
    Host::Get().reporter().StepFailed(where, "the event of a request", Outcome(outcome::not_ready));
  }
  return made;
}

}  // namespace

SCENARIO(Events, SelectingMakesNonBlocking, kEvents, events::select_makes_nonblocking) {
  for (const uint32_t selection : {uint32_t{SP_FD_ACCEPT}, uint32_t{SP_FD_CLOSE}, kAll, uint32_t{0}}) {
    Listener listener = ListenOn(net);
    Watcher event(SP_EVENT_OBJECT);
    Step(event.Add(listener.socket, selection));
    CHECK_REQUIREMENT(events::select_makes_nonblocking, AcceptSoon(listener.socket));
  }
}

SCENARIO(Events, TheWayBackToBlocking, kEvents, events::blocking_refused, events::blocking_after_clearing) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  CHECK_REQUIREMENT(events::blocking_refused, listener.socket.Ioctl(SP_IOCTL_NONBLOCKING, 0));
  Step(event.Remove(listener.socket));
  const Result back = listener.socket.Ioctl(SP_IOCTL_NONBLOCKING, 0);
  auto accepting = AcceptInThread(listener.socket);
  const bool waits = accepting.WaitBlocked();
  Asker client = Ask(listener, net);
  const Outcome accepted = Settled(accepting);
  CHECK_REQUIREMENT(events::blocking_after_clearing, Holds(back.ok() && waits && accepted.name() == "ok",
                                                           fmt::format("{}; accept {}, then {}", back.text(),
                                                                       waits ? "waited" : "did not wait", accepted.name())));
}

SCENARIO(Events, SelectingAfterTheFact, kEvents, events::select_after_the_fact) {
  Listener listener = ListenOn(net);
  Asker client = Ask(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  const bool at_once = event.IsSet();
  const Outcome recorded = Recorded(event, listener.socket, SP_FD_ACCEPT);
  CHECK_REQUIREMENT(events::select_after_the_fact, at_once ? recorded : Holds(false, "not set at once"));

  Connected pair = Connect(net);
  Step(pair.client.SendBytes("data"));
  MustBeReady(pair.server, SP_IN);
  Watcher other(SP_EVENT_OBJECT);
  Step(other.Add(pair.server, SP_FD_READ));
  const bool told = other.IsSet();
  const Outcome read = Recorded(other, pair.server, SP_FD_READ);
  CHECK_REQUIREMENT(events::select_after_the_fact, told ? read : Holds(false, "not set at once"));
}

SCENARIO(Events, ANewSelectionReplacesTheOldOne, kEvents, events::new_selection_replaces, events::new_selection_clears) {
  Connected pair = Connect(net);
  Watcher first(SP_EVENT_OBJECT), second(SP_EVENT_OBJECT);
  Step(first.Add(pair.server, SP_FD_READ));
  Step(pair.client.SendBytes("one"));
  const bool set = first.IsSet(Patience());
  // What is recorded now is gone with the new selection, which does not ask for it.
  Step(second.Add(pair.server, SP_FD_CLOSE));
  const WaitResult report = second.Report(pair.server);
  CHECK_REQUIREMENT(events::new_selection_clears, Holds(set && report.events.empty(), "reported " + Reported(report)));

  static_cast<void>(first.Report(pair.server));  // resets the first event object
  static_cast<void>(Must(pair.server.Recv(16)));
  Step(pair.client.SendBytes("two"));
  MustBeReady(pair.server, SP_IN);
  LetItHappen();
  CHECK_REQUIREMENT(events::new_selection_replaces,
                    Holds(!first.IsSet() && !second.IsSet(), "data set an event that nobody selected them for"));
  static_cast<void>(Must(pair.server.Recv(16)));
  Step(pair.client.Shutdown(SP_SHUT_WR));
  const bool closed = second.IsSet(Patience());
  CHECK_REQUIREMENT(events::new_selection_replaces, Holds(closed && !first.IsSet(), "the end set the wrong event object"));
}

SCENARIO(Events, SelectingNothing, kEvents, events::empty_selection_ends, events::empty_selection_ignores_event) {
  for (const bool named : {true, false}) {
    Listener listener = ListenOn(net);
    Watcher event(SP_EVENT_OBJECT);
    Step(event.Add(listener.socket, SP_FD_ACCEPT));
    if (named) {
      Step(event.Modify(listener.socket, 0));
    } else {
      CHECK_REQUIREMENT(events::empty_selection_ignores_event, SelectOnInvalidEvent(listener.socket, 0));
    }
    Asker client = Ask(listener, net);
    MustBeReady(listener.socket, SP_IN);
    CHECK_REQUIREMENT(events::empty_selection_ends, Nothing(event, listener.socket));
  }
}

SCENARIO(Events, WrongArguments, kEvents, events::invalid_event, events::select_not_a_socket, events::report_not_a_socket) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(events::invalid_event, SelectOnInvalidEvent(listener.socket, SP_FD_ACCEPT));
  Watcher event(SP_EVENT_OBJECT);
  for (const int32_t kind : {SP_HANDLE_INVALID, SP_HANDLE_NOT_SOCKET}) {
    Socket wrong = Socket::Wrong(kind);
    CHECK_REQUIREMENT(events::select_not_a_socket, event.Add(wrong, SP_FD_ACCEPT));
    CHECK_REQUIREMENT(events::report_not_a_socket, event.Report(wrong));
  }
}

SCENARIO(Events, OnlyWhatWasSelected, kEvents, events::only_selected) {
  Listener listener = ListenOn(net);
  Watcher closing(SP_EVENT_OBJECT), reading(SP_EVENT_OBJECT);
  Step(closing.Add(listener.socket, SP_FD_CLOSE | SP_FD_READ));
  Asker client = Ask(listener, net);
  MustBeReady(listener.socket, SP_IN);
  CHECK_REQUIREMENT(events::only_selected, Nothing(closing, listener.socket));
  Step(closing.Remove(listener.socket));

  Socket server = Must(AcceptNow(listener.socket));
  Step(reading.Add(server, SP_FD_CLOSE));
  MustBeReady(client.socket, SP_OUT);
  Step(client.socket.SendBytes("data"));
  MustBeReady(server, SP_IN);
  CHECK_REQUIREMENT(events::only_selected, Nothing(reading, server));
}

SCENARIO(Events, AReportClearsAndResets, kEvents, events::report_clears, events::report_resets,
         events::report_only_errors_of_events) {
  Watcher event(SP_EVENT_OBJECT);
  WithRequest with = ListenerWithRequest(net, event);
  const WaitResult first = event.Report(with.listener.socket);
  CHECK_REQUIREMENT(events::report_resets, Holds(!event.IsSet(), "after the first report"));
  CHECK_REQUIREMENT(events::report_only_errors_of_events, Outcome::OfNumber(first.strays));
  const WaitResult again = event.Report(with.listener.socket);
  CHECK_REQUIREMENT(events::report_clears, Holds(first.All() == SP_FD_ACCEPT && again.ok() && again.events.empty(),
                                                 Reported(first) + ", then " + Reported(again)));
}

SCENARIO(Events, AReportWithoutTheEvent, kEvents, events::report_without_event) {
  Watcher event(SP_EVENT_OBJECT);
  WithRequest with = ListenerWithRequest(net, event);
  const WaitResult first = event.Report(with.listener.socket, true);
  const bool still_set = event.IsSet();
  const WaitResult again = event.Report(with.listener.socket);
  CHECK_REQUIREMENT(events::report_without_event,
                    Holds(first.All() == SP_FD_ACCEPT && still_set && again.events.empty(),
                          fmt::format("{}, {}, then {}", Reported(first), still_set ? "set" : "reset", Reported(again))));
}

SCENARIO(Events, AReportThatFails, kEvents, events::failed_report, events::failed_report_changes_nothing) {
  for (const int32_t kind : {SP_POINTER_NULL, SP_POINTER_INVALID}) {
    Watcher event(SP_EVENT_OBJECT);
    WithRequest with = ListenerWithRequest(net, event);
    CHECK_REQUIREMENT(events::failed_report, event.Report(with.listener.socket, false, kind));
    const bool still_set = event.IsSet();
    const Outcome recorded = Recorded(event, with.listener.socket, SP_FD_ACCEPT);
    CHECK_REQUIREMENT(events::failed_report_changes_nothing, still_set ? recorded : Holds(false, "the event was reset"));
  }
}

// A server that does what the documents say it may rely on: it waits for its event, asks what happened, and receives. Each round
// begins with a report of FD_WRITE, and FD_READ comes at about that time: a little earlier in one round, a little later in
// another.
SCENARIO(Events, AReportLosesNothing, kEvents.Limit(std::chrono::seconds(60)), events::report_loses_nothing) {
  Connected pair = Connect(net);
  constexpr int kRounds = 300;
  auto sending = Spawn("sender", [&] {
    for (int i = 0; i < kRounds; ++i) {
      if (!WaitReady(pair.client, SP_IN) || pair.client.Recv(1).value() != 1 || !pair.client.SendBytes("x").ok()) return i;
    }
    return kRounds;
  });
  Watcher event(SP_EVENT_OBJECT);
  std::string wrong;
  for (int round = 0; round < kRounds && wrong.empty(); ++round) {
    Step(pair.server.SendBytes("y"));
    Step(event.Add(pair.server, SP_FD_READ | SP_FD_WRITE));
    for (int i = 0; i < round % 60; ++i) static_cast<void>(pair.server.LocalName());
    uint32_t seen = event.Report(pair.server).All();
    for (int looks = 0; (seen & SP_FD_READ) == 0 && wrong.empty(); ++looks) {
      if (looks == 100) wrong = "the event is set again and again, with nothing recorded";
      if (!event.IsSet(Patience()))
        wrong = fmt::format("round {}: the event was not set for what came at the time of a report", round);
      seen |= event.Report(pair.server).All();
    }
    if (wrong.empty()) static_cast<void>(Must(pair.server.Recv(1)));
  }
  CHECK_REQUIREMENT(events::report_loses_nothing, Holds(wrong.empty(), wrong));
  static_cast<void>(pair.server.Shutdown(SP_SHUT_RDWR));
  static_cast<void>(sending.Join(2 * Patience()));
}

SCENARIO(Events, SelectChangesNothing, kEvents.Needs({SP_CAP_SELECT}), events::readiness_leaves_events) {
  Watcher event(SP_EVENT_OBJECT);
  WithRequest with = ListenerWithRequest(net, event);
  const uint32_t ready = Events(with.listener.socket, SP_IN, Nanoseconds(0), SP_SELECT);
  const bool still_set = event.IsSet();
  const Outcome recorded = Recorded(event, with.listener.socket, SP_FD_ACCEPT);
  CHECK_REQUIREMENT(events::readiness_leaves_events,
                    ready != 0 && still_set ? recorded : Holds(false, fmt::format("select {}, set {}", ready, still_set)));
  static_cast<void>(Events(with.listener.socket, SP_IN, Nanoseconds(0), SP_SELECT));
  CHECK_REQUIREMENT(events::readiness_leaves_events, Nothing(event, with.listener.socket));
}

SCENARIO(Events, ClosingTheSocket, kEvents, events::local_close_silent, events::event_outlives_socket) {
  Connected pair = Connect(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(pair.server, SP_FD_CLOSE | SP_FD_READ));
  Step(pair.server.Close());
  LetItHappen();
  CHECK_REQUIREMENT(events::local_close_silent, Holds(!event.IsSet(), "the event of a socket that was closed"));
  static_cast<void>(pair.client.SendBytes("for nobody"));
  LetItHappen();
  Step(pair.client.Close());
  LetItHappen();
  CHECK_REQUIREMENT(events::event_outlives_socket, Holds(!event.IsSet(), "set by what came for a closed socket"));
  Step(event.Add(pair.listener.socket, SP_FD_ACCEPT));
  Asker client = Ask(pair.listener, net);
  CHECK_REQUIREMENT(events::event_outlives_socket, Recorded(event, pair.listener.socket, SP_FD_ACCEPT));
}

}  // namespace sockproof
