// What an accepted socket has from its listener. Whether something may be inherited stands in the catalogue; here it is seen.
#include "catalogue/inherit.h"

#include <cstdlib>

#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// One value of an option, in a form that can be compared and shown.
std::string Value(Socket& socket, int32_t option) {
  const OptionResult got = socket.Get(option);
  if (!got.ok()) return Outcome(got).name();
  switch (option) {
    case SP_SO_LINGER:
      return fmt::format("{},{}", got.linger_on ? "on" : "off", got.linger_seconds);
    case SP_SO_RCVTIMEO:
    case SP_SO_SNDTIMEO:
      return fmt::format("{} us", std::chrono::duration_cast<std::chrono::microseconds>(got.duration).count());
    case SP_TCP_CONGESTION:
    case SP_SO_BINDTODEVICE:
      return got.bytes.c_str();  // up to the first NUL
    default:
      return fmt::format("{}", got.integer);
  }
}

struct Setting {
  const Requirement* requirement;
  int32_t option;
  int64_t value;  // what is set: a number, seconds for a time
  const char* bytes = nullptr;
};

Result Apply(Socket& socket, const Setting& setting) {
  switch (setting.option) {
    case SP_SO_LINGER:
      return socket.SetLinger(true, static_cast<int32_t>(setting.value));
    case SP_SO_RCVTIMEO:
    case SP_SO_SNDTIMEO:
      return socket.SetDuration(setting.option, seconds(setting.value));
    case SP_TCP_CONGESTION:
    case SP_SO_BINDTODEVICE:
      return socket.SetBytes(setting.option, setting.bytes);
    default:
      return socket.Set(setting.option, setting.value);
  }
}

// Compares what the accepted socket has with what the listener and a new socket have.
Outcome Compare(const std::string& child, const std::string& listener, const std::string& fresh) {
  const std::string detail = fmt::format("listener {}, accepted socket {}, new socket {}", listener, child, fresh);
  if (child == listener) return Outcome(outcome::inherited, detail);
  return Outcome(child == fresh ? outcome::not_inherited : outcome::changed, detail);
}

// Sets all of these on a listener before it is bound, and looks at what the socket of a connection has of them.
void CheckSettings(const Flavor& net, std::initializer_list<Setting> settings) {
  Socket fresh = net.NewListening();
  Listener listener;
  listener.socket = net.NewListening();
  std::vector<Outcome> refused;
  for (const Setting& setting : settings) refused.push_back(Apply(listener.socket, setting));
  Step(listener.socket.Bind(net.ToBind()));
  Step(listener.socket.Listen(4));
  listener.address = net.ToReach(listener.socket.LocalAddress());
  std::vector<std::string> on_listener;
  for (const Setting& setting : settings) on_listener.push_back(Value(listener.socket, setting.option));
  Socket client = ConnectTo(listener, net);
  Socket server = Must(AcceptNow(listener.socket));
  std::size_t i = 0;
  for (const Setting& setting : settings) {
    const Outcome seen = Compare(Value(server, setting.option), on_listener[i], Value(fresh, setting.option));
    CHECK_REQUIREMENT(*setting.requirement, refused[i].name() == "ok" ? seen : refused[i]);
    ++i;
  }
}

uint32_t Modes(Socket& socket) { return static_cast<uint32_t>(Must(socket.GetModes()).value()); }

Outcome HasMode(Socket& child, uint32_t mode) {
  const uint32_t modes = Modes(child);
  return Outcome((modes & mode) != 0 ? outcome::inherited : outcome::not_inherited, fmt::format("modes {}", ModeNames(modes)));
}

Listener ListenWith(const Flavor& net, uint32_t modes) {
  Listener listener;
  listener.socket = net.NewListening(modes);
  Step(listener.socket.Bind(net.ToBind()));
  Step(listener.socket.Listen(4));
  listener.address = net.ToReach(listener.socket.LocalAddress());
  return listener;
}

}  // namespace

