// Processes that compete for connections, and what is left when one ends.
#include <algorithm>
#include <map>

#include "battery/ends.h"
#include "battery/guarded.h"
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/outcomes.h"
#include "catalogue/process.h"

namespace sockproof {
namespace {

const Over kProcesses = kConnections.Needs({SP_CAP_PROCESSES});
const Over kTcpProcesses = kTcp.Needs({SP_CAP_PROCESSES});
const Over kLocalProcesses = kLocal.Needs({SP_CAP_PROCESSES});

// A connection whose client's end is in another process alone, and the server's here alone.
struct Apart {
  std::unique_ptr<Agent> process;
  Socket client;  // over there
  Socket server;
};
Apart MoveClientAway(Pair pair) {
  Apart apart;
  apart.process = Agent::Fork();
  apart.client = apart.process->Attach(pair.client);
  Step(apart.process->Attach(pair.server).Close());
  Step(apart.process->Attach(pair.listener.socket).Close());
  Step(pair.client.Close());
  apart.server = std::move(pair.server);
  return apart;
}
void Kill(Apart& apart) {
  apart.process->Kill();
  static_cast<void>(apart.client.Release());  // went with its process
}

// What comes after the data that is on its way.
Outcome EndOf(Socket& socket, std::string* data = nullptr) {
  Step(socket.SetModes(SP_NONBLOCKING));
  for (int i = 0; i < 64; ++i) {
    if (!WaitReady(socket, SP_IN)) return outcome::not_ready;
    const RecvResult received = socket.Recv(1000);
    if (!received.ok() || received.value() == 0) return received.Seen();
    if (data != nullptr) data->append(received.data.begin(), received.data.end());
  }
  return outcome::data;
}

// A connection whose client has sent so much that nothing more goes, with little memory on both sides.
Pair FullPair(const Flavor& net) {
  Listener listener = BoundOn(net);
  Step(listener.socket.Set(SP_SO_RCVBUF, 4096));
  Step(listener.socket.Listen(4));
  Socket client = net.NewConnecting();
  Step(client.Set(SP_SO_SNDBUF, 4096));
  Step(client.Connect(listener.address));
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(listener.socket.Accept());
  FillSendPath(client);
  Step(client.SetModes(0, SP_NONBLOCKING));
  return {std::move(listener), std::move(client), std::move(server)};
}

// Ends processes whose accept did not come back, and the threads here that wait for it.
template <typename Value>
void EndWaiting(std::vector<std::unique_ptr<Agent>>& processes, std::vector<Task<Value>>& tasks) {
  for (auto& process : processes) process->Kill();
  for (Task<Value>& task : tasks) static_cast<void>(task.DoneWithin(Patience()));
}

Outcome TookLess(const Stopwatch& watch, Nanoseconds most) {
  return Holds(watch.Elapsed() < most + watch.Stall(), watch.Describe(most));
}

}  // namespace

SCENARIO(Process, AbortiveCloseOfOneCopy, kConnections.Waits(milliseconds(10)), process::abortive_close_of_one_copy) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SetLinger(true, 0));
  Socket copy;
  Step(pair.client.Duplicate(&copy));
  Step(pair.client.Close());
  LetQuietTimePass(milliseconds(10));
  Step(pair.server.SetModes(SP_NONBLOCKING));
  CHECK_REQUIREMENT(process::abortive_close_of_one_copy, pair.server.Recv(10).Seen());
  Step(pair.server.SetModes(0, SP_NONBLOCKING));
  const Outcome data = BothWays(copy, pair.server);
  if (data.name() != "holds") CHECK_REQUIREMENT(process::abortive_close_of_one_copy, data);
}

SCENARIO(Process, AbortiveCloseOfTheLastCopy, kTcpProcesses, process::abortive_close_of_last_copy) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SetLinger(true, 0));
  auto child = Agent::Fork();
  Socket there = child->Attach(pair.client);
  Step(pair.client.Close());
  Step(there.Close());
  CHECK_REQUIREMENT(process::abortive_close_of_last_copy, EndOf(pair.server));
}

SCENARIO(Process, OnlyTheLastCloseLingers, kTcp.Waits(milliseconds(1050)), process::linger_not_for_one_copy,
         process::linger_for_last_copy) {
  Pair pair = FullPair(net);
  MustHoldUnsent(pair.client);
  Step(pair.client.SetLinger(true, 1));
  Socket copy;
  Step(pair.client.Duplicate(&copy));
  {
    const Stopwatch watch;
    Step(pair.client.Close());
    CHECK_REQUIREMENT(process::linger_not_for_one_copy, TookLess(watch, milliseconds(900)));
  }
  const Stopwatch watch;
  static_cast<void>(copy.Close());
  CHECK_REQUIREMENT(process::linger_for_last_copy, Timing(watch, seconds(1), milliseconds(10)));
}

