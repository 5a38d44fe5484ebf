#include "face/trace.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <fmt/format.h>

#include "face/flavor.h"
#include "face/host.h"
#include "face/platform.h"
#include "face/sameness.h"
#include "face/time.h"

namespace sockproof {
namespace {

constexpr std::size_t kCapacity = 1u << 18;
constexpr std::size_t kHeaderSize = 64;
thread_local int thread_index = 0;

// FNV-1a, 64 bits: it tells two traces apart, and nobody means to deceive it.
struct Digest {
  std::mutex mutex;
  uint64_t value = 0xcbf29ce484222325u;

  void Add(std::string_view line) {
    const std::string& directory = ScratchDirectory();
    const std::lock_guard<std::mutex> lock(mutex);
    for (std::size_t at = line.find(directory); at != std::string_view::npos; at = line.find(directory)) {
      Bytes(line.substr(0, at));
      Bytes("~");
      line.remove_prefix(at + directory.size());
    }
    Bytes(line);
  }

 private:
  void Bytes(std::string_view bytes) {
    for (const char byte : bytes) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  }
};
Digest& TheDigest() {
  static Digest digest;
  return digest;
}

}  // namespace

struct Trace::Header {
  char mark[8];
  std::atomic<uint64_t> written;
  uint64_t capacity;
  std::atomic<uint64_t> operations;
  int64_t started_ns;
  std::atomic<uint64_t> lines;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "processes share the counters through memory");

int ThreadIndex() { return thread_index; }
void SetThreadIndex(int index) { thread_index = index; }

Trace& Trace::Get() {
  static Trace trace;
  return trace;
}

void Trace::Open(bool join) {
  static_assert(sizeof(Header) <= kHeaderSize);
  void* memory = nullptr;
  if (const char* path = std::getenv("SOCKPROOF_TRACE_FILE"); path != nullptr && *path != '\0') {
    memory = platform::MapShared(path, kHeaderSize + kCapacity);
  }
  shared_ = memory != nullptr;
  // Shared even without a file: the other processes of a scenario write into the same ring.
  if (!shared_) memory = platform::MapShared(nullptr, kHeaderSize + kCapacity);
  if (memory == nullptr) return;
  bytes_ = static_cast<char*>(memory) + kHeaderSize;
  const Header* there = static_cast<const Header*>(memory);
  if (join && shared_ && std::memcmp(there->mark, "SPTRACE1", sizeof there->mark) == 0 && there->capacity == kCapacity) {
    header_ = static_cast<Header*>(memory);
    return;
  }
  header_ = new (memory) Header{};
  header_->capacity = kCapacity;
  header_->started_ns = HostNow();
  std::memcpy(header_->mark, "SPTRACE1", sizeof header_->mark);
}

uint64_t Trace::Begin(std::string_view call) {
  const uint64_t operation = header_ != nullptr ? ++header_->operations : 0;
  Append(operation, '>', call);
  return operation;
}

void Trace::End(uint64_t operation, std::string_view result) { Append(operation, '<', result); }

void Trace::Note(std::string_view text) { Append(header_ != nullptr ? ++header_->operations : 0, '=', text); }

void Trace::Append(uint64_t operation, char mark, std::string_view text) {
  if (header_ == nullptr) return;
  // A virtual clock's own times: runs of one seed then have the same trace.
  const bool same_each_time = Host::Get().HasVirtualClock();
  const int64_t now = same_each_time ? Now() : HostNow() - header_->started_ns;
  const std::string line = fmt::format("{:06} {:.6f} p{} t{} {} {}\n", operation, static_cast<double>(now) * 1e-9, ProcessTag(),
                                       ThreadIndex(), mark, text);
  if (same_each_time) TheDigest().Add(line);
  if (line.size() > kCapacity) return;
  // Reserve first, write then: threads and processes write side by side, each into its own place.
  header_->lines.fetch_add(1);
  const uint64_t at = header_->written.fetch_add(line.size());
  const std::size_t from = static_cast<std::size_t>(at % kCapacity);
  const std::size_t first = std::min(line.size(), kCapacity - from);
  std::memcpy(bytes_ + from, line.data(), first);
  std::memcpy(bytes_, line.data() + first, line.size() - first);
}

uint64_t Trace::LinesWritten() const { return header_ != nullptr ? header_->lines.load() : 0; }

std::vector<std::string> Trace::Tail(std::size_t lines) const {
  if (header_ == nullptr) return {};
  const uint64_t written = header_->written.load();
  const uint64_t size = std::min<uint64_t>(written, kCapacity);
  std::string text;
  const std::size_t from = static_cast<std::size_t>((written - size) % kCapacity);
  const std::size_t first = std::min(static_cast<std::size_t>(size), kCapacity - from);
  text.assign(bytes_ + from, first);
  text.append(bytes_, static_cast<std::size_t>(size) - first);
  std::vector<std::string> all;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string::npos) break;
    all.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  if (size < written && !all.empty()) all.erase(all.begin());  // the oldest one is torn
  if (all.size() > lines) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(lines));
  return all;
}

std::string TraceDigest() {
  if (!Host::Get().HasVirtualClock()) return {};
  Digest& digest = TheDigest();
  const std::lock_guard<std::mutex> lock(digest.mutex);
  return fmt::format("{:016x}", digest.value);
}

}  // namespace sockproof
