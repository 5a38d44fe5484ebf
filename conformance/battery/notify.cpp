// What poll, select and epoll say of a socket in each state: listening, connecting, connected, with data, full, ended, broken.
#include "battery/notify.h"

#include "battery/held.h"
#include "catalogue/notify.h"

namespace sockproof {

// ---- a listener ----

SCENARIO(Notify, AListenerIsReadyWhileConnectionsWait, kConnections, notify::listener_idle, notify::listener_ready,
         notify::listener_more, notify::listener_drained, notify::listener_writable) {
  NeedQueue(net, 2);
  const std::vector<int32_t> ways = EveryWay();
  Listener listener = ListenOn(net);
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::listener_idle, Now(way, listener.socket, SP_IN));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::listener_writable, Now(way, listener.socket, SP_OUT));

  Socket first = ConnectTo(listener, net);
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::listener_ready, Soon(way, listener.socket, SP_IN));
  Socket second = ConnectTo(listener, net);
  WaitQueued(listener, net, 2);
  Socket accepted = Must(listener.socket.Accept());
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::listener_more, Soon(way, listener.socket, SP_IN));
  Socket another = Must(listener.socket.Accept());
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::listener_drained, Now(way, listener.socket, SP_IN));
}

SCENARIO(Notify, AConnectionEndsTheWaitForIt, kConnections, notify::listener_wakes) {
  Listener listener = ListenOn(net);
  Waiters waiters(EveryWay(), listener.socket, SP_IN);
  Socket client = ConnectTo(listener, net);
  for (auto& one : waiters.all) {
    CHECK_REQUIREMENT(notify::listener_wakes, Reported(one->task, SP_IN, 0, WayName(one->way)));
  }
}

SCENARIO(Notify, AHandshakeThatIsHeldUpRaisesNothing, kTcp.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1100)),
         notify::listener_half_open, notify::listener_completed_late) {
  const std::vector<int32_t> ways = EveryWay();
  Listener listener = ListenOn(net);
  // The listener gets the request; its answer is lost on the way to the client.
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  Silence silence(client);
  const Result connecting = client.Connect(listener.address);
  if (!UnderWay(connecting, net)) Step(connecting);
  LetQuietTimePass(milliseconds(30));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::listener_half_open, Now(way, listener.socket, SP_IN));
  silence.Lift();
  // The answer is sent again after a second or so.
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::listener_completed_late, Soon(way, listener.socket, SP_IN));
}

// ---- a socket that connects ----

SCENARIO(Notify, AConnectUnderWayIsReadyWhenItIsDone, kTcp.Waits(milliseconds(1100)), notify::connecting_not_ready,
         notify::connected_writable) {
  const std::vector<int32_t> ways = EveryWay();
  Connecting held = HoldConnecting(net);
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::connecting_not_ready, Now(way, held.socket, SP_OUT));
  const std::vector<Socket> accepted = LetIn(held.listener, held.queued);
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::connected_writable, Soon(way, held.socket, SP_OUT));
}

SCENARIO(Notify, APendingErrorIsReady, kTcp, notify::pending_error_readable, notify::pending_error_writable,
         notify::error_reported, notify::error_unasked, notify::error_taken) {
  const std::vector<int32_t> events = EventWays();
  Listener bound = BoundOn(net);  // nobody listens there
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result connecting = client.Connect(net.ToReach(bound.address));
  if (!UnderWay(connecting, net)) {
    Host::Get().reporter().NotSupported("pending_error", "a refusal is the result of the call itself: " + connecting.text());
  }
  for (const int32_t way : EveryWay()) {
    CHECK_REQUIREMENT(notify::pending_error_writable, Soon(way, client, SP_OUT));
    CHECK_REQUIREMENT(notify::pending_error_readable, Soon(way, client, SP_IN));
  }
  for (const int32_t way : events) {
    CHECK_REQUIREMENT(notify::error_reported,
                      Readiness((Events(client, SP_IN | SP_OUT, Patience(), way) & SP_ERR) != 0, WayName(way)));
    CHECK_REQUIREMENT(notify::error_unasked, Readiness((Events(client, 0, Patience(), way) & SP_ERR) != 0, WayName(way)));
  }
  static_cast<void>(client.TakeError());
  for (const int32_t way : events) {
    CHECK_REQUIREMENT(notify::error_taken, Readiness((Events(client, 0, Nanoseconds(0), way) & SP_ERR) != 0, WayName(way)));
  }
}

