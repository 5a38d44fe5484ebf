// Memory that may be touched, and memory that may not: what a provider checks pointers with, and what an adapter passes as a
// wrong one.
#pragma once

#include <cstddef>

namespace sockproof::windows {

// Whether all of it can be read, or written, now. An empty range always can.
bool CanRead(const void* data, std::size_t length);
bool CanWrite(void* data, std::size_t length);

// A page that can be neither read nor written, reserved once.
void* BadPage();

}  // namespace sockproof::windows
