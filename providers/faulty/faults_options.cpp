// Faults of options and names.
#include <cstring>

#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kSet = 1, kValue };

bool Sets(const sp_call* call, int32_t option) { return Is(call, SP_OP_SET_OPTION) && call->u.set_option.option == option; }
bool Gets(const sp_call* call, int32_t option) { return Is(call, SP_OP_GET_OPTION) && call->u.get_option.option == option; }
bool IsSound(const sp_call* call) {
  return call->u.set_option.kind == SP_POINTER_VALID && call->u.set_option.length == SP_NATURAL_LENGTH;
}
bool IsBoolean(int32_t option) {
  return option == SP_SO_REUSEADDR || option == SP_SO_KEEPALIVE || option == SP_SO_OOBINLINE || option == SP_SO_BROADCAST;
}

void IgnoreBooleans(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_SET_OPTION) && IsBoolean(call->u.set_option.option) && IsSound(call)) return Succeed(result);
  provider.Pass(call, result);
}

// Reads as `kAnswer`, whatever it is.
template <int32_t kOption, int64_t kAnswer>
void ReadsAs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Gets(call, kOption) && result->error == SP_OK) call->u.get_option.integer = kAnswer;
}

// Set as `change` makes of it, read back as it was set.
using Change = int64_t (*)(int64_t value);
template <int32_t kOption, Change kChange>
void TakesEffectAs(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t handle = call->handle.value;
  if (Sets(call, kOption) && IsSound(call)) {
    const int64_t asked = call->u.set_option.integer;
    call->u.set_option.integer = kChange(asked);
    provider.Pass(call, result);
    call->u.set_option.integer = asked;
    if (result->error == SP_OK) provider.Put(handle, 1, kSet), provider.Put(handle, asked, kValue);
    return;
  }
  provider.Pass(call, result);
  if (Gets(call, kOption) && result->error == SP_OK && provider.Get(handle, kSet) != 0) {
    call->u.get_option.integer = provider.Get(handle, kValue);
  }
}

// Read as `change` makes of it.
template <int32_t kOption, Change kChange>
void ReadsChanged(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Gets(call, kOption) && result->error == SP_OK) call->u.get_option.integer = kChange(call->u.get_option.integer);
}

int64_t Not(int64_t value) { return value == 0 ? 1 : 0; }
int64_t Half(int64_t value) { return value / 2; }
int64_t Thousandth(int64_t value) { return value / 1000; }
int64_t Thousandfold(int64_t value) { return value * 1000; }
int64_t Zero(int64_t) { return 0; }
int64_t One(int64_t) { return 1; }
int64_t Minute(int64_t value) { return value > 60 ? 60 : value; }

// An option that is on (or has `kValue`) on every new socket of TCP.
template <int32_t kOption, int64_t kValueAtFirst, int32_t kFamily>
void DefaultIs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!(call->op == SP_OP_SOCKET) || result->error != SP_OK || !provider.IsTcp(result->handle)) return;
  if (kFamily == SP_UNSPEC || provider.Of(result->handle).family == kFamily)
    provider.SetInteger(result->handle, kOption, kValueAtFirst);
}

void FamilyIsOther(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Gets(call, SP_SO_DOMAIN) && result->error == SP_OK && call->u.get_option.integer == SP_INET6)
    call->u.get_option.integer = SP_INET;
}

// ---- SO_ERROR

void KeepError(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Gets(call, SP_SO_ERROR) || result->error != SP_OK) return;
  if (call->u.get_option.integer != SP_OK) {
    provider.Put(call->handle.value, call->u.get_option.integer, kValue);
  } else {
    call->u.get_option.integer = provider.Get(call->handle.value, kValue);
  }
}

void LoseErrorByName(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_PEER_NAME)) provider.GetInteger(call->handle, SP_SO_ERROR);
}

void LoseErrorByPoll(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_ADD && call->handle.kind == SP_HANDLE_SOCKET) provider.Put(-1, call->handle.value);
  provider.Pass(call, result);
  if (call->op != SP_OP_WATCH_WAIT || result->error != SP_OK) return;
  for (int32_t i = 0; i < call->u.watch_wait.count; ++i) {
    if ((call->u.watch_wait.events[i].events & SP_ERR) != 0)
      provider.GetInteger({SP_HANDLE_SOCKET, 0, provider.Get(-1)}, SP_SO_ERROR);
  }
}

