// The bytes of a connection: what was written and is not acknowledged, what was received and not read, and what was received
// out of order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include "reference/tcp/sequence.h"

namespace sockproof::reference {

// A queue of bytes that can be read from any place.
class ByteQueue {
 public:
  std::size_t Size() const { return bytes_.size() - begin_; }
  bool Empty() const { return Size() == 0; }
  const uint8_t* At(std::size_t offset) const { return bytes_.data() + begin_ + offset; }

  void Append(const uint8_t* data, std::size_t size) { bytes_.insert(bytes_.end(), data, data + size); }
  void Drop(std::size_t size) {
    begin_ += size;
    // Moves what is left to the front once that is the smaller part, so that a byte is moved once on average.
    if (begin_ > bytes_.size() / 2) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
    }
  }
  void Clear() {
    bytes_.clear();
    begin_ = 0;
  }

 private:
  std::vector<uint8_t> bytes_;
  std::size_t begin_ = 0;
};

// Pieces that arrived before their turn, by the sequence number of their first byte. They may overlap.
class Reassembly {
 public:
  bool Empty() const { return pieces_.empty(); }
  void Insert(uint32_t sequence, const uint8_t* data, std::size_t size) {
    std::vector<uint8_t>& piece = pieces_[sequence];
    if (piece.size() < size) piece.assign(data, data + size);
  }
  // Hands over what begins at `*next` or before, and moves `*next` behind it. False: nothing does.
  template <typename Take>
  bool TakeFrom(uint32_t* next, Take take) {
    if (pieces_.empty() || SeqLess(*next, pieces_.begin()->first)) return false;
    const auto first = pieces_.begin();
    const std::size_t known = *next - first->first;
    if (known < first->second.size()) {
      const std::size_t size = first->second.size() - known;
      take(first->second.data() + known, size);
      *next += static_cast<uint32_t>(size);
    }
    pieces_.erase(first);
    return true;
  }
  void Clear() { pieces_.clear(); }

 private:
  // An order, since everything in here lies within one window.
  struct Earlier {
    bool operator()(uint32_t a, uint32_t b) const { return SeqLess(a, b); }
  };
  std::map<uint32_t, std::vector<uint8_t>, Earlier> pieces_;
};

}  // namespace sockproof::reference
