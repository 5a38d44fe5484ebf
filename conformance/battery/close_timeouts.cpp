// What time does to a connection: TIME-WAIT, FIN-WAIT-2 and TCP_LINGER2, peers that are gone, TCP_USER_TIMEOUT, keep-alives.
#include "battery/ends.h"
#include "battery/scenario.h"
#include "catalogue/close.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// Clock ticks and the rounding of timers, of which a time-out may be short.
constexpr milliseconds kGrain{10};
// Long against the retransmission time-out (some 200 ms on loopback), from which the clock of a user time-out may start
// and below which the life of FIN-WAIT-2 is not cut: what a busy machine adds to that must stay far from the upper bound.
constexpr milliseconds kUserTimeOut{1500};
constexpr seconds kFinWait2{2};

// Ends the connection in good order; `first` closes first and is left in TIME-WAIT.
void EndInOrder(Socket& first, Socket& last) {
  static_cast<void>(Must(first.Shutdown(SP_SHUT_WR)));
  MustEnd(last);
  static_cast<void>(Must(last.Close()));
  MustEnd(first);
  static_cast<void>(Must(first.Close()));
}

Result TryBind(const Flavor& net, const Address& address, bool reuse = false) {
  Socket socket = net.NewConnecting();
  if (reuse) static_cast<void>(Must(socket.Set(SP_SO_REUSEADDR, 1)));
  return socket.Bind(address);
}

// How the connection of `socket` ends when `span` is over, beginning with `watch`.
struct Ending {
  Outcome time;
  Outcome readiness;
  Outcome error;
};
Ending WatchEnding(Socket& socket, const Stopwatch& watch, Nanoseconds span, Nanoseconds grain = kGrain) {
  const bool ready = (Events(socket, SP_IN, Patience() + span) & SP_IN) != 0;
  const Outcome time = Timing(watch, span, grain);
  return {time, Readiness(ready), ready ? NextSeen(socket) : Outcome(outcome::still_blocked)};
}

}  // namespace

// ---- TIME-WAIT and FIN-WAIT-2 ------------------------------------------------------------------------------------------

SCENARIO(Close, TimeWait, kTcp46, close::time_wait_bind, close::time_wait_reuse_later, close::passive_bind) {
  Pair pair = BoundClientPair(net);
  const Address active = pair.client.LocalAddress(), passive = pair.server.LocalAddress();
  static_cast<void>(Must(pair.listener.socket.Close()));
  EndInOrder(pair.client, pair.server);
  CHECK_REQUIREMENT(close::time_wait_bind, TryBind(net, active));
  CHECK_REQUIREMENT(close::time_wait_reuse_later, TryBind(net, active, true));
  // The acknowledgment of the last FIN may still be on its way.
  WaitUntil([&] { return TryBind(net, passive).ok(); }, Patience(), "the passive end to be gone");
  CHECK_REQUIREMENT(close::passive_bind, TryBind(net, passive));
}

SCENARIO(Close, TimeWaitOfAServer, kTcp46, close::time_wait_bind, close::time_wait_reuse) {
  Listener listener = BoundOn(net);
  static_cast<void>(Must(listener.socket.Set(SP_SO_REUSEADDR, 1)));
  static_cast<void>(Must(listener.socket.Listen(4)));
  Pair pair = ConnectedPair(std::move(listener), net);
  const Address address = pair.server.LocalAddress();
  static_cast<void>(Must(pair.listener.socket.Close()));
  EndInOrder(pair.server, pair.client);
  CHECK_REQUIREMENT(close::time_wait_bind, TryBind(net, address));
  Socket next = net.NewListening();
  static_cast<void>(Must(next.Set(SP_SO_REUSEADDR, 1)));
  CHECK_REQUIREMENT(close::time_wait_reuse, next.Bind(address));
  CHECK_REQUIREMENT(close::time_wait_reuse, next.Listen(4));
}

