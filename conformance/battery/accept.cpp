// accept: what it returns, the address of the peer, wrong sockets, and accept4's flags.
#include "catalogue/accept.h"

#include <algorithm>
#include <climits>

#include "battery/requests.h"
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// A client whose address is as long as its family has them: one of AF_UNIX is bound to a path.
Socket NamedClient(const Listener& listener, const Flavor& net) {
  Socket client = net.NewConnecting();
  if (net.local()) Step(client.Bind(net.ToBind()));
  Step(client.Connect(listener.address));
  return client;
}

// The address under which the listener's family knows this one.
Address AsSeenByListener(const Address& address, const Flavor& net) {
  if (!net.dual()) return address;
  return Address::V4Mapped({address.raw().bytes[0], address.raw().bytes[1], address.raw().bytes[2], address.raw().bytes[3]},
                           address.port());
}

bool AllPoison(const std::vector<uint8_t>& raw, std::size_t from) {
  for (std::size_t i = from; i < raw.size(); ++i) {
    if (raw[i] != GuardedBuffer::kPoison) return false;
  }
  return true;
}

bool SameStart(const std::vector<uint8_t>& one, const std::vector<uint8_t>& other, std::size_t length) {
  return one.size() >= length && other.size() >= length &&
         std::equal(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(length), other.begin());
}

}  // namespace

SCENARIO(Accept, ReturnsTheConnection, kConnections, accept::returns_connection, accept::data_both_ways, accept::own_descriptor,
         accept::listener_goes_on) {
  Listener listener = ListenOn(net);
  Socket first = ConnectTo(listener, net);
  AcceptResult one = AcceptNow(listener.socket);
  CHECK_REQUIREMENT(accept::returns_connection, one);
  static_cast<void>(Must(static_cast<Result>(one)));
  CHECK_REQUIREMENT(accept::data_both_ways, BothWays(first, one.socket, 1));

  Socket second = ConnectTo(listener, net);
  AcceptResult two;
  const Outcome again = AcceptSoon(listener.socket, &two, InTurn(1));
  CHECK_REQUIREMENT(accept::listener_goes_on, Holds(two.ok(), "a second accept: " + again.name()));
  static_cast<void>(Must(static_cast<Result>(two)));
  const int64_t values[] = {listener.socket.handle().value, one.socket.handle().value, two.socket.handle().value};
  CHECK_REQUIREMENT(accept::own_descriptor,
                    Holds(values[0] != values[1] && values[0] != values[2] && values[1] != values[2],
                          fmt::format("listener {}, accepted {} and {}", values[0], values[1], values[2])));
  // What goes to one comes to that one alone.
  Step(first.SendBytes("1"));
  Step(second.SendBytes("2"));
  const std::string told = Told(one.socket) + Told(two.socket);
  CHECK_REQUIREMENT(accept::data_both_ways, Same(told, std::string("12"), "two connections at the same time"));
  CHECK_REQUIREMENT(accept::data_both_ways, BothWays(second, two.socket, 2));
}

SCENARIO(Accept, FirstInFirstOut, kConnections, accept::first_in_first_out) {
  const auto waiting = static_cast<int>(QueueRoom(net, 5, 2, 16));
  const int early = std::min(2, waiting - 1);  // accepted before the last ones come
  Listener listener = ListenOn(net, 16);
  std::vector<Socket> clients, accepted;
  std::string order, expected;
  const auto come = [&](int number, int queued) {
    for (int i = 1; i <= number; ++i) {
      expected += static_cast<char>('a' + expected.size());
      clients.push_back(ConnectAndTell(listener, net, expected.substr(expected.size() - 1), queued + i));
    }
  };
  const auto take = [&](int number) {
    for (int i = 0; i < number && order == expected.substr(0, order.size()); ++i) {
      accepted.push_back(Must(AcceptNow(listener.socket, InTurn(i))));
      order += Told(accepted.back());
    }
  };
  come(waiting, 0);
  take(early);
  come(early, waiting - early);  // those that come later stand behind those that wait
  take(waiting);
  CHECK_REQUIREMENT(accept::first_in_first_out, Same(order, expected, "order of acceptance"));
}

