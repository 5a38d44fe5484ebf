// Who may share an address with whom: SO_REUSEADDR, SO_REUSEPORT, the wildcard address, IPv6 beside IPv4.
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "battery/scenario.h"
#include "battery/serving.h"
#include "catalogue/bind.h"
#include "catalogue/outcomes.h"
#include "face/sameness.h"

namespace sockproof {
namespace {

const Over kIp{{&kInet, &kInet6, &kDual, &kUdp, &kUdp6}, {}, {}};

// A socket with at most one sharing option (0: none), bound.
struct Bound {
  Socket socket;
  Result result;
};

Bound BindAs(const Flavor& net, const Address& address, int32_t option) {
  Bound bound;
  bound.socket = net.NewListening();
  if (option != 0) static_cast<void>(Must(bound.socket.Set(option, 1)));
  bound.result = bound.socket.Bind(address);
  return bound;
}

Socket MustBindAs(const Flavor& net, const Address& address, int32_t option, bool listen, Where where = SOCKPROOF_HERE) {
  Bound bound = BindAs(net, address, option);
  static_cast<void>(Must(bound.result, where));
  if (listen) static_cast<void>(Must(bound.socket.Listen(4), where));
  return std::move(bound.socket);
}

// An IPv6 socket for IPv6 alone, or for both.
Socket NewV6(bool only) {
  Socket socket = Socket::New(SP_INET6);
  static_cast<void>(Must(socket.Set(SP_IPV6_V6ONLY, only ? 1 : 0)));
  return socket;
}

// A port that is free on every address of both families. What is left of other programs' connections may hold it on one of them,
// and a port that the implementation chooses for the other is not free there.
uint16_t PortFreeForBoth() {
  Socket socket = NewV6(false);
  static_cast<void>(Must(socket.Bind(Address::Any(SP_INET6))));
  return socket.LocalAddress().port();
}

Result BindAndListen(Socket& socket, const Address& address) {
  const Result bound = socket.Bind(address);
  return bound.ok() ? socket.Listen(4) : bound;
}

}  // namespace

// ---- one address, two sockets ----

SCENARIO(Bind, InUse, kTcp, bind::in_use, bind::in_use_harmless) {
  for (const bool listens : {false, true}) {
    Socket first = MustBindAs(net, net.ToBind(), 0, listens);
    const Address name = first.LocalAddress();
    CHECK_REQUIREMENT(bind::in_use, BindAs(net, name, 0).result);
    if (!listens) static_cast<void>(Must(first.Listen(4)));
    CHECK_REQUIREMENT(bind::in_use_harmless, Serves(net, first, net.ToReach(name)));
  }
}

SCENARIO(Bind, InUseUdp, kDatagrams, bind::in_use_udp) {
  Socket first = MustBindAs(net, net.ToBind(), 0, false);
  CHECK_REQUIREMENT(bind::in_use_udp, BindAs(net, first.LocalAddress(), 0).result);
}

SCENARIO(Bind, InUseWildcard, kIp, bind::in_use_wildcard) {
  const Address wildcard = Address::Any(net.listen_family), single = Address::Loopback(net.listen_family);
  Socket all = MustBindAs(net, wildcard, 0, false);
  CHECK_REQUIREMENT(bind::in_use_wildcard, BindAs(net, single.WithPort(all.LocalAddress().port()), 0).result);
  Socket one = MustBindAs(net, single, 0, false);
  CHECK_REQUIREMENT(bind::in_use_wildcard, BindAs(net, wildcard.WithPort(one.LocalAddress().port()), 0).result);
}

SCENARIO(Bind, InUsePath, kLocal, bind::in_use_path, bind::in_use_harmless) {
  for (const int32_t option : {0, static_cast<int32_t>(SP_SO_REUSEADDR)}) {
    const Address path = net.ToBind();
    Socket first = MustBindAs(net, path, option, true);
    CHECK_REQUIREMENT(bind::in_use_path, BindAs(net, path, option).result);
    CHECK_REQUIREMENT(bind::in_use_harmless, Serves(net, first, path));
  }
}

SCENARIO(Bind, InUseAbstract, kLocal.Needs({SP_CAP_ABSTRACT_NAMES}), bind::in_use_abstract) {
  std::string abstract = fmt::format("@sockproof.bind.{}", ProcessTag());
  abstract[0] = '\0';
  const Address name = Address::Unix(abstract);
  const Socket first = MustBindAs(net, name, 0, true);
  CHECK_REQUIREMENT(bind::in_use_abstract, BindAs(net, name, 0).result);
}

SCENARIO(Bind, OtherAddress, kTcp4, bind::other_address) {
  Socket first = MustBindAs(net, Address::Inet({127, 0, 0, 1}, 0), 0, true);
  const uint16_t port = first.LocalAddress().port();
  const Address other = Address::Inet({127, 0, 0, 2}, port);
  Socket second = net.NewListening();
  const Result listening = BindAndListen(second, other);
  if (!listening.ok()) {
    CHECK_REQUIREMENT(bind::other_address, Holds(false, listening.text()));
    return;
  }
  CHECK_REQUIREMENT(bind::other_address, Serves(net, first, first.LocalAddress()));
  CHECK_REQUIREMENT(bind::other_address, Serves(net, second, other));
}

SCENARIO(Bind, OtherProtocol, kTcp46.Needs({SP_CAP_UDP}), bind::other_protocol) {
  Socket tcp = MustBindAs(net, net.ToBind(), 0, true);
  Socket udp = Socket::New(net.listen_family, SP_DATAGRAM);
  CHECK_REQUIREMENT(bind::other_protocol, udp.Bind(tcp.LocalAddress()));
}

// ---- SO_REUSEADDR ----

SCENARIO(Bind, ReuseBoth, kTcp, bind::reuse_both, bind::reuse_listening) {
  Socket bound = MustBindAs(net, net.ToBind(), SP_SO_REUSEADDR, false);
  CHECK_REQUIREMENT(bind::reuse_both, BindAs(net, bound.LocalAddress(), SP_SO_REUSEADDR).result);
  Socket listening = MustBindAs(net, net.ToBind(), SP_SO_REUSEADDR, true);
  CHECK_REQUIREMENT(bind::reuse_listening, BindAs(net, listening.LocalAddress(), SP_SO_REUSEADDR).result);
}

SCENARIO(Bind, ReuseOne, kTcp, bind::reuse_one) {
  for (const bool first_has_it : {true, false}) {
    for (const bool listens : {false, true}) {
      Socket first = MustBindAs(net, net.ToBind(), first_has_it ? SP_SO_REUSEADDR : 0, listens);
      CHECK_REQUIREMENT(bind::reuse_one, BindAs(net, first.LocalAddress(), first_has_it ? 0 : SP_SO_REUSEADDR).result);
    }
  }
}

SCENARIO(Bind, ReuseWildcard, kTcp46, bind::reuse_wildcard, bind::reuse_wildcard_bound) {
  const Address wildcard = Address::Any(net.listen_family), single = Address::Loopback(net.listen_family);
  for (const bool listens : {false, true}) {
    Socket all = MustBindAs(net, wildcard, SP_SO_REUSEADDR, listens);
    const Result bound = BindAs(net, single.WithPort(all.LocalAddress().port()), SP_SO_REUSEADDR).result;
    CHECK_REQUIREMENT(listens ? bind::reuse_wildcard : bind::reuse_wildcard_bound, bound);
  }
}

SCENARIO(Bind, ReuseUdp, kDatagrams, bind::reuse_udp) {
  Socket first = MustBindAs(net, net.ToBind(), SP_SO_REUSEADDR, false);
  CHECK_REQUIREMENT(bind::reuse_udp, BindAs(net, first.LocalAddress(), SP_SO_REUSEADDR).result);
}

// ---- SO_REUSEPORT ----

SCENARIO(Bind, ShareBoth, kTcp, bind::share_both, bind::share_listening) {
  Socket bound = MustBindAs(net, net.ToBind(), SP_SO_REUSEPORT, false);
  Bound second = BindAs(net, bound.LocalAddress(), SP_SO_REUSEPORT);
  CHECK_REQUIREMENT(bind::share_both, second.result);
  CHECK_REQUIREMENT(bind::share_both, bound.Listen(4));
  CHECK_REQUIREMENT(bind::share_both, second.socket.Listen(4));
  Bound third = BindAs(net, bound.LocalAddress(), SP_SO_REUSEPORT);
  CHECK_REQUIREMENT(bind::share_listening, third.result.ok() ? third.socket.Listen(4) : third.result);
}

SCENARIO(Bind, ShareBothUdp, kDatagrams, bind::share_both) {
  Socket bound = MustBindAs(net, net.ToBind(), SP_SO_REUSEPORT, false);
  CHECK_REQUIREMENT(bind::share_both, BindAs(net, bound.LocalAddress(), SP_SO_REUSEPORT).result);
}

SCENARIO(Bind, ShareOne, kIp, bind::share_one) {
  const std::vector<std::pair<int32_t, int32_t>> pairs = {
      {SP_SO_REUSEPORT, 0}, {0, SP_SO_REUSEPORT}, {SP_SO_REUSEPORT, SP_SO_REUSEADDR}, {SP_SO_REUSEADDR, SP_SO_REUSEPORT}};
  for (const auto& [one, other] : pairs) {
    for (const bool listens : {false, true}) {
      if (listens && net.type == SP_DATAGRAM) continue;
      Socket first = MustBindAs(net, net.ToBind(), one, listens);
      CHECK_REQUIREMENT(bind::share_one, BindAs(net, first.LocalAddress(), other).result);
    }
  }
}

SCENARIO(Bind, ShareWildcard, kTcp46, bind::share_wildcard) {
  Socket all = MustBindAs(net, Address::Any(net.listen_family), SP_SO_REUSEPORT, true);
  const Address single = Address::Loopback(net.listen_family, all.LocalAddress().port());
  Bound one = BindAs(net, single, SP_SO_REUSEPORT);
  CHECK_REQUIREMENT(bind::share_wildcard, one.result.ok() ? one.socket.Listen(4) : one.result);
}

SCENARIO(Bind, ShareSpreads, kTcp, bind::share_each_once, bind::share_spread) {
  constexpr std::size_t kListeners = 3, kClients = 72;  // one of the listeners gets none: once in a million million runs
  const std::size_t room = QueueRoom(net, kClients, 1, kClients);
  std::vector<Socket> listeners;
  Address name = net.ToBind();
  for (std::size_t i = 0; i < kListeners; ++i) {
    listeners.push_back(MustBindAs(net, name, SP_SO_REUSEPORT, false));
    static_cast<void>(Must(listeners.back().Listen(kClients)));
    static_cast<void>(Must(listeners.back().SetModes(SP_NONBLOCKING)));
    name = listeners.back().LocalAddress();
  }
  std::vector<Socket> clients;
  std::set<uint16_t> made;
  std::vector<std::size_t> got(kListeners, 0);
  std::size_t sum = 0;
  std::string problem;
  while (problem.empty() && clients.size() < kClients) {
    // No more at once than the queue of one listener takes: it may be chosen for all of them.
    for (std::size_t i = 0; i < room && clients.size() < kClients; ++i) {
      Attempt client = TryConnect(net, net.ToReach(name));
      if (!client.completed()) Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "connect to the group", client.outcome);
      made.insert(client.socket.LocalAddress().port());
      clients.push_back(std::move(client.socket));
    }
    const auto all_accepted = [&] {
      for (std::size_t i = 0; i < kListeners; ++i) {
        while (true) {
          AcceptResult accepted = listeners[i].Accept();
          if (!accepted.ok()) break;
          ++got[i];
          ++sum;
          const uint16_t port = Must(accepted.socket.PeerName()).port();
          ResetOnClose(accepted.socket);
          if (made.erase(port) != 1) problem = fmt::format("a connection from port {} that no client has, or has twice", port);
        }
      }
      return sum >= clients.size();
    };
    WaitUntil(all_accepted, Patience(), "every connection to be accepted");
    if (problem.empty() && sum != clients.size()) problem = fmt::format("{} connections accepted of {}", sum, clients.size());
  }
  CHECK_REQUIREMENT(bind::share_each_once, Holds(problem.empty(), problem));
  CHECK_REQUIREMENT(bind::share_spread, Holds(std::all_of(got.begin(), got.end(), [](std::size_t n) { return n > 0; }),
                                              fmt::format("connections by listener: {}", fmt::join(got, " "))));
}

