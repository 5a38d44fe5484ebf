// Faults of what accepted, duplicated and passed sockets have from others, and of what exec leaves open.
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kSet = 1, kValue };

uint32_t ModesOf(Wrapped& provider, sp_handle handle) {
  sp_call call{};
  const sp_result result = provider.Do(SP_OP_GET_MODE, handle, &call);
  return result.error == SP_OK ? static_cast<uint32_t>(result.value) : 0;
}

void SetModes(Wrapped& provider, sp_handle handle, uint32_t set, uint32_t clear) {
  sp_call call{};
  call.u.set_mode.set = set;
  call.u.set_mode.clear = clear;
  provider.Do(SP_OP_SET_MODE, handle, &call);
}

bool Accepted(const sp_call* call, const sp_result* result) { return Is(call, SP_OP_ACCEPT) && result->error == SP_OK; }

template <uint32_t kMode>
void InheritMode(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Accepted(call, result)) SetModes(provider, result->handle, ModesOf(provider, call->handle) & kMode, 0);
}

// Modes asked for with the call that makes a socket are dropped.
template <uint32_t kOp, uint32_t kMode>
void DropMode(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != kOp) return provider.Pass(call, result);
  uint32_t& modes = kOp == SP_OP_SOCKET ? call->u.socket.modes : call->u.accept.modes;
  const uint32_t asked = modes;
  modes &= ~kMode;
  provider.Pass(call, result);
  modes = asked;
}

// They are set on the listener as well.
void ModesOfListener(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Accepted(call, result) && call->u.accept.modes != 0) SetModes(provider, call->handle, call->u.accept.modes, 0);
}

void ClosesAfterExec(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_SET_MODE) && (call->u.set_mode.set & SP_CLOSE_ON_EXEC) != 0) {
    const uint32_t asked = call->u.set_mode.set;
    call->u.set_mode.set &= ~static_cast<uint32_t>(SP_CLOSE_ON_EXEC);
    provider.Put(call->handle.value, 1, kSet);
    provider.Pass(call, result);
    call->u.set_mode.set = asked;
    return;
  }
  provider.Pass(call, result);
  if (Is(call, SP_OP_GET_MODE) && result->error == SP_OK && provider.Get(call->handle.value, kSet) != 0)
    result->value |= SP_CLOSE_ON_EXEC;
}

void CopyModes(Wrapped& provider, sp_call* call, sp_result* result) {
  const uint32_t modes = Is(call, SP_OP_DUPLICATE) ? ModesOf(provider, call->handle) : 0;
  provider.Pass(call, result);
  if (Is(call, SP_OP_DUPLICATE) && result->error == SP_OK) SetModes(provider, result->handle, modes & SP_CLOSE_ON_EXEC, 0);
}

// An option of the listener that an accepted socket does not have from it.
template <int32_t kOption, int64_t kFresh>
void DoNotInherit(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Accepted(call, result) && provider.IsTcp(result->handle)) provider.SetInteger(result->handle, kOption, kFresh);
}

void OptionsReachBack(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_SET_OPTION) || result->error != SP_OK || call->u.set_option.value_type != SP_VALUE_INTEGER) return;
  const Known known = provider.Of(call->handle);
  if (known.accepted) {
    provider.SetInteger({SP_HANDLE_SOCKET, 0, known.listener}, call->u.set_option.option, call->u.set_option.integer);
  }
}

void ModesReachBack(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const Known known = provider.Of(call->handle);
  if (Is(call, SP_OP_SET_MODE) && result->error == SP_OK && known.accepted) {
    SetModes(provider, {SP_HANDLE_SOCKET, 0, known.listener}, call->u.set_mode.set, call->u.set_mode.clear);
  }
}

void PendingAtFirst(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Accepted(call, result)) provider.Put(result->handle.value, 1, kSet);
  if (Is(call, SP_OP_GET_OPTION) && call->u.get_option.option == SP_SO_ERROR && result->error == SP_OK &&
      provider.Get(call->handle.value, kSet) != 0) {
    provider.Put(call->handle.value, 0, kSet);
    if (call->u.get_option.integer == SP_OK) call->u.get_option.integer = SP_EINPROGRESS;
  }
}