SCENARIO(Accept, TheChildDoesNotListen, kConnections, accept::child_does_not_listen, accept::child_not_marked_listening) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(accept::child_not_marked_listening, Outcome::OfNumber(Must(pair.server.Get(SP_SO_ACCEPTCONN)).integer));
  Step(pair.server.SetModes(SP_NONBLOCKING));
  CHECK_REQUIREMENT(accept::child_does_not_listen, AcceptSoon(pair.server));
  CHECK_REQUIREMENT(accept::child_does_not_listen, AcceptSoon(pair.server, nullptr, InTurn(1)));
}

SCENARIO(Accept, TheChildOutlivesTheListener, kConnections, accept::child_outlives_listener) {
  Pair pair = ConnectedPair(net);
  Step(pair.listener.socket.Close());
  CHECK_REQUIREMENT(accept::child_outlives_listener, BothWays(pair.client, pair.server));
}

SCENARIO(Accept, TellsWhoIsThere, kTcp, accept::peer_address, accept::peer_name_agrees, accept::local_name,
         accept::reported_length) {
  Listener listener = ListenOn(net);
  NeedQueue(net, 3);
  // Several, so that an address that was kept from an earlier call is seen.
  std::vector<Socket> clients, servers;
  for (int i = 0; i < 3; ++i) clients.push_back(ConnectAndTell(listener, net, "x", i + 1));
  for (int i = 0; i < 3; ++i) {
    Socket& client = clients[static_cast<std::size_t>(i)];
    const Address expected = AsSeenByListener(client.LocalAddress(), net);
    AcceptResult accepted = AcceptNow(listener.socket, InTurn(i));
    const NameResult peer = accepted.peer;
    servers.push_back(Must(std::move(accepted)));
    CHECK_REQUIREMENT(accept::peer_address, SameAddress(peer.address, expected, "accept's address and the client's"));
    const NameResult name = servers.back().PeerName();
    CHECK_REQUIREMENT(accept::peer_name_agrees, SameAddress(Must(name), expected, "the peer's name"));
    CHECK_REQUIREMENT(accept::reported_length, Same(peer.reported, name.reported, "length from accept and from the peer's name"));
    CHECK_REQUIREMENT(accept::local_name,
                      SameAddress(servers.back().LocalAddress(), AsSeenByListener(Must(client.PeerName()), net),
                                  "the accepted socket's name and where the client is connected to"));
  }
}

SCENARIO(Accept, LocalNameUnderAWildcard, kTcp, accept::local_name, accept::peer_address) {
  Listener listener;
  listener.socket = net.NewListening();
  Step(listener.socket.Bind(Address::Any(net.listen_family)));
  Step(listener.socket.Listen(4));
  listener.address = Address::Loopback(net.connect_family, listener.socket.LocalAddress().port());
  Socket client = ConnectTo(listener, net);
  AcceptResult accepted = AcceptNow(listener.socket);
  const NameResult peer = accepted.peer;
  Socket server = Must(std::move(accepted));
  CHECK_REQUIREMENT(accept::local_name, SameAddress(server.LocalAddress(), AsSeenByListener(listener.address, net),
                                                    "the accepted socket's name and where the client connected to"));
  CHECK_REQUIREMENT(accept::peer_address,
                    SameAddress(peer.address, AsSeenByListener(client.LocalAddress(), net), "accept's address and the client's"));
}

SCENARIO(Accept, MappedPeer, kDualOnly, accept::mapped_peer) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  AcceptResult accepted = AcceptNow(listener.socket);
  const NameResult peer = accepted.peer;
  Socket server = Must(std::move(accepted));
  CHECK_REQUIREMENT(accept::mapped_peer, Holds(peer.decoded && peer.address.IsV4Mapped(), "accept: " + peer.address.ToString()));
  const Address name = Must(server.PeerName());
  CHECK_REQUIREMENT(accept::mapped_peer, Holds(name.IsV4Mapped(), "peer's name: " + name.ToString()));
}

