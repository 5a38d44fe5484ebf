// Faults of names and ports: which address a socket gets without asking, and what it is told to be.
#include <algorithm>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kNoReport = "no report found: bind(), getsockname() and getpeername(), DESCRIPTION, say it otherwise";
constexpr const char* kPorts = "no report found: ip(7), ip_local_port_range; tcp(7) has a port chosen among those that are free";

constexpr int kMark = 1;  // slots of a socket's memory
constexpr int kPort = 2;

bool IsInet(const sp_address& address) { return address.family == SP_INET || address.family == SP_INET6; }
bool IsName(const sp_call* call) { return IsSocketCall(call, SP_OP_LOCAL_NAME) || IsSocketCall(call, SP_OP_PEER_NAME); }
sp_address& Name(sp_call* call) { return call->u.local_name.name.address; }
bool IsMapped(const sp_address& address) {
  const bool zeros = std::all_of(address.bytes, address.bytes + 10, [](uint8_t byte) { return byte == 0; });
  return address.family == SP_INET6 && zeros && address.bytes[10] == 0xff && address.bytes[11] == 0xff;
}

// Gives a socket that is about to get a port without asking one that nobody would have chosen.
void TakeOddPort(Wrapped& provider, sp_handle handle) {
  const Known known = provider.Of(handle);
  if (known.type != SP_STREAM || known.family == SP_UNIX || known.family == SP_UNSPEC) return;
  if (const auto name = provider.LocalName(handle); !name || name->port != 0) return;
  for (int tries = 0; tries < 64; ++tries) {
    sp_address address{};
    address.family = known.family;
    address.port = static_cast<uint16_t>(20'000 + provider.Add(kWorld, 1, 70'000) % 1'000);
    if (Bind(provider, handle, address).error == SP_OK) return;
  }
}

template <uint32_t kOp>
void PortOutOfRange(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, kOp) && !provider.Of(call->handle).connecting && !provider.Of(call->handle).connected)
    TakeOddPort(provider, call->handle);
  provider.Pass(call, result);
}

// The names of all sockets that got their port in one way have the port of the first of them.
template <uint32_t kOp>
void OnePortForAll(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, kOp) && provider.IsTcp(call->handle);
  const auto before = ours ? provider.LocalName(call->handle) : std::nullopt;
  provider.Pass(call, result);
  const bool done = result->error == SP_OK || result->error == SP_EINPROGRESS || result->error == SP_EAGAIN;
  if (ours && (!before || before->port == 0) && done) {
    const auto name = provider.LocalName(call->handle);
    if (name && provider.Get(kWorld, kPort) == 0) provider.Put(kWorld, name->port, kPort);
    provider.Put(call->handle.value, 1, kMark);
  }
  if (IsSocketCall(call, SP_OP_LOCAL_NAME) && result->error == SP_OK && provider.Get(call->handle.value, kMark) != 0) {
    Name(call).port = static_cast<uint16_t>(provider.Get(kWorld, kPort));
  }
}

void ListenNamesLoopback(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const bool ours = IsSocketCall(call, SP_OP_LOCAL_NAME) && result->error == SP_OK && provider.Of(call->handle).listening;
  if (!ours || !IsWildcard(Name(call))) return;
  if (Name(call).family == SP_INET) Name(call).bytes[0] = 127;
  Name(call).bytes[Name(call).family == SP_INET ? 3 : 15] = 1;
}

void MappedIsPlain(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsName(call) || result->error != SP_OK || !IsMapped(Name(call))) return;
  sp_address& name = Name(call);
  name.family = SP_INET;
  std::copy_n(name.bytes + 12, 4, name.bytes);
  std::fill(name.bytes + 4, name.bytes + 16, uint8_t{0});
}

void LocalClientIsNamed(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsName(call) || result->error != SP_OK || !provider.IsLocal(call->handle) || Name(call).path_length != 0) return;
  Name(call).path_length = 3;
  std::copy_n("\0ab", 3, Name(call).path);
}

