// Faults of close: what the peer sees of it, what is freed by it, and what is left of the address.
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kShared = 1, kWaiting, kZombie, kError, kWanted };

bool IsClose(const sp_call* call) { return Is(call, SP_OP_CLOSE); }

// Notes which descriptors have a duplicate: a close of one of them closes no socket.
void NoteDuplicate(Wrapped& provider, const sp_call* call, const sp_result* result) {
  if (!Is(call, SP_OP_DUPLICATE) || result->error != SP_OK) return;
  provider.Put(call->handle.value, 1, kShared);
  provider.Put(result->handle.value, 1, kShared);
}

// Does this close end a stream of TCP?
bool ClosesTcp(Wrapped& provider, const sp_call* call) {
  return IsClose(call) && provider.IsTcp(call->handle) && !provider.Of(call->handle).listening &&
         provider.Get(call->handle.value, kShared) == 0;
}

// How long the socket lingers: seconds, or -1 for not at all.
int32_t LingerOf(Wrapped& provider, sp_handle handle) {
  sp_call call{};
  call.u.get_option.option = SP_SO_LINGER;
  call.u.get_option.value_type = SP_VALUE_LINGER;
  call.u.get_option.length = SP_NATURAL_LENGTH;
  const sp_result result = provider.Do(SP_OP_GET_OPTION, handle, &call);
  return result.error == SP_OK && call.u.get_option.linger_on != 0 ? call.u.get_option.linger_seconds : -1;
}

void EndWithFin(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsClose(call) && provider.IsStream(call->handle) && provider.Get(call->handle.value, kShared) == 0 &&
      LingerOf(provider, call->handle) != 0) {
    std::vector<uint8_t> scratch(1 << 16);
    for (int i = 0; i < 4096; ++i) {
      const sp_result taken = provider.Recv(call->handle, scratch.data(), scratch.size(), SP_MSG_DONTWAIT);
      if (taken.error != SP_OK || taken.value == 0) break;
    }
  }
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

void EndWithReset(Wrapped& provider, sp_call* call, sp_result* result) {
  if (ClosesTcp(provider, call)) provider.SetLinger(call->handle, true, 0);
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

void DropUnsent(Wrapped& provider, sp_call* call, sp_result* result) {
  if (ClosesTcp(provider, call) && LingerOf(provider, call->handle) < 0 && Unsent(provider, call->handle) > 0) {
    provider.SetLinger(call->handle, true, 0);
  }
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

// The socket of a closed descriptor goes on to receive: nobody hears of data that come too late.
void KeepReceiving(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->handle.kind == SP_HANDLE_SOCKET && provider.Get(call->handle.value, kZombie) != 0) return Fail(result, SP_EBADF);
  const bool plain = ClosesTcp(provider, call) && provider.Of(call->handle).connected && LingerOf(provider, call->handle) < 0 &&
                     Unread(provider, call->handle) == 0;
  if (plain && provider.Shutdown(call->handle, SP_SHUT_WR).error == SP_OK) {
    provider.Put(call->handle.value, 1, kZombie);
    return Succeed(result);
  }
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

void LeakHandle(Wrapped& provider, sp_call* call, sp_result* result) {
  constexpr int64_t kNobody = -1;
  if (IsClose(call) && provider.Add(kNobody, 1) % 4 == 0) {
    sp_call duplicate{};
    provider.Do(SP_OP_DUPLICATE, call->handle, &duplicate);
    provider.Shutdown(call->handle, SP_SHUT_RDWR);
  }
  provider.Pass(call, result);
}

void EndSharedConnection(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsClose(call) && provider.Get(call->handle.value, kShared) != 0) provider.Shutdown(call->handle, SP_SHUT_RDWR);
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

void EndReceivers(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t handle = call->handle.value;
  if (Is(call, SP_OP_RECV)) {
    provider.Add(handle, 1, kWaiting);
    provider.Pass(call, result);
    provider.Add(handle, -1, kWaiting);
    return;
  }
  if (IsClose(call) && provider.Get(handle, kWaiting) > 0) provider.Shutdown(call->handle, SP_SHUT_RD);
  provider.Pass(call, result);
}

// ---- SO_LINGER: what was asked for is remembered and read back; what takes effect is another thing.

bool SetsLinger(const sp_call* call) {
  return Is(call, SP_OP_SET_OPTION) && call->u.set_option.option == SP_SO_LINGER && call->u.set_option.kind == SP_POINTER_VALID &&
         call->u.set_option.value_type == SP_VALUE_LINGER;
}

// Carries an option of lingering out as `on` and `seconds`; 0 in kWanted is 'nothing remembered', else the seconds and 1.
void SetOtherwise(Wrapped& provider, sp_call* call, sp_result* result, bool on, int32_t seconds) {
  sp_option_args& set = call->u.set_option;
  const sp_option_args asked = set;
  set.linger_on = on ? 1 : 0;
  set.linger_seconds = seconds;
  provider.Pass(call, result);
  set = asked;
  if (result->error == SP_OK) provider.Put(call->handle.value, int64_t{asked.linger_seconds} + 1, kWanted);
}

void PassRemembered(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
  const int64_t wanted = provider.Get(call->handle.value, kWanted);
  if (SetsLinger(call) && result->error == SP_OK) provider.Put(call->handle.value, 0, kWanted);
  if (Is(call, SP_OP_GET_OPTION) && call->u.get_option.option == SP_SO_LINGER && result->error == SP_OK && wanted != 0) {
    call->u.get_option.linger_on = 1;
    call->u.get_option.linger_seconds = static_cast<int32_t>(wanted - 1);
  }
}

bool Wants(const sp_call* call, bool zero) {
  return SetsLinger(call) && call->u.set_option.linger_on != 0 && (call->u.set_option.linger_seconds == 0) == zero;
}

void AbortWithFin(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Wants(call, true)) return SetOtherwise(provider, call, result, false, 0);
  PassRemembered(provider, call, result);
}

void DoNotLinger(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Wants(call, false)) return SetOtherwise(provider, call, result, false, 0);
  PassRemembered(provider, call, result);
}

