// The fuzzer `data`. See docs/fuzzing.md.
#include "fuzz/campaign.h"

namespace {
constexpr sockproof::fuzz::Bent kBent = sockproof::fuzz::Bent::kData;
sockproof::fuzz::Hunt& TheHunt() {
  static auto* hunt = new sockproof::fuzz::Hunt;  // outlives everything
  return *hunt;
}
}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char*** argv) {
  TheHunt().Start((*argv)[0]);
  return 0;
}
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  TheHunt().One(data, size, kBent);
  return 0;
}
extern "C" std::size_t LLVMFuzzerCustomMutator(uint8_t* data, std::size_t size, std::size_t room, unsigned seed) {
  return sockproof::fuzz::MutateBytes(data, size, room, seed, kBent);
}
extern "C" std::size_t LLVMFuzzerCustomCrossOver(const uint8_t* a, std::size_t a_size, const uint8_t* b, std::size_t b_size,
                                                 uint8_t* out, std::size_t room, unsigned seed) {
  return sockproof::fuzz::CrossOverBytes(a, a_size, b, b_size, out, room, seed);
}