SCENARIO(Bind, ShareSpreadsDatagrams, kDatagrams, bind::share_spread_udp) {
  constexpr std::size_t kSockets = 3, kSenders = 72;
  std::vector<Socket> sockets;
  Address name = net.ToBind();
  for (std::size_t i = 0; i < kSockets; ++i) {
    sockets.push_back(MustBindAs(net, name, SP_SO_REUSEPORT, false));
    static_cast<void>(Must(sockets.back().SetModes(SP_NONBLOCKING)));
    name = sockets.back().LocalAddress();
  }
  std::vector<Socket> senders;
  for (std::size_t i = 0; i < kSenders; ++i) {
    senders.push_back(net.NewConnecting());
    static_cast<void>(Must(senders.back().Connect(net.ToReach(name))));
    static_cast<void>(Must(senders.back().SendBytes(fmt::format("sender {}", i))));
  }
  std::vector<std::size_t> got(kSockets, 0);
  std::multiset<std::string> texts;
  const auto take_all = [&] {
    for (std::size_t i = 0; i < kSockets; ++i) {
      while (true) {
        const RecvResult received = sockets[i].Recv(64);
        if (!received.ok()) break;
        ++got[i];
        texts.emplace(received.data.begin(), received.data.end());
      }
    }
    return texts.size() >= kSenders;
  };
  WaitUntil(take_all, Patience(), "every datagram to arrive");
  take_all();  // whatever came to somebody else as well
  // UDP may lose one; it must not come to two.
  bool once = true;
  for (std::size_t i = 0; i < kSenders; ++i) once = once && texts.count(fmt::format("sender {}", i)) <= 1;
  const bool spread = std::all_of(got.begin(), got.end(), [](std::size_t n) { return n > 0; });
  CHECK_REQUIREMENT(bind::share_spread_udp, Holds(once && spread, fmt::format("datagrams by socket: {}", fmt::join(got, " "))));
}

