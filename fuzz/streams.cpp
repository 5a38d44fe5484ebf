#include "fuzz/streams.h"

#include <algorithm>

#include <fmt/format.h>

#include "face/payload.h"

namespace sockproof::fuzz {
namespace {

constexpr std::size_t kCompared = 4096;  // at either end of what was received
constexpr std::size_t kWindow = 8;       // that many bytes say where they belong

}  // namespace

Streams::End Streams::Open(bool messages) {
  ends_.emplace_back();
  ends_.back().messages = messages;
  return ends_.size() - 1;
}

void Streams::Took(End end, uint64_t count) {
  if (ends_[end].messages) ends_[end].starts.push_back(ends_[end].sent);
  ends_[end].sent += count;
}

bool Streams::Matches(End sender, uint64_t offset, const uint8_t* data, std::size_t size) const {
  const One& from = ends_[sender];
  if (from.blurred) return true;
  if (from.messages || offset + size > from.sent) return false;
  const std::size_t first = std::min(size, kCompared);
  if (!Payload{Seed(sender), offset, first}.Difference(data, first).empty()) return false;
  const std::size_t last = std::min(size - first, kCompared);
  return Payload{Seed(sender), offset + size - last, last}.Difference(data + size - last, last).empty();
}

std::optional<std::string> Streams::Got(End end, const uint8_t* data, std::size_t size, bool peek, std::string* detail) {
  One& one = ends_[end];
  if (size == 0) return std::nullopt;
  if (one.messages) return GotMessage(end, data, size, detail);
  const uint64_t offset = one.received;
  if (!peek) one.received += size;
  if (one.forgiven) return std::nullopt;
  if (!one.candidates) {
    one.candidates.emplace();
    // Itself, too: a socket can be connected to its own address.
    for (End other = 0; other < ends_.size(); ++other) one.candidates->insert(other);
  }
  std::set<End> left;
  for (const End other : *one.candidates) {
    if (Matches(other, offset, data, size)) left.insert(other);
  }
  if (!left.empty()) {
    one.candidates = std::move(left);
    return std::nullopt;
  }
  const std::string what = Name(offset, *one.candidates, data, size, detail);
  one.forgiven = true;  // one cause is told once
  return what;
}

std::string Streams::Name(uint64_t offset, const std::set<End>& before, const uint8_t* data, std::size_t size,
                          std::string* detail) const {
  // The one that had come farthest.
  std::size_t best = 0;
  End sender = *before.begin();
  for (const End other : before) {
    const std::size_t most = std::min<std::size_t>(size, ends_[other].sent > offset ? ends_[other].sent - offset : 0);
    std::size_t same = 0;
    const Payload whole{Seed(other), offset, most};
    while (same < most && data[same] == whole.At(same)) ++same;
    if (same > best || before.size() == 1) best = same, sender = other;
  }
  const uint64_t at = offset + best;
  if (before.size() == 1 && at >= ends_[sender].sent) {
    *detail = fmt::format("byte {} of a stream of {}", at, ends_[sender].sent);
    return "more";
  }
  const std::size_t window = std::min(kWindow, size - best);
  *detail = fmt::format("byte {} of stream {}", at, Seed(sender));
  if (window < kWindow) return "corrupt";
  for (End other = 0; other < ends_.size(); ++other) {
    if (ends_[other].sent < kWindow) continue;
    const std::vector<uint8_t> bytes = Payload{Seed(other), 0, std::min<uint64_t>(ends_[other].sent, 1u << 17)}.Bytes();
    const auto found = std::search(bytes.begin(), bytes.end(), data + best, data + best + window);
    if (found == bytes.end()) continue;
    const auto belongs = static_cast<uint64_t>(found - bytes.begin());
    *detail += fmt::format("; what stands there is byte {} of stream {}", belongs, Seed(other));
    return other != sender ? "mixed" : belongs > at ? "lost" : "doubled";
  }
  return "corrupt";
}

std::optional<std::string> Streams::GotMessage(End end, const uint8_t* data, std::size_t size, std::string* detail) const {
  for (End other = 0; other < ends_.size(); ++other) {
    const One& from = ends_[other];
    if (from.blurred) return std::nullopt;
    for (const uint64_t start : from.starts) {
      if (start + size > from.sent) continue;
      if (Payload{Seed(other), start, size}.Difference(data, size).empty()) return std::nullopt;
    }
  }
  *detail = fmt::format("{} bytes that no message begins with, at end {}", size, end);
  return "corrupt_message";
}

std::optional<Streams::End> Streams::PeerOf(End end) const {
  const auto& candidates = ends_[end].candidates;
  if (!candidates || candidates->size() != 1 || ends_[*candidates->begin()].blurred) return std::nullopt;
  return *candidates->begin();
}

}  // namespace sockproof::fuzz
