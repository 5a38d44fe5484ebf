// Faults of the flags of send and recv, of urgent data, of signals, and of what tells how much there is.
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kMark = 1, kValue };

template <uint32_t kOp, uint32_t kFlag>
void Ignore(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!Is(call, kOp)) return provider.Pass(call, result);
  const uint32_t flags = Args(call).flags;
  Args(call).flags = flags & ~kFlag;
  provider.Pass(call, result);
  Args(call).flags = flags;
}

void ConsumePeeked(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_RECV) && (call->u.recv.flags & SP_MSG_OOB) == 0)
    return Ignore<SP_OP_RECV, SP_MSG_PEEK>(provider, call, result);
  provider.Pass(call, result);
}

void ConsumePeekedUrgent(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_RECV) && (call->u.recv.flags & SP_MSG_OOB) != 0)
    return Ignore<SP_OP_RECV, SP_MSG_PEEK>(provider, call, result);
  provider.Pass(call, result);
}

void PeekBehind(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  constexpr uint32_t kFlags = SP_MSG_PEEK | SP_MSG_OOB | SP_MSG_TRUNC;
  if (!Is(call, SP_OP_RECV) || (call->u.recv.flags & kFlags) != SP_MSG_PEEK || result->error != SP_OK || result->value < 2)
    return;
  for (int64_t i = 0; i + 1 < result->value; ++i) {
    *ByteAt(call->u.recv, static_cast<uint64_t>(i)) = *ByteAt(call->u.recv, static_cast<uint64_t>(i) + 1);
  }
}

void DontWaitSticks(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_RECV) && !Is(call, SP_OP_SEND)) return;
  if ((Args(call).flags & SP_MSG_DONTWAIT) != 0) provider.SetNonblocking(call->handle, true);
}

constexpr int64_t kAWhile = 1'000'000'000;

template <uint32_t kOp, uint32_t kEvent>
void WaitAWhile(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, kOp) || result->error != SP_EAGAIN || MayWait(provider, call)) return;
  provider.Ready(call->handle, kEvent, kAWhile);
  provider.Pass(call, result);
}

// A MSG_WAITALL that came back with a part of what was asked for.
bool Partial(Wrapped& provider, const sp_call* call, const sp_result* result) {
  return TakesStream(provider, call) && (call->u.recv.flags & SP_MSG_WAITALL) != 0 && result->error == SP_OK &&
         result->value > 0 && result->value < static_cast<int64_t>(TotalLength(call->u.recv)) && MayWait(provider, call);
}

void LosePartAtEnd(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Partial(provider, call, result) && AtEnd(provider, call->handle)) Succeed(result, 0);
}

void LosePartAtTimeOut(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Partial(provider, call, result) || AtEnd(provider, call->handle)) return;
  if (provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0) > 0) Fail(result, SP_EAGAIN);
}

void LosePartAtSignal(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Partial(provider, call, result) || AtEnd(provider, call->handle)) return;
  if (provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0) == 0) Fail(result, SP_EINTR);
}

void NoSignalEver(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!Is(call, SP_OP_SEND)) return provider.Pass(call, result);
  const sp_transfer_args before = call->u.send;
  AddFlags(call->u.send, SP_MSG_NOSIGNAL);
  provider.Pass(call, result);
  call->u.send = before;
}

void SignalTwice(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_SEND) || result->error != SP_EPIPE || (call->u.send.flags & SP_MSG_NOSIGNAL) != 0) return;
  uint8_t byte = 0;
  provider.Send(call->handle, &byte, 1, SP_MSG_DONTWAIT);
}

bool SendsUrgent(const sp_call* call) { return Is(call, SP_OP_SEND) && (call->u.send.flags & SP_MSG_OOB) != 0; }

void LoseUrgent(Wrapped& provider, sp_call* call, sp_result* result) {
  if (SendsUrgent(call)) return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  provider.Pass(call, result);
}

template <int64_t kAnswer>
void MarkIs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_IOCTL) && call->u.ioctl.request == SP_IOCTL_AT_MARK && result->error == SP_OK) result->value = kAnswer;
}

void CrossMark(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const sp_transfer_args& args = call->u.recv;
  if (!TakesStream(provider, call) || !provider.IsTcp(call->handle) || result->error != SP_OK || result->value <= 0) return;
  const uint64_t taken = static_cast<uint64_t>(result->value), room = TotalLength(args);
  if (args.buffer_count != 1 || taken >= room || Ioctl(provider, call->handle, SP_IOCTL_AT_MARK) != 1) return;
  const sp_result next = provider.Recv(call->handle, ByteAt(args, taken), room - taken, SP_MSG_DONTWAIT);
  if (next.error == SP_OK) result->value += next.value;
}

