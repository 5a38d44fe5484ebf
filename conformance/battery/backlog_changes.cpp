// The queue while its length is changed, while those in it or before it withdraw, and AF_UNIX, where callers wait in person.
#include "battery/backlog_support.h"

namespace sockproof {

SCENARIO(Backlog, GrowWhileFull, kConnections.Waits(milliseconds(150)), backlog::grow_admits, backlog::change_keeps_queued) {
  constexpr std::size_t kGrown = 4;
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  TagAll(clients);
  const std::size_t before = clients.size();
  static_cast<void>(Must(listener.socket.Listen(1)));
  static_cast<void>(Must(listener.socket.Listen(kGrown)));
  {
    QueueAttempt attempt;
    while (clients.size() < kGrown + 4) {
      attempt = TryToConnect(listener, net, clients.size() < kGrown ? Patience() : Nanoseconds(0));
      if (!attempt.in()) break;
      AwaitQueued(listener.socket, net, clients.size() + 1);
      clients.push_back(std::move(attempt.socket));
    }
  }
  MustBeReady(listener.socket, SP_IN);
  std::vector<Socket> servers = AcceptAll(listener.socket);
  CHECK_REQUIREMENT(backlog::grow_admits, DepthOf({clients.size(), servers.size()}, kGrown));
  std::string tags, expected;
  for (std::size_t i = 0; i < before; ++i) {
    expected += static_cast<char>('A' + i);
    if (i < servers.size()) tags += TagOf(servers[i]);
  }
  CHECK_REQUIREMENT(backlog::change_keeps_queued,
                    Kept(tags == expected, fmt::format("accepted {} first, of {}", tags, expected)));
}

SCENARIO(Backlog, GrowAdmitsTheWaiter, kTcp.Waits(milliseconds(1100)), backlog::grow_admits_waiter) {
  Listener listener = ListenOn(net, 1);
  Overflow full = OverflowQueue(listener, net);
  NeedQueue(net, full.queued.size() + 1);  // a queue that is as long as it can be grows no more
  static_cast<void>(Must(listener.socket.Listen(8)));
  if (full.extra.waits()) {
    WaitReady(full.extra.socket, SP_OUT);
    full.extra.state = ConnectState(full.extra.socket);
  }
  CHECK_REQUIREMENT(backlog::grow_admits_waiter, full.extra.state);
}

SCENARIO(Backlog, ShrinkWhileFull, kConnections.Waits(milliseconds(200)), backlog::shrink_applies, backlog::shrink_keeps_queued) {
  constexpr int32_t kBacklog = 5;
  const std::size_t before = QueueRoom(net, kBacklog, 2, kBacklog);
  Listener listener = ListenOn(net, kBacklog);
  std::vector<Socket> clients = Enqueue(listener, net, before), servers;
  TagAll(clients);
  static_cast<void>(Must(listener.socket.Listen(1)));
  bool holds = true;
  std::string detail;
  // With more than the backlog in the queue nobody gets in; with an empty one somebody does.
  for (std::size_t left = before; left >= 2; --left) {
    const QueueAttempt attempt = TryToConnect(listener, net);
    holds = holds && !attempt.in();
    detail += fmt::format("with {} in the queue: {}; ", left, attempt.state.name());
    if (attempt.in() || !WaitReady(listener.socket, SP_IN, milliseconds(1))) break;
    servers.push_back(AcceptNext(listener.socket));
  }
  for (Socket& left : AcceptAll(listener.socket)) servers.push_back(std::move(left));
  // One that got in meanwhile stands behind those that this is about.
  if (servers.size() > before) servers.erase(servers.begin() + static_cast<std::ptrdiff_t>(before), servers.end());
  const QueueAttempt last = TryToConnect(listener, net, Patience());
  detail += fmt::format("with none: {}", last.state.name());
  CHECK_REQUIREMENT(backlog::shrink_applies, Holds(holds && last.in(), detail));
  const Outcome order = Order(servers, before);
  CHECK_REQUIREMENT(backlog::shrink_keeps_queued, Kept(order.name() == outcome::in_order.text, order.detail()));
}

SCENARIO(Backlog, ShrinkDropsTheRest, kTcp, backlog::shrink_leaves, backlog::shrink_resets) {
  constexpr int32_t kBacklog = 5, kAfter = 2;
  const std::size_t before = QueueRoom(net, kBacklog, kAfter + 1, kBacklog);
  Listener listener = ListenOn(net, kBacklog);
  std::vector<Socket> clients = Enqueue(listener, net, before);
  static_cast<void>(Must(listener.socket.Listen(kAfter)));
  const std::vector<Socket> servers = AcceptAll(listener.socket);
  CHECK_REQUIREMENT(backlog::shrink_leaves, DepthOf({before, servers.size()}, kAfter));
  if (servers.size() >= before) {
    CHECK_REQUIREMENT(backlog::shrink_resets, Holds(false, "nobody was dropped"));
    return;
  }
  // Those that were not handed out are told. Nobody has sent anything, so that nothing else makes a client ready.
  std::vector<Socket*> told;
  WaitUntil(
      [&] {
        told.clear();
        for (Socket& client : clients) {
          if (Events(client, SP_IN) != 0) told.push_back(&client);
        }
        return told.size() >= before - servers.size();
      },
      Patience(), "the clients that were dropped");
  for (Socket* client : told) CHECK_REQUIREMENT(backlog::shrink_resets, client->Recv(1).Seen());
  if (told.size() != before - servers.size()) {
    CHECK_REQUIREMENT(backlog::shrink_resets,
                      Holds(false, fmt::format("{} of {} were told, {} accepted", told.size(), before, servers.size())));
  }
}

SCENARIO(Backlog, AgainWithZero, kConnections, backlog::again_zero_keeps) {
  constexpr int32_t kBacklog = 3;
  const std::size_t queued = QueueRoom(net, kBacklog, 1, kBacklog);
  Listener listener = ListenOn(net, kBacklog);
  std::vector<Socket> clients = Enqueue(listener, net, queued);
  TagAll(clients);
  static_cast<void>(Must(listener.socket.Listen(0)));
  std::vector<Socket> servers = AcceptAll(listener.socket);
  const Outcome order = Order(servers, queued);
  CHECK_REQUIREMENT(backlog::again_zero_keeps, Kept(order.name() == outcome::in_order.text, order.detail()));
}

// ---- withdrawn ----

SCENARIO(Backlog, WithdrawnWaiter, kTcp.Waits(milliseconds(1500)), backlog::withdrawn_waiter, backlog::withdrawn_waiter_no_harm) {
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  std::vector<uint16_t> withdrawn;
  for (int i = 0; i < 3; ++i) {
    QueueAttempt gone = TryToConnect(listener, net);
    withdrawn.push_back(gone.socket.LocalAddress().port());
  }  // closed while it waits
  QueueAttempt stays = TryToConnect(listener, net);
  for (std::size_t i = 0; i < clients.size(); ++i) static_cast<void>(AcceptNext(listener.socket));
  if (stays.waits()) {
    WaitReady(stays.socket, SP_OUT);
    stays.state = ConnectState(stays.socket);
  }
  // Until the withdrawn ones would have repeated their requests: they began before the one that stays.
  LetQuietTimePass(milliseconds(200));
  bool holds = true;
  std::size_t accepted = 0;
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  for (;;) {
    const AcceptResult result = listener.socket.Accept();
    if (!result.ok()) break;
    ++accepted;
    for (const uint16_t port : withdrawn) holds = holds && result.peer.address.port() != port;
  }
  CHECK_REQUIREMENT(backlog::withdrawn_waiter, Holds(holds && accepted == (stays.in() ? 1 : 0),
                                                     fmt::format("{} accepted after the queue was emptied", accepted)));
  CHECK_REQUIREMENT(backlog::withdrawn_waiter_no_harm, stays.state);
}

SCENARIO(Backlog, WithdrawnWhileQueued, kConnections.Waits(milliseconds(100)), backlog::withdrawn_queued_others,
         backlog::withdrawn_queued_place) {
  static_cast<void>(QueueRoom(net, 3, 3, 3));
  Listener listener = ListenOn(net, 3);
  std::vector<Socket> clients = FillQueue(listener, net);
  TagAll(clients);
  // The first resets its connection, the third closes it: one that stays is behind each.
  const auto withdrawn = [](std::size_t index) { return index == 0 || index == 2; };
  static_cast<void>(Must(clients[0].SetLinger(true, 0)));
  static_cast<void>(Must(clients[0].Close()));
  static_cast<void>(Must(clients[2].Close()));
  LetQuietTimePass(milliseconds(10));
  {
    const QueueAttempt attempt = TryToConnect(listener, net);
    CHECK_REQUIREMENT(backlog::withdrawn_queued_place, attempt.in() ? attempt.state : Outcome(outcome::pending));
  }
  // One that was withdrawn may still be handed out, or be reported as aborted, or be gone.
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  std::string tags, expected;
  for (std::size_t tries = 0; tries < clients.size(); ++tries) {
    AcceptResult result = listener.socket.Accept();
    if (result.error() == SP_EAGAIN) break;
    if (!result.ok()) continue;
    const char tag = TagOf(result.socket);
    const auto index = static_cast<std::size_t>(tag - 'A');
    if (index >= clients.size() || withdrawn(index)) continue;
    if (Exchange(clients[index], result.socket)) tags += tag;
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (!withdrawn(i)) expected += static_cast<char>('A' + i);
  }
  CHECK_REQUIREMENT(backlog::withdrawn_queued_others, Kept(tags == expected, fmt::format("{} left of {}", tags, expected)));
}

// ---- AF_UNIX ----

SCENARIO(Backlog, LocalConnectTimesOut, kLocal.Waits(milliseconds(250)), backlog::local_timeout, backlog::local_timeout_time) {
  constexpr Nanoseconds kTimeOut = milliseconds(200);
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  Socket waiter = net.NewConnecting();
  static_cast<void>(Must(waiter.SetDuration(SP_SO_SNDTIMEO, kTimeOut)));
  const Stopwatch watch;
  auto connecting = Spawn("connect", [&] { return waiter.Connect(listener.address); });
  const Result result = connecting.Join();
  CHECK_REQUIREMENT(backlog::local_timeout_time, Timing(watch, kTimeOut, milliseconds(10)));
  CHECK_REQUIREMENT(backlog::local_timeout, result);
}

SCENARIO(Backlog, LocalListenerGoes, kLocal.Waits(milliseconds(50)), backlog::local_listener_gone) {
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  Socket waiter = net.NewConnecting();
  auto connecting = Spawn("connect", [&] { return waiter.Connect(listener.address); });
  connecting.WaitBlocked();
  static_cast<void>(Must(listener.socket.Close()));
  CHECK_REQUIREMENT(backlog::local_listener_gone, connecting.Join());
}

SCENARIO(Backlog, LocalRoomForOne, kLocal.Waits(milliseconds(100)), backlog::local_one_room_one_in) {
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  Socket first = net.NewConnecting(), second = net.NewConnecting();
  auto one = Spawn("first", [&] { return first.Connect(listener.address); });
  auto two = Spawn("second", [&] { return second.Connect(listener.address); });
  one.WaitBlocked();
  two.WaitBlocked();
  const auto done = [&] { return (one.Done() ? 1 : 0) + (two.Done() ? 1 : 0); };
  const int before = done();
  Socket server = AcceptNext(listener.socket);
  WaitUntil([&] { return done() >= 1; }, Patience(), "one of two connects");
  LetQuietTimePass(kQuiet);
  const int after_one = done();
  Socket other = AcceptNext(listener.socket);
  WaitUntil([&] { return done() >= 2; }, Patience(), "the other of two connects");
  const int after_two = done();
  const bool succeeded = after_two == 2 && one.Join().ok() && two.Join().ok();
  CHECK_REQUIREMENT(backlog::local_one_room_one_in,
                    Holds(before == 0 && after_one == 1 && succeeded,
                          fmt::format("{} had returned before there was room, {} after one accept, {} after two, {}", before,
                                      after_one, after_two, succeeded ? "both connected" : "not both connected")));
}

SCENARIO(Backlog, LocalGrowWakes, kLocal.Waits(milliseconds(50)), backlog::local_grow_wakes) {
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  NeedQueue(net, clients.size() + 1);  // a queue that is as long as it can be grows no more
  Socket waiter = net.NewConnecting();
  auto connecting = Spawn("connect", [&] { return waiter.Connect(listener.address); });
  connecting.WaitBlocked();
  static_cast<void>(Must(listener.socket.Listen(8)));
  if (!connecting.DoneWithin(Patience())) {
    CHECK_REQUIREMENT(backlog::local_grow_wakes, outcome::pending);
    static_cast<void>(AcceptNext(listener.socket));
    static_cast<void>(connecting.Join());
    return;
  }
  CHECK_REQUIREMENT(backlog::local_grow_wakes, connecting.Join());
}

}  // namespace sockproof
