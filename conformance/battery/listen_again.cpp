// listen() called again, beside other listeners, and while other threads are busy with the same socket.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "battery/scenario.h"
#include "battery/serving.h"
#include "battery/ways.h"
#include "catalogue/listen.h"
#include "catalogue/outcomes.h"

namespace sockproof {

// ---- again ----

SCENARIO(Listen, Again, kConnections, listen::again, listen::again_serves, listen::keeps_name) {
  Listener listener = ListenOn(net, 4);
  const Address name = listener.socket.LocalAddress();
  for (const int32_t backlog : {4, 64, 2, 4}) {
    CHECK_REQUIREMENT(listen::again, listener.socket.Listen(backlog));
    CHECK_REQUIREMENT(listen::keeps_name, SameAddress(listener.socket.LocalAddress(), name, "the name after another listen"));
    CHECK_REQUIREMENT(listen::again_serves, Serves(net, listener));
  }
}

SCENARIO(Listen, AgainKeepsTheQueue, kTcp, listen::again_keeps) {
  const std::size_t room = QueueRoom(net, 3, 1, 4);
  Listener listener = ListenOn(net, 4);
  std::vector<Socket> clients;
  for (std::size_t i = 0; i < room; ++i) clients.push_back(ConnectTo(listener, net));
  static_cast<void>(Must(listener.socket.Listen(4)));
  for (Socket& client : clients) {
    Socket server;
    const Outcome taken = TakeNext(listener.socket, &server);
    CHECK_REQUIREMENT(listen::again_keeps, taken.name() == "holds" ? Passes(client, server) : taken);
  }
}

SCENARIO(Listen, AgainAfterShutdown, kConnections, listen::again_after_shutdown) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_RDWR}) {
    Listener listener = ListenOn(net);
    static_cast<void>(listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(listen::again_after_shutdown, listener.socket.Listen(4));
  }
}

SCENARIO(Listen, AgainAfterShutdownServes, kTcp, listen::again_after_shutdown_serves) {
  enum { kUnbound, kPortZero, kNamedPort };
  for (const int how_bound : {kUnbound, kPortZero, kNamedPort}) {
    for (const bool reuse : {false, true}) {
      for (const int32_t how : {SP_SHUT_RD, SP_SHUT_RDWR}) {
        const std::initializer_list<int32_t> with = {SP_SO_REUSEADDR}, without = {};
        const auto& options = reuse ? with : without;
        Socket socket = how_bound == kUnbound    ? NewWith(net, options)
                        : how_bound == kPortZero ? BoundWith(net, options).socket
                                                 : BoundToNamedPort(net, options).socket;
        static_cast<void>(Must(socket.Listen(4)));
        static_cast<void>(socket.Shutdown(how));
        const Result listening = socket.Listen(4);
        CHECK_REQUIREMENT(listen::again_after_shutdown_serves, listening.ok()
                                                                   ? Serves(net, socket, Reach(net, socket.LocalAddress()))
                                                                   : Holds(false, listening.text()));
      }
    }
  }
}

SCENARIO(Listen, AgainAfterShutdownLocal, kLocal, listen::again_after_shutdown_unix) {
  Listener listener = ListenOn(net);
  static_cast<void>(listener.socket.Shutdown(SP_SHUT_RD));
  static_cast<void>(listener.socket.Listen(4));
  CHECK_REQUIREMENT(listen::again_after_shutdown_unix, TryConnect(net, listener.address).outcome);
}

SCENARIO(Listen, BindAfterShutdown, kTcp46, listen::bind_after_shutdown_explicit, listen::bind_after_shutdown_ephemeral) {
  Listener named = BoundToNamedPort(net, {});
  static_cast<void>(Must(named.socket.Listen(4)));
  static_cast<void>(named.socket.Shutdown(SP_SHUT_RD));
  CHECK_REQUIREMENT(listen::bind_after_shutdown_explicit, named.socket.Bind(net.ToBind()));
  Listener chosen = ListenOn(net);
  static_cast<void>(chosen.socket.Shutdown(SP_SHUT_RD));
  CHECK_REQUIREMENT(listen::bind_after_shutdown_ephemeral, chosen.socket.Bind(net.ToBind()));
}

SCENARIO(Listen, AgainWithLiveChild, kTcp, listen::again_with_child, listen::again_with_child_reuse) {
  for (const bool reuse : {false, true}) {
    Listener listener = reuse ? BoundToNamedPort(net, {SP_SO_REUSEADDR}) : BoundToNamedPort(net, {});
    static_cast<void>(Must(listener.socket.Listen(4)));
    Pair pair = ConnectedPair(std::move(listener), net);
    static_cast<void>(pair.listener.socket.Shutdown(SP_SHUT_RD));
    const Result again = pair.listener.socket.Listen(4);
    CHECK_REQUIREMENT(reuse ? listen::again_with_child_reuse : listen::again_with_child, again);
  }
}