// ---- the wildcard address ----

SCENARIO(Bind, WildcardServes, kTcp, bind::wildcard_serves) {
  Socket listener = MustBindAs(net, Address::Any(net.listen_family), 0, true);
  const uint16_t port = listener.LocalAddress().port();
  CHECK_REQUIREMENT(bind::wildcard_serves, Serves(net, listener, Address::Loopback(net.connect_family, port)));
  if (net.connect_family != SP_INET) return;
  for (const uint8_t last : {2, 77, 254}) {
    CHECK_REQUIREMENT(bind::wildcard_serves, Serves(net, listener, Address::Inet({127, 0, last, last}, port)));
  }
}

SCENARIO(Bind, SingleAddressRefuses, kTcp4, bind::single_address) {
  Socket listener = MustBindAs(net, Address::Inet({127, 0, 0, 1}, 0), 0, true);
  const uint16_t port = listener.LocalAddress().port();
  CHECK_REQUIREMENT(bind::single_address, TryConnect(net, Address::Inet({127, 0, 0, 2}, port)).outcome);
}

// ---- IPv6 beside IPv4 ----

SCENARIO(Bind, V6OnlyDefault, kInet6Only, bind::v6only_default) {
  Socket socket = Socket::New(SP_INET6);
  const OptionResult option = Must(socket.Get(SP_IPV6_V6ONLY));
  CHECK_REQUIREMENT(bind::v6only_default, Holds(option.integer == 0, option.text()));
}