SCENARIO(Process, OneConnectionOneProcess, kProcesses.Waits(milliseconds(60)), process::one_connection_one_process) {
  constexpr int kProcessCount = 3;
  Listener listener = ListenOn(net);
  std::vector<std::unique_ptr<Agent>> processes;
  std::vector<Socket> listeners;
  for (int i = 0; i < kProcessCount; ++i) processes.push_back(Agent::Fork());
  for (auto& process : processes) listeners.push_back(process->Attach(listener.socket));
  std::vector<Task<AcceptResult>> waiting;
  for (Socket& one : listeners) waiting.push_back(AcceptInThread(one));
  LetQuietTimePass(milliseconds(20));
  const auto done = [&] { return std::count_if(waiting.begin(), waiting.end(), [](const auto& one) { return one.Done(); }); };
  std::vector<Socket> clients;
  for (int made = 1; made <= kProcessCount; ++made) {
    clients.push_back(ConnectTo(listener, net));
    Step(clients.back().SendBytes("x"));
    WaitUntil([&] { return done() >= made; }, Patience(), "an accept in another process");
    if (made < kProcessCount) LetQuietTimePass(milliseconds(20));
    const bool right = CHECK_REQUIREMENT(process::one_connection_one_process,
                                         Same(done(), made, "accepts that returned, connections that were made"));
    if (!right) CannotGoOn("the next connections would take as much patience");
  }
  for (Task<AcceptResult>& one : waiting) {
    AcceptResult accepted;
    const Outcome outcome = Settled(one, &accepted);
    const bool alive = accepted.ok() && Told(accepted.socket) == "x";
    CHECK_REQUIREMENT(process::one_connection_one_process, Holds(alive, "an accept in another process: " + outcome.name()));
  }
}

SCENARIO(Process, ManyProcesses, kProcesses, process::processes_none_lost, process::processes_fair) {
  constexpr int kProcessCount = 3, kConnectionCount = 24;
  NeedQueue(net, 2);  // with a queue of one, clients wait for each other
  Listener listener = ListenOn(net, 64);
  std::vector<std::unique_ptr<Agent>> processes;
  std::vector<Socket> listeners;
  for (int i = 0; i < kProcessCount; ++i) processes.push_back(Agent::Fork());
  for (auto& process : processes) listeners.push_back(process->Attach(listener.socket));
  std::vector<Task<std::vector<std::string>>> tasks;
  for (Socket& there : listeners) {
    tasks.push_back(Spawn("accepting process", [&there] {
      std::vector<std::string> told;
      while (told.size() <= kConnectionCount) {
        AcceptResult accepted = there.Accept();
        told.push_back(accepted.ok() ? Told(accepted.socket, 4) : Outcome(accepted).name());
        if (!accepted.ok() || told.back() == "stop") break;
      }
      return told;
    }));
  }
  std::vector<Socket> clients;
  for (int i = 0; i < kConnectionCount + kProcessCount; ++i) {
    clients.push_back(ConnectTo(listener, net));
    Step(clients.back().SendBytes(i < kConnectionCount ? fmt::format("{:04}", i) : "stop"));
  }
  std::map<std::string, int> count;
  std::string shares;
  bool each = true;
  for (auto& task : tasks) {
    if (!task.DoneWithin(Patience())) {
      CHECK_REQUIREMENT(process::processes_none_lost, Holds(false, "a process got no connection that tells it to stop"));
      CannotGoOn("a process still accepts");
    }
    const std::vector<std::string> told = task.Join();
    for (const std::string& name : told) ++count[name];
    shares += fmt::format(" {}", told.size() - 1);
    each = each && told.size() > 1;
  }
  std::string wrong;
  for (int i = 0; i < kConnectionCount; ++i) {
    const int times = count[fmt::format("{:04}", i)];
    if (times != 1) wrong += fmt::format(" {:04}: {} times;", i, times);
  }
  CHECK_REQUIREMENT(process::processes_none_lost, Holds(wrong.empty() && count["stop"] == kProcessCount, wrong));
  CHECK_REQUIREMENT(process::processes_fair, Holds(each, "shares:" + shares));
}

SCENARIO(Process, AKilledWaiterTakesNothing, kProcesses.Waits(milliseconds(20)), process::killed_waiter) {
  Listener listener = ListenOn(net);
  auto child = Agent::Fork();
  Socket there = child->Attach(listener.socket);
  Task<AcceptResult> waiting = AcceptInThread(there);
  LetQuietTimePass(milliseconds(20));
  child->Kill();
  static_cast<void>(waiting.Join());
  static_cast<void>(there.Release());
  Socket client = ConnectTo(listener, net);
  AcceptResult accepted;
  const Outcome outcome = AcceptSoon(listener.socket, &accepted);
  CHECK_REQUIREMENT(process::killed_waiter, accepted.ok() ? BothWays(client, accepted.socket) : Holds(false, outcome.name()));
}

SCENARIO(Process, AnEndIsSeen, kProcesses, process::exit_ends_stream, process::kill_ends_stream) {
  for (const bool killed : {false, true}) {
    Apart apart = MoveClientAway(ConnectedPair(net));
    Step(apart.client.SendBytes("good"));
    Step(apart.client.SendBytes("bye"));
    static_cast<void>(apart.client.Release());  // its end is the process's
    if (killed) {
      apart.process->Kill();
    } else {
      static_cast<void>(apart.process->Finish());
    }
    std::string data;
    const Outcome end = EndOf(apart.server, &data);
    CHECK_REQUIREMENT(killed ? process::kill_ends_stream : process::exit_ends_stream,
                      Holds(data == "goodbye" && end.name() == "end_of_stream", data + ", then " + end.name()));
  }
}

