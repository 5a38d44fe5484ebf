// Faults of accept4's flags, and of what an accepted socket inherits.
#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

bool HasMode(Wrapped& provider, sp_handle handle, uint32_t mode) {
  sp_call call{};
  const sp_result result = provider.Do(SP_OP_GET_MODE, handle, &call);
  return result.error == SP_OK && (static_cast<uint32_t>(result.value) & mode) != 0;
}

void SetMode(Wrapped& provider, sp_handle handle, uint32_t set, uint32_t clear) {
  sp_call call{};
  call.u.set_mode.set = set;
  call.u.set_mode.clear = clear;
  provider.Do(SP_OP_SET_MODE, handle, &call);
}

// accept that leaves flags of accept4 away.
void AcceptWithoutFlags(Wrapped& provider, sp_call* call, sp_result* result, uint32_t modes) {
  if (!IsAccept(provider, call)) return provider.Pass(call, result);
  const uint32_t asked = call->u.accept.modes;
  call->u.accept.modes = asked & ~modes;
  provider.Pass(call, result);
  call->u.accept.modes = asked;
}

// accept that passes a mode of the listener on.
void AcceptInheriting(Wrapped& provider, sp_call* call, sp_result* result, uint32_t mode) {
  const bool ours = IsAccept(provider, call) && HasMode(provider, call->handle, mode);
  provider.Pass(call, result);
  if (ours && result->error == SP_OK) SetMode(provider, result->handle, mode, 0);
}

// accept whose result has an option as a new socket has it, not as the listener has it.
void AcceptWithFresh(Wrapped& provider, sp_call* call, sp_result* result, int32_t option) {
  const bool ours = IsAccept(provider, call);
  provider.Pass(call, result);
  if (!ours || result->error != SP_OK) return;
  const Known known = provider.Of(result->handle);
  sp_call make{};
  make.u.socket.family = known.family;
  make.u.socket.type = known.type;
  const sp_result fresh = provider.Do(SP_OP_SOCKET, {}, &make);
  if (fresh.error != SP_OK) return;
  // SO_RCVBUF and SO_SNDBUF read as twice what was set, where they are doubled at all: told here in place of set.
  if (const auto value = provider.GetInteger(fresh.handle, option); value) provider.Put(result->handle.value, *value + 1, option);
  provider.Close(fresh.handle);
}

void TellFresh(Wrapped& provider, sp_call* call, sp_result* result, int32_t option) {
  if (IsOption(call, SP_OP_SET_OPTION, option)) provider.Put(call->handle.value, 0, option);
  AcceptWithFresh(provider, call, result, option);
  const int64_t value = IsOption(call, SP_OP_GET_OPTION, option) ? provider.Get(call->handle.value, option) : 0;
  if (value != 0 && result->error == SP_OK) call->u.get_option.integer = value - 1;
}

