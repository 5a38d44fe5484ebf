// Faults of accept: which connection it returns, and which are lost on the way.
#include <algorithm>

#include "faulty/moves.h"
#include "faulty/readiness.h"

namespace sockproof::faulty {
namespace {

constexpr int kTaken = 1;  // slots of a handle's memory
constexpr int kEarly = 2;
constexpr std::size_t kMailbox = 4;  // as many connections as a small stack's mailbox has places

void Abort(Wrapped& provider, sp_handle handle) {
  provider.SetLinger(handle, true, 0);
  provider.Close(handle);
}

bool Holds(Wrapped& provider, sp_handle listener) {
  const std::lock_guard<std::mutex> lock(provider.mutex());
  const auto held = provider.handles.find(listener.value);
  return held != provider.handles.end() && !held->second.empty();
}

// accept from a queue of the fault's own: `sort` puts into it what has come meanwhile. The listener stays ready while it holds
// something.
void AcceptFromHeld(Wrapped& provider, sp_call* call, sp_result* result,
                    void (*sort)(Wrapped&, std::vector<sp_handle>& held, std::vector<sp_handle> come)) {
  if (IsAccept(provider, call)) {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    std::vector<sp_handle>& held = provider.handles[call->handle.value];
    sort(provider, held, TakeQueue(provider, call->handle, 1024));
    if (!held.empty()) {
      Succeed(result);
      result->handle = held.front();
      held.erase(held.begin());
      StorePeer(provider, result->handle, call);
      if ((call->u.accept.modes & SP_NONBLOCKING) != 0) provider.SetNonblocking(result->handle, true);
      return;
    }
  }
  if (IsSocketCall(call, SP_OP_CLOSE)) {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    for (const sp_handle one : provider.handles[call->handle.value]) Abort(provider, one);
    provider.handles.erase(call->handle.value);
  }
  PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t asked, uint32_t ready) {
    return Holds(at, socket) ? ready | (asked & SP_IN) : ready;
  });
}

