// Faults of accept.
#include "faulty/wrapped.h"

namespace sockproof::faulty {
namespace {

constexpr Fault kFaults[] = {
    {"accept-newest-first", "accept returns the newest of the connections that wait", "accept.first_in_first_out",
     "posix linux winsock", "a stack of pending connections in place of a queue",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (call->op != SP_OP_ACCEPT || !provider.Of(call->handle).listening) return provider.Pass(call, result);
       const std::lock_guard<std::mutex> lock(provider.mutex());
       std::vector<sp_handle>& older = provider.handles[call->handle.value];
       if (!older.empty() && (provider.Ready(call->handle, SP_IN, 0) & SP_IN) == 0) {
         Succeed(result);
         result->handle = older.back();
         older.pop_back();
         return;
       }
       provider.Pass(call, result);
       while (result->error == SP_OK && (provider.Ready(call->handle, SP_IN, 0) & SP_IN) != 0) {
         older.push_back(result->handle);
         provider.Pass(call, result);
       }
     }},
};

}  // namespace

const FaultList kAcceptFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