SCENARIO(Accept, UnnamedPeer, kLocal, accept::unnamed_peer) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  AcceptResult accepted = AcceptNow(listener.socket);
  CHECK_REQUIREMENT(accept::unnamed_peer, Outcome::OfNumber(accepted.peer.reported, "length of the address"));
  static_cast<void>(Must(std::move(accepted)));
}

SCENARIO(Accept, NamedPeer, kLocal, accept::named_peer, accept::peer_name_agrees, accept::reported_length) {
  Listener listener = ListenOn(net);
  Socket client = NamedClient(listener, net);
  const Address expected = client.LocalAddress();
  AcceptResult accepted = AcceptNow(listener.socket);
  const NameResult peer = accepted.peer;
  Socket server = Must(std::move(accepted));
  const auto end = static_cast<std::size_t>(peer.reported > 0 ? peer.reported : 1);
  const bool terminated = end <= peer.raw.size() && peer.raw[end - 1] == 0;
  CHECK_REQUIREMENT(accept::named_peer, Holds(peer.address == expected && terminated,
                                              fmt::format("{} for {}, {} bytes, {}", peer.address.ToString(), expected.ToString(),
                                                          peer.reported, terminated ? "terminated" : "not terminated")));
  const NameResult name = server.PeerName();
  CHECK_REQUIREMENT(accept::peer_name_agrees, SameAddress(Must(name), expected, "the peer's name"));
  CHECK_REQUIREMENT(accept::reported_length, Same(peer.reported, name.reported, "length from accept and from the peer's name"));
}

SCENARIO(Accept, NullAddress, kConnections, accept::null_address, accept::null_address_length_untouched) {
  Listener listener = ListenOn(net);
  AcceptOptions options;
  options.peer = AskAddress::None();
  Socket first = ConnectTo(listener, net);
  AcceptResult one = AcceptNow(listener.socket, options);
  CHECK_REQUIREMENT(accept::null_address, one);
  static_cast<void>(Must(std::move(one)));
  // No address, but a length that could be written.
  options.peer = {3, 0, SP_POINTER_NULL, SP_POINTER_VALID};
  Socket second = ConnectTo(listener, net);
  AcceptResult two = AcceptNow(listener.socket, options);
  CHECK_REQUIREMENT(accept::null_address, two);
  CHECK_REQUIREMENT(accept::null_address_length_untouched, Same(two.peer.reported, 3, "the length, 3 before the call"));
}

SCENARIO(Accept, ShortAddress, kConnections, accept::short_address_is_truncated, accept::short_address_length,
         accept::short_address_keeps_connection) {
  Listener listener = ListenOn(net);
  bool truncated = true;
  std::string wrong;
  for (const int32_t length : {0, 1, 2, 3, 4, 8, 15}) {
    Socket client = NamedClient(listener, net);
    AcceptOptions options;
    options.peer.length = length;
    AcceptResult accepted;
    const Outcome outcome = AcceptSoon(listener.socket, &accepted, options);
    CHECK_REQUIREMENT(accept::short_address_keeps_connection, outcome);
    const NameResult peer = accepted.peer;
    Socket server = Must(std::move(accepted));
    const NameResult whole = server.PeerName();
    const auto room = static_cast<std::size_t>(length);
    if (!SameStart(peer.raw, whole.raw, room) || !AllPoison(peer.raw, room)) {
      truncated = false;
      wrong += fmt::format(" {}", length);
    }
    const std::string detail = fmt::format("{} bytes of room, {} reported, {} in all", length, peer.reported, whole.reported);
    if (peer.reported == whole.reported) {
      CHECK_REQUIREMENT(accept::short_address_length, Outcome(outcome::whole_length, detail));
    } else {
      CHECK_REQUIREMENT(accept::short_address_length,
                        Outcome(peer.reported == length ? outcome::stored_length : outcome::violated, detail));
    }
  }
  CHECK_REQUIREMENT(accept::short_address_is_truncated, Holds(truncated, "wrong bytes for lengths" + wrong));
}

