// epoll: which descriptors are in the set, what is said of them, and how edge-triggered and one-shot entries behave.
#include "battery/notify.h"
#include "catalogue/notify.h"

namespace sockproof {
namespace {

const Over kSet = kTcp4.Needs({SP_CAP_EPOLL});
const Over kSetOverAll = kConnections.Needs({SP_CAP_EPOLL});

// epoll_ctl with any two handles.
Result Control(uint32_t op, const sp_handle& set, const sp_handle& handle, uint32_t events, uint32_t flags = 0) {
  sp_call call{};
  sp_result result{};
  call.op = op;
  call.handle = handle;
  call.u.watch_set = {set, events, flags, 0};
  Host::Get().Call(&call, &result);
  return Result(call, result);
}

// epoll_wait with any handle.
Result WaitOn(const sp_handle& set, int32_t capacity, int32_t kind = SP_POINTER_VALID) {
  sp_event events[4] = {};
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_WAIT;
  call.handle = set;
  call.u.watch_wait = {0, 0, kind, capacity, 0, events, 0, 0, {}, 0, 0};
  Host::Get().Call(&call, &result);
  return Result(call, result);
}

Socket AsSocket(const Watcher& set) { return Socket::Borrowed(set.handle()); }

// Is there anything of this event for this entry; at this moment, or within the time in which it must come.
Outcome SaysNow(Watcher& set, uint32_t event = SP_IN, uint64_t cookie = 0) {
  const WaitResult seen = set.Wait(Nanoseconds(0));
  if (!seen.ok()) return seen;
  return Readiness((seen.EventsOf(cookie) & event) != 0, seen.text());
}
Outcome SaysSoon(Watcher& set, uint32_t event = SP_IN, uint64_t cookie = 0) {
  const WaitResult seen = set.Wait(Patience());
  if (!seen.ok()) return seen;
  return Readiness((seen.EventsOf(cookie) & event) != 0, seen.text());
}

// Sends a byte and waits until it has arrived, which poll can tell without disturbing the set.
void Deliver(Socket& from, Socket& to, int64_t bytes_there) {
  Step(from.SendBytes("x"));
  MustBeReady(to, SP_IN);
  WaitUntil([&] { return to.Ioctl(SP_IOCTL_READABLE).value() >= bytes_there; }, Patience(), "the byte that was sent");
}

}  // namespace

// ---- the set ----

SCENARIO(Notify, AnEpollSetRefusesWrongCalls, kSet, notify::epoll_add_twice, notify::epoll_not_there, notify::epoll_bad_handle,
         notify::epoll_not_epoll, notify::epoll_file, notify::epoll_itself, notify::epoll_loop) {
  Listener listener = ListenOn(net);
  Socket other = net.NewConnecting();
  Watcher set(SP_EPOLL);
  Step(set.Add(listener.socket, SP_IN));
  CHECK_REQUIREMENT(notify::epoll_add_twice, set.Add(listener.socket, SP_OUT));
  CHECK_REQUIREMENT(notify::epoll_not_there, set.Modify(other, SP_IN));
  CHECK_REQUIREMENT(notify::epoll_not_there, set.Remove(other));
  const sp_handle invalid = Socket::Wrong(SP_HANDLE_INVALID).handle();
  CHECK_REQUIREMENT(notify::epoll_bad_handle, Control(SP_OP_WATCH_ADD, set.handle(), invalid, SP_IN));
  CHECK_REQUIREMENT(notify::epoll_bad_handle, Control(SP_OP_WATCH_ADD, invalid, other.handle(), SP_IN));
  const sp_handle closed = other.handle();
  Step(other.Close());
  CHECK_REQUIREMENT(notify::epoll_bad_handle, Control(SP_OP_WATCH_ADD, set.handle(), closed, SP_IN));
  CHECK_REQUIREMENT(notify::epoll_not_epoll, Control(SP_OP_WATCH_ADD, listener.socket.handle(), set.handle(), SP_IN));
  CHECK_REQUIREMENT(notify::epoll_file,
                    Control(SP_OP_WATCH_ADD, set.handle(), Socket::Wrong(SP_HANDLE_NOT_SOCKET).handle(), SP_IN));
  CHECK_REQUIREMENT(notify::epoll_itself, set.Add(AsSocket(set), SP_IN));
  Watcher second(SP_EPOLL);
  Step(second.Add(AsSocket(set), SP_IN));
  CHECK_REQUIREMENT(notify::epoll_loop, set.Add(AsSocket(second), SP_IN));
}

SCENARIO(Notify, AnEpollSetIsMadeAsAsked, kSet, notify::epoll_modes, notify::epoll_unknown_mode) {
  Watcher plain(SP_EPOLL);
  Watcher closing(SP_EPOLL, SP_CLOSE_ON_EXEC);
  const Result modes = AsSocket(plain).GetModes();
  const Result closing_modes = AsSocket(closing).GetModes();
  CHECK_REQUIREMENT(notify::epoll_modes, Same(Must(modes).value() & SP_CLOSE_ON_EXEC, 0, "close-on-exec, not asked for"));
  CHECK_REQUIREMENT(notify::epoll_modes,
                    Same(Must(closing_modes).value() & SP_CLOSE_ON_EXEC, int64_t{SP_CLOSE_ON_EXEC}, "close-on-exec, asked for"));
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_WATCH_CREATE;
  call.u.watch_create = {SP_EPOLL, SP_MODE_UNKNOWN_BIT};
  Host::Get().Call(&call, &result);
  CHECK_REQUIREMENT(notify::epoll_unknown_mode, Result(call, result));
}

SCENARIO(Notify, AnEpollSetCanBeWatched, kSetOverAll, notify::epoll_nested) {
  Listener listener = ListenOn(net);
  Watcher inner(SP_EPOLL);
  Watcher outer(SP_EPOLL);
  Step(inner.Add(listener.socket, SP_IN, 0, 1));
  Step(outer.Add(AsSocket(inner), SP_IN, 0, 2));
  const WaitResult before = outer.Wait(Nanoseconds(0));
  const uint32_t polled_before = Events(AsSocket(inner), SP_IN);
  Socket client = ConnectTo(listener, net);
  const WaitResult after = outer.Wait(Patience());
  const uint32_t polled_after = Events(AsSocket(inner), SP_IN);
  CHECK_REQUIREMENT(notify::epoll_nested, Holds(before.ok() && before.events.empty() && polled_before == 0, before.text()));
  CHECK_REQUIREMENT(notify::epoll_nested, Holds(after.ok() && after.EventsOf(2) == SP_IN && polled_after == SP_IN, after.text()));
}

SCENARIO(Notify, ClosingLeavesTheEpollSet, kSetOverAll, notify::epoll_duplicate, notify::epoll_closed,
         notify::epoll_closed_one_of_two, notify::epoll_number_reused) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SendBytes("x"));
  MustBeReady(pair.server, SP_IN);
  Socket copy;
  Step(pair.server.Duplicate(&copy));
  Watcher set(SP_EPOLL);
  Step(set.Add(pair.server, SP_IN, 0, 1));
  Step(set.Add(copy, SP_OUT, 0, 2));
  const WaitResult both = set.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(notify::epoll_duplicate, Holds(both.EventsOf(1) == SP_IN && both.EventsOf(2) == SP_OUT, both.text()));

  Step(set.Remove(copy));
  const sp_handle number = pair.server.handle();
  Step(pair.server.Close());
  CHECK_REQUIREMENT(notify::epoll_closed_one_of_two, SaysNow(set, SP_IN, 1));
  Step(copy.Close());
  CHECK_REQUIREMENT(notify::epoll_closed, SaysNow(set, SP_IN, 1));

  // The next socket may get the number of the one that was in the set.
  std::vector<Socket> fresh;
  for (int i = 0; i < 8; ++i) {
    fresh.push_back(net.NewConnecting());
    if (fresh.back().handle().value == number.value) break;
  }
  CHECK_REQUIREMENT(notify::epoll_number_reused, set.Modify(fresh.back(), SP_IN | SP_OUT));
}

