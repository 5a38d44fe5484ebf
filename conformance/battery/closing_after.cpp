// After a listener was closed or shut down: new clients, its address, and the calls that waited on it.
#include <atomic>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "battery/guarded.h"
#include "battery/queue_support.h"
#include "battery/scenario.h"
#include "battery/serving.h"
#include "catalogue/closing.h"
#include "catalogue/outcomes.h"
#include "face/sameness.h"

namespace sockproof {
namespace {

constexpr int32_t kReadShutdowns[] = {SP_SHUT_RD, SP_SHUT_RDWR};

// An abstract name that nobody else has.
Address AbstractName() {
  static std::atomic<int> next{0};
  std::string name = fmt::format("@sockproof.{}.{}", ProcessTag(), next++);
  name[0] = '\0';
  return Address::Unix(name);
}

}  // namespace

// ---- new clients ----

SCENARIO(Closing, NewClient, kConnections, closing::new_client) {
  GuardedListener idle = ListenGuarded(net), busy = ListenGuarded(net);
  const Socket queued = ConnectTo(busy.listener, net);
  static_cast<void>(Must(idle.listener.socket.Close()));
  static_cast<void>(Must(busy.listener.socket.Close()));
  CHECK_REQUIREMENT(closing::new_client, TryConnect(net, idle.listener.address).outcome);
  CHECK_REQUIREMENT(closing::new_client, TryConnect(net, busy.listener.address).outcome);
}

SCENARIO(Closing, NewClientAfterShutdown, kTcp, closing::new_client_shutdown) {
  for (const int32_t how : kReadShutdowns) {
    Listener listener = ListenOn(net);
    static_cast<void>(listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(closing::new_client_shutdown, TryConnect(net, listener.address).outcome);
  }
}

SCENARIO(Closing, NewLocalClientAfterShutdown, kLocal, closing::new_client_shutdown_unix) {
  for (const int32_t how : kReadShutdowns) {
    Listener listener = ListenOn(net);
    static_cast<void>(listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(closing::new_client_shutdown_unix, TryConnect(net, listener.address).outcome);
  }
}

namespace {

// Like TryConnect, but content with no error when the socket becomes writable: the connection may be reset at any moment, and
// what is asked after that is answered for a connection that has ended.
Attempt ConnectOnce(const Flavor& net, const Address& address) {
  Attempt attempt;
  attempt.socket = net.NewConnecting(SP_NONBLOCKING);
  const Result result = attempt.socket.Connect(address);
  if (!result.ok() && !UnderWay(result, net)) {
    attempt.outcome = result;
  } else if (WaitReady(attempt.socket, SP_OUT)) {
    const Outcome error = attempt.socket.TakeError();
    attempt.outcome = error.name() == "ok" ? Outcome(outcome::completed) : error;
  }
  return attempt;
}

// Clients come one after the other while the listener is closed, or shut down, in the middle of it; nobody accepts.
void CheckRace(const Flavor& net, const Requirement& requirement, bool close) {
  constexpr int kRounds = 5, kBefore = 3;
  // No more than the queue takes: one that is passed over would show nothing of the race.
  const std::size_t most = QueueRoom(net, 60);
  std::map<std::string, Outcome> seen;
  // A client that is left hanging takes all the patience there is: one is enough.
  for (int round = 0; round < kRounds && seen.count("pending") == 0; ++round) {
    GuardedListener guarded = ListenGuarded(net, 64);
    Listener& listener = guarded.listener;
    std::atomic<int> made{0};
    auto clients = Spawn("clients", [&] {
      std::vector<Attempt> attempts;
      while (attempts.size() < most) {
        attempts.push_back(ConnectOnce(net, listener.address));
        ++made;
        if (!attempts.back().completed()) break;
      }
      return attempts;
    });
    while (made.load() < kBefore + round && !clients.Done()) {
      std::this_thread::yield();
      Host::Get().SleepVirtual(Nanoseconds(1000));  // where threads take turns, nobody else runs otherwise
    }
    static_cast<void>(close ? listener.socket.Close() : listener.socket.Shutdown(SP_SHUT_RD));
    for (Attempt& client : clients.Join(2 * Patience())) {
      Outcome ending = client.outcome;
      if (client.completed()) {
        // Whoever has not heard by now asks: data for a connection that nobody has is answered with a reset.
        if (!WaitReady(client.socket, SP_IN, milliseconds(100))) static_cast<void>(client.socket.SendBytes("anybody there"));
        ending = Ending(client.socket);
      }
      seen.emplace(ending.name(), ending);
      if (ending.name() == "pending") break;
    }
  }
  for (const auto& [name, outcome] : seen) CHECK_REQUIREMENT(requirement, outcome);
}

}  // namespace

SCENARIO(Closing, RacingClients, kConnections, closing::racing_client) { CheckRace(net, closing::racing_client, true); }

SCENARIO(Closing, RacingClientsAndShutdown, kTcp.Waits(milliseconds(100)), closing::racing_client_shutdown) {
  CheckRace(net, closing::racing_client_shutdown, false);
}

// ---- the address ----

SCENARIO(Closing, AddressIsFree, kTcp, closing::address_free, closing::address_free_plain) {
  for (const bool reuse : {true, false}) {
    Listener listener = reuse ? BoundWith(net, {SP_SO_REUSEADDR}) : BoundWith(net, {});
    const Address name = listener.socket.LocalAddress();
    static_cast<void>(Must(listener.socket.Listen(4)));
    static_cast<void>(Must(listener.socket.Close()));
    Socket next = reuse ? NewWith(net, {SP_SO_REUSEADDR}) : NewWith(net, {});
    CHECK_REQUIREMENT(reuse ? closing::address_free : closing::address_free_plain, next.Bind(name));
  }
}

SCENARIO(Closing, AddressWithLiveChild, kTcp, closing::address_with_child, closing::address_with_child_reuse) {
  for (const bool reuse : {true, false}) {
    Listener listener = reuse ? BoundWith(net, {SP_SO_REUSEADDR}) : BoundWith(net, {});
    const Address name = listener.socket.LocalAddress();
    static_cast<void>(Must(listener.socket.Listen(4)));
    Pair pair = ConnectedPair(std::move(listener), net);
    static_cast<void>(Must(pair.listener.socket.Close()));
    if (reuse) {
      Socket next = NewWith(net, {SP_SO_REUSEADDR});
      const Result bound = next.Bind(name);
      CHECK_REQUIREMENT(closing::address_with_child_reuse, bound.ok() ? next.Listen(4) : bound);
    } else {
      Socket next = NewWith(net, {});
      CHECK_REQUIREMENT(closing::address_with_child, next.Bind(name));
    }
  }
}

SCENARIO(Closing, ShutdownAndAddress, kTcp, closing::shutdown_keeps_address, closing::shutdown_ephemeral,
         closing::shutdown_name) {
  for (const int32_t how : kReadShutdowns) {
    Listener named = BoundToNamedPort(net, {}), chosen = BoundOn(net);
    for (Listener* listener : {&named, &chosen}) {
      const Address name = listener->socket.LocalAddress();
      static_cast<void>(Must(listener->socket.Listen(4)));
      static_cast<void>(listener->socket.Shutdown(how));
      const NameResult after = listener->socket.LocalName();
      CHECK_REQUIREMENT(closing::shutdown_name,
                        after.ok() ? SameAddress(after.address, name, "the name") : Holds(false, after.text()));
      Socket other = net.NewListening();
      const Result bound = other.Bind(name);
      CHECK_REQUIREMENT(listener == &named ? closing::shutdown_keeps_address : closing::shutdown_ephemeral, bound);
    }
  }
}

SCENARIO(Closing, Pathname, kLocal, closing::path_stays, closing::path_removed) {
  Listener listener = ListenOn(net);
  static_cast<void>(Must(listener.socket.Close()));
  Listener next{net.NewListening(), listener.address};
  CHECK_REQUIREMENT(closing::path_stays, next.socket.Bind(listener.address));
  std::error_code error;
  std::filesystem::remove(std::string(listener.address.path()), error);
  const Result bound = next.socket.Bind(listener.address);
  const Result listening = bound.ok() ? next.socket.Listen(4) : bound;
  CHECK_REQUIREMENT(closing::path_removed, listening.ok() ? Serves(net, next) : Holds(false, listening.text()));
}

SCENARIO(Closing, AbstractName, kLocal.Needs({SP_CAP_ABSTRACT_NAMES}), closing::abstract_gone, closing::abstract_refused) {
  Listener listener{net.NewListening(), AbstractName()};
  static_cast<void>(Must(listener.socket.Bind(listener.address)));
  static_cast<void>(Must(listener.socket.Listen(4)));
  const Socket queued = ConnectTo(listener, net);
  static_cast<void>(Must(listener.socket.Close()));
  CHECK_REQUIREMENT(closing::abstract_refused, TryConnect(net, listener.address).outcome);
  Socket next = net.NewListening();
  CHECK_REQUIREMENT(closing::abstract_gone, next.Bind(listener.address));
}

namespace {

// Listeners that share one address.
struct Group {
  Address name, address;
  std::vector<Socket> sockets;
};

Result Join(Group* group, const Flavor& net) {
  Socket socket = NewWith(net, {SP_SO_REUSEPORT});
  const Result bound = socket.Bind(group->sockets.empty() ? net.ToBind() : group->name);
  if (!bound.ok()) return bound;
  const Result listening = socket.Listen(64);
  group->name = socket.LocalAddress();
  group->address = net.ToReach(group->name);
  group->sockets.push_back(std::move(socket));
  return listening;
}

// A new client is accepted by one of the group.
Outcome GroupServes(Group& group, const Flavor& net) {
  Attempt client = TryConnect(net, group.address);
  if (!client.completed()) return Holds(false, fmt::format("a client: {}", client.outcome.name()));
  Socket* chosen = nullptr;
  const bool found = WaitUntil(
      [&] {
        for (Socket& socket : group.sockets) {
          if (socket.open() && (Events(socket, SP_IN) & SP_IN) != 0) chosen = &socket;
        }
        return chosen != nullptr;
      },
      Patience(), "one of the listeners to become readable");
  if (!found) return Holds(false, "none of the listeners became readable");
  Socket server;
  if (const Outcome taken = TakeNext(*chosen, &server); taken.name() != "holds") return taken;
  const Outcome passes = Passes(client.socket, server);
  ResetOnClose(client.socket);
  static_cast<void>(client.socket.Close());
  return passes;
}

}  // namespace

SCENARIO(Closing, GroupInAnyOrder, kTcp, closing::group_order, closing::group_joined, closing::group_last, closing::group_free) {
  const std::vector<std::vector<std::size_t>> orders = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}};
  bool served = true;  // a client that nobody serves takes all the patience there is: one is enough
  auto serve = [&](Group& group) {
    for (int client = 0; client < 4 && served; ++client) {
      const Outcome outcome = GroupServes(group, net);
      CHECK_REQUIREMENT(closing::group_order, outcome);
      served = outcome.name() == "holds";
    }
  };
  for (const std::vector<std::size_t>& order : orders) {
    Group group;
    for (int i = 0; i < 3; ++i) static_cast<void>(Must(Join(&group, net)));
    for (std::size_t closed = 0; closed < 2; ++closed) {
      static_cast<void>(Must(group.sockets[order[closed]].Close()));
      serve(group);
    }
    CHECK_REQUIREMENT(closing::group_joined, Join(&group, net));
    serve(group);
    for (Socket& socket : group.sockets) {
      if (socket.open()) static_cast<void>(Must(socket.Close()));
    }
    CHECK_REQUIREMENT(closing::group_last, TryConnect(net, group.address).outcome);
    Socket alone = net.NewListening();
    CHECK_REQUIREMENT(closing::group_free, alone.Bind(group.name));
  }
}

SCENARIO(Closing, GroupQueues, kTcp, closing::group_queue, closing::group_queue_others) {
  constexpr std::size_t kClients = 32;  // all in one queue: once in two thousand million runs
  const bool short_queue = QueueRoom(net, kClients) < kClients;
  Group group;
  for (int i = 0; i < 2; ++i) static_cast<void>(Must(Join(&group, net)));
  static_cast<void>(Must(group.sockets[1].SetModes(SP_NONBLOCKING)));
  std::map<uint16_t, Socket> clients;
  std::set<uint16_t> withdrawn;  // of clients that found the queue full into which they belong
  for (std::size_t i = 0; i < kClients; ++i) {
    QueueAttempt client = TryToConnect(group.address, net, short_queue ? Nanoseconds(0) : Patience());
    const uint16_t port = client.socket.LocalAddress().port();
    if (client.in()) {
      clients.emplace(port, std::move(client.socket));
    } else if (short_queue) {
      withdrawn.insert(port);
    } else {
      Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "connect to the group", client.state);
    }
  }
  const std::size_t queued = clients.size();
  static_cast<void>(Must(group.sockets[0].Close()));
  // Each client has now been reset, or can be accepted from the other queue.
  std::string problem;
  std::size_t accepted = 0, ended = 0;
  std::map<uint16_t, Socket> servers;
  const bool all = WaitUntil(
      [&] {
        while (true) {
          AcceptResult server = group.sockets[1].Accept();
          if (server.error() == SP_EAGAIN) break;
          if (!server.ok()) {
            problem = server.text();
            return true;
          }
          const uint16_t port = Must(server.socket.PeerName()).port();
          if (withdrawn.count(port) != 0) continue;
          ++accepted;
          servers.emplace(port, std::move(server.socket));
        }
        ended = 0;
        for (const auto& [port, client] : clients) ended += Events(client, SP_IN) != 0 ? 1 : 0;
        return accepted + ended >= queued;
      },
      Patience(), "every client to be accepted or reset");
  if (!all) problem = fmt::format("{} accepted and {} ended of {}", accepted, ended, queued);
  for (auto& [port, server] : servers) {
    const auto client = clients.find(port);
    if (client == clients.end()) {
      problem = fmt::format("a connection from port {}, which is no client's", port);
      continue;
    }
    if (const std::string failed = PassBytes(client->second, server); !failed.empty()) problem = failed;
    clients.erase(client);
  }
  CHECK_REQUIREMENT(closing::group_queue_others, Holds(problem.empty(), problem));
  if (clients.empty()) {
    Host::Get().reporter().NotSupported("queue", "no client stood in the queue of the listener that was closed");
  }
  std::map<std::string, Outcome> endings;
  for (auto& [port, client] : clients) {
    const Outcome ending = Ending(client);
    endings.emplace(ending.name(), ending);
    if (ending.name() == "pending") break;  // one is enough to know, and each takes its time
  }
  for (const auto& [name, ending] : endings) CHECK_REQUIREMENT(closing::group_queue, ending);
}

