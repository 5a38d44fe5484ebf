// connect() while it is under way, and how it ends well.
#include "catalogue/progress.h"

#include <optional>
#include <string>
#include <vector>

#include "battery/held.h"
#include "battery/scenario.h"
#include "battery/ways.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// After the queue has been emptied, a waiting client gets in when it sends its SYN again: a second after the first one.
constexpr milliseconds kRetry{1050};

std::vector<int32_t> Mechanisms() { return Ways({SP_POLL, SP_SELECT, SP_EPOLL}); }

Socket Begin(const Flavor& net, const Address& address) {
  Socket socket = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(socket.Connect(address));
  return socket;
}

// What connect says on the established socket, and everything else that tells that it is one.
void CheckEstablished(const Flavor& net, Socket& client, Listener& listener) {
  CHECK_REQUIREMENT(progress::no_error_afterwards, client.TakeError());
  const NameResult peer = client.PeerName();
  CHECK_REQUIREMENT(progress::peer_afterwards, NameIs(peer, listener.address, "the peer"));
  CHECK_REQUIREMENT(progress::connect_afterwards, client.Connect(listener.address));
  for (int i = 0; i < 2; ++i) CHECK_REQUIREMENT(progress::connect_afterwards_again, client.Connect(listener.address));
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(listener.socket.Accept());
  static_cast<void>(Must(client.SetModes(0, SP_NONBLOCKING)));
  static_cast<void>(net);
  CHECK_REQUIREMENT(progress::carries_data, Exchange(client, server));
}

}  // namespace

SCENARIO(Progress, SaysThatItIsUnderWay, kTcp.Waits(milliseconds(50)), progress::call, progress::again,
         progress::again_other_address, progress::no_error_pending, progress::peer_name_pending) {
  FullListener full = FillListener(net);
  Listener other = ListenOn(net);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  CHECK_REQUIREMENT(progress::call, client.Connect(full.listener.address));
  for (int i = 0; i < 2; ++i) CHECK_REQUIREMENT(progress::again, client.Connect(full.listener.address));
  CHECK_REQUIREMENT(progress::again_other_address, client.Connect(other.address));
  CHECK_REQUIREMENT(progress::no_error_pending, client.TakeError());
  CHECK_REQUIREMENT(progress::peer_name_pending, client.PeerName());
  CHECK_REQUIREMENT(progress::again, client.Connect(full.listener.address));
}

// The queue is filled here by hand, each call in a thread of its own: one that blocks though it must not is an answer too.
SCENARIO(Progress, NeverBlocks, kTcp.Needs({SP_CAP_THREADS}).Waits(milliseconds(60)), progress::call) {
  Listener listener = ListenOn(net, 0);
  std::vector<Socket> clients;
  std::optional<Result> went_on;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(net.NewConnecting(SP_NONBLOCKING));
    Socket& client = clients.back();
    auto connector =
        Spawn("connector", [handle = client.handle(), &listener] { return Socket::Borrowed(handle).Connect(listener.address); });
    if (!connector.DoneWithin(Patience())) {
      CHECK_REQUIREMENT(progress::call, outcome::still_blocked);
      return;
    }
    const Result call = connector.Join();
    if (call.ok()) continue;
    if (UnderWay(call, net)) {
      if (Events(client, SP_OUT) == 0) LetQuietTimePass(milliseconds(50));
      if (Events(client, SP_OUT) != 0) {  // it was established after all, or refused
        went_on = call;
        continue;
      }
    }
    CHECK_REQUIREMENT(progress::call, call);
    return;
  }
  if (!went_on.has_value()) {
    Host::Get().reporter().NotSupported("full_backlog", "a backlog of 0 takes eight connections in, each at once");
  }
  CHECK_REQUIREMENT(progress::call, *went_on);
}