SCENARIO(Notify, AnEpollSetCanBeChanged, kSetOverAll, notify::epoll_removed, notify::epoll_modified) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SendBytes("x"));
  MustBeReady(pair.server, SP_IN);
  Watcher set(SP_EPOLL);
  Step(set.Add(pair.server, SP_IN, 0, 7));
  Step(set.Modify(pair.server, SP_OUT, 0, 0xfedcba9876543210u));
  const WaitResult seen = set.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(notify::epoll_modified,
                    Holds(seen.events.size() == 1 && seen.EventsOf(0xfedcba9876543210u) == SP_OUT, seen.text()));
  Step(set.Modify(pair.server, 0, 0, 8));
  const WaitResult nothing = set.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(notify::epoll_modified, Holds(nothing.ok() && nothing.events.empty(), nothing.text()));
  Step(set.Modify(pair.server, SP_IN | SP_OUT, 0, 9));
  Step(set.Remove(pair.server));
  CHECK_REQUIREMENT(notify::epoll_removed, SaysNow(set, SP_IN | SP_OUT, 9));
}

SCENARIO(Notify, SocketsCanBeAddedEarly, kSetOverAll, notify::epoll_early_listener, notify::epoll_early_client) {
  Listener early{net.NewListening(), {}};
  Watcher set(SP_EPOLL);
  Step(set.Add(early.socket, SP_IN, 0, 1));
  Step(early.socket.Bind(net.ToBind()));
  Step(early.socket.Listen(4));
  early.address = net.ToReach(early.socket.LocalAddress());

  Watcher other(SP_EPOLL);
  Socket client = net.NewConnecting();
  Step(other.Add(client, SP_OUT, 0, 2));
  Step(client.Connect(early.address));
  CHECK_REQUIREMENT(notify::epoll_early_client, SaysSoon(other, SP_OUT, 2));
  CHECK_REQUIREMENT(notify::epoll_early_listener, SaysSoon(set, SP_IN, 1));
}

