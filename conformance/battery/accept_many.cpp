// accept at the limit of descriptors, after a notification, and by many threads.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "battery/guarded.h"
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "battery/ways.h"
#include "catalogue/accept.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

std::string NumberName(int number) { return fmt::format("{:04}", number); }

}  // namespace

SCENARIO(Accept, DescriptorLimit, kConnections.Needs({SP_CAP_HANDLE_LIMIT}), accept::descriptor_limit,
         accept::descriptor_limit_keeps, accept::descriptor_limit_all, accept::descriptor_limit_ready) {
  NeedQueue(net, 3);
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Socket spare = net.NewConnecting();
  std::vector<Socket> clients;
  for (const char* name : {"a", "b", "c"}) {
    clients.push_back(ConnectAndTell(listener, net, name, static_cast<int64_t>(clients.size()) + 1));
  }
  // Made before the limit: a way to wait may need a descriptor of its own.
  Watcher watcher(DefaultMechanism());
  Step(watcher.Add(listener.socket, SP_IN));
  std::vector<AcceptResult> accepted;
  {
    Limited limited(0);
    for (int i = 0; i < 3; ++i) CHECK_REQUIREMENT(accept::descriptor_limit, AcceptNow(listener.socket, InTurn(i)));
    CHECK_REQUIREMENT(accept::descriptor_limit_ready, Readiness((watcher.Wait(Nanoseconds(0)).EventsOf(0) & SP_IN) != 0));
    // Room for one: closing something is enough.
    Step(spare.Close());
    accepted.push_back(AcceptNow(listener.socket));
    CHECK_REQUIREMENT(accept::descriptor_limit, AcceptNow(listener.socket));
  }
  const AcceptResult& first = accepted.back();
  std::string order = first.ok() ? Told(accepted.back().socket) : Outcome(first).name();
  CHECK_REQUIREMENT(accept::descriptor_limit_keeps, order == "a" ? Outcome(outcome::first)
                                                    : first.ok() ? Outcome(outcome::violated, "accepted " + order)
                                                                 : Outcome(outcome::lost, order));
  for (int i = 0; i < 2; ++i) {
    accepted.push_back(AcceptNow(listener.socket, InTurn(i)));
    order += accepted.back().ok() ? Told(accepted.back().socket) : Outcome(accepted.back()).name();
  }
  CHECK_REQUIREMENT(accept::descriptor_limit_all, Same(order, std::string("abc"), "accepted in the end"));
  if (order != "abc") return;
  for (std::size_t i = 0; i < 3; ++i)
    CHECK_REQUIREMENT(accept::descriptor_limit_all, BothWays(clients[i], accepted[i].socket, i));
}

SCENARIO(Accept, DescriptorLimitWithoutAConnection, kConnections.Needs({SP_CAP_HANDLE_LIMIT}), accept::descriptor_limit_empty) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Limited limited(0);
  CHECK_REQUIREMENT(accept::descriptor_limit_empty, AcceptNow(listener.socket));
}

SCENARIO(Accept, SystemLimit, kConnections.Needs({SP_CAP_FAULTY_LIMITS}), accept::system_limit) {
  Listener listener = ListenOn(net);
  Socket client = ConnectAndTell(listener, net, "x");
  Limited limited(0, SP_LIMIT_SYSTEM_HANDLES);
  CHECK_REQUIREMENT(accept::system_limit, AcceptNow(listener.socket));
}

SCENARIO(Accept, BufferLimit, kConnections.Needs({SP_CAP_FAULTY_LIMITS}), accept::buffer_limit) {
  Listener listener = ListenOn(net);
  Socket client = ConnectAndTell(listener, net, "x");
  Limited limited(0, SP_LIMIT_BUFFERS);
  CHECK_REQUIREMENT(accept::buffer_limit, AcceptNow(listener.socket));
}

SCENARIO(Accept, LongAfterTheNotice, kConnections.Waits(milliseconds(50)), accept::accept_long_after_notice) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  // The time goes by with other business.
  Pair other = ConnectedPair(net);
  static_cast<void>(Must(listener.socket.Get(SP_SO_ACCEPTCONN)));
  Step(listener.socket.Listen(8));
  Step(other.client.SendBytes("x"));
  LetQuietTimePass(milliseconds(50));
  AcceptResult accepted;
  CHECK_REQUIREMENT(accept::accept_long_after_notice, AcceptSoon(listener.socket, &accepted));
}