SCENARIO(Progress, NoEventsBeforeItsTime, kTcp.Waits(milliseconds(60)), progress::no_early_events) {
  const std::vector<int32_t> mechanisms = Mechanisms();
  FullListener full = FillListener(net);
  Socket client = Begin(net, full.listener.address);
  for (int round = 0; round < 2; ++round) {
    for (const int32_t mechanism : mechanisms) {
      const uint32_t events = Events(client, SP_IN | SP_OUT, Nanoseconds(0), mechanism);
      CHECK_REQUIREMENT(progress::no_early_events, Readiness(events != 0, fmt::format("events {:#x}", events)));
    }
    LetQuietTimePass(milliseconds(50));
  }
}

// The same of a listener that is silent instead of full, and without a fixture that itself asks poll: so that neither an
// event that comes early nor a call that blocks can hide in there.
SCENARIO(Progress, NobodyAnswersYet, kTcp.Needs({SP_CAP_SILENCE, SP_CAP_THREADS}).Waits(milliseconds(110)), progress::call,
         progress::again, progress::no_early_events, progress::no_error_pending, progress::peer_name_pending) {
  const std::vector<int32_t> mechanisms = Mechanisms();
  Listener listener = ListenOn(net);
  const Silence silence(listener.socket);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  auto call = Spawn("connector", [&] { return client.Connect(listener.address); });
  if (!call.DoneWithin(Patience())) {
    // A call that blocks after all is not waited for.
    CHECK_REQUIREMENT(progress::call, outcome::still_blocked);
    CannotGoOn("the connect blocks");
  }
  CHECK_REQUIREMENT(progress::call, call.Join());
  for (int round = 0; round < 2; ++round) {
    for (const int32_t mechanism : mechanisms) {
      const uint32_t events = Events(client, SP_IN | SP_OUT, Nanoseconds(0), mechanism);
      CHECK_REQUIREMENT(progress::no_early_events, Readiness(events != 0, fmt::format("events {:#x}", events)));
    }
    CHECK_REQUIREMENT(progress::again, client.Connect(listener.address));
    CHECK_REQUIREMENT(progress::no_error_pending, client.TakeError());
    CHECK_REQUIREMENT(progress::peer_name_pending, client.PeerName());
    LetQuietTimePass(milliseconds(50));
  }
}

SCENARIO(Progress, TheSocketMeanwhile, kTcp.Waits(milliseconds(50)), progress::send_pending, progress::send_pending_seen,
         progress::recv_pending, progress::recv_pending_seen, progress::readable_bytes_pending, progress::bind_pending,
         progress::listen_pending, progress::accept_pending, progress::again) {
  FullListener full = FillListener(net);
  Socket client = Begin(net, full.listener.address);
  const Result sent = client.SendBytes("too soon");
  CHECK_REQUIREMENT(progress::send_pending, sent);
  CHECK_REQUIREMENT(progress::send_pending_seen, sent);
  const Outcome received = client.Recv(10).Seen();
  CHECK_REQUIREMENT(progress::recv_pending, received);
  CHECK_REQUIREMENT(progress::recv_pending_seen, received);
  CHECK_REQUIREMENT(progress::readable_bytes_pending, client.Ioctl(SP_IOCTL_READABLE).Counted());
  CHECK_REQUIREMENT(progress::bind_pending, client.Bind(Address::Loopback(net.connect_family)));
  CHECK_REQUIREMENT(progress::listen_pending, client.Listen(1));
  CHECK_REQUIREMENT(progress::accept_pending, client.Accept());
  CHECK_REQUIREMENT(progress::again, client.Connect(full.listener.address));  // all that has changed nothing
}

SCENARIO(Progress, TheAddressMeanwhile, kTcp.Waits(milliseconds(50)), progress::address_reserved, progress::listen_on_same_port) {
  FullListener full = FillListener(net);
  Socket client = Begin(net, full.listener.address);
  Socket other = net.NewConnecting();
  CHECK_REQUIREMENT(progress::address_reserved, other.Bind(Must(client.LocalName())));

  const auto sharing = [&](const Address& address, Result* bound) {
    Socket socket = net.NewConnecting(SP_NONBLOCKING);
    static_cast<void>(Must(socket.Set(SP_SO_REUSEADDR, 1)));
    *bound = socket.Bind(address);
    return socket;
  };
  Result bound;
  Socket connecting = sharing(Address::Loopback(net.connect_family), &bound);
  static_cast<void>(Must(bound));
  static_cast<void>(connecting.Connect(full.listener.address));
  Socket listening = sharing(Must(connecting.LocalName()), &bound);
  CHECK_REQUIREMENT(progress::listen_on_same_port, bound.ok() ? listening.Listen(1) : bound);
}

