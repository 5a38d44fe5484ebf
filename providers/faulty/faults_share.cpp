// Faults of what sockets have from others: an accepted one from its listener, one in another process from its maker.
#ifdef _WIN32
#include <process.h>
#define getpid _getpid
#else
#include <unistd.h>
#endif

#include <cstring>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kInherit =
    "no report found: accept() in Windows Sockets 2, and Linux, give an accepted socket what its listener has";

constexpr int kMark = 1;  // slots of a socket's memory
constexpr int kState = 3;

// ---- Inheritance

template <int32_t kOption, int64_t kValue>
void Forgets(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsAccept(provider, call);
  provider.Pass(call, result);
  if (ours && result->error == SP_OK) provider.SetInteger(result->handle, kOption, kValue);
}

void ForgetsNonblocking(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsAccept(provider, call);
  provider.Pass(call, result);
  if (ours && result->error == SP_OK) provider.SetNonblocking(result->handle, false);
}

void ForgetsCongestion(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsOption(call, SP_OP_GET_OPTION, SP_TCP_CONGESTION) || !provider.Of(call->handle).accepted) return;
  call->u.get_option.byte_count = 4;
  std::memcpy(call->u.get_option.bytes, "none", 4);
}

// ---- Other processes

// A socket is its maker's: another process can do nothing with it.
void MakersOnly(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t maker = provider.Get(call->handle.value, kState);
  if (call->handle.kind == SP_HANDLE_SOCKET && maker != 0 && maker != getpid() && call->op != SP_OP_CLOSE)
    return Fail(result, SP_EBADF);
  provider.Pass(call, result);
  const bool made = call->op == SP_OP_SOCKET || call->op == SP_OP_ACCEPT;
  if (made && result->error == SP_OK) provider.Put(result->handle.value, getpid(), kState);
}

void AlwaysCloseOnExec(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if ((call->op != SP_OP_SOCKET && call->op != SP_OP_ACCEPT) || result->error != SP_OK) return;
  sp_call mode{};
  mode.u.set_mode.set = SP_CLOSE_ON_EXEC;
  provider.Do(SP_OP_SET_MODE, result->handle, &mode);
}

// Flags and options are kept by whoever sets them.
void FlagsByProcess(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_SET_MODE) && ((call->u.set_mode.set | call->u.set_mode.clear) & SP_NONBLOCKING) != 0) {
    provider.Put(call->handle.value, (call->u.set_mode.set & SP_NONBLOCKING) != 0 ? 2 : 1, kMark);
    return Succeed(result);
  }
  provider.Pass(call, result);
  const int64_t own = provider.Get(call->handle.value, kMark);
  if (!IsSocketCall(call, SP_OP_GET_MODE) || result->error != SP_OK || own == 0) return;
  result->value = own == 2 ? result->value | SP_NONBLOCKING : result->value & ~int64_t{SP_NONBLOCKING};
}
void OptionsByProcess(Wrapped& provider, sp_call* call, sp_result* result) {
  const int32_t option = call->op == SP_OP_SET_OPTION   ? call->u.set_option.option
                         : call->op == SP_OP_GET_OPTION ? call->u.get_option.option
                                                        : SP_SO_ERROR;
  const bool boolean =
      option == SP_SO_KEEPALIVE || option == SP_SO_OOBINLINE || option == SP_TCP_NODELAY || option == SP_SO_REUSEADDR;
  if (boolean) return OptionWithoutEffect(provider, call, result, option);
  provider.Pass(call, result);
}

constexpr Fault kFaults[] = {
    {"child-forgets-reuse", "an accepted socket has no SO_REUSEADDR", "inherit.so_reuseaddr", "winsock", kInherit,
     Forgets<SP_SO_REUSEADDR, 0>},
    {"child-forgets-keepidle", "an accepted socket has a TCP_KEEPIDLE of its own", "inherit.tcp_keepidle", "winsock", kInherit,
     Forgets<SP_TCP_KEEPIDLE, 7201>},
    {"child-forgets-keepintvl", "an accepted socket has a TCP_KEEPINTVL of its own", "inherit.tcp_keepintvl", "winsock", kInherit,
     Forgets<SP_TCP_KEEPINTVL, 76>},
    {"child-forgets-keepcnt", "an accepted socket has a TCP_KEEPCNT of its own", "inherit.tcp_keepcnt", "winsock", kInherit,
     Forgets<SP_TCP_KEEPCNT, 11>},
    {"child-forgets-oobinline", "an accepted socket has SO_OOBINLINE off", "inherit.oobinline_takes_effect inherit.so_oobinline",
     "winsock", kInherit, Forgets<SP_SO_OOBINLINE, 0>},
    {"child-forgets-nonblocking", "an accepted socket is blocking though its listener is not",
     "inherit.nonblocking inherit.nonblocking_child", "winsock", kInherit, ForgetsNonblocking},
    {"child-forgets-congestion", "an accepted socket has another congestion control than its listener", "inherit.tcp_congestion",
     "linux", kInherit, ForgetsCongestion},
    {"process-makers-only", "a socket can be used by the process that made it alone",
     "process.listener_in_child process.backlog_is_shared process.copies_share_the_stream process.one_connection_one_process "
     "process.processes_none_lost process.listener_outlives_parents_copy",
     "linux posix", "no report found: fork(2), the child inherits copies of descriptors", MakersOnly},
    {"process-always-close-on-exec", "every socket is closed on exec",
     "process.listener_after_exec process.connection_after_exec", "linux posix",
     "no report found: execve(2), descriptors remain open unless marked", AlwaysCloseOnExec},
    {"process-flags-apart", "O_NONBLOCK is each process's own",
     "process.status_flags_are_shared process.passed_is_the_same_description", "linux posix",
     "no report found: fork(2), open file descriptions are shared", FlagsByProcess},
    {"process-options-apart", "socket options are each process's own", "process.options_are_shared", "linux",
     "no report found: fork(2), open file descriptions are shared", OptionsByProcess},
};

}  // namespace

const FaultList kShareFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
