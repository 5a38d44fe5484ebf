// Closing and shutting down a listener: the call itself, and what becomes of clients in the queue.
#include "catalogue/closing.h"

#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "battery/scenario.h"
#include "battery/serving.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

constexpr int32_t kReadShutdowns[] = {SP_SHUT_RD, SP_SHUT_RDWR};

// What a client sees by now, without waiting for more than a moment.
Outcome EndingByNow(Socket& client) {
  LetQuietTimePass(milliseconds(20));
  return Events(client, SP_IN) == 0 ? Outcome(outcome::pending) : Ending(client);
}

}  // namespace

// ---- the call ----

SCENARIO(Closing, EveryState, kConnections, closing::close) {
  const std::size_t two = QueueRoom(net, 2);
  Socket created = net.NewListening();
  CHECK_REQUIREMENT(closing::close, created.Close());
  Listener bound = BoundOn(net);
  CHECK_REQUIREMENT(closing::close, bound.socket.Close());
  Listener idle = ListenOn(net);
  CHECK_REQUIREMENT(closing::close, idle.socket.Close());
  Listener busy = ListenOn(net);
  std::vector<Socket> queued;
  for (std::size_t i = 0; i < two; ++i) queued.push_back(ConnectTo(busy, net));
  CHECK_REQUIREMENT(closing::close, busy.socket.Close());
  Listener shut = ListenOn(net);
  static_cast<void>(shut.socket.Shutdown(SP_SHUT_RDWR));
  CHECK_REQUIREMENT(closing::close, shut.socket.Close());
}

SCENARIO(Closing, DescriptorIsGone, kConnections, closing::close_descriptor) {
  Listener listener = ListenOn(net);
  const sp_handle handle = listener.socket.handle();
  static_cast<void>(Must(listener.socket.Close()));
  CHECK_REQUIREMENT(closing::close_descriptor, Socket::Borrowed(handle).Accept());
  CHECK_REQUIREMENT(closing::close_descriptor, Socket::Borrowed(handle).Listen(4));
  CHECK_REQUIREMENT(closing::close_descriptor, Socket::Borrowed(handle).LocalName());
  CHECK_REQUIREMENT(closing::close_descriptor, Socket::Borrowed(handle).Shutdown(SP_SHUT_RD));
  CHECK_REQUIREMENT(closing::close_descriptor, Socket::Borrowed(handle).Close());
}

SCENARIO(Closing, LingerDoesNotMatter, kConnections, closing::close_linger) {
  const std::size_t two = QueueRoom(net, 2);
  for (const bool clients : {false, true}) {
    Listener listener = ListenOn(net);
    static_cast<void>(Must(listener.socket.SetLinger(true, 3)));
    std::vector<Socket> queued;
    for (std::size_t i = 0; clients && i < two; ++i) {
      queued.push_back(ConnectTo(listener, net));
      static_cast<void>(Must(queued.back().SendBytes("unread")));
    }
    Stopwatch watch;
    static_cast<void>(Must(listener.socket.Close()));
    const Nanoseconds took = watch.Elapsed();
    CHECK_REQUIREMENT(
        closing::close_linger,
        Outcome(took < milliseconds(500) + watch.Stall() ? outcome::at_once : outcome::waited, watch.Describe(seconds(3))));
  }
}

SCENARIO(Closing, ShutdownOfListener, kTcp, closing::shutdown, closing::shutdown_seen) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) {
    Listener listener = ListenOn(net);
    const Result result = listener.socket.Shutdown(how);
    CHECK_REQUIREMENT(closing::shutdown, result);
    CHECK_REQUIREMENT(closing::shutdown_seen, result);
  }
}

SCENARIO(Closing, ShutdownOfLocalListener, kLocal, closing::shutdown_seen) {
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) {
    Listener listener = ListenOn(net);
    CHECK_REQUIREMENT(closing::shutdown_seen, listener.socket.Shutdown(how));
  }
}

SCENARIO(Closing, ShutdownHow, kConnections, closing::shutdown_how, closing::shutdown_how_harmless) {
  Listener listener = ListenOn(net);
  for (const int32_t how : {3, -1, 77}) CHECK_REQUIREMENT(closing::shutdown_how, listener.socket.Shutdown(how));
  CHECK_REQUIREMENT(closing::shutdown_how_harmless, Serves(net, listener));
}

// ---- clients in the queue ----

namespace {

// One client that has done nothing, one that has sent data, one that has ended its stream.
std::vector<Socket> QueueClients(const Listener& listener, const Flavor& net) {
  std::vector<Socket> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(ConnectTo(listener, net));
  static_cast<void>(Must(clients[1].SendBytes("never read")));
  static_cast<void>(Must(clients[2].Shutdown(SP_SHUT_WR)));
  return clients;
}

void CheckQueued(const Flavor& net, const Requirement& requirement) {
  NeedQueue(net, 3);
  Listener listener = ListenOn(net);
  std::vector<Socket> clients = QueueClients(listener, net);
  static_cast<void>(Must(listener.socket.Close()));
  for (Socket& client : clients) {
    const Outcome ending = Ending(client);
    CHECK_REQUIREMENT(requirement, ending);
    CHECK_REQUIREMENT(closing::queued_send, client.SendBytes("x"));
    RecvOptions now;
    now.flags = SP_MSG_DONTWAIT;
    CHECK_REQUIREMENT(closing::queued_then_end, client.Recv(16, now).Seen());
    if (ending.name() == "pending") break;  // the others would take as much patience
  }
}

}  // namespace

