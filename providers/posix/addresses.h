// sockaddr structures and the neutral addresses.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "sockproof/provider.h"

namespace sockproof::posix {

// Constants that stand for 'none that anybody knows': no address family and no socket type has these numbers.
inline constexpr int kNoFamily = 250;
inline constexpr int kNoType = 9;

// The system's number of an enum sp_family and back; -1 where there is none.
int NativeFamily(std::int32_t family);
std::int32_t NeutralFamily(int family);

// The same for enum sp_type.
int NativeType(std::int32_t type);
std::int32_t NeutralType(int type);

// A socket address as it is passed in. The storage is longer than any address, so that a length that is too large on
// purpose does not make the call read past its end at once.
struct NativeAddress {
  alignas(sockaddr_storage) unsigned char bytes[512];
  const sockaddr* pointer;
  socklen_t length;
};

// SP_OK, or SP_NOT_SUPPORTED for an address that cannot be written as a sockaddr. bad is a pointer that faults.
std::int32_t Encode(const sp_address_in& in, void* bad, NativeAddress* out);

// The length of an address without an override.
std::int32_t EncodeAddress(const sp_address& in, NativeAddress* out);

// Decodes an address of which `available` bytes are at raw. False if they do not make up a whole address.
bool Decode(const std::uint8_t* raw, std::size_t available, sp_address* out);

// An address buffer on its way out: the two arguments of accept, getsockname or recvfrom.
class NativeAddressOut {
 public:
  NativeAddressOut(sp_address_out* out, void* bad);
  sockaddr* address() const { return address_; }
  socklen_t* length() const { return length_pointer_; }
  // For calls that take the length by value (recvmsg).
  socklen_t initial_length() const { return initial_; }
  // After the call: what it reported, and the address if all of it is there. failed: nothing was written.
  void Finish(bool failed);
  void FinishWith(bool failed, socklen_t reported);

 private:
  sp_address_out* out_;
  sockaddr* address_ = nullptr;
  socklen_t* length_pointer_ = nullptr;
  socklen_t initial_ = 0;
  socklen_t length_ = 0;
};

}  // namespace sockproof::posix
