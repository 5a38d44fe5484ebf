// Connections that are refused, and the socket after that.
#include "catalogue/refused.h"

#include "battery/held.h"
#include "battery/scenario.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// An address at which nobody listens, and which nobody else can take meanwhile.
Listener Nobody(const Flavor& net) { return BoundOn(net); }

// A non-blocking socket whose connect has been refused; nobody has asked for the error yet.
Socket RefusedMeanwhile(const Flavor& net, const Listener& nobody, Where where = SOCKPROOF_HERE) {
  Socket socket = net.NewConnecting(SP_NONBLOCKING, where);
  const Result call = socket.Connect(nobody.address);
  if (call.error() == SP_ECONNREFUSED) {
    // Allowed, but then there is nothing left to look at.
    Host::Get().reporter().NotSupported("asynchronous_refusal", "a refusal on this host is reported by connect itself");
  }
  if (!UnderWay(call, net)) Host::Get().reporter().StepFailed(where, call.text(), call);
  MustBeReady(socket, SP_OUT, where);
  return socket;
}

}  // namespace

SCENARIO(Refused, BlockingConnectSaysSo, kConnections, refused::blocking, refused::blocking_leaves_no_error, refused::peer_name) {
  Listener nobody = Nobody(net);
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(refused::blocking, client.Connect(nobody.address));
  CHECK_REQUIREMENT(refused::blocking_leaves_no_error, client.TakeError());
  CHECK_REQUIREMENT(refused::peer_name, client.PeerName());
  // Not the same one: in what state a failed connect leaves its socket is nobody's promise.
  Socket another = net.NewConnecting();
  CHECK_REQUIREMENT(refused::blocking, another.Connect(nobody.address));
}

SCENARIO(Refused, WithoutDelay, kTcp, refused::prompt, refused::blocking) {
  Listener nobody = Nobody(net);
  Socket client = net.NewConnecting();
  const Stopwatch watch;
  const Result result = client.Connect(nobody.address);
  const bool prompt = watch.Elapsed() < seconds(1) + watch.Stall();
  CHECK_REQUIREMENT(refused::blocking, result);
  CHECK_REQUIREMENT(refused::prompt,
                    Outcome(prompt ? outcome::of_refused::at_once : outcome::of_refused::later).With(watch.Describe(seconds(1))));
}

SCENARIO(Refused, SoErrorSaysSoOnce, kTcp, refused::nonblocking_call, refused::nonblocking_error, refused::error_clears,
         refused::peer_name) {
  Listener nobody = Nobody(net);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result call = client.Connect(nobody.address);
  CHECK_REQUIREMENT(refused::nonblocking_call, call);
  if (UnderWay(call, net)) {
    MustBeReady(client, SP_OUT);
    CHECK_REQUIREMENT(refused::peer_name, client.PeerName());
    CHECK_REQUIREMENT(refused::nonblocking_error, client.TakeError());
  } else {
    CHECK_REQUIREMENT(refused::nonblocking_error, call);  // the call has taken the place of SO_ERROR
  }
  CHECK_REQUIREMENT(refused::error_clears, client.TakeError());
  CHECK_REQUIREMENT(refused::error_clears, client.TakeError());
  CHECK_REQUIREMENT(refused::peer_name, client.PeerName());
}

SCENARIO(Refused, SelectShowsIt, kTcp.Needs({SP_CAP_SELECT}), refused::select_writable, refused::select_readable,
         refused::select_exception, refused::nonblocking_error) {
  Listener nobody = Nobody(net);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result call = client.Connect(nobody.address);
  if (!UnderWay(call, net)) client = RefusedMeanwhile(net, nobody);
  // Waiting with select itself: nothing else has looked at the socket before.
  // Alone first, as whoever waits in that set must be woken; where it says nothing of a failure that takes the whole second.
  const uint32_t alone = Events(client, SP_OUT, seconds(1), SP_SELECT);
  CHECK_REQUIREMENT(refused::select_writable, Readiness((alone & SP_OUT) != 0, "in the set of writable ones, asked alone"));
  const uint32_t events = Events(client, SP_IN | SP_OUT | SP_PRI, Patience(), SP_SELECT);
  CHECK_REQUIREMENT(refused::select_writable, Readiness((events & SP_OUT) != 0, "in the set of writable ones"));
  CHECK_REQUIREMENT(refused::select_readable, Readiness((events & SP_IN) != 0, "in the set of readable ones"));
  CHECK_REQUIREMENT(refused::select_exception, Readiness((events & SP_PRI) != 0, "in the set of exceptions"));
  CHECK_REQUIREMENT(refused::nonblocking_error, client.TakeError());
}