// ---- sockets that were never connected ----

SCENARIO(Notify, AFreshSocketDoesNotWait, kConnections, notify::unconnected_select, notify::unconnected_hangup) {
  Socket fresh = net.NewConnecting();
  for (const int32_t way : SelectWays()) {
    CHECK_REQUIREMENT(notify::unconnected_select, Now(way, fresh, SP_IN));
    CHECK_REQUIREMENT(notify::unconnected_select, Now(way, fresh, SP_OUT));
  }
  for (const int32_t way : EventWays()) {
    CHECK_REQUIREMENT(notify::unconnected_hangup, Readiness((Events(fresh, 0, Nanoseconds(0), way) & SP_HUP) != 0, WayName(way)));
  }
}

SCENARIO(Notify, DatagramsMakeReady, kAllDatagrams, notify::fresh_datagram, notify::data_ready, notify::data_left,
         notify::data_taken) {
  const std::vector<int32_t> ways = EveryWay();
  Listener receiver = BoundOn(net);
  Socket sender = net.NewConnecting();
  for (const int32_t way : ways) {
    const uint32_t seen = Events(receiver.socket, SP_IN | SP_OUT, Nanoseconds(0), way);
    CHECK_REQUIREMENT(notify::fresh_datagram,
                      Same(seen, static_cast<uint32_t>(SP_OUT), WayName(way) + ", a fresh datagram socket"));
  }
  Step(sender.Connect(receiver.address));
  Step(sender.SendBytes("one"));
  Step(sender.SendBytes("two"));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::data_ready, Soon(way, receiver.socket, SP_IN));
  Step(receiver.socket.Recv(16));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::data_left, Soon(way, receiver.socket, SP_IN));
  Step(receiver.socket.Recv(16));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::data_taken, Now(way, receiver.socket, SP_IN));
}

// ---- data ----

SCENARIO(Notify, DataMakesReady, kConnections, notify::no_data, notify::empty_writable, notify::data_ready, notify::data_left,
         notify::data_taken, notify::both_ready, notify::only_asked) {
  const std::vector<int32_t> ways = EveryWay();
  Pair pair = ConnectedPair(net);
  for (const int32_t way : ways) {
    CHECK_REQUIREMENT(notify::no_data, Now(way, pair.server, SP_IN));
    CHECK_REQUIREMENT(notify::empty_writable, Now(way, pair.server, SP_OUT));
  }
  // Two pieces, which are two records where there are records.
  Step(pair.client.SendBytes("abcd"));
  Step(pair.client.SendBytes("efgh"));
  for (const int32_t way : ways) {
    CHECK_REQUIREMENT(notify::data_ready, Soon(way, pair.server, SP_IN));
    const uint32_t both = Events(pair.server, SP_IN | SP_OUT, Nanoseconds(0), way);
    CHECK_REQUIREMENT(notify::both_ready, Same(both, static_cast<uint32_t>(SP_IN | SP_OUT), WayName(way)));
    CHECK_REQUIREMENT(notify::only_asked, Same(Events(pair.server, SP_IN, Nanoseconds(0), way), static_cast<uint32_t>(SP_IN),
                                               WayName(way) + ", asked for reading alone"));
    CHECK_REQUIREMENT(notify::only_asked, Same(Events(pair.server, SP_OUT, Nanoseconds(0), way), static_cast<uint32_t>(SP_OUT),
                                               WayName(way) + ", asked for writing alone"));
  }
  for (const int32_t way : EventWays()) {
    CHECK_REQUIREMENT(notify::only_asked,
                      Same(Events(pair.server, 0, Nanoseconds(0), way), 0u, WayName(way) + ", asked for nothing"));
  }
  uint64_t taken = static_cast<uint64_t>(Must(pair.server.Recv(3)).value());
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::data_left, Soon(way, pair.server, SP_IN));
  if (net.type == SP_SEQPACKET) taken = 4;  // the rest of that record is gone
  while (taken < 8) taken += static_cast<uint64_t>(Must(pair.server.Recv(8 - taken)).value());
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::data_taken, Now(way, pair.server, SP_IN));
}

