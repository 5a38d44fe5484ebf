// Sockets shared by fork, dup and exec, and passed over AF_UNIX.
//
// Another process is an Agent. A forked one has a copy of everything that was open when it began, so scenarios fork at the moment
// when just the right sockets are there, or close the copies that would be in the way.
#include "catalogue/process.h"

#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

const Over kProcesses = kConnections.Needs({SP_CAP_PROCESSES});
const Over kPassing = kConnections.Needs({SP_CAP_UNIX_STREAM, SP_CAP_HANDLE_PASSING});

// Does a connection made now get through to this listener, accepted in whichever process?
Outcome Serves(Socket& accepting, const Address& address, const Flavor& net) {
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result connecting = client.Connect(address);
  if (!connecting.ok() && !UnderWay(connecting, net)) return Holds(false, connecting.text());
  if (!WaitReady(accepting, SP_IN)) return Holds(false, "the listener did not become ready");
  AcceptResult accepted = accepting.Accept();
  if (!accepted.ok()) return Holds(false, accepted.text());
  Step(client.SetModes(0, SP_NONBLOCKING));
  return BothWays(client, accepted.socket);
}

// What a socket has that nobody sends anything: "EAGAIN" if its connection is untouched.
Outcome Untouched(Socket& socket) {
  Step(socket.SetModes(SP_NONBLOCKING));
  LetQuietTimePass(milliseconds(10));
  return socket.Recv(10).Seen();
}

// How a stream goes on that ought to end: the next that comes, with data that was on its way left out.
Outcome EndOf(Socket& socket) {
  Step(socket.SetModes(SP_NONBLOCKING));
  for (int i = 0; i < 64; ++i) {
    if (!WaitReady(socket, SP_IN)) return outcome::not_ready;
    const Outcome seen = socket.Recv(1000).Seen();
    if (seen.name() != "data") return seen;
  }
  return outcome::data;
}

// A pair of connected sockets for messages that carry handles.
struct Courier {
  Socket from, to;
};
Courier NewCourier() {
  Courier courier;
  Step(Socket::MakePair(SP_STREAM, 0, &courier.from, &courier.to));
  return courier;
}
Result Pass(Socket& over, const std::vector<sp_handle>& handles) {
  SendOptions options;
  options.form = SP_FORM_MESSAGE;
  options.handles = handles;
  return over.SendBytes("h", options);
}
RecvResult TakePassed(Socket& over, uint32_t room, uint32_t flags = 0) {
  RecvOptions options;
  options.form = SP_FORM_MESSAGE;
  options.handle_room = room;
  options.flags = flags;
  return over.Recv(1, options);
}
// Takes one that must come.
Socket TakeOne(Socket& over, uint32_t flags = 0) {
  const RecvResult received = Must(TakePassed(over, 1, flags));
  if (received.handles.size() != 1) {
    Host::Get().reporter().StepFailed(SOCKPROOF_HERE, fmt::format("{}: {} handles", received.text(), received.handles.size()),
                                      Outcome(outcome::violated));
  }
  return Socket(received.handles[0], &over.caller());
}

bool ClosesOnExec(Socket& socket) { return (Must(socket.GetModes()).value() & SP_CLOSE_ON_EXEC) != 0; }
bool DoesNotBlock(Socket& socket) { return (Must(socket.GetModes()).value() & SP_NONBLOCKING) != 0; }

// Takes up low handle values and is not passed on by exec, so that a handle made after it is none that a fresh program opens for
// itself.
std::vector<Socket> TakeLowHandles(const Flavor& net) {
  std::vector<Socket> low;
  for (int i = 0; i < 40; ++i) low.push_back(net.NewConnecting(SP_CLOSE_ON_EXEC));
  return low;
}

}  // namespace

SCENARIO(Process, ListenerInAChild, kProcesses, process::listener_in_child, process::listener_outlives_parents_copy) {
  Listener listener = ListenOn(net);
  auto child = Agent::Fork();
  Socket there = child->Attach(listener.socket);
  CHECK_REQUIREMENT(process::listener_in_child, Serves(there, listener.address, net));
  Step(listener.socket.Close());
  CHECK_REQUIREMENT(process::listener_outlives_parents_copy, Serves(there, listener.address, net));
}