SCENARIO(Closing, QueuedClients, kTcp, closing::queued, closing::queued_send, closing::queued_then_end) {
  CheckQueued(net, closing::queued);
}

SCENARIO(Closing, QueuedLocalClients, kLocal, closing::queued_unix, closing::queued_send, closing::queued_then_end) {
  CheckQueued(net, closing::queued_unix);
}

SCENARIO(Closing, QueuedClientWaits, kConnections, closing::queued_wakes) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  auto receiver = Spawn("receiver", [&] { return client.Recv(16).Seen(); });
  receiver.WaitBlocked();
  static_cast<void>(Must(listener.socket.Close()));
  CHECK_REQUIREMENT(closing::queued_wakes, receiver.DoneWithin(Patience()) ? receiver.Join() : Outcome(outcome::still_blocked));
}

SCENARIO(Closing, QueuedClientPolls, kConnections, closing::queued_readable, closing::queued_hangup) {
  NeedQueue(net, 2);
  Listener listener = ListenOn(net);
  const Socket early = ConnectTo(listener, net), late = ConnectTo(listener, net);
  auto poller = Spawn("poller", [&] { return Events(early, SP_IN, Patience(), EventMechanism()); });
  poller.WaitBlocked();
  static_cast<void>(Must(listener.socket.Close()));
  for (const uint32_t events : {poller.Join(2 * Patience()), Events(late, SP_IN, Patience(), EventMechanism())}) {
    CHECK_REQUIREMENT(closing::queued_readable, Readiness((events & SP_IN) != 0));
    CHECK_REQUIREMENT(closing::queued_hangup,
                      Holds((events & SP_HUP) != 0 && (events & SP_ERR) != 0, fmt::format("events {:#x}", events)));
  }
}

SCENARIO(Closing, QueuedClientError, kTcp, closing::queued_error, closing::queued_error_once) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  static_cast<void>(Must(listener.socket.Close()));
  WaitReady(client, SP_IN);
  CHECK_REQUIREMENT(closing::queued_error, client.TakeError());
  CHECK_REQUIREMENT(closing::queued_error_once, client.TakeError());
}

SCENARIO(Closing, ManyQueuedClients, kConnections, closing::many_queued) {
  const std::size_t many = QueueRoom(net, 64);
  Listener listener = ListenOn(net, 64);
  std::vector<Socket> clients;
  for (std::size_t i = 0; i < many; ++i) clients.push_back(ConnectTo(listener, net));
  static_cast<void>(Must(listener.socket.Close()));
  for (Socket& client : clients) {
    const Outcome ending = Ending(client);
    CHECK_REQUIREMENT(closing::many_queued, ending);
    if (ending.name() == "pending") break;  // each takes all the patience there is: one is enough
  }
}

SCENARIO(Closing, ShutdownWithQueuedClients, kTcp, closing::queued_shutdown) {
  NeedQueue(net, 3);
  for (const int32_t how : kReadShutdowns) {
    Listener listener = ListenOn(net);
    std::vector<Socket> clients = QueueClients(listener, net);
    static_cast<void>(listener.socket.Shutdown(how));
    for (Socket& client : clients) CHECK_REQUIREMENT(closing::queued_shutdown, Ending(client));
  }
}

SCENARIO(Closing, ShutdownWithQueuedLocalClients, kLocal.Waits(milliseconds(50)), closing::queued_shutdown_unix) {
  for (const int32_t how : kReadShutdowns) {
    Listener listener = ListenOn(net);
    Socket client = ConnectTo(listener, net);
    static_cast<void>(listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(closing::queued_shutdown_unix, EndingByNow(client));
  }
}

SCENARIO(Closing, WriteShutdown, kConnections, closing::queued_shutdown_write, closing::new_client_shutdown_write) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  static_cast<void>(listener.socket.Shutdown(SP_SHUT_WR));
  Socket server;
  const Outcome taken = TakeNext(listener.socket, &server);
  CHECK_REQUIREMENT(closing::queued_shutdown_write, taken.name() == "holds" ? Passes(client, server) : taken);
  CHECK_REQUIREMENT(closing::new_client_shutdown_write, Serves(net, listener));
}