void PathLengthCut(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_LOCAL_NAME) && result->error == SP_OK && provider.IsLocal(call->handle)) {
    --call->u.local_name.name.reported;
  }
}

void PeerIsLastAsked(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_CONNECT)) provider.Put(call->handle.value, call->u.connect.address.address.port, kPort);
  provider.Pass(call, result);
  const int64_t port = provider.Get(call->handle.value, kPort);
  if (IsSocketCall(call, SP_OP_PEER_NAME) && result->error == SP_OK && port != 0) {
    Name(call).port = static_cast<uint16_t>(port);
  }
}

void PortLateInConnect(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours =
      IsSocketCall(call, SP_OP_LOCAL_NAME) && provider.Of(call->handle).connecting && !provider.PeerName(call->handle);
  provider.Pass(call, result);
  if (ours && IsInet(Name(call))) Name(call).port = 0;
}

void SecondBindRenames(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_BIND) && result->error != SP_OK && call->u.bind.address.kind == SP_POINTER_VALID) {
    if (const auto name = provider.LocalName(call->handle); name && (name->port != 0 || name->path_length != 0)) {
      provider.Put(call->handle.value, 1, kMark);
    }
  }
  if (!IsSocketCall(call, SP_OP_LOCAL_NAME) || result->error != SP_OK || provider.Get(call->handle.value, kMark) == 0) return;
  Name(call).port ^= 1;
  Name(call).path[1] ^= 1;
}

void NamesGoWithTheListener(Wrapped& provider, sp_call* call, sp_result* result) {
  const Known known = provider.Of(call->handle);
  const bool orphan = known.accepted && provider.Of({SP_HANDLE_SOCKET, 0, known.listener}).family == SP_UNSPEC;
  if (IsName(call) && orphan) return Fail(result, SP_ENOTCONN);
  provider.Pass(call, result);
}

void AfterShutdownBroken(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_PEER_NAME) && provider.Get(call->handle.value, kMark) != 0) return Fail(result, SP_EPIPE);
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_SHUTDOWN) && result->error == SP_OK) provider.Put(call->handle.value, 1, kMark);
}

void DatagramHasNoPeer(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_PEER_NAME) && provider.Of(call->handle).type == SP_DATAGRAM) return Fail(result, SP_ENOTCONN);
  provider.Pass(call, result);
}

void AcceptedOfOtherFamily(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const Known known = provider.Of(call->handle);
  if (!known.accepted || result->error != SP_OK) return;
  if (IsName(call)) Name(call).family = Name(call).family == SP_INET ? SP_INET6 : SP_INET;
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_DOMAIN)) {
    call->u.get_option.integer = call->u.get_option.integer == SP_INET ? SP_INET6 : SP_INET;
  }
}

// ---- Who may have which port

// A port that one address has is taken on every other.
void PortOfAllAddresses(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_BIND) && IsInet(call->u.bind.address.address) && provider.IsTcp(call->handle);
  const uint16_t port = call->u.bind.address.address.port;
  if (ours && port != 0 && provider.Get(kWorld, port) > 0) return Fail(result, SP_EADDRINUSE);
  if (IsSocketCall(call, SP_OP_CLOSE)) {
    if (const int64_t had = provider.Get(call->handle.value, kPort); had != 0) provider.Add(kWorld, -1, static_cast<int>(had));
  }
  provider.Pass(call, result);
  if (!ours || result->error != SP_OK) return;
  const auto name = provider.LocalName(call->handle);
  if (!name) return;
  provider.Add(kWorld, 1, name->port);
  provider.Put(call->handle.value, name->port, kPort);
}

// A port from which a connection was made is good for none any more.
void PortConnectsOnce(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_CONNECT) && provider.IsTcp(call->handle) && !provider.Of(call->handle).connecting &&
                    !provider.Of(call->handle).connected;
  const auto name = ours ? provider.LocalName(call->handle) : std::nullopt;
  if (name && name->port != 0 && provider.Get(kWorld, name->port) != 0) return Fail(result, SP_EADDRNOTAVAIL);
  provider.Pass(call, result);
  if (name && name->port != 0) provider.Put(kWorld, 1, name->port);
}

