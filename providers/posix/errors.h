// errno and the neutral error names, translated both ways by one table.
#pragma once

#include <cstdint>

namespace sockproof::posix {

// The enum sp_error for an errno; SP_UNKNOWN_ERROR for one without a name.
std::int32_t ErrorFromErrno(int code);

// The errno of an enum sp_error; -1 for those that this system does not know.
int ErrnoFromError(std::int32_t error);

}  // namespace sockproof::posix
