// Faults of bind: who may have which address, and what it is called.
#include <algorithm>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr int kPortZero = 1;  // slots of a socket's memory
constexpr int kNamed = 2;
constexpr int kAddress = 4;

bool IsBind(const sp_call* call) { return IsSocketCall(call, SP_OP_BIND); }
const sp_address& Wanted(const sp_call* call) { return call->u.bind.address.address; }
bool IsInet(const sp_address& address) { return address.family == SP_INET || address.family == SP_INET6; }

// An option that every new socket has, whether somebody sets it or not.
void OptionFromTheStart(Wrapped& provider, sp_call* call, sp_result* result, int32_t option, int32_t family) {
  provider.Pass(call, result);
  if (call->op != SP_OP_SOCKET || result->error != SP_OK) return;
  if (family == SP_UNSPEC ? call->u.socket.family != SP_UNIX : call->u.socket.family == family) {
    provider.SetInteger(result->handle, option, 1);
  }
}

constexpr Fault kFaults[] = {
    {"bind-conflict-missed", "bind to an address that another socket has succeeds, as long as neither listens",
     "bind.in_use bind.in_use_udp", "posix linux winsock",
     "demikernel/inetstack issue 165: it was not looked whether another socket had the address; lwIP CHANGELOG 2007-05-22, bug "
     "#1895",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsBind(call) && IsInet(Wanted(call)) && !IsWildcard(Wanted(call))) Forgive(result, SP_EADDRINUSE);
     }},
    {"bind-wildcard-conflict-missed", "a wildcard address can be bound to a port that one of its addresses has",
     "bind.in_use_wildcard bind.dual_reserves", "linux", "lwIP CHANGELOG 2007-05-22, bug #1895 (tcp_bind not correct)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsBind(call) && IsWildcard(Wanted(call)) && Wanted(call).port != 0) Forgive(result, SP_EADDRINUSE);
     }},
    {"bind-conflict-wrong-error", "bind to an address in use fails with EADDRNOTAVAIL",
     "bind.in_use bind.in_use_udp bind.in_use_path", "posix linux winsock",
     "demikernel/inetstack issue 170: EADDRNOTAVAIL where EADDRINUSE is meant",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsBind(call)) TellAs(result, SP_EADDRINUSE, SP_EADDRNOTAVAIL);
     }},
    {"bind-path-taken-over", "bind of an AF_UNIX socket to a name that another socket has succeeds",
     "bind.in_use_path bind.in_use_abstract", "posix linux", "no report found: bind(), EADDRINUSE; unix(7)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsBind(call) && provider.IsLocal(call->handle)) Forgive(result, SP_EADDRINUSE);
     }},
    {"bind-reuse-always", "every socket has SO_REUSEADDR, whether it was set or not", "bind.in_use bind.reuse_one", "linux",
     "yhirose/cpp-httplib issue 506: two servers on one port and no EADDRINUSE, because reuse was always on",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       OptionFromTheStart(provider, call, result, SP_SO_REUSEADDR, SP_UNSPEC);
     }},
    {"bind-share-always", "every socket has SO_REUSEPORT, whether it was set or not", "bind.share_one bind.in_use", "linux",
     "microsoft/demikernel issue 282: sockets got SO_REUSEPORT so that a port could be bound again",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       OptionFromTheStart(provider, call, result, SP_SO_REUSEPORT, SP_UNSPEC);
     }},
    {"bind-reuse-ignored", "SO_REUSEADDR can be set and read, and has no effect",
     "bind.reuse_both bind.reuse_udp listen.after_close close.time_wait_reuse", "linux winsock",
     "apache/nuttx pull request 8493: SO_REUSEADDR had no effect on the check for a port in use; lwIP CHANGELOG 2010-05-13, task "
     "#6995 (Implement SO_REUSEADDR (correctly))",
     [](Wrapped& provider, sp_call* call, sp_result* result) { OptionWithoutEffect(provider, call, result, SP_SO_REUSEADDR); }},
    {"bind-share-ignored", "SO_REUSEPORT can be set and read, and has no effect", "bind.share_both bind.share_listening", "linux",
     "apache/nuttx pull request 8493 is about the same lack for SO_REUSEADDR",
     [](Wrapped& provider, sp_call* call, sp_result* result) { OptionWithoutEffect(provider, call, result, SP_SO_REUSEPORT); }},
    {"bind-reuse-beside-listener", "with SO_REUSEADDR the address of a listener can be bound", "bind.reuse_listening", "linux",
     "cesanta/mongoose pull request 2158 quotes what it comes from: on Windows, SO_REUSEADDR lets a port be bound that is open "
     "already",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsBind(call) && provider.IsTcp(call->handle) && provider.GetInteger(call->handle, SP_SO_REUSEADDR).value_or(0) != 0) {
         Forgive(result, SP_EADDRINUSE);
       }
     }},
    {"bind-port-zero-stays", "the name of a socket bound to port 0 has port 0 until it listens or connects",
     "bind.port_chosen bind.name", "linux winsock",
     "wasmerio/wasmer issue 6403: bind to port 0 gives no port until listen; Graphene issue 1713",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (result->error != SP_OK) return;
       if (IsBind(call) && IsInet(Wanted(call)) && Wanted(call).port == 0) provider.Put(call->handle.value, 1, kPortZero);
       const Known known = provider.Of(call->handle);
       if (IsSocketCall(call, SP_OP_LOCAL_NAME) && provider.Get(call->handle.value, kPortZero) != 0 && !known.listening &&
           !known.connected && !known.connecting) {
         call->u.local_name.name.address.port = 0;
       }
     }},
    {"bind-same-port-again", "bind to port 0 chooses the port that it chose last, while that is still bound",
     "bind.port_distinct", "posix linux winsock", "no report found: ip(7), an ephemeral port is chosen among those that are free",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsBind(call) && provider.IsTcp(call->handle) && IsInet(Wanted(call)) && Wanted(call).port == 0;
       if (!ours) return provider.Pass(call, result);
       provider.SetInteger(call->handle, SP_SO_REUSEADDR, 1);  // lets the real implementation go along
       const int slot = 10 + Wanted(call).family;
       if (const int64_t last = provider.Get(kWorld, slot); last != 0) {
         call->u.bind.address.address.port = static_cast<uint16_t>(last);
         provider.Pass(call, result);
         call->u.bind.address.address.port = 0;
         if (result->error == SP_OK) return;
       }
       provider.Pass(call, result);
       if (const auto name = provider.LocalName(call->handle); name) provider.Put(kWorld, name->port, slot);
     }},
    {"bind-port-out-of-range", "the port that bind chooses lies outside the range for that", "bind.port_range", "linux",
     "no report found: ip(7), ip_local_port_range",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsBind(call) && IsInet(Wanted(call)) && Wanted(call).port == 0;
       for (int tries = 0; ours && tries < 64; ++tries) {
         call->u.bind.address.address.port = static_cast<uint16_t>(20'000 + provider.Add(kWorld, 1, kPortZero) % 1'000);
         provider.Pass(call, result);
         call->u.bind.address.address.port = 0;
         if (result->error != SP_EADDRINUSE) return;
       }
       provider.Pass(call, result);
     }},
    {"bind-foreign-address", "bind to an address that this host does not have succeeds", "bind.not_local", "posix linux winsock",
     "microsoft/demikernel issue 1010: the inetstack lets you bind to any IP",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsBind(call)) Forgive(result, SP_EADDRNOTAVAIL);
     }},
    {"bind-twice", "a second bind succeeds and changes nothing", "bind.twice", "linux winsock",
     "apache/nuttx pull request 10022 and demikernel/inetstack issue 100: bind could be called more than once",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool again = IsBind(call) && provider.Get(call->handle.value, kNamed) != 0;
       provider.Pass(call, result);
       if (again) Forgive(result, SP_EINVAL);
       if (IsBind(call) && result->error == SP_OK) provider.Put(call->handle.value, 1, kNamed);
     }},
    {"bind-any-family", "bind does not look at the family of the address", "bind.family", "posix linux",
     "zephyr issue 94210: the family was looked at by an assertion alone",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       const Known known = provider.Of(call->handle);
       if (IsBind(call) && known.family != SP_UNSPEC && Wanted(call).family != known.family && result->error != SP_EBADF) {
         Succeed(result);
       }
     }},
    {"bind-any-length", "bind takes an address of too short a length for a whole one", "bind.short_length", "linux winsock",
     "no report found: bind(), EINVAL: the length is not a valid one for the family",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsBind(call) && call->u.bind.address.length >= 0) call->u.bind.address.length = SP_NATURAL_LENGTH;
       provider.Pass(call, result);
     }},
    {"bind-failure-sticks", "a socket on which bind has failed cannot be bound, nor made a listener, any more",
     "bind.failed_harmless", "posix linux",
     "lwIP CHANGELOG 2007-11-27: sockets block most operations once they have seen a fatal error",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsBind(call) || IsSocketCall(call, SP_OP_LISTEN);
       if (const int64_t error = provider.Get(call->handle.value, kNamed); ours && error != 0) {
         return Fail(result, static_cast<int32_t>(error));
       }
       provider.Pass(call, result);
       if (IsBind(call) && result->error != SP_OK) provider.Put(call->handle.value, result->error, kNamed);
     }},
    {"bind-one-space-of-ports", "UDP cannot be bound to a port that TCP has, nor the other way round", "bind.other_protocol",
     "linux winsock", "no report found: ip(7), tcp and udp have ports of their own; a stack with one table for both",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsBind(call) || !IsInet(Wanted(call)) || Wanted(call).port == 0) {
         const int64_t port = call->op == SP_OP_CLOSE ? provider.Get(call->handle.value, kAddress) : 0;
         if (port != 0) provider.Put(kWorld, 0, static_cast<int>(port));
         provider.Pass(call, result);
         if (!IsBind(call) || result->error != SP_OK || !IsInet(Wanted(call))) return;
       } else {
         const int64_t has = provider.Get(kWorld, Wanted(call).port);
         if (has != 0 && has != provider.Of(call->handle).type) return Fail(result, SP_EADDRINUSE);
         provider.Pass(call, result);
         if (result->error != SP_OK) return;
       }
       const auto name = provider.LocalName(call->handle);
       if (!name) return;
       provider.Put(call->handle.value, name->port, kAddress);
       provider.Put(kWorld, provider.Of(call->handle).type, name->port);
     }},
    {"bind-serves-every-address", "a TCP socket bound to one address of the host gets the clients of all of them",
     "bind.single_address connect.misses_listener", "posix linux",
     "lwIP CHANGELOG 2007-06-25, bug #20220 (a non-local match could get the input) is its like for UDP",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours =
           IsBind(call) && provider.IsTcp(call->handle) && Wanted(call).family == SP_INET && !IsWildcard(Wanted(call));
       if (!ours) {
         provider.Pass(call, result);
         const bool name = IsSocketCall(call, SP_OP_LOCAL_NAME) && result->error == SP_OK;
         const auto bound = provider.Get(call->handle.value, kAddress);
         sp_address& address = call->u.local_name.name.address;
         if (!name || bound == 0 || !IsWildcard(address)) return;
         for (int i = 0; i < 4; ++i) address.bytes[i] = static_cast<uint8_t>(bound >> (8 * i));
         return;
       }
       const sp_address asked = Wanted(call);
       if (asked.bytes[0] != 127) return provider.Pass(call, result);  // what it does not have is refused as ever
       std::fill_n(call->u.bind.address.address.bytes, 16, uint8_t{0});
       provider.Pass(call, result);
       call->u.bind.address.address = asked;
       int64_t packed = 0;
       for (int i = 0; i < 4; ++i) packed |= int64_t{asked.bytes[i]} << (8 * i);
       if (result->error == SP_OK) provider.Put(call->handle.value, packed, kAddress);
     }},
    {"bind-v6only-always", "IPV6_V6ONLY is on without being set", "bind.v6only_default bind.dual_serves bind.dual_default",
     "linux posix", "beanstalkd pull request 544 and rakshasa/libtorrent issue 822: systems whose default is IPV6_V6ONLY on",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       OptionFromTheStart(provider, call, result, SP_IPV6_V6ONLY, SP_INET6);
     }},
    {"bind-v6only-ignored", "IPV6_V6ONLY can be set and read, and has no effect",
     "bind.v6only_apart bind.v6only_own_clients bind.v6only_refuses connect.v6only_listener connect.v6only_client",
     "posix linux winsock",
     "asterinas before pull request 3515 had no IPV6_V6ONLY; cesanta/mongoose pull request 2158 goes around such stacks",
     [](Wrapped& provider, sp_call* call, sp_result* result) { OptionWithoutEffect(provider, call, result, SP_IPV6_V6ONLY); }},
    {"bind-accepted-has-listeners-name", "the name of an accepted socket is that of its listener, the wildcard too",
     "accept.local_name bind.name_accepted bind.dual_names", "posix linux winsock",
     "gramineproject/gramine pull request 412: the address came from the listening socket, not from the accepted one",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const Known known = provider.Of(call->handle);
       provider.Pass(call, result);
       if (!IsSocketCall(call, SP_OP_LOCAL_NAME) || result->error != SP_OK || !known.accepted) return;
       if (const auto name = provider.LocalName({SP_HANDLE_SOCKET, 0, known.listener}); name && known.family != SP_UNIX) {
         call->u.local_name.name.address = *name;
       }
     }},
};

}  // namespace

const FaultList kBindFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
