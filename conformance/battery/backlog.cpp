// The queue in front of accept(): its depth, and what an overflow looks like from both sides.
#include "catalogue/backlog.h"

#include <algorithm>

#include "battery/backlog_support.h"
#include "battery/ways.h"
#include "face/controls.h"

namespace sockproof {
// ---- depth ----

SCENARIO(Backlog, Capacity, kConnections.Waits(milliseconds(200)), backlog::capacity, backlog::maximum, backlog::capacity_seen) {
  for (const int32_t backlog : {1, 2, 5, 10}) {
    const Outcome depth = DepthWith(net, backlog);
    const bool enough = CHECK_REQUIREMENT(backlog::capacity, depth);
    CHECK_REQUIREMENT(backlog::maximum, depth);
    CHECK_REQUIREMENT(backlog::capacity_seen, depth);
    if (!enough) break;  // the others would take as much patience
  }
}

SCENARIO(Backlog, CapacityOfMany, kConnections.Waits(milliseconds(50)), backlog::capacity) {
  CHECK_REQUIREMENT(backlog::capacity, DepthWith(net, 150));
}

SCENARIO(Backlog, CapacityOfZero, kConnections.Waits(milliseconds(50)), backlog::zero, backlog::capacity_seen) {
  const Outcome depth = DepthWith(net, 0);
  CHECK_REQUIREMENT(backlog::zero, depth);
  CHECK_REQUIREMENT(backlog::capacity_seen, depth);
}

SCENARIO(Backlog, CapacityIsSharedByBothVersionsOfIp, kDualOnly.Waits(milliseconds(50)), backlog::capacity) {
  constexpr std::size_t kBacklog = 4;
  Listener listener = ListenOn(net, kBacklog);
  const Address over_v6 = Address::Loopback(SP_INET6, listener.address.port());
  std::vector<Socket> clients;
  {
    QueueAttempt attempt;
    while (clients.size() < kBacklog + 4) {
      const Nanoseconds limit = clients.size() < kBacklog ? Patience() : Nanoseconds(0);
      attempt = clients.size() % 2 == 0 ? TryToConnect(listener, net, limit) : TryToConnect(over_v6, kInet6, limit);
      if (!attempt.in()) break;
      AwaitQueued(listener.socket, net, clients.size() + 1);
      clients.push_back(std::move(attempt.socket));
    }
  }
  MustBeReady(listener.socket, SP_IN);
  CHECK_REQUIREMENT(backlog::capacity, DepthOf({clients.size(), AcceptAll(listener.socket).size()}, kBacklog));
}

SCENARIO(Backlog, LargerBacklogIsNoShorter, kConnections.Waits(milliseconds(150)), backlog::capacity_grows_with_backlog) {
  std::size_t before = 0;
  bool grows = true;
  std::string detail;
  // The last two are more than a byte holds; they are asked for no more than the queue before them took.
  for (const int32_t backlog : {2, 6, 12, 256, 257}) {
    Listener listener = ListenOn(net, backlog);
    const Depth depth = backlog <= 12 ? MeasureDepth(listener, net, static_cast<std::size_t>(backlog), 40)
                                      : MeasureDepth(listener, net, before, before);
    grows = grows && depth.accepted >= before;
    before = depth.accepted;
    detail += fmt::format("{} took {}; ", backlog, depth.accepted);
  }
  CHECK_REQUIREMENT(backlog::capacity_grows_with_backlog, Holds(grows, detail));
}

SCENARIO(Backlog, Negative, kConnections.Waits(milliseconds(50)), backlog::negative) {
  Listener zero = ListenOn(net, 0), below = ListenOn(net, -1);
  const Depth none = MeasureDepth(zero, net, 0, 10);
  const Depth negative = MeasureDepth(below, net, none.accepted, none.accepted + 10);
  const std::string detail = fmt::format("backlog 0 took {}, backlog -1 took {}", none.accepted, negative.accepted);
  CHECK_REQUIREMENT(backlog::negative, negative.accepted == none.accepted        ? Outcome(outcome::as_zero, detail)
                                       : negative.accepted == none.accepted + 10 ? Outcome(outcome::as_maximum, detail)
                                                                                 : Outcome(outcome::violated, detail));
}

SCENARIO(Backlog, Huge, kConnections, backlog::huge) {
  Listener listener = BoundOn(net);
  const Result listening = listener.socket.Listen(INT32_MAX);
  CHECK_REQUIREMENT(backlog::huge, listening);
  if (!listening.ok()) return;
  // As many as with a backlog that is no limit of the system's: that may be less than it says.
  const std::size_t expected = QueueRoom(net, 12, 1, 12);
  const Depth depth = MeasureDepth(listener, net, expected, expected);
  CHECK_REQUIREMENT(backlog::huge, depth.accepted == expected
                                       ? Outcome(listening)
                                       : Outcome(outcome::fewer, fmt::format("{} connected and {} accepted of {}",
                                                                             depth.connected, depth.accepted, expected)));
}

SCENARIO(Backlog, Capped, kConnections.Needs({SP_CAP_KNOBS}).Waits(milliseconds(150)), backlog::capped,
         backlog::capped_at_listen) {
  const Knob limit(SP_KNOB_BACKLOG_MAX, 3);
  Listener listener = ListenOn(net, 100);
  if (!CHECK_REQUIREMENT(backlog::capped, DepthOf(MeasureDepth(listener, net, 3, 8), 3))) return;
  const Knob raised(SP_KNOB_BACKLOG_MAX, 64);
  const Depth as_before = MeasureDepth(listener, net, 3, 8);
  static_cast<void>(Must(listener.socket.Listen(100)));
  const Depth after = MeasureDepth(listener, net, 8, 8);
  CHECK_REQUIREMENT(backlog::capped_at_listen,
                    Holds(as_before.accepted <= 4 && after.accepted == 8,
                          fmt::format("limit raised: {} got in; listen again: {} of 8", as_before.accepted, after.accepted)));
}

SCENARIO(Backlog, SeparateQueues, kConnections.Waits(milliseconds(50)), backlog::separate_queues) {
  const std::size_t room = QueueRoom(net, 3, 1, 4);
  Listener full = ListenOn(net, 1), other = ListenOn(net, 4);
  Overflow overflow = OverflowQueue(full, net);
  std::vector<Socket> clients;
  for (std::size_t i = 0; i < room; ++i) {
    QueueAttempt attempt = TryToConnect(other, net, Patience());
    if (attempt.in()) clients.push_back(std::move(attempt.socket));
  }
  bool carried = clients.size() == room;
  for (Socket& client : clients) {
    Socket server = AcceptNext(other.socket);
    carried = carried && Exchange(client, server);
  }
  CHECK_REQUIREMENT(backlog::separate_queues,
                    Holds(carried, fmt::format("{} of {} got into the other queue", clients.size(), room)));
}

SCENARIO(Backlog, AcceptFreesOnePlace, kConnections.Waits(milliseconds(200)), backlog::frees_one_place) {
  Listener listener = ListenOn(net, 2);
  std::vector<Socket> clients = FillQueue(listener, net);
  const std::size_t depth = clients.size();
  bool holds = true;
  std::string detail;
  for (int round = 0; round < 3 && holds; ++round) {
    Socket server = AcceptNext(listener.socket);
    QueueAttempt first = TryToConnect(listener, net, Patience());
    AwaitQueued(listener.socket, net, depth);
    const QueueAttempt second = TryToConnect(listener, net);
    detail += fmt::format("after one accept: {}, then {}; ", first.state.name(), second.state.name());
    holds = first.in() && !second.in();
    clients.push_back(std::move(first.socket));
  }
  CHECK_REQUIREMENT(backlog::frees_one_place, Holds(holds, detail));
}

// ---- overflow ----

SCENARIO(Backlog, Overflow, kTcp.Waits(milliseconds(100)), backlog::overflow_client, backlog::overflow_not_writable,
         backlog::queued_survive) {
  Listener listener = ListenOn(net, 2);
  Overflow full = OverflowQueue(listener, net);
  CHECK_REQUIREMENT(backlog::overflow_client, full.extra.state);
  bool quiet = true;
  if (full.extra.waits()) {
    for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT}))
      quiet = quiet && Events(full.extra.socket, SP_IN | SP_OUT, Nanoseconds(0), mechanism) == 0;
    quiet = quiet && full.extra.socket.PeerName().error() == SP_ENOTCONN;
  }
  CHECK_REQUIREMENT(backlog::overflow_not_writable,
                    Holds(quiet, "ready for something, or it has a peer, while " + full.extra.state.name()));
  static_cast<void>(full.extra.socket.Close());
  std::string detail;
  const bool kept = AllArrive(listener, full.queued, &detail);
  CHECK_REQUIREMENT(backlog::queued_survive, Kept(kept, detail));
}