SCENARIO(Bind, V6OnlyApart, kDualOnly, bind::v6only_apart, bind::v6only_own_clients, bind::v6only_refuses) {
  for (const bool v6_first : {true, false}) {
    Socket v6 = NewV6(true), v4 = Socket::New(SP_INET);
    Socket& first = v6_first ? v6 : v4;
    Socket& second = v6_first ? v4 : v6;
    const uint16_t port = PortFreeForBoth();
    static_cast<void>(Must(first.Bind(Address::Any(v6_first ? SP_INET6 : SP_INET, port))));
    static_cast<void>(Must(first.Listen(4)));
    if (v6_first) CHECK_REQUIREMENT(bind::v6only_refuses, TryConnect(kInet, Address::Loopback(SP_INET, port)).outcome);
    CHECK_REQUIREMENT(bind::v6only_apart, BindAndListen(second, Address::Any(v6_first ? SP_INET : SP_INET6, port)));
    CHECK_REQUIREMENT(bind::v6only_own_clients, Serves(kInet, v4, Address::Loopback(SP_INET, port)));
    CHECK_REQUIREMENT(bind::v6only_own_clients, Serves(kInet6, v6, Address::Loopback(SP_INET6, port)));
  }
}

SCENARIO(Bind, V6OnlyAfterBind, kInet6Only, bind::v6only_after_bind) {
  Socket socket = NewV6(false);
  static_cast<void>(Must(socket.Bind(Address::Any(SP_INET6))));
  CHECK_REQUIREMENT(bind::v6only_after_bind, socket.Set(SP_IPV6_V6ONLY, 1));
}