SCENARIO(Close, FinWait, kTcp46, close::fin_wait_bind) {
  Pair pair = BoundClientPair(net);
  const Address address = pair.client.LocalAddress();
  static_cast<void>(Must(pair.client.Close()));
  MustEnd(pair.server);
  CHECK_REQUIREMENT(close::fin_wait_bind, TryBind(net, address));
}

SCENARIO(Close, Linger2Option, kTcp, close::linger2_option, close::linger2_negative, close::linger2_maximum) {
  Socket socket = net.NewConnecting();
  const auto set = [&socket](int64_t value) {
    static_cast<void>(Must(socket.Set(SP_TCP_LINGER2, value)));
    return Must(socket.Get(SP_TCP_LINGER2)).integer;
  };
  for (const int64_t value : {1, 7, 60}) CHECK_REQUIREMENT(close::linger2_option, Same(set(value), value, "TCP_LINGER2"));
  CHECK_REQUIREMENT(close::linger2_negative, Outcome::OfNumber(set(-5)));
  CHECK_REQUIREMENT(close::linger2_maximum, Outcome::OfNumber(set(1000)));
}

SCENARIO(Close, Linger2Default, kTcp4.Needs({SP_CAP_KNOBS}), close::linger2_default, close::linger2_zero) {
  const Knob shorter(SP_KNOB_FIN_TIMEOUT, 23);
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(close::linger2_default, Same(Must(socket.Get(SP_TCP_LINGER2)).integer, int64_t{23}, "at first"));
  static_cast<void>(Must(socket.Set(SP_TCP_LINGER2, 5)));
  static_cast<void>(Must(socket.Set(SP_TCP_LINGER2, 0)));
  CHECK_REQUIREMENT(close::linger2_zero, Same(Must(socket.Get(SP_TCP_LINGER2)).integer, int64_t{23}, "set to zero"));
}

SCENARIO(Close, Linger2Ends, kTcp46.Waits(milliseconds(2050)), close::linger2_effect, close::linger2_effect_peer) {
  Pair pair = BoundClientPair(net);
  const Address address = pair.client.LocalAddress();
  static_cast<void>(Must(pair.client.Set(SP_TCP_LINGER2, kFinWait2.count())));
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.server);
  const Stopwatch watch;
  static_cast<void>(Must(pair.client.Close()));
  WaitUntil([&] { return TryBind(net, address).ok(); }, Patience(), "the address to be free");
  CHECK_REQUIREMENT(close::linger2_effect, Timing(watch, kFinWait2, kGrain));
  const Result first = pair.server.SendBytes("late");
  if (first.ok()) BreaksOff(pair.server);
  CHECK_REQUIREMENT(close::linger2_effect_peer, first.ok() ? pair.server.SendBytes("later") : first);
}

SCENARIO(Close, Linger2Aborts, kTcp46, close::linger2_abort) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Set(SP_TCP_LINGER2, -1)));
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.server);
  static_cast<void>(Must(pair.client.Close()));
  BreaksOff(pair.server);
  CHECK_REQUIREMENT(close::linger2_abort, pair.server.SendBytes("late"));
}

// ---- Peers that are gone ----------------------------------------------------------------------------------------------

SCENARIO(Close, HalfOpen, kTcp46.Needs({SP_CAP_SILENCE}), close::half_open) {
  Pair pair = ConnectedPair(net);
  Silence deaf(pair.server);
  Abort(pair.client);  // its reset is lost
  deaf.Lift();
  static_cast<void>(Must(pair.server.SendBytes("anybody there?")));
  CHECK_REQUIREMENT(close::half_open, NextSeen(pair.server));
}

