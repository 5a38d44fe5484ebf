// connect(): arguments, states, and the names that it gives.
#include "catalogue/connect.h"

#include <set>
#include <string>

#include "battery/held.h"
#include "battery/scenario.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// Lengths that are too short for an address of this family. (Linux takes the 24 bytes of an older IPv6 address.)
std::vector<int32_t> ShortLengths(int32_t family) {
  switch (family) {
    case SP_INET:
      return {0, 1, 2, 8, 15};
    case SP_INET6:
      return {0, 1, 2, 16, 23};
    default:
      return {0, 1, 2};
  }
}

// The length of a whole address of this family, where that is fixed.
int32_t WholeLength(int32_t family) { return family == SP_INET6 ? 28 : 16; }

Outcome TurnedDown(const Result& result, const Flavor& net) {
  return Holds(!result.ok() && !UnderWay(result, net), result.text());
}

}  // namespace

SCENARIO(Connect, MakesAConnection, kConnections.Waits(milliseconds(20)), connect::completes, connect::peer_name,
         connect::names_agree, connect::one_connection) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  // In a thread: one that never returns is told sooner than as a scenario that hangs.
  CHECK_REQUIREMENT(connect::completes, Spawn("connect", [&] { return client.Connect(listener.address); }).Join());
  const Address peer = Must(client.PeerName());
  CHECK_REQUIREMENT(connect::peer_name, SameAddress(peer, listener.address, "the client's peer"));

  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(listener.socket.Accept());
  // What is said of a local client, which is not bound, is left open.
  if (!net.local()) {
    CHECK_REQUIREMENT(connect::names_agree, NameIs(server.PeerName(), SeenByListener(net, Must(client.LocalName())),
                                                   "the client's address as the server sees it"));
  }
  CHECK_REQUIREMENT(connect::names_agree,
                    NameIs(server.LocalName(), SeenByListener(net, peer), "the server's address as the client sees it"));
  CHECK_REQUIREMENT(connect::one_connection, Exchange(client, server));
  LetQuietTimePass(milliseconds(20));
  CHECK_REQUIREMENT(connect::one_connection, Holds(Events(listener.socket, SP_IN) == 0, "no second connection came"));
}

SCENARIO(Connect, RefusesWhatIsNoSocket, kConnections, connect::bad_handle, connect::not_socket) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(connect::bad_handle, Socket::Wrong(SP_HANDLE_INVALID).Connect(listener.address));
  CHECK_REQUIREMENT(connect::not_socket, Socket::Wrong(SP_HANDLE_NOT_SOCKET).Connect(listener.address));
  // One that was open a moment ago.
  Socket closed = net.NewConnecting();
  const sp_handle handle = closed.handle();
  static_cast<void>(Must(closed.Close()));
  CHECK_REQUIREMENT(connect::bad_handle, Socket::Borrowed(handle).Connect(listener.address));
}

SCENARIO(Connect, RefusesWrongPointers, kConnections, connect::invalid_pointer, connect::null_address,
         connect::usable_after_bad_argument) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  const int32_t length = WholeLength(net.connect_family);
  CHECK_REQUIREMENT(connect::invalid_pointer, client.Connect(AddressOfKind(SP_POINTER_INVALID, length)));
  CHECK_REQUIREMENT(connect::null_address, client.Connect(AddressOfKind(SP_POINTER_NULL, length)));
  CHECK_REQUIREMENT(connect::usable_after_bad_argument, client.Connect(listener.address));
}

SCENARIO(Connect, RefusesWrongLengths, kConnections, connect::short_length, connect::impossible_length,
         connect::usable_after_bad_argument) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  for (const int32_t length : ShortLengths(net.connect_family)) {
    CHECK_REQUIREMENT(connect::short_length, client.Connect(AddressWith(listener.address, length)));
  }
  for (const int32_t length : {-1, 1 << 20, INT32_MAX}) {
    CHECK_REQUIREMENT(connect::impossible_length, client.Connect(AddressWith(listener.address, length)));
  }
  CHECK_REQUIREMENT(connect::usable_after_bad_argument, client.Connect(listener.address));
}

SCENARIO(Connect, RefusesOtherFamilies, kTcp46, connect::wrong_family, connect::usable_after_bad_argument) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  const int32_t other = net.connect_family == SP_INET ? SP_INET6 : SP_INET;
  // The length is that of the socket's own family, so that nothing but the family is wrong.
  const int32_t length = WholeLength(net.connect_family);
  for (const int32_t family : {other, static_cast<int32_t>(SP_OTHER_FAMILY)}) {
    const Address address = listener.address.WithFamily(family);
    CHECK_REQUIREMENT(connect::wrong_family, client.Connect(AddressWith(address, length)));
  }
  CHECK_REQUIREMENT(connect::wrong_family, client.Connect(AddressWith(Address::Unix("/no/such/file"), length)));
  CHECK_REQUIREMENT(connect::usable_after_bad_argument, client.Connect(listener.address));
}

