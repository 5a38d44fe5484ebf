// Names: bind, and what getsockname and getpeername say afterwards.
#include <fmt/format.h>

#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kBindTwice("bind.again", "bind on a bound socket fails.", "bind.twice");
const Rule kBindConnected("bind.on_connected", "bind on a connected socket fails.", "bind.connected");
const Rule kBindListener("bind.on_listener", "bind on a listener fails.", "listen.bind");
const Rule kBindInUse("bind.in_use", "bind to the address of another socket fails, where neither lets it be shared.",
                      "bind.in_use");
const Rule kBindPathInUse("bind.path_in_use", "bind to the path of another socket fails.", "bind.in_use_path");
const Rule kName("name.bound", "getsockname returns the address that the socket was bound to.", "bind.name");
const Rule kPort("name.port_chosen", "bind to port 0 chooses a port.", "bind.port_chosen");
const Rule kListenerKeeps("name.listener_keeps", "listen leaves the name of a bound socket as it is.", "listen.keeps_name");
const Rule kListenerName("name.of_listener", "The name of a listener stays the same while clients come and go.",
                         "bind.name_of_listener");
const Rule kBoundClient("name.kept_by_connect", "connect leaves the address of a bound socket as it is.",
                        "connect.keeps_bound_address");
const Rule kImplicit("name.implicit", "connect gives a socket that is not bound a local address with a port.",
                     "connect.implicit_bind");
const Rule kAccepted("name.accepted", "The name of an accepted socket is the address that its client connected to.",
                     "bind.name_accepted");
const Rule kPeer("name.peer", "A connected socket names as its peer the address that it connected to.", "connect.peer_name");
const Rule kAcceptedPeer("name.accepted_peer", "The peer name of an accepted socket is the one that accept returned.",
                         "accept.peer_name_agrees");
const Rule kAgree("name.ends_agree", "What one end calls its own address, the other calls its peer's.", "connect.names_agree");
const Rule kNoPeer("name.no_peer", "getpeername of a socket that is not connected fails.", "options.peer_name_unconnected");
const Rule kListenerNoPeer("name.listener_no_peer", "A listener has no peer.", "listen.peer_name");
const Rule kPendingNoPeer("name.pending_no_peer", "A socket has no peer before its connection is established.",
                          "progress.peer_name_pending");
const Rule kBindPending("bind.pending", "bind on a socket whose connection is under way fails.", "progress.bind_pending");
const Rule kFailedNoPeer("name.failed_no_peer", "A socket whose attempt to connect has failed has no peer.", "refused.peer_name");

bool Internet(const Address& address) { return address.family() == SP_INET || address.family() == SP_INET6; }

void LinkByName(Court& court, Id client) {
  Socket& socket = court.At(client);
  if (socket.peer != kNobody || socket.listener == kNobody || !socket.local || socket.unknown) return;
  for (Id id = 0; id < static_cast<Id>(court.model.sockets.size()); ++id) {
    Socket& other = court.At(id);
    if (!other.accepted || other.peer != kNobody || other.unknown || other.listener != socket.listener || !other.peer_name ||
        other.peer_name->port() == 0 || !SamePlace(*other.peer_name, *socket.local)) {
      continue;
    }
    other.peer = client;
    socket.peer = id;
    socket.stray = false;
    return;
  }
}

void LocalName(Court& court, const Operation& call, Socket& socket, const Address& name) {
  const bool stable = Court::Stable(socket, call);
  const std::string seen = name.ToString();
  // A listener that was shut down may have given its port up, and be given another one.
  if (socket.phases == kListening && socket.read_shut.Possible()) return court.Forget(call.subject);
  if (stable && socket.local && socket.bound) {
    const bool same = Internet(name) && (IsWildcard(*socket.local) || IsWildcard(name)) ? name.port() == socket.local->port()
                                                                                        : SamePlace(name, *socket.local);
    const std::string detail = fmt::format("{} after {}", seen, socket.local->ToString());
    const Rule& rule = socket.phases == kConnected ? kBoundClient : socket.phases == kListening ? kListenerName : kName;
    if (!court.Holds(rule, call, same, detail)) return;
    if (socket.phases == kListening && !court.Holds(kListenerKeeps, call, same, detail)) return;
  } else if (stable && socket.bound && Internet(name) && !socket.odd) {
    if (!court.Holds(kPort, call, name.port() != 0, seen)) return;
  } else if (stable && socket.phases == kConnected && !socket.pair && Internet(name) && !socket.accepted &&
             !court.ResetPossible(socket) && !socket.write_shut.Possible()) {
    if (!court.Holds(kImplicit, call, name.port() != 0 && !IsWildcard(name), seen)) return;
  }
  if (socket.accepted && socket.peer != kNobody && Internet(name) && !court.ResetPossible(socket)) {
    const Socket& client = court.At(socket.peer);
    if (client.peer_name && !IsWildcard(*client.peer_name)) {
      if (!court.Holds(kAccepted, call, SamePlace(name, *client.peer_name), seen)) return;
    }
  }
  if (!stable || socket.unknown) return;
  if (!socket.local || IsWildcard(*socket.local)) {
    if (!Internet(name) || name.port() != 0) socket.local = name;
    LinkByName(court, call.subject);
  }
}