SCENARIO(Accept, ShortAddressIsRefused, kWinsockStreams, accept::short_address_refused) {
  for (const int32_t length : {0, 1, 2, 8, 15}) {
    Listener listener = ListenOn(net);
    Asker client = Ask(listener, net);  // not all protocols complete a connect before accept
    AcceptOptions options;
    options.peer.length = length;
    CHECK_REQUIREMENT(accept::short_address_refused, AcceptSoon(listener.socket, nullptr, options));
  }
}

SCENARIO(Accept, LongAddress, kConnections, accept::long_buffer_untouched, accept::reported_length) {
  Listener listener = ListenOn(net);
  for (const int32_t length : {112, 128, 200, 256, INT_MAX}) {
    Socket client = NamedClient(listener, net);
    AcceptOptions options;
    options.peer.length = length;
    AcceptResult accepted = AcceptNow(listener.socket, options);
    // Whoever looks whether all that room is there finds out that it is not.
    if (length == INT_MAX && accepted.error() == SP_EFAULT) continue;
    const NameResult peer = accepted.peer;
    Socket server = Must(std::move(accepted));
    const NameResult whole = server.PeerName();
    const auto used = static_cast<std::size_t>(whole.reported > 0 ? whole.reported : 0);
    CHECK_REQUIREMENT(accept::long_buffer_untouched, Holds(SameStart(peer.raw, whole.raw, used) && AllPoison(peer.raw, used),
                                                           fmt::format("{} bytes of room, {} of address", length, used)));
    CHECK_REQUIREMENT(accept::reported_length,
                      Same(peer.reported, whole.reported, fmt::format("length reported with {} bytes of room", length)));
  }
}

SCENARIO(Accept, BadArguments, kConnections, accept::negative_length, accept::bad_address_pointer, accept::null_length,
         accept::bad_argument_takes_connection) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  struct Case {
    const Requirement& requirement;
    AskAddress ask;
  };
  const Case cases[] = {{accept::negative_length, {-1, 256, SP_POINTER_VALID, SP_POINTER_VALID}},
                        {accept::negative_length, {-1000000, 256, SP_POINTER_VALID, SP_POINTER_VALID}},
                        {accept::bad_address_pointer, {64, 0, SP_POINTER_INVALID, SP_POINTER_VALID}},
                        {accept::null_length, {64, 256, SP_POINTER_VALID, SP_POINTER_NULL}}};
  for (const Case& one : cases) {
    Socket client = ConnectAndTell(listener, net, "x");
    AcceptOptions options;
    options.peer = one.ask;
    CHECK_REQUIREMENT(one.requirement, AcceptNow(listener.socket, options));
    const AcceptResult left = AcceptNow(listener.socket);
    CHECK_REQUIREMENT(accept::bad_argument_takes_connection, Outcome(left.ok() ? outcome::kept : outcome::lost, left.text()));
  }
}

SCENARIO(Accept, LengthAfterAnError, kConnections, accept::length_unchanged_on_error) {
  Listener listener = BoundOn(net);
  AcceptOptions options;
  for (const int32_t length : {0, 5, 77}) {
    options.peer.length = length;
    const AcceptResult refused = AcceptNow(listener.socket, options);
    CHECK_REQUIREMENT(accept::length_unchanged_on_error,
                      Same(refused.peer.reported, length, "length after " + Outcome(refused).name()));
  }
  Step(listener.socket.Listen(4));
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  options.peer.length = 77;
  const AcceptResult empty = AcceptNow(listener.socket, options);
  CHECK_REQUIREMENT(accept::length_unchanged_on_error, Same(empty.peer.reported, 77, "length after " + Outcome(empty).name()));
}

