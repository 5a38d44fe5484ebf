// Half-close: orders, repetitions, every state of TCP that can be held, and calls that wait meanwhile.
#include "battery/ends.h"
#include "battery/scenario.h"
#include "catalogue/outcomes.h"
#include "catalogue/shutdown.h"

namespace sockproof {
namespace {

constexpr int32_t kEveryHow[] = {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR};
const Over kTcpStates = kTcp46.Needs({SP_CAP_TCP_STATE_SHOWN, SP_CAP_SILENCE});

void MustShut(Socket& socket, int32_t how, Where where = SOCKPROOF_HERE) { static_cast<void>(Must(socket.Shutdown(how), where)); }

}  // namespace

SCENARIO(Shutdown, BothHalvesInEveryOrder, kConnections, shutdown::both_orders_send, shutdown::both_orders_receive,
         shutdown::both_orders_peer) {
  const std::vector<std::vector<int32_t>> orders = {{SP_SHUT_WR, SP_SHUT_RD}, {SP_SHUT_RD, SP_SHUT_WR}, {SP_SHUT_RDWR}};
  for (const std::vector<int32_t>& order : orders) {
    Pair pair = ConnectedPair(net);
    const Payload payload{1, 0, 1000};
    SendAll(pair.client, payload);
    for (const int32_t how : order) MustShut(pair.client, how);
    CHECK_REQUIREMENT(shutdown::both_orders_send, pair.client.SendBytes("x"));
    auto receiving = Spawn("recv", [&] { return pair.client.Recv(10); });
    CHECK_REQUIREMENT(shutdown::both_orders_receive, receiving.Join().Seen());
    CHECK_REQUIREMENT(shutdown::both_orders_peer, InGoodOrder(ReadToEnd(pair.server, payload)));
  }
}

SCENARIO(Shutdown, Twice, kConnections, shutdown::twice, shutdown::twice_ok) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR}) {
    Pair pair = ConnectedPair(net);
    MustShut(pair.client, how);
    for (int time = 0; time < 2; ++time) {
      const Result again = pair.client.Shutdown(how);
      CHECK_REQUIREMENT(shutdown::twice, again);
      CHECK_REQUIREMENT(shutdown::twice_ok, again);
    }
  }
}

SCENARIO(Shutdown, TwiceDoesNoHarm, kConnections, shutdown::twice_harmless) {
  Pair pair = ConnectedPair(net);
  const Payload there{1, 0, 1000}, back{2, 0, 1000};
  SendAll(pair.client, there);
  MustShut(pair.client, SP_SHUT_WR);
  for (int time = 0; time < 3; ++time) static_cast<void>(pair.client.Shutdown(SP_SHUT_WR));
  CHECK_REQUIREMENT(shutdown::twice_harmless, InGoodOrder(ReadToEnd(pair.server, there)));
  SendAll(pair.server, back);
  MustShut(pair.server, SP_SHUT_WR);
  CHECK_REQUIREMENT(shutdown::twice_harmless, InGoodOrder(ReadToEnd(pair.client, back)));
}

SCENARIO(Shutdown, BothEndsAtTheSameTime, kConnections, shutdown::simultaneous) {
  for (int round = 0; round < 5; ++round) {
    Pair pair = ConnectedPair(net);
    Payload there{1, 0, 20000}, back{2, 0, 20000};
    Latch start;
    const auto half = [&start](Socket& socket, Payload& payload) {
      start.Wait();
      payload = SendWhatFits(socket, payload);
      return Must(socket.Shutdown(SP_SHUT_WR));
    };
    auto one = Spawn("one", [&] { return half(pair.client, there); });
    auto other = Spawn("other", [&] { return half(pair.server, back); });
    start.Open();
    static_cast<void>(one.Join());
    static_cast<void>(other.Join());
    CHECK_REQUIREMENT(shutdown::simultaneous, InGoodOrder(ReadToEnd(pair.server, there)));
    CHECK_REQUIREMENT(shutdown::simultaneous, InGoodOrder(ReadToEnd(pair.client, back)));
  }
}

SCENARIO(Shutdown, WriteThenClose, kConnections, shutdown::then_close) {
  Pair pair = ConnectedPair(net);
  const Payload payload{1, 0, 100000};
  auto sending = Spawn("send", [&] {
    SendAll(pair.client, payload);
    MustShut(pair.client, SP_SHUT_WR);
    return Must(pair.client.Close());
  });
  CHECK_REQUIREMENT(shutdown::then_close, InGoodOrder(ReadToEnd(pair.server, payload)));
  static_cast<void>(sending.Join());
}