// ---- Handles in messages

bool TakesHandles(const sp_call* call, const sp_result* result) {
  return Is(call, SP_OP_RECV) && call->u.recv.form == SP_FORM_MESSAGE && result->error == SP_OK;
}

void HandOverAnother(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!TakesHandles(call, result)) return;
  for (uint32_t i = 0; i < call->u.recv.handle_count; ++i) {
    sp_call duplicate{};
    const sp_result copy = provider.Do(SP_OP_DUPLICATE, call->handle, &duplicate);
    if (copy.error != SP_OK) continue;
    provider.Close(call->u.recv.handles[i]);
    call->u.recv.handles[i] = copy.handle;
  }
}

void HandOverBackwards(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (TakesHandles(call, result)) std::reverse(call->u.recv.handles, call->u.recv.handles + call->u.recv.handle_count);
}

template <uint32_t kSetMode, uint32_t kClear>
void HandOverWith(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!TakesHandles(call, result)) return;
  for (uint32_t i = 0; i < call->u.recv.handle_count; ++i) SetModes(provider, call->u.recv.handles[i], kSetMode, kClear);
}

void CutUnmarked(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (TakesHandles(call, result)) call->u.recv.flags_out &= ~static_cast<uint32_t>(SP_MSG_CTRUNC);
}

void KeepUntaken(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool message =
      Is(call, SP_OP_RECV) && call->u.recv.form == SP_FORM_MESSAGE && provider.Of(call->handle).family == SP_UNIX;
  const uint32_t room = call->u.recv.handle_count;
  if (message) call->u.recv.handle_count = SP_MAX_HANDLES;
  provider.Pass(call, result);
  if (!message) return;
  if (result->error == SP_OK && call->u.recv.handle_count > room) call->u.recv.flags_out |= SP_MSG_CTRUNC;
  call->u.recv.handle_count = result->error == SP_OK ? std::min(room, call->u.recv.handle_count) : room;
}