SCENARIO(Process, KilledWithUnreadData, kTcpProcesses, process::kill_with_unread_data) {
  Pair pair = ConnectedPair(net);
  Step(pair.server.SendBytes("never read"));
  MustBeReady(pair.client, SP_IN);
  Apart apart = MoveClientAway(std::move(pair));
  Kill(apart);
  CHECK_REQUIREMENT(process::kill_with_unread_data, EndOf(apart.server));
}

SCENARIO(Process, KilledWithUnreadLocalData, kLocalProcesses, process::unix_kill_with_unread_data) {
  Pair pair = ConnectedPair(net);
  Step(pair.server.SendBytes("never read"));
  Apart apart = MoveClientAway(std::move(pair));
  Kill(apart);
  CHECK_REQUIREMENT(process::unix_kill_with_unread_data, EndOf(apart.server));
}

SCENARIO(Process, KilledWithAnAbortiveSocket, kTcpProcesses, process::kill_abortive) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SetLinger(true, 0));
  Apart apart = MoveClientAway(std::move(pair));
  Kill(apart);
  CHECK_REQUIREMENT(process::kill_abortive, EndOf(apart.server));
}

SCENARIO(Process, KilledListener, kProcesses, process::kill_of_listener_ends, process::kill_of_listener_resets,
         process::kill_of_listener_refuses) {
  const std::size_t queued = QueueRoom(net, 3);
  GuardedListener guarded = ListenGuarded(net);
  Listener& listener = guarded.listener;
  auto child = Agent::Fork();
  Step(listener.socket.Close());  // the child's alone
  std::vector<Socket> clients;
  for (std::size_t i = 0; i < queued; ++i) clients.push_back(ConnectTo(listener, net));
  child->Kill();
  for (Socket& client : clients) {
    const Outcome end = EndOf(client);
    CHECK_REQUIREMENT(process::kill_of_listener_ends, end);
    CHECK_REQUIREMENT(process::kill_of_listener_resets, end);
  }
  Socket late = net.NewConnecting();
  CHECK_REQUIREMENT(process::kill_of_listener_refuses, late.Connect(listener.address));
}

SCENARIO(Process, RestartedServer, kTcpProcesses, process::restart_many) {
  constexpr int kClients = 60;
  const std::size_t queued = QueueRoom(net, kClients, 1, 128);
  // Keeps the port from everybody else in between: bound, never listening.
  Socket guard = net.NewListening();
  Step(guard.Set(SP_SO_REUSEADDR, 1));
  Step(guard.Bind(net.ToBind()));
  const auto start = [&] {
    Listener listener;
    listener.socket = net.NewListening();
    Step(listener.socket.Set(SP_SO_REUSEADDR, 1));
    Step(listener.socket.Bind(guard.LocalAddress()));
    Step(listener.socket.Listen(128));
    listener.address = net.ToReach(guard.LocalAddress());
    return listener;
  };
  Listener first = start();
  auto child = Agent::Fork();
  Step(first.socket.Close());  // the child's alone
  std::vector<Socket> clients;
  for (std::size_t i = 0; i < queued; ++i) clients.push_back(ConnectTo(first, net));
  child->Kill();
  Listener second = start();
  int served = 0;
  std::string wrong;
  for (int i = 0; i < kClients && wrong.empty(); ++i) {
    Socket client = ConnectTo(second, net);
    AcceptResult accepted;
    const Outcome outcome = AcceptSoon(second.socket, &accepted);
    const Outcome data = accepted.ok() ? BothWays(client, accepted.socket) : outcome;
    if (data.name() == "holds") {
      ++served;
    } else {
      wrong = data.name() + " " + data.detail();
    }
  }
  CHECK_REQUIREMENT(process::restart_many,
                    Holds(served == kClients, fmt::format("{} of {} served; {}", served, kClients, wrong)));
}

SCENARIO(Process, ExitDoesNotLinger, kTcpProcesses.Waits(milliseconds(150)), process::kill_does_not_linger) {
  Pair pair = FullPair(net);
  Step(pair.client.SetLinger(true, 3));
  Apart apart = MoveClientAway(std::move(pair));
  static_cast<void>(apart.client.Release());  // its end is the process's
  const Stopwatch watch;
  static_cast<void>(apart.process->Finish());
  CHECK_REQUIREMENT(process::kill_does_not_linger, TookLess(watch, milliseconds(2500)));
}

SCENARIO(Process, CopyOfAKilledProcess, kProcesses, process::copy_outlives_killed_process) {
  Pair pair = ConnectedPair(net);
  auto child = Agent::Fork();
  child->Kill();
  CHECK_REQUIREMENT(process::copy_outlives_killed_process, BothWays(pair.client, pair.server));
}

}  // namespace sockproof