void NoListenWhileConnecting(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_LISTEN) && provider.IsTcp(call->handle)) {
    const auto name = provider.LocalName(call->handle);
    if (name && name->port != 0 && provider.Get(kWorld, name->port) != 0) return Fail(result, SP_EADDRINUSE);
  }
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_CONNECT) && provider.IsTcp(call->handle)) {
    if (const auto name = provider.LocalName(call->handle); name) provider.Put(kWorld, 1, name->port);
  }
}

void AbortKeepsThePort(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_BIND) && IsInet(call->u.bind.address.address);
  if (ours && provider.Get(kWorld, call->u.bind.address.address.port) != 0) return Fail(result, SP_EADDRINUSE);
  const auto name = IsSocketCall(call, SP_OP_CLOSE) && provider.Get(call->handle.value, kMark) != 0
                        ? provider.LocalName(call->handle)
                        : std::nullopt;
  provider.Pass(call, result);
  if (name && name->port != 0) provider.Put(kWorld, 1, name->port);
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_LINGER) && result->error == SP_OK) {
    provider.Put(call->handle.value, call->u.set_option.linger_on != 0 && call->u.set_option.linger_seconds == 0, kMark);
  }
}

void NoAutobind(Wrapped& provider, sp_call* call, sp_result* result) {
  const sp_address& wanted = call->u.bind.address.address;
  if (IsSocketCall(call, SP_OP_BIND) && wanted.family == SP_UNIX && wanted.path_length == 0) return Fail(result, SP_EINVAL);
  provider.Pass(call, result);
}

void AutobindIsAPath(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  sp_address& name = Name(call);
  if (!IsSocketCall(call, SP_OP_LOCAL_NAME) || result->error != SP_OK || name.family != SP_UNIX) return;
  if (name.path_length == 6 && name.path[0] == '\0') name.path[0] = 'a';
}

// ---- Who is reached

// Only one address of this host is.
void OneLoopbackOnly(Wrapped& provider, sp_call* call, sp_result* result) {
  const sp_address& wanted = call->u.connect.address.address;
  const bool other =
      (wanted.family == SP_INET && (wanted.bytes[3] != 1 || wanted.bytes[2] != 0 || wanted.bytes[1] != 0)) || IsMapped(wanted);
  if (IsSocketCall(call, SP_OP_CONNECT) && provider.IsTcp(call->handle) && other) return Fail(result, SP_ECONNREFUSED);
  provider.Pass(call, result);
}

void AnyAddressConnects(Wrapped& provider, sp_call* call, sp_result* result) {
  const sp_address& wanted = call->u.connect.address.address;
  const bool multicast =
      (wanted.family == SP_INET && wanted.bytes[0] >= 224) || (wanted.family == SP_INET6 && wanted.bytes[0] == 0xff);
  if (IsSocketCall(call, SP_OP_CONNECT) && provider.IsTcp(call->handle) && multicast &&
      call->u.connect.address.kind == SP_POINTER_VALID)
    return Succeed(result);
  provider.Pass(call, result);
}

void NoBroadcast(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_CONNECT) && provider.Of(call->handle).type == SP_DATAGRAM &&
      call->u.connect.address.address.family == SP_INET && call->u.connect.address.address.bytes[3] == 255) {
    return Fail(result, SP_EACCES);
  }
  provider.Pass(call, result);
}

void NoDissolving(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_CONNECT) && provider.IsTcp(call->handle) && call->u.connect.address.kind == SP_POINTER_VALID &&
      call->u.connect.address.address.family == SP_UNSPEC) {
    return Fail(result, SP_EAFNOSUPPORT);
  }
  provider.Pass(call, result);
}