SCENARIO(Connect, LocalSocketsRefuseOtherFamilies, kLocal, connect::unix_wrong_family) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  for (const int32_t family : {SP_INET, SP_INET6}) {
    CHECK_REQUIREMENT(connect::unix_wrong_family, client.Connect(Address::Loopback(family, 9)));
  }
  CHECK_REQUIREMENT(connect::unix_wrong_family, client.Connect(Address::Loopback(SP_INET, 9).WithFamily(SP_OTHER_FAMILY)));
}

SCENARIO(Connect, PortZeroIsNobodys, kTcp, connect::port_zero) {
  Socket blocking = net.NewConnecting();
  CHECK_REQUIREMENT(connect::port_zero, blocking.Connect(Address::Loopback(net.connect_family, 0)));
  Socket nonblocking = net.NewConnecting(SP_NONBLOCKING);
  CHECK_REQUIREMENT(connect::port_zero, ConnectToTheEnd(nonblocking, net, Address::Loopback(net.connect_family, 0)));
}

SCENARIO(Connect, WildcardMeansThisHost, kTcp, connect::wildcard) {
  Listener listener = ListenOn(net);
  Socket client = net.NewConnecting(SP_NONBLOCKING);
  CHECK_REQUIREMENT(connect::wildcard, ConnectToTheEnd(client, net, Address::Any(net.connect_family, listener.address.port())));
}

SCENARIO(Connect, StreamsReachNoGroups, kTcp46, connect::not_unicast, connect::not_unicast_error) {
  Listener listener = ListenOn(net);
  const uint16_t port = listener.address.port();
  std::vector<Address> groups;
  if (net.connect_family == SP_INET) {
    groups = {Address::Inet({255, 255, 255, 255}, port), Address::Inet({224, 0, 0, 1}, port)};
  } else {
    groups = {Address::Inet6({0xff, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port),
              Address::Inet6({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port)};
  }
  for (const Address& group : groups) {
    Socket client = net.NewConnecting(SP_NONBLOCKING);
    const Result result = client.Connect(group);
    CHECK_REQUIREMENT(connect::not_unicast, TurnedDown(result, net));
    CHECK_REQUIREMENT(connect::not_unicast_error, result);
  }
}

SCENARIO(Connect, OnlyOnce, kConnections, connect::already_connected, connect::already_connected_harmless) {
  Pair pair = ConnectedPair(net);
  Listener other = ListenOn(net);
  for (const Address& address : {pair.listener.address, other.address}) {
    CHECK_REQUIREMENT(connect::already_connected, pair.client.Connect(address));
  }
  // The accepted end belongs to the listener's family.
  const Address own = net.dual() ? Address::Loopback(net.listen_family, other.address.port()) : other.address;
  CHECK_REQUIREMENT(connect::already_connected, pair.server.Connect(own));
  CHECK_REQUIREMENT(connect::already_connected_harmless, Exchange(pair.client, pair.server));
}

SCENARIO(Connect, DissolvesAConnection, kTcp, connect::dissolve, connect::dissolve_no_peer, connect::dissolve_peer_sees,
         connect::dissolve_reconnect) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(connect::dissolve, pair.client.Connect(Address::Unspecified()));
  CHECK_REQUIREMENT(connect::dissolve_no_peer, pair.client.PeerName());
  CHECK_REQUIREMENT(connect::dissolve_peer_sees, RecvSoon(pair.server));
  CHECK_REQUIREMENT(connect::dissolve_reconnect, pair.client.Connect(pair.listener.address));
}

SCENARIO(Connect, LocalConnectionsCannotBeDissolved, kUnixOnly, connect::unix_cannot_dissolve) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(connect::unix_cannot_dissolve, pair.client.Connect(Address::Unspecified()));
}

// ---- names ----

SCENARIO(Connect, BindsImplicitly, kTcp, connect::implicit_bind, connect::implicit_bind_unused) {
  constexpr int kClients = 8;
  Listener listener = ListenOn(net);
  std::vector<Socket> clients, servers;
  std::set<std::string> names;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(ConnectTo(listener, net));
    MustBeReady(listener.socket, SP_IN);
    servers.push_back(Must(listener.socket.Accept()));
    const Address name = Must(clients.back().LocalName());
    names.insert(name.ToString());
    CHECK_REQUIREMENT(connect::implicit_bind, Holds(name.port() != 0 && name.WithPort(0) != Address::Any(net.connect_family),
                                                    "a client's own address: " + name.ToString()));
  }
  CHECK_REQUIREMENT(connect::implicit_bind_unused, Same(names.size(), clients.size(), "different addresses of clients"));
}