SCENARIO(Backlog, OverflowOfLocalSockets, kLocal, backlog::queued_survive, backlog::local_full_nonblocking,
         backlog::local_full_leaves_nothing, backlog::local_full_again) {
  Listener listener = ListenOn(net, 2);
  Overflow full = OverflowQueue(listener, net);
  CHECK_REQUIREMENT(backlog::local_full_nonblocking, full.extra.state);
  const NameResult peer = full.extra.socket.PeerName();
  std::string detail;
  const bool kept = AllArrive(listener, full.queued, &detail);
  CHECK_REQUIREMENT(backlog::queued_survive, Kept(kept, detail));
  const std::size_t further = AcceptAll(listener.socket).size();
  CHECK_REQUIREMENT(backlog::local_full_leaves_nothing, Holds(peer.error() == SP_ENOTCONN && further == 0,
                                                              fmt::format("{}; {} more were accepted", peer.text(), further)));
  const Result again = full.extra.socket.Connect(listener.address);
  CHECK_REQUIREMENT(backlog::local_full_again, again);
  if (!again.ok()) return;
  Socket server = AcceptNext(listener.socket);
  CHECK_REQUIREMENT(backlog::local_full_again, Exchange(full.extra.socket, server) ? Outcome(again) : Outcome(outcome::violated));
}

