// Scripts by lot: operations that are likely to get somewhere, given those before them, and changes to scripts that are there.
#pragma once

#include <cstdint>

#include "fuzz/grammar.h"

namespace sockproof::fuzz {

// Small, fast, and the same everywhere (splitmix64).
class Lot {
 public:
  explicit Lot(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  std::size_t Below(std::size_t bound) { return static_cast<std::size_t>(Next() % bound); }
  bool OneIn(std::size_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

// What a fuzzer is about: all of it, or data on connections above all.
enum class Bent { kConnection, kData };

Script Generate(Lot* lot, Bent bent, std::size_t length);
// One to a few changes: operations put in, taken out, moved, repeated, chosen otherwise.
void Mutate(Lot* lot, Bent bent, Script* script);
// The beginning of one and the end of the other, or both mixed.
Script CrossOver(Lot* lot, const Script& a, const Script& b);

}  // namespace sockproof::fuzz
