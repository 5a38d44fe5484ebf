// One call of the C library, from the arguments that stand ready to the result.
#pragma once

#include <cerrno>
#include <cstdint>

#include "adapter.h"
#include "threads.h"

namespace sockproof::posix {

// Calls `call`, which is to be nothing but the call itself. Returns whether it failed.
template <class F>
bool Perform(sp_result* result, F call) {
  std::int64_t returned = 0;
  int error = 0;
  {
    const InCall in_call;
    errno = 0;
    returned = static_cast<std::int64_t>(call());
    error = errno;
  }
  return Report(result, returned, error);
}

}  // namespace sockproof::posix