SCENARIO(Progress, EstablishedAtOnce, kTcp, progress::call_open, progress::writable, progress::no_error_afterwards,
         progress::peer_afterwards, progress::connect_afterwards, progress::connect_afterwards_again, progress::carries_data) {
  const std::vector<int32_t> mechanisms = Mechanisms();
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result call = client.Connect(listener.address);
  CHECK_REQUIREMENT(progress::call_open, call);
  for (const int32_t mechanism : mechanisms) {
    const uint32_t events = Events(client, SP_OUT, Patience(), mechanism);
    CHECK_REQUIREMENT(progress::writable, Readiness((events & SP_OUT) != 0, fmt::format("events {:#x}", events)));
  }
  CheckEstablished(net, client, listener);
}

SCENARIO(Progress, WritableIsNormalData, kTcp, progress::write_normal) {
  Pair pair = ConnectedPair(net);
  Socket& client = pair.client;
  const uint32_t normal = Events(client, SP_WRNORM | SP_OUT);
  CHECK_REQUIREMENT(progress::write_normal,
                    Holds(((normal & SP_WRNORM) != 0) == ((normal & SP_OUT) != 0), fmt::format("events {:#x}", normal)));
  const uint32_t alone = Events(client, SP_WRNORM, Patience());
  CHECK_REQUIREMENT(progress::write_normal, Holds((alone & SP_WRNORM) != 0, fmt::format("asked alone, events {:#x}", alone)));
}

SCENARIO(Progress, EstablishedInTheEnd, kTcp.Needs({SP_CAP_THREADS}).Waits(kRetry), progress::wakes_waiter, progress::writable,
         progress::no_error_afterwards, progress::peer_afterwards, progress::connect_afterwards,
         progress::connect_afterwards_again, progress::carries_data, progress::local_name_pending,
         progress::first_address_holds) {
  const std::vector<int32_t> mechanisms = Mechanisms();
  FullListener full = FillListener(net);
  Listener other = ListenOn(net);
  Socket client = Begin(net, full.listener.address);
  const Address before = Must(client.LocalName());
  static_cast<void>(client.Connect(other.address));  // a second thought that must not count

  std::vector<Task<uint32_t>> waiters;
  for (const int32_t mechanism : mechanisms) {
    waiters.push_back(Spawn("waiter", [&client, mechanism] { return Events(client, SP_OUT, Patience(), mechanism); }));
    waiters.back().WaitBlocked();
  }
  const std::vector<Socket> accepted = MakeRoom(full);
  for (Task<uint32_t>& waiter : waiters) {
    const uint32_t events = waiter.Join(2 * Patience());
    CHECK_REQUIREMENT(progress::wakes_waiter, Readiness((events & SP_OUT) != 0, fmt::format("events {:#x}", events)));
  }
  for (const int32_t mechanism : mechanisms) {
    const uint32_t events = Events(client, SP_OUT, Nanoseconds(0), mechanism);
    CHECK_REQUIREMENT(progress::writable, Readiness((events & SP_OUT) != 0, fmt::format("events {:#x}", events)));
  }
  CHECK_REQUIREMENT(progress::local_name_pending, NameIs(client.LocalName(), before, "the client's own address"));
  CHECK_REQUIREMENT(progress::first_address_holds, NameIs(client.PeerName(), full.listener.address, "the peer"));
  CHECK_REQUIREMENT(progress::first_address_holds, Holds(Events(other.socket, SP_IN) == 0, "nobody came to the other listener"));
  CheckEstablished(net, client, full.listener);
}