SCENARIO(Process, ListenerOutlivesAChild, kProcesses, process::listener_outlives_child) {
  for (const bool killed : {false, true}) {
    Listener listener = ListenOn(net);
    auto child = Agent::Fork();
    if (killed) {
      child->Kill();
    } else {
      static_cast<void>(child->Finish());
    }
    CHECK_REQUIREMENT(process::listener_outlives_child, Serves(listener.socket, listener.address, net));
  }
}

SCENARIO(Process, TheQueueIsShared, kProcesses, process::backlog_is_shared) {
  Listener listener = ListenOn(net);
  Socket client = ConnectAndTell(listener, net, "x");
  auto child = Agent::Fork();
  Socket there = child->Attach(listener.socket);
  AcceptResult accepted = there.Accept();
  CHECK_REQUIREMENT(process::backlog_is_shared, Holds(accepted.ok() && Told(accepted.socket) == "x", accepted.text()));
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  const AcceptResult again = listener.socket.Accept();
  CHECK_REQUIREMENT(process::backlog_is_shared, Holds(again.error() == SP_EAGAIN, again.text()));
}

SCENARIO(Process, WhatCopiesShare, kProcesses, process::status_flags_are_shared, process::descriptor_flags_are_not_shared,
         process::options_are_shared) {
  Pair pair = ConnectedPair(net);
  auto child = Agent::Fork();
  Socket there = child->Attach(pair.server);
  Step(there.SetModes(SP_NONBLOCKING));
  const bool set = DoesNotBlock(pair.server);
  Step(there.SetModes(0, SP_NONBLOCKING));
  const bool cleared = !DoesNotBlock(pair.server);
  CHECK_REQUIREMENT(process::status_flags_are_shared,
                    Holds(set && cleared, fmt::format("set seen: {}, cleared seen: {}", set, cleared)));
  Step(there.SetModes(SP_CLOSE_ON_EXEC));
  CHECK_REQUIREMENT(process::descriptor_flags_are_not_shared, Holds(!ClosesOnExec(pair.server), "FD_CLOEXEC in the parent"));
  Step(there.Set(SP_SO_KEEPALIVE, 1));
  CHECK_REQUIREMENT(process::options_are_shared,
                    Same(Must(pair.server.Get(SP_SO_KEEPALIVE)).integer, int64_t{1}, "SO_KEEPALIVE in the parent"));
}

SCENARIO(Process, TheLastCloseEndsIt, kProcesses.Waits(milliseconds(10)), process::connection_outlives_one_copy,
         process::last_close_ends_connection) {
  Pair pair = ConnectedPair(net);
  auto child = Agent::Fork();
  Socket there = child->Attach(pair.server);
  Step(pair.server.Close());
  CHECK_REQUIREMENT(process::connection_outlives_one_copy, Untouched(pair.client));
  Step(pair.client.SetModes(0, SP_NONBLOCKING));
  const Outcome data = BothWays(pair.client, there);
  if (data.name() != "holds") CHECK_REQUIREMENT(process::connection_outlives_one_copy, data);
  Step(there.Close());
  CHECK_REQUIREMENT(process::last_close_ends_connection, EndOf(pair.client));
}

SCENARIO(Process, ShutdownConcernsAllCopies, kProcesses, process::shutdown_concerns_all_copies) {
  Pair pair = ConnectedPair(net);
  auto child = Agent::Fork();
  Step(pair.server.Shutdown(SP_SHUT_WR));
  CHECK_REQUIREMENT(process::shutdown_concerns_all_copies, EndOf(pair.client));
}

SCENARIO(Process, CopiesShareTheStream, kProcesses, process::copies_share_the_stream) {
  Pair pair = ConnectedPair(net);
  auto child = Agent::Fork();
  Socket there = child->Attach(pair.server);
  Step(pair.client.SendBytes("aaaa"));
  Step(pair.client.SendBytes("bbbb"));
  Step(pair.client.SendBytes("cccc"));
  std::string told;
  for (Socket* copy : {&pair.server, &there, &pair.server}) told += Told(*copy, 4);
  CHECK_REQUIREMENT(process::copies_share_the_stream, Same(told, std::string("aaaabbbbcccc"), "parent, child, parent"));
}

