// Addresses as arguments of calls: what goes in, wrong on purpose or not, and what comes out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sockproof/provider.h"
#include "system.h"
#include "windows/addresses.h"

namespace sockproof::winsock {

// A socket address as it is passed in. The storage is longer than any address, so that a length that is too large on
// purpose does not make the call read past its end at once.
struct NativeAddress {
  alignas(sockaddr_storage) unsigned char bytes[512];
  const sockaddr* pointer;
  int length;
};

// SP_OK, or SP_NOT_SUPPORTED for an address that cannot be written as a sockaddr. bad is a pointer that faults.
std::int32_t Encode(const sp_address_in& in, void* bad, NativeAddress* out);

// The same for an address as it is.
std::int32_t EncodeAddress(const sp_address& in, NativeAddress* out);

// An address buffer on its way out: the two arguments of accept, getsockname or recvfrom.
class NativeAddressOut {
 public:
  NativeAddressOut(sp_address_out* out, void* bad);
  sockaddr* address() const { return address_; }
  int* length() const { return length_pointer_; }
  // After the call: what it reported, and the address if all of it is there.
  void Finish(bool failed);

 private:
  sp_address_out* out_;
  sockaddr* address_ = nullptr;
  int* length_pointer_ = nullptr;
  int initial_ = 0;
  int length_ = 0;
};

}  // namespace sockproof::winsock