SCENARIO(Inherit, TheSameKindOfSocket, kConnections, inherit::type, inherit::family, inherit::protocol,
         inherit::no_pending_error) {
  Pair pair = ConnectedPair(net);
  const auto same = [](const std::string& child, const std::string& listener) { return Compare(child, listener, "none"); };
  CHECK_REQUIREMENT(inherit::type, same(Value(pair.server, SP_SO_TYPE), Value(pair.listener.socket, SP_SO_TYPE)));
  CHECK_REQUIREMENT(inherit::family, same(fmt::format("{}", FamilyName(pair.server.LocalAddress().family())),
                                          fmt::format("{}", FamilyName(pair.listener.socket.LocalAddress().family()))));
  CHECK_REQUIREMENT(inherit::protocol, same(Value(pair.server, SP_SO_PROTOCOL), Value(pair.listener.socket, SP_SO_PROTOCOL)));
  CHECK_REQUIREMENT(inherit::no_pending_error, pair.server.TakeError());
}

SCENARIO(Inherit, Flags, kConnections, inherit::nonblocking, inherit::close_on_exec) {
  for (const bool at_creation : {true, false}) {
    Listener listener = ListenWith(net, at_creation ? uint32_t{SP_NONBLOCKING | SP_CLOSE_ON_EXEC} : 0u);
    if (!at_creation) Step(listener.socket.SetModes(SP_NONBLOCKING | SP_CLOSE_ON_EXEC));
    for (const int32_t form : {0, 1}) {
      Socket client = ConnectAndTell(listener, net, "x");
      AcceptOptions options;
      options.form = form;
      Socket server = Must(AcceptNow(listener.socket, options));
      CHECK_REQUIREMENT(inherit::nonblocking, HasMode(server, SP_NONBLOCKING));
      CHECK_REQUIREMENT(inherit::close_on_exec, HasMode(server, SP_CLOSE_ON_EXEC));
    }
  }
}

SCENARIO(Inherit, AsyncFlag, kConnections, inherit::async) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_ASYNC));
  Socket client = ConnectTo(listener, net);
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(inherit::async, HasMode(server, SP_ASYNC));
}

SCENARIO(Inherit, ChildOfANonBlockingListenerWaits, kConnections.Needs({SP_CAP_THREADS}).Waits(milliseconds(30)),
         inherit::nonblocking_child_waits) {
  Listener listener = ListenWith(net, SP_NONBLOCKING);
  Socket client = ConnectTo(listener, net);
  WaitQueued(listener, net, 1);
  Socket server = Must(AcceptNow(listener.socket));
  auto receiving = Spawn("recv", [&] { return server.Recv(10); });
  receiving.WaitBlocked();
  LetQuietTimePass(milliseconds(30));
  const bool waited = !receiving.Done();
  Step(client.SendBytes("x"));
  const Outcome outcome = Settled(receiving);
  CHECK_REQUIREMENT(inherit::nonblocking_child_waits,
                    Holds(waited && outcome.name() == "ok", (waited ? "waited, " : "did not wait, ") + outcome.name()));
}

SCENARIO(Inherit, ChildOfANonBlockingListenerDoesNotWait, kConnections.Needs({SP_CAP_THREADS}), inherit::nonblocking_child) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Socket client = ConnectTo(listener, net);
  WaitQueued(listener, net, 1);
  Socket server = Must(AcceptNow(listener.socket));
  auto receiving = Spawn("recv", [&] { return server.Recv(10); });
  if (receiving.DoneWithin(milliseconds(200))) {
    CHECK_REQUIREMENT(inherit::nonblocking_child, receiving.Join());
    return;
  }
  CHECK_REQUIREMENT(inherit::nonblocking_child, outcome::still_blocked);
  Step(client.SendBytes("x"));
  static_cast<void>(receiving.Join());
}

