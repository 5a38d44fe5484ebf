// Where every byte belongs. What an end sends says by itself which end sent it and at which place of its stream (face/payload.h),
// so that of whatever is received it can be told whose it is, and what was lost, doubled, swapped or mixed on the way.
//
// Who is at the other end of a connection is not asked: it is whoever's bytes come out. Every end that has sent something is a
// candidate until a byte says otherwise; with none left, a byte came from nowhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sockproof::fuzz {

class Streams {
 public:
  using End = std::size_t;

  // A new end: its stream's seed is its number and 1.
  End Open(bool messages);
  uint64_t Seed(End end) const { return end + 1; }
  uint64_t Sent(End end) const { return ends_[end].sent; }

  // `count` bytes from Sent() on were taken; with `urgent`, or after a call that may have taken part of what it was not asked
  // for, nothing can be said of that stream any more.
  void Took(End end, uint64_t count);
  void Blur(End end) { ends_[end].blurred = true; }
  // What comes out there may have gaps from now on (shut down for reading).
  void Forgive(End end) { ends_[end].forgiven = true; }

  // What is wrong with bytes that were received, or nothing: a word ("lost", "doubled", "mixed", "corrupt", "more"), and in
  // `detail` a sentence.
  std::optional<std::string> Got(End end, const uint8_t* data, std::size_t size, bool peek, std::string* detail);
  // Bytes that were taken away without being shown.
  void Skipped(End end, uint64_t count) { ends_[end].received += count; }
  // The end whose bytes come out there, once that is certain, and how many of them have.
  std::optional<End> PeerOf(End end) const;
  uint64_t Received(End end) const { return ends_[end].received; }
  bool Sure(End end) const { return !ends_[end].blurred && !ends_[end].forgiven && !ends_[end].messages; }

 private:
  struct One {
    bool messages = false;  // datagrams: each begins anew
    bool blurred = false, forgiven = false;
    uint64_t sent = 0, received = 0;
    std::vector<uint64_t> starts;  // of messages
    std::optional<std::set<End>> candidates;
  };
  bool Matches(End sender, uint64_t offset, const uint8_t* data, std::size_t size) const;
  std::string Name(uint64_t offset, const std::set<End>& before, const uint8_t* data, std::size_t size,
                   std::string* detail) const;
  std::optional<std::string> GotMessage(End end, const uint8_t* data, std::size_t size, std::string* detail) const;

  std::vector<One> ends_;
};

}  // namespace sockproof::fuzz
