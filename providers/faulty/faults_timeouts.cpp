// Faults of the calls that wait for data or for room: time-outs, interruptions, lost wake-ups; and of their error codes.
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kMark = 1, kValue };

bool IsOption(const sp_call* call, uint32_t op, int32_t option) {
  return Is(call, op) && (op == SP_OP_SET_OPTION ? call->u.set_option : call->u.get_option).option == option;
}

// A time-out that takes effect as kNumerator / kDenominator of what was set, and reads back as it was set.
template <int32_t kOption, int64_t kNumerator, int64_t kDenominator>
void Scale(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t handle = call->handle.value;
  sp_option_args& set = call->u.set_option;
  constexpr int64_t kLongest = int64_t{1} << 60;
  if (IsOption(call, SP_OP_SET_OPTION, kOption) && set.value_type == SP_VALUE_DURATION && set.kind == SP_POINTER_VALID &&
      set.duration_ns >= 0 && set.duration_ns < kLongest) {
    const int64_t asked = set.duration_ns;
    set.duration_ns = asked / kDenominator * kNumerator;
    provider.Pass(call, result);
    set.duration_ns = asked;
    if (result->error == SP_OK) provider.Put(handle, 1, kMark), provider.Put(handle, asked, kValue);
    return;
  }
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_GET_OPTION, kOption) && result->error == SP_OK && provider.Get(handle, kMark) != 0) {
    call->u.get_option.duration_ns = provider.Get(handle, kValue);
  }
}

// Did this call wait until the socket's own time-out was over?
bool TimedOut(Wrapped& provider, const sp_call* call, const sp_result* result, uint32_t op, int32_t option) {
  return Is(call, op) && result->error == SP_EAGAIN && MayWait(provider, call) &&
         provider.GetDuration(call->handle, option).value_or(0) > 0;
}

void TimeOutIsTold(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (TimedOut(provider, call, result, SP_OP_RECV, SP_SO_RCVTIMEO)) Fail(result, SP_ETIMEDOUT);
}

void TimeOutIsEnd(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const bool told_otherwise = Is(call, SP_OP_RECV) && result->error == SP_ETIMEDOUT;  // as Winsock tells it
  if (told_otherwise || TimedOut(provider, call, result, SP_OP_RECV, SP_SO_RCVTIMEO)) Succeed(result, 0);
}

void TimeOutIsFatal(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_RECV) && provider.Get(call->handle.value, kMark) != 0) return Fail(result, SP_ENOTCONN);
  provider.Pass(call, result);
  if (TimedOut(provider, call, result, SP_OP_RECV, SP_SO_RCVTIMEO)) provider.Put(call->handle.value, 1, kMark);
}

void NoTimeIsNoWait(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_RECV) && provider.Get(call->handle.value, kMark) != 0) {
    const sp_transfer_args before = call->u.recv;
    AddFlags(call->u.recv, SP_MSG_DONTWAIT);
    provider.Pass(call, result);
    call->u.recv.form = before.form;
    call->u.recv.flags = before.flags;
    return;
  }
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_RCVTIMEO) && result->error == SP_OK) {
    provider.Put(call->handle.value, call->u.set_option.duration_ns == 0 ? 1 : 0, kMark);
  }
}

void SendGivesUpAtOnce(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!Is(call, SP_OP_SEND) || provider.GetDuration(call->handle, SP_SO_SNDTIMEO).value_or(0) <= 0)
    return provider.Pass(call, result);
  const sp_transfer_args before = call->u.send;
  AddFlags(call->u.send, SP_MSG_DONTWAIT);
  provider.Pass(call, result);
  call->u.send = before;
}

void SendNeverWaits(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!Is(call, SP_OP_SEND) || !provider.IsStream(call->handle)) return provider.Pass(call, result);
  const sp_transfer_args before = call->u.send;
  AddFlags(call->u.send, SP_MSG_DONTWAIT);
  provider.Pass(call, result);
  call->u.send = before;
}

void SendTimeOutIsFull(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (TimedOut(provider, call, result, SP_OP_SEND, SP_SO_SNDTIMEO)) Fail(result, SP_ENOBUFS);
}

void PollUsesReceiveTime(Wrapped& provider, sp_call* call, sp_result* result) {
  // The shortest time-out of any socket that was set last; poll takes it for its own.
  constexpr int64_t kNobody = -1;
  if (call->op == SP_OP_WATCH_WAIT) {
    const int64_t asked = call->u.watch_wait.timeout_ns, own = provider.Get(kNobody);
    if (own > 0 && (asked < 0 || own < asked)) call->u.watch_wait.timeout_ns = own;
    provider.Pass(call, result);
    call->u.watch_wait.timeout_ns = asked;
    return;
  }
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_RCVTIMEO) && result->error == SP_OK)
    provider.Put(kNobody, call->u.set_option.duration_ns);
}