void NoMeeting(Wrapped& provider, sp_call* call, sp_result* result) {
  // Two that connect to each other: the second is refused, as by a stack that looks for listeners alone.
  const bool ours = IsSocketCall(call, SP_OP_CONNECT) && provider.IsTcp(call->handle);
  if (ours && provider.Get(kWorld, call->u.connect.address.address.port) != 0) return Fail(result, SP_ECONNREFUSED);
  provider.Pass(call, result);
  if (!ours || (result->error != SP_EINPROGRESS && result->error != SP_EAGAIN)) return;
  if (const auto name = provider.LocalName(call->handle); name) provider.Put(kWorld, 1, name->port);
}

template <int32_t kOption>
void WithoutEffect(Wrapped& provider, sp_call* call, sp_result* result) {
  OptionWithoutEffect(provider, call, result, kOption);
}

int LocalSlot(const sp_address& address) {
  uint32_t hash = 7;
  for (int i = 0; i < address.path_length; ++i) hash = hash * 31 + static_cast<uint8_t>(address.path[i]);
  return 300'000 + static_cast<int>(hash % 1'000'000);
}

void LocalStaysTaken(Wrapped& provider, sp_call* call, sp_result* result) {
  const sp_address& wanted = call->u.bind.address.address;
  const bool ours = IsSocketCall(call, SP_OP_BIND) && wanted.family == SP_UNIX && wanted.path_length > 0;
  if (ours && provider.Get(kWorld, LocalSlot(wanted)) != 0) return Fail(result, SP_EADDRINUSE);
  provider.Pass(call, result);
  if (ours && result->error == SP_OK) provider.Put(kWorld, 1, LocalSlot(wanted));
}

void ReuseHelpsOnce(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_BIND) && IsInet(call->u.bind.address.address) && provider.IsTcp(call->handle);
  const uint16_t port = call->u.bind.address.address.port;
  const bool reuse = ours && (provider.GetInteger(call->handle, SP_SO_REUSEADDR).value_or(0) != 0 ||
                              provider.GetInteger(call->handle, SP_SO_REUSEPORT).value_or(0) != 0);
  if (reuse && port != 0 && provider.Add(kWorld, 1, 400'000 + port) > 1) return Fail(result, SP_EADDRINUSE);
  provider.Pass(call, result);
  if (!reuse || port != 0 || result->error != SP_OK) return;
  if (const auto name = provider.LocalName(call->handle); name) provider.Add(kWorld, 1, 400'000 + name->port);
}

void NeverBothFamilies(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, SP_IPV6_V6ONLY) && call->u.set_option.integer == 0) return Succeed(result);
  provider.Pass(call, result);
  if (call->op == SP_OP_SOCKET && result->error == SP_OK && call->u.socket.family == SP_INET6) {
    provider.SetInteger(result->handle, SP_IPV6_V6ONLY, 1);
  }
}

void NeverOneFamily(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, SP_IPV6_V6ONLY) && call->u.set_option.integer != 0) return Succeed(result);
  provider.Pass(call, result);
  if (call->op == SP_OP_SOCKET && result->error == SP_OK && call->u.socket.family == SP_INET6) {
    provider.SetInteger(result->handle, SP_IPV6_V6ONLY, 0);
  }
}

void AcceptedOfOtherType(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!provider.Of(call->handle).accepted || result->error != SP_OK) return;
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_TYPE)) call->u.get_option.integer = SP_DATAGRAM;
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_PROTOCOL)) call->u.get_option.integer ^= 0x40;
}

void PortOffByOne(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsSocketCall(call, SP_OP_LOCAL_NAME) || result->error != SP_OK || provider.Of(call->handle).accepted) return;
  if (IsInet(Name(call)) && Name(call).port != 0) Name(call).port ^= 1;
}

void BothFamiliesFromTheStart(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_SOCKET && result->error == SP_OK && call->u.socket.family == SP_INET6) {
    provider.SetInteger(result->handle, SP_IPV6_V6ONLY, 0);
  }
}