SCENARIO(Process, DuplicateOfAListener, kConnections, process::duplicate_of_listener, process::duplicate_close_on_exec) {
  Listener listener = ListenOn(net);
  Socket copy, closing;
  Step(listener.socket.SetModes(SP_CLOSE_ON_EXEC));
  Step(listener.socket.Duplicate(&copy));
  Step(listener.socket.Duplicate(&closing, SP_CLOSE_ON_EXEC));
  CHECK_REQUIREMENT(process::duplicate_close_on_exec,
                    Holds(!ClosesOnExec(copy) && ClosesOnExec(closing),
                          fmt::format("not asked for: {}, asked for: {}", ClosesOnExec(copy), ClosesOnExec(closing))));
  Socket onto = net.NewConnecting(SP_CLOSE_ON_EXEC);
  Step(listener.socket.DuplicateOnto(onto));
  CHECK_REQUIREMENT(process::duplicate_close_on_exec, Holds(!ClosesOnExec(onto), "not asked for, onto another handle"));
  Step(listener.socket.Close());
  Step(closing.Close());
  CHECK_REQUIREMENT(process::duplicate_of_listener, Serves(copy, listener.address, net));
  Step(copy.Close());
  CHECK_REQUIREMENT(process::duplicate_of_listener, Serves(onto, listener.address, net));
}

SCENARIO(Process, ListenerAfterExec, kProcesses, process::listener_after_exec) {
  Listener listener = ListenOn(net);
  auto program = Agent::Exec();
  Socket there = program->Attach(listener.socket);
  Step(listener.socket.Close());
  CHECK_REQUIREMENT(process::listener_after_exec, Serves(there, listener.address, net));
}

SCENARIO(Process, ConnectionAfterExec, kProcesses, process::connection_after_exec, process::accepted_stays_open_on_exec) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_CLOSE_ON_EXEC));
  Pair pair = ConnectedPair(std::move(listener), net);
  auto program = Agent::Exec();
  Socket there = program->Attach(pair.server);
  Step(pair.server.Close());
  const Outcome data = BothWays(pair.client, there);
  CHECK_REQUIREMENT(process::connection_after_exec, data);
  CHECK_REQUIREMENT(process::accepted_stays_open_on_exec, data);
}

SCENARIO(Process, CloseOnExec, kProcesses, process::close_on_exec, process::close_on_exec_at_creation) {
  NeedQueue(net, 2);
  const std::vector<Socket> low = TakeLowHandles(net);
  Listener listener = ListenOn(net);
  Socket made = net.NewConnecting(SP_CLOSE_ON_EXEC);
  Step(made.Connect(listener.address));
  Socket client = ConnectTo(listener, net);
  AcceptOptions closing;
  closing.modes = SP_CLOSE_ON_EXEC;
  Socket first = Must(listener.socket.Accept(closing));
  Socket second = Must(listener.socket.Accept());
  Step(second.SetModes(SP_CLOSE_ON_EXEC));
  Step(listener.socket.SetModes(SP_CLOSE_ON_EXEC));
  auto program = Agent::Exec();
  for (const Socket* socket : {&listener.socket, &second}) {
    CHECK_REQUIREMENT(process::close_on_exec, Socket::Borrowed(socket->handle(), program.get()).GetModes());
  }
  for (const Socket* socket : {&made, &first}) {
    CHECK_REQUIREMENT(process::close_on_exec_at_creation, Socket::Borrowed(socket->handle(), program.get()).GetModes());
  }
}

