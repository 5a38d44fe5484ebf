// Faults of TCP_DEFER_ACCEPT.
#include "faulty/moves.h"
#include "faulty/readiness.h"

namespace sockproof::faulty {
namespace {

constexpr int kSet = 1;  // slots of a handle's memory
constexpr int kMark = 2;

bool Sets(const sp_call* call) { return IsOption(call, SP_OP_SET_OPTION, SP_TCP_DEFER_ACCEPT); }
bool Defers(Wrapped& provider, sp_handle handle) { return provider.Get(handle.value, kSet) > 0; }

void Remember(Wrapped& provider, const sp_call* call, const sp_result* result) {
  if (Sets(call) && result->error == SP_OK) provider.Put(call->handle.value, call->u.set_option.integer, kSet);
}

constexpr const char* kNoReport =
    "no report found; h2o issue 40 and oven-sh/bun pull request 28617 rely on the option: tcp(7), TCP_DEFER_ACCEPT";

constexpr Fault kFaults[] = {
    {"defer-ignored", "TCP_DEFER_ACCEPT can be set and read, and has no effect",
     "deferred.not_before_data deferred.still_not_before_time deferred.blocked_accept_sleeps", "linux", kNoReport,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Sets(call) && provider.IsTcp(call->handle)) {
         provider.Put(call->handle.value, call->u.set_option.integer, kSet);
         return Succeed(result);
       }
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_GET_OPTION, SP_TCP_DEFER_ACCEPT) && Defers(provider, call->handle)) {
         call->u.get_option.integer = provider.Get(call->handle.value, kSet);
       }
     }},
    {"defer-reads-as-zero", "TCP_DEFER_ACCEPT reads as 0 whatever was set", "deferred.takes_effect", "linux", kNoReport,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsOption(call, SP_OP_GET_OPTION, SP_TCP_DEFER_ACCEPT)) call->u.get_option.integer = 0;
     }},
    {"defer-never-delivers", "a deferring listener is never ready", "deferred.data_wakes_listener deferred.only_senders", "linux",
     "gVisor issue 11535: connections of the accept queue that never got out of it",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && Defers(provider, call->handle);
       if (ours && !provider.IsNonblocking(call->handle)) WaitForEver(provider);
       if (ours) return Fail(result, SP_EAGAIN);
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         return Defers(at, socket) ? ready & ~uint32_t{SP_IN | SP_RDNORM} : ready;
       });
       Remember(provider, call, result);
     }},
    {"defer-first-client-only", "a listener defers until it has handed out its first connection, and no more",
     "deferred.only_senders deferred.not_before_data", "linux", kNoReport,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && Defers(provider, call->handle);
       provider.Pass(call, result);
       Remember(provider, call, result);
       if (ours && result->error == SP_OK) provider.SetInteger(call->handle, SP_TCP_DEFER_ACCEPT, 0);
     }},
    {"defer-loses-the-first-byte", "the first byte of a deferred connection is lost", "deferred.data_intact", "linux",
     "no report found: the data that bring a connection out of deferral belong to it, tcp(7), TCP_DEFER_ACCEPT",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && Defers(provider, call->handle);
       provider.Pass(call, result);
       Remember(provider, call, result);
       uint8_t byte;
       if (ours && result->error == SP_OK) provider.Recv(result->handle, &byte, 1, SP_MSG_DONTWAIT);
     }},
    {"defer-hands-out-before-data", "a deferred connection is handed out before its data can be read",
     "deferred.data_there_at_once", "linux", "oven-sh/bun pull request 28617: what is built on the option reads at once",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call) && Defers(provider, call->handle);
       const bool first = IsSocketCall(call, SP_OP_RECV) && provider.Get(call->handle.value, kMark) == 1;
       if (first && provider.Add(call->handle.value, 1, kMark) == 2 && provider.IsNonblocking(call->handle)) {
         return Fail(result, SP_EAGAIN);
       }
       PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t, uint32_t ready) {
         if (at.Get(socket.value, kMark) == 0 || at.Of(socket).received != 0) return ready;
         return at.Add(socket.value, 1, kMark) < 6 ? ready & ~uint32_t{SP_IN | SP_RDNORM} : ready;
       });
       Remember(provider, call, result);
       if (ours && result->error == SP_OK) provider.Put(result->handle.value, 1, kMark);
     }},
    {"defer-cannot-be-cleared", "TCP_DEFER_ACCEPT set back to 0 goes on deferring", "deferred.cleared_new", "linux", kNoReport,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Sets(call) && call->u.set_option.integer == 0 && Defers(provider, call->handle)) return Succeed(result);
       provider.Pass(call, result);
       Remember(provider, call, result);
     }},
    {"defer-drops-the-queue", "setting TCP_DEFER_ACCEPT throws away what waits in the queue", "deferred.set_keeps_queued",
     "linux", kNoReport,
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (Sets(call) && provider.Of(call->handle).listening) {
         for (const sp_handle one : TakeQueue(provider, call->handle)) provider.Close(one);
       }
       provider.Pass(call, result);
     }},
};

}  // namespace

const FaultList kDeferredFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