SCENARIO(Shutdown, ThroughADuplicate, kConnections, shutdown::duplicate, shutdown::duplicate_peer) {
  Pair pair = ConnectedPair(net);
  Socket copy;
  static_cast<void>(Must(pair.client.Duplicate(&copy)));
  MustShut(pair.client, SP_SHUT_WR);
  CHECK_REQUIREMENT(shutdown::duplicate, copy.SendBytes("x"));
  CHECK_REQUIREMENT(shutdown::duplicate_peer, NextSeen(pair.server));
}

// ---- States ---------------------------------------------------------------------------------------------------------

SCENARIO(Shutdown, InCloseWait, kConnections, shutdown::in_close_wait) {
  for (const int32_t how : kEveryHow) {
    Pair pair = ConnectedPair(net);
    MustShut(pair.server, SP_SHUT_WR);
    MustEnd(pair.client);
    CHECK_REQUIREMENT(shutdown::in_close_wait, pair.client.Shutdown(how));
  }
}

SCENARIO(Shutdown, StatesOnTheWay, kTcpStates.Waits(milliseconds(250)), shutdown::wr_states, shutdown::fin_again) {
  Pair pair = ConnectedPair(net);
  const auto state = [](Socket& socket) { return socket.Get(SP_TCP_STATE).integer; };
  CHECK_REQUIREMENT(shutdown::wr_states, Same(state(pair.client), static_cast<int64_t>(SP_TCP_ESTABLISHED), "before"));
  // With the peer deaf the FIN is not acknowledged, and the first state stays to be seen.
  Silence deaf(pair.server);
  MustShut(pair.client, SP_SHUT_WR);
  CHECK_REQUIREMENT(shutdown::wr_states, Same(state(pair.client), static_cast<int64_t>(SP_TCP_FIN_WAIT_1), "FIN lost"));
  CHECK_REQUIREMENT(shutdown::wr_states, Same(state(pair.server), static_cast<int64_t>(SP_TCP_ESTABLISHED), "FIN lost, peer"));
  deaf.Lift();
  CHECK_REQUIREMENT(shutdown::fin_again, NextSeen(pair.server));
  CHECK_REQUIREMENT(shutdown::wr_states, Becomes([&] { return state(pair.client) == SP_TCP_FIN_WAIT_2; }, "FIN-WAIT-2"));
  CHECK_REQUIREMENT(shutdown::wr_states, Same(state(pair.server), static_cast<int64_t>(SP_TCP_CLOSE_WAIT), "FIN received"));
}

SCENARIO(Shutdown, InFinWait, kTcpStates, shutdown::in_fin_wait) {
  Pair first = ConnectedPair(net);
  const Silence deaf(first.server);
  MustShut(first.client, SP_SHUT_WR);
  MustReach(first.client, SP_TCP_FIN_WAIT_1);
  CHECK_REQUIREMENT(shutdown::in_fin_wait, first.client.Shutdown(SP_SHUT_RD));

  Pair second = ConnectedPair(net);
  MustShut(second.client, SP_SHUT_WR);
  MustReach(second.client, SP_TCP_FIN_WAIT_2);
  CHECK_REQUIREMENT(shutdown::in_fin_wait, second.client.Shutdown(SP_SHUT_RD));
}

SCENARIO(Shutdown, InLastAckAndClosing, kTcpStates.Waits(milliseconds(250)), shutdown::in_last_ack) {
  Pair last = ConnectedPair(net);
  MustShut(last.server, SP_SHUT_WR);
  MustEnd(last.client);
  const Silence deaf(last.server);
  MustShut(last.client, SP_SHUT_WR);
  MustReach(last.client, SP_TCP_LAST_ACK);
  for (const int32_t how : kEveryHow) CHECK_REQUIREMENT(shutdown::in_last_ack, last.client.Shutdown(how));

  // Both FINs are lost; then one of them comes through when it is sent again.
  Pair closing = ConnectedPair(net);
  Silence deaf_client(closing.client);
  const Silence deaf_server(closing.server);
  MustShut(closing.client, SP_SHUT_WR);
  MustShut(closing.server, SP_SHUT_WR);
  deaf_client.Lift();
  MustReach(closing.client, SP_TCP_CLOSING);
  for (const int32_t how : kEveryHow) CHECK_REQUIREMENT(shutdown::in_last_ack, closing.client.Shutdown(how));
}

SCENARIO(Shutdown, DataAfterBothHalves, kTcp, shutdown::rdwr_late_data) {
  Pair pair = ConnectedPair(net);
  MustShut(pair.client, SP_SHUT_RDWR);
  MustEnd(pair.server);
  const Result first = pair.server.SendBytes("late");
  if (first.ok()) BreaksOff(pair.server);
  CHECK_REQUIREMENT(shutdown::rdwr_late_data, first.ok() ? pair.server.SendBytes("later") : first);
}

// ---- Calls that wait ------------------------------------------------------------------------------------------------

