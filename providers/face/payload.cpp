#include "face/payload.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace sockproof {
namespace {

// splitmix64: eight bytes for each block of eight, so that a block is found again wherever it turns up.
uint64_t Block(uint64_t seed, uint64_t number) {
  uint64_t z = seed * 0x9e3779b97f4a7c15u + (number + 1) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint8_t ByteAt(uint64_t seed, uint64_t position) {
  return static_cast<uint8_t>(Block(seed, position / 8) >> (8 * (position % 8)));
}

}  // namespace

uint8_t Payload::At(uint64_t index) const { return ByteAt(seed, offset + index); }

void Payload::Fill(uint8_t* out) const {
  uint64_t position = offset;
  const uint64_t end = offset + length;
  while (position < end && position % 8 != 0) *out++ = ByteAt(seed, position++);
  for (; position + 8 <= end; position += 8, out += 8) {
    const uint64_t block = Block(seed, position / 8);
    for (int i = 0; i < 8; ++i) out[i] = static_cast<uint8_t>(block >> (8 * i));
  }
  while (position < end) *out++ = ByteAt(seed, position++);
}

std::vector<uint8_t> Payload::Bytes() const {
  std::vector<uint8_t> bytes(length);
  Fill(bytes.data());
  return bytes;
}

std::string Payload::Difference(const uint8_t* data, uint64_t size) const {
  Payload expected = *this;
  expected.length = std::min(size, length);
  const std::vector<uint8_t> want = expected.Bytes();
  const auto [found, wanted] = std::mismatch(data, data + expected.length, want.begin());
  if (wanted == want.end()) {
    return size <= length ? std::string{} : fmt::format("{} bytes more than the {} that were sent", size - length, length);
  }
  const uint64_t at = static_cast<uint64_t>(wanted - want.begin());
  std::string text = fmt::format("byte {} of the stream is {:#04x}, not {:#04x}", offset + at, *found, *wanted);
  // Sixteen bytes are enough to say where a piece of the stream comes from.
  constexpr uint64_t kProbe = 16;
  constexpr uint64_t kReach = 1u << 16;
  if (expected.length - at < kProbe) return text;
  const uint64_t from = offset + at > kReach ? offset + at - kReach : 0;
  const std::vector<uint8_t> around = Payload{seed, from, 2 * kReach}.Bytes();
  const auto origin = std::search(around.begin(), around.end(), found, found + kProbe);
  if (origin != around.end()) {
    text += fmt::format("; what stands there belongs at {}", from + static_cast<uint64_t>(origin - around.begin()));
  }
  return text;
}

}  // namespace sockproof
