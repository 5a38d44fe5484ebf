// Payload whose every byte says where it belongs: a stream is (seed), a piece of it (seed, offset, length).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sockproof {

struct Payload {
  uint64_t seed = 1;
  uint64_t offset = 0;
  uint64_t length = 0;

  uint8_t At(uint64_t index) const;  // the byte at offset + index
  void Fill(uint8_t* out) const;     // writes `length` bytes
  std::vector<uint8_t> Bytes() const;
  // Where `data` first differs from this piece, described: what stands there and, if it can be found nearby, where that
  // belongs (lost, doubled or swapped bytes). Empty when the same.
  std::string Difference(const uint8_t* data, uint64_t size) const;
};

}  // namespace sockproof