template <uint32_t kOp>
void RestartAlways(Wrapped& provider, sp_call* call, sp_result* result) {
  do {
    provider.Pass(call, result);
  } while (Is(call, kOp) && result->error == SP_EINTR);
}

// Sleeps as somebody does whom nobody wakes.
void MissWakeUp(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_RECV) && (call->u.recv.flags & (SP_MSG_OOB | SP_MSG_PEEK)) == 0 && provider.Of(call->handle).connected &&
      MayWait(provider, call) && provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0) == 0 &&
      provider.Ready(call->handle, SP_IN, 0) == 0) {
    constexpr int64_t kSlice = 50'000'000;
    for (int i = 0; i < 600 && provider.Of(call->handle).connected; ++i) provider.Pause(kSlice);
  }
  provider.Pass(call, result);
}

void UnknownCode(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_RECV) || result->error != SP_EAGAIN) return;
  Fail(result, SP_UNKNOWN_ERROR);
  result->native = -12345;
}

void FullIsTooLarge(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_SEND) && result->error == SP_EAGAIN && TotalLength(call->u.send) > 1 &&
      provider.IsNonblocking(call->handle)) {
    Fail(result, SP_EMSGSIZE);
  }
}

void RefuseAddress(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_SEND) && call->u.send.to.kind == SP_POINTER_VALID && provider.IsStream(call->handle) &&
      provider.Of(call->handle).connected) {
    return Fail(result, SP_EINVAL);
  }
  provider.Pass(call, result);
}

void SendsToNobody(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const Known known = provider.Of(call->handle);
  if (Is(call, SP_OP_SEND) && result->error != SP_OK && known.type == SP_STREAM && !known.connected && !known.connecting) {
    Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  }
}

void EndsWithoutBegin(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const Known known = provider.Of(call->handle);
  if (Is(call, SP_OP_RECV) && (result->error == SP_ENOTCONN || result->error == SP_EINVAL) && known.type == SP_STREAM &&
      !known.connected && !known.connecting) {
    Succeed(result, 0);
  }
}

template <int32_t kFrom, int32_t kTo>
void TransferTellsAs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if ((call->op == SP_OP_SEND || call->op == SP_OP_RECV) && result->error == kFrom) Fail(result, kTo);
}

template <int32_t kFrom, int32_t kTo>
void AnyTellsAs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (result->error == kFrom) Fail(result, kTo);
}