SCENARIO(Listen, ConnectAfterShutdown, kTcp46, listen::connect_after_shutdown) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_RDWR}) {
    const Listener other = ListenOn(net);
    Listener listener = ListenOn(net);
    static_cast<void>(listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(listen::connect_after_shutdown, listener.socket.Connect(other.address));
  }
}

// ---- another listener ----

SCENARIO(Listen, Taken, kTcp, listen::taken, listen::taken_unharmed, listen::taken_later) {
  Listener first = BoundWith(net, {SP_SO_REUSEADDR});
  Socket second = NewWith(net, {SP_SO_REUSEADDR});
  static_cast<void>(Must(second.Bind(first.socket.LocalAddress())));
  static_cast<void>(Must(first.socket.Listen(4)));
  Socket queued = ConnectTo(first, net);
  CHECK_REQUIREMENT(listen::taken, second.Listen(4));
  Socket server;
  const Outcome taken = TakeNext(first.socket, &server);
  CHECK_REQUIREMENT(listen::taken_unharmed, taken.name() == "holds" ? Passes(queued, server) : taken);
  CHECK_REQUIREMENT(listen::taken_unharmed, Serves(net, first));
  static_cast<void>(Must(first.socket.Close()));
  CHECK_REQUIREMENT(listen::taken_later, second.Listen(4));
}

SCENARIO(Listen, BesideConnecting, kTcp46.Waits(milliseconds(50)), listen::beside_connecting) {
  Connecting full = HoldConnecting(net);
  Socket connecting = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(Must(connecting.Set(SP_SO_REUSEADDR, 1)));
  static_cast<void>(Must(connecting.Bind(net.ToBind())));
  // The queue is full and nobody accepts: this one stays in SYN-SENT.
  static_cast<void>(connecting.Connect(full.listener.address));
  Socket listener = NewWith(net, {SP_SO_REUSEADDR});
  const Result bound = listener.Bind(connecting.LocalAddress());
  CHECK_REQUIREMENT(listen::beside_connecting, bound.ok() ? listener.Listen(4) : bound);
}

SCENARIO(Listen, BesideConnections, kTcp, listen::beside_connections) {
  Listener first = BoundWith(net, {SP_SO_REUSEADDR});
  const Address name = first.socket.LocalAddress();
  static_cast<void>(Must(first.socket.Listen(4)));
  Pair old = ConnectedPair(std::move(first), net);
  static_cast<void>(Must(old.listener.socket.Close()));
  Listener second;
  second.socket = NewWith(net, {SP_SO_REUSEADDR});
  second.address = net.ToReach(name);
  static_cast<void>(Must(second.socket.Bind(name)));
  static_cast<void>(Must(second.socket.Listen(4)));
  Pair fresh = ConnectedPair(std::move(second), net);
  CHECK_REQUIREMENT(listen::beside_connections, Passes(old.client, old.server));
  CHECK_REQUIREMENT(listen::beside_connections, Passes(fresh.client, fresh.server));
}

SCENARIO(Listen, Many, kConnections, listen::many) {
  constexpr std::size_t kListeners = 200;  // with a client and an accepted socket each below the usual limit of 1024
  std::vector<Listener> listeners;
  std::vector<Socket> clients;
  std::set<std::string> addresses;
  for (std::size_t i = 0; i < kListeners; ++i) {
    listeners.push_back(ListenOn(net, 2));
    addresses.insert(listeners.back().address.ToString());
  }
  CHECK_REQUIREMENT(listen::many, Same(addresses.size(), kListeners, "addresses of as many listeners"));
  for (const Listener& listener : listeners) clients.push_back(ConnectTo(listener, net));
  std::string problem;
  for (std::size_t i = 0; i < kListeners && problem.empty(); ++i) {
    Socket server;
    const Outcome taken = TakeNext(listeners[i].socket, &server);
    if (taken.name() != "holds") {
      problem = taken.detail();
    } else if (i % 20 == 0 || i + 1 == kListeners) {  // each is looked at; bytes through some will do
      problem = PassBytes(clients[i], server);
    } else if (!net.local() && server.PeerName().address.port() != clients[i].LocalAddress().port()) {
      problem = "another listener's client";
    }
    if (problem.empty() && Events(listeners[i].socket, SP_IN) != 0) problem = "one connection more than was made to it";
    if (!problem.empty()) problem = fmt::format("listener {}: {}", i, problem);
    ResetOnClose(server);
  }
  CHECK_REQUIREMENT(listen::many, Holds(problem.empty(), problem));
}

// ---- meanwhile ----

