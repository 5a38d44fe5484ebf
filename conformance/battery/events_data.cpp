// Event objects on connections: FD_CONNECT, FD_WRITE, FD_READ and FD_CLOSE.
#include <utility>

#include "battery/event_support.h"
#include "catalogue/events.h"

namespace sockproof {
namespace {

// A client whose connect has ended and been reported, and its server.
struct Selected {
  Listener listener;
  Asker client;
  Socket server;
};
Selected ConnectSelected(const Flavor& net, Watcher& event, uint32_t selection, Where where = SOCKPROOF_HERE) {
  Selected made{ListenOn(net, 16, where), NewAsker(net, where), {}};
  Step(event.Add(made.client.socket, selection), where);
  MustHaveAsked(made.client.socket.Connect(made.listener.address), where);
  MustBeReady(made.listener.socket, SP_IN, where);
  made.server = Must(AcceptNow(made.listener.socket, {}, where), where);
  MustBeReady(made.client.socket, SP_OUT, where);
  return made;
}

// A connect to where nobody listens, with its port kept from others.
Outcome RefusedConnect(const Flavor& net, Watcher& event, Asker& client) {
  Listener closed = BoundOn(net);
  Step(event.Add(client.socket, SP_FD_CONNECT));
  const Result asked = client.socket.Connect(closed.address);
  if (asked.error() != SP_EAGAIN && asked.error() != SP_EINPROGRESS) return asked;
  return ErrorWith(event, client.socket, SP_FD_CONNECT);
}

}  // namespace

SCENARIO(Events, AConnectIsRecorded, kEvents, events::connect_recorded, events::write_after_connect, events::connect_once,
         events::write_not_repeated) {
  Watcher event(SP_EVENT_OBJECT);
  auto made = ConnectSelected(net, event, SP_FD_CONNECT | SP_FD_WRITE | SP_FD_CLOSE);
  // Both belong together, though the record may be looked at between them.
  std::optional<Outcome> connected;
  bool writable = false;
  const bool both = WaitUntil(
      [&] {
        if (!event.IsSet()) return false;
        const WaitResult report = event.Report(made.client.socket);
        if (const auto error = report.ErrorOf(SP_FD_CONNECT)) connected = error;
        writable = writable || (report.All() & SP_FD_WRITE) != 0;
        return connected.has_value() && writable;
      },
      Patience(), "FD_CONNECT and FD_WRITE");
  CHECK_REQUIREMENT(events::connect_recorded, connected.value_or(outcome::not_ready));
  CHECK_REQUIREMENT(events::write_after_connect, Holds(both, "FD_WRITE after FD_CONNECT"));
  CHECK_REQUIREMENT(events::connect_once, Nothing(event, made.client.socket));
  // No call records them again: neither one that repeats the connect, nor sends that succeed.
  static_cast<void>(made.client.socket.Connect(made.listener.address));
  CHECK_REQUIREMENT(events::connect_once, Nothing(event, made.client.socket));
  Step(made.client.socket.SendBytes("data"));
  CHECK_REQUIREMENT(events::write_not_repeated, Nothing(event, made.client.socket));
}

SCENARIO(Events, ARefusedConnectIsRecorded, kEvents, events::connect_refused_recorded) {
  Watcher event(SP_EVENT_OBJECT);
  Asker client = NewAsker(net);
  CHECK_REQUIREMENT(events::connect_refused_recorded, RefusedConnect(net, event, client));
}

// Only where time costs nothing: the attempt lasts minutes.
SCENARIO(Events, AConnectThatTimesOutIsRecorded, kTcp46.Needs({SP_CAP_EVENT_OBJECTS, SP_CAP_SCHEDULER, SP_CAP_BLACK_HOLE}),
         events::connect_timeout_recorded) {
  Watcher event(SP_EVENT_OBJECT);
  Socket client = net.NewConnecting();
  Step(event.Add(client, SP_FD_CONNECT));
  const Address hole = BlackHole(net.connect_family);
  MustHaveAsked(client.Connect(hole.port() != 0 ? hole : hole.WithPort(7)));
  CHECK_REQUIREMENT(events::connect_timeout_recorded, ErrorWith(event, client, SP_FD_CONNECT, seconds(600)));
}

SCENARIO(Events, WritingAgain, kEvents, events::write_after_full, events::write_not_repeated) {
  Connected pair = Connect(net);
  Watcher event(SP_EVENT_OBJECT);
  uint64_t filled = FillSendPath(pair.client);
  Step(event.Add(pair.client, SP_FD_WRITE));
  // The selection has cleared the record; the send that would block lets FD_WRITE be recorded when there is room again.
  Result full = pair.client.Send(Payload{1, 0, 65536});
  for (int more = 0; full.ok() && more < 100; ++more) {
    filled += static_cast<uint64_t>(full.value());
    full = pair.client.Send(Payload{1, 0, 65536});
  }
  const WaitResult before = event.Report(pair.client);

  auto reading = Spawn("reader", [&] {
    for (uint64_t got = 0; got < filled;) {
      const RecvResult part = pair.server.Recv(65536);
      if (!part.ok() || part.value() == 0) return got;
      got += static_cast<uint64_t>(part.value());
    }
    return filled;
  });
  const Outcome recorded = Recorded(event, pair.client, SP_FD_WRITE);
  CHECK_REQUIREMENT(events::write_after_full,
                    full.error() == SP_EAGAIN ? recorded : Holds(false, "not full: " + full.text() + Reported(before)));
  static_cast<void>(reading.Join());
  CHECK_REQUIREMENT(events::write_not_repeated, Nothing(event, pair.client));
}

SCENARIO(Events, DataAreRecorded, kEvents, events::read_recorded, events::read_not_repeated, events::read_level_triggered) {
  Connected pair = Connect(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(pair.server, SP_FD_READ));
  Step(pair.client.SendBytes("0123456789"));
  CHECK_REQUIREMENT(events::read_recorded, Recorded(event, pair.server, SP_FD_READ));
  CHECK_REQUIREMENT(events::read_not_repeated, Nothing(event, pair.server));
  Step(pair.client.SendBytes("abcdefghij"));
  CHECK_REQUIREMENT(events::read_not_repeated, Nothing(event, pair.server));
  // Half of it, then the other half.
  static_cast<void>(Must(pair.server.Recv(10)));
  CHECK_REQUIREMENT(events::read_level_triggered, Recorded(event, pair.server, SP_FD_READ));
  static_cast<void>(Must(pair.server.Recv(10)));
  CHECK_REQUIREMENT(events::read_level_triggered, Nothing(event, pair.server));
  Step(pair.client.SendBytes("once more"));
  CHECK_REQUIREMENT(events::read_recorded, Recorded(event, pair.server, SP_FD_READ));
}

SCENARIO(Events, AnOrderlyEndIsRecorded, kEvents, events::close_graceful, events::close_once, events::close_is_no_read) {
  for (const bool shut_down : {true, false}) {
    Connected pair = Connect(net);
    Watcher event(SP_EVENT_OBJECT);
    Step(event.Add(pair.server, SP_FD_READ | SP_FD_CLOSE));
    Step(shut_down ? pair.client.Shutdown(SP_SHUT_WR) : pair.client.Close());
    const bool set = event.IsSet(Patience());
    const WaitResult report = event.Report(pair.server);
    CHECK_REQUIREMENT(events::close_graceful,
                      set ? report.ErrorOf(SP_FD_CLOSE).value_or(outcome::not_ready) : outcome::not_ready);
    CHECK_REQUIREMENT(events::close_is_no_read, Holds((report.All() & SP_FD_READ) == 0, Reported(report)));
    CHECK_REQUIREMENT(events::close_once, Nothing(event, pair.server));
    static_cast<void>(pair.server.Recv(16));
    CHECK_REQUIREMENT(events::close_once, Nothing(event, pair.server));
  }
}

SCENARIO(Events, AResetIsRecorded, kEvents, events::close_reset, events::close_once) {
  Connected pair = Connect(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(pair.server, SP_FD_READ | SP_FD_CLOSE));
  Step(pair.client.SetLinger(true, 0));
  Step(pair.client.Close());
  CHECK_REQUIREMENT(events::close_reset, ErrorWith(event, pair.server, SP_FD_CLOSE));
  static_cast<void>(pair.server.Recv(16));
  CHECK_REQUIREMENT(events::close_once, Nothing(event, pair.server));
}

SCENARIO(Events, TheEndComesAfterTheData, kEvents, events::close_after_data, events::close_graceful) {
  Connected pair = Connect(net);
  Watcher event(SP_EVENT_OBJECT);
  Step(event.Add(pair.server, SP_FD_READ | SP_FD_CLOSE));
  Step(pair.client.SendBytes("the last words"));
  Step(pair.client.Shutdown(SP_SHUT_WR));
  LetItHappen();
  const WaitResult early = event.Report(pair.server);
  CHECK_REQUIREMENT(events::close_after_data, Holds(early.All() == SP_FD_READ, Reported(early)));
  static_cast<void>(Must(pair.server.Recv(64)));
  const std::optional<Outcome> told = early.ErrorOf(SP_FD_CLOSE);  // one that came early does not come again
  CHECK_REQUIREMENT(events::close_graceful, told ? *told : ErrorWith(event, pair.server, SP_FD_CLOSE));
}

}  // namespace sockproof
