// Connections that nobody answers, that no route leads to, and datagrams to where nobody is.
#include "battery/held.h"
#include "battery/scenario.h"
#include "catalogue/outcomes.h"
#include "catalogue/refused.h"

namespace sockproof {
namespace {

// One retry, and no more than a second or so where the implementation lets that limit an attempt. How long that may take: minutes
// where it has no such option, which a virtual clock has for nothing.
Nanoseconds GiveUpSoon(Socket& socket) {
  const Result set = socket.Set(SP_TCP_SYNCNT, 1);
  if (!set.ok() && Host::Get().HasVirtualClock()) return seconds(300);
  static_cast<void>(Must(set));
  static_cast<void>(socket.Set(SP_TCP_USER_TIMEOUT, 1000));
  return Patience();
}

}  // namespace

SCENARIO(Refused, NobodyAnswers, kTcp.Needs({SP_CAP_SILENCE, SP_CAP_THREADS}).Waits(milliseconds(1050)), refused::timeout,
         refused::timeout_nonblocking, refused::error_clears, refused::poll_writable, refused::poll_error, refused::peer_name) {
  Listener listener = ListenOn(net);
  const Silence silence(listener.socket);
  Socket blocking = net.NewConnecting();
  GiveUpSoon(blocking);
  auto connector = Spawn("connector", [&] { return blocking.Connect(listener.address); });
  Socket nonblocking = net.NewConnecting(SP_NONBLOCKING);
  const Nanoseconds most = GiveUpSoon(nonblocking);
  static_cast<void>(nonblocking.Connect(listener.address));

  const uint32_t events = Events(nonblocking, SP_OUT, most, EventMechanism());
  CHECK_REQUIREMENT(refused::poll_writable, Readiness((events & SP_OUT) != 0, fmt::format("events {:#x}", events)));
  CHECK_REQUIREMENT(refused::poll_error, Readiness((events & SP_ERR) != 0, fmt::format("events {:#x}", events)));
  CHECK_REQUIREMENT(refused::peer_name, nonblocking.PeerName());
  CHECK_REQUIREMENT(refused::timeout_nonblocking, nonblocking.TakeError());
  CHECK_REQUIREMENT(refused::error_clears, nonblocking.TakeError());
  CHECK_REQUIREMENT(refused::timeout, connector.Join(most));
}

// The same where the number of retries is a knob, and no option of the socket.
SCENARIO(Refused, NobodyEverAnswers,
         kTcp46.Needs({SP_CAP_SILENCE, SP_CAP_THREADS, SP_CAP_KNOBS}).Waits(milliseconds(3100)).Limit(seconds(30)),
         refused::timeout, refused::timeout_nonblocking, refused::error_clears, refused::peer_name) {
  const Knob retries(SP_KNOB_SYN_RETRIES, 1);
  Listener listener = ListenOn(net);
  const Silence silence(listener.socket);
  Socket blocking = net.NewConnecting();
  auto connector = Spawn("connector", [&] { return blocking.Connect(listener.address); });
  Socket nonblocking = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(nonblocking.Connect(listener.address));
  // A SYN and its repetition are each given up after a second or two.
  CHECK_REQUIREMENT(refused::timeout, connector.Join(seconds(10) + Patience()));
  Outcome error(outcome::pending);
  WaitUntil(
      [&] {
        error = nonblocking.TakeError();
        return error.name() != "ok";
      },
      Patience(), "the attempt to be given up");
  CHECK_REQUIREMENT(refused::timeout_nonblocking, error);
  CHECK_REQUIREMENT(refused::error_clears, nonblocking.TakeError());
  CHECK_REQUIREMENT(refused::peer_name, nonblocking.PeerName());
}

SCENARIO(Refused, SelectShowsThatNobodyAnswers, kTcp.Needs({SP_CAP_SILENCE, SP_CAP_SELECT}).Waits(milliseconds(1050)),
         refused::select_writable, refused::timeout_nonblocking) {
  Listener listener = ListenOn(net);
  const Silence silence(listener.socket);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  const Nanoseconds most = GiveUpSoon(client);
  static_cast<void>(client.Connect(listener.address));
  const uint32_t events = Events(client, SP_OUT | SP_PRI, most, SP_SELECT);
  CHECK_REQUIREMENT(refused::select_writable, Readiness((events & SP_OUT) != 0));
  CHECK_REQUIREMENT(refused::timeout_nonblocking, client.TakeError());
}

SCENARIO(Refused, TheQueueStaysFull, kTcp.Needs({SP_CAP_THREADS}).Waits(milliseconds(1050)), refused::timeout_full_backlog,
         refused::timeout_full_backlog_seen, refused::peer_name) {
  // By hand: whoever refuses what does not fit is asked here as well, and not held up by silence.
  const Listener listener = ListenOn(net, 0);
  Filled filled = FillBacklog(listener, net);
  if (!filled.waiting.has_value()) Host::Get().reporter().NotSupported("full_backlog", "the queue of a listener has no end here");
  const bool ignored = filled.overflow.name() == "pending";
  filled.waiting.reset();
  Socket blocking = net.NewConnecting();
  Socket nonblocking = net.NewConnecting(SP_NONBLOCKING);
  if (ignored) {
    for (Socket* socket : {&blocking, &nonblocking}) static_cast<void>(GiveUpSoon(*socket));
  }
  auto connector = Spawn("connector", [&] { return blocking.Connect(listener.address); });
  const Outcome asynchronous = ConnectToTheEnd(nonblocking, net, listener.address);
  CHECK_REQUIREMENT(refused::timeout_full_backlog, asynchronous);
  CHECK_REQUIREMENT(refused::timeout_full_backlog_seen, asynchronous);
  const Result result = connector.Join();
  CHECK_REQUIREMENT(refused::timeout_full_backlog, result);
  CHECK_REQUIREMENT(refused::timeout_full_backlog_seen, result);
  CHECK_REQUIREMENT(refused::peer_name, blocking.PeerName());
}

SCENARIO(Refused, TheNumberOfRetriesIsTheTime, kTcp46.Waits(milliseconds(3100)), refused::syn_count_time,
         refused::syn_count_time_seen, refused::user_timeout_bounds_connect) {
  FullListener full = FillListener(net);
  Socket counted = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(Must(counted.Set(SP_TCP_SYNCNT, 1)));
  Socket timed = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(Must(timed.Set(SP_TCP_USER_TIMEOUT, 1500)));
  const Stopwatch watch;
  static_cast<void>(counted.Connect(full.listener.address));
  static_cast<void>(timed.Connect(full.listener.address));
  static_cast<void>(WaitReady(timed, SP_OUT, seconds(4)));
  CHECK_REQUIREMENT(refused::user_timeout_bounds_connect, Timing(watch, milliseconds(1500), milliseconds(10)));
  // With the SYN at 0 and 1 s the answer to the second is awaited for 2 s; linear time-outs may come before that.
  static_cast<void>(WaitReady(counted, SP_OUT, seconds(8) - watch.Elapsed()));
  const Outcome given_up = Timing(watch, seconds(3), milliseconds(10));
  CHECK_REQUIREMENT(refused::syn_count_time, given_up);
  CHECK_REQUIREMENT(refused::syn_count_time_seen, given_up);
}

SCENARIO(Refused, TheNumberOfRetriesAsAnOption, kTcp46, refused::syn_count_kept, refused::syn_count_limit,
         refused::syn_count_limit_seen) {
  Socket socket = net.NewConnecting();
  for (const int64_t count : {1, 7, 100, 3}) {
    static_cast<void>(Must(socket.Set(SP_TCP_SYNCNT, count)));
    CHECK_REQUIREMENT(refused::syn_count_kept, Same(Must(socket.Get(SP_TCP_SYNCNT)).integer, count, "TCP_SYNCNT read back"));
  }
  for (const int64_t count : {256, 100000}) {
    static_cast<void>(socket.Set(SP_TCP_SYNCNT, count));
    const int64_t now = Must(socket.Get(SP_TCP_SYNCNT)).integer;
    CHECK_REQUIREMENT(refused::syn_count_limit,
                      Outcome(now <= 255 ? outcome::of_refused::within_limit : outcome::of_refused::over_limit)
                          .With(fmt::format("{} after setting {}", now, count)));
  }
  for (const int64_t count : {-1, 0, 1, 127, 128, 255, 256}) {
    const Result result = socket.Set(SP_TCP_SYNCNT, count);
    const bool possible = count >= 1 && count <= 127;
    CHECK_REQUIREMENT(refused::syn_count_limit_seen, Holds(possible ? result.ok() : result.error() == SP_EINVAL, result.text()));
  }
}

SCENARIO(Refused, TheNumberOfRetriesByDefault, kTcp46.Needs({SP_CAP_KNOBS}), refused::syn_count_default) {
  {
    Socket socket = net.NewConnecting();
    CHECK_REQUIREMENT(refused::syn_count_default, Same(Must(socket.Get(SP_TCP_SYNCNT)).integer, Knob::Value(SP_KNOB_SYN_RETRIES),
                                                       "TCP_SYNCNT of a new socket against the system's"));
  }
  const Knob other(SP_KNOB_SYN_RETRIES, 4);
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(refused::syn_count_default, Same(Must(socket.Get(SP_TCP_SYNCNT)).integer, int64_t{4},
                                                     "TCP_SYNCNT of a new socket, the system's being 4"));
}

// A private network has no route but that to itself; elsewhere an attempt might leave the machine.
SCENARIO(Refused, NoRouteLeadsThere, kTcp46.Needs({SP_CAP_KNOBS}), refused::unreachable, refused::unreachable_seen) {
  // Addresses that the standards keep for documentation.
  const Address nowhere = net.connect_family == SP_INET
                              ? Address::Inet({192, 0, 2, 1}, 9)
                              : Address::Inet6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 9);
  Socket blocking = net.NewConnecting();
  Socket nonblocking = net.NewConnecting(SP_NONBLOCKING);
  for (Socket* socket : {&nonblocking, &blocking}) {
    const Result result = socket->Connect(nowhere);
    CHECK_REQUIREMENT(refused::unreachable, result);
    CHECK_REQUIREMENT(refused::unreachable_seen, result);
  }
}

SCENARIO(Refused, DatagramsToNobody, kDatagrams, refused::datagram, refused::datagram_once) {
  // The port is taken by a socket that receives from itself alone: for everybody else nobody is there.
  Listener hermit = BoundOn(net);
  static_cast<void>(Must(hermit.socket.Connect(hermit.address)));
  const auto told = [&] {
    Socket socket = net.NewConnecting(SP_NONBLOCKING);
    static_cast<void>(Must(socket.Connect(hermit.address)));
    static_cast<void>(Must(socket.SendBytes("anybody?")));
    // It is writable all the time, so the error is waited for by itself.
    static_cast<void>(WaitUntil([&] { return Events(socket, 0) != 0; }, Patience(), "the refusal"));
    return socket;
  };
  Socket by_option = told();
  CHECK_REQUIREMENT(refused::datagram, by_option.TakeError());
  Socket by_recv = told();
  CHECK_REQUIREMENT(refused::datagram, by_recv.Recv(10).Seen());
  CHECK_REQUIREMENT(refused::datagram_once, by_recv.Recv(10).Seen());
  Socket by_send = told();
  CHECK_REQUIREMENT(refused::datagram, by_send.SendBytes("anybody now?"));
}

}  // namespace sockproof