SCENARIO(Listen, RacingClients, kConnections, listen::race_clients, listen::race_late_clients, listen::race_all_accepted) {
  constexpr std::size_t kMost = 100000;
  // All of them and the last one stand in the queue at the same time.
  const std::size_t room = QueueRoom(net, 10, 2);
  const std::size_t threads = std::min<std::size_t>(3, room - 1), each = (room - 1) / threads;
  struct Clients {
    std::vector<Socket> connected;
    std::map<std::string, Outcome> outcomes;       // each that was seen, once
    std::map<std::string, Outcome> late_outcomes;  // of attempts that began after listen had returned
  };
  Listener listener = BoundOn(net);
  std::atomic<int> attempts{0};
  std::atomic<bool> listening{false};
  std::vector<Task<Clients>> tasks;
  for (std::size_t i = 0; i < threads; ++i) {
    tasks.push_back(Spawn(fmt::format("client{}", i), [&] {
      Clients clients;
      for (std::size_t n = 0; n < kMost && clients.connected.size() < each; ++n) {
        const bool late = listening.load();
        Attempt attempt = TryConnect(net, listener.address);
        (late ? clients.late_outcomes : clients.outcomes).emplace(attempt.outcome.name(), attempt.outcome);
        if (attempt.completed()) {
          clients.connected.push_back(std::move(attempt.socket));
        } else if (late) {
          break;
        }
        ++attempts;
      }
      return clients;
    }));
  }
  // Some try before listen begins, the others while it runs or after it.
  WaitUntil([&] { return attempts.load() >= 6; }, Patience(), "clients that try");
  static_cast<void>(Must(listener.socket.Listen(64)));
  listening = true;
  std::vector<Clients> all;
  for (auto& task : tasks) all.push_back(task.Join(2 * Patience()));
  all.emplace_back();
  Attempt last = TryConnect(net, listener.address);
  all.back().late_outcomes.emplace(last.outcome.name(), last.outcome);
  if (last.completed()) all.back().connected.push_back(std::move(last.socket));

  std::set<std::string> made;
  std::size_t connected = 0;
  for (Clients& clients : all) {
    for (const auto& [name, seen] : clients.outcomes) CHECK_REQUIREMENT(listen::race_clients, seen);
    for (const auto& [name, seen] : clients.late_outcomes) CHECK_REQUIREMENT(listen::race_late_clients, seen);
    connected += clients.connected.size();
    for (Socket& client : clients.connected) made.insert(client.LocalAddress().ToString());
  }
  std::string problem;
  for (std::size_t i = 0; i < connected && problem.empty(); ++i) {
    Socket server;
    const Outcome taken = TakeNext(listener.socket, &server);
    if (taken.name() != "holds") {
      problem = fmt::format("connection {} of {}: {}", i, connected, taken.detail());
    } else if (!net.local()) {
      const Address peer = server.PeerName().address;
      const std::string name = net.dual() ? Reach(net, peer).ToString() : peer.ToString();
      if (made.erase(name) != 1) problem = fmt::format("a connection from {}, which is no client's name", peer.ToString());
    }
  }
  if (problem.empty() && Events(listener.socket, SP_IN) != 0) problem = "more connections than were made";
  CHECK_REQUIREMENT(listen::race_all_accepted, Holds(problem.empty(), problem));
}

SCENARIO(Listen, PolledMeanwhile, kConnections, listen::polled_meanwhile) {
  Listener listener = BoundOn(net);
  std::atomic<int> rounds{0};
  // What poll says of a socket that does not listen yet is not asked here; it may be a hang-up at once, again and again.
  auto poller = Spawn("poller", [&] {
    while (true) {
      const uint32_t events = Events(listener.socket, SP_IN, Patience());
      if ((events & SP_IN) != 0) return true;
      if (events == 0) return false;
      ++rounds;
      std::this_thread::yield();
    }
  });
  WaitUntil([&] { return rounds.load() >= 3 || poller.Blocked(); }, Patience(), "the poller to poll");
  static_cast<void>(Must(listener.socket.Listen(4)));
  poller.WaitBlocked();
  const Socket client = ConnectTo(listener, net);
  CHECK_REQUIREMENT(listen::polled_meanwhile, Holds(poller.Join(2 * Patience()), "readable after a client has connected"));
}

SCENARIO(Listen, NotReadableWithoutClient, kConnections, listen::polled_empty) {
  Listener listener = ListenOn(net);
  for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT})) {
    CHECK_REQUIREMENT(listen::polled_empty, Readiness((Events(listener.socket, SP_IN, Nanoseconds(0), mechanism) & SP_IN) != 0));
  }
  const Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  const Socket server = Must(listener.socket.Accept());
  for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT})) {
    CHECK_REQUIREMENT(listen::polled_empty, Readiness((Events(listener.socket, SP_IN, Nanoseconds(0), mechanism) & SP_IN) != 0));
  }
}

}  // namespace sockproof