SCENARIO(Close, ConnectingOverTheOldConnection, kTcp46.Needs({SP_CAP_SILENCE}).Waits(milliseconds(50)), close::half_open_connect,
         close::last_ack_connect) {
  for (const bool last_ack : {false, true}) {
    Pair pair = BoundClientPair(net);
    const Address address = pair.client.LocalAddress();
    Silence deaf(pair.server);
    if (last_ack) {
      deaf.Lift();
      static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
      MustEnd(pair.server);
      // The client does not hear the server's FIN, so the server stays in LAST-ACK.
      const Silence deaf_client(pair.client);
      static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
      Silence deaf_again(pair.server);
      Abort(pair.client);
      deaf_again.Lift();
    } else {
      Abort(pair.client);
      deaf.Lift();
    }
    Socket next = net.NewConnecting();
    static_cast<void>(Must(next.Bind(address)));
    auto connecting = Spawn("connect", [&] { return next.Connect(pair.listener.address); });
    const bool back = connecting.DoneWithin(Patience());
    CHECK_REQUIREMENT(last_ack ? close::last_ack_connect : close::half_open_connect,
                      back ? Outcome(connecting.Join()) : Outcome(outcome::still_blocked));
  }
}

SCENARIO(Close, UserTimeOutOption, kTcp, close::user_timeout_option, close::user_timeout_default, close::user_timeout_negative) {
  Pair pair = ConnectedPair(net);
  Socket fresh = net.NewConnecting();
  for (Socket* socket : {&fresh, &pair.client, &pair.server}) {
    CHECK_REQUIREMENT(close::user_timeout_default, Outcome::OfNumber(Must(socket->Get(SP_TCP_USER_TIMEOUT)).integer));
    for (const int64_t value : {1, 1234, 600000, 0}) {
      static_cast<void>(Must(socket->Set(SP_TCP_USER_TIMEOUT, value)));
      CHECK_REQUIREMENT(close::user_timeout_option, Same(Must(socket->Get(SP_TCP_USER_TIMEOUT)).integer, value, "when set"));
    }
    CHECK_REQUIREMENT(close::user_timeout_negative, socket->Set(SP_TCP_USER_TIMEOUT, -1));
  }
}

SCENARIO(Close, UserTimeOutUnacknowledged, kTcp46.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1950)),
         close::user_timeout_unacknowledged, close::timeout_error, close::timeout_readiness) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Set(SP_TCP_USER_TIMEOUT, kUserTimeOut.count())));
  const Silence deaf(pair.server);
  const Stopwatch watch;
  static_cast<void>(Must(pair.client.SendBytes("anybody there?")));
  const Ending ending = WatchEnding(pair.client, watch, kUserTimeOut);
  CHECK_REQUIREMENT(close::user_timeout_unacknowledged, ending.time);
  CHECK_REQUIREMENT(close::timeout_error, ending.error);
  CHECK_REQUIREMENT(close::timeout_readiness, ending.readiness);
}

SCENARIO(Close, UserTimeOutClosedWindow, kTcp46.Waits(milliseconds(2000)), close::user_timeout_window, close::timeout_error,
         close::timeout_readiness) {
  Pair pair = NarrowPair(net);
  static_cast<void>(Must(pair.client.Set(SP_TCP_USER_TIMEOUT, kUserTimeOut.count())));
  const Stopwatch watch;
  FillSendPath(pair.client);
  // The time begins when the window closes, which is some time after the first byte, and ends with a probe of the window.
  const Ending ending = WatchEnding(pair.client, watch, kUserTimeOut, milliseconds(250));
  CHECK_REQUIREMENT(close::user_timeout_window, ending.time);
  CHECK_REQUIREMENT(close::timeout_error, ending.error);
  CHECK_REQUIREMENT(close::timeout_readiness, ending.readiness);
}

SCENARIO(Close, UserTimeOutOfAFin, kTcp46.Needs({SP_CAP_SILENCE}).Waits(milliseconds(1950)), close::user_timeout_fin,
         close::timeout_error, close::timeout_readiness) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Set(SP_TCP_USER_TIMEOUT, kUserTimeOut.count())));
  const Silence deaf(pair.server);
  const Stopwatch watch;
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  const Ending ending = WatchEnding(pair.client, watch, kUserTimeOut);
  CHECK_REQUIREMENT(close::user_timeout_fin, ending.time);
  CHECK_REQUIREMENT(close::timeout_error, ending.error);
  CHECK_REQUIREMENT(close::timeout_readiness, ending.readiness);
}

