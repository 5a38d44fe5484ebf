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

// So that its bytes lie in memory with the lowest first.
uint64_t InOrder(uint64_t block) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return __builtin_bswap64(block);
#else
  return block;
#endif
}

uint8_t ByteAt(uint64_t seed, uint64_t position) {
  return static_cast<uint8_t>(Block(seed, position / 8) >> (8 * (position % 8)));
}

// Where `data` first differs from `piece`; its length if nowhere.
uint64_t FirstDifference(const Payload& piece, const uint8_t* data) {
  uint64_t at = 0;
  const auto differs = [&] { return data[at] != piece.At(at); };
  for (; at < piece.length && (piece.offset + at) % 8 != 0; ++at) {
    if (differs()) return at;
  }
  for (; at + 8 <= piece.length; at += 8) {
    const uint64_t block = InOrder(Block(piece.seed, (piece.offset + at) / 8));
    if (std::memcmp(data + at, &block, sizeof block) != 0) break;
  }
  while (at < piece.length && !differs()) ++at;
  return at;
}

}  // namespace

uint8_t Payload::At(uint64_t index) const { return ByteAt(seed, offset + index); }

void Payload::Fill(uint8_t* out) const {
  uint64_t position = offset;
  const uint64_t end = offset + length;
  while (position < end && position % 8 != 0) *out++ = ByteAt(seed, position++);
  for (; position + 8 <= end; position += 8, out += 8) {
    const uint64_t block = InOrder(Block(seed, position / 8));
    std::memcpy(out, &block, sizeof block);
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
  const uint64_t at = FirstDifference(expected, data);
  if (at == expected.length) {
    return size <= length ? std::string{} : fmt::format("{} bytes more than the {} that were sent", size - length, length);
  }
  const uint8_t* const found = data + at;
  std::string text = fmt::format("byte {} of the stream is {:#04x}, not {:#04x}", offset + at, *found, At(at));
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