SCENARIO(Inherit, ListenerKeepsItsFlags, kConnections, inherit::listener_keeps_flags) {
  for (const uint32_t modes : {0u, uint32_t{SP_NONBLOCKING | SP_CLOSE_ON_EXEC}}) {
    Listener listener = ListenWith(net, modes);
    for (const uint32_t asked : {0u, uint32_t{SP_NONBLOCKING | SP_CLOSE_ON_EXEC}}) {
      Socket client = ConnectAndTell(listener, net, "x");
      AcceptOptions options;
      options.form = 1;
      options.modes = asked;
      Socket server = Must(AcceptNow(listener.socket, options));
      CHECK_REQUIREMENT(inherit::listener_keeps_flags,
                        Same(ModeNames(Modes(listener.socket)), ModeNames(modes), "flags of the listener"));
    }
  }
}

SCENARIO(Inherit, EachForItself, kConnections, inherit::child_flags_are_its_own, inherit::child_options_are_its_own) {
  Listener listener = ListenOn(net);
  Socket one_client = ConnectTo(listener, net);
  Socket one = Must(AcceptNow(listener.socket));
  Socket other_client = ConnectTo(listener, net);
  Socket other = Must(AcceptNow(listener.socket));
  Step(one.SetModes(SP_NONBLOCKING | SP_CLOSE_ON_EXEC));
  CHECK_REQUIREMENT(inherit::child_flags_are_its_own,
                    Same(ModeNames(Modes(listener.socket)), std::string("0"), "flags of the listener"));
  CHECK_REQUIREMENT(inherit::child_flags_are_its_own, Same(ModeNames(Modes(other)), std::string("0"), "flags of the sibling"));
  Step(one.Set(SP_SO_KEEPALIVE, 1));
  Step(one.SetLinger(true, 3));
  for (Socket* socket : {&listener.socket, &other}) {
    const std::string values = Value(*socket, SP_SO_KEEPALIVE) + " " + Value(*socket, SP_SO_LINGER).substr(0, 3);
    CHECK_REQUIREMENT(
        inherit::child_options_are_its_own,
        Same(values, std::string("0 off"), socket == &other ? "options of the sibling" : "options of the listener"));
  }
  Socket third_client = ConnectTo(listener, net);
  Socket third = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(inherit::child_options_are_its_own,
                    Same(Value(third, SP_SO_KEEPALIVE), std::string("0"), "a connection that came later"));
}

SCENARIO(Inherit, DocumentedOptions, kTcp, inherit::tcp_user_timeout, inherit::so_rcvbuf, inherit::so_sndbuf,
         inherit::tcp_congestion) {
  // Another algorithm than the one that new sockets have; reno is always there.
  Socket fresh = net.NewListening();
  const char* other = Value(fresh, SP_TCP_CONGESTION) == "reno" ? "cubic" : "reno";
  CheckSettings(net, {{&inherit::tcp_user_timeout, SP_TCP_USER_TIMEOUT, 4321},
                      {&inherit::so_rcvbuf, SP_SO_RCVBUF, 30000},
                      {&inherit::so_sndbuf, SP_SO_SNDBUF, 30000},
                      {&inherit::tcp_congestion, SP_TCP_CONGESTION, 0, other}});
}

SCENARIO(Inherit, MaximumSegmentSize, kTcp, inherit::tcp_maxseg_peer, inherit::tcp_maxseg_own) {
  constexpr int64_t kSize = 700;
  Listener listener = BoundOn(net);
  Step(listener.socket.Set(SP_TCP_MAXSEG, kSize));
  Step(listener.socket.Listen(4));
  Socket client = ConnectTo(listener, net);
  Socket server = Must(AcceptNow(listener.socket));
  const int64_t peer = Must(client.Get(SP_TCP_MAXSEG)).integer, own = Must(server.Get(SP_TCP_MAXSEG)).integer;
  CHECK_REQUIREMENT(inherit::tcp_maxseg_peer,
                    Holds(peer <= kSize, fmt::format("segments of {} bytes from the client, {} set", peer, kSize)));
  CHECK_REQUIREMENT(inherit::tcp_maxseg_own,
                    Holds(own <= kSize, fmt::format("segments of {} bytes to the client, {} set", own, kSize)));
}