constexpr Fault kFaults[] = {
    {"name-port-off-by-one", "the port that getsockname says differs by one", "bind.name bind.name_of_listener listen.keeps_name",
     "posix linux", "gramineproject/gramine pull request 74: getsockname and getpeername told wrong names", PortOffByOne},
    {"name-never-one-family", "IPV6_V6ONLY is off and cannot be switched on", "connect.v6only_client bind.v6only_refuses",
     "posix linux winsock", "asterinas before pull request 3515 had no IPV6_V6ONLY", NeverOneFamily},
    {"name-accepted-of-other-type", "an accepted socket is told to be of another type and protocol than its listener",
     "inherit.type inherit.protocol", "posix linux winsock", kNoReport, AcceptedOfOtherType},
    {"name-local-stays-taken", "the name of a local socket can be bound once, and never again",
     "closing.abstract_gone closing.path_removed", "linux",
     "demikernel/inetstack pull request 181: a port that was given out is not given back at close", LocalStaysTaken},
    {"name-reuse-helps-once", "SO_REUSEADDR and SO_REUSEPORT help one socket for each port, and none after it",
     "closing.address_with_child_reuse closing.group_joined bind.reuse_both", "linux",
     "apache/nuttx pull request 8493: SO_REUSEADDR had no effect on the check for a port in use", ReuseHelpsOnce},
    {"name-never-both-families", "IPV6_V6ONLY is on and cannot be switched off", "bind.dual_serves", "posix linux winsock",
     "beanstalkd pull request 544 and rakshasa/libtorrent issue 822: systems whose default is IPV6_V6ONLY on", NeverBothFamilies},
    {"name-both-families-by-default", "a new IPv6 socket is for IPv4 as well", "bind.v6only_default_on", "winsock",
     "no report found: it is so on Linux, ipv6(7); not in Windows Sockets 2", BothFamiliesFromTheStart},
    {"name-port-of-connect-out-of-range", "the port that connect chooses lies outside the range for that",
     "connect.ports_within_range", "linux", kPorts, PortOutOfRange<SP_OP_CONNECT>},
    {"name-port-of-listen-out-of-range", "the port that listen chooses lies outside the range for that", "listen.unbound_port",
     "linux", kPorts, PortOutOfRange<SP_OP_LISTEN>},
    {"name-one-port-for-connects", "all sockets that connect without being bound are told the same port",
     "connect.implicit_bind_unused", "posix linux winsock", kPorts, OnePortForAll<SP_OP_CONNECT>},
    {"name-one-port-for-listens", "all sockets that listen without being bound are told the same port", "listen.unbound_distinct",
     "linux", kPorts, OnePortForAll<SP_OP_LISTEN>},
    {"name-listener-is-loopback", "the name of a listener on the wildcard address says loopback",
     "listen.unbound_name listen.keeps_name", "linux", kNoReport, ListenNamesLoopback},
    {"name-mapped-is-plain", "an IPv6 socket that talks IPv4 has names of IPv4", "connect.mapped_names accept.mapped_peer",
     "posix linux winsock", kNoReport, MappedIsPlain},
    {"name-local-client-is-named", "a local socket that was not bound has a name", "connect.unix_unnamed", "linux", kNoReport,
     LocalClientIsNamed},
    {"name-path-without-its-end", "the length of the name of a local socket leaves its last byte out", "bind.name_path_length",
     "linux", kNoReport, PathLengthCut},
    {"name-peer-is-the-last-asked", "getpeername says what the last connect asked for, though that one failed",
     "progress.first_address_holds", "posix linux winsock", kNoReport, PeerIsLastAsked},
    {"name-no-port-while-connecting", "a socket whose connection is under way has port 0", "progress.local_name_pending",
     "posix linux", kNoReport, PortLateInConnect},
    {"name-of-failed-bind", "a bind that fails on a bound socket changes its name", "bind.twice_harmless listen.bind_harmless",
     "posix linux", kNoReport, SecondBindRenames},
    {"name-gone-with-the-listener", "an accepted socket has no names any more once its listener is closed",
     "closing.children_names", "posix linux", kNoReport, NamesGoWithTheListener},
    {"name-broken-after-shutdown", "getpeername fails with EPIPE after a shutdown", "shutdown.peer_name_after", "posix linux",
     kNoReport, AfterShutdownBroken},
    {"name-datagram-has-no-peer", "a connected datagram socket has no peer", "connect.datagram_peer", "posix linux winsock",
     kNoReport, DatagramHasNoPeer},
    {"name-accepted-of-other-family", "an accepted socket is told to be of another family than its listener",
     "inherit.family accept.local_name", "posix linux winsock", kNoReport, AcceptedOfOtherFamily},
    {"name-port-of-all-addresses", "a port that is bound on one address is taken on all others",
     "bind.other_address bind.loopbacks_apart bind.exclusive_other_address bind.reuse_wildcard_bound", "linux winsock",
     "no report found: ip(7) has an address bound for a pair of address and port", PortOfAllAddresses},
    {"name-port-connects-once", "from a port from which a connection was made none can be made again",
     "close.half_open_connect close.last_ack_connect", "posix linux",
     "demikernel/inetstack pull request 181: a port that was given out is not given back at close", PortConnectsOnce},
    {"name-no-listen-beside-connect", "listen fails on a port from which a connection was made",
     "progress.listen_on_same_port listen.beside_connecting", "posix linux", kPorts, NoListenWhileConnecting},
    {"name-abort-keeps-the-port", "the address of a connection that was aborted stays in use", "close.abort_frees_port",
     "winsock", "demikernel/inetstack pull request 181: a port that was given out is not given back at close", AbortKeepsThePort},
    {"name-no-autobind", "bind of a local socket to no name fails with EINVAL", "bind.autobind bind.autobind_serves", "linux",
     "no report found: unix(7), Autobind feature", NoAutobind},
    {"name-autobind-is-a-path", "bind of a local socket to no name gives it a pathname", "bind.autobind", "linux",
     "no report found: unix(7), Autobind feature: an abstract address", AutobindIsAPath},
    {"name-one-loopback", "of the loopback addresses only 127.0.0.1 and ::1 reach anybody",
     "bind.wildcard_serves connect.reaches_listener bind.other_address", "posix linux winsock",
     "no report found: bind(), the wildcard stands for every address of the host", OneLoopbackOnly},
    {"name-multicast-connects", "connect of a stream socket to a multicast address succeeds", "connect.not_unicast",
     "posix linux", "no report found: RFC 1122 4.2.3.10 wants it refused", AnyAddressConnects},
    {"name-no-broadcast", "a datagram socket can never be connected to a broadcast address", "connect.datagram_broadcast_allowed",
     "winsock", "no report found: connect(), Remarks, of Windows Sockets 2", NoBroadcast},
    {"name-no-dissolving", "connect of a TCP socket to AF_UNSPEC fails", "connect.dissolve listen.dissolve", "linux",
     "phoenix-rtos issue 1669: connect() with AF_UNSPEC does not reset the peer address", NoDissolving},
    {"name-no-simultaneous-open", "of two sockets that connect to each other the second is refused", "progress.simultaneous_open",
     "posix linux", "no report found: RFC 9293 3.5 has simultaneous opens; small stacks look for listeners alone", NoMeeting},
    {"name-freebind-ignored", "IP_FREEBIND can be set and read, and has no effect", "bind.not_local_free", "linux",
     "no report found: ip(7), IP_FREEBIND", WithoutEffect<SP_IP_FREEBIND>},
    {"name-no-port-ignored", "IP_BIND_ADDRESS_NO_PORT can be set and read, and has no effect", "bind.port_later", "linux",
     "no report found: ip(7), IP_BIND_ADDRESS_NO_PORT", WithoutEffect<SP_IP_BIND_ADDRESS_NO_PORT>},
    {"name-segment-size-ignored", "TCP_MAXSEG can be set and read, and has no effect", "inherit.tcp_maxseg_peer", "linux",
     "no report found: tcp(7), TCP_MAXSEG", WithoutEffect<SP_TCP_MAXSEG>},
};

}  // namespace

const FaultList kNameFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
