// Event objects on listeners: FD_ACCEPT, what lets it be recorded again, and what accepted sockets inherit.
#include "battery/event_support.h"
#include "catalogue/events.h"

namespace sockproof {

SCENARIO(Events, ARequestIsRecorded, kEvents, events::accept_recorded) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  LetItHappen();
  const bool early = event.IsSet();
  Asker client = Ask(listener, net);
  const Outcome recorded = Recorded(event, listener.socket, SP_FD_ACCEPT);
  CHECK_REQUIREMENT(events::accept_recorded, early ? Holds(false, "set before anybody asked") : recorded);
}

SCENARIO(Events, ARequestIsRecordedOnce, kEvents, events::accept_recorded, events::accept_not_repeated,
         events::accept_level_triggered) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  Asker first = Ask(listener, net);
  CHECK_REQUIREMENT(events::accept_recorded, Recorded(event, listener.socket, SP_FD_ACCEPT));
  CHECK_REQUIREMENT(events::accept_not_repeated, Nothing(event, listener.socket));
  Asker second = Ask(listener, net);
  CHECK_REQUIREMENT(events::accept_not_repeated, Nothing(event, listener.socket));

  Socket one = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(events::accept_level_triggered, Recorded(event, listener.socket, SP_FD_ACCEPT));
  Socket two = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(events::accept_level_triggered, Nothing(event, listener.socket));
  Asker third = Ask(listener, net);
  CHECK_REQUIREMENT(events::accept_level_triggered, Recorded(event, listener.socket, SP_FD_ACCEPT));
}

SCENARIO(Events, AnAcceptThatFails, kEvents, events::accept_failed_reenables) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  Asker first = Ask(listener, net);
  static_cast<void>(event.IsSet(Patience()));
  static_cast<void>(event.Report(listener.socket));
  Asker second = Ask(listener, net), third = Ask(listener, net);
  // Too little room for the address. Whether that takes a request with it is not the question: others are left.
  AcceptOptions options;
  options.peer.length = 3;
  const AcceptResult failed = AcceptNow(listener.socket, options);
  const Outcome recorded = Recorded(event, listener.socket, SP_FD_ACCEPT);
  CHECK_REQUIREMENT(events::accept_failed_reenables, failed.ok() ? Holds(false, failed.text()) : recorded);
}

SCENARIO(Events, ARejectionThatFailsTheAccept, kEvents.Needs({SP_CAP_CONDITION}), events::accept_failed_reenables) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  Asker first = Ask(listener, net), second = Ask(listener, net);
  static_cast<void>(event.IsSet(Patience()));
  static_cast<void>(event.Report(listener.socket));
  static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_REJECT)));
  CHECK_REQUIREMENT(events::accept_failed_reenables, Recorded(event, listener.socket, SP_FD_ACCEPT));
}

SCENARIO(Events, ADeferredRequestIsNotIndicatedAgain, kEvents.Needs({SP_CAP_CONDITION}), events::defer_does_not_reenable,
         events::no_indication_behind_deferred, events::indication_after_deferred) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  Asker first = Ask(listener, net);
  static_cast<void>(event.IsSet(Patience()));
  static_cast<void>(event.Report(listener.socket));
  static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER)));
  CHECK_REQUIREMENT(events::defer_does_not_reenable, Nothing(event, listener.socket));
  Asker second = Ask(listener, net);
  CHECK_REQUIREMENT(events::no_indication_behind_deferred, Nothing(event, listener.socket));
  static_cast<void>(AcceptNow(listener.socket, Answering(SP_CONDITION_DEFER)));
  CHECK_REQUIREMENT(events::defer_does_not_reenable, Nothing(event, listener.socket));
  Socket server = Must(AcceptNow(listener.socket, Answering(SP_CONDITION_ACCEPT)));
  CHECK_REQUIREMENT(events::indication_after_deferred, Recorded(event, listener.socket, SP_FD_ACCEPT));
}

SCENARIO(Events, AnAcceptedSocketInherits, kEvents, events::inherited, events::write_after_accept) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT | SP_FD_READ | SP_FD_WRITE | SP_FD_CLOSE));
  Asker client = Ask(listener, net);
  static_cast<void>(event.IsSet(Patience()));
  static_cast<void>(event.Report(listener.socket));
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(events::write_after_accept, Recorded(event, server, SP_FD_WRITE));
  MustBeReady(client.socket, SP_OUT);
  Step(client.socket.SendBytes("data"));
  CHECK_REQUIREMENT(events::inherited, Recorded(event, server, SP_FD_READ));
  static_cast<void>(Must(server.Recv(16)));
  Step(client.socket.Close());
  CHECK_REQUIREMENT(events::inherited, Recorded(event, server, SP_FD_CLOSE));
  // The listener's own record knows nothing of it.
  CHECK_REQUIREMENT(events::inherited, Nothing(event, listener.socket));
}

SCENARIO(Events, OnlyTheSelectionIsInherited, kEvents, events::inherited) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT));
  Asker client = Ask(listener, net);
  static_cast<void>(event.IsSet(Patience()));
  // Not the record: the request stays with the listener's.
  Socket server = Must(AcceptNow(listener.socket));
  const WaitResult its_own = event.Report(server, true);
  CHECK_REQUIREMENT(events::inherited, Holds(its_own.ok() && its_own.events.empty(), "reported " + Reported(its_own)));
  CHECK_REQUIREMENT(events::inherited, Recorded(event, listener.socket, SP_FD_ACCEPT));
  // And no event that the listener did not select.
  MustBeReady(client.socket, SP_OUT);
  Step(client.socket.SendBytes("data"));
  MustBeReady(server, SP_IN);
  CHECK_REQUIREMENT(events::inherited, Nothing(event, server));
}

SCENARIO(Events, ASelectionOfItsOwn, kEvents, events::inherited_replaced, events::write_after_accept) {
  Listener listener = ListenOn(net);
  Watcher event(SP_EVENT_OBJECT), own(SP_EVENT_OBJECT);
  Step(event.Add(listener.socket, SP_FD_ACCEPT | SP_FD_READ));
  Asker client = Ask(listener, net);
  static_cast<void>(event.IsSet(Patience()));
  static_cast<void>(event.Report(listener.socket));
  Socket server = Must(AcceptNow(listener.socket));
  Step(own.Add(server, SP_FD_WRITE | SP_FD_READ));
  CHECK_REQUIREMENT(events::write_after_accept, Recorded(own, server, SP_FD_WRITE));
  MustBeReady(client.socket, SP_OUT);
  Step(client.socket.SendBytes("data"));
  CHECK_REQUIREMENT(events::inherited_replaced, Recorded(own, server, SP_FD_READ));
  LetItHappen();
  CHECK_REQUIREMENT(events::inherited_replaced, Holds(!event.IsSet(), "the listener's event"));
  Asker second = Ask(listener, net);
  CHECK_REQUIREMENT(events::inherited_replaced, Recorded(event, listener.socket, SP_FD_ACCEPT));
  CHECK_REQUIREMENT(events::inherited_replaced, Holds(!own.IsSet(), "the accepted socket's event"));
}

}  // namespace sockproof