SCENARIO(Progress, BlockingConnectWaits, kTcp.Needs({SP_CAP_THREADS}).Waits(kRetry), progress::blocking_waits,
         progress::blocking_completes, progress::second_blocking, progress::nonblocking_set_meanwhile, progress::again) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  auto first = Spawn("first", [&] { return client.Connect(full.listener.address); });
  first.WaitBlocked();
  auto second = Spawn("second", [&] { return client.Connect(full.listener.address); });
  const bool both = second.WaitBlocked();
  CHECK_REQUIREMENT(progress::second_blocking, both ? Outcome(outcome::still_blocked) : Outcome(second.Join()));
  static_cast<void>(Must(client.SetModes(SP_NONBLOCKING)));
  CHECK_REQUIREMENT(progress::again, client.Connect(full.listener.address));
  LetQuietTimePass(milliseconds(50));
  const Outcome waits = first.Done() ? outcome::returned : outcome::still_blocked;
  CHECK_REQUIREMENT(progress::blocking_waits, waits);
  CHECK_REQUIREMENT(progress::nonblocking_set_meanwhile, waits);
  const std::vector<Socket> accepted = MakeRoom(full);
  CHECK_REQUIREMENT(progress::blocking_completes, first.Join());
  if (both) static_cast<void>(second.Join());
}

SCENARIO(Progress, LocalConnectWaitsForRoom, kLocal.Needs({SP_CAP_THREADS}).Waits(milliseconds(60)), progress::unix_waits,
         progress::unix_waits_for_room) {
  FullListener full = FillListener(net);
  Socket client = net.NewConnecting();
  auto connector = Spawn("connector", [&] { return client.Connect(full.listener.address); });
  connector.WaitBlocked();
  LetQuietTimePass(milliseconds(50));
  if (connector.Done()) {
    const Result result = connector.Join();
    CHECK_REQUIREMENT(progress::unix_waits, result);
    CHECK_REQUIREMENT(progress::unix_waits_for_room, result);
    return;
  }
  CHECK_REQUIREMENT(progress::unix_waits, outcome::still_blocked);
  const std::vector<Socket> accepted = MakeRoom(full);
  CHECK_REQUIREMENT(progress::unix_waits_for_room, connector.Join());
}

SCENARIO(Progress, ThePeerHasGoneAlready, kTcp, progress::peer_closed_at_once, progress::connect_afterwards,
         progress::connect_afterwards_again) {
  Listener listener = ListenOn(net);
  Socket client = Begin(net, listener.address);
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(listener.socket.Accept());
  static_cast<void>(Must(server.Close()));
  const bool writable = WaitReady(client, SP_OUT);
  const Outcome error = client.TakeError();
  const Outcome end = RecvSoon(client);
  CHECK_REQUIREMENT(progress::peer_closed_at_once,
                    Holds(writable && error.name() == "ok" && end.name() == "end_of_stream",
                          fmt::format("writable {}, SO_ERROR {}, recv {}", writable, error.name(), end.name())));
  CHECK_REQUIREMENT(progress::connect_afterwards, client.Connect(listener.address));
  CHECK_REQUIREMENT(progress::connect_afterwards_again, client.Connect(listener.address));
}

SCENARIO(Progress, BlockedSendAndRecvWait, kTcp.Needs({SP_CAP_THREADS}).Waits(kRetry), progress::blocked_transfer) {
  FullListener full = FillListener(net);
  Socket client = Begin(net, full.listener.address);
  static_cast<void>(Must(client.SetModes(0, SP_NONBLOCKING)));
  const Payload there{31, 0, 500}, back{32, 0, 500};
  auto sender = Spawn("sender", [&] { return client.Send(there); });
  auto receiver = Spawn("receiver", [&] { return client.Recv(500); });
  const bool waited = sender.WaitBlocked() && receiver.WaitBlocked();
  const std::vector<Socket> accepted = MakeRoom(full);
  if (!WaitReady(full.listener.socket, SP_IN)) {
    CHECK_REQUIREMENT(progress::blocked_transfer, Holds(false, "nothing came to the listener"));
    return;
  }
  Socket server = Must(full.listener.socket.Accept());
  const Result sent = sender.Join();
  const Outcome arrived = RecvSoon(server, 500);
  static_cast<void>(Must(server.Send(back)));
  const RecvResult received = receiver.Join();
  CHECK_REQUIREMENT(progress::blocked_transfer,
                    Holds(waited && sent.value() == 500 && arrived.name() == "data" && received.value() > 0,
                          fmt::format("blocked {}; {}; {}; {}", waited, sent.text(), arrived.name(), received.text())));
}

