#include "face/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "face/host.h"

namespace sockproof {
namespace {

std::size_t PageSize() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// Mapping costs more than most calls do, so each thread keeps its last mapping for the next buffer of the same size.
struct Spare {
  uint8_t* base = nullptr;
  std::size_t mapped = 0;
  ~Spare() {
    if (base != nullptr) munmap(base, mapped);
  }
};
thread_local Spare spare;

}  // namespace

GuardedBuffer::GuardedBuffer(std::size_t size) : size_(size) {
  const std::size_t page = PageSize();
  const std::size_t body = std::max(page, (size + page - 1) / page * page);
  mapped_ = body + page;
  if (spare.base != nullptr && spare.mapped == mapped_) {
    base_ = std::exchange(spare.base, nullptr);
  } else {
    void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<uint8_t*>(memory);
    mprotect(base_ + body, page, PROT_NONE);
  }
  data_ = base_ + body - size;
  std::memset(data_, kPoison, size);
}

GuardedBuffer::~GuardedBuffer() {
  if (spare.base != nullptr) munmap(spare.base, spare.mapped);
  spare.base = base_;
  spare.mapped = mapped_;
}

bool GuardedBuffer::CheckUntouchedFrom(std::size_t used, std::string_view call) const {
  for (std::size_t i = used; i < size_; ++i) {
    if (data_[i] == kPoison) continue;
    Host::Get().reporter().ContractBroken(
        "output_within_length",
        fmt::format("{} wrote {:#04x} at byte {} of a buffer of {}, of which it may use {}", call, data_[i], i, size_, used));
    return false;
  }
  return true;
}

}  // namespace sockproof
