// Descriptors of this process: whose they are.
#pragma once

#include <cstdint>
#include <map>

namespace sockproof::posix {

struct Adapter;

// The file behind a descriptor: two of one number that are not the same file were opened one after the other.
struct Identity {
  std::uint64_t device = 0, file = 0;
  bool operator==(const Identity&) const = default;
};

// Every open descriptor, the one used for looking left out.
std::map<int, Identity> OpenDescriptors();

// Takes a descriptor into the adapter's own, which no count speaks of, for as long as it is open.
class OwnDescriptor {
 public:
  OwnDescriptor(Adapter& adapter, int descriptor);
  ~OwnDescriptor();
  OwnDescriptor(const OwnDescriptor&) = delete;
  OwnDescriptor& operator=(const OwnDescriptor&) = delete;
  int get() const { return descriptor_; }
  void Reset(int descriptor);
  // Leaves it open and the adapter's own.
  int Keep();

 private:
  Adapter& adapter_;
  int descriptor_;
};

}  // namespace sockproof::posix
