// Faults of an attempt to connect that fails: which error, told how often, to whom, and what is left of it.
#include "faulty/moves.h"
#include "faulty/readiness.h"

namespace sockproof::faulty {
namespace {

constexpr int kMark = 1;  // a slot of a socket's memory
constexpr int64_t kLong = 1'500'000'000;

bool IsConnect(const sp_call* call) { return IsSocketCall(call, SP_OP_CONNECT); }
bool IsErrorAsked(const sp_call* call) { return IsOption(call, SP_OP_GET_OPTION, SP_SO_ERROR); }

// An error of an attempt told as another, by connect and by SO_ERROR.
void AttemptTells(Wrapped& provider, sp_call* call, sp_result* result, int32_t error, int32_t as) {
  provider.Pass(call, result);
  if (IsConnect(call)) TellAs(result, error, as);
  if (IsErrorAsked(call) && result->error == SP_OK && call->u.get_option.integer == error) call->u.get_option.integer = as;
}

bool IsDatagram(Wrapped& provider, const sp_call* call) { return provider.Of(call->handle).type == SP_DATAGRAM; }

constexpr Fault kFaults[] = {
    {"refused-is-timed-out", "a connection that was refused is told as one that nobody answered",
     "refused.blocking refused.nonblocking_error rejection.nobody_listens", "posix linux winsock",
     "scylladb/seastar issue 1334: a RST in SYN_SENT is not told, and connect hangs until the time is over; FreeRTOS-Plus-TCP "
     "pull "
     "request 1355",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AttemptTells(provider, call, result, SP_ECONNREFUSED, SP_ETIMEDOUT);
     }},
    {"refused-is-reset", "a connection that was refused is told as one that was reset",
     "refused.blocking refused.nonblocking_error rejection.nobody_listens", "linux winsock",
     "IndySockets/Indy issue 491: connect() to a port that does not answer said ECONNRESET on some Linux kernels",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AttemptTells(provider, call, result, SP_ECONNREFUSED, SP_ECONNRESET);
     }},
    {"refused-late", "a refusal is told a second and a half after it came", "refused.prompt", "posix linux",
     "scylladb/seastar issue 1334: the connection is not closed at once when RST,ACK arrives in SYN_SENT",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call) && result->error == SP_ECONNREFUSED) provider.Pause(kLong);
     }},
    {"refused-looks-connected", "a blocking connect that was refused returns success",
     "refused.blocking rejection.nobody_listens connect.port_zero", "posix linux winsock",
     "microsoft/WSL issue 3431: a connect to a socket that was closed still succeeded",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call) && !provider.IsLocal(call->handle)) Forgive(result, SP_ECONNREFUSED);
     }},
    {"refused-error-lost", "SO_ERROR is always 0", "refused.nonblocking_error", "posix linux winsock",
     "KallistiOS pull request 361: getsockopt(SO_ERROR) does nothing and reports no error",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsErrorAsked(call)) call->u.get_option.integer = SP_OK;
     }},
    {"refused-error-sticks", "SO_ERROR says the same error again and again",
     "refused.error_clears closing.queued_error_once rejection.reset_error_once", "posix linux winsock",
     "lwIP CHANGELOG 2007-11-27: once a fatal error was seen, a socket keeps it",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (!IsErrorAsked(call) || result->error != SP_OK) return;
       if (call->u.get_option.integer != SP_OK) provider.Put(call->handle.value, call->u.get_option.integer, kMark);
       if (const int64_t error = provider.Get(call->handle.value, kMark); error != 0) call->u.get_option.integer = error;
     }},
    {"refused-error-of-another", "SO_ERROR says the error of the socket that failed last, whichever is asked, and of each once",
     "refused.error_clears options.error_zero refused.nonblocking_error inherit.no_pending_error progress.no_error_afterwards",
     "posix linux winsock", "lwIP CHANGELOG 2010-01-17, task #10102: threading issues of conn->err",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call) && result->error == SP_ECONNREFUSED) provider.Put(kWorld, SP_ECONNREFUSED);
       if (!IsErrorAsked(call) || result->error != SP_OK) return;
       if (call->u.get_option.integer != SP_OK) provider.Put(kWorld, call->u.get_option.integer);
       const int64_t error = provider.Get(kWorld);
       if (error == 0 || provider.Add(call->handle.value, 1, kMark) > 2) return;
       call->u.get_option.integer = error;
     }},
    {"refused-not-ready", "an attempt that has failed is not reported by poll, select and epoll",
     "refused.poll_writable refused.poll_error refused.select_writable refused.select_readable refused.select_exception",
     "posix linux winsock", "MicrosoftDocs/sdk-api pull request 764: WSAPoll did not report a connect that failed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         const bool failed = at.Of(socket).connecting && (ready & SP_OUT) != 0 && !at.PeerName(socket);
         return failed || (at.Of(socket).connecting && (ready & SP_ERR) != 0) ? 0u : ready;
       });
     }},
    {"refused-without-error-event", "of an attempt that has failed poll and epoll report no error, as if it had succeeded",
     "refused.poll_error", "posix linux winsock",
     "libressl/portable pull request 1377: the poll of the shim dropped the error of a failed connect",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         return at.Of(socket).connecting ? ready & ~uint32_t{SP_ERR | SP_HUP} : ready;
       });
     }},
    {"refused-has-a-peer", "getpeername succeeds on a socket whose connection was refused",
     "refused.peer_name backlog.overflow_not_writable", "posix linux winsock",
     "lwIP CHANGELOG 2014-02-27, bug #38404: getpeername returns success on unconnected TCP sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call) && result->error == SP_ECONNREFUSED) provider.Put(call->handle.value, 1, kMark);
       if (IsConnect(call) && result->error == SP_OK) provider.Put(call->handle.value, 0, kMark);
       if (!IsSocketCall(call, SP_OP_PEER_NAME) || result->error != SP_ENOTCONN) return;
       if (provider.Get(call->handle.value, kMark) != 0 || provider.Of(call->handle).connecting) Succeed(result);
     }},
    {"refused-takes-data", "send on a socket whose connection was refused succeeds", "refused.send_afterwards",
     "posix linux winsock", "lwIP CHANGELOG 2014-05-20, bug #37184: tcp_write on sockets that have no connection",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call)) provider.Put(call->handle.value, result->error != SP_OK ? 1 : 0, kMark);
       const bool gone = result->error == SP_EPIPE || result->error == SP_ENOTCONN;
       if (!IsSocketCall(call, SP_OP_SEND) || !gone || provider.Get(call->handle.value, kMark) == 0) return;
       Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
     }},
    {"refused-for-ever", "an address that has refused once is refused for ever", "refused.retry_new_socket",
     "posix linux winsock", "curl pull request 18794 treats a refusal as no answer, since some are not meant for ever",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const sp_address& to = call->u.connect.address.address;
       const bool ours = IsConnect(call) && provider.IsTcp(call->handle) && to.port != 0;
       if (ours && provider.Get(kWorld, to.port) != 0) return Fail(result, SP_ECONNREFUSED);
       provider.Pass(call, result);
       if (ours && result->error == SP_EINPROGRESS && (provider.Ready(call->handle, SP_OUT, 0) & SP_ERR) != 0) {
         provider.Put(kWorld, 1, to.port);
       }
       if (ours && result->error == SP_ECONNREFUSED) provider.Put(kWorld, 1, to.port);
     }},
    {"refused-keeps-the-address", "the address of a socket that was refused stays in use after it is closed",
     "refused.close_frees_address", "posix linux",
     "demikernel/inetstack pull request 181: a port that was given out is not given back",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       constexpr int64_t kPorts = -1;
       if (IsSocketCall(call, SP_OP_BIND) && provider.Get(kPorts, call->u.bind.address.address.port) != 0)
         return Fail(result, SP_EADDRINUSE);
       const auto name = IsConnect(call) ? provider.LocalName(call->handle) : std::nullopt;
       provider.Pass(call, result);
       if (name && name->port != 0 && result->error == SP_ECONNREFUSED) provider.Put(kPorts, 1, name->port);
     }},
    {"timeout-is-refused", "an attempt that nobody answers ends with ECONNREFUSED", "refused.timeout refused.timeout_nonblocking",
     "posix linux winsock", "IndySockets/Indy issue 491: the error of an attempt that nobody answered was a wrong one",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AttemptTells(provider, call, result, SP_ETIMEDOUT, SP_ECONNREFUSED);
     }},
    {"unreachable-is-timed-out", "connect to a network without a route fails with ETIMEDOUT", "refused.unreachable",
     "posix linux winsock", "espressif/esp-idf issue 5004, a comment: connect to an unreachable address blocks",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AttemptTells(provider, call, result, SP_ENETUNREACH, SP_ETIMEDOUT);
     }},
    {"syncnt-not-kept", "TCP_SYNCNT reads as it was before it was set", "refused.syn_count_kept", "linux",
     "asterinas pull request 3303 (stub TCP_KEEPCNT): an option that can be set and is not kept",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsOption(call, SP_OP_SET_OPTION, SP_TCP_SYNCNT)) {
         const auto before = provider.GetInteger(call->handle, SP_TCP_SYNCNT);
         if (before) provider.Put(call->handle.value, *before, kMark);
       }
       provider.Pass(call, result);
       if (!IsOption(call, SP_OP_GET_OPTION, SP_TCP_SYNCNT)) return;
       if (const int64_t before = provider.Get(call->handle.value, kMark); before != 0) call->u.get_option.integer = before;
     }},
    {"datagram-refusal-lost", "a connected datagram socket is not told that nobody has the port", "refused.datagram", "linux",
     "lwIP CHANGELOG 2007-06-25, bug #20253: the ICMP answer to a datagram without a socket was a wrong one",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = (IsSocketCall(call, SP_OP_RECV) || IsSocketCall(call, SP_OP_SEND)) && IsDatagram(provider, call);
       do {
         provider.Pass(call, result);
       } while (ours && result->error == SP_ECONNREFUSED);
     }},
};

}  // namespace

const FaultList kRefusedFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