SCENARIO(Notify, WhatIsSoIsSaidAgain, kConnections, notify::data_left, notify::end_readable) {
  Pair pair = ConnectedPair(net);
  const auto say = [&pair](const Requirement& requirement) {
    MustBeReady(pair.server, SP_IN);
    for (const int32_t way : EveryWay()) {
      Watcher watcher(way);  // one, asked several times
      Step(watcher.Add(pair.server, SP_IN));
      for (int time = 0; time < 3; ++time) {
        const WaitResult seen = watcher.Wait(Nanoseconds(0));
        CHECK_REQUIREMENT(requirement, Readiness((seen.EventsOf(0) & SP_IN) != 0, WayName(way) + ": " + seen.text()));
      }
    }
  };
  Step(pair.client.SendBytes("abcd"));
  say(notify::data_left);
  Step(pair.server.Recv(4));
  Step(pair.client.Shutdown(SP_SHUT_WR));
  say(notify::end_readable);
}

SCENARIO(Notify, NormalDataIsData, kConnections, notify::normal_events) {
  Pair pair = ConnectedPair(net);
  constexpr uint32_t kAsked = SP_RDNORM | SP_WRNORM;
  for (const int32_t way : PollWays()) {
    CHECK_REQUIREMENT(notify::normal_events,
                      Same(Events(pair.server, kAsked, Nanoseconds(0), way), static_cast<uint32_t>(SP_WRNORM), "without data"));
  }
  Step(pair.client.SendBytes("x"));
  MustBeReady(pair.server, SP_IN);
  for (const int32_t way : PollWays()) {
    CHECK_REQUIREMENT(notify::normal_events, Same(Events(pair.server, kAsked, Nanoseconds(0), way), kAsked, "with data"));
  }
}

namespace {

// How many a wait counts that finds one socket ready for two things, and another one for nothing.
class Counting {
 public:
  explicit Counting(const Flavor& net) : pair_(ConnectedPair(net)), quiet_(ConnectedPair(net)) {
    Step(pair_.client.SendBytes("x"));
    MustBeReady(pair_.server, SP_IN);
  }
  Outcome By(int32_t way) {
    Watcher watcher(way);
    Step(watcher.Add(pair_.server, SP_IN | SP_OUT, 0, 1));
    Step(watcher.Add(quiet_.server, SP_IN, 0, 2));
    return watcher.Wait(Nanoseconds(0)).Counted().With(WayName(way));
  }

 private:
  Pair pair_, quiet_;
};

}  // namespace

SCENARIO(Notify, EachWayCountsAsItSays, kConnections, notify::poll_counts_descriptors, notify::select_counts_bits) {
  Counting counting(net);
  for (const int32_t way : PollWays()) CHECK_REQUIREMENT(notify::poll_counts_descriptors, counting.By(way));
  for (const int32_t way : SelectWays()) CHECK_REQUIREMENT(notify::select_counts_bits, counting.By(way));
}

SCENARIO(Notify, EpollCountsDescriptors, kConnections.Needs({SP_CAP_EPOLL}), notify::epoll_counts_descriptors) {
  Counting counting(net);
  CHECK_REQUIREMENT(notify::epoll_counts_descriptors, counting.By(SP_EPOLL));
}

