// Faults of an attempt to connect that is under way: what calls say meanwhile, time-outs, signals, readiness.
#include "faulty/moves.h"
#include "faulty/readiness.h"

namespace sockproof::faulty {
namespace {

bool IsConnect(const sp_call* call) { return IsSocketCall(call, SP_OP_CONNECT); }

// Has a connect of this socket said that it goes on, and has it not been seen to end?
bool UnderWay(Wrapped& provider, sp_handle handle) {
  if (!provider.Of(handle).connecting) return false;
  return provider.Ready(handle, SP_OUT, 0) == 0;
}

bool IsTcpConnect(Wrapped& provider, const sp_call* call) {
  return IsConnect(call) && provider.IsTcp(call->handle) && call->u.connect.address.address.family != SP_UNSPEC;
}

// A connect that was left in the middle is waited for.
void AwaitEnd(Wrapped& provider, sp_call* call, sp_result* result) {
  while (provider.Ready(call->handle, SP_OUT, -1) == 0) {
  }
  const int32_t error = PendingError(provider, call->handle);
  if (error == SP_OK) {
    Succeed(result);
  } else {
    Fail(result, error);
  }
}

void Abandon(Wrapped& provider, sp_handle handle) {
  sp_address nowhere{};
  nowhere.family = SP_UNSPEC;
  if (Connect(provider, handle, nowhere).error != SP_OK) provider.Shutdown(handle, SP_SHUT_RDWR);
}

int64_t Timeout(Wrapped& provider, const sp_call* call, int32_t option) {
  if (!IsTcpConnect(provider, call) || provider.IsNonblocking(call->handle)) return 0;
  return provider.GetDuration(call->handle, option).value_or(0);
}

void ConnectWithin(Wrapped& provider, sp_call* call, sp_result* result, int64_t timeout) {
  const int64_t own = provider.GetDuration(call->handle, SP_SO_SNDTIMEO).value_or(0);
  provider.SetDuration(call->handle, SP_SO_SNDTIMEO, timeout);
  provider.Pass(call, result);
  provider.SetDuration(call->handle, SP_SO_SNDTIMEO, own);
}

constexpr Fault kFaults[] = {
    {"connect-blocks-though-nonblocking", "connect on a non-blocking socket waits for the connection",
     "progress.call progress.again", "posix linux winsock",
     "gramineproject/gramine pull request 1643: connect() of non-blocking sockets was a blocking operation; lwIP before "
     "CHANGELOG "
     "2010-01-29 (Add non-blocking support for connect)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       const bool begun = result->error == SP_EINPROGRESS || result->error == SP_EAGAIN;  // Winsock's word for it
       if (IsTcpConnect(provider, call) && begun) AwaitEnd(provider, call, result);
     }},
    {"connect-begun-is-eagain", "a non-blocking connect that goes on says EAGAIN", "progress.call progress.call_open",
     "posix linux", "tass-belgium/picotcp-bsd pull request 7: EAGAIN in place of EINPROGRESS",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsTcpConnect(provider, call)) TellAs(result, SP_EINPROGRESS, SP_EAGAIN);
     }},
    {"connect-begun-is-einprogress", "a non-blocking connect that goes on says WSAEINPROGRESS, not WSAEWOULDBLOCK",
     "progress.call progress.call_open", "winsock",
     "no report found: connect function (winsock2.h), Remarks, names WSAEWOULDBLOCK; a stack with BSD sockets inside has the "
     "other",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsTcpConnect(provider, call)) TellAs(result, SP_EAGAIN, SP_EINPROGRESS);
     }},
    {"connect-begun-is-success", "a non-blocking connect that goes on says that it has succeeded", "progress.call",
     "posix linux winsock", "Spirent/openperf pull request 64: connect returned success before there was a connection",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (!IsTcpConnect(provider, call) || !UnderWay(provider, call->handle)) return;
       Forgive(result, SP_EINPROGRESS);
       Forgive(result, SP_EAGAIN);
     }},
    {"connect-again-is-in-progress", "a further connect while the attempt goes on says EINPROGRESS",
     "progress.again progress.again_other_address", "posix linux winsock",
     "switchbrew/libnx issue 100: each connect on the same socket said EINPROGRESS",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call)) TellAs(result, SP_EALREADY, SP_EINPROGRESS);
     }},
    {"connect-again-is-connected", "a further connect while the attempt goes on says EISCONN",
     "progress.again progress.again_other_address", "posix linux winsock",
     "microsoft/WSL issue 2949: connect went from EINPROGRESS straight to EISCONN",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call)) TellAs(result, SP_EALREADY, SP_EISCONN);
     }},
    {"connect-again-succeeds", "a further connect while the attempt goes on says that it has succeeded",
     "progress.again progress.again_other_address progress.second_blocking", "posix linux winsock",
     "Lind-Project/safeposix-rust pull request 277: a socket counted as connected as soon as connect had said EINPROGRESS",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsConnect(call)) Forgive(result, SP_EALREADY);
     }},
    {"connect-ready-early", "a socket is reported writable while its connection is under way",
     "progress.no_early_events backlog.overflow_not_writable backlog.overflow_lasts", "linux winsock",
     "Spirent/openperf pull request 64: a socket whose connect went on was not made non-writable",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t asked, uint32_t ready) {
         return at.Of(socket).connecting ? ready | (asked & SP_OUT) : ready;
       });
     }},
    {"connect-readable-early", "a socket is reported readable while its connection is under way", "progress.no_early_events",
     "linux winsock", "apache/nuttx pull request 10324: poll reported events of a socket that had no connection yet",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t asked, uint32_t ready) {
         return ready == 0 && at.Of(socket).connecting ? asked & SP_IN : ready;
       });
     }},
    {"connect-never-writable", "a socket whose connection was established asynchronously is not reported writable",
     "progress.writable progress.wakes_waiter", "posix linux winsock",
     "devkitPro/libogc issue 55: POLLOUT was never reported, its bit stood for something else",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         const Known known = at.Of(socket);
         if (!known.connecting || known.sent != 0 || (ready & (SP_ERR | SP_HUP)) != 0) return ready;
         return ready & ~uint32_t{SP_OUT | SP_WRNORM};
       });
     }},
    {"connect-done-is-an-error", "a socket whose connection was established asynchronously is reported with an error too",
     "progress.writable progress.wakes_waiter", "linux", "devkitPro/libogc issue 55: POLLOUT and POLLERR were swapped",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         const bool swaps = at.Of(socket).connecting && (ready & SP_OUT) != 0 && (ready & SP_ERR) == 0;
         return swaps ? (ready & ~uint32_t{SP_OUT}) | SP_ERR : ready;
       });
     }},
    {"connect-stale-in-progress", "SO_ERROR says EINPROGRESS while the connection is under way", "progress.no_error_pending",
     "posix linux", "QuarkContainer/Quark issue 1374: SO_ERROR said EINPROGRESS right after connect had",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool pending = IsOption(call, SP_OP_GET_OPTION, SP_SO_ERROR) && UnderWay(provider, call->handle);
       provider.Pass(call, result);
       if (pending && call->u.get_option.integer == SP_OK) call->u.get_option.integer = SP_EINPROGRESS;
     }},
    {"connect-stale-after-success", "SO_ERROR says EINPROGRESS once the connection is established",
     "progress.no_error_afterwards", "posix linux winsock",
     "devkitPro/libctru issue 412: SO_ERROR said EINPROGRESS of a connected socket",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const Known known = provider.Of(call->handle);
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ERROR) && known.connecting && call->u.get_option.integer == SP_OK) {
         call->u.get_option.integer = SP_EINPROGRESS;
       }
     }},
    {"connect-peer-before-connection", "getpeername succeeds while the connection is under way", "progress.peer_name_pending",
     "posix linux winsock", "lwIP CHANGELOG 2014-02-27, bug #38404: getpeername returns success on unconnected TCP sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsSocketCall(call, SP_OP_PEER_NAME) && result->error == SP_ENOTCONN && UnderWay(provider, call->handle))
         Succeed(result);
     }},
    {"connect-send-before-connection", "send takes data while the connection is under way, and drops them",
     "progress.send_pending", "posix linux winsock",
     "lwIP CHANGELOG 2014-05-20, bug #37184: tcp_write problem for pcbs in the SYN_SENT state",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       const bool refused = result->error == SP_EAGAIN || result->error == SP_ENOTCONN;
       if (!IsSocketCall(call, SP_OP_SEND) || !refused || !UnderWay(provider, call->handle)) return;
       Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
     }},
    {"connect-recv-before-connection", "recv reports the end of the stream while the connection is under way",
     "progress.recv_pending", "posix linux winsock",
     "lwIP CHANGELOG 2010-02-09, bug #28853: recvfrom() returned 0 for any error of netconn_recv()",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       const bool refused = result->error == SP_EAGAIN || result->error == SP_ENOTCONN;
       if (IsSocketCall(call, SP_OP_RECV) && refused && UnderWay(provider, call->handle)) Succeed(result, 0);
     }},
    {"connect-close-does-not-withdraw", "an attempt whose socket was closed goes on",
     "progress.close_withdraws progress.close_frees_address backlog.withdrawn_waiter", "posix linux",
     "no report found: RFC 9293 3.10.4, CLOSE in SYN-SENT deletes the connection",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_CLOSE) && UnderWay(provider, call->handle)) Duplicate(provider, call->handle);
       provider.Pass(call, result);
     }},
    {"connect-timeout-ignored", "SO_SNDTIMEO does not end connect", "progress.send_timeout progress.send_timeout_time", "linux",
     "espressif/esp-idf issue 5004: lwip does not respect the socket option SO_SNDTIMEO for connect",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call, SP_SO_SNDTIMEO);
       provider.Pass(call, result);
       if (timeout > 0 && result->error == SP_EINPROGRESS) AwaitEnd(provider, call, result);
     }},
    {"connect-timeout-early", "SO_SNDTIMEO ends connect after half its time", "progress.send_timeout_time", "linux",
     "no report found: socket(7), SO_SNDTIMEO",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call, SP_SO_SNDTIMEO);
       if (timeout <= 0) return provider.Pass(call, result);
       ConnectWithin(provider, call, result, timeout / 2);
     }},
    {"connect-timeout-late", "SO_SNDTIMEO ends connect after twice its time", "progress.send_timeout_time", "linux",
     "ARMmbed/mbed-os issue 13056: connect took 30 s whatever time-out was set",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call, SP_SO_SNDTIMEO);
       provider.Pass(call, result);
       if (timeout > 0 && result->error == SP_EINPROGRESS) provider.Pause(timeout);
     }},
    {"connect-timeout-wrong-error", "a connect that SO_SNDTIMEO ends fails with EAGAIN", "progress.send_timeout", "linux",
     "no report found: socket(7) has EINPROGRESS for connect alone, EAGAIN for every other call",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call, SP_SO_SNDTIMEO);
       provider.Pass(call, result);
       if (timeout > 0) TellAs(result, SP_EINPROGRESS, SP_EAGAIN);
     }},
    {"connect-timeout-gives-up", "the attempt ends when SO_SNDTIMEO ends the wait for it",
     "progress.send_timeout_goes_on progress.send_timeout_again", "linux",
     "zephyr pull request 17115: the time-out of connect() is the end of the attempt",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call, SP_SO_SNDTIMEO);
       provider.Pass(call, result);
       if (timeout > 0 && result->error == SP_EINPROGRESS) Abandon(provider, call->handle);
     }},
    {"connect-receive-timeout-ends-it", "SO_RCVTIMEO ends connect", "progress.receive_timeout_ignored", "posix linux winsock",
     "espressif/esp-idf issue 8296: SO_RCVTIMEO was tried to end connect",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const int64_t timeout = Timeout(provider, call, SP_SO_RCVTIMEO);
       if (timeout <= 0 || Timeout(provider, call, SP_SO_SNDTIMEO) > 0) return provider.Pass(call, result);
       ConnectWithin(provider, call, result, timeout);
     }},
    {"connect-swallows-signals", "a signal does not end a connect that waits", "progress.interrupted", "posix linux",
     "Perl issue 675 quotes SunOS bug 4146098: connect() can restart instead of returning EINTR",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsTcpConnect(provider, call) && result->error == SP_EINTR) return AwaitEnd(provider, call, result);
       while (IsConnect(call) && result->error == SP_EINTR) provider.Pass(call, result);
     }},
    {"connect-interrupted-gives-up", "the attempt ends when a signal ends the wait for it", "progress.interrupted_goes_on",
     "posix linux", "FlareCoding/StelluxOS pull request 168: a connect could not go on after a signal",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsTcpConnect(provider, call) && result->error == SP_EINTR) Abandon(provider, call->handle);
     }},
    {"connect-never-restarted", "a signal ends connect with EINTR although its handler asks for a restart",
     "progress.restarted progress.restarted_completes", "linux",
     "minoca/os issue 72: IoSysSocketConnect lacked what accept had to be restarted",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsTcpConnect(provider, call) && !provider.IsNonblocking(call->handle) &&
                         Timeout(provider, call, SP_SO_SNDTIMEO) == 0 && !provider.Of(call->handle).connecting;
       if (!ours) return provider.Pass(call, result);
       provider.SetNonblocking(call->handle, true);
       provider.Pass(call, result);
       provider.SetNonblocking(call->handle, false);
       if (result->error != SP_EINPROGRESS) return;
       // poll is never restarted, so that it tells of every signal.
       if (provider.Ready(call->handle, SP_OUT, -1) == 0) return Fail(result, SP_EINTR);
       AwaitEnd(provider, call, result);
     }},
};

}  // namespace

const FaultList kProgressFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
