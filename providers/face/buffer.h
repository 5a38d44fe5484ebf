// Output buffers that end at a guard page and are poisoned, so that a provider that writes too much is caught in the act.
#pragma once

#include <cstdint>
#include <cstddef>
#include <string_view>

namespace sockproof {

class GuardedBuffer {
 public:
  // `size` bytes whose last one lies right before a page that cannot be touched.
  explicit GuardedBuffer(std::size_t size);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }

  // Whether everything from `used` on still is as it was made. Reports a broken contract under `call`'s name if not.
  bool CheckUntouchedFrom(std::size_t used, std::string_view call) const;

  static constexpr uint8_t kPoison = 0xd5;

 private:
  std::size_t size_;
  std::size_t mapped_;
  uint8_t* base_;
  uint8_t* data_;
};

}  // namespace sockproof
