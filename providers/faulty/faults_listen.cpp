// Faults of listen: what it takes, what it does to the socket, what a listener is afterwards.
#include <algorithm>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr int kLazyBacklog = 1;  // slots of a listener's memory
constexpr int kFailed = 2;

// Has bind or something else given the socket a name?
bool HasName(Wrapped& provider, sp_handle handle) {
  const auto name = provider.LocalName(handle);
  return name && (name->family == SP_UNIX ? name->path_length > 0 : name->port != 0);
}

// What the fault held back is done now.
void ListenAtLast(Wrapped& provider, sp_handle handle) {
  const int64_t backlog = provider.Get(handle.value, kLazyBacklog);
  if (backlog == 0) return;
  provider.Put(handle.value, 0, kLazyBacklog);
  sp_call call{};
  call.size = sizeof call;
  call.op = SP_OP_LISTEN;
  call.handle = handle;
  call.u.listen.backlog = static_cast<int32_t>(backlog - 1);
  sp_result result{};
  result.size = sizeof result;
  provider.Pass(&call, &result);
}

constexpr Fault kFaults[] = {
    {"listen-at-first-accept", "a socket listens in fact only once accept is called on it",
     "listen.bound_serves listen.again_serves listen.race_late_clients connect.completes", "posix linux winsock",
     "Zephyr pull request 19854 (Fix listening socket checks): the state was set to listening only when accept() was called",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_ACCEPT)) ListenAtLast(provider, call->handle);
       const Known known = provider.Of(call->handle);
       if (!IsSocketCall(call, SP_OP_LISTEN) || known.connected || known.connecting || known.listening ||
           (known.type != SP_STREAM && known.type != SP_SEQPACKET) || !HasName(provider, call->handle)) {
         return provider.Pass(call, result);
       }
       provider.Put(call->handle.value, std::int64_t{std::max(0, call->u.listen.backlog)} + 1, kLazyBacklog);
       Succeed(result);
     }},
    {"listen-serves-one", "a listener serves one client and listens no more after that accept",
     "accept.listener_goes_on accept.first_in_first_out backlog.queued_survive", "posix linux winsock",
     "tailscale-rs pull request 141: with smoltcp the listening socket becomes the connection, and until another one listens "
     "clients got a RST",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK) provider.Shutdown(call->handle, SP_SHUT_RDWR);
     }},
    {"listen-refuses-zero", "listen with a backlog of 0 fails with EINVAL", "listen.any_backlog backlog.zero",
     "posix linux winsock", "vitasdk/newlib pull request 49: sceIoListen rejects every backlog less than 1; gVisor issue 3153",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_LISTEN) && call->u.listen.backlog == 0) return Fail(result, SP_EINVAL);
       provider.Pass(call, result);
     }},
    {"listen-refuses-negative", "listen with a negative backlog fails with EINVAL", "listen.negative_backlog",
     "posix linux winsock", "SerenityOS pull request 21772: listen() refused a negative backlog",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_LISTEN) && call->u.listen.backlog < 0) return Fail(result, SP_EINVAL);
       provider.Pass(call, result);
     }},
    {"listen-refuses-huge", "listen with a backlog above the system's limit fails with EINVAL in place of reducing it",
     "listen.any_backlog backlog.huge", "posix linux winsock", "genodelabs/genode issue 4341: listen(sockfd, INT_MAX) fails",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_LISTEN) && call->u.listen.backlog > 4096) return Fail(result, SP_EINVAL);
       provider.Pass(call, result);
     }},
    {"listen-again-fails", "listen on a listener fails with EINVAL", "listen.again backlog.grow_admits listen.no_descriptors",
     "linux winsock",
     "lwIP CHANGELOG 2007-07-24, bug #20480: tcp_listen() was then made to refuse every socket that is not CLOSED",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_LISTEN) && provider.Of(call->handle).listening) return Fail(result, SP_EINVAL);
       provider.Pass(call, result);
     }},
    {"listen-on-a-connection", "listen on a connected socket succeeds", "listen.connected listen.connected_pair",
     "posix linux winsock", "lwIP CHANGELOG 2007-07-24, bug #20480: tcp_listen() did not look at the state of the socket",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsSocketCall(call, SP_OP_LISTEN) && provider.Of(call->handle).connected;
       provider.Pass(call, result);
       if (ours && result->error != SP_EBADF) Succeed(result);
     }},
    {"listen-kills-a-connection", "listen on a connected socket fails as it should, and ends the connection",
     "listen.connected_unharmed", "posix linux",
     "lwIP CHANGELOG 2007-07-24, bug #20480: tcp_listen() took the socket of a connection apart without looking at its state",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsSocketCall(call, SP_OP_LISTEN) && provider.Of(call->handle).connected;
       provider.Pass(call, result);
       if (ours && result->error != SP_OK) provider.Shutdown(call->handle, SP_SHUT_RDWR);
     }},
    {"listen-unbound-fails", "listen on a TCP socket that is not bound fails with EINVAL", "listen.unbound listen.unbound_serves",
     "linux posix",
     "Windows Sockets 2 listen(): WSAEINVAL for a socket that has not been bound; what a stack modelled on it does",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_LISTEN) && provider.IsTcp(call->handle) && !HasName(provider, call->handle)) {
         return Fail(result, SP_EINVAL);
       }
       provider.Pass(call, result);
     }},
    {"listen-datagram-succeeds", "listen on a datagram socket succeeds", "listen.datagram", "posix linux winsock",
     "no report found: lwIP's CHANGELOG 2011-08-24, bug #33956, is the same confusion in accept()",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsSocketCall(call, SP_OP_LISTEN) && provider.Of(call->handle).type == SP_DATAGRAM) Succeed(result);
     }},
    {"listen-failed-listens", "a socket on which listen has failed says that it listens", "listen.failed_not_listening",
     "posix linux winsock", "lwIP CHANGELOG 2014-12-10: fixed implementation of SO_ACCEPTCONN to just look at the pcb state",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsSocketCall(call, SP_OP_LISTEN) && result->error != SP_OK) provider.Put(call->handle.value, 1, kFailed);
       if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ACCEPTCONN) && provider.Get(call->handle.value, kFailed) != 0 &&
           result->error == SP_OK) {
         call->u.get_option.integer = 1;
       }
     }},
    {"listen-forgets-the-name", "getsockname of a listener says the wildcard address and port 0",
     "listen.keeps_name bind.name_of_listener", "posix linux",
     "Graphene issue 1713: getsockname after bind and listen gave port 0",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (!IsSocketCall(call, SP_OP_LOCAL_NAME) || result->error != SP_OK || !provider.Of(call->handle).listening) return;
       sp_address& name = call->u.local_name.name.address;
       if (name.family == SP_UNIX) return;
       name.port = 0;
       for (uint8_t& byte : name.bytes) byte = 0;
     }},
    {"listener-peer-name", "getpeername of a listener succeeds", "listen.peer_name", "posix linux winsock",
     "lwIP CHANGELOG 2014-02-27, bug #38404: getpeername returned success on unconnected and listening TCP sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsSocketCall(call, SP_OP_PEER_NAME) || !provider.Of(call->handle).listening) return provider.Pass(call, result);
       call->op = SP_OP_LOCAL_NAME;
       provider.Pass(call, result);
       call->op = SP_OP_PEER_NAME;
     }},
    {"listener-receives-the-end", "receiving on a listener reports the end of a stream", "listen.receive listen.receive_unix",
     "posix linux winsock", "lwIP CHANGELOG 2010-02-09, bug #28853: recvfrom() returned 0 for any error of netconn_recv()",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_RECV) && provider.Of(call->handle).listening) return Succeed(result, 0);
       provider.Pass(call, result);
     }},
    {"listener-takes-data", "sending on a listener succeeds and goes nowhere", "listen.send", "posix linux winsock",
     "lwIP CHANGELOG 2011-06-26, bug #33604: functions of tcp.c and tcp_out.c worked on sockets in LISTEN until asserts were "
     "added",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_SEND) && provider.Of(call->handle).listening) {
         return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
       }
       provider.Pass(call, result);
     }},
    {"listener-can-be-bound-anew", "bind on a listener succeeds and changes nothing", "listen.bind", "linux winsock",
     "no report found: bind(2), EINVAL: the socket is already bound to an address",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsSocketCall(call, SP_OP_BIND) && provider.Of(call->handle).listening) Forgive(result, SP_EINVAL);
     }},
    {"listen-beside-a-listener", "listen succeeds although another socket listens at the same address", "listen.taken", "linux",
     "demikernel/inetstack issue 170 is about the error of exactly this call, which its stack gave wrongly",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsSocketCall(call, SP_OP_LISTEN)) Forgive(result, SP_EADDRINUSE);
     }},
};

}  // namespace

const FaultList kListenFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