// ---- Keep-alives ------------------------------------------------------------------------------------------------------

SCENARIO(Close, KeepAliveOptions, kTcp, close::keepalive_default, close::keepalive_switch, close::keepalive_options,
         close::keepalive_limits) {
  Pair pair = ConnectedPair(net);
  Socket fresh = net.NewConnecting();
  for (Socket* socket : {&fresh, &pair.client, &pair.server}) {
    const auto get = [socket](int32_t option) { return Must(socket->Get(option)).integer; };
    CHECK_REQUIREMENT(close::keepalive_default, Outcome::OfNumber(get(SP_SO_KEEPALIVE)));
    for (const int64_t on : {1, 0, 1}) {
      static_cast<void>(Must(socket->Set(SP_SO_KEEPALIVE, on)));
      CHECK_REQUIREMENT(close::keepalive_switch, Same(get(SP_SO_KEEPALIVE) != 0, on != 0, "SO_KEEPALIVE"));
    }
    for (const int32_t option : {SP_TCP_KEEPIDLE, SP_TCP_KEEPINTVL, SP_TCP_KEEPCNT}) {
      for (const int64_t value : {1, 100, 127}) {
        static_cast<void>(Must(socket->Set(option, value)));
        CHECK_REQUIREMENT(close::keepalive_options, Same(get(option), value, "a keep-alive option"));
      }
      for (const int64_t value : {-1, 0, option == SP_TCP_KEEPCNT ? 128 : 32768}) {
        CHECK_REQUIREMENT(close::keepalive_limits, socket->Set(option, value));
      }
    }
  }
}

// In a private network, where nobody has set the machine's own default.
SCENARIO(Close, KeepAliveIdleDefault, kTcp.Needs({SP_CAP_KNOBS}), close::keepalive_idle_default) {
  Pair pair = ConnectedPair(net);
  Socket fresh = net.NewConnecting();
  for (Socket* socket : {&fresh, &pair.client, &pair.server}) {
    const int64_t idle = Must(socket->Get(SP_TCP_KEEPIDLE)).integer;
    CHECK_REQUIREMENT(close::keepalive_idle_default, Holds(idle >= 7200, fmt::format("{} s", idle)));
  }
}

SCENARIO(Close, KeepAlive, kTcp46.Needs({SP_CAP_SILENCE}).Waits(milliseconds(3100)), close::keepalive_dead,
         close::keepalive_dead_broken, close::keepalive_live, close::keepalive_off) {
  constexpr int kProbes = 2;
  const auto keep = [](Socket& socket) {
    for (const int32_t option : {SP_TCP_KEEPIDLE, SP_TCP_KEEPINTVL}) static_cast<void>(Must(socket.Set(option, 1)));
    static_cast<void>(Must(socket.Set(SP_TCP_KEEPCNT, kProbes)));
    static_cast<void>(Must(socket.Set(SP_SO_KEEPALIVE, 1)));
  };
  // Three connections side by side: a dead peer, one that answers, and a dead one that nobody asks.
  Pair live = ConnectedPair(net), off = ConnectedPair(net), dead = ConnectedPair(net);
  const Silence deaf_dead(dead.server);
  Silence deaf_off(off.server);
  keep(live.client);
  const Stopwatch watch;
  keep(dead.client);
  const Ending ending = WatchEnding(dead.client, watch, seconds(1 + kProbes));
  CHECK_REQUIREMENT(close::keepalive_dead, ending.time);
  CHECK_REQUIREMENT(close::keepalive_dead_broken, ending.error);
  const auto alive = [](Socket& from, Socket& to) {
    const Result sent = from.SendBytes("!");
    if (!sent.ok()) return Outcome(sent);
    const Outcome seen = NextSeen(to);
    return seen.name() == outcome::data.text ? Outcome(outcome::alive) : seen;
  };
  CHECK_REQUIREMENT(close::keepalive_live, alive(live.server, live.client));
  deaf_off.Lift();
  CHECK_REQUIREMENT(close::keepalive_off, alive(off.client, off.server));
}

}  // namespace sockproof