SCENARIO(Process, PassedListener, kPassing.Needs({SP_CAP_PROCESSES}), process::passed_listener,
         process::passed_listener_in_flight) {
  Courier courier = NewCourier();
  auto child = Agent::Fork();
  Socket to = child->Attach(courier.to);
  // Made after the fork: the child has it only by the message.
  Listener listener = ListenOn(net);
  Step(Pass(courier.from, {listener.socket.handle()}));
  Step(listener.socket.Close());
  // Nobody has it now. A client can connect all the same.
  Socket client = net.NewConnecting();
  const Result connected = client.Connect(listener.address);
  CHECK_REQUIREMENT(process::passed_listener_in_flight, Holds(connected.ok(), connected.text()));
  Socket there = TakeOne(to);
  if (connected.ok()) {
    AcceptResult accepted = WaitReady(there, SP_IN) ? there.Accept() : AcceptResult();
    CHECK_REQUIREMENT(process::passed_listener_in_flight,
                      accepted.ok() ? BothWays(client, accepted.socket) : Holds(false, "accept: " + Outcome(accepted).name()));
  }
  CHECK_REQUIREMENT(process::passed_listener, Serves(there, listener.address, net));
}

SCENARIO(Process, PassedConnection, kPassing.Needs({SP_CAP_PROCESSES}), process::passed_connection,
         process::passed_is_the_same_description) {
  Courier courier = NewCourier();
  auto child = Agent::Fork();
  Socket to = child->Attach(courier.to);
  Pair pair = ConnectedPair(net);
  Step(Pass(courier.from, {pair.server.handle()}));
  Socket there = TakeOne(to);
  Step(there.SetModes(SP_NONBLOCKING));
  const bool set = DoesNotBlock(pair.server);
  Step(pair.server.SetModes(0, SP_NONBLOCKING));
  const bool cleared = !DoesNotBlock(there);
  CHECK_REQUIREMENT(process::passed_is_the_same_description,
                    Holds(set && cleared, fmt::format("O_NONBLOCK set seen: {}, cleared seen: {}", set, cleared)));
  Step(pair.server.Close());
  CHECK_REQUIREMENT(process::passed_connection, BothWays(pair.client, there));
}

SCENARIO(Process, PassedCloseOnExec, kPassing, process::passed_close_on_exec) {
  Courier courier = NewCourier();
  for (const uint32_t sent_with : {0u, uint32_t{SP_CLOSE_ON_EXEC}}) {
    Socket socket = net.NewConnecting(sent_with);
    for (const uint32_t flags : {0u, uint32_t{SP_MSG_CLOSE_ON_EXEC}}) {
      Step(Pass(courier.from, {socket.handle()}));
      Socket received = TakeOne(courier.to, flags);
      CHECK_REQUIREMENT(process::passed_close_on_exec, Same(ClosesOnExec(received), flags != 0, "FD_CLOEXEC, asked for"));
    }
  }
}

SCENARIO(Process, SeveralPassed, kPassing, process::passed_several) {
  Courier courier = NewCourier();
  Listener listener = ListenOn(net);
  std::vector<Socket> clients, servers;
  std::vector<sp_handle> handles;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(ConnectTo(listener, net));
    servers.push_back(Must(listener.socket.Accept()));
    handles.push_back(servers.back().handle());
  }
  Step(Pass(courier.from, handles));
  servers.clear();
  const RecvResult received = Must(TakePassed(courier.to, 5));
  std::string order;
  for (int i = 0; i < 5; ++i) Step(clients[static_cast<std::size_t>(i)].SendBytes(std::string(1, static_cast<char>('a' + i))));
  for (const sp_handle& handle : received.handles) {
    servers.emplace_back(handle);
    order += Told(servers.back());
  }
  CHECK_REQUIREMENT(process::passed_several, Same(order, std::string("abcde"), "the handles of the message"));
}

SCENARIO(Process, PassedAndNotTaken, kPassing, process::passed_unreceived, process::passed_truncated_flag) {
  for (const int32_t form : {SP_FORM_MESSAGE, SP_FORM_DEFAULT}) {
    Courier courier = NewCourier();
    Pair pair = ConnectedPair(net);
    Step(Pass(courier.from, {pair.server.handle()}));
    Step(pair.server.Close());
    RecvOptions options;
    options.form = form;
    const RecvResult received = Must(courier.to.Recv(1, options));
    CHECK_REQUIREMENT(process::passed_unreceived, EndOf(pair.client));
    if (form == SP_FORM_MESSAGE) {
      CHECK_REQUIREMENT(process::passed_truncated_flag,
                        Holds((received.flags & SP_MSG_CTRUNC) != 0, "flags: " + MessageFlagNames(received.flags)));
    }
  }
}

}  // namespace sockproof