SCENARIO(Inherit, MulticastGroup, kTcp46, inherit::multicast_group) {
  const bool six = net.listen_family == SP_INET6;
  const Address group =
      six ? Address::Inet6({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb}, 0) : Address::Inet({224, 0, 0, 251}, 0);
  Listener listener = BoundOn(net);
  const Result joined = listener.socket.SetAddress(six ? SP_IPV6_ADD_MEMBERSHIP : SP_IP_ADD_MEMBERSHIP, group);
  if (!joined.ok()) {
    CHECK_REQUIREMENT(inherit::multicast_group, Outcome(outcome::refused, joined.text()));
    return;
  }
  Step(listener.socket.Listen(4));
  Socket client = ConnectTo(listener, net);
  Socket server = Must(AcceptNow(listener.socket));
  // Who can leave is a member.
  const Result left = server.SetAddress(six ? SP_IPV6_DROP_MEMBERSHIP : SP_IP_DROP_MEMBERSHIP, group);
  CHECK_REQUIREMENT(inherit::multicast_group, Outcome(left.ok() ? outcome::inherited : outcome::not_inherited, left.text()));
}

SCENARIO(Inherit, SocketOptions, kTcp, inherit::so_keepalive, inherit::so_linger, inherit::so_oobinline, inherit::so_reuseaddr,
         inherit::so_reuseport, inherit::so_dontroute, inherit::so_broadcast, inherit::so_rcvlowat) {
  CheckSettings(net, {{&inherit::so_keepalive, SP_SO_KEEPALIVE, 1},
                      {&inherit::so_linger, SP_SO_LINGER, 9},
                      {&inherit::so_oobinline, SP_SO_OOBINLINE, 1},
                      {&inherit::so_reuseaddr, SP_SO_REUSEADDR, 1},
                      {&inherit::so_reuseport, SP_SO_REUSEPORT, 1},
                      {&inherit::so_dontroute, SP_SO_DONTROUTE, 1},
                      {&inherit::so_broadcast, SP_SO_BROADCAST, 1},
                      {&inherit::so_rcvlowat, SP_SO_RCVLOWAT, 7}});
}

// Those that every implementation has which knows options at all: nothing else that is missing keeps them from being seen.
SCENARIO(Inherit, CommonOptions, kTcp, inherit::so_keepalive, inherit::so_linger, inherit::so_oobinline, inherit::so_reuseaddr,
         inherit::so_rcvbuf, inherit::so_sndbuf, inherit::tcp_nodelay) {
  CheckSettings(net, {{&inherit::so_keepalive, SP_SO_KEEPALIVE, 1},
                      {&inherit::so_linger, SP_SO_LINGER, 9},
                      {&inherit::so_oobinline, SP_SO_OOBINLINE, 1},
                      {&inherit::so_reuseaddr, SP_SO_REUSEADDR, 1},
                      {&inherit::so_rcvbuf, SP_SO_RCVBUF, 50000},
                      {&inherit::so_sndbuf, SP_SO_SNDBUF, 50000},
                      {&inherit::tcp_nodelay, SP_TCP_NODELAY, 1}});
}

SCENARIO(Inherit, TimesAlone, kTcp, inherit::so_rcvtimeo, inherit::so_sndtimeo) {
  CheckSettings(net, {{&inherit::so_rcvtimeo, SP_SO_RCVTIMEO, 7}, {&inherit::so_sndtimeo, SP_SO_SNDTIMEO, 8}});
}

SCENARIO(Inherit, KeepAliveTimes, kTcp, inherit::tcp_keepidle, inherit::tcp_keepintvl, inherit::tcp_keepcnt) {
  CheckSettings(net, {{&inherit::tcp_keepidle, SP_TCP_KEEPIDLE, 77},
                      {&inherit::tcp_keepintvl, SP_TCP_KEEPINTVL, 33},
                      {&inherit::tcp_keepcnt, SP_TCP_KEEPCNT, 4}});
}