SCENARIO(Notify, ADescriptorCanBeInTwoEpollSets, kSetOverAll, notify::epoll_two_sets) {
  Pair pair = ConnectedPair(net);
  Watcher one(SP_EPOLL);
  Watcher other(SP_EPOLL);
  Step(one.Add(pair.server, SP_IN, 0, 1));
  Step(other.Add(pair.server, SP_IN, 0, 2));
  Task<WaitResult> first = WaitInThread(one);
  Task<WaitResult> second = WaitInThread(other);
  first.WaitBlocked();
  second.WaitBlocked();
  Step(pair.client.SendBytes("x"));
  const Outcome seen = Reported(first, SP_IN, 1);
  const Outcome also = Reported(second, SP_IN, 2);
  CHECK_REQUIREMENT(notify::epoll_two_sets,
                    Holds(seen.name() == "ready" && also.name() == "ready", seen.name() + " and " + also.name()));
}

SCENARIO(Notify, AnEpollSetChangesWhileItIsWaitedFor, kSetOverAll, notify::epoll_added_while_waiting,
         notify::epoll_modified_while_waiting, notify::epoll_removed_while_waiting) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SendBytes("x"));
  MustBeReady(pair.server, SP_IN);
  Watcher set(SP_EPOLL);
  Task<WaitResult> task = WaitInThread(set);
  task.WaitBlocked();
  Step(set.Add(pair.server, SP_IN, 0, 1));
  CHECK_REQUIREMENT(notify::epoll_added_while_waiting, Reported(task, SP_IN, 1));

  Step(set.Modify(pair.server, SP_PRI, 0, 2));
  task = WaitInThread(set);
  task.WaitBlocked();
  Step(set.Modify(pair.server, SP_OUT, 0, 3));
  CHECK_REQUIREMENT(notify::epoll_modified_while_waiting, Reported(task, SP_OUT, 3));

  Pair other = ConnectedPair(net);
  Step(set.Modify(pair.server, SP_PRI, 0, 4));
  Step(set.Add(other.server, SP_IN, 0, 5));
  task = WaitInThread(set);
  task.WaitBlocked();
  Step(set.Remove(other.server));
  Step(other.client.SendBytes("x"));
  MustBeReady(other.server, SP_IN);
  LetQuietTimePass(milliseconds(20));
  CHECK_REQUIREMENT(notify::epoll_removed_while_waiting, task.Done() ? outcome::returned : outcome::still_blocked);
  Step(set.Modify(pair.server, SP_IN, 0, 6));
  static_cast<void>(task.Join());
}