constexpr Fault kFaults[] = {
    {"nonblocking-inherited", "an accepted socket is non-blocking because its listener is",
     "inherit.nonblocking inherit.nonblocking_child_waits", "linux",
     "clib4 pull request 455: the 4.4BSD stack inherits the mode, and programs met EAGAIN; SerenityOS pull request 6752",
     InheritMode<SP_NONBLOCKING>},
    {"async-inherited", "an accepted socket has O_ASYNC because its listener has", "inherit.async", "linux",
     "no report found: accept(2) warns that other systems inherit O_ASYNC", InheritMode<SP_ASYNC>},
    {"close-on-exec-inherited", "an accepted socket is closed on exec because its listener is",
     "inherit.close_on_exec process.accepted_stays_open_on_exec", "linux",
     "no report found: accept(2) says that flags of the listener are not inherited", InheritMode<SP_CLOSE_ON_EXEC>},
    {"accept-drops-nonblocking", "accept4 ignores SOCK_NONBLOCK",
     "accept.flag_nonblocking accept.nonblocking_child_does_not_wait", "linux",
     "LibreSSL portable pull request 1323: accept4() drops SOCK_NONBLOCK", DropMode<SP_OP_ACCEPT, SP_NONBLOCKING>},
    {"accept-drops-close-on-exec", "accept4 ignores SOCK_CLOEXEC", "accept.flag_close_on_exec process.close_on_exec_at_creation",
     "linux", "libuv issue 5082: a descriptor without FD_CLOEXEC leaks to child processes",
     DropMode<SP_OP_ACCEPT, SP_CLOSE_ON_EXEC>},
    {"socket-drops-close-on-exec", "socket ignores SOCK_CLOEXEC", "process.close_on_exec_at_creation", "linux",
     "libuv issue 5082: a descriptor without FD_CLOEXEC leaks to child processes", DropMode<SP_OP_SOCKET, SP_CLOSE_ON_EXEC>},
    {"accept-modes-reach-listener", "what accept4 is asked to set is set on the listener too", "inherit.listener_keeps_flags",
     "linux", "no report found: accept(2) speaks of the new descriptor alone", ModesOfListener},
    {"child-modes-reach-listener", "a flag set on an accepted socket is set on its listener too",
     "inherit.child_flags_are_its_own", "posix", "no report found: POSIX.1 accept() returns a socket of its own", ModesReachBack},
    {"child-options-reach-listener", "an option set on an accepted socket is set on its listener too",
     "inherit.child_options_are_its_own", "posix winsock",
     "StelluxOS pull request 188: options of a listener and of its connections were kept apart wrongly", OptionsReachBack},
    {"pending-error-at-accept", "an accepted socket has a pending error", "inherit.no_pending_error options.error_zero", "posix",
     "lwIP CHANGELOG, bug #31590: SO_ERROR gives EINPROGRESS of a connection that is there", PendingAtFirst},
    {"receive-buffer-not-inherited", "an accepted socket has a receive buffer of 16 KiB", "inherit.so_rcvbuf", "linux winsock",
     "lwIP CHANGELOG, 2010-03-22: tcp_listen() did not copy all of the pcb", DoNotInherit<SP_SO_RCVBUF, 8192>},
    {"send-buffer-not-inherited", "an accepted socket has a send buffer of 16 KiB", "inherit.so_sndbuf", "linux winsock",
     "lwIP CHANGELOG, 2010-03-22: tcp_listen() did not copy all of the pcb", DoNotInherit<SP_SO_SNDBUF, 8192>},
    {"user-timeout-not-inherited", "an accepted socket has no TCP_USER_TIMEOUT", "inherit.tcp_user_timeout", "linux",
     "no report found: tcp(7) says that it is inherited", DoNotInherit<SP_TCP_USER_TIMEOUT, 0>},
    {"close-on-exec-without-effect", "FD_CLOEXEC can be set and leaves the descriptor open on exec", "process.close_on_exec",
     "posix", "libuv issue 5082: a failure to set FD_CLOEXEC went unnoticed", ClosesAfterExec},
    {"duplicate-copies-close-on-exec", "a duplicate has FD_CLOEXEC because the original has", "process.duplicate_close_on_exec",
     "posix", "no report found: POSIX.1 dup() and fcntl() clear it", CopyModes},
    {"passed-is-another", "a passed handle turns out to be the socket that it came over",
     "process.passed_connection process.passed_listener", "linux",
     "YurtOS issue 104: the list of passed descriptors does not agree with what was installed", HandOverAnother},
    {"passed-backwards", "handles passed in one message come in the opposite order", "process.passed_several", "linux",
     "DragonOS pull request 2290: which of several passed descriptors arrive, and under which numbers", HandOverBackwards},
    {"passed-stays-on-exec", "MSG_CMSG_CLOEXEC has no effect", "process.passed_close_on_exec", "linux",
     "dart sdk pull request 63305: the flag MSG_CMSG_CLOEXEC was never switched on; libuv pull request 993",
     HandOverWith<0, SP_CLOSE_ON_EXEC>},
    {"passed-closes-on-exec", "every passed handle is closed on exec", "process.passed_close_on_exec", "linux",
     "no report found: unix(7) and recv(2) have it with MSG_CMSG_CLOEXEC alone", HandOverWith<SP_CLOSE_ON_EXEC, 0>},
    {"passed-cut-unmarked", "a message from which handles were cut comes without MSG_CTRUNC", "process.passed_truncated_flag",
     "linux", "YurtOS issue 104: no MSG_CTRUNC, and the descriptors are closed silently", CutUnmarked},
    {"passed-untaken-stay-open", "a handle for which there was no room stays open", "process.passed_unreceived", "linux",
     "bun pull request 37427: on macOS descriptors that did not fit stay in the process", KeepUntaken},
};

}  // namespace

const FaultList kInheritFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