namespace {

// The listener waits for data before it takes part in a connection: its side of the handshake stays open.
void CheckHalfOpen(const Flavor& net, const Requirement& requirement, bool close) {
  // With more of them than stand in the queue a listener may turn to SYN cookies, and keeps nothing of the next ones.
  const std::size_t room = QueueRoom(net, 8, 1, 16);
  Listener listener = BoundOn(net);
  static_cast<void>(Must(listener.socket.Set(SP_TCP_DEFER_ACCEPT, 30)));
  static_cast<void>(Must(listener.socket.Listen(16)));
  std::vector<Attempt> clients;
  for (std::size_t i = 0; i < room; ++i) {
    clients.push_back(TryConnect(net, listener.address));
    if (!clients.back().completed()) {
      Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "connect to a listener that defers", clients.back().outcome);
    }
  }
  static_cast<void>(close ? listener.socket.Close() : listener.socket.Shutdown(SP_SHUT_RD));
  for (Attempt& client : clients) {
    static_cast<void>(client.socket.SendBytes("too late"));
    const Outcome ending = Ending(client.socket);
    CHECK_REQUIREMENT(requirement, ending);
    if (ending.name() == "pending") break;
  }
}

}  // namespace

SCENARIO(Closing, HalfOpenClients, kTcp, closing::half_open) { CheckHalfOpen(net, closing::half_open, true); }

SCENARIO(Closing, ShutdownWithHalfOpenClients, kTcp, closing::half_open_shutdown) {
  CheckHalfOpen(net, closing::half_open_shutdown, false);
}

// ---- accepted connections ----

namespace {

// Three connections of one listener: open both ways, the client has ended its stream, the server has.
struct Family {
  Listener listener;
  std::vector<Socket> clients, servers;
};

Family MakeFamily(const Flavor& net) {
  Family family{ListenOn(net), {}, {}};
  for (int i = 0; i < 3; ++i) {
    family.clients.push_back(ConnectTo(family.listener, net));
    MustBeReady(family.listener.socket, SP_IN);
    family.servers.push_back(Must(family.listener.socket.Accept()));
  }
  static_cast<void>(Must(family.clients[1].Shutdown(SP_SHUT_WR)));
  static_cast<void>(Must(family.servers[2].Shutdown(SP_SHUT_WR)));
  return family;
}

std::string PassOneWay(Socket& from, Socket& to) {
  const Result sent = from.SendBytes("one way");
  if (!sent.ok()) return sent.text();
  if (!WaitReady(to, SP_IN)) return "what was sent did not arrive";
  RecvOptions now;
  now.flags = SP_MSG_DONTWAIT;
  const RecvResult received = to.Recv(64, now);
  return received.value() == 7 ? std::string() : received.text();
}

Outcome FamilyGoesOn(Family& family) {
  if (const std::string problem = PassBytes(family.clients[0], family.servers[0]); !problem.empty()) {
    return Holds(false, fmt::format("open both ways: {}", problem));
  }
  if (const std::string problem = PassOneWay(family.servers[1], family.clients[1]); !problem.empty()) {
    return Holds(false, fmt::format("the client's stream has ended: {}", problem));
  }
  const std::string problem = PassOneWay(family.clients[2], family.servers[2]);
  return Holds(problem.empty(), fmt::format("the server's stream has ended: {}", problem));
}

}  // namespace

SCENARIO(Closing, ChildrenGoOn, kConnections, closing::children, closing::children_names) {
  Family family = MakeFamily(net);
  std::vector<std::string> before, after;
  auto names = [&](std::vector<std::string>* out) {
    for (Socket* socket : {&family.clients[0], &family.servers[0]}) {
      out->push_back(Must(socket->LocalName()).ToString());
      out->push_back(Must(socket->PeerName()).ToString());
    }
  };
  names(&before);
  static_cast<void>(Must(family.listener.socket.Close()));
  CHECK_REQUIREMENT(closing::children, FamilyGoesOn(family));
  names(&after);
  CHECK_REQUIREMENT(closing::children_names,
                    Holds(after == before, fmt::format("names {} against {}", fmt::join(after, " "), fmt::join(before, " "))));
}

SCENARIO(Closing, ChildrenGoOnAfterShutdown, kConnections, closing::children_shutdown) {
  for (const int32_t how : kReadShutdowns) {
    Family family = MakeFamily(net);
    static_cast<void>(family.listener.socket.Shutdown(how));
    CHECK_REQUIREMENT(closing::children_shutdown, FamilyGoesOn(family));
  }
}

SCENARIO(Closing, OtherListeners, kConnections, closing::others) {
  for (const bool close : {true, false}) {
    Listener gone = ListenOn(net), stays = ListenOn(net);
    const Socket theirs = ConnectTo(gone, net);
    Socket queued = ConnectTo(stays, net);
    static_cast<void>(close ? gone.socket.Close() : gone.socket.Shutdown(SP_SHUT_RDWR));
    Socket server;
    const Outcome taken = TakeNext(stays.socket, &server);
    CHECK_REQUIREMENT(closing::others, taken.name() == "holds" ? Passes(queued, server) : taken);
    CHECK_REQUIREMENT(closing::others, Serves(net, stays));
  }
}

}  // namespace sockproof
