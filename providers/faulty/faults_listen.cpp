// Faults of listen and of the queue behind it.
#include <algorithm>

#include "faulty/wrapped.h"

namespace sockproof::faulty {
namespace {

void ListenWith(Wrapped& provider, sp_call* call, sp_result* result, int32_t (*backlog)(int32_t)) {
  if (call->op == SP_OP_LISTEN) call->u.listen.backlog = backlog(call->u.listen.backlog);
  provider.Pass(call, result);
}

constexpr Fault kFaults[] = {
    {"backlog-ignored", "listen takes every backlog for 1", "backlog.capacity", "posix linux winsock",
     "lwIP 1.3 without TCP_LISTEN_BACKLOG: the argument of listen() had no effect",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t backlog) { return std::min(backlog, 1); });
     }},
};

}  // namespace

const FaultList kListenFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