// An option that is remembered and read back, and has no effect.
template <int32_t kOption>
void RememberOnly(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_SET_OPTION) && call->u.set_option.option == kOption && call->u.set_option.kind == SP_POINTER_VALID &&
      call->u.set_option.length == SP_NATURAL_LENGTH) {
    provider.Put(call->handle.value, 1, kMark);
    provider.Put(call->handle.value, call->u.set_option.integer, kValue);
    return Succeed(result);
  }
  provider.Pass(call, result);
  if (!Is(call, SP_OP_GET_OPTION) || call->u.get_option.option != kOption || result->error != SP_OK) return;
  if (provider.Get(call->handle.value, kMark) != 0) call->u.get_option.integer = provider.Get(call->handle.value, kValue);
}

void UrgentNoneIsEnd(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_RECV) && (call->u.recv.flags & SP_MSG_OOB) != 0 && result->error != SP_OK) Succeed(result, 0);
}

void MoreIsNeverSent(Wrapped& provider, sp_call* call, sp_result* result) {
  if (SendsStream(provider, call) && (call->u.send.flags & SP_MSG_MORE) != 0) {
    return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  }
  provider.Pass(call, result);
}

bool AsksUnread(const sp_call* call) { return Is(call, SP_OP_IOCTL) && call->u.ioctl.request == SP_IOCTL_READABLE; }

void ForgetRest(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (TakesStream(provider, call) && result->error == SP_OK) {
    provider.Put(call->handle.value, result->value == static_cast<int64_t>(TotalLength(call->u.recv)) ? 1 : 0, kMark);
  }
  if (AsksUnread(call) && result->error == SP_OK && provider.Get(call->handle.value, kMark) != 0) result->value = 0;
}

void CountOneUnread(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (AsksUnread(call) && result->error == SP_OK && result->value > 0) ++result->value;
}

template <int32_t kRequest>
void ListenerHasNone(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_IOCTL) && call->u.ioctl.request == kRequest && result->error == SP_EINVAL &&
      provider.Of(call->handle).listening) {
    Succeed(result, 0);
  }
}