namespace {

void CheckPolled(const Flavor& net, int32_t mechanism) {
  Listener nobody = Nobody(net);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Result call = client.Connect(nobody.address);
  if (!UnderWay(call, net)) client = RefusedMeanwhile(net, nobody);
  const uint32_t events = Events(client, SP_OUT, Patience(), mechanism);
  const std::string detail = fmt::format("events {:#x}", events);
  CHECK_REQUIREMENT(refused::poll_writable, Readiness((events & SP_OUT) != 0, detail));
  CHECK_REQUIREMENT(refused::poll_error, Readiness((events & SP_ERR) != 0, detail));
  CHECK_REQUIREMENT(refused::poll_hangup, Readiness((events & SP_HUP) != 0, detail));
  const uint32_t unasked = Events(client, 0, Nanoseconds(0), mechanism);
  CHECK_REQUIREMENT(refused::poll_error, Readiness((unasked & SP_ERR) != 0, fmt::format("unasked, events {:#x}", unasked)));
  CHECK_REQUIREMENT(refused::nonblocking_error, client.TakeError());
  const uint32_t later = Events(client, SP_OUT, Nanoseconds(0), mechanism);
  CHECK_REQUIREMENT(refused::poll_error_taken, Readiness((later & SP_ERR) != 0, fmt::format("taken, events {:#x}", later)));
}

}  // namespace

SCENARIO(Refused, PollShowsIt, kTcp.Needs({SP_CAP_POLL}), refused::poll_writable, refused::poll_error, refused::poll_hangup,
         refused::poll_error_taken, refused::nonblocking_error) {
  CheckPolled(net, SP_POLL);
}

SCENARIO(Refused, EpollShowsIt, kTcp.Needs({SP_CAP_EPOLL}), refused::poll_writable, refused::poll_error, refused::poll_hangup,
         refused::poll_error_taken, refused::nonblocking_error) {
  CheckPolled(net, SP_EPOLL);
}

SCENARIO(Refused, RecvReportsItOnce, kTcp, refused::recv_reports, refused::recv_takes, refused::recv_afterwards,
         refused::send_afterwards) {
  Listener nobody = Nobody(net);
  for (const uint32_t flags : {0u, static_cast<uint32_t>(SP_MSG_PEEK)}) {
    Socket client = RefusedMeanwhile(net, nobody);
    RecvOptions options;
    options.flags = flags;
    CHECK_REQUIREMENT(refused::recv_reports, client.Recv(10, options).Seen());
    CHECK_REQUIREMENT(refused::recv_takes, client.TakeError());
    for (int i = 0; i < 2; ++i) CHECK_REQUIREMENT(refused::recv_afterwards, client.Recv(10, options).Seen());
    CHECK_REQUIREMENT(refused::send_afterwards, client.SendBytes("x"));
  }
}

SCENARIO(Refused, SendReportsIt, kTcp, refused::send_reports, refused::send_afterwards, refused::error_clears) {
  Listener nobody = Nobody(net);
  Socket client = RefusedMeanwhile(net, nobody);
  CHECK_REQUIREMENT(refused::send_reports, client.SendBytes("x"));
  static_cast<void>(client.TakeError());  // in case that send has left it
  CHECK_REQUIREMENT(refused::error_clears, client.TakeError());
  for (int i = 0; i < 2; ++i) CHECK_REQUIREMENT(refused::send_afterwards, client.SendBytes("x"));
}

SCENARIO(Refused, TheNextConnectReportsIt, kTcp, refused::connect_reports, refused::connect_after_taken, refused::new_attempt) {
  Listener nobody = Nobody(net);
  Socket client = RefusedMeanwhile(net, nobody);
  CHECK_REQUIREMENT(refused::connect_reports, client.Connect(nobody.address));
  CHECK_REQUIREMENT(refused::new_attempt, client.Connect(nobody.address));

  Socket taken = RefusedMeanwhile(net, nobody);
  static_cast<void>(taken.TakeError());
  CHECK_REQUIREMENT(refused::connect_after_taken, taken.Connect(nobody.address));
  CHECK_REQUIREMENT(refused::new_attempt, taken.Connect(nobody.address));
}

