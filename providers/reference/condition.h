// The condition function of accept: it is told of the request at the head of the queue, and decides about it.
#pragma once

#include <cstdint>
#include <vector>

#include "reference/tcp/listener.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

struct ConditionAnswer {
  int32_t verdict = SP_CONDITION_ACCEPT;  // enum sp_condition, or anything else that was answered
  std::vector<uint8_t> payload;           // for the caller, as it travels
  bool group_is_valid = true;
};

// Asks in the calling thread. `family`: how the listener's socket sees addresses. The function may make other calls: whoever
// asks must look again at everything that they could have changed.
ConditionAnswer AskCondition(const TcpListener::Request& request, int32_t family, const sp_accept_args& args);

}  // namespace sockproof::reference