constexpr Fault kFaults[] = {
    {"accept-newest-first", "accept returns the newest of the connections that wait", "accept.first_in_first_out backlog.order",
     "posix linux winsock", "no report found: accept(), DESCRIPTION: the first connection on the queue of pending connections",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptFromHeld(provider, call, result, [](Wrapped&, std::vector<sp_handle>& held, std::vector<sp_handle> come) {
         for (const sp_handle one : come) held.insert(held.begin(), one);
       });
     }},
    {"accept-queue-without-end", "connections leave the queue before they are accepted, so that it never fills",
     "backlog.capped backlog.maximum backlog.zero", "linux winsock",
     "mewz issue 109: backlog stored, and pending connections not limited",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       constexpr int64_t kListeners = -1;
       const auto at_the_end = [](Wrapped&, std::vector<sp_handle>& held, std::vector<sp_handle> come) {
         held.insert(held.end(), come.begin(), come.end());
       };
       if (IsSocketCall(call, SP_OP_CONNECT)) {
         const std::lock_guard<std::mutex> lock(provider.mutex());
         for (const sp_handle listener : std::vector<sp_handle>(provider.handles[kListeners])) {
           if (!provider.Of(listener).listening) continue;
           at_the_end(provider, provider.handles[listener.value], TakeQueue(provider, listener, 1024));
         }
       }
       AcceptFromHeld(provider, call, result, at_the_end);
       if (!IsSocketCall(call, SP_OP_LISTEN) || result->error != SP_OK) return;
       const std::lock_guard<std::mutex> lock(provider.mutex());
       provider.handles[kListeners].push_back(call->handle);
     }},
    {"accept-mailbox-full", "of the connections that wait, all but the first four are aborted when accept is called",
     "accept.first_in_first_out backlog.order backlog.queued_survive accept.threads_none_lost", "posix linux winsock",
     "nanos pull request 820: what could not be queued for accept() was aborted, or never handled; gVisor issue 236",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       AcceptFromHeld(provider, call, result, [](Wrapped& at, std::vector<sp_handle>& held, std::vector<sp_handle> come) {
         for (const sp_handle one : come) {
           if (held.size() < kMailbox) {
             held.push_back(one);
           } else {
             Abort(at, one);
           }
         }
       });
     }},
    {"accept-same-connection-twice", "every other accept returns the connection of the accept before once more",
     "accept.data_both_ways accept.threads_none_twice backlog.no_phantom backlog.order bind.share_each_once "
     "process.one_connection_one_process",
     "posix linux winsock", "no report found: accept(), DESCRIPTION: the first connection is taken off the queue",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsAccept(provider, call)) return provider.Pass(call, result);
       if (const int64_t last = provider.Get(call->handle.value, kTaken); last != 0 && Waits(provider, call->handle)) {
         provider.Put(call->handle.value, 0, kTaken);
         const sp_result again = Duplicate(provider, {SP_HANDLE_SOCKET, 0, last - 1});
         if (again.error == SP_OK) {
           Succeed(result);
           result->handle = again.handle;
           return;
         }
       }
       provider.Pass(call, result);
       if (result->error == SP_OK) provider.Put(call->handle.value, result->handle.value + 1, kTaken);
     }},
    {"accept-from-another-listener", "accept hands out what waits for another listener of the family first",
     "accept.own_queue listen.many backlog.separate_queues bind.share_spread accept.reused_descriptor", "posix linux winsock",
     "no report found: POSIX.1 accept(), DESCRIPTION: the queue is that of the socket",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       const int64_t family = -10 - provider.Of(call->handle).family;
       if (ours) {
         std::vector<sp_handle> others;
         {
           const std::lock_guard<std::mutex> lock(provider.mutex());
           others = provider.handles[family];
         }
         for (const sp_handle other : others) {
           const sp_handle own = call->handle;
           if (other.value == own.value || !provider.Of(other).listening || !Waits(provider, other)) continue;
           call->handle = other;
           provider.Pass(call, result);
           call->handle = own;
           return;
         }
       }
       provider.Pass(call, result);
       if (IsSocketCall(call, SP_OP_LISTEN) && result->error == SP_OK) {
         const std::lock_guard<std::mutex> lock(provider.mutex());
         provider.handles[family].push_back(call->handle);
       }
     }},
    {"accept-every-fourth-lost", "the fourth connection that a listener hands out is closed in place of being returned",
     "accept.threads_none_lost backlog.queued_survive listen.race_all_accepted backlog.burst_within_backlog bind.share_each_once "
     "process.processes_none_lost",
     "posix linux winsock", "hermit-os pull request 2218: a connection that came while accept was at work remained stuck",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK || provider.Add(call->handle.value, 1, kTaken) != 4) return;
       provider.Close(result->handle);
       provider.Pass(call, result);
     }},
    {"accept-second-lost", "the second connection that a listener hands out is closed in place of being returned",
     "backlog.queued_survive backlog.shrink_keeps_queued backlog.withdrawn_queued_others", "posix linux winsock",
     "hermit-os pull request 2218: a connection that came while accept was at work remained stuck",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK || provider.Add(call->handle.value, 1, kTaken) != 2) return;
       provider.Close(result->handle);
       provider.Pass(call, result);
     }},
    {"accept-loses-early-data", "what a client sent before it was accepted is gone", "accept.data_before_accept", "posix linux",
     "RIOT issue 16303: what a connection received before accept was lost; chipmk/tcpip.js pull request 40",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK) return;
       uint8_t bytes[512];
       while (provider.Ready(result->handle, SP_IN, 0) == SP_IN) {
         const sp_result got = provider.Recv(result->handle, bytes, sizeof bytes, SP_MSG_DONTWAIT | SP_MSG_PEEK);
         if (got.error != SP_OK || got.value == 0) break;
         provider.Recv(result->handle, bytes, static_cast<uint64_t>(got.value), SP_MSG_DONTWAIT);
       }
     }},
    {"accept-early-data-not-ready", "data that came before accept do not make the accepted socket ready",
     "accept.data_before_accept deferred.data_there_at_once", "posix linux",
     "lwIP CHANGELOG 2009-11-20, bug #28062: data received directly after accepting does not wake up select; RIOT issue 16303",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         if (at.Get(socket.value, kEarly) == 0 || at.Of(socket).received != 0) return ready;
         return ready & ~uint32_t{SP_IN | SP_RDNORM};
       });
       if (ours && result->error == SP_OK && provider.Ready(result->handle, SP_IN, 0) == SP_IN) {
         provider.Put(result->handle.value, 1, kEarly);
       }
     }},
    {"accept-ready-once", "a listener is reported ready once for all the connections that wait, until accept finds nothing",
     "accept.stays_ready", "posix linux winsock",
     "ARMmbed/mbed-os issue 6133: one signal for several connections; hermit-os pull request 2218",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         if (!at.Of(socket).listening || at.Get(socket.value, kTaken) == 0) return ready;
         if ((ready & SP_IN) == 0) at.Put(socket.value, 0, kTaken);
         return ready & ~uint32_t{SP_IN | SP_RDNORM};
       });
       if (ours) provider.Put(call->handle.value, result->error == SP_OK ? 1 : 0, kTaken);
     }},
    {"accept-ready-for-ever", "a listener that had a connection once is ready for ever",
     "accept.stays_ready backlog.nothing_left listen.polled_empty", "posix linux winsock",
     "UlricE/pen issue 43: a listener is reported ready again and again, and accept finds 0 connections",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t asked, uint32_t ready) {
         return at.Get(socket.value, kTaken) != 0 ? ready | (asked & SP_IN) : ready;
       });
       if (ours && result->error == SP_OK) provider.Put(call->handle.value, 1, kTaken);
     }},
    {"accept-child-listens", "SO_ACCEPTCONN of an accepted socket is 1", "accept.child_not_marked_listening",
     "posix linux winsock", "no report found: where an accepted socket takes the options of its listener, this is one of them",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ACCEPTCONN) && provider.Of(call->handle).accepted) {
         call->u.get_option.integer = 1;
       }
     }},
    {"accept-on-a-child", "accept on an accepted socket says that nothing waits",
     "accept.child_does_not_listen accept.client_socket", "posix linux winsock",
     "zephyr pull request 18965: a connection was accepted on sockets that were not in the state LISTEN",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_ACCEPT) && provider.Of(call->handle).connected) return Fail(result, SP_EAGAIN);
       provider.Pass(call, result);
     }},
    {"accept-listener-denies", "SO_ACCEPTCONN of a listener is 0", "accept.acceptconn_listening accept.acceptconn_value",
     "posix linux winsock", "lwIP CHANGELOG 2014-12-10: fixed implementation of SO_ACCEPTCONN to just look at the pcb state",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ACCEPTCONN)) call->u.get_option.integer = 0;
     }},
    {"accept-listener-is-two", "SO_ACCEPTCONN of a listener is 2, the bit of the option in place of a truth value",
     "accept.acceptconn_value", "linux",
     "no report found: in BSD the option is a bit of so_options, 2; lwIP CHANGELOG 2014-12-10 has SO_ACCEPTCONN fixed",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ACCEPTCONN) && call->u.get_option.integer != 0) call->u.get_option.integer = 2;
     }},
    {"accept-listening-can-be-set", "SO_ACCEPTCONN can be set, to no effect", "accept.acceptconn_read_only options.read_only",
     "linux winsock", "no report found: POSIX.1 lists SO_ACCEPTCONN for getsockopt() alone",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_SET_OPTION, SP_SO_ACCEPTCONN)) Succeed(result);
     }},
    {"accept-closes-the-child-with-the-listener", "closing a listener ends the connections that it has handed out",
     "accept.child_outlives_listener closing.children rejection.accepted_unharmed", "posix linux",
     "no report found: with smoltcp, tailscale-rs pull request 141, the socket that listens and the connection are one",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       if (IsSocketCall(call, SP_OP_CLOSE)) {
         std::vector<sp_handle> children;
         {
           const std::lock_guard<std::mutex> lock(provider.mutex());
           children.swap(provider.handles[call->handle.value]);
         }
         for (const sp_handle child : children) {
           if (provider.Of(child).listener == call->handle.value) provider.Shutdown(child, SP_SHUT_RDWR);
         }
       }
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK) return;
       const std::lock_guard<std::mutex> lock(provider.mutex());
       provider.handles[call->handle.value].push_back(result->handle);
     }},
};

}  // namespace

const FaultList kAcceptFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