SCENARIO(Backlog, OverflowLasts, kTcp.Waits(milliseconds(1350)), backlog::overflow_lasts) {
  Listener listener = ListenOn(net, 1);
  Overflow full = OverflowQueue(listener, net);
  // The request is repeated after a second.
  LetQuietTimePass(milliseconds(1250));
  CHECK_REQUIREMENT(backlog::overflow_lasts, full.extra.waits() ? ConnectState(full.extra.socket) : full.extra.state);
}

SCENARIO(Backlog, DrainAdmitsTheWaiter, kTcp.Waits(milliseconds(1200)), backlog::drain_admits, backlog::drain_admits_in_time,
         backlog::order) {
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  const std::size_t queued = clients.size();
  const Stopwatch watch;
  QueueAttempt waiter = TryToConnect(listener, net);
  std::vector<Socket> servers;
  for (std::size_t i = 0; i < queued; ++i) servers.push_back(AcceptNext(listener.socket));
  if (waiter.waits()) {
    WaitReady(waiter.socket, SP_OUT);
    waiter.state = ConnectState(waiter.socket);
  }
  CHECK_REQUIREMENT(backlog::drain_admits_in_time, Timing(watch, seconds(1)));
  if (waiter.in()) {
    clients.push_back(std::move(waiter.socket));
    TagAll(clients);
    servers.push_back(AcceptNext(listener.socket));
    CHECK_REQUIREMENT(backlog::order, Order(servers, clients.size()));
    if (!Exchange(clients.back(), servers.back())) waiter.state = Outcome(outcome::violated, "it got in and carries no data");
  } else {
    TagAll(clients);
    CHECK_REQUIREMENT(backlog::order, Order(servers, clients.size()));
  }
  CHECK_REQUIREMENT(backlog::drain_admits, waiter.state);
}