void LingerLong(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Wants(call, false)) return SetOtherwise(provider, call, result, true, 2 * call->u.set_option.linger_seconds);
  PassRemembered(provider, call, result);
}

void LingerShort(Wrapped& provider, sp_call* call, sp_result* result) {
  if (ClosesTcp(provider, call) && Unsent(provider, call->handle) > 0) {
    const int32_t seconds = LingerOf(provider, call->handle);
    if (seconds > 0) {
      provider.SetLinger(call->handle, false, 0);
      provider.Pause(seconds * int64_t{1'000'000'000} / 4);
    }
  }
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

void NonblockingDoesNotLinger(Wrapped& provider, sp_call* call, sp_result* result) {
  if (ClosesTcp(provider, call) && LingerOf(provider, call->handle) > 0 && provider.IsNonblocking(call->handle)) {
    provider.SetLinger(call->handle, false, 0);
  }
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

void LingerAlways(Wrapped& provider, sp_call* call, sp_result* result) {
  if (ClosesTcp(provider, call) && LingerOf(provider, call->handle) < 0) provider.SetLinger(call->handle, true, 1);
  provider.Pass(call, result);
  NoteDuplicate(provider, call, result);
}

void LingerReadsOff(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_GET_OPTION) && call->u.get_option.option == SP_SO_LINGER && result->error == SP_OK) {
    call->u.get_option.linger_on = 0;
  }
}

// ---- The address

bool IsOption(const sp_call* call, uint32_t op, int32_t option) {
  return Is(call, op) && (op == SP_OP_SET_OPTION ? call->u.set_option : call->u.get_option).option == option;
}

void BindPlainly(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool shares =
      Is(call, SP_OP_BIND) && provider.IsTcp(call->handle) && provider.GetInteger(call->handle, SP_SO_REUSEADDR).value_or(0) != 0;
  if (shares) provider.SetInteger(call->handle, SP_SO_REUSEADDR, 0);
  provider.Pass(call, result);
  if (shares) provider.SetInteger(call->handle, SP_SO_REUSEADDR, 1);
}

void ShareAlways(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_REUSEADDR) && call->u.set_option.kind == SP_POINTER_VALID &&
      call->u.set_option.length == SP_NATURAL_LENGTH && provider.IsTcp(call->handle)) {
    provider.Put(call->handle.value, call->u.set_option.integer != 0 ? 1 : 0, kWanted);
    return Succeed(result);
  }
  provider.Pass(call, result);
  if (result->error != SP_OK) return;
  if (Is(call, SP_OP_SOCKET) && provider.IsTcp(result->handle)) provider.SetInteger(result->handle, SP_SO_REUSEADDR, 1);
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_REUSEADDR) && provider.IsTcp(call->handle)) {
    call->u.get_option.integer = provider.Get(call->handle.value, kWanted);
  }
}

// ---- Resets

void ResetIsEnd(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_RECV) && result->error == SP_ECONNRESET) Succeed(result, 0);
}

void ResetDropsData(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!TakesStream(provider, call) || !provider.IsTcp(call->handle) || Unread(provider, call->handle) <= 0 ||
      (provider.Ready(call->handle, 0, 0) & SP_ERR) == 0) {
    return provider.Pass(call, result);
  }
  std::vector<uint8_t> scratch(1 << 16);
  do {
    *result = provider.Recv(call->handle, scratch.data(), scratch.size(), SP_MSG_DONTWAIT);
  } while (result->error == SP_OK && result->value > 0);
}

void SendAfterReset(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_SHUTDOWN) && result->error == SP_OK && call->u.shutdown.how != SP_SHUT_RD) {
    provider.Put(call->handle.value, 1, kError);
  }
  const bool broken = result->error == SP_EPIPE || result->error == SP_ECONNRESET;
  if (Is(call, SP_OP_SEND) && broken && provider.Get(call->handle.value, kError) == 0) {
    Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  }
}