SCENARIO(Shutdown, WakesAReceive, kConnections, shutdown::wakes_receive) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_RDWR}) {
    Pair pair = ConnectedPair(net);
    auto receiving = Spawn("recv", [&] { return pair.client.Recv(10); });
    receiving.WaitBlocked();
    MustShut(pair.client, how);
    const bool ended = receiving.DoneWithin(Patience());
    CHECK_REQUIREMENT(shutdown::wakes_receive, ended ? receiving.Join().Seen() : Outcome(outcome::still_blocked));
    if (!ended) static_cast<void>(pair.server.Close());
  }
}

SCENARIO(Shutdown, WakesASend, kConnections.Waits(milliseconds(250)), shutdown::wakes_send) {
  for (const int32_t how : {SP_SHUT_WR, SP_SHUT_RDWR}) {
    Pair pair = NarrowPair(net);
    WaitingSend held = HoldSend(pair.client, net);
    MustShut(pair.client, how);
    const bool ended = held.task.DoneWithin(Patience());
    CHECK_REQUIREMENT(shutdown::wakes_send, ended ? held.task.Join().Counted() : Outcome(outcome::still_blocked));
  }
}

SCENARIO(Shutdown, WakesThePeersReceive, kConnections, shutdown::peer_wakes_receive) {
  for (const int32_t how : {SP_SHUT_WR, SP_SHUT_RDWR}) {
    Pair pair = ConnectedPair(net);
    auto receiving = Spawn("recv", [&] { return pair.client.Recv(10); });
    receiving.WaitBlocked();
    MustShut(pair.server, how);
    const bool ended = receiving.DoneWithin(Patience());
    CHECK_REQUIREMENT(shutdown::peer_wakes_receive, ended ? receiving.Join().Seen() : Outcome(outcome::still_blocked));
  }
}

SCENARIO(Shutdown, WriteLeavesAWaitingReceive, kConnections, shutdown::wr_leaves_receive) {
  Pair pair = ConnectedPair(net);
  const Payload payload{1, 0, 1000};
  auto receiving = Spawn("recv", [&] { return pair.client.Recv(payload.length); });
  receiving.WaitBlocked();
  MustShut(pair.client, SP_SHUT_WR);
  MustEnd(pair.server);
  SendAll(pair.server, payload);
  MustShut(pair.server, SP_SHUT_WR);
  const RecvResult first = receiving.Join();
  Outcome seen = first.Seen();
  if (seen.name() == outcome::data.text) {
    const uint64_t got = first.data.size();
    const std::string difference = payload.Difference(first.data.data(), got);
    seen = difference.empty() ? InGoodOrder(ReadToEnd(pair.client, Payload{1, got, payload.length - got}))
                              : Outcome(outcome::violated, difference);
  }
  CHECK_REQUIREMENT(shutdown::wr_leaves_receive, seen);
}

SCENARIO(Shutdown, ReadLeavesAWaitingSend, kConnections.Waits(milliseconds(150)), shutdown::rd_leaves_send) {
  Pair pair = NarrowPair(net);
  WaitingSend held = HoldSend(pair.client, net);
  MustShut(pair.client, SP_SHUT_RD);
  auto ending = Spawn("end", [&] {
    const Result sent = held.task.Join();
    static_cast<void>(pair.client.Shutdown(SP_SHUT_WR));
    return sent;
  });
  const Passage passage = ReadToEnd(pair.server, held.Whole());
  const Result sent = ending.Join();
  CHECK_REQUIREMENT(shutdown::rd_leaves_send, sent.ok() ? InGoodOrder(passage) : Outcome(sent));
}

SCENARIO(Shutdown, PeersReadWakesALocalSend, kLocal.Waits(milliseconds(100)), shutdown::peer_rd_wakes_send_unix) {
  Pair pair = NarrowPair(net);
  WaitingSend held = HoldSend(pair.client, net);
  MustShut(pair.server, SP_SHUT_RD);
  const bool ended = held.task.DoneWithin(Patience());
  CHECK_REQUIREMENT(shutdown::peer_rd_wakes_send_unix, ended ? held.task.Join().Counted() : Outcome(outcome::still_blocked));
}

SCENARIO(Shutdown, WakesADatagramReceive, kDatagrams, shutdown::wakes_receive_udp) {
  Listener far = BoundOn(net);
  Socket near = net.NewConnecting();
  static_cast<void>(Must(near.Connect(far.address)));
  auto receiving = Spawn("recv", [&] { return near.Recv(10); });
  receiving.WaitBlocked();
  MustShut(near, SP_SHUT_RD);
  const bool ended = receiving.DoneWithin(Patience());
  CHECK_REQUIREMENT(shutdown::wakes_receive_udp, ended ? receiving.Join().Seen() : Outcome(outcome::still_blocked));
}

}  // namespace sockproof
