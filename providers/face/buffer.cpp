#include "face/buffer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "face/host.h"
#include "face/platform.h"

namespace sockproof {
namespace {

// Mapping costs more than most calls do, so the last mappings are kept for the next buffers of the same size. Not one for each
// thread: where thread-local storage is emulated (MinGW), its memory may be gone before its destructors run.
class Spares {
 public:
  uint8_t* Take(std::size_t body) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Spare& spare : spares_) {
      if (spare.base != nullptr && spare.body == body) return std::exchange(spare.base, nullptr);
    }
    return nullptr;
  }
  void Keep(uint8_t* base, std::size_t body) {
    Spare old{base, body};
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      std::swap(spares_[next_++ % spares_.size()], old);
    }
    if (old.base != nullptr) platform::UnmapBeforeGuard(old.base, old.body);
  }

 private:
  struct Spare {
    uint8_t* base = nullptr;
    std::size_t body = 0;
  };
  std::mutex mutex_;
  std::array<Spare, 8> spares_;
  std::size_t next_ = 0;
};

Spares& TheSpares() {
  static Spares* spares = new Spares;  // outlives every thread
  return *spares;
}

}  // namespace

GuardedBuffer::GuardedBuffer(std::size_t size) : size_(size) {
  const std::size_t page = platform::PageSize();
  mapped_ = std::max(page, (size + page - 1) / page * page);
  base_ = TheSpares().Take(mapped_);
  if (base_ == nullptr) base_ = platform::MapBeforeGuard(mapped_);
  data_ = base_ + mapped_ - size;
  std::memset(data_, kPoison, size);
}

GuardedBuffer::~GuardedBuffer() { TheSpares().Keep(base_, mapped_); }

bool GuardedBuffer::CheckUntouchedFrom(std::size_t used, std::string_view call) const {
  const uint8_t* const end = data_ + size_;
  const uint8_t* touched = data_ + used;
  // Word by word, as most buffers are large and untouched.
  constexpr uint64_t kPoisoned = UINT64_MAX / 0xff * kPoison;
  for (uint64_t word = kPoisoned; end - touched >= 8; touched += 8) {
    std::memcpy(&word, touched, sizeof word);
    if (word != kPoisoned) break;
  }
  touched = std::find_if(touched, end, [](uint8_t byte) { return byte != kPoison; });
  if (touched != end) {
    const auto i = static_cast<std::size_t>(touched - data_);
    Host::Get().reporter().ContractBroken(
        "output_within_length",
        fmt::format("{} wrote {:#04x} at byte {} of a buffer of {}, of which it may use {}", call, data_[i], i, size_, used));
    return false;
  }
  return true;
}

}  // namespace sockproof
