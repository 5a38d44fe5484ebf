// Faults of shutdown, and of what it owes to calls that wait.
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kShut = 1, kWaiting };

bool IsShutdown(const sp_call* call) { return Is(call, SP_OP_SHUTDOWN); }
bool EndsReceiving(int32_t how) { return how == SP_SHUT_RD || how == SP_SHUT_RDWR; }
bool EndsSending(int32_t how) { return how == SP_SHUT_WR || how == SP_SHUT_RDWR; }
bool IsHow(int32_t how) { return how == SP_SHUT_RD || how == SP_SHUT_WR || how == SP_SHUT_RDWR; }

void PassAs(Wrapped& provider, sp_call* call, sp_result* result, int32_t how) {
  const int32_t asked = call->u.shutdown.how;
  call->u.shutdown.how = how;
  provider.Pass(call, result);
  call->u.shutdown.how = asked;
}

template <int32_t kFrom, int32_t kTo>
void OneForAnother(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsShutdown(call) && call->u.shutdown.how == kFrom) return PassAs(provider, call, result, kTo);
  provider.Pass(call, result);
}

void Swap(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsShutdown(call) && call->u.shutdown.how == SP_SHUT_RD) return PassAs(provider, call, result, SP_SHUT_WR);
  if (IsShutdown(call) && call->u.shutdown.how == SP_SHUT_WR) return PassAs(provider, call, result, SP_SHUT_RD);
  provider.Pass(call, result);
}

// Shuts nothing down that has a connection, and says so to nobody.
template <bool kRead, bool kWrite>
void DoNothing(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!IsShutdown(call) || !provider.Of(call->handle).connected) return provider.Pass(call, result);
  const bool read = EndsReceiving(call->u.shutdown.how) && !kRead, write = EndsSending(call->u.shutdown.how) && !kWrite;
  if (!IsHow(call->u.shutdown.how)) return provider.Pass(call, result);
  if (!read && !write) return Succeed(result);
  PassAs(provider, call, result, read && write ? SP_SHUT_RDWR : read ? SP_SHUT_RD : SP_SHUT_WR);
}

void TakeAnyHow(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsShutdown(call) && !IsHow(call->u.shutdown.how)) return PassAs(provider, call, result, SP_SHUT_RDWR);
  provider.Pass(call, result);
}

void RefuseAndShut(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsShutdown(call) && !IsHow(call->u.shutdown.how)) provider.Shutdown(call->handle, SP_SHUT_RDWR);
}

void NobodyIsFine(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsShutdown(call) && result->error == SP_ENOTCONN) Succeed(result);
}

void ForgetOrder(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsShutdown(call) || result->error != SP_OK) return;
  // The second half that is shut down undoes nothing of the first, but is told as an error.
  if (provider.Add(call->handle.value, 1, kShut) > 1) Fail(result, SP_EINVAL);
}

// A call of which it is known how many wait in it.
void PassCounted(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t handle = call->handle.value;
  provider.Add(handle, 1, kWaiting);
  provider.Pass(call, result);
  provider.Add(handle, -1, kWaiting);
}
bool SomebodyWaits(Wrapped& provider, sp_handle handle) { return provider.Get(handle.value, kWaiting) > 0; }

void LeaveReceivers(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t handle = call->handle.value;
  if (Is(call, SP_OP_RECV)) {
    if (provider.Get(handle, kShut) != 0) return Succeed(result, 0);
    return PassCounted(provider, call, result);
  }
  if (!IsShutdown(call) || !EndsReceiving(call->u.shutdown.how) || !SomebodyWaits(provider, call->handle)) {
    return provider.Pass(call, result);
  }
  provider.Put(handle, 1, kShut);
  if (call->u.shutdown.how == SP_SHUT_RD) return Succeed(result);
  PassAs(provider, call, result, SP_SHUT_WR);
}

void LeaveSenders(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t handle = call->handle.value;
  if (Is(call, SP_OP_SEND)) {
    if (provider.Get(handle, kShut) != 0) return Fail(result, SP_EPIPE);
    return PassCounted(provider, call, result);
  }
  if (!IsShutdown(call) || !EndsSending(call->u.shutdown.how) || !SomebodyWaits(provider, call->handle)) {
    return provider.Pass(call, result);
  }
  provider.Put(handle, 1, kShut);
  if (call->u.shutdown.how == SP_SHUT_WR) return Succeed(result);
  PassAs(provider, call, result, SP_SHUT_RD);
}

