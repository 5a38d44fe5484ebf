// listen(): from which states, with which arguments, and what a listener cannot do.
#include "catalogue/listen.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "battery/held.h"
#include "battery/scenario.h"
#include "battery/serving.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

const Over kNotUnixStream{{&kInet, &kInet6, &kDual, &kSeqpacket}, {}, {}};

}  // namespace

// ---- a first listen ----

SCENARIO(Listen, MakesAListener, kConnections, listen::bound, listen::keeps_name, listen::bound_serves) {
  Listener listener = BoundOn(net);
  const Address before = listener.socket.LocalAddress();
  // In a thread: one that never returns is told sooner than as a scenario that hangs.
  CHECK_REQUIREMENT(listen::bound, Spawn("listen", [&] { return listener.socket.Listen(4); }).Join());
  CHECK_REQUIREMENT(listen::keeps_name, SameAddress(listener.socket.LocalAddress(), before, "the name after listen"));
  CHECK_REQUIREMENT(listen::bound_serves, Serves(net, listener));
}

SCENARIO(Listen, BoundOnlyRefuses, kConnections, listen::bound_only_refuses) {
  const Listener bound = BoundOn(net);
  CHECK_REQUIREMENT(listen::bound_only_refuses, TryConnect(net, bound.address).outcome);
}

SCENARIO(Listen, AnyBacklog, kConnections, listen::any_backlog, listen::negative_backlog) {
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  for (const int32_t backlog : {0, 1, 2, 5, 128, 129, 4096, 4097, 65535, 65536, kMost}) {
    CHECK_REQUIREMENT(listen::any_backlog, BoundOn(net).socket.Listen(backlog));
  }
  for (const int32_t backlog : {-1, -128, std::numeric_limits<int32_t>::min()}) {
    CHECK_REQUIREMENT(listen::negative_backlog, BoundOn(net).socket.Listen(backlog));
  }
}

// ---- an unbound socket ----

SCENARIO(Listen, Unbound, kTcp, listen::unbound) {
  Socket socket = net.NewListening();
  CHECK_REQUIREMENT(listen::unbound, socket.Listen(4));
}

SCENARIO(Listen, UnboundGetsAnAddress, kTcp, listen::unbound_name, listen::unbound_serves) {
  Socket socket = net.NewListening();
  static_cast<void>(Must(socket.Listen(4)));
  const Address name = socket.LocalAddress();
  CHECK_REQUIREMENT(listen::unbound_name, Holds(name.port() != 0 && name == Address::Any(net.listen_family, name.port()),
                                                fmt::format("the name that listen chose: {}", name.ToString())));
  CHECK_REQUIREMENT(listen::unbound_serves, Serves(net, socket, Reach(net, name)));
}

SCENARIO(Listen, UnboundPortInRange, kTcp46.Needs({SP_CAP_KNOBS}), listen::unbound_port) {
  Host& host = Host::Get();
  int64_t low = 0, high = 0;
  host.Expect(host.limits.get_knob(host.self(), SP_KNOB_PORT_RANGE_LOW, &low), "knobs", "read the range of ports");
  host.Expect(host.limits.get_knob(host.self(), SP_KNOB_PORT_RANGE_HIGH, &high), "knobs", "read the range of ports");
  for (int i = 0; i < 32; ++i) {
    Socket socket = net.NewListening();
    static_cast<void>(Must(socket.Listen(1)));
    const uint16_t port = socket.LocalAddress().port();
    CHECK_REQUIREMENT(listen::unbound_port, Holds(port >= low && port <= high, fmt::format("{} <= {} <= {}", low, port, high)));
  }
}

SCENARIO(Listen, UnboundPortsDiffer, kTcp, listen::unbound_distinct) {
  std::vector<Socket> sockets;
  std::set<uint16_t> ports;
  for (int i = 0; i < 16; ++i) {
    sockets.push_back(net.NewListening());
    static_cast<void>(Must(sockets.back().Listen(1)));
    ports.insert(sockets.back().LocalAddress().port());
  }
  CHECK_REQUIREMENT(listen::unbound_distinct, Same(ports.size(), sockets.size(), "ports of as many listeners"));
}