void PeerName(Court& court, const Operation& call, Socket& socket, const std::optional<Address>& name) {
  const bool stable = Court::Stable(socket, call) && socket.consuming == 0;
  if (!stable || !ConnectionMode(socket) || socket.odd) return;
  if (!call.ok()) {
    if (Is(call, SP_ENOTCONN) && socket.phases == kFresh && socket.attempt_begin == 0) court.Allows(kNoPeer, call, "ENOTCONN");
    if (Is(call, SP_ENOTCONN) && socket.phases == kListening) court.Allows(kListenerNoPeer, call, "ENOTCONN");
    if (Is(call, SP_ENOTCONN) && socket.phases == kConnecting) court.Allows(kPendingNoPeer, call, "ENOTCONN");
    if (Is(call, SP_ENOTCONN) && socket.phases == kFailed) court.Allows(kFailedNoPeer, call, "ENOTCONN");
    if (!Is(call, SP_ENOTCONN) || socket.phases != kConnected) return;
    const bool may_be_gone = court.EndPossible(socket) || socket.write_shut.Possible() || socket.error_possible;
    if (!may_be_gone && court.Alone(socket)) court.Holds(kPeer, call, false, "no peer, and nothing has ended the connection");
    return;
  }
  if (socket.phases == kFresh && !socket.pair) {
    court.Allows(kNoPeer, call, "ok");
    return;
  }
  if (socket.phases == kListening) {
    court.Allows(kListenerNoPeer, call, "ok");
    return;
  }
  if (socket.phases == kConnecting) {
    court.Allows(kPendingNoPeer, call, "ok");
    return;
  }
  if (socket.phases == kFailed) {
    court.Allows(kFailedNoPeer, call, "ok");
    return;
  }
  if (!name || !Internet(*name)) return;
  if ((socket.phases & kConnecting) != 0) socket.phases = kConnected;
  if (socket.phases != kConnected || !socket.peer_name) return;
  if (IsWildcard(*socket.peer_name)) return;
  const bool same = SamePlace(*name, *socket.peer_name);
  const std::string detail = fmt::format("{} and not {}", name->ToString(), socket.peer_name->ToString());
  if (!court.Holds(socket.accepted ? kAcceptedPeer : kPeer, call, same, detail)) return;
  if (const Socket* peer = court.PeerOf(socket); peer != nullptr && peer->local && !IsWildcard(*peer->local)) {
    court.Holds(kAgree, call, SamePlace(*name, *peer->local),
                fmt::format("{} against {}", name->ToString(), peer->local->ToString()));
  }
}

// Another socket has exactly this address, and neither lets it be shared.
bool Taken(Court& court, const Operation& call, const Socket& socket, const Address& address) {
  if (court.model.strangers || socket.sharing || !court.model.whole) return false;
  for (Id id = 0; id < static_cast<Id>(court.model.sockets.size()); ++id) {
    const Socket& other = court.At(id);
    if (id == call.subject || other.unknown || other.shared || other.sharing || other.closed.Possible() ||
        other.read_shut.Possible() || !other.local || !other.bound || other.family != socket.family ||
        other.type != socket.type || other.odd || socket.odd || !Court::Stable(other, call) || other.phases == kConnected) {
      continue;
    }
    if (SamePlace(*other.local, address) && (address.family() == SP_UNIX || address.port() != 0)) return true;
  }
  return false;
}

}  // namespace

void EndBind(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  const AddressArgument to = call.In("address");
  if (socket == nullptr) return;
  if (!Court::Stable(*socket, call)) return court.Forget(call.subject);
  // Whether this host has such an address may be looked at before the socket's own state.
  const bool here = !Internet(to.address) || IsLoopback(to.address) || IsWildcard(to.address);
  if (to.plain && here && ConnectionMode(*socket) && to.address.family() == socket->family && !socket->odd) {
    const bool internet = Internet(to.address);
    if (socket->phases == kListening && !socket->read_shut.Possible() && internet) {
      if (!court.Allows(kBindListener, call, NameOf(call))) return;
    } else if (socket->phases == kConnected && internet && !socket->pair && !court.EndPossible(*socket)) {
      if (!court.Allows(kBindConnected, call, NameOf(call))) return;
    } else if (socket->phases == kConnecting && internet) {
      if (!court.Allows(kBindPending, call, NameOf(call))) return;
    } else if (socket->phases == kFresh && socket->bound) {
      // The path may be looked at first, and be its own; without one, Linux has nothing more to do (unix_autobind).
      if (!internet && (Is(call, SP_EADDRINUSE) || to.address.path().empty())) return;
      if (!court.Allows(kBindTwice, call, NameOf(call))) return;
    } else if (socket->phases == kFresh && Taken(court, call, *socket, to.address)) {
      if (!court.Allows(internet ? kBindInUse : kBindPathInUse, call, NameOf(call))) return;
    }
  }
  if (!call.ok()) return;
  if (!to.plain) return court.Forget(call.subject);
  // The IPv4 wildcard on an IPv6 socket may show as the IPv6 one, and is still not reached by IPv6.
  if (to.address.IsV4Mapped() && to.address.raw().bytes[12] == 0) socket->odd = true;
  socket->bound = true;
  socket->local.reset();
  socket->named = call.end;
  if (to.address.family() == SP_UNIX ? !to.address.path().empty() : to.address.port() != 0) socket->local = to.address;
}

void EndName(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  if (socket == nullptr) return;
  const std::optional<Address> name = call.Out("name");
  if (call.op == SP_OP_PEER_NAME) return PeerName(court, call, *socket, name);
  if (call.ok() && name) LocalName(court, call, *socket, *name);
}

}  // namespace sockproof::oracle