// ---- calls that wait on the listener ----

SCENARIO(Closing, ShutdownWakesAccept, kConnections, closing::shutdown_wakes_accept) {
  for (const int32_t how : kReadShutdowns) {
    Listener listener = ListenOn(net);
    auto acceptor = Spawn("acceptor", [&] { return Outcome(listener.socket.Accept()); });
    acceptor.WaitBlocked();
    static_cast<void>(listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(closing::shutdown_wakes_accept,
                      acceptor.DoneWithin(Patience()) ? acceptor.Join() : Outcome(outcome::still_blocked));
  }
}

SCENARIO(Closing, ShutdownWakesPoll, kConnections, closing::shutdown_wakes_poll) {
  Listener listener = ListenOn(net);
  auto poller = Spawn("poller", [&] { return Events(listener.socket, SP_IN, seconds(2)); });
  poller.WaitBlocked();
  static_cast<void>(listener.socket.Shutdown(SP_SHUT_RD));
  CHECK_REQUIREMENT(closing::shutdown_wakes_poll, Readiness(poller.Join() != 0));
}

namespace {

// What becomes of an accept that was waiting when `disturb` was done to the listener, and a client came after that.
template <typename Disturb>
Outcome WaitingAccept(const Flavor& net, Listener& listener, Disturb disturb) {
  const sp_handle handle = listener.socket.handle();
  auto acceptor = Spawn("acceptor", [handle] { return Socket::Borrowed(handle).Accept(); });
  acceptor.WaitBlocked();
  disturb();
  LetQuietTimePass(milliseconds(20));
  if (acceptor.Done()) return acceptor.Join();
  Attempt client = TryConnect(net, listener.address);
  if (!client.completed()) return client.outcome.With("the client that came after");
  AcceptResult accepted = acceptor.Join();
  if (!accepted.ok()) return accepted;
  const std::string problem = PassBytes(client.socket, accepted.socket);
  return problem.empty() ? Outcome(outcome::completed) : Holds(false, problem);
}

}  // namespace

SCENARIO(Closing, WriteShutdownLeavesAccept, kConnections.Waits(milliseconds(50)), closing::shutdown_write_wakes_nobody) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(closing::shutdown_write_wakes_nobody,
                    WaitingAccept(net, listener, [&] { static_cast<void>(listener.socket.Shutdown(SP_SHUT_WR)); }));
}