SCENARIO(Inherit, TimesAndMarks, kTcp, inherit::so_rcvtimeo, inherit::so_sndtimeo, inherit::so_timestamp, inherit::so_rxq_ovfl,
         inherit::so_bindtodevice, inherit::so_priority) {
  CheckSettings(net, {{&inherit::so_rcvtimeo, SP_SO_RCVTIMEO, 7},
                      {&inherit::so_sndtimeo, SP_SO_SNDTIMEO, 8},
                      {&inherit::so_timestamp, SP_SO_TIMESTAMP, 1},
                      {&inherit::so_rxq_ovfl, SP_SO_RXQ_OVFL, 1},
                      {&inherit::so_bindtodevice, SP_SO_BINDTODEVICE, 0, "lo"},
                      {&inherit::so_priority, SP_SO_PRIORITY, 3}});
}

SCENARIO(Inherit, TcpOptions, kTcp, inherit::tcp_nodelay, inherit::tcp_cork, inherit::tcp_keepidle, inherit::tcp_keepintvl,
         inherit::tcp_keepcnt, inherit::tcp_syncnt, inherit::tcp_linger2, inherit::tcp_window_clamp) {
  CheckSettings(net, {{&inherit::tcp_nodelay, SP_TCP_NODELAY, 1},
                      {&inherit::tcp_cork, SP_TCP_CORK, 1},
                      {&inherit::tcp_keepidle, SP_TCP_KEEPIDLE, 77},
                      {&inherit::tcp_keepintvl, SP_TCP_KEEPINTVL, 33},
                      {&inherit::tcp_keepcnt, SP_TCP_KEEPCNT, 4},
                      {&inherit::tcp_syncnt, SP_TCP_SYNCNT, 3},
                      {&inherit::tcp_linger2, SP_TCP_LINGER2, 11},
                      {&inherit::tcp_window_clamp, SP_TCP_WINDOW_CLAMP, 20000}});
}

SCENARIO(Inherit, MoreTcpOptions, kTcp, inherit::tcp_notsent_lowat, inherit::tcp_save_syn, inherit::tcp_fastopen) {
  CheckSettings(net, {{&inherit::tcp_notsent_lowat, SP_TCP_NOTSENT_LOWAT, 5000},
                      {&inherit::tcp_save_syn, SP_TCP_SAVE_SYN, 1},
                      {&inherit::tcp_fastopen, SP_TCP_FASTOPEN, 5}});
}

SCENARIO(Inherit, DeferredAccept, kTcp, inherit::tcp_defer_accept) {
  Socket fresh = net.NewListening();
  Listener listener = BoundOn(net);
  Step(listener.socket.Set(SP_TCP_DEFER_ACCEPT, 3));
  Step(listener.socket.Listen(4));
  Socket client = ConnectAndTell(listener, net, "x");
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(inherit::tcp_defer_accept,
                    Compare(Value(server, SP_TCP_DEFER_ACCEPT), Value(listener.socket, SP_TCP_DEFER_ACCEPT),
                            Value(fresh, SP_TCP_DEFER_ACCEPT)));
}

SCENARIO(Inherit, IpOptions, kTcp4, inherit::ip_tos, inherit::ip_ttl, inherit::ip_mtu_discover, inherit::ip_recverr,
         inherit::ip_freebind, inherit::ip_bind_address_no_port, inherit::ip_multicast_loop) {
  CheckSettings(net, {{&inherit::ip_tos, SP_IP_TOS, 0x10},
                      {&inherit::ip_ttl, SP_IP_TTL, 33},
                      {&inherit::ip_mtu_discover, SP_IP_MTU_DISCOVER, 0},
                      {&inherit::ip_recverr, SP_IP_RECVERR, 1},
                      {&inherit::ip_freebind, SP_IP_FREEBIND, 1},
                      {&inherit::ip_bind_address_no_port, SP_IP_BIND_ADDRESS_NO_PORT, 1},
                      {&inherit::ip_multicast_loop, SP_IP_MULTICAST_LOOP, 0}});
}

