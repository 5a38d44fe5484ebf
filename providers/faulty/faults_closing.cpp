// Faults of the end of a listener, and of descriptors that are not given back.
#include "faulty/moves.h"
#include "faulty/readiness.h"

namespace sockproof::faulty {
namespace {

bool ClosesListener(Wrapped& provider, const sp_call* call) {
  return IsSocketCall(call, SP_OP_CLOSE) && provider.Of(call->handle).listening;
}

bool ShutsListener(Wrapped& provider, const sp_call* call) {
  return IsSocketCall(call, SP_OP_SHUTDOWN) && provider.Of(call->handle).listening && call->u.shutdown.how != SP_SHUT_WR &&
         call->u.shutdown.how <= SP_SHUT_RDWR && call->u.shutdown.how >= 0;
}

constexpr Fault kFaults[] = {
    {"close-leaves-queued-clients", "closing a listener leaves the clients in its queue connected to nobody",
     "closing.queued closing.queued_unix closing.queued_wakes rejection.listener_closed rejection.listener_closed_local "
     "closing.racing_client closing.many_queued",
     "linux", "embox pull request 2982: established connections on the accept queue were released, and never reset",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (ClosesListener(provider, call)) TakeQueue(provider, call->handle, 1024);
       provider.Pass(call, result);
     }},
    {"close-ends-queued-clients-in-order", "closing a listener sends the clients in its queue a FIN in place of a RST",
     "closing.queued rejection.listener_closed", "linux",
     "embox pull request 2982 (reset established but not accept()ed connections)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (ClosesListener(provider, call)) {
         for (const sp_handle one : TakeQueue(provider, call->handle, 1024)) {
           provider.Shutdown(one, SP_SHUT_WR);
           if (provider.IsLocal(call->handle)) provider.Close(one);
         }
       }
       provider.Pass(call, result);
     }},
    {"close-shut-leaves-queued-clients", "shutting a listener down leaves the clients in its queue connected to nobody",
     "closing.queued_shutdown rejection.listener_shutdown closing.racing_client_shutdown", "linux",
     "embox pull request 2982 has the same for close",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (ShutsListener(provider, call) && provider.IsTcp(call->handle)) TakeQueue(provider, call->handle, 1024);
       provider.Pass(call, result);
     }},
    {"close-goes-on-listening", "a listener that is closed goes on taking clients in",
     "closing.new_client closing.close_after_accept", "linux winsock",
     "microsoft/WSL issue 3431: a connect to a socket that was closed still succeeded",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (ClosesListener(provider, call)) Duplicate(provider, call->handle);
       provider.Pass(call, result);
     }},
    {"close-keeps-the-port", "the address of a listener that was closed stays in use",
     "closing.address_free listen.after_close closing.abstract_gone closing.address_with_child_reuse closing.group_joined "
     "closing.path_removed listen.taken_later",
     "linux", "demikernel/inetstack pull request 181: a port that was given out is not given back at close",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const auto name =
           ClosesListener(provider, call) && provider.IsTcp(call->handle) ? provider.LocalName(call->handle) : std::nullopt;
       provider.Pass(call, result);
       if (!name || result->error != SP_OK) return;
       sp_call make{};
       make.u.socket.family = name->family;
       make.u.socket.type = SP_STREAM;
       const sp_result keeper = provider.Do(SP_OP_SOCKET, {}, &make);
       if (keeper.error == SP_OK) Bind(provider, keeper.handle, *name);  // held for ever
     }},
    {"close-wakes-accept", "closing a listener ends the accept of another thread at once", "closing.close_leaves_accept", "linux",
     "microsoft/WSL issue 3431 asks for it; close(2) has it that a blocked call keeps the socket",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (ClosesListener(provider, call)) provider.Shutdown(call->handle, SP_SHUT_RD);
       provider.Pass(call, result);
     }},
    {"close-shut-does-nothing", "shutdown of a listener succeeds and does nothing",
     "closing.shutdown_accept closing.new_client_shutdown closing.shutdown_wakes_accept accept.after_read_shutdown", "linux",
     "rust-lang/socket2 issue 377: the pending accept() blocks for ever after shutdown()",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (ShutsListener(provider, call)) return Succeed(result);
       provider.Pass(call, result);
     }},
    {"close-shut-says-listening", "a listener that was shut down says that it listens, and accept says EINVAL",
     "closing.shutdown_agrees accept.acceptconn_after_shutdown", "posix linux",
     "lwIP CHANGELOG 2014-12-10: SO_ACCEPTCONN did not look at the state",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ACCEPTCONN) && provider.Of(call->handle).listening)
         call->u.get_option.integer = 1;
     }},
    {"close-shut-ends-children", "shutting a listener down ends the connections that it has handed out",
     "closing.children_shutdown", "posix linux",
     "no report found: with smoltcp, tailscale-rs pull request 141, the socket that listens and the connection are one",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call), shuts = ShutsListener(provider, call);
       provider.Pass(call, result);
       const std::lock_guard<std::mutex> lock(provider.mutex());
       if (ours && result->error == SP_OK) provider.handles[call->handle.value].push_back(result->handle);
       if (!shuts) return;
       for (const sp_handle child : provider.handles[call->handle.value]) {
         if (provider.Of(child).listener == call->handle.value) provider.Shutdown(child, SP_SHUT_RDWR);
       }
     }},
    {"close-write-shut-ends-listening", "shutting the sending side of a listener down ends its listening",
     "accept.after_write_shutdown closing.new_client_shutdown_write closing.queued_shutdown_write "
     "rejection.listener_shutdown_write closing.shutdown_write_wakes_nobody",
     "linux", "no report found for listeners: lwIP CHANGELOG 2014-01-27, SHUT_RD followed by SHUT_WR was different to SHUT_RDWR",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_SHUTDOWN) && provider.Of(call->handle).listening && call->u.shutdown.how == SP_SHUT_WR) {
         call->u.shutdown.how = SP_SHUT_RDWR;
         provider.Pass(call, result);
         call->u.shutdown.how = SP_SHUT_WR;
         return;
       }
       provider.Pass(call, result);
     }},
    {"close-leaks", "each close of a connected socket leaves a descriptor behind",
     "close.frees_descriptor contract.handles_released", "posix linux winsock",
     "novnc/websockify-other issue 7: descriptors of connections that ended are not closed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsSocketCall(call, SP_OP_CLOSE) && provider.Of(call->handle).connected;
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK) return;
       sp_call make{};
       make.u.socket.family = SP_INET;
       make.u.socket.type = SP_STREAM;
       provider.Do(SP_OP_SOCKET, {}, &make);
     }},
    {"close-twice-succeeds", "closing a descriptor that is not open succeeds", "close.bad_descriptor closing.close_descriptor",
     "posix linux", "no report found: close(), EBADF",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (call->op == SP_OP_CLOSE) Forgive(result, SP_EBADF);
     }},
    {"close-the-listener-lingers", "closing a listener with SO_LINGER set waits for the linger time",
     "closing.close_linger close.linger_unconnected", "posix linux",
     "no report found: a linger time is for data that are still to be sent, and a listener has none",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (ClosesListener(provider, call)) {
         sp_call get{};
         get.u.get_option.option = SP_SO_LINGER;
         get.u.get_option.value_type = SP_VALUE_LINGER;
         get.u.get_option.length = SP_NATURAL_LENGTH;
         if (provider.Do(SP_OP_GET_OPTION, call->handle, &get).error == SP_OK && get.u.get_option.linger_on != 0) {
           provider.Pause(int64_t{get.u.get_option.linger_seconds} * 1'000'000'000);
         }
       }
       provider.Pass(call, result);
     }},
};

}  // namespace

const FaultList kClosingFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