SCENARIO(Backlog, BlockingConnectWaits, kConnections.Waits(milliseconds(1200)), backlog::blocking_connect_waits,
         backlog::blocking_connect_blocked) {
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients = FillQueue(listener, net);
  Socket waiter = net.NewConnecting();
  auto connecting = Spawn("connect", [&] { return waiter.Connect(listener.address); });
  connecting.WaitBlocked();
  LetQuietTimePass(kQuiet);
  CHECK_REQUIREMENT(backlog::blocking_connect_blocked, connecting.Done() ? outcome::returned : outcome::pending);
  std::vector<Socket> servers;
  for (std::size_t i = 0; i < clients.size(); ++i) servers.push_back(AcceptNext(listener.socket));
  const Result connected = connecting.Join();
  CHECK_REQUIREMENT(backlog::blocking_connect_waits, connected);
  if (!connected.ok()) return;
  Socket server = AcceptNext(listener.socket);
  CHECK_REQUIREMENT(backlog::blocking_connect_waits, Exchange(waiter, server) ? Outcome(connected) : Outcome(outcome::violated));
}

SCENARIO(Backlog, AcceptedConnectionsSurvive, kConnections.Waits(milliseconds(50)), backlog::accepted_survive) {
  Pair pair = ConnectedPair(ListenOn(net, 1), net);
  Overflow full = OverflowQueue(pair.listener, net);
  bool kept = true;
  for (int i = 0; i < 3; ++i) kept = kept && Exchange(pair.client, pair.server, 1000);
  CHECK_REQUIREMENT(backlog::accepted_survive, Kept(kept, "exchanged while the queue is full"));
}

SCENARIO(Backlog, NothingIsLeft, kConnections.Waits(milliseconds(100)), backlog::nothing_left, backlog::capacity_returns) {
  constexpr std::size_t kBacklog = 3;
  Listener listener = ListenOn(net, kBacklog);
  std::vector<Socket> clients = FillQueue(listener, net);
  const std::size_t accepted = AcceptAll(listener.socket).size();
  const bool ready = Events(listener.socket, SP_IN) != 0;
  const AcceptResult further = listener.socket.Accept();
  CHECK_REQUIREMENT(backlog::nothing_left,
                    Readiness(ready || further.error() != SP_EAGAIN,
                              fmt::format("{} of {} accepted, then {}", accepted, clients.size(), further.text())));
  const std::size_t before = std::min(kBacklog, clients.size());  // what it took is what it takes again
  CHECK_REQUIREMENT(backlog::capacity_returns, DepthOf(MeasureDepth(listener, net, before, before + 4), before));
}

SCENARIO(Backlog, NoPhantoms, kTcp.Waits(milliseconds(1500)), backlog::no_phantom) {
  Listener listener = ListenOn(net, 1);
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  std::vector<Socket> clients;
  for (int i = 0; i < 10; ++i) {
    Socket client = net.NewConnecting(SP_NONBLOCKING);
    const Result connecting = client.Connect(listener.address);
    if (connecting.ok() || UnderWay(connecting, net)) clients.push_back(std::move(client));
  }
  // Those that were passed over come again after a second; whoever gets in then, gets in.
  std::vector<Address> peers;
  std::vector<Socket> servers;
  const Stopwatch watch;
  while (watch.Elapsed() < milliseconds(1400)) {
    if (!WaitReady(listener.socket, SP_IN, milliseconds(100))) continue;
    AcceptResult accepted = listener.socket.Accept();
    if (!accepted.ok()) continue;
    peers.push_back(accepted.peer.address);
    servers.push_back(std::move(accepted.socket));
  }
  std::string detail = fmt::format("{} accepted of {} clients", peers.size(), clients.size());
  bool holds = true;
  for (const Address& peer : peers) {
    const bool once = std::count(peers.begin(), peers.end(), peer) == 1;
    const auto client = std::find_if(clients.begin(), clients.end(), [&](Socket& socket) {
      const Address local = socket.LocalAddress();
      return local.port() == peer.port() && ConnectState(socket).name() == outcome::completed.text;
    });
    if (once && client != clients.end()) continue;
    holds = false;
    detail += fmt::format("; {} {}", peer.ToString(), once ? "is no client that is connected" : "was handed out twice");
  }
  CHECK_REQUIREMENT(backlog::no_phantom, Holds(holds, detail));
}