SCENARIO(Inherit, Ipv6Options, kInet6Only, inherit::ipv6_unicast_hops, inherit::ipv6_tclass, inherit::ipv6_recverr,
         inherit::ipv6_v6only) {
  CheckSettings(net, {{&inherit::ipv6_unicast_hops, SP_IPV6_UNICAST_HOPS, 44},
                      {&inherit::ipv6_tclass, SP_IPV6_TCLASS, 0x20},
                      {&inherit::ipv6_recverr, SP_IPV6_RECVERR, 1},
                      {&inherit::ipv6_v6only, SP_IPV6_V6ONLY, 1}});
}

SCENARIO(Inherit, InheritedTimeoutCounts, kTcp.Waits(milliseconds(100)), inherit::timeouts_take_effect) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetDuration(SP_SO_RCVTIMEO, milliseconds(100)));
  Socket client = ConnectTo(listener, net);
  Socket server = Must(AcceptNow(listener.socket));
  auto receiving = Spawn("recv", [&] { return server.Recv(10); });
  if (receiving.DoneWithin(seconds(2))) {
    CHECK_REQUIREMENT(inherit::timeouts_take_effect, receiving.Join());
    return;
  }
  CHECK_REQUIREMENT(inherit::timeouts_take_effect, outcome::still_blocked);
  Step(client.Close());
  static_cast<void>(receiving.Join());
}

SCENARIO(Inherit, UrgentDataInLine, kTcp, inherit::oobinline_takes_effect) {
  Listener listener = BoundOn(net);
  Step(listener.socket.Set(SP_SO_OOBINLINE, 1));
  Step(listener.socket.Listen(4));
  Socket client = ConnectTo(listener, net);
  Socket server = Must(AcceptNow(listener.socket));
  Step(client.SendBytes("a"));
  SendOptions urgent;
  urgent.flags |= SP_MSG_OOB;
  Step(client.SendBytes("b", urgent));
  Step(client.Shutdown(SP_SHUT_WR));
  std::string stream;
  for (int i = 0; i < 4 && WaitReady(server, SP_IN); ++i) {
    const RecvResult part = server.Recv(1);
    if (!part.ok() || part.value() == 0) break;
    stream.append(part.data.begin(), part.data.end());
  }
  CHECK_REQUIREMENT(inherit::oobinline_takes_effect, Same(stream, std::string("ab"), "the stream"));
}

SCENARIO(Inherit, SetAfterTheConnection, kTcp, inherit::set_after_connection) {
  Socket fresh = net.NewListening();
  Listener listener = ListenOn(net);
  Socket client = ConnectAndTell(listener, net, "x");
  Step(listener.socket.Set(SP_SO_KEEPALIVE, 1));
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(inherit::set_after_connection, Compare(Value(server, SP_SO_KEEPALIVE), "1", Value(fresh, SP_SO_KEEPALIVE)));
}

SCENARIO(Inherit, LocalOptions, kLocal, inherit::unix_options, inherit::unix_buffers, inherit::unix_timeouts,
         inherit::unix_linger, inherit::unix_passcred) {
  CheckSettings(net, {{&inherit::unix_options, SP_SO_KEEPALIVE, 1},
                      {&inherit::unix_options, SP_SO_OOBINLINE, 1},
                      {&inherit::unix_options, SP_SO_REUSEADDR, 1},
                      {&inherit::unix_options, SP_SO_DONTROUTE, 1},
                      {&inherit::unix_options, SP_SO_BROADCAST, 1},
                      {&inherit::unix_options, SP_SO_RCVLOWAT, 7},
                      {&inherit::unix_options, SP_SO_PRIORITY, 3},
                      {&inherit::unix_buffers, SP_SO_SNDBUF, 30000},
                      {&inherit::unix_buffers, SP_SO_RCVBUF, 30000},
                      {&inherit::unix_timeouts, SP_SO_RCVTIMEO, 7},
                      {&inherit::unix_timeouts, SP_SO_SNDTIMEO, 8},
                      {&inherit::unix_linger, SP_SO_LINGER, 9},
                      {&inherit::unix_passcred, SP_SO_PASSCRED, 1}});
}

}  // namespace sockproof