SCENARIO(Accept, StaysReady, kConnections, accept::stays_ready) {
  NeedQueue(net, 3);
  for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT})) {
    Listener listener = ListenOn(net);
    std::string seen = Events(listener.socket, SP_IN, Nanoseconds(0), mechanism) != 0 ? "1" : "0";
    std::vector<Socket> clients, servers;
    for (int i = 1; i <= 3; ++i) clients.push_back(ConnectAndTell(listener, net, "x", i));
    for (int i = 0; i < 3; ++i) {
      seen += Events(listener.socket, SP_IN, Nanoseconds(0), mechanism) != 0 ? "1" : "0";
      servers.push_back(Must(AcceptNow(listener.socket)));
    }
    seen += Events(listener.socket, SP_IN, Nanoseconds(0), mechanism) != 0 ? "1" : "0";
    CHECK_REQUIREMENT(accept::stays_ready,
                      Same(seen, std::string("01110"),
                           fmt::format("readiness by {}, before and after each of three", MechanismName(mechanism))));
  }
}

SCENARIO(Accept, StaleEvent, kConnections.Needs({SP_CAP_EPOLL}), accept::stale_event) {
  Watcher watcher(SP_EPOLL);
  Listener old_one = ListenOn(net);
  Step(watcher.Add(old_one.socket, SP_IN, 0, 1));
  Socket client = ConnectTo(old_one, net);
  static_cast<void>(Must(static_cast<Result>(watcher.Wait(Patience()))));
  Step(old_one.socket.Close());
  Listener new_one = ListenOn(net);
  const WaitResult left = watcher.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(accept::stale_event, Readiness(left.value() != 0, left.text()));
  Socket other = ConnectTo(new_one, net);
  MustBeReady(new_one.socket, SP_IN);
  const WaitResult none = watcher.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(accept::stale_event, Readiness(none.value() != 0, none.text()));
}

SCENARIO(Accept, EachListenerHasItsQueue, kConnections, accept::own_queue) {
  std::vector<Listener> listeners;
  std::vector<Socket> clients;
  for (int i = 0; i < 3; ++i) {
    listeners.push_back(ListenOn(net));
    Step(listeners.back().socket.SetModes(SP_NONBLOCKING));
  }
  // The last one gets the first connection, so that neither age nor order of the listeners can be what counts.
  for (const std::size_t i : {std::size_t{2}, std::size_t{0}, std::size_t{1}}) {
    clients.push_back(ConnectAndTell(listeners[i], net, std::string(1, static_cast<char>('a' + i))));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    AcceptResult accepted = AcceptNow(listeners[i].socket);
    const std::string told = accepted.ok() ? Told(accepted.socket) : Outcome(accepted).name();
    CHECK_REQUIREMENT(accept::own_queue,
                      Same(told, std::string(1, static_cast<char>('a' + i)), "the connection that was made to it"));
    const AcceptResult more = AcceptNow(listeners[i].socket);
    CHECK_REQUIREMENT(accept::own_queue, Holds(!more.ok(), "one more: " + more.text()));
  }
}

SCENARIO(Accept, ReusedDescriptor, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(20)), accept::reused_descriptor) {
  Listener old_one = ListenOn(net);
  const Address old_address = old_one.address;
  // The old listener's value is used after its close, as the waiting call does.
  Socket borrowed = Socket::Borrowed(old_one.socket.handle());
  Task<AcceptResult> waiting = AcceptInThread(borrowed);
  waiting.WaitBlocked();
  Step(old_one.socket.Close());
  Listener new_one = ListenOn(net);
  Socket client = ConnectAndTell(new_one, net, "n");
  LetQuietTimePass(milliseconds(20));
  AcceptResult accepted;
  const Outcome outcome = AcceptSoon(new_one.socket, &accepted);
  const std::string told = accepted.ok() ? Told(accepted.socket) : outcome.name();
  CHECK_REQUIREMENT(accept::reused_descriptor, Same(told, std::string("n"), "accepted by the new listener"));
  // Where the call that waits keeps the old listener alive, a connection ends it.
  Socket last = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(last.Connect(old_address));
  static_cast<void>(waiting.DoneWithin(seconds(1)));
}

SCENARIO(Accept, OneConnectionWakesOne, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(60)),
         accept::one_connection_wakes_one) {
  Listener listener = ListenOn(net);
  std::vector<Task<AcceptResult>> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(AcceptInThread(listener.socket));
    waiting.back().WaitBlocked();
  }
  const auto done = [&] { return std::count_if(waiting.begin(), waiting.end(), [](const auto& one) { return one.Done(); }); };
  std::vector<Socket> clients;
  for (int made = 1; made <= 2; ++made) {
    clients.push_back(ConnectTo(listener, net));
    WaitUntil([&] { return done() >= made; }, Patience(), "an accept");
    LetQuietTimePass(milliseconds(30));
    const bool right = CHECK_REQUIREMENT(accept::one_connection_wakes_one,
                                         Same(done(), made, "calls that returned, connections that were made"));
    if (!right) CannotGoOn("the next connections would take as much patience");
  }
  while (clients.size() < waiting.size()) {
    clients.push_back(ConnectTo(listener, net));
    WaitUntil([&] { return static_cast<std::size_t>(done()) >= clients.size(); }, Patience(), "an accept");
  }
  for (Task<AcceptResult>& one : waiting) {
    const Outcome outcome = Settled(one);
    CHECK_REQUIREMENT(accept::one_connection_wakes_one, Holds(outcome.name() == "ok", outcome.name()));
  }
}