// ---- the wait ----

SCENARIO(Notify, EpollWaitRefusesWrongCalls, kSet, notify::epoll_no_room, notify::epoll_wait_not_epoll,
         notify::epoll_wait_bad_handle, notify::epoll_invalid_pointer) {
  Pair pair = ConnectedPair(net);
  Watcher set(SP_EPOLL);
  Step(set.Add(pair.client, SP_OUT));
  CHECK_REQUIREMENT(notify::epoll_no_room, WaitOn(set.handle(), 0));
  CHECK_REQUIREMENT(notify::epoll_no_room, WaitOn(set.handle(), -1));
  CHECK_REQUIREMENT(notify::epoll_wait_not_epoll, WaitOn(pair.client.handle(), 4));
  CHECK_REQUIREMENT(notify::epoll_wait_not_epoll, WaitOn(Socket::Wrong(SP_HANDLE_NOT_SOCKET).handle(), 4));
  CHECK_REQUIREMENT(notify::epoll_wait_bad_handle, WaitOn(Socket::Wrong(SP_HANDLE_INVALID).handle(), 4));
  CHECK_REQUIREMENT(notify::epoll_invalid_pointer, WaitOn(set.handle(), 4, SP_POINTER_INVALID));
}

SCENARIO(Notify, EpollWaitWithLittleRoom, kSetOverAll, notify::epoll_no_more_than_room, notify::epoll_round_robin) {
  constexpr uint64_t kSockets = 4;
  std::vector<Pair> pairs;
  Watcher set(SP_EPOLL);
  for (uint64_t i = 0; i < kSockets; ++i) {
    pairs.push_back(ConnectedPair(net));
    Step(set.Add(pairs.back().client, SP_OUT, 0, i));
  }
  std::vector<int> turns(kSockets, 0);
  for (uint64_t round = 0; round < 2 * kSockets; ++round) {
    const WaitResult seen = set.Wait(Patience(), 1);
    CHECK_REQUIREMENT(notify::epoll_no_more_than_room, seen.Counted());
    if (seen.events.empty()) break;  // all of them are ready, all the time
    if (seen.events.size() == 1 && seen.events[0].cookie < kSockets) ++turns[seen.events[0].cookie];
  }
  CHECK_REQUIREMENT(notify::epoll_round_robin,
                    Holds(turns == std::vector<int>(kSockets, 2), fmt::format("turns of four sockets in eight calls: {} {} {} {}",
                                                                              turns[0], turns[1], turns[2], turns[3])));
}

SCENARIO(Notify, EventsOfOneDescriptorAreCombined, kStreams.Needs({SP_CAP_EPOLL}), notify::epoll_combined) {
  Pair pair = ConnectedPair(net);
  Watcher set(SP_EPOLL);
  Step(set.Add(pair.server, SP_IN | SP_RDHUP, SP_EDGE, 1));
  Step(pair.client.SendBytes("x"));
  Step(pair.client.SendBytes("y"));
  Step(pair.client.Shutdown(SP_SHUT_WR));
  MustBeReady(pair.server, SP_RDHUP);
  const WaitResult seen = set.Wait(Patience());
  CHECK_REQUIREMENT(notify::epoll_combined,
                    Holds(seen.events.size() == 1 && seen.EventsOf(1) == (SP_IN | SP_RDHUP), seen.text()));
}

// ---- edge-triggered ----