SCENARIO(Bind, DualServes, kDualOnly, bind::dual_serves, bind::dual_names) {
  Listener listener = ListenOn(net);
  const uint16_t port = listener.address.port();
  CHECK_REQUIREMENT(bind::dual_serves, Serves(kInet6, listener.socket, Address::Loopback(SP_INET6, port)));
  CHECK_REQUIREMENT(bind::dual_serves, Serves(kInet, listener.socket, Address::Loopback(SP_INET, port)));
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  AcceptResult accepted = listener.socket.Accept();
  const Address peer = accepted.peer.address;
  Socket server = Must(std::move(accepted));
  const Address from = Address::V4Mapped({127, 0, 0, 1}, client.LocalAddress().port()),
                to = Address::V4Mapped({127, 0, 0, 1}, port);
  CHECK_REQUIREMENT(bind::dual_names, SameAddress(peer, from, "the address that accept gave"));
  CHECK_REQUIREMENT(bind::dual_names, SameAddress(Must(server.PeerName()), from, "the peer's name"));
  CHECK_REQUIREMENT(bind::dual_names, SameAddress(server.LocalAddress(), to, "the local name"));
}

SCENARIO(Bind, DualUnlessItIsSet, kDualOnly, bind::dual_default) {
  Socket untold = Socket::New(SP_INET6);
  static_cast<void>(Must(BindAndListen(untold, Address::Any(SP_INET6))));
  const uint16_t port = untold.LocalAddress().port();
  CHECK_REQUIREMENT(bind::dual_default, Serves(kInet6, untold, Address::Loopback(SP_INET6, port)));
  CHECK_REQUIREMENT(bind::dual_default, Serves(kInet, untold, Address::Loopback(SP_INET, port)));
}

SCENARIO(Bind, DualReserves, kDualOnly, bind::dual_reserves) {
  for (const bool listens : {false, true}) {
    for (const Address& v4 : {Address::Any(SP_INET), Address::Loopback(SP_INET)}) {
      Socket dual = NewV6(false);
      static_cast<void>(Must(dual.Bind(Address::Any(SP_INET6))));
      if (listens) static_cast<void>(Must(dual.Listen(4)));
      Socket late = Socket::New(SP_INET);
      CHECK_REQUIREMENT(bind::dual_reserves, late.Bind(v4.WithPort(dual.LocalAddress().port())));

      Socket early = Socket::New(SP_INET);
      static_cast<void>(Must(early.Bind(v4)));
      if (listens) static_cast<void>(Must(early.Listen(4)));
      Socket other = NewV6(false);
      CHECK_REQUIREMENT(bind::dual_reserves, other.Bind(Address::Any(SP_INET6, early.LocalAddress().port())));
    }
  }
}

SCENARIO(Bind, MappedReserves, kDualOnly, bind::mapped_reserves) {
  Socket mapped = NewV6(false);
  static_cast<void>(Must(mapped.Bind(Address::V4Mapped({127, 0, 0, 1}, 0))));
  Socket v4 = Socket::New(SP_INET);
  CHECK_REQUIREMENT(bind::mapped_reserves, v4.Bind(Address::Loopback(SP_INET, mapped.LocalAddress().port())));
  Socket first = Socket::New(SP_INET);
  static_cast<void>(Must(first.Bind(Address::Loopback(SP_INET))));
  Socket second = NewV6(false);
  CHECK_REQUIREMENT(bind::mapped_reserves, second.Bind(Address::V4Mapped({127, 0, 0, 1}, first.LocalAddress().port())));
}

SCENARIO(Bind, LoopbacksApart, kDualOnly, bind::loopbacks_apart) {
  Socket v6 = NewV6(false);
  const uint16_t port = PortFreeForBoth();
  static_cast<void>(Must(BindAndListen(v6, Address::Loopback(SP_INET6, port))));
  Socket v4 = Socket::New(SP_INET);
  CHECK_REQUIREMENT(bind::loopbacks_apart, BindAndListen(v4, Address::Loopback(SP_INET, port)));
}

}  // namespace sockproof