SCENARIO(Listen, UnboundLocal, kLocal, listen::unbound_unix, listen::unbound_unix_later) {
  Listener listener;
  listener.socket = net.NewListening();
  const Result unbound = listener.socket.Listen(4);
  CHECK_REQUIREMENT(listen::unbound_unix, unbound);
  listener.address = net.ToBind();
  if (unbound.ok()) {
    CHECK_REQUIREMENT(listen::unbound_unix_later, Holds(true, "it listens without a name"));
    return;
  }
  const Result bound = listener.socket.Bind(listener.address);
  const Result listening = bound.ok() ? listener.socket.Listen(4) : bound;
  CHECK_REQUIREMENT(listen::unbound_unix_later, listening.ok() ? Serves(net, listener) : Holds(false, listening.text()));
}

// ---- errors ----

SCENARIO(Listen, BadDescriptor, kTcp4, listen::bad_descriptor) {
  CHECK_REQUIREMENT(listen::bad_descriptor, Socket::Wrong(SP_HANDLE_INVALID).Listen(1));
}

SCENARIO(Listen, Closed, kConnections, listen::closed) {
  Listener bound = BoundOn(net);
  const sp_handle handle = bound.socket.handle();
  static_cast<void>(Must(bound.socket.Close()));
  CHECK_REQUIREMENT(listen::closed, Socket::Borrowed(handle).Listen(1));
  Listener listening = ListenOn(net);
  const sp_handle other = listening.socket.handle();
  static_cast<void>(Must(listening.socket.Close()));
  CHECK_REQUIREMENT(listen::closed, Socket::Borrowed(other).Listen(1));
}

SCENARIO(Listen, NotASocket, kTcp4, listen::not_a_socket) {
  CHECK_REQUIREMENT(listen::not_a_socket, Socket::Wrong(SP_HANDLE_NOT_SOCKET).Listen(1));
}

SCENARIO(Listen, Datagram, kAllDatagrams, listen::datagram, listen::failed_not_listening) {
  Socket fresh = net.NewListening();
  CHECK_REQUIREMENT(listen::datagram, fresh.Listen(4));
  CHECK_REQUIREMENT(listen::failed_not_listening, AcceptConn(fresh));
  Listener bound = BoundOn(net);
  CHECK_REQUIREMENT(listen::datagram, bound.socket.Listen(4));
  CHECK_REQUIREMENT(listen::failed_not_listening, AcceptConn(bound.socket));
}

SCENARIO(Listen, Connected, kConnections, listen::connected, listen::failed_not_listening) {
  Pair pair = ConnectedPair(net);
  for (Socket* socket : {&pair.client, &pair.server}) {
    for (const int32_t backlog : {0, 4}) CHECK_REQUIREMENT(listen::connected, socket->Listen(backlog));
    CHECK_REQUIREMENT(listen::failed_not_listening, AcceptConn(*socket));
  }
}

SCENARIO(Listen, ConnectedPair, kLocal, listen::connected_pair, listen::failed_not_listening) {
  Socket first, second;
  static_cast<void>(Must(Socket::MakePair(net.type, 0, &first, &second)));
  for (Socket* socket : {&first, &second}) {
    CHECK_REQUIREMENT(listen::connected_pair, socket->Listen(4));
    CHECK_REQUIREMENT(listen::failed_not_listening, AcceptConn(*socket));
  }
}

SCENARIO(Listen, ConnectionUnharmed, kTcp, listen::connected_unharmed) {
  Pair pair = ConnectedPair(net);
  for (Socket* socket : {&pair.client, &pair.server}) {
    static_cast<void>(socket->Listen(4));
    CHECK_REQUIREMENT(listen::connected_unharmed, Passes(pair.client, pair.server));
  }
}

