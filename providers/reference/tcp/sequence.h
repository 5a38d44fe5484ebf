// Arithmetic of the sequence space: modulo 2^32 (RFC 9293 3.4). Only meaningful for numbers less than 2^31 apart.
#pragma once

#include <cstdint>

namespace sockproof::reference {

constexpr bool SeqLess(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }
constexpr bool SeqLessEqual(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) <= 0; }
constexpr uint32_t SeqMax(uint32_t a, uint32_t b) { return SeqLess(a, b) ? b : a; }

}  // namespace sockproof::reference