SCENARIO(Accept, WrongDescriptor, kTcp4, accept::bad_descriptor, accept::not_a_socket) {
  Socket invalid = Socket::Wrong(SP_HANDLE_INVALID), no_socket = Socket::Wrong(SP_HANDLE_NOT_SOCKET);
  for (const int64_t turn : {0, 1}) {
    CHECK_REQUIREMENT(accept::bad_descriptor, AcceptSoon(invalid, nullptr, InTurn(turn)));
    CHECK_REQUIREMENT(accept::not_a_socket, AcceptSoon(no_socket, nullptr, InTurn(turn)));
  }
}

SCENARIO(Accept, PathDescriptor, kTcp4, accept::path_descriptor) {
  CHECK_REQUIREMENT(accept::path_descriptor, Socket::Wrong(SP_HANDLE_PATH_ONLY).Accept());
}

SCENARIO(Accept, ClosedListener, kConnections, accept::closed_listener) {
  Listener listener = ListenOn(net);
  Socket closed = Socket::Borrowed(listener.socket.handle());
  Step(listener.socket.Close());
  CHECK_REQUIREMENT(accept::closed_listener, closed.Accept());
  CHECK_REQUIREMENT(accept::closed_listener, closed.Accept(InTurn(1)));
}

SCENARIO(Accept, SocketThatDoesNotListen, kConnections, accept::not_listening, accept::client_socket) {
  // Neither mode is a reason to wait, nor to say that nothing is there.
  for (const uint32_t modes : {uint32_t{SP_NONBLOCKING}, 0u}) {
    Socket fresh = net.NewListening(modes);
    CHECK_REQUIREMENT(accept::not_listening, AcceptSoon(fresh));
    Listener bound = BoundOn(net);
    if (modes != 0) Step(bound.socket.SetModes(modes));
    CHECK_REQUIREMENT(accept::not_listening, AcceptSoon(bound.socket));
    CHECK_REQUIREMENT(accept::not_listening, AcceptSoon(bound.socket, nullptr, InTurn(1)));
  }
  Pair pair = ConnectedPair(net);
  Step(pair.client.SetModes(SP_NONBLOCKING));
  CHECK_REQUIREMENT(accept::client_socket, AcceptSoon(pair.client));
}

SCENARIO(Accept, DatagramSocket, kAllDatagrams, accept::datagram) {
  Socket fresh = net.NewListening(SP_NONBLOCKING);
  CHECK_REQUIREMENT(accept::datagram, AcceptSoon(fresh));
  Step(fresh.Bind(net.ToBind()));
  CHECK_REQUIREMENT(accept::datagram, AcceptSoon(fresh, nullptr, InTurn(1)));
}

SCENARIO(Accept, FlagsOfAccept4, kConnections, accept::flag_nonblocking, accept::flag_close_on_exec,
         accept::nonblocking_child_does_not_wait) {
  Listener listener = ListenOn(net);
  for (const uint32_t asked :
       {0u, uint32_t{SP_NONBLOCKING}, uint32_t{SP_CLOSE_ON_EXEC}, uint32_t{SP_NONBLOCKING | SP_CLOSE_ON_EXEC}}) {
    Socket client = ConnectTo(listener, net);
    AcceptOptions options;
    options.modes = asked;
    options.form = 1;
    Socket server = Must(AcceptNow(listener.socket, options));
    const auto modes = static_cast<uint32_t>(Must(server.GetModes()).value());
    const std::string detail = fmt::format("modes {:#x}, asked for {:#x}", modes, asked);
    CHECK_REQUIREMENT(accept::flag_nonblocking, Holds((modes & SP_NONBLOCKING) == (asked & SP_NONBLOCKING), detail));
    CHECK_REQUIREMENT(accept::flag_close_on_exec, Holds((modes & SP_CLOSE_ON_EXEC) == (asked & SP_CLOSE_ON_EXEC), detail));
    if ((asked & SP_NONBLOCKING) == 0) continue;
    auto receiving = Spawn("recv", [&] { return server.Recv(1); });
    CHECK_REQUIREMENT(accept::nonblocking_child_does_not_wait, Settled(receiving));
  }
}