SCENARIO(Listen, WhileConnecting, kTcp.Waits(milliseconds(1100)), listen::connecting, listen::connecting_unharmed) {
  Connecting held = HoldConnecting(net);
  CHECK_REQUIREMENT(listen::connecting, held.socket.Listen(4));
  const std::vector<Socket> accepted = LetIn(held.listener, held.queued);  // the client's next SYN finds room
  Socket server;
  const Outcome taken = TakeNext(held.listener.socket, &server);
  CHECK_REQUIREMENT(listen::connecting_unharmed, taken.name() == "holds" ? Passes(held.socket, server) : taken);
}

// ---- after something else ----

SCENARIO(Listen, AfterRefused, kTcp46, listen::bound_only_refuses, listen::after_refused, listen::after_refused_serves) {
  const Listener nobody = BoundOn(net);
  for (const bool bind : {false, true}) {
    Socket socket = net.NewListening();
    if (bind) static_cast<void>(Must(socket.Bind(net.ToBind())));
    CHECK_REQUIREMENT(listen::bound_only_refuses, socket.Connect(nobody.address));
    CHECK_REQUIREMENT(listen::after_refused, socket.Listen(4));
    CHECK_REQUIREMENT(listen::after_refused_serves, Serves(net, socket, Reach(net, socket.LocalAddress())));
  }
}

SCENARIO(Listen, AfterRefusedLocal, kLocal, listen::bound_only_refuses, listen::after_refused_unix) {
  const Listener nobody = BoundOn(net);
  Listener listener = BoundOn(net);
  CHECK_REQUIREMENT(listen::bound_only_refuses, listener.socket.Connect(nobody.address));
  CHECK_REQUIREMENT(listen::after_refused_unix, listener.socket.Listen(4));
}

SCENARIO(Listen, AfterDissolve, kTcp46, listen::dissolve, listen::dissolve_peer, listen::after_dissolve,
         listen::after_dissolve_serves) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(listen::dissolve, pair.client.Connect(Address::Unspecified()));
  CHECK_REQUIREMENT(listen::dissolve_peer, Ending(pair.server));
  CHECK_REQUIREMENT(listen::after_dissolve, pair.client.Listen(4));
  CHECK_REQUIREMENT(listen::after_dissolve_serves, Serves(net, pair.client, Reach(net, pair.client.LocalAddress())));
}

SCENARIO(Listen, AfterAnotherClosed, kTcp, listen::after_close) {
  Listener first = BoundWith(net, {SP_SO_REUSEADDR});
  const Address name = first.socket.LocalAddress();
  static_cast<void>(Must(first.socket.Listen(4)));
  Pair pair = ConnectedPair(std::move(first), net);
  static_cast<void>(Must(pair.listener.socket.Close()));
  // The server's end closes first: TIME-WAIT is at the address that is wanted again.
  static_cast<void>(Must(pair.server.Close()));
  static_cast<void>(Must(pair.client.Close()));
  Listener second;
  second.socket = NewWith(net, {SP_SO_REUSEADDR});
  second.address = net.ToReach(name);
  const Result bound = second.socket.Bind(name);
  const Result listening = bound.ok() ? second.socket.Listen(4) : bound;
  CHECK_REQUIREMENT(listen::after_close, listening.ok() ? Serves(net, second) : Holds(false, listening.text()));
}

// ---- what a listener cannot do ----

SCENARIO(Listen, BindOnListener, kConnections, listen::bind, listen::bind_harmless) {
  Listener listener = ListenOn(net);
  const Address name = listener.socket.LocalAddress();
  const Result bound = listener.socket.Bind(net.ToBind());
  CHECK_REQUIREMENT(listen::bind, bound);
  const Address after = listener.socket.LocalAddress();
  if (bound.ok()) {
    CHECK_REQUIREMENT(listen::bind_harmless, Holds(true, "bind did not fail"));
  } else {
    CHECK_REQUIREMENT(listen::bind_harmless,
                      after == name ? Serves(net, listener) : SameAddress(after, name, "the listener's name"));
  }
}

namespace {

// connect on a listener may fail, or make it something else; as long as it says that it listens, it has to.
Outcome ServesIfListening(const Flavor& net, Listener& listener) {
  if (!SaysItListens(listener.socket)) return Holds(true, "it says that it does not listen");
  return Serves(net, listener);
}

}  // namespace