SCENARIO(Backlog, OrderOverRefills, kConnections, backlog::order) {
  const std::size_t room = QueueRoom(net, 3, 2, 3);
  Listener listener = ListenOn(net, 3);
  std::vector<Socket> clients = Enqueue(listener, net, room), servers;
  for (int round = 0; round < 20; ++round) {
    servers.push_back(AcceptNext(listener.socket));
    for (Socket& client : Enqueue(listener, net, 1, room - 1)) clients.push_back(std::move(client));
  }
  for (std::size_t i = 0; i < room; ++i) servers.push_back(AcceptNext(listener.socket));
  TagAll(clients);
  CHECK_REQUIREMENT(backlog::order, Order(servers, clients.size()));
  ResetAll(servers);
}

SCENARIO(Backlog, OneIsRefilledManyTimes, kConnections, backlog::order) {
  Listener listener = ListenOn(net, 1);
  std::vector<Socket> clients, servers;
  for (int round = 0; round < 20; ++round) {
    for (Socket& client : Enqueue(listener, net, 1)) clients.push_back(std::move(client));
    servers.push_back(AcceptNext(listener.socket));
  }
  TagAll(clients);
  CHECK_REQUIREMENT(backlog::order, Order(servers, clients.size()));
  ResetAll(servers);
}

SCENARIO(Backlog, BurstWithinTheBacklog, kConnections, backlog::burst_within_backlog, backlog::no_phantom) {
  constexpr std::size_t kThreads = 6, kEach = 2, kClients = kThreads * kEach;
  Listener listener = ListenOn(net, kClients);
  std::vector<Socket> clients;
  for (std::size_t i = 0; i < kClients; ++i) clients.push_back(net.NewConnecting(SP_NONBLOCKING));
  std::vector<Result> begun(kClients);
  Latch start;
  std::vector<Task<std::size_t>> tasks;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    tasks.push_back(Spawn(fmt::format("clients {}", thread), [&, thread] {
      start.Wait();
      std::size_t in = 0;
      // Begun one right after the other; those that are still under way then have all the patience there is.
      const std::size_t first = thread * kEach;
      for (std::size_t i = first; i < first + kEach; ++i) begun[i] = clients[i].Connect(listener.address);
      for (std::size_t i = first; i < first + kEach; ++i) {
        if (UnderWay(begun[i], net)) WaitReady(clients[i], SP_OUT);
        if ((begun[i].ok() || UnderWay(begun[i], net)) && ConnectState(clients[i]).name() == outcome::completed.text) {
          ++in;
        }
      }
      return in;
    }));
  }
  start.Open();
  std::size_t connected = 0;
  for (auto& task : tasks) connected += task.Join(3 * Patience());
  for (std::size_t i = 0; i < kClients; ++i) static_cast<void>(clients[i].SendBytes(std::string(1, static_cast<char>('A' + i))));
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  std::vector<int> seen(kClients, 0);
  std::vector<Socket> servers;  // kept open, so that one that is handed out twice is two handles of one connection
  std::size_t accepted = 0, unknown = 0;
  while (accepted < connected && WaitReady(listener.socket, SP_IN)) {
    AcceptResult result = listener.socket.Accept();
    if (!result.ok()) break;
    ++accepted;
    const auto index = static_cast<std::size_t>(TagOf(result.socket) - 'A');
    servers.push_back(std::move(result.socket));
    if (index >= kClients) {
      ++unknown;
      break;
    }
    ++seen[index];
  }
  const bool twice = std::any_of(seen.begin(), seen.end(), [](int times) { return times > 1; });
  const std::size_t further = AcceptAll(listener.socket).size();
  const std::string detail = fmt::format("{} of {} connected, {} accepted, {} of them unknown, {} more afterwards", connected,
                                         kClients, accepted, unknown, further);
  CHECK_REQUIREMENT(backlog::burst_within_backlog, Holds(connected == kClients && accepted == kClients, detail));
  CHECK_REQUIREMENT(backlog::no_phantom, Holds(!twice && unknown == 0 && further == 0, detail));
}

}  // namespace sockproof