SCENARIO(Accept, UnknownFlag, kConnections, accept::unknown_flag, accept::unknown_flag_keeps_connection) {
  Listener listener = ListenOn(net);
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  AcceptOptions options;
  options.form = 1;
  options.modes = SP_MODE_UNKNOWN_BIT;
  CHECK_REQUIREMENT(accept::unknown_flag, AcceptNow(listener.socket, options));
  Socket client = ConnectAndTell(listener, net, "x");
  CHECK_REQUIREMENT(accept::unknown_flag, AcceptNow(listener.socket, options));
  options.modes |= SP_NONBLOCKING | SP_CLOSE_ON_EXEC;
  CHECK_REQUIREMENT(accept::unknown_flag, AcceptNow(listener.socket, options));
  const AcceptResult left = AcceptNow(listener.socket);
  CHECK_REQUIREMENT(accept::unknown_flag_keeps_connection, Outcome(left.ok() ? outcome::kept : outcome::lost, left.text()));
}

SCENARIO(Accept, AcceptConn, kConnections, accept::acceptconn_fresh, accept::acceptconn_listening, accept::acceptconn_value) {
  Listener listener;
  listener.socket = net.NewListening();
  CHECK_REQUIREMENT(accept::acceptconn_fresh, Outcome::OfNumber(Must(listener.socket.Get(SP_SO_ACCEPTCONN)).integer, "fresh"));
  Step(listener.socket.Bind(net.ToBind()));
  CHECK_REQUIREMENT(accept::acceptconn_fresh, Outcome::OfNumber(Must(listener.socket.Get(SP_SO_ACCEPTCONN)).integer, "bound"));
  Step(listener.socket.Listen(4));
  const int64_t listening = Must(listener.socket.Get(SP_SO_ACCEPTCONN)).integer;
  CHECK_REQUIREMENT(accept::acceptconn_listening, Holds(listening != 0, fmt::format("{}", listening)));
  CHECK_REQUIREMENT(accept::acceptconn_value, Outcome::OfNumber(listening));
  listener.address = net.ToReach(listener.socket.LocalAddress());
  Socket client = ConnectTo(listener, net);
  CHECK_REQUIREMENT(accept::acceptconn_fresh, Outcome::OfNumber(Must(client.Get(SP_SO_ACCEPTCONN)).integer, "a client"));
}

SCENARIO(Accept, AcceptConnOfDatagrams, kAllDatagrams, accept::acceptconn_fresh) {
  Socket fresh = net.NewListening();
  CHECK_REQUIREMENT(accept::acceptconn_fresh, Outcome::OfNumber(Must(fresh.Get(SP_SO_ACCEPTCONN)).integer));
}

SCENARIO(Accept, AcceptConnIsReadOnly, kConnections, accept::acceptconn_read_only, accept::acceptconn_set_changes_nothing) {
  Listener bound = BoundOn(net), listener = ListenOn(net);
  CHECK_REQUIREMENT(accept::acceptconn_read_only, bound.socket.Set(SP_SO_ACCEPTCONN, 1));
  CHECK_REQUIREMENT(accept::acceptconn_read_only, listener.socket.Set(SP_SO_ACCEPTCONN, 0));
  const int64_t off = Must(bound.socket.Get(SP_SO_ACCEPTCONN)).integer, on = Must(listener.socket.Get(SP_SO_ACCEPTCONN)).integer;
  CHECK_REQUIREMENT(accept::acceptconn_set_changes_nothing,
                    Holds(off == 0 && on != 0, fmt::format("bound {}, listening {}", off, on)));
}

}  // namespace sockproof