SCENARIO(Notify, AnEdgeIsReportedOnce, kSetOverAll, notify::edge_first, notify::edge_once, notify::edge_partial,
         notify::edge_again, notify::edge_modified) {
  Pair pair = ConnectedPair(net);
  Step(pair.client.SendBytes("ab"));
  MustBeReady(pair.server, SP_IN);
  Watcher set(SP_EPOLL);
  Step(set.Add(pair.server, SP_IN, SP_EDGE));
  CHECK_REQUIREMENT(notify::edge_first, SaysNow(set));
  CHECK_REQUIREMENT(notify::edge_once, SaysNow(set));
  CHECK_REQUIREMENT(notify::edge_once, SaysNow(set));
  if (net.type == SP_SEQPACKET) Step(pair.client.SendBytes("cd"));  // a record that is left when the first is taken
  if (net.type == SP_SEQPACKET) static_cast<void>(set.Wait(Patience()));
  Step(pair.server.Recv(1));
  CHECK_REQUIREMENT(notify::edge_partial, SaysNow(set));
  // More, while there is something left; then more after all was taken.
  Step(pair.client.SendBytes("e"));
  CHECK_REQUIREMENT(notify::edge_again, SaysSoon(set));
  CHECK_REQUIREMENT(notify::edge_once, SaysNow(set));
  Step(pair.server.SetModes(SP_NONBLOCKING));
  while (pair.server.Recv(16).ok()) {
  }
  CHECK_REQUIREMENT(notify::edge_once, SaysNow(set));
  Step(pair.client.SendBytes("f"));
  CHECK_REQUIREMENT(notify::edge_again, SaysSoon(set));
  CHECK_REQUIREMENT(notify::edge_once, SaysNow(set));
  Step(set.Modify(pair.server, SP_IN, SP_EDGE));
  CHECK_REQUIREMENT(notify::edge_modified, SaysNow(set));
  CHECK_REQUIREMENT(notify::edge_once, SaysNow(set));
}

SCENARIO(Notify, EachConnectionIsAnEdge, kSetOverAll, notify::edge_every_connection, notify::edge_once) {
  NeedQueue(net, 3);
  Listener listener = ListenOn(net);
  std::vector<std::unique_ptr<Watcher>> sets;
  for (uint64_t i = 0; i < 6; ++i) {
    sets.push_back(std::make_unique<Watcher>(SP_EPOLL));
    Step(sets.back()->Add(listener.socket, SP_IN, SP_EDGE, i));
  }
  std::vector<Socket> clients;
  for (int64_t round = 1; round <= 3; ++round) {  // nobody accepts: the edge is the arrival
    clients.push_back(ConnectTo(listener, net));
    WaitQueued(listener, net, round);
    for (uint64_t i = 0; i < sets.size(); ++i) {
      const WaitResult seen = sets[i]->Wait(Patience());
      CHECK_REQUIREMENT(notify::edge_every_connection, Holds(seen.EventsOf(i) == SP_IN, seen.text()));
      CHECK_REQUIREMENT(notify::edge_once, SaysNow(*sets[i], SP_IN, i));
    }
  }
}

// ---- one-shot ----

SCENARIO(Notify, AOneShotEntryIsReportedOnce, kSetOverAll, notify::one_shot_first, notify::one_shot_disabled,
         notify::one_shot_still_there, notify::one_shot_rearmed) {
  Pair pair = ConnectedPair(net);
  Watcher set(SP_EPOLL);
  Step(set.Add(pair.server, SP_IN, SP_ONESHOT));
  Deliver(pair.client, pair.server, 1);
  CHECK_REQUIREMENT(notify::one_shot_first, SaysSoon(set));
  CHECK_REQUIREMENT(notify::one_shot_disabled, SaysNow(set));
  Step(pair.client.SendBytes("y"));
  LetQuietTimePass(milliseconds(10));
  CHECK_REQUIREMENT(notify::one_shot_disabled, SaysNow(set));
  CHECK_REQUIREMENT(notify::one_shot_still_there, set.Add(pair.server, SP_IN));
  Step(set.Modify(pair.server, SP_IN, SP_ONESHOT, 3));
  const WaitResult again = set.Wait(Patience());
  const WaitResult over = set.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(notify::one_shot_rearmed,
                    Holds(again.EventsOf(3) == SP_IN && over.ok() && over.events.empty(), again.text() + "; " + over.text()));
}

}  // namespace sockproof
