// One call of Windows Sockets, from the arguments that stand ready to the result.
#pragma once

#include <cstdint>

#include "adapter.h"
#include "threads.h"

namespace sockproof::winsock {

inline std::int64_t ValueOf(int returned) { return returned; }
inline std::int64_t ValueOf(SOCKET returned) { return returned == INVALID_SOCKET ? -1 : static_cast<std::int64_t>(returned); }
inline std::int64_t ValueOf(bool succeeded) { return succeeded ? 0 : -1; }

// Calls `call`, which is to be nothing but the call itself: a negative number, INVALID_SOCKET or false is its failure. Returns
// whether it failed.
template <class F>
bool Perform(sp_result* result, F call) {
  std::int64_t returned = 0;
  int error = 0;
  {
    const InCall in_call;
    ::WSASetLastError(0);
    returned = ValueOf(call());
    error = ::WSAGetLastError();
  }
  return Report(result, returned, error);
}

}  // namespace sockproof::winsock
