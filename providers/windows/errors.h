// Codes of Windows Sockets and the neutral names of the C interface.
//
// Source: Windows Sockets 2, Windows Sockets Error Codes; LPWSPACCEPT and its kin return the same codes through lpErrno.
#pragma once

#include <cstdint>

namespace sockproof::windows {

// The enum sp_error of a code; SP_OK for 0, SP_UNKNOWN_ERROR for one that has no name.
std::int32_t ErrorOf(std::int64_t code);
// The code of an error. What Windows Sockets has no code for becomes the nearest one that it has.
int CodeOf(std::int32_t error);

}  // namespace sockproof::windows