constexpr Fault kFaults[] = {
    {"peek-consumes", "MSG_PEEK takes what it shows", "message.peek_keeps", "posix winsock",
     "emscripten pull request 27278: recv ignored MSG_PEEK, so a peek consumed the data", ConsumePeeked},
    {"peek-begins-behind", "MSG_PEEK shows the data from their second byte on", "message.peek_keeps", "posix winsock",
     "no report found: POSIX.1 recv() says of MSG_PEEK that the next recv returns the same data", PeekBehind},
    {"dontwait-recv-waits", "recv ignores MSG_DONTWAIT", "message.dontwait_empty", "linux",
     "wasmer pull request 5600: MSG_DONTWAIT and MSG_PEEK had no effect", Ignore<SP_OP_RECV, SP_MSG_DONTWAIT>},
    {"dontwait-send-waits", "send ignores MSG_DONTWAIT", "message.dontwait_full", "linux",
     "wasmer pull request 5600: MSG_DONTWAIT and MSG_PEEK had no effect", Ignore<SP_OP_SEND, SP_MSG_DONTWAIT>},
    {"dontwait-sticks", "one call with MSG_DONTWAIT makes the socket non-blocking", "message.dontwait_empty", "linux",
     "no report found: recv(2) says of MSG_DONTWAIT that it concerns that call alone, unlike O_NONBLOCK", DontWaitSticks},
    {"nonblocking-recv-waits", "a recv that may not wait waits a second before it says so",
     "message.nonblocking_empty message.dontwait_empty", "posix winsock",
     "Zephyr issue 6309: recv on a non-blocking socket blocks until the peer sends", WaitAWhile<SP_OP_RECV, SP_IN>},
    {"nonblocking-send-waits", "a send that may not wait waits a second before it says so",
     "data.full_would_block message.dontwait_full", "posix winsock",
     "lwIP CHANGELOG, task #7865: before 1.4.0 there was no non-blocking send", WaitAWhile<SP_OP_SEND, SP_OUT>},
    {"waitall-ignored", "recv ignores MSG_WAITALL", "message.waitall_waits", "posix winsock",
     "Zephyr pull request 33284: MSG_WAITALL was not implemented (issue 13091)", Ignore<SP_OP_RECV, SP_MSG_WAITALL>},
    {"waitall-loses-part-at-end", "a MSG_WAITALL that the end of the stream cuts short says end of stream and nothing else",
     "message.waitall_end", "posix winsock",
     "no report found: POSIX.1 recv() says that MSG_WAITALL may return less if the connection is terminated", LosePartAtEnd},
    {"waitall-loses-part-at-time-out", "a MSG_WAITALL that a time-out cuts short fails, and what it had is lost",
     "message.recv_timeout_partial", "posix",
     "Zephyr pull request 33284, which had to say that a part is returned without an error when SO_RCVTIMEO is over",
     LosePartAtTimeOut},
    {"waitall-loses-part-at-signal", "a MSG_WAITALL that a signal cuts short fails with EINTR, and what it had is lost",
     "message.waitall_interrupted", "posix",
     "firecracker pull request 5485: an error after the first part hid that bytes had been moved", LosePartAtSignal},
    {"nosignal-ignored", "MSG_NOSIGNAL does not keep SIGPIPE away", "shutdown.wr_nosignal", "linux",
     "dlang phobos pull request 131: MSG_NOSIGNAL was passed where the system did not know it, and SIGPIPE came",
     Ignore<SP_OP_SEND, SP_MSG_NOSIGNAL>},
    {"sigpipe-missing", "a send on a connection that is gone raises no SIGPIPE", "shutdown.wr_sigpipe close.later_sigpipe",
     "linux", "litebox pull request 607: no SIGPIPE was delivered for sends on closed sockets", NoSignalEver},
    {"sigpipe-twice", "a send on a connection that is gone raises SIGPIPE twice", "shutdown.wr_sigpipe close.later_sigpipe",
     "linux", "no report found: send(2) speaks of one SIGPIPE beside EPIPE", SignalTwice},
    {"urgent-sent-as-data", "send ignores MSG_OOB: the byte is ordinary data", "message.urgent_byte message.urgent_apart",
     "linux winsock", "NuttX issue 2327: send() does not handle MSG_OOB", Ignore<SP_OP_SEND, SP_MSG_OOB>},
    {"urgent-lost", "a byte sent with MSG_OOB never arrives", "message.urgent_byte message.urgent_inline", "linux winsock",
     "NuttX issue 2327: urgent data is detected, and there is no way to receive it", LoseUrgent},
    {"urgent-mark-always", "sockatmark() is always true", "message.urgent_mark", "posix",
     "dotnet/corefx pull request 27583: SIOCATMARK says 1 before any urgent data on one system, 0 on the others", MarkIs<1>},
    {"urgent-mark-never", "sockatmark() is never true", "message.urgent_mark", "posix",
     "dotnet/corefx issue 25639: not at the mark when everything before it had been read", MarkIs<0>},
    {"urgent-mark-crossed", "a recv reads across the mark", "message.urgent_stops_recv", "linux winsock",
     "no report found: tcp(7) says that urgent data is marked, recv of Winsock that it stops before the mark", CrossMark},
    {"urgent-never-inline", "SO_OOBINLINE has no effect", "message.urgent_inline", "posix winsock",
     "no report found: socket(7) says that urgent data then stays in the stream", RememberOnly<SP_SO_OOBINLINE>},
    {"urgent-peek-consumes", "MSG_PEEK with MSG_OOB takes the byte", "message.urgent_peek", "linux winsock",
     "emscripten pull request 27278: the flags of recv did not reach the place where a peek would leave the data",
     ConsumePeekedUrgent},
    {"urgent-none-is-end", "recv with MSG_OOB and no urgent data returns 0", "message.urgent_none", "posix",
     "lwIP CHANGELOG, bug #28853: recv returns 0 on any error", UrgentNoneIsEnd},
    {"more-never-sent", "what was sent with MSG_MORE stays behind for ever", "message.more_arrives", "linux",
     "lwIP CHANGELOG, 2010-03-05: TCP_WRITE_FLAG_MORE was not set right where a write is split", MoreIsNeverSent},
    {"low-water-mark-ignored", "SO_RCVLOWAT has no effect", "message.low_water_poll message.low_water_recv", "linux",
     "no report found: socket(7) says that before Linux 2.6.28 select and poll did not respect SO_RCVLOWAT",
     RememberOnly<SP_SO_RCVLOWAT>},
    {"unread-forgets-rest", "FIONREAD says 0 after a recv that took a part", "data.unread_bytes", "linux",
     "NetX Duo issue 151: FIONREAD returns 0 for a packet that was read in part; also lwIP CHANGELOG, patch #3574", ForgetRest},
    {"unread-one-more", "FIONREAD counts one byte more than there is", "data.unread_bytes data.rest_stays data.sends_join",
     "linux", "lwIP CHANGELOG, BUG23240: the counter of what can be received goes wrong", CountOneUnread},
    {"unread-of-listener", "FIONREAD of a listener succeeds with 0", "listen.readable_bytes", "linux",
     "nanos issue 1036: FIONREAD of a listening socket must not take its queue for data", ListenerHasNone<SP_IOCTL_READABLE>},
    {"unsent-of-listener", "SIOCOUTQ of a listener succeeds with 0", "listen.unsent_bytes", "linux",
     "no report found: tcp(7) says that SIOCOUTQ fails with EINVAL in the state LISTEN", ListenerHasNone<SP_IOCTL_UNSENT>},
};

}  // namespace

const FaultList kFlagFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