SCENARIO(Notify, OfSeveralSocketsTheReadyOnesAreReported, kConnections, notify::several_sockets) {
  constexpr uint64_t kFirst = 0x1234567890abc000;
  std::vector<Pair> pairs;
  for (int i = 0; i < 5; ++i) pairs.push_back(ConnectedPair(net));
  for (const std::size_t i : {1u, 4u}) {
    Step(pairs[i].client.SendBytes("x"));
    MustBeReady(pairs[i].server, SP_IN);
  }
  for (const int32_t way : EveryWay()) {
    Watcher watcher(way);
    for (std::size_t i = 0; i < pairs.size(); ++i) Step(watcher.Add(pairs[i].server, SP_IN, 0, kFirst + i));
    const WaitResult seen = watcher.Wait(Nanoseconds(0));
    Step(seen);
    bool right = seen.events.size() == 2;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      right = right && seen.EventsOf(kFirst + i) == (i == 1 || i == 4 ? static_cast<uint32_t>(SP_IN) : 0u);
    }
    CHECK_REQUIREMENT(notify::several_sockets, Holds(right, seen.text()));
  }
}

SCENARIO(Notify, DataEndsTheWaitForIt, kConnections, notify::data_wakes) {
  Pair pair = ConnectedPair(net);
  Waiters waiters(EveryWay(), pair.server, SP_IN);
  Step(pair.client.SendBytes("x"));
  for (auto& one : waiters.all) CHECK_REQUIREMENT(notify::data_wakes, Reported(one->task, SP_IN, 0, WayName(one->way)));
}

SCENARIO(Notify, AFullPathHasNoRoomUntilItIsDrained, kConnections.Waits(milliseconds(100)), notify::full_times_out,
         notify::drained_wakes_writer) {
  const std::vector<int32_t> ways = EveryWay();
  Pair pair = ConnectedPair(net);
  const uint64_t length = FillSendPath(pair.client);
  for (const int32_t way : ways) {
    const uint32_t seen = Events(pair.client, SP_OUT, milliseconds(15), way);
    CHECK_REQUIREMENT(notify::full_times_out, Readiness((seen & SP_OUT) != 0, WayName(way)));
  }
  Waiters waiters(ways, pair.client, SP_OUT);
  for (uint64_t taken = 0; taken < length;) {
    const RecvResult received = Must(pair.server.Recv(1 << 18));
    if (received.value() == 0) break;
    taken += static_cast<uint64_t>(received.value());
  }
  for (auto& one : waiters.all) {
    CHECK_REQUIREMENT(notify::drained_wakes_writer, Reported(one->task, SP_OUT, 0, WayName(one->way)));
  }
}

// ---- out-of-band data ----

SCENARIO(Notify, UrgentDataIsAnException, kTcp, notify::urgent_none, notify::urgent_exception, notify::urgent_taken,
         notify::urgent_inline) {
  const std::vector<int32_t> ways = EveryWay();
  Pair pair = ConnectedPair(net);
  Step(pair.client.SendBytes("x"));
  MustBeReady(pair.server, SP_IN);
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::urgent_none, Now(way, pair.server, SP_PRI));
  Step(pair.server.Recv(1));
  SendOptions urgent;
  urgent.flags = SP_MSG_OOB | SP_MSG_NOSIGNAL;
  Step(pair.client.SendBytes("!", urgent));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::urgent_exception, Soon(way, pair.server, SP_PRI));
  RecvOptions take;
  take.flags = SP_MSG_OOB;
  Step(pair.server.Recv(1, take));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::urgent_taken, Now(way, pair.server, SP_PRI));

  Pair inlined = ConnectedPair(net);
  Step(inlined.server.Set(SP_SO_OOBINLINE, 1));
  Step(inlined.client.SendBytes("!", urgent));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::urgent_inline, Soon(way, inlined.server, SP_IN));
}

// ---- the end of a connection ----