constexpr Fault kFaults[] = {
    {"close-unread-sends-fin", "a close with data unread ends the connection in good order",
     "close.unread close.unread_half_closed close.unread_unix close.unread_wakes_send", "linux",
     "RFC 2525 2.17, failure to RST on close with data pending; gVisor issue 1449", EndWithFin},
    {"close-sends-reset", "a close resets the connection", "close.orderly", "posix winsock",
     "no report found: RFC 9293 3.6 ends a connection with a FIN", EndWithReset},
    {"close-drops-unsent", "a close drops what the other end has not acknowledged", "close.background", "posix winsock",
     "lwIP CHANGELOG, bug #15926: output was not flushed in do_close()", DropUnsent},
    {"close-late-data-unanswered", "data that come after a close draw no reset", "close.late_data close.later_send", "linux",
     "RFC 2525 2.16, failure to send a RST after half duplex close; NuttX pull request 8915", KeepReceiving},
    {"close-leaks-handle", "every fourth close leaves a descriptor open", "contract.handles_released close.frees_descriptor",
     "posix winsock", "bun pull request 37427: descriptors were left open with nobody knowing their numbers", LeakHandle},
    {"close-of-duplicate-ends-connection", "the close of one of two duplicates ends the connection",
     "close.duplicate_keeps rejection.close_last_descriptor process.connection_outlives_one_copy process.duplicate_of_listener "
     "rejection.listener_last_descriptor",
     "posix winsock", "SerenityOS pull request 6751: closing one of two descriptors closed the socket", EndSharedConnection},
    {"close-ends-waiting-recv", "a close ends a recv that waits on the descriptor",
     "close.waiting_receive_stays close.waiting_receive_completes close.waiting_receive_times_out close.waiting_receive_then_end",
     "linux", "Zephyr issue 10316, which asks for just that: what a close does to a recv elsewhere differs from Linux",
     EndReceivers},
    {"linger-zero-sends-fin", "a close with SO_LINGER at 0 ends the connection in good order",
     "close.abort close.abort_discards close.abort_in_close_wait", "linux winsock",
     "ESP-IDF issue 10258, NuttX issue 7522: a FIN with SO_LINGER at 0", AbortWithFin},
    {"linger-ignored", "a close with a linger time does not wait",
     "close.linger_waits close.linger_limit process.linger_for_last_copy", "posix winsock",
     "gVisor issue 1400: SO_LINGER could be read and not be set", DoNotLinger},
    {"linger-long", "a close lingers for twice the time", "close.linger_limit", "posix winsock",
     "NuttX issue 7522: the close blocked for ever", LingerLong},
    {"linger-short", "a close lingers for a quarter of the time", "close.linger_limit close.linger_unacknowledged",
     "posix winsock", "no report found: socket(7) says that close waits until the linger time is over", LingerShort},
    {"linger-not-if-nonblocking", "a close of a non-blocking socket does not linger", "close.linger_nonblocking", "posix",
     "no report found: socket(7) makes no exception for non-blocking sockets", NonblockingDoesNotLinger},
    {"linger-always", "a close waits up to a second though SO_LINGER is off", "close.returns_at_once", "posix winsock",
     "NuttX issue 7522: close() blocks until the other end has answered", LingerAlways},
    {"linger-reads-off", "SO_LINGER reads as off", "close.linger_option options.linger_sticks", "posix winsock",
     "gVisor issue 1400: getting and setting SO_LINGER did not go together", LingerReadsOff},
    {"time-wait-blocks-reuse", "SO_REUSEADDR does not help against TIME-WAIT", "close.time_wait_reuse", "linux",
     "lwIP CHANGELOG, patch #6865: before 1.4.0 an address in TIME-WAIT could not be bound with SO_REUSEADDR", BindPlainly},
    {"reuse-always", "SO_REUSEADDR is always in effect", "close.time_wait_bind close.fin_wait_bind bind.in_use bind.reuse_one",
     "linux", "wasmtime pull request 8738: SO_REUSEADDR set for everybody, and on Windows two servers could bind one port",
     ShareAlways},
    {"reset-told-as-end", "recv tells a reset as the end of the stream", "close.reset_told close.reset_wakes_receive close.abort",
     "linux winsock", "turmoil pull request 269: peers saw the end of the stream although data had been discarded", ResetIsEnd},
    {"reset-drops-data", "data that came before a reset are lost", "close.data_before_reset", "linux",
     "no report found: RFC 9293 3.10.7.4 flushes the queues, Linux does not", ResetDropsData},
    {"send-after-reset-succeeds", "a send on a connection that was reset succeeds",
     "close.send_after_reset close.later_send close.send_unix", "linux winsock",
     "ESP-IDF issue 10258: the first write after the end of a connection succeeds", SendAfterReset},
};

}  // namespace

const FaultList kCloseFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