constexpr Fault kFaults[] = {
    {"accept4-takes-unknown-flags", "accept4 takes flags that it does not know", "accept.unknown_flag", "linux",
     "nanos pull request 460: the flags of accept4 were not looked at",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptWithoutFlags(provider, call, result, ~uint32_t{SP_NONBLOCKING | SP_CLOSE_ON_EXEC});
     }},
    {"accept-inherits-nonblocking", "an accepted socket is non-blocking if its listener is",
     "inherit.nonblocking inherit.nonblocking_child_waits accept.flag_nonblocking", "linux",
     "AmigaLabs/clib4 pull request 455: the 4.4BSD stack underneath passes the listener's mode on",
     [](Wrapped& provider, sp_call* call, sp_result* result) { AcceptInheriting(provider, call, result, SP_NONBLOCKING); }},
    {"accept-inherits-async", "an accepted socket has O_ASYNC if its listener has", "inherit.async", "linux",
     "AmigaLabs/clib4 pull request 455: file status flags of the listener, O_ASYNC too, must not be inherited",
     [](Wrapped& provider, sp_call* call, sp_result* result) { AcceptInheriting(provider, call, result, SP_ASYNC); }},
    {"accept-inherits-cloexec", "an accepted descriptor is closed on exec if its listener is",
     "inherit.close_on_exec process.accepted_stays_open_on_exec accept.flag_close_on_exec", "linux",
     "no report found: accept(2) speaks of the flag of accept4 alone",
     [](Wrapped& provider, sp_call* call, sp_result* result) { AcceptInheriting(provider, call, result, SP_CLOSE_ON_EXEC); }},
    {"accept-makes-the-listener-block", "accept leaves a non-blocking listener blocking",
     "inherit.listener_keeps_flags accept.nonblocking_drained", "posix linux",
     "no report found: accept(2) changes nothing of the listener but its queue",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK) provider.SetNonblocking(call->handle, false);
     }},
    {"accept-child-shares-flags", "O_NONBLOCK set on an accepted socket is set on its listener too",
     "inherit.child_flags_are_its_own", "posix linux",
     "AmigaLabs/clib4 pull request 455: two places where the flags of a socket and of its descriptor could disagree",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       const Known known = provider.Of(call->handle);
       if (IsSocketCall(call, SP_OP_SET_MODE) && known.accepted && result->error == SP_OK) {
         SetMode(provider, {SP_HANDLE_SOCKET, 0, known.listener}, call->u.set_mode.set, call->u.set_mode.clear);
       }
     }},
    {"accept-forgets-receive-buffer", "an accepted socket has the receive buffer of a new one, not the listener's",
     "inherit.so_rcvbuf", "linux winsock", "gVisor issue 1095: SO_SNDBUF and SO_RCVBUF are not inherited",
     [](Wrapped& provider, sp_call* call, sp_result* result) { TellFresh(provider, call, result, SP_SO_RCVBUF); }},
    {"accept-forgets-send-buffer", "an accepted socket has the send buffer of a new one, not the listener's", "inherit.so_sndbuf",
     "linux winsock", "gVisor issue 1095: SO_SNDBUF and SO_RCVBUF are not inherited",
     [](Wrapped& provider, sp_call* call, sp_result* result) { TellFresh(provider, call, result, SP_SO_SNDBUF); }},
    {"accept-forgets-user-timeout", "an accepted socket has no TCP_USER_TIMEOUT, whatever its listener has",
     "inherit.tcp_user_timeout", "linux", "tabascoeye/lwip issue 15: accepted sockets do not inherit the options of the listener",
     [](Wrapped& provider, sp_call* call, sp_result* result) { TellFresh(provider, call, result, SP_TCP_USER_TIMEOUT); }},
    {"accept-forgets-keepalive", "an accepted socket has no SO_KEEPALIVE, whatever its listener has", "inherit.so_keepalive",
     "winsock", "Mellanox/libvma pull request 503: SO_KEEPALIVE was not inherited from the parent",
     [](Wrapped& provider, sp_call* call, sp_result* result) { TellFresh(provider, call, result, SP_SO_KEEPALIVE); }},
    {"accept-forgets-nodelay", "an accepted socket has no TCP_NODELAY, whatever its listener has", "inherit.tcp_nodelay",
     "winsock",
     "h2o pull request 1568 quotes tcp(4) of NetBSD: before 1.6 the option was erroneously not set on accepted sockets",
     [](Wrapped& provider, sp_call* call, sp_result* result) { TellFresh(provider, call, result, SP_TCP_NODELAY); }},
    {"accept-forgets-oobinline", "an accepted socket has no SO_OOBINLINE, whatever its listener has", "inherit.so_oobinline",
     "winsock", "Mellanox/libvma pull request 503: SO_OOBINLINE was not inherited from the parent",
     [](Wrapped& provider, sp_call* call, sp_result* result) { TellFresh(provider, call, result, SP_SO_OOBINLINE); }},
    {"accept-forgets-linger", "an accepted socket does not linger, whatever its listener does", "inherit.so_linger", "winsock",
     "Mellanox/libvma pull request 503: SO_LINGER was not inherited from the parent",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK) provider.SetLinger(result->handle, false, 0);
     }},
    {"accept-forgets-timeouts", "an accepted socket has no SO_RCVTIMEO and no SO_SNDTIMEO, whatever its listener has",
     "inherit.so_rcvtimeo inherit.so_sndtimeo inherit.timeouts_take_effect", "winsock",
     "tabascoeye/lwip issue 15: accepted sockets do not inherit the options of the listener",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK) return;
       provider.SetDuration(result->handle, SP_SO_RCVTIMEO, 0);
       provider.SetDuration(result->handle, SP_SO_SNDTIMEO, 0);
     }},
};

}  // namespace

const FaultList kAcceptFlagFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
