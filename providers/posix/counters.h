// Descriptors of this process: whose they are.
#pragma once

#include <map>
#include <string>

namespace sockproof::posix {

struct Adapter;

// Every open descriptor with what it is ("socket:[123]"), the one used for looking left out.
std::map<int, std::string> OpenDescriptors();

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
