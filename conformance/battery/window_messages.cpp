// Network events as window messages.
#include "catalogue/window_messages.h"

#include "battery/event_support.h"

namespace sockproof {
namespace {

const Over kMessages = kWinsockStreams.Needs({SP_CAP_WINDOW_MESSAGES});

// The messages that have come: those within the limit, and whatever is in the queue by then.
WaitResult Messages(Watcher& window, Nanoseconds limit = Patience()) { return window.Wait(limit); }

// The next messages are these events of this selection, in this order, one each and none with an error. More may follow only if
// it is waited for.
Outcome Arrive(Watcher& window, const std::vector<uint32_t>& expected, uint64_t cookie) {
  std::vector<sp_event> seen;
  while (seen.size() < expected.size()) {
    const WaitResult more = Messages(window);
    if (!more.ok()) return more;
    if (more.events.empty()) break;
    seen.insert(seen.end(), more.events.begin(), more.events.end());
  }
  std::string text;
  bool right = seen.size() == expected.size();
  for (std::size_t i = 0; i < seen.size(); ++i) {
    text += fmt::format("{}{} of {} error {}", i == 0 ? "" : ", ", EventNames(seen[i].events), seen[i].cookie,
                        ErrorName(seen[i].error));
    right = right && seen[i].events == expected[i] && seen[i].cookie == cookie && seen[i].error == SP_OK;
  }
  return Holds(right, text.empty() ? "no message" : text);
}

// No message comes.
Outcome Silent(Watcher& window) {
  LetItHappen();
  const WaitResult seen = Messages(window, Nanoseconds(0));
  return Holds(seen.ok() && seen.events.empty(), "posted " + Reported(seen));
}

}  // namespace

SCENARIO(WindowMessages, SelectingMakesNonBlocking, kMessages, window_messages::select_makes_nonblocking) {
  for (const uint32_t selection : {uint32_t{SP_FD_ACCEPT}, uint32_t{SP_FD_CLOSE}, uint32_t{0}}) {
    Listener listener = ListenOn(net);
    Watcher window(SP_WINDOW_MESSAGE);
    Step(window.Add(listener.socket, selection));
    CHECK_REQUIREMENT(window_messages::select_makes_nonblocking, AcceptSoon(listener.socket));
  }
}

SCENARIO(WindowMessages, AMessageSaysWhatHappened, kMessages, window_messages::message_content) {
  Watcher window(SP_WINDOW_MESSAGE);
  Listener first = ListenOn(net), second = ListenOn(net);
  Step(window.Add(first.socket, SP_FD_ACCEPT, 0, 11));
  Step(window.Add(second.socket, SP_FD_ACCEPT, 0, 22));
  Asker late = Ask(second, net);
  CHECK_REQUIREMENT(window_messages::message_content, Arrive(window, {SP_FD_ACCEPT}, 22));
  Asker other = Ask(first, net);
  CHECK_REQUIREMENT(window_messages::message_content, Arrive(window, {SP_FD_ACCEPT}, 11));

  Connected pair = Connect(net);
  Step(window.Add(pair.server, SP_FD_READ | SP_FD_CLOSE, 0, 33));
  Step(pair.client.SendBytes("data"));
  CHECK_REQUIREMENT(window_messages::message_content, Arrive(window, {SP_FD_READ}, 33));
}

SCENARIO(WindowMessages, OneMessageAnEvent, kMessages, window_messages::one_message_an_event) {
  Watcher window(SP_WINDOW_MESSAGE);
  Listener listener = ListenOn(net);
  Step(window.Add(listener.socket, SP_FD_ACCEPT, 0, 1));
  Asker first = Ask(listener, net);
  CHECK_REQUIREMENT(window_messages::one_message_an_event, Arrive(window, {SP_FD_ACCEPT}, 1));
  Asker second = Ask(listener, net);
  CHECK_REQUIREMENT(window_messages::one_message_an_event, Silent(window));
  // accept enables it again, and there is one more.
  Socket one = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(window_messages::one_message_an_event, Arrive(window, {SP_FD_ACCEPT}, 1));
  Socket two = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(window_messages::one_message_an_event, Silent(window));

  Connected pair = Connect(net);
  Step(window.Add(pair.server, SP_FD_READ, 0, 2));
  Step(pair.client.SendBytes("one"));
  CHECK_REQUIREMENT(window_messages::one_message_an_event, Arrive(window, {SP_FD_READ}, 2));
  Step(pair.client.SendBytes("two"));
  CHECK_REQUIREMENT(window_messages::one_message_an_event, Silent(window));
  static_cast<void>(Must(pair.server.Recv(3)));
  CHECK_REQUIREMENT(window_messages::one_message_an_event, Arrive(window, {SP_FD_READ}, 2));
}

SCENARIO(WindowMessages, AConnectIsToldOfFirst, kMessages, window_messages::connect_before_write) {
  Watcher window(SP_WINDOW_MESSAGE);
  Listener listener = ListenOn(net);
  Asker client = NewAsker(net);
  Step(window.Add(client.socket, SP_FD_CONNECT | SP_FD_WRITE, 0, 5));
  MustHaveAsked(client.socket.Connect(listener.address));
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(window_messages::connect_before_write, Arrive(window, {SP_FD_CONNECT, SP_FD_WRITE}, 5));
}

SCENARIO(WindowMessages, ARefusedConnectIsToldOf, kMessages, window_messages::refused_connect) {
  Watcher window(SP_WINDOW_MESSAGE);
  const Listener nobody = BoundOn(net);
  Asker client = NewAsker(net);
  Step(window.Add(client.socket, SP_FD_CONNECT | SP_FD_WRITE, 0, 6));
  MustHaveAsked(client.socket.Connect(nobody.address));
  const WaitResult told = Messages(window);
  CHECK_REQUIREMENT(window_messages::refused_connect,
                    told.ErrorOf(SP_FD_CONNECT).value_or(Outcome(outcome::not_ready, "posted " + Reported(told))));
}

SCENARIO(WindowMessages, AWindowThatIsGone, kMessages, window_messages::no_window) {
  Listener listener = ListenOn(net);
  Watcher window(SP_WINDOW_MESSAGE);
  Step(window.Close());
  CHECK_REQUIREMENT(window_messages::no_window, window.Add(listener.socket, SP_FD_ACCEPT));
}

SCENARIO(WindowMessages, ASelectionEndsTheOneBefore, kMessages.Needs({SP_CAP_EVENT_OBJECTS}), window_messages::replaces) {
  // Other messages take the place of those before.
  Connected pair = Connect(net);
  Watcher window(SP_WINDOW_MESSAGE), other(SP_WINDOW_MESSAGE);
  Step(window.Add(pair.server, SP_FD_READ, 0, 1));
  Step(other.Add(pair.server, SP_FD_CLOSE, 0, 2));
  Step(pair.client.SendBytes("data"));
  MustBeReady(pair.server, SP_IN);
  CHECK_REQUIREMENT(window_messages::replaces, Silent(window));
  CHECK_REQUIREMENT(window_messages::replaces, Silent(other));

  // An event object takes the place of messages.
  Connected second = Connect(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(window.Add(second.server, SP_FD_READ, 0, 3));
  Step(event.Add(second.server, SP_FD_READ, 0, 4));
  Step(second.client.SendBytes("data"));
  CHECK_REQUIREMENT(window_messages::replaces, Recorded(event, second.server, SP_FD_READ));
  CHECK_REQUIREMENT(window_messages::replaces, Silent(window));

  // Messages take the place of an event object.
  Connected third = Connect(net);
  Watcher silent(SP_EVENT_OBJECT);
  Step(silent.Add(third.server, SP_FD_READ, 0, 5));
  Step(window.Add(third.server, SP_FD_READ, 0, 6));
  Step(third.client.SendBytes("data"));
  CHECK_REQUIREMENT(window_messages::replaces, Arrive(window, {SP_FD_READ}, 6));
  CHECK_REQUIREMENT(window_messages::replaces, Holds(!silent.IsSet(), "the event object was set"));
}

SCENARIO(WindowMessages, SelectingNothing, kMessages, window_messages::empty_selection) {
  for (const bool removed : {false, true}) {
    Watcher window(SP_WINDOW_MESSAGE);
    Listener listener = ListenOn(net);
    Step(window.Add(listener.socket, SP_FD_ACCEPT, 0, 1));
    if (removed) {
      Step(window.Remove(listener.socket));
    } else {
      Step(window.Modify(listener.socket, 0));
    }
    Asker client = Ask(listener, net);
    MustBeReady(listener.socket, SP_IN);
    CHECK_REQUIREMENT(window_messages::empty_selection, Silent(window));
  }
}

SCENARIO(WindowMessages, AnAcceptedSocketHasTheListenersSelection, kMessages, window_messages::inherited) {
  Watcher window(SP_WINDOW_MESSAGE);
  Listener listener = ListenOn(net);
  Step(window.Add(listener.socket, SP_FD_ACCEPT | SP_FD_READ, 0, 7));
  Asker client = Ask(listener, net);
  CHECK_REQUIREMENT(window_messages::inherited, Arrive(window, {SP_FD_ACCEPT}, 7));
  Socket server = Must(AcceptNow(listener.socket));
  MustBeReady(client.socket, SP_OUT);
  Step(client.socket.SendBytes("data"));
  CHECK_REQUIREMENT(window_messages::inherited, Arrive(window, {SP_FD_READ}, 7));
  // What the listener did not select stays away.
  static_cast<void>(Must(server.Recv(16)));
  Step(client.socket.Shutdown(SP_SHUT_WR));
  MustBeReady(server, SP_IN);
  CHECK_REQUIREMENT(window_messages::inherited, Silent(window));
}

}  // namespace sockproof