constexpr Fault kFaults[] = {
    {"recv-timeout-ignored", "SO_RCVTIMEO is remembered, and recv waits without limit",
     "message.recv_timeout_error message.recv_timeout_time", "posix winsock",
     "Zephyr issue 29711: no SO_RCVTIMEO; lwIP CHANGELOG, 2007-05-23: none for TCP before", Scale<SP_SO_RCVTIMEO, 0, 1>},
    {"recv-timeout-early", "SO_RCVTIMEO is over after a quarter of its time", "message.recv_timeout_time", "posix winsock",
     "lwIP CHANGELOG, bug #28716: a wait ends after less than 1 ms", Scale<SP_SO_RCVTIMEO, 1, 4>},
    {"recv-timeout-late", "SO_RCVTIMEO is over after twice its time", "message.recv_timeout_time", "posix winsock",
     "FreeRTOS-Plus-TCP issue 1216: recv returns 14.5 s after a limit of 1 s", Scale<SP_SO_RCVTIMEO, 2, 1>},
    {"recv-timeout-told-etimedout", "a recv that SO_RCVTIMEO ends fails with ETIMEDOUT", "message.recv_timeout_error", "posix",
     "Zephyr issue 4565: net_context_recv returns ETIMEDOUT, with data there too", TimeOutIsTold},
    {"recv-timeout-told-end", "a recv that SO_RCVTIMEO ends returns 0", "message.recv_timeout_error", "posix winsock",
     "lwIP CHANGELOG, bug #28853: lwip_recvfrom() returns 0 on a receive time-out", TimeOutIsEnd},
    {"recv-timeout-fatal", "after a recv was ended by SO_RCVTIMEO the connection is of no use", "message.recv_after_timeout",
     "linux", "lwIP CHANGELOG, bug #23119: the time-out was treated as a fatal error", TimeOutIsFatal},
    {"recv-timeout-zero-does-not-wait", "SO_RCVTIMEO of zero makes recv fail at once", "message.recv_timeout_cleared",
     "posix winsock", "LiteOS_Lab pull request 93: a zero in SO_RCVTIMEO was taken for non-blocking", NoTimeIsNoWait},
    {"recv-timeout-limits-poll", "SO_RCVTIMEO limits poll, select and epoll too",
     "message.recv_timeout_poll notify.socket_time_out", "linux",
     "no report found: socket(7) says that the time-outs have no effect for select, poll and epoll_wait", PollUsesReceiveTime},
    {"send-timeout-ignored", "SO_SNDTIMEO is remembered, and send waits without limit",
     "message.send_timeout_error message.send_timeout_time", "posix",
     "lwIP CHANGELOG, bug #33820: no time-out on send before 1.4.1", Scale<SP_SO_SNDTIMEO, 0, 1>},
    {"send-timeout-early", "SO_SNDTIMEO is over after a quarter of its time", "message.send_timeout_time", "posix winsock",
     "lwIP CHANGELOG, bug #28716: a wait ends after less than 1 ms", Scale<SP_SO_SNDTIMEO, 1, 4>},
    {"send-timeout-late", "SO_SNDTIMEO is over after twice its time", "message.send_timeout_time", "posix winsock",
     "Zephyr issue 55641: the time-out of send is not used, a fixed one of 10 s is", Scale<SP_SO_SNDTIMEO, 2, 1>},
    {"send-timeout-at-once", "with SO_SNDTIMEO set a send does not wait at all", "message.send_timeout_time", "posix",
     "Zephyr issue 55641: send returns at once whatever the time-out", SendGivesUpAtOnce},
    {"send-never-waits", "a send on a blocking stream does not wait for room",
     "data.blocked_send_goes_on data.pressure_both_ways", "posix",
     "no report found: POSIX.1 send() blocks where there is no room, unless O_NONBLOCK is set", SendNeverWaits},
    {"send-timeout-told-enobufs", "a send that SO_SNDTIMEO ends fails with ENOBUFS", "message.send_timeout_error", "posix",
     "no report found: POSIX.1 send() names EAGAIN for a send that would wait", SendTimeOutIsFull},
    {"recv-never-interrupted", "a signal does not end a recv that waits", "message.recv_interrupted", "posix",
     "nanomsg issue 39: a blocking recv does not return with EINTR", RestartAlways<SP_OP_RECV>},
    {"send-never-interrupted", "a signal does not end a send that waits", "message.send_interrupted", "posix",
     "nanvix issue 2695: blocking calls were not signal-aware", RestartAlways<SP_OP_SEND>},
    {"recv-wake-up-lost", "a recv that waits is not woken when data comes", "data.blocked_recv_waits data.pressure_both_ways",
     "posix winsock", "lwIP CHANGELOG, bug #41495: a threading issue between a waiter and what wakes it", MissWakeUp},
    {"recv-unknown-code", "a recv with nothing to deliver fails with a code that does not exist", "message.nonblocking_empty",
     "posix winsock", "lwIP CHANGELOG, bug #41729: some socket functions return Exyz instead of -1", UnknownCode},
    {"full-told-emsgsize", "a send without room fails with EMSGSIZE on a non-blocking socket",
     "data.count_is_true data.full_would_block", "posix winsock",
     "lwIP CHANGELOG, bug #31084: always EMSGSIZE on non-blocking sockets if there are more data than buffers", FullIsTooLarge},
    {"send-with-address-refused", "a send with an address fails with EINVAL on a connected stream",
     "message.address_on_stream message.address_on_local_stream", "posix winsock",
     "no report found: POSIX.1 sendto() allows to ignore the address, or EISCONN", RefuseAddress},
    {"send-unconnected-succeeds", "a send on a stream that has no connection succeeds", "message.send_unconnected listen.send",
     "posix winsock", "no report found: POSIX.1 send() says ENOTCONN", SendsToNobody},
    {"recv-unconnected-is-end", "a recv on a stream that has no connection returns 0",
     "message.recv_unconnected message.recv_unconnected_local listen.receive", "posix winsock",
     "lwIP CHANGELOG, bug #28853: recv returns 0 on any error", EndsWithoutBegin},
    {"bad-pointer-told-einval", "a transfer from or to memory that cannot be used fails with EINVAL",
     "message.send_bad_pointer message.recv_bad_pointer", "linux winsock", "no report found: send(2) and recv(2) name EFAULT",
     TransferTellsAs<SP_EFAULT, SP_EINVAL>},
    {"too-many-parts-told-einval", "a message of too many parts fails with EINVAL", "message.too_many_parts", "posix",
     "no report found: POSIX.1 sendmsg() names EMSGSIZE, where writev() names EINVAL", TransferTellsAs<SP_EMSGSIZE, SP_EINVAL>},
    {"not-open-told-einval", "a call on a descriptor that is not open fails with EINVAL",
     "message.send_not_open message.recv_not_open close.use_after options.get_not_open options.set_not_open "
     "shutdown.bad_descriptor",
     "posix", "lwIP CHANGELOG, bug #35928: the errors of the socket functions are not those of POSIX",
     AnyTellsAs<SP_EBADF, SP_EINVAL>},
    {"not-socket-told-ebadf", "a call on a descriptor that is no socket fails with EBADF",
     "message.send_not_socket message.recv_not_socket options.get_not_socket options.set_not_socket shutdown.not_a_socket",
     "posix winsock", "lwIP CHANGELOG, bug #35928: the errors of the socket functions are not those of POSIX",
     AnyTellsAs<SP_ENOTSOCK, SP_EBADF>},
};

}  // namespace

const FaultList kTimeoutFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