void LeaveAcceptors(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t handle = call->handle.value;
  if (Is(call, SP_OP_ACCEPT)) {
    if (provider.Get(handle, kShut) != 0) return Fail(result, SP_EINVAL);
    return PassCounted(provider, call, result);
  }
  if (IsShutdown(call) && provider.Of(call->handle).listening && EndsReceiving(call->u.shutdown.how) &&
      SomebodyWaits(provider, call->handle)) {
    provider.Put(handle, 1, kShut);
    return Succeed(result);
  }
  provider.Pass(call, result);
}

void WakeReceivers(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_RECV)) return PassCounted(provider, call, result);
  if (IsShutdown(call) && call->u.shutdown.how == SP_SHUT_WR && SomebodyWaits(provider, call->handle)) {
    return PassAs(provider, call, result, SP_SHUT_RDWR);
  }
  provider.Pass(call, result);
}

void SendAfterwards(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsShutdown(call) && result->error == SP_OK && EndsSending(call->u.shutdown.how)) provider.Put(call->handle.value, 1, kShut);
  const bool refused = result->error == SP_EPIPE || result->error == SP_ESHUTDOWN;
  if (Is(call, SP_OP_SEND) && refused && provider.Get(call->handle.value, kShut) != 0) {
    Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  }
}

template <int32_t kTo>
void RefusedAs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_SEND) && (result->error == SP_EPIPE || result->error == SP_ESHUTDOWN)) Fail(result, kTo);
}

// What the end of a stream is told as: only its first report, or every one.
void EndOnce(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_RECV) || !HasRoom(call) || result->error != SP_OK || result->value != 0) return;
  if ((call->u.recv.flags & SP_MSG_PEEK) == 0 && provider.Add(call->handle.value, 1, kShut) > 1) Fail(result, SP_ENOTCONN);
}

template <int32_t kAs>
void EndAs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_RECV) && HasRoom(call) && result->error == SP_OK && result->value == 0 &&
      provider.Of(call->handle).connected) {
    Fail(result, kAs);
  }
}