SCENARIO(Closing, CloseLeavesAccept, kConnections, closing::close_leaves_accept, closing::close_after_accept) {
  GuardedListener guarded = ListenGuarded(net);
  Listener& listener = guarded.listener;
  CHECK_REQUIREMENT(closing::close_leaves_accept,
                    WaitingAccept(net, listener, [&] { static_cast<void>(Must(listener.socket.Close())); }));
  CHECK_REQUIREMENT(closing::close_after_accept, TryConnect(net, listener.address).outcome);
}

SCENARIO(Closing, CloseEndsAccept, kConnections.Needs({SP_CAP_THREADS}), closing::close_ends_accept) {
  Listener listener = ListenOn(net);
  Socket same = Socket::Borrowed(listener.socket.handle());
  auto accepting = Spawn("accept", [&] { return same.Accept(); });
  accepting.WaitBlocked();
  static_cast<void>(Must(listener.socket.Close()));
  const bool ended = accepting.DoneWithin(Patience());
  CHECK_REQUIREMENT(closing::close_ends_accept, ended ? outcome::returned : outcome::still_blocked);
  if (ended) return;
  const Socket client = ConnectTo(listener, net);
  static_cast<void>(accepting.Join());
}

SCENARIO(Closing, AcceptAfterShutdown, kTcp, closing::shutdown_accept) {
  for (const int32_t how : kReadShutdowns) {
    Listener listener = ListenOn(net);
    static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
    const Socket queued = ConnectTo(listener, net);
    static_cast<void>(listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(closing::shutdown_accept, listener.socket.Accept());
    CHECK_REQUIREMENT(closing::shutdown_accept, listener.socket.Accept());
  }
}

SCENARIO(Closing, AcceptConnAgrees, kConnections, closing::shutdown_agrees) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) {
    Listener listener = ListenOn(net);
    static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
    static_cast<void>(listener.socket.Shutdown(how));
    const bool listening = SaysItListens(listener.socket);
    const Result accepted = listener.socket.Accept();
    CHECK_REQUIREMENT(closing::shutdown_agrees,
                      Holds(listening == (accepted.error() != SP_EINVAL),
                            fmt::format("SO_ACCEPTCONN {}, accept {}", listening ? "on" : "off", Outcome(accepted).name())));
  }
}

SCENARIO(Closing, ShutdownOfDuplicate, kTcp, closing::duplicate_shut) {
  Listener listener = ListenOn(net);
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  Socket copy;
  static_cast<void>(Must(listener.socket.Duplicate(&copy)));
  static_cast<void>(copy.Shutdown(SP_SHUT_RD));
  const std::string through_copy = Outcome(copy.Accept()).name(), through_original = Outcome(listener.socket.Accept()).name();
  CHECK_REQUIREMENT(closing::duplicate_shut, Same(through_original, through_copy, "accept through the original and the copy"));
}

}  // namespace sockproof