SCENARIO(Progress, EpollForgetsWhatWasClosed, kTcp46.Needs({SP_CAP_EPOLL}).Waits(milliseconds(50)),
         progress::epoll_forgets_closed) {
  Listener nobody = BoundOn(net);
  FullListener full = FillListener(net);
  Watcher watcher(SP_EPOLL);
  Socket failed = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(Must(watcher.Add(failed, SP_IN | SP_OUT, 0, 1)));
  static_cast<void>(failed.Connect(nobody.address));
  MustBeReady(failed, SP_OUT);
  static_cast<void>(Must(failed.Close()));
  Socket fresh = Begin(net, full.listener.address);  // gets the number that has become free
  const WaitResult stale = watcher.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(progress::epoll_forgets_closed, Readiness(!stale.events.empty(), "events of the closed socket"));
  static_cast<void>(Must(watcher.Add(fresh, SP_IN | SP_OUT, 0, 2)));
  const WaitResult early = watcher.Wait(Nanoseconds(0));
  CHECK_REQUIREMENT(progress::epoll_forgets_closed, Readiness(!early.events.empty(), "events of the new socket"));
}

SCENARIO(Progress, BothConnectAtTheSameTime, kTcp46.Waits(milliseconds(50)), progress::simultaneous_open) {
  // The first SYN is lost at a full queue; then the listener makes way for a socket that connects back from its address.
  // That must be done before the first SYN is sent again, or it is refused: rather begin anew than blame the implementation.
  for (int attempt = 0; attempt < 5; ++attempt) {
    FullListener full = FillListener(net);
    Socket first = net.NewConnecting(SP_NONBLOCKING);
    static_cast<void>(Must(first.Bind(Address::Loopback(net.connect_family))));
    const Address here = Must(first.LocalName());
    const Stopwatch watch;
    static_cast<void>(first.Connect(full.listener.address));
    static_cast<void>(Must(full.listener.socket.Close()));
    const Outcome waits = ConnectState(first);
    if (watch.Elapsed() > milliseconds(800)) continue;
    if (waits.name() != outcome::pending.text) {
      Host::Get().reporter().NotSupported("lost_connect", "a connect that found the queue full does not outlive the listener");
    }
    Socket second = net.NewConnecting(SP_NONBLOCKING);
    static_cast<void>(Must(second.Set(SP_SO_REUSEADDR, 1)));
    static_cast<void>(Must(second.Bind(full.listener.address)));  // which the guard has kept free
    const Result back = second.Connect(here);
    if (watch.Elapsed() > milliseconds(800)) continue;
    const bool ready = WaitReady(first, SP_OUT) && WaitReady(second, SP_OUT);
    const Outcome first_state = ConnectState(first), second_state = ConnectState(second);
    if (!ready || first_state.name() != "completed" || second_state.name() != "completed") {
      CHECK_REQUIREMENT(progress::simultaneous_open,
                        Holds(false, fmt::format("{}; then {} and {}", back.text(), first_state.name(), second_state.name())));
      return;
    }
    CHECK_REQUIREMENT(progress::simultaneous_open, NameIs(first.PeerName(), Must(second.LocalName()), "one end's peer"));
    CHECK_REQUIREMENT(progress::simultaneous_open, NameIs(second.PeerName(), here, "the other end's peer"));
    CHECK_REQUIREMENT(progress::simultaneous_open, Exchange(first, second));
    return;
  }
  Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "five attempts to connect back within 800 ms", outcome::late);
}

}  // namespace sockproof