void StillInProgress(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_CONNECT) && result->error == SP_EINPROGRESS) provider.Put(call->handle.value, 1, kSet);
  if (Gets(call, SP_SO_ERROR) && result->error == SP_OK && call->u.get_option.integer == SP_OK &&
      provider.Get(call->handle.value, kSet) != 0) {
    call->u.get_option.integer = SP_EINPROGRESS;
  }
}

// ---- Time-outs

bool IsTimeOut(int32_t option) { return option == SP_SO_RCVTIMEO || option == SP_SO_SNDTIMEO; }

void OneTimeOutForBoth(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_SET_OPTION) || !IsTimeOut(call->u.set_option.option) || result->error != SP_OK) return;
  provider.SetDuration(call->handle, call->u.set_option.option == SP_SO_RCVTIMEO ? SP_SO_SNDTIMEO : SP_SO_RCVTIMEO,
                       call->u.set_option.duration_ns);
}

void WholeSeconds(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_GET_OPTION) && IsTimeOut(call->u.get_option.option) && result->error == SP_OK) {
    call->u.get_option.duration_ns = call->u.get_option.duration_ns / 1'000'000'000 * 1'000'000'000;
  }
}

// ---- What is refused

void TakeUnknown(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if ((Sets(call, SP_UNKNOWN_OPTION) || Gets(call, SP_UNKNOWN_OPTION)) && result->error == SP_ENOPROTOOPT) Succeed(result);
}

void TakeShort(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const bool refused = result->error == SP_EINVAL || result->error == SP_EFAULT;
  if (Is(call, SP_OP_SET_OPTION) && call->u.set_option.length >= 0 && call->u.set_option.length < 4 && refused) Succeed(result);
}

void SetReadOnly(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  for (const int32_t option : {SP_SO_TYPE, SP_SO_DOMAIN, SP_SO_PROTOCOL, SP_SO_ERROR, SP_SO_ACCEPTCONN}) {
    if (Sets(call, option) && result->error == SP_ENOPROTOOPT) Succeed(result);
  }
}

void OptionPointerUnchecked(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if ((call->op == SP_OP_SET_OPTION || call->op == SP_OP_GET_OPTION) && result->error == SP_EFAULT) Succeed(result);
}

// ---- Names

bool AsksName(const sp_call* call) { return Is(call, SP_OP_LOCAL_NAME) || Is(call, SP_OP_PEER_NAME); }
bool Cut(const sp_call* call) {
  const sp_address_out& name = call->u.local_name.name;
  return name.length != SP_NATURAL_LENGTH && name.length >= 0 && name.reported > name.length;
}

void LengthOfPart(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (AsksName(call) && result->error == SP_OK && Cut(call)) call->u.local_name.name.reported = call->u.local_name.name.length;
}

// The whole name goes where only a part of it was asked for.
void OverrunName(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  sp_address_out& name = call->u.local_name.name;
  if (!AsksName(call) || result->error != SP_OK || !Cut(call) || name.kind != SP_POINTER_VALID) return;
  const int32_t room = std::min(name.raw_size, name.reported);
  const int32_t asked = name.length;
  name.length = room;
  provider.Pass(call, result);
  name.length = asked;
}

void RefuseShortRoom(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (AsksName(call) && result->error == SP_OK && Cut(call)) Fail(result, SP_EINVAL);
}

void LongerThanWritten(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (AsksName(call) && result->error == SP_OK && !Cut(call) && call->u.local_name.name.reported > 0) {
    call->u.local_name.name.reported += 16;
  }
}

void PeerOfNobody(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_PEER_NAME) || result->error != SP_ENOTCONN) return;
  call->op = SP_OP_LOCAL_NAME;
  provider.Pass(call, result);
  call->op = SP_OP_PEER_NAME;
}

void PeerIsSelf(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!Is(call, SP_OP_PEER_NAME) || !provider.Of(call->handle).connected) return provider.Pass(call, result);
  call->op = SP_OP_LOCAL_NAME;
  provider.Pass(call, result);
  call->op = SP_OP_PEER_NAME;
}