SCENARIO(Listen, ConnectOnListener, kTcp46, listen::connect, listen::connect_harmless) {
  const Listener other = ListenOn(net);
  for (const bool itself : {false, true}) {
    Listener listener = ListenOn(net);
    CHECK_REQUIREMENT(listen::connect, listener.socket.Connect(itself ? listener.address : other.address));
    CHECK_REQUIREMENT(listen::connect_harmless, ServesIfListening(net, listener));
  }
}

SCENARIO(Listen, ConnectOnLocalListener, kLocal, listen::connect_unix, listen::connect_harmless) {
  const Listener other = ListenOn(net);
  for (const bool itself : {false, true}) {
    Listener listener = ListenOn(net);
    CHECK_REQUIREMENT(listen::connect_unix, listener.socket.Connect(itself ? listener.address : other.address));
    CHECK_REQUIREMENT(listen::connect_harmless, ServesIfListening(net, listener));
  }
}

SCENARIO(Listen, DissolveListener, kTcp46, listen::dissolve_listener, listen::dissolve_listener_stops, listen::connect_harmless) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(listen::dissolve_listener, listener.socket.Connect(Address::Unspecified()));
  CHECK_REQUIREMENT(listen::dissolve_listener_stops, AcceptConn(listener.socket));
  CHECK_REQUIREMENT(listen::connect_harmless, ServesIfListening(net, listener));
}

SCENARIO(Listen, DissolveLocalListener, kLocal, listen::dissolve_listener_unix, listen::connect_harmless) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(listen::dissolve_listener_unix, listener.socket.Connect(Address::Unspecified()));
  CHECK_REQUIREMENT(listen::connect_harmless, ServesIfListening(net, listener));
}

namespace {

// Receives with and without leave to wait; the second in a thread, so that one that waits is told.
void CheckReceive(const Flavor& net, const Requirement& requirement) {
  Listener listener = ListenOn(net);
  RecvOptions now;
  now.flags = SP_MSG_DONTWAIT;
  CHECK_REQUIREMENT(requirement, listener.socket.Recv(16, now));
  auto waiting = Spawn("receiver", [&] { return Outcome(listener.socket.Recv(16)); });
  CHECK_REQUIREMENT(requirement, waiting.Join());
  // A client in the queue changes nothing: there is no data on the listener itself.
  Socket client = ConnectTo(listener, net);
  static_cast<void>(Must(client.SendBytes("not for the listener")));
  CHECK_REQUIREMENT(requirement, listener.socket.Recv(16, now));
}

}  // namespace

SCENARIO(Listen, ReceiveOnListener, kNotUnixStream, listen::receive) { CheckReceive(net, listen::receive); }

SCENARIO(Listen, ReceiveOnLocalListener, kUnixOnly, listen::receive_unix) { CheckReceive(net, listen::receive_unix); }

SCENARIO(Listen, SendOnListener, kConnections, listen::send, listen::transfer_harmless) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(listen::send, listener.socket.SendBytes("x"));
  RecvOptions now;
  now.flags = SP_MSG_DONTWAIT;
  static_cast<void>(listener.socket.Recv(16, now));
  CHECK_REQUIREMENT(listen::transfer_harmless, Serves(net, listener));
}

SCENARIO(Listen, HasNoPeer, kConnections, listen::peer_name) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(listen::peer_name, listener.socket.PeerName());
  const Socket client = ConnectTo(listener, net);
  CHECK_REQUIREMENT(listen::peer_name, listener.socket.PeerName());
}

SCENARIO(Listen, HasNoBytesToRead, kStreams, listen::readable_bytes) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(listen::readable_bytes, listener.socket.Ioctl(SP_IOCTL_READABLE));
}

SCENARIO(Listen, HasNoBytesUnsent, kTcp, listen::unsent_bytes) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(listen::unsent_bytes, listener.socket.Ioctl(SP_IOCTL_UNSENT));
}

}  // namespace sockproof