SCENARIO(Connect, KeepsTheAddressItWasBoundTo, kConnections, connect::keeps_bound_address) {
  Listener listener = ListenOn(net);
  // IPv4 has loopback addresses to spare, so that the address itself tells whether it was kept.
  const Address wanted = net.local()                     ? Address::Unix(FreshPath())
                         : net.connect_family == SP_INET ? Address::Inet({127, 0, 0, 7}, 0)
                                                         : Address::Loopback(SP_INET6);
  Socket client = net.NewConnecting();
  static_cast<void>(Must(client.Bind(wanted)));
  const Address bound = Must(client.LocalName());
  static_cast<void>(Must(client.Connect(listener.address)));
  CHECK_REQUIREMENT(connect::keeps_bound_address, NameIs(client.LocalName(), bound, "the client's own address"));

  MustBeReady(listener.socket, SP_IN);
  AcceptResult accepted = listener.socket.Accept();
  const Address reported = accepted.peer.address;
  Socket server = Must(std::move(accepted));
  CHECK_REQUIREMENT(connect::keeps_bound_address,
                    SameAddress(reported, SeenByListener(net, bound), "the client as accept saw it"));
  CHECK_REQUIREMENT(connect::keeps_bound_address, NameIs(server.PeerName(), SeenByListener(net, bound), "the server's peer"));
}

SCENARIO(Connect, LocalClientsStayUnnamed, kLocal, connect::unix_unnamed) {
  Pair pair = ConnectedPair(net);
  for (const NameResult& name : {pair.client.LocalName(), pair.server.PeerName()}) {
    static_cast<void>(Must(static_cast<const Result&>(name)));
    CHECK_REQUIREMENT(connect::unix_unnamed, Holds(name.address.path().empty() && name.reported == sizeof(uint16_t),
                                                   fmt::format("{} of length {}", name.address.ToString(), name.reported)));
  }
}

SCENARIO(Connect, BoundForGood, kTcp, connect::bind_after) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(connect::bind_after, pair.client.Bind(Address::Loopback(net.connect_family)));
  CHECK_REQUIREMENT(connect::bind_after, pair.server.Bind(Address::Loopback(net.listen_family)));
}

SCENARIO(Connect, RunsOutOfPorts, kTcp46.Needs({SP_CAP_KNOBS}), connect::ports_exhausted, connect::ports_within_range) {
  constexpr int64_t kLow = 41000, kHigh = 41003;
  Listener listener = ListenOn(net, 16);
  // In this order no step leaves a range that ends before it begins.
  const Knob high(SP_KNOB_PORT_RANGE_HIGH, 60999);
  const Knob low(SP_KNOB_PORT_RANGE_LOW, kLow);
  const Knob narrow(SP_KNOB_PORT_RANGE_HIGH, kHigh);
  std::vector<Socket> clients, servers;
  Outcome last = outcome::pending;
  for (int i = 0; i < 16; ++i) {
    Socket client = net.NewConnecting();
    const Result result = client.Connect(listener.address);
    last = result;
    if (!result.ok() && i > 0) break;
    static_cast<void>(Must(result));  // the first one at least
    const uint16_t port = Must(client.LocalName()).port();
    CHECK_REQUIREMENT(connect::ports_within_range, Holds(port >= kLow && port <= kHigh, fmt::format("port {}", port)));
    clients.push_back(std::move(client));
    MustBeReady(listener.socket, SP_IN);
    servers.push_back(Must(listener.socket.Accept()));
  }
  CHECK_REQUIREMENT(connect::ports_exhausted, last);
}

SCENARIO(Connect, OneConnectionAPair, kTcp46, connect::duplicate_pair, connect::duplicate_pair_error,
         connect::shared_port_other_peer) {
  NeedQueue(net, 2);
  Listener listener = ListenOn(net);
  Listener other = ListenOn(net);
  for (const int32_t option : {SP_SO_REUSEADDR, SP_SO_REUSEPORT}) {
    const auto sharing = [&](const Address& address) {
      Socket socket = net.NewConnecting();
      static_cast<void>(Must(socket.Set(option, 1)));
      static_cast<void>(Must(socket.Bind(address)));
      return socket;
    };
    Socket first = sharing(Address::Loopback(net.connect_family));
    const Address shared = Must(first.LocalName());
    static_cast<void>(Must(first.Connect(listener.address)));
    Socket second = sharing(shared);
    const Result duplicate = second.Connect(listener.address);
    CHECK_REQUIREMENT(connect::duplicate_pair, duplicate);
    CHECK_REQUIREMENT(connect::duplicate_pair_error, duplicate);
    Socket third = sharing(shared);
    CHECK_REQUIREMENT(connect::shared_port_other_peer, third.Connect(other.address));
  }
}

SCENARIO(Connect, ToItself, kTcp46, connect::self_connect, connect::self_connect_echo) {
  Socket socket = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(Must(socket.Bind(Address::Loopback(net.connect_family))));
  const Address self = Must(socket.LocalName());
  CHECK_REQUIREMENT(connect::self_connect, ConnectToTheEnd(socket, net, self));
  const Payload payload{21, 0, 1000};
  const Result sent = socket.Send(payload);
  static_cast<void>(WaitReady(socket, SP_IN));
  const Received received = ReceiveAll(socket, payload);
  const Result shut = socket.Shutdown(SP_SHUT_WR);
  const Outcome end = RecvSoon(socket);
  CHECK_REQUIREMENT(connect::self_connect_echo, Holds(received.Complete(payload) && shut.ok() && end.name() == "end_of_stream",
                                                      fmt::format("{}; {} bytes came back {}; then {}", sent.text(),
                                                                  received.bytes, received.difference, end.name())));
}

}  // namespace sockproof