void UnnamedIsLong(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  sp_address_out& name = call->u.local_name.name;
  if (!AsksName(call) || result->error != SP_OK || provider.Of(call->handle).family != SP_UNIX || name.address.path_length != 0)
    return;
  constexpr int32_t kWhole = 110;
  if (name.reported > 2 || name.raw_size < kWhole || name.length != SP_NATURAL_LENGTH) return;
  std::memset(name.raw + 2, 0, kWhole - 2);
  name.reported = kWhole;
}

template <int32_t kError>
void NameSucceeds(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (AsksName(call) && result->error == kError) Succeed(result);
}

constexpr Fault kFaults[] = {
    {"option-not-stored", "the Boolean options of the socket level can be set and stay off",
     "options.booleans_stick close.keepalive_switch", "posix winsock",
     "nanos pull request 1652: setting SO_REUSEPORT is a no-op and it reads as 0", IgnoreBooleans},
    {"nodelay-inverted", "TCP_NODELAY takes effect the other way round", "options.nodelay_sticks", "linux winsock",
     "nanos pull request 1652: setting TCP_NODELAY set the opposite of what was asked for",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!Sets(call, SP_TCP_NODELAY) || !IsSound(call)) return provider.Pass(call, result);
       const int64_t asked = call->u.set_option.integer;
       call->u.set_option.integer = Not(asked);
       provider.Pass(call, result);
       call->u.set_option.integer = asked;
     }},
    {"acceptconn-always-off", "SO_ACCEPTCONN is always 0", "accept.acceptconn_listening accept.acceptconn_value", "posix winsock",
     "gVisor issue 8487: SO_ACCEPTCONN of a local socket is 0", ReadsAs<SP_SO_ACCEPTCONN, 0>},
    {"acceptconn-always-on", "SO_ACCEPTCONN is always 1", "accept.acceptconn_fresh accept.child_not_marked_listening",
     "posix winsock", "lwIP CHANGELOG, 2014-12-10: SO_ACCEPTCONN did not look at the state of the pcb",
     ReadsAs<SP_SO_ACCEPTCONN, 1>},
    {"type-always-datagram", "SO_TYPE is always that of a datagram socket", "options.type inherit.type", "posix winsock",
     "no report found: POSIX.1 getsockopt() returns the type of the socket", ReadsAs<SP_SO_TYPE, SP_DATAGRAM>},
    {"domain-of-inet6-is-inet", "SO_DOMAIN of an IPv6 socket is AF_INET", "options.domain inherit.family", "linux",
     "no report found: socket(7) returns the family of the socket", FamilyIsOther},
    {"protocol-reads-zero", "SO_PROTOCOL is always 0", "options.protocol inherit.protocol", "linux",
     "no report found: socket(7) returns the protocol, such as IPPROTO_SCTP", ReadsAs<SP_SO_PROTOCOL, 0>},
    {"receive-buffer-not-doubled", "SO_RCVBUF reads as it was set", "options.receive_buffer_doubled", "linux",
     "no report found: socket(7) says that the value is doubled", ReadsChanged<SP_SO_RCVBUF, Half>},
    {"send-buffer-not-doubled", "SO_SNDBUF reads as it was set", "options.send_buffer_doubled", "linux",
     "no report found: socket(7) says that the value is doubled", ReadsChanged<SP_SO_SNDBUF, Half>},
    {"low-water-mark-zero", "SO_RCVLOWAT of a fresh socket is 0", "options.low_water_default", "posix",
     "WSL issue 2761: SO_RCVLOWAT cannot be read", ReadsAs<SP_SO_RCVLOWAT, 0>},
    {"so-error-sticks", "SO_ERROR does not clear the error",
     "close.error_cleared accept.reset_pending_error_cleared refused.error_clears closing.queued_error_once "
     "rejection.reset_error_once",
     "posix winsock", "Zephyr pull request 114889: the pending error of a socket was never cleared", KeepError},
    {"so-error-always-zero", "SO_ERROR always says that there is none", "close.reset_pending refused.nonblocking_error", "linux",
     "KallistiOS pull request 361: SO_ERROR does nothing and says 0", ReadsAs<SP_SO_ERROR, SP_OK>},
    {"so-error-lost-by-peer-name", "getpeername takes the pending error", "close.reset_pending", "linux",
     "lwIP CHANGELOG, 2007-06-13: netconn_peer reset the error of a connection, and it was lost", LoseErrorByName},
    {"so-error-lost-by-poll", "a poll that reports an error takes it", "close.reset_pending closing.queued_error", "linux",
     "no report found: POSIX.1 poll() reports POLLERR and clears nothing", LoseErrorByPoll},
    {"so-error-in-progress", "SO_ERROR says EINPROGRESS after a connect that was established in the background",
     "progress.no_error_afterwards progress.no_error_pending", "posix",
     "lwIP CHANGELOG, bug #31590: SO_ERROR gives EINPROGRESS after a successful non-blocking connect", StillInProgress},
    {"timeouts-are-one", "SO_RCVTIMEO and SO_SNDTIMEO are one value", "options.timeouts_stick", "posix",
     "no report found: POSIX.1 2.10.16 has two", OneTimeOutForBoth},
    {"timeouts-whole-seconds", "the time-outs read as whole seconds", "options.timeouts_stick", "posix",
     "lwIP CHANGELOG, bug #43797: SO_SNDTIMEO and SO_RCVTIMEO took an int for a timeval", WholeSeconds},
    {"unknown-option-taken", "an option that nobody knows can be set and read", "options.unknown_set options.unknown_get",
     "posix winsock", "no report found: POSIX.1 setsockopt() says ENOPROTOOPT", TakeUnknown},
    {"short-option-taken", "an option of too short a length can be set", "options.set_short", "linux winsock",
     "lwIP CHANGELOG, bug #40788: lwip_setsockopt_internal() crashes for want of checks", TakeShort},
    {"read-only-option-taken", "options that can only be read can be set", "options.read_only accept.acceptconn_read_only",
     "linux winsock", "no report found: socket(7) says that they are read-only", SetReadOnly},
    {"option-pointer-unchecked", "an option at an invalid address is set and read with success",
     "options.set_bad_pointer options.get_bad_pointer", "linux winsock",
     "lwIP CHANGELOG, bug #40788: checks of pointers were missing", OptionPointerUnchecked},
    {"keepalive-on-by-default", "keep-alives are on on a new socket", "close.keepalive_default", "posix",
     "no report found: RFC 1122 4.2.3.6 wants them off by default", DefaultIs<SP_SO_KEEPALIVE, 1, SP_UNSPEC>},
    {"keepalive-idle-a-minute", "TCP_KEEPIDLE is a minute by default", "close.keepalive_idle_default", "posix winsock",
     "RFC 2525 2.11, insufficient interval between keepalives", ReadsChanged<SP_TCP_KEEPIDLE, Minute>},
    {"keepalive-idle-ignored", "TCP_KEEPIDLE reads as two hours whatever was set", "close.keepalive_options", "linux winsock",
     "node issue 38445: the time set is ignored, the default of the system is used", ReadsAs<SP_TCP_KEEPIDLE, 7200>},
    {"keepalive-count-one", "one keep-alive without an answer ends a connection", "close.keepalive_dead", "linux",
     "RFC 2525 2.9, excessively short keepalive connection timeout", TakesEffectAs<SP_TCP_KEEPCNT, One>},
    {"keepalive-never-sent", "SO_KEEPALIVE has no effect", "close.keepalive_dead close.keepalive_dead_broken", "linux",
     "node issue 21079 of the archive: a time set for keep-alives before the connection is ignored",
     TakesEffectAs<SP_SO_KEEPALIVE, Zero>},
    {"user-timeout-ignored", "TCP_USER_TIMEOUT has no effect", "close.user_timeout_unacknowledged close.user_timeout_window",
     "linux", "no report found: tcp(7) says that it ends a connection", TakesEffectAs<SP_TCP_USER_TIMEOUT, Zero>},
    {"user-timeout-in-seconds", "TCP_USER_TIMEOUT is taken for seconds",
     "close.user_timeout_unacknowledged close.user_timeout_fin", "linux",
     "lwIP CHANGELOG, 2007-03-11, which has to say that TCP_KEEPIDLE is in seconds",
     TakesEffectAs<SP_TCP_USER_TIMEOUT, Thousandfold>},
    {"user-timeout-reads-seconds", "TCP_USER_TIMEOUT reads as seconds", "close.user_timeout_option", "linux",
     "no report found: tcp(7) says milliseconds", ReadsChanged<SP_TCP_USER_TIMEOUT, Thousandth>},
    {"linger2-ignored", "TCP_LINGER2 has no effect", "close.linger2_effect", "linux",
     "lwIP CHANGELOG, bug #34636: FIN-WAIT-2 was not left in the right way",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Sets(call, SP_TCP_LINGER2) && IsSound(call) && call->u.set_option.integer > 0) {
         provider.Put(call->handle.value, call->u.set_option.integer, kValue);
         return Succeed(result);
       }
       provider.Pass(call, result);
       if (Gets(call, SP_TCP_LINGER2) && result->error == SP_OK && provider.Get(call->handle.value, kValue) != 0) {
         call->u.get_option.integer = provider.Get(call->handle.value, kValue);
       }
     }},
    {"defer-accept-ignored", "TCP_DEFER_ACCEPT is remembered, and every connection is handed out at once",
     "deferred.not_before_data deferred.blocked_accept_sleeps", "linux",
     "no report found: tcp(7) says that a listener is woken by data", TakesEffectAs<SP_TCP_DEFER_ACCEPT, Zero>},
    {"defer-accept-reads-zero", "TCP_DEFER_ACCEPT reads as 0", "deferred.takes_effect", "linux",
     "no report found: tcp(7) says seconds", ReadsAs<SP_TCP_DEFER_ACCEPT, 0>},
    {"v6only-by-default", "IPV6_V6ONLY is on on a new socket", "bind.v6only_default bind.dual_serves", "posix",
     "no report found: RFC 3493 5.3 has it off by default", DefaultIs<SP_IPV6_V6ONLY, 1, SP_INET6>},
    {"name-length-of-part", "a cut name comes with the length of the part", "options.name_real_length bind.name_truncated_length",
     "linux", "esp-lwip pull requests 90 and 93: getpeername and getsockname do not report the length of a cut address",
     LengthOfPart},
    {"name-overruns-buffer", "a name is written beyond the room for it", "contract.output_within_length bind.name_truncated",
     "posix", "ldms pull request 474: an address overflows the buffer that is too small for it", OverrunName},
    {"name-short-room-refused", "a name that does not fit is refused with EINVAL", "options.name_truncated bind.name_truncated",
     "posix", "NuttX pull request 6970: a small length was refused by getsockname", RefuseShortRoom},
    {"name-length-beyond-written", "a name comes with a length of 16 bytes more than it has", "bind.name_length", "posix",
     "managarm pull request 417: getsockname of an IPv4 socket reports 128 bytes", LongerThanWritten},
    {"peer-name-of-nobody", "a socket that is not connected has itself for a peer",
     "options.peer_name_unconnected listen.peer_name", "posix winsock",
     "lwIP CHANGELOG, bug #38404: getpeername succeeds on unconnected and listening sockets", PeerOfNobody},
    {"peer-name-is-own", "getpeername names the socket itself",
     "options.peer_name_known options.local_name_known accept.peer_name_agrees", "posix winsock",
     "no report found: POSIX.1 getpeername() returns the address of the peer", PeerIsSelf},
    {"unnamed-is-long", "the name of an unnamed local socket has the length of the whole structure",
     "options.unnamed_peer bind.name_unbound_unix", "linux",
     "nanos pull request 585: the length of an address was not that of its kind", UnnamedIsLong},
    {"name-pointer-unchecked", "a name for an invalid address is returned with success",
     "options.name_bad_pointer bind.name_bad_pointer", "linux winsock", "no report found: getsockname(2) says EFAULT",
     NameSucceeds<SP_EFAULT>},
    {"name-negative-length-taken", "a name of negative length is returned with success",
     "options.name_negative_length bind.name_negative_length", "linux", "no report found: getsockname(2) says EINVAL",
     NameSucceeds<SP_EINVAL>},
};

}  // namespace

const FaultList kOptionFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
