// The ways to wait that a provider has, for scenarios that ask each of them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "battery/scenario.h"

namespace sockproof {

// Those of these mechanisms that the provider has. The scenario ends as 'not supported' if it has none of them.
inline std::vector<int32_t> Ways(std::initializer_list<int32_t> among) {
  std::vector<int32_t> ways;
  for (const int32_t mechanism : among) {
    sp_call call{};
    sp_result result{};
    call.op = SP_OP_WATCH_CREATE;
    call.u.watch_create = {mechanism, 0};
    Host::Get().CallRaw(&call, &result);
    if (result.error == SP_NOT_SUPPORTED) continue;
    static_cast<void>(Must(Result(call, result)));
    sp_call close{};
    close.op = SP_OP_WATCH_CLOSE;
    close.handle = result.handle;
    Host::Get().CallRaw(&close, &result);
    ways.push_back(mechanism);
  }
  if (ways.empty())
    Host::Get().reporter().NotSupported("readiness", "the provider has none of the ways to wait that this is about");
  return ways;
}
inline std::vector<int32_t> EveryWay() { return Ways({SP_POLL, SP_PPOLL, SP_SELECT, SP_PSELECT, SP_EPOLL}); }
inline std::vector<int32_t> PollWays() { return Ways({SP_POLL, SP_PPOLL}); }
inline std::vector<int32_t> SelectWays() { return Ways({SP_SELECT, SP_PSELECT}); }
// Those that tell errors, hang-ups and the peer's shutdown apart.
inline std::vector<int32_t> EventWays() { return Ways({SP_POLL, SP_PPOLL, SP_EPOLL}); }

}  // namespace sockproof