SCENARIO(Refused, NothingToShutDown, kTcp, refused::shutdown) {
  Listener nobody = Nobody(net);
  Socket client = RefusedMeanwhile(net, nobody);
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) CHECK_REQUIREMENT(refused::shutdown, client.Shutdown(how));
  Socket blocking = net.NewConnecting();
  static_cast<void>(blocking.Connect(nobody.address));
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) CHECK_REQUIREMENT(refused::shutdown, blocking.Shutdown(how));
}

SCENARIO(Refused, TheSocketAfterwards, kTcp, refused::bind_afterwards, refused::listen_afterwards,
         refused::listen_pending_error) {
  Listener nobody = Nobody(net);
  Socket bound = net.NewConnecting();
  static_cast<void>(bound.Connect(nobody.address));
  CHECK_REQUIREMENT(refused::bind_afterwards, bound.Bind(Address::Loopback(net.connect_family)));
  Socket listening = net.NewConnecting();
  static_cast<void>(listening.Connect(nobody.address));
  CHECK_REQUIREMENT(refused::listen_afterwards, listening.Listen(1));
  Socket pending = RefusedMeanwhile(net, nobody);
  CHECK_REQUIREMENT(refused::listen_pending_error, pending.Listen(1));
}

SCENARIO(Refused, AndThenSomebodyListens, kConnections, refused::blocking, refused::retry_same_socket,
         refused::retry_new_socket) {
  NeedQueue(net, 2);
  Listener listener = Nobody(net);
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(refused::blocking, client.Connect(listener.address));
  static_cast<void>(Must(listener.socket.Listen(4)));
  CHECK_REQUIREMENT(refused::retry_same_socket, client.Connect(listener.address));
  Socket fresh = net.NewConnecting();
  CHECK_REQUIREMENT(refused::retry_new_socket, fresh.Connect(listener.address));
}

SCENARIO(Refused, TheAddressAfterwards, kTcp, refused::releases_port, refused::close_frees_address) {
  Listener nobody = Nobody(net);
  std::vector<Socket> open;
  CHECK_REQUIREMENT(refused::releases_port, FreesItsAddress(net, [&] {
                      open.push_back(net.NewConnecting(SP_NONBLOCKING));
                      Socket& client = open.back();
                      static_cast<void>(client.Connect(nobody.address));
                      const Address picked = Must(client.LocalName());
                      MustBeReady(client, SP_OUT);
                      static_cast<void>(client.TakeError());
                      return picked;
                    }));
  CHECK_REQUIREMENT(refused::close_frees_address, FreesItsAddress(net, [&] {
                      Socket client = net.NewConnecting();
                      static_cast<void>(Must(client.Bind(Address::Loopback(net.connect_family))));
                      const Address address = Must(client.LocalName());
                      static_cast<void>(client.Connect(nobody.address));
                      static_cast<void>(Must(client.Close()));
                      return address;
                    }));
}

SCENARIO(Refused, WhenTheListenerGoesAway, kTcp.Needs({SP_CAP_THREADS}).Waits(milliseconds(1050)), refused::late,
         refused::late_send) {
  FullListener full = FillListener(net);
  Socket nonblocking = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(nonblocking.Connect(full.listener.address));
  Socket blocking = net.NewConnecting();
  auto connector = Spawn("connector", [&] { return blocking.Connect(full.listener.address); });
  Socket sending = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(sending.Connect(full.listener.address));
  static_cast<void>(Must(sending.SetModes(0, SP_NONBLOCKING)));
  auto sender = Spawn("sender", [&] { return sending.SendBytes("to nobody"); });
  connector.WaitBlocked();
  sender.WaitBlocked();
  static_cast<void>(Must(full.listener.socket.Close()));
  CHECK_REQUIREMENT(refused::late, connector.Join());
  MustBeReady(nonblocking, SP_OUT);
  CHECK_REQUIREMENT(refused::late, nonblocking.TakeError());
  CHECK_REQUIREMENT(refused::late_send, sender.Join());
}

SCENARIO(Refused, LocalListenerGoesAway, kLocal.Needs({SP_CAP_THREADS}), refused::unix_full_backlog,
         refused::unix_listener_closed) {
  FullListener full = FillListener(net);
  Socket nonblocking = net.NewConnecting(SP_NONBLOCKING);
  CHECK_REQUIREMENT(refused::unix_full_backlog, nonblocking.Connect(full.listener.address));
  Socket blocking = net.NewConnecting();
  auto connector = Spawn("connector", [&] { return blocking.Connect(full.listener.address); });
  connector.WaitBlocked();
  static_cast<void>(Must(full.listener.socket.Close()));
  CHECK_REQUIREMENT(refused::unix_listener_closed, connector.Join());
}

}  // namespace sockproof