SCENARIO(Accept, ManyThreads, kConnections.Needs({SP_CAP_THREADS}), accept::threads_none_lost, accept::threads_none_twice) {
  constexpr int kThreads = 4, kConnectionCount = 60;
  // With a queue of one, clients wait for each other. Who refuses what does not fit must never be asked for more than fits.
  const std::size_t room = QueueRoom(net, 16, 2);
  Listener listener = ListenOn(net, 128);
  std::atomic<std::size_t> taken{0};
  std::vector<Socket> clients;
  const auto connect_next = [&] {
    const auto number = static_cast<int>(clients.size());
    clients.push_back(ConnectTo(listener, net));
    Step(clients.back().SendBytes(number < kConnectionCount ? NumberName(number) : "stop"));
  };
  // The first threads find several waiting, and nothing is closed before the end: who hands a connection out twice can do it.
  while (clients.size() < room) connect_next();
  struct Taken {
    std::vector<std::string> told;
    std::vector<Socket> sockets;
  };
  // Each thread accepts until it gets a connection that tells it to stop.
  std::vector<Task<Taken>> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.push_back(Spawn(fmt::format("acceptor {}", i), [&listener, &taken] {
      Taken own;
      while (own.told.size() <= kConnectionCount) {
        AcceptResult accepted = listener.socket.Accept(InTurn(static_cast<int64_t>(own.told.size())));
        ++taken;
        own.told.push_back(accepted.ok() ? Told(accepted.socket, 4) : Outcome(accepted).name());
        if (!accepted.ok()) break;
        own.sockets.push_back(std::move(accepted.socket));
        if (own.told.back() == "stop") break;
      }
      return own;
    }));
  }
  while (clients.size() < kConnectionCount + kThreads) {
    if (!WaitUntil([&] { return clients.size() < taken.load() + room; }, Patience(), "room in the queue")) {
      CHECK_REQUIREMENT(accept::threads_none_lost, Holds(false, "clients wait, and the threads get none of them"));
      CannotGoOn("threads still accept");
    }
    connect_next();
  }
  std::map<std::string, int> count;
  for (auto& thread : threads) {
    if (!thread.DoneWithin(Patience())) {
      CHECK_REQUIREMENT(accept::threads_none_lost, Holds(false, "a thread got no connection that tells it to stop"));
      CannotGoOn("a thread still accepts");
    }
    Taken own = thread.Join();
    for (const std::string& name : own.told) ++count[name];
    ResetAll(own.sockets);
  }
  std::string lost, twice;
  for (int i = 0; i < kConnectionCount; ++i) {
    const int times = count[NumberName(i)];
    if (times == 0) lost += " " + NumberName(i);
    if (times > 1) twice += " " + NumberName(i);
  }
  CHECK_REQUIREMENT(accept::threads_none_lost, Holds(lost.empty(), "lost:" + lost));
  CHECK_REQUIREMENT(accept::threads_none_twice, Holds(twice.empty() && count["stop"] == kThreads, "twice:" + twice));
}

SCENARIO(Accept, ThreadsTakeTurns, kConnections.Needs({SP_CAP_THREADS}), accept::threads_fair) {
  constexpr int kThreads = 3, kRounds = 12;
  Listener listener = ListenOn(net);
  std::atomic<int> taken{0};
  std::vector<Task<int>> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.push_back(Spawn(fmt::format("acceptor {}", i), [&] {
      int mine = 0;
      for (;;) {
        AcceptResult accepted = listener.socket.Accept();
        if (!accepted.ok() || Told(accepted.socket) == "s") return mine;
        ++mine;
        ++taken;
      }
    }));
  }
  for (int round = 0; round < kRounds; ++round) {
    for (auto& thread : threads) thread.WaitBlocked();
    Socket client = ConnectTo(listener, net);
    Step(client.SendBytes("x"));
    if (!WaitUntil([&] { return taken > round; }, Patience(), "an accept")) break;
  }
  std::vector<Socket> clients;
  for (int i = 0; i < kThreads; ++i) {
    clients.push_back(ConnectTo(listener, net));
    Step(clients.back().SendBytes("s"));
  }
  std::string shares;
  bool each = true;
  for (auto& thread : threads) {
    const int share = thread.Join();
    each = each && share > 0;
    shares += fmt::format(" {}", share);
  }
  CHECK_REQUIREMENT(accept::threads_fair, Holds(each, "shares:" + shares));
}

}  // namespace sockproof
