// Wrong errors for wrong sockets and descriptors: of listen, bind and accept.
#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

// One error of one call told as another.
void CallTells(Wrapped& provider, sp_call* call, sp_result* result, uint32_t op, int32_t error, int32_t as) {
  provider.Pass(call, result);
  if (call->op == op) TellAs(result, error, as);
}

constexpr const char* kErrno = "lwIP CHANGELOG 2014-03-11, bug #35928: BSD sockets functions must set errno for POSIX-compliance";
constexpr const char* kState = "zephyr pull request 18965: accept did not look whether the socket was in the state LISTEN";

constexpr Fault kFaults[] = {
    {"errors-listen-closed", "listen on a descriptor that is not open says EINVAL", "listen.bad_descriptor listen.closed",
     "posix linux", kErrno,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_LISTEN, SP_EBADF, SP_EINVAL);
     }},
    {"errors-listen-no-socket", "listen on a descriptor of no socket says EBADF", "listen.not_a_socket", "posix linux", kErrno,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_LISTEN, SP_ENOTSOCK, SP_EBADF);
     }},
    {"errors-listen-datagram", "listen on a datagram socket says EINVAL", "listen.datagram", "linux",
     "lwIP CHANGELOG 2011-08-24, bug #33956: wrong error returned when calling accept() on UDP connections",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_LISTEN, SP_EOPNOTSUPP, SP_EINVAL);
     }},
    {"errors-listen-taken", "listen where another socket listens says EADDRNOTAVAIL", "listen.taken", "linux",
     "demikernel/inetstack issue 170: listen() returns EADDRNOTAVAIL where it should say EADDRINUSE",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_LISTEN, SP_EADDRINUSE, SP_EADDRNOTAVAIL);
     }},
    {"errors-accept-datagram", "accept on a datagram socket says ENOTCONN", "accept.datagram", "posix linux winsock",
     "lwIP CHANGELOG 2011-08-24, bug #33956: wrong error returned when calling accept() on UDP connections",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_ACCEPT, SP_EOPNOTSUPP, SP_ENOTCONN);
     }},
    {"errors-accept-no-listener", "accept on a socket that does not listen says EAGAIN",
     "accept.not_listening accept.client_socket", "posix linux winsock", kState,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsAccept(provider, call)) return provider.Pass(call, result);
       CallTells(provider, call, result, SP_OP_ACCEPT, SP_EINVAL, SP_EAGAIN);
     }},
    {"errors-accept-fresh-waits", "accept on a blocking socket that does not listen waits", "accept.not_listening",
     "posix linux winsock", kState,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       const Known known = provider.Of(call->handle);
       const bool fresh = known.type == SP_STREAM && !known.listening && !known.connected && !known.connecting;
       if (IsSocketCall(call, SP_OP_ACCEPT) && fresh && result->error == SP_EINVAL && !known.nonblocking) WaitForEver(provider);
     }},
    {"errors-accept-closed", "accept on a descriptor that is not open says EINVAL",
     "accept.bad_descriptor accept.closed_listener close.use_after", "posix linux", kErrno,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_ACCEPT, SP_EBADF, SP_EINVAL);
     }},
    {"errors-accept-no-socket", "accept on a descriptor of no socket says EBADF", "accept.not_a_socket", "posix linux", kErrno,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_ACCEPT, SP_ENOTSOCK, SP_EBADF);
     }},
    {"errors-accept-empty", "accept on a non-blocking listener with nothing waiting says ECONNABORTED",
     "accept.nonblocking_empty accept.nonblocking_drained", "posix linux winsock",
     "bloomberg/ntf-core pull request 300 and grpc pull request 29318: what an accept loop makes of ECONNABORTED",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_ACCEPT, SP_EAGAIN, SP_ECONNABORTED);
     }},
    {"errors-bind-closed", "bind on a descriptor that is not open says ENOTSOCK", "bind.bad_descriptor close.use_after",
     "posix linux", kErrno,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_BIND, SP_EBADF, SP_ENOTSOCK);
     }},
    {"errors-bind-not-local", "bind to an address that this host does not have says EINVAL", "bind.not_local",
     "posix linux winsock", "staalmannen/APExp pull request 455: another error where EADDRNOTAVAIL is meant",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_BIND, SP_EADDRNOTAVAIL, SP_EINVAL);
     }},
    {"errors-bind-family", "bind to an address of another family says EADDRNOTAVAIL", "bind.family", "posix linux winsock",
     "zephyr issue 94210: the family was looked at by an assertion alone",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       const Known known = provider.Of(call->handle);
       const bool other = call->u.bind.address.kind == SP_POINTER_VALID && call->u.bind.address.address.family != known.family;
       if (IsSocketCall(call, SP_OP_BIND) && known.family != SP_UNSPEC && other && result->error != SP_OK) {
         Fail(result, SP_EADDRNOTAVAIL);
       }
     }},
    {"errors-bind-no-directory", "bind to a path in a directory that does not exist says EADDRNOTAVAIL", "bind.no_directory",
     "posix linux", "no report found: bind(), ENOENT; asterinas pull request 1168 fixes incorrect error codes of UNIX sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       CallTells(provider, call, result, SP_OP_BIND, SP_ENOENT, SP_EADDRNOTAVAIL);
     }},
    {"errors-no-such-code", "accept with nothing waiting fails with a code that is no error of any system",
     "accept.nonblocking_empty accept.nonblocking_drained", "posix linux winsock",
     "devkitPro/libctru issue 412: getsockopt gave -26, a code of another numbering",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (call->op != SP_OP_ACCEPT || result->error != SP_EAGAIN) return;
       result->error = SP_UNKNOWN_ERROR;
       result->native = -26;
     }},
    {"errors-success-without-a-handle", "accept says that it succeeded, and returns no handle",
     "accept.returns_connection accept.data_both_ways", "posix linux winsock",
     "lwIP CHANGELOG 2014-02-27, bug #41729: some socket functions return Exyz instead of -1",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK) result->handle = {SP_HANDLE_SOCKET, 0, -1};
     }},
    {"errors-accept-returns-the-listener", "accept says that it succeeded, and returns the listener's own handle",
     "accept.own_descriptor accept.data_both_ways", "posix linux winsock",
     "tailscale-rs pull request 141: with smoltcp the socket that listened is the one that is connected",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK) result->handle = call->handle;
     }},
};

}  // namespace

const FaultList kErrorFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