SCENARIO(Notify, TheEndOfTheStreamIsReadable, kConnections, notify::end_readable, notify::half_closed_writable,
         notify::half_closed_hangup, notify::both_ended_hangup) {
  const std::vector<int32_t> ways = EveryWay();
  const std::vector<int32_t> events = EventWays();
  Pair pair = ConnectedPair(net);
  Step(pair.client.Shutdown(SP_SHUT_WR));
  for (int round = 0; round < 2; ++round) {
    for (const int32_t way : ways) CHECK_REQUIREMENT(notify::end_readable, Soon(way, pair.server, SP_IN));
    static_cast<void>(Must(pair.server.Recv(1)));
  }
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::half_closed_writable, Now(way, pair.server, SP_OUT));
  const auto hangup = [](int32_t way, const Socket& socket, Nanoseconds limit) {
    return Readiness((Events(socket, 0, limit, way) & SP_HUP) != 0, WayName(way));
  };
  for (const int32_t way : events) {
    CHECK_REQUIREMENT(notify::half_closed_hangup, hangup(way, pair.server, Nanoseconds(0)));
    CHECK_REQUIREMENT(notify::half_closed_hangup, hangup(way, pair.client, Nanoseconds(0)));
  }
  Step(pair.server.Shutdown(SP_SHUT_WR));
  MustBeReady(pair.client, SP_IN);
  for (const int32_t way : events) {
    CHECK_REQUIREMENT(notify::both_ended_hangup, hangup(way, pair.server, milliseconds(100)));
    CHECK_REQUIREMENT(notify::both_ended_hangup, hangup(way, pair.client, milliseconds(100)));
  }
}

SCENARIO(Notify, ThePeersShutdownIsReported, kStreams, notify::peer_open_not_reported, notify::peer_shutdown_reported,
         notify::peer_closed_reported, notify::own_shutdown_reported) {
  const std::vector<int32_t> ways = EventWays();
  Pair pair = ConnectedPair(net);
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::peer_open_not_reported, Now(way, pair.server, SP_RDHUP));
  Step(pair.client.SendBytes("x"));
  MustBeReady(pair.server, SP_IN);
  Step(pair.client.Shutdown(SP_SHUT_RD));  // it can still send
  for (const int32_t way : ways) {
    CHECK_REQUIREMENT(notify::peer_open_not_reported, Now(way, pair.server, SP_RDHUP));
    CHECK_REQUIREMENT(notify::own_shutdown_reported, Now(way, pair.client, SP_RDHUP));
  }
  Step(pair.client.Shutdown(SP_SHUT_WR));
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::peer_shutdown_reported, Soon(way, pair.server, SP_RDHUP));

  Pair other = ConnectedPair(net);
  Step(other.client.Close());
  for (const int32_t way : ways) CHECK_REQUIREMENT(notify::peer_closed_reported, Soon(way, other.server, SP_RDHUP));
}

SCENARIO(Notify, AResetIsAHangUp, kTcp, notify::reset_hangup, notify::hangup_excludes_writable) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SetLinger(true, 0));
  Step(pair.client.Close());
  for (const int32_t way : EventWays()) {
    CHECK_REQUIREMENT(notify::reset_hangup, Readiness((Events(pair.server, 0, Patience(), way) & SP_HUP) != 0, WayName(way)));
  }
  for (const int32_t way : PollWays()) {
    const uint32_t seen = Events(pair.server, SP_IN | SP_OUT, Nanoseconds(0), way);
    const bool hangup = (seen & SP_HUP) != 0;
    const bool writable = (seen & SP_OUT) != 0;
    CHECK_REQUIREMENT(notify::hangup_excludes_writable, hangup && writable ? Outcome(outcome::hangup_and_writable)
                                                        : hangup           ? Outcome(outcome::hangup_alone)
                                                        : writable         ? Outcome(outcome::writable_alone)
                                                                           : Outcome(outcome::neither));
  }
}

SCENARIO(Notify, ShuttingDownEndsTheWait, kConnections, notify::own_shutdown_wakes) {
  Pair pair = ConnectedPair(net);
  Waiters waiters(EveryWay(), pair.server, SP_IN);
  Step(pair.server.Shutdown(SP_SHUT_RD));
  for (auto& one : waiters.all) {
    CHECK_REQUIREMENT(notify::own_shutdown_wakes, Reported(one->task, SP_IN, 0, WayName(one->way)));
  }
}

}  // namespace sockproof