constexpr Fault kFaults[] = {
    {"shutdown-unconnected-succeeds", "shutdown of a socket that has no connection succeeds", "shutdown.unconnected",
     "posix winsock", "lwIP CHANGELOG, 2014-01-27: wrong value of lwip_netconn_do_close on unconnected netconns", NobodyIsFine},
    {"shutdown-write-ends-both", "SHUT_WR ends both directions",
     "shutdown.wr_keeps_receiving shutdown.wr_leaves_receive rejection.shutdown_write_half shutdown.peer_half_closes "
     "shutdown.wr_with_unread",
     "posix winsock", "Zephyr issue 105740: no half-closed connections, so no SHUT_WR", OneForAnother<SP_SHUT_WR, SP_SHUT_RDWR>},
    {"shutdown-read-ends-both", "SHUT_RD ends both directions",
     "shutdown.rd_keeps_sending shutdown.rd_leaves_send rejection.shutdown_read rejection.shutdown_read_server_sends",
     "posix winsock", "lwIP CHANGELOG, bug #10088: close and shutdown were not told apart",
     OneForAnother<SP_SHUT_RD, SP_SHUT_RDWR>},
    {"shutdown-both-ends-writing-only", "SHUT_RDWR ends the sending half alone", "shutdown.both_orders_receive", "posix winsock",
     "lwIP CHANGELOG, 2014-01-27: SHUT_RD followed by SHUT_WR was different to SHUT_RDWR",
     OneForAnother<SP_SHUT_RDWR, SP_SHUT_WR>},
    {"shutdown-halves-swapped", "SHUT_RD ends sending, SHUT_WR ends receiving", "shutdown.wr_send shutdown.rd_receive",
     "posix winsock", "lwIP CHANGELOG, bug #31304: the values of SHUT_RD, SHUT_WR and SHUT_RDWR were not those of other stacks",
     Swap},
    {"shutdown-read-without-effect", "SHUT_RD succeeds and ends nothing",
     "shutdown.rd_receive shutdown.wakes_receive shutdown.rd_buffered shutdown.rd_later_data", "posix winsock",
     "Zephyr pull request 38034: shutdown() did nothing but write a warning", DoNothing<true, false>},
    {"shutdown-write-without-effect", "SHUT_WR succeeds and ends nothing",
     "shutdown.wr_send shutdown.wr_then_end rejection.shutdown_write process.shutdown_concerns_all_copies "
     "shutdown.duplicate_peer shutdown.peer_wakes_receive shutdown.wr_peer_readable",
     "posix winsock", "Zephyr pull request 38034: shutdown() did nothing but write a warning", DoNothing<false, true>},
    {"shutdown-takes-any-how", "a how that does not exist is taken for SHUT_RDWR", "shutdown.bad_how", "posix winsock",
     "no report found: POSIX.1 shutdown() says EINVAL", TakeAnyHow},
    {"shutdown-refuses-and-shuts", "a how that does not exist is refused, after both halves were shut down",
     "shutdown.bad_how_changes_nothing", "posix", "no report found: POSIX.1 shutdown() says EINVAL", RefuseAndShut},
    {"shutdown-second-half-refused", "a second shutdown of a connection fails with EINVAL",
     "shutdown.twice shutdown.both_orders_send shutdown.after_both_ends shutdown.in_fin_wait shutdown.in_last_ack "
     "shutdown.in_close_wait",
     "posix", "FreeRTOS-Plus-TCP pull request 227: shutdown said EOPNOTSUPP of a connection that was closed already",
     ForgetOrder},
    {"shutdown-unconnected-told-eopnotsupp", "shutdown of a socket that has no connection fails with EOPNOTSUPP",
     "shutdown.unconnected shutdown.after_reset", "posix winsock",
     "FreeRTOS-Plus-TCP pull request 227: shutdown returned EOPNOTSUPP", TellAs<SP_OP_SHUTDOWN, SP_ENOTCONN, SP_EOPNOTSUPP>},
    {"shutdown-does-not-wake-recv", "shutdown does not end a recv that waits", "shutdown.wakes_receive", "linux",
     "amazon-freertos pull request 2986: with lwIP, shutting a socket down lets a pending recv block for ever", LeaveReceivers},
    {"shutdown-does-not-wake-send", "shutdown does not end a send that waits", "shutdown.wakes_send", "linux",
     "Zephyr issue 10316: a thread that waits is not woken by what ends the socket in another", LeaveSenders},
    {"shutdown-does-not-wake-accept", "shutdown does not end an accept that waits", "closing.shutdown_wakes_accept", "linux",
     "epics-base pull request 30: on RTEMS an accept can stay stuck when its socket goes", LeaveAcceptors},
    {"shutdown-write-wakes-recv", "SHUT_WR ends a recv that waits", "shutdown.wr_leaves_receive", "posix",
     "Zephyr issue 105740: no data is received after the sending half was closed", WakeReceivers},
    {"send-after-shutdown-succeeds", "a send after SHUT_WR succeeds", "shutdown.wr_send shutdown.both_orders_send",
     "posix winsock", "no report found: POSIX.1 shutdown() disables further sends", SendAfterwards},
    {"send-after-shutdown-told-enotconn", "a send after SHUT_WR, or on a broken connection, fails with ENOTCONN",
     "shutdown.wr_send close.send_after_reset", "posix winsock",
     "lwIP CHANGELOG, bug #32769: ENOTCONN for a connection that was shut down", RefusedAs<SP_ENOTCONN>},
    {"end-told-once", "the end of the stream is told once, then recv fails with ENOTCONN",
     "data.end_repeats shutdown.wr_peer_end close.peer_end rejection.close_repeats close.later_receive notify.end_readable",
     "posix winsock", "ESP-IDF issue 13133: recv fails with 'not connected' over and over after the end of a connection",
     EndOnce},
    {"end-told-as-reset", "the end of the stream is told as ECONNRESET",
     "data.data_before_end shutdown.wr_peer_end close.peer_end close.duplicate_last close.wakes_peer_receive close.replaced "
     "close.lost_fin close.waiting_receive_then_end rejection.close rejection.close_repeats rejection.close_wakes_reader "
     "rejection.farewell rejection.shutdown_both rejection.shutdown_farewell rejection.shutdown_write shutdown.both_orders_peer "
     "shutdown.duplicate_peer shutdown.fin_again shutdown.peer_half_closes shutdown.peer_wakes_receive shutdown.simultaneous "
     "shutdown.then_close shutdown.twice_harmless shutdown.wr_with_unread process.last_close_ends_connection "
     "process.exit_ends_stream process.kill_ends_stream process.shutdown_concerns_all_copies rejection.process_ends "
     "close.linger_delivers close.killed close.linger_exit_delivers backlog.lost_ack_fin",
     "posix winsock", "FreeRTOS issue 913: the orderly end of the other side was told as a general error", EndAs<SP_ECONNRESET>},
    {"end-told-as-nothing", "the end of the stream is told as EAGAIN",
     "data.end_repeats data.data_before_end close.later_receive rejection.close rejection.close_wakes_reader "
     "shutdown.peer_wakes_receive",
     "posix winsock", "FreeRTOS pull request 130: in the receive of a transport one code stood for no data and for the end",
     EndAs<SP_EAGAIN>},
};

}  // namespace

const FaultList kShutdownFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
