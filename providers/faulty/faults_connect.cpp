// Faults of connect: what it connects to, what things are called afterwards, sockets that are connected already, datagrams.
#include <algorithm>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr int kPeer = 1;  // slots of a handle's memory
constexpr int kMark = 2;

bool IsConnect(const sp_call* call) { return IsSocketCall(call, SP_OP_CONNECT); }
const sp_address& Wanted(const sp_call* call) { return call->u.connect.address.address; }
bool IsDatagram(Wrapped& provider, const sp_call* call) { return provider.Of(call->handle).type == SP_DATAGRAM; }
bool Dissolves(const sp_call* call) {
  return IsConnect(call) && call->u.connect.address.kind == SP_POINTER_VALID && Wanted(call).family == SP_UNSPEC;
}

// One error of connect told as another, for sockets of one kind.
void ConnectTells(Wrapped& provider, sp_call* call, sp_result* result, int32_t error, int32_t as, bool local) {
  provider.Pass(call, result);
  if (IsConnect(call) && provider.IsLocal(call->handle) == local) TellAs(result, error, as);
}

constexpr Fault kFaults[] = {
    {"connect-twice-succeeds", "connect on a connected socket succeeds",
     "connect.already_connected progress.connect_afterwards_again", "posix linux winsock",
     "axboe/liburing issue 980: connect() doesn't return EISCONN",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call) && provider.Of(call->handle).type != SP_DATAGRAM) Forgive(result, SP_EISCONN);
     }},
    {"connect-makes-two", "one connect makes two connections", "connect.one_connection", "posix linux",
     "no report found: connect(), DESCRIPTION: an attempt to make a connection",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const Known before = provider.Of(call->handle);
       provider.Pass(call, result);
       if (!IsConnect(call) || result->error != SP_OK || before.type == SP_DATAGRAM || before.connecting || before.connected)
         return;
       sp_call make{};
       make.u.socket.family = before.family;
       make.u.socket.type = before.type;
       make.u.socket.modes = SP_NONBLOCKING;
       const sp_result second = provider.Do(SP_OP_SOCKET, {}, &make);
       if (second.error == SP_OK) Connect(provider, second.handle, Wanted(call));  // never closed: it hangs there
     }},
    {"connect-takes-another-port", "connect of a socket that was bound comes from another port", "connect.keeps_bound_address",
     "posix linux winsock", "managarm pull request 1129: connect() of a bound socket gave up its address and bound it anew",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const auto name = IsConnect(call) && provider.IsTcp(call->handle) ? provider.LocalName(call->handle) : std::nullopt;
       const Known known = provider.Of(call->handle);
       if (!name || name->port == 0 || known.connecting || known.connected || known.listening || Dissolves(call)) {
         return provider.Pass(call, result);
       }
       sp_call make{};
       make.u.socket.family = known.family;
       make.u.socket.type = known.type;
       if (provider.IsNonblocking(call->handle)) make.u.socket.modes = SP_NONBLOCKING;
       const sp_result other = provider.Do(SP_OP_SOCKET, {}, &make);
       sp_call over{};
       over.u.duplicate.onto = 1;
       over.u.duplicate.target = call->handle;
       if (other.error == SP_OK && provider.Do(SP_OP_DUPLICATE, other.handle, &over).error == SP_OK) provider.Close(other.handle);
       provider.Pass(call, result);
     }},
    {"connect-leaves-no-name", "the name of a socket that connected without being bound is the wildcard and port 0",
     "connect.implicit_bind", "posix linux winsock",
     "emscripten issue 4008: getsockname returns 0.0.0.0:0 for auto-bound sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsConnect(call)) {
         const auto before = provider.LocalName(call->handle);
         if (!provider.IsLocal(call->handle) && (!before || before->port == 0)) provider.Put(call->handle.value, 1, kMark);
       }
       provider.Pass(call, result);
       if (!IsSocketCall(call, SP_OP_LOCAL_NAME) || result->error != SP_OK || provider.Get(call->handle.value, kMark) == 0)
         return;
       sp_address& name = call->u.local_name.name.address;
       const int32_t family = name.family;
       name = sp_address{};
       name.family = family;
     }},
    {"connect-swaps-names", "getpeername of the connecting end says the local address",
     "connect.peer_name connect.names_agree progress.peer_afterwards accept.peer_name_agrees", "posix linux winsock",
     "gramineproject/gramine pull request 74: getsockname and getpeername told wrong names",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const Known known = provider.Of(call->handle);
       provider.Pass(call, result);
       if (!IsSocketCall(call, SP_OP_PEER_NAME) || result->error != SP_OK || known.accepted) return;
       if (const auto name = provider.LocalName(call->handle); name) call->u.peer_name.name.address = *name;
     }},
    {"connect-any-length", "connect takes an address of too short a length for a whole one", "connect.short_length",
     "linux winsock", "no report found: connect(), EINVAL: the length is not a valid one for the family",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsConnect(call) && call->u.connect.address.length >= 0) call->u.connect.address.length = SP_NATURAL_LENGTH;
       provider.Pass(call, result);
     }},
    {"connect-family-wrong-error", "connect to an address of another family fails with EADDRNOTAVAIL", "connect.wrong_family",
     "posix linux winsock", "zephyr issue 94210: the family was looked at by an assertion alone",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ConnectTells(provider, call, result, SP_EAFNOSUPPORT, SP_EADDRNOTAVAIL, false);
     }},
    {"connect-bad-handle-wrong-error", "connect on something that is not open says that it is no socket", "connect.bad_handle",
     "posix linux", "lwIP CHANGELOG 2014-03-11, bug #35928: BSD sockets functions must set errno for POSIX-compliance",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (call->op == SP_OP_CONNECT) TellAs(result, SP_EBADF, SP_ENOTSOCK);
     }},
    {"connect-port-zero-waits", "a connect to port 0 goes unanswered until it is told that the time is over", "connect.port_zero",
     "posix linux winsock", "no report found: RFC 9293 leaves port 0 to nobody",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsConnect(call) && Wanted(call).port == 0 &&
                         (Wanted(call).family == SP_INET || Wanted(call).family == SP_INET6) && !IsDatagram(provider, call);
       if (ours) return Fail(result, SP_ETIMEDOUT);
       provider.Pass(call, result);
     }},
    {"connect-absent-path-is-refused", "connect to an AF_UNIX path where nothing is says ECONNREFUSED", "connect.unix_no_entry",
     "posix linux", "no report found: connect(), ENOENT; asterinas pull request 1168 fixes incorrect error codes of UNIX sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ConnectTells(provider, call, result, SP_ENOENT, SP_ECONNREFUSED, true);
     }},
    {"connect-stale-path-is-absent", "connect to an AF_UNIX path that a closed socket left behind says ENOENT",
     "connect.unix_stale connect.unix_not_listening", "posix linux",
     "no report found: connect(), ECONNREFUSED; asterinas pull request 1168 fixes incorrect error codes of UNIX sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ConnectTells(provider, call, result, SP_ECONNREFUSED, SP_ENOENT, true);
     }},
    {"connect-wrong-type-is-refused", "connect to an AF_UNIX socket of another type says ECONNREFUSED", "connect.unix_wrong_type",
     "posix linux", "nanos pull request 1593: ECONNREFUSED in place of EPROTOTYPE",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ConnectTells(provider, call, result, SP_EPROTOTYPE, SP_ECONNREFUSED, true);
     }},
    {"connect-forbidden-path-is-absent", "connect to an AF_UNIX path without permission says ENOENT",
     "connect.unix_no_write_permission connect.unix_no_search_permission", "linux", "no report found: connect(), EACCES",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ConnectTells(provider, call, result, SP_EACCES, SP_ENOENT, true);
     }},
    {"connect-no-port-left-is-busy", "connect with every ephemeral port taken fails with EADDRINUSE", "connect.ports_exhausted",
     "linux", "demikernel/inetstack issue 170: one error of the two given for the other",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ConnectTells(provider, call, result, SP_EADDRNOTAVAIL, SP_EADDRINUSE, false);
     }},
    {"connect-dissolves-nothing", "connect to AF_UNSPEC succeeds on a connection and leaves it as it is",
     "connect.dissolve_no_peer connect.dissolve_reconnect listen.dissolve_peer", "linux",
     "no report found for streams: connect(2), AF_UNSPEC; zephyr issue 94210 for datagrams",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Dissolves(call) && provider.IsTcp(call->handle)) return Succeed(result);
       provider.Pass(call, result);
     }},
    {"connect-datagram-dissolves-nothing", "connect to AF_UNSPEC succeeds on a datagram socket and leaves its peer",
     "connect.datagram_dissolve", "linux",
     "phoenix-rtos issue 1669: connect() with AF_UNSPEC does not reset the peer address; zephyr issue 94210",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Dissolves(call) && IsDatagram(provider, call)) return Succeed(result);
       provider.Pass(call, result);
     }},
    {"connect-datagram-once", "a datagram socket keeps its first peer, whatever later connects say", "connect.datagram_reconnect",
     "posix linux winsock", "phoenix-rtos issue 1669: a connected datagram socket answers EISCONN",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsConnect(call) && IsDatagram(provider, call) && !Dissolves(call);
       if (ours && provider.Get(call->handle.value, kPeer) != 0) return Succeed(result);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK) provider.Put(call->handle.value, 1, kPeer);
     }},
    {"connect-datagram-takes-strangers", "a connected datagram socket receives what others than its peer send",
     "connect.datagram_sender", "posix linux winsock",
     "zephyr pull request 61843: a connected datagram socket accepted packets from any peer; shadow issue 2592; lwIP CHANGELOG "
     "2007-06-25, bug #20220",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       // The real socket stays without a peer; what goes out is addressed.
       std::optional<sp_address> peer;
       if (IsDatagram(provider, call) && !provider.IsLocal(call->handle)) {
         const std::lock_guard<std::mutex> lock(provider.mutex());
         if (call->op == SP_OP_CLOSE || Dissolves(call)) provider.bytes.erase(call->handle.value);
         if (IsConnect(call) && call->u.connect.address.kind == SP_POINTER_VALID && Wanted(call).port != 0) {
           const auto* bytes = reinterpret_cast<const uint8_t*>(&Wanted(call));
           provider.bytes[call->handle.value].assign(bytes, bytes + sizeof(sp_address));
           return Succeed(result);
         }
         if (const auto known = provider.bytes.find(call->handle.value); known != provider.bytes.end()) {
           peer.emplace();
           std::copy(known->second.begin(), known->second.end(), reinterpret_cast<uint8_t*>(&*peer));
         }
       }
       if (!peer) return provider.Pass(call, result);
       if (call->op == SP_OP_PEER_NAME) {
         call->op = SP_OP_LOCAL_NAME;
         provider.Pass(call, result);
         call->op = SP_OP_PEER_NAME;
         call->u.peer_name.name.address = *peer;
         return;
       }
       if (call->op != SP_OP_SEND || (call->u.send.to.kind != SP_POINTER_NULL && call->u.send.form >= SP_FORM_ADDRESS)) {
         return provider.Pass(call, result);
       }
       const sp_transfer_args asked = call->u.send;
       call->u.send.form = SP_FORM_MESSAGE;
       call->u.send.to = {SP_POINTER_VALID, SP_NATURAL_LENGTH, *peer};
       provider.Pass(call, result);
       call->u.send = asked;
     }},
    {"connect-datagram-without-peer-sends", "send on a datagram socket without a peer succeeds and goes nowhere",
     "connect.datagram_no_peer", "posix linux winsock",
     "phoenix-rtos issue 1669: a send() that must fail for want of a peer succeeded",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (!IsSocketCall(call, SP_OP_SEND) || !IsDatagram(provider, call)) return;
       if (result->error == SP_EDESTADDRREQ || result->error == SP_ENOTCONN) {
         Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
       }
     }},
};

}  // namespace

const FaultList kConnectFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
