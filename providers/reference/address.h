// Addresses: those of the C interface, those on the network, and the bytes of a sockaddr, which accept and its like write.
#pragma once

#include <cstdint>
#include <vector>

#include "reference/packet.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

// The lengths of Linux and Windows: sockaddr_in, sockaddr_in6, and the family in front of a path.
constexpr int32_t kInetLength = 16, kInet6Length = 28, kInet6LeastLength = 24, kPathOffset = 2;
constexpr int32_t kConnDataLength = 20;  // family, port, 16 bytes
constexpr int32_t kUnixLength = kPathOffset + SP_PATH_MAX;
constexpr int32_t kLongestAddress = 128;  // sockaddr_storage

// An address argument that could be read: what it says and how long the caller said it is.
struct AddressArgument {
  sp_address address{};
  int32_t length = 0;
};

// Bytes that an address takes in its sockaddr form; `as_argument`: an abstract or full path without the NUL behind it.
int32_t LengthOf(const sp_address& address);
std::vector<uint8_t> Layout(const sp_address& address);

// On the network an IPv4-mapped address is an IPv4 one. Those of SP_CONNDATA have 16 bytes for the caller and IPv4's numbers on
// the network: the last four bytes behind zeros, and ...01 for loopback.
Endpoint ToEndpoint(const sp_address& address);
// As a socket of `family` sees it: for an IPv6 one an IPv4 end is a mapped address.
sp_address ToAddress(const Endpoint& endpoint, int32_t family);
sp_address NoAddress(int32_t family);  // all zero

bool IsAny(const IpAddress& address);
bool IsMapped(const sp_address& address);
bool IsMulticast(const IpAddress& address);
bool IsBroadcast(const IpAddress& address);
bool IsLinkLocal(const IpAddress& address);
IpAddress AnyOf(int32_t family);
IpAddress LoopbackOf(int32_t family);

// Writes an address where accept, getsockname or recvfrom were told to; SP_EFAULT or SP_EINVAL if they were told nonsense.
// `short_is_fault`: a buffer that is too short is SP_EFAULT (Winsock), not an address cut off (POSIX).
int32_t Store(const sp_address& address, bool short_is_fault, sp_address_out* out);
// What is passed in is always reported back as the length, until Store says otherwise.
void Prepare(sp_address_out* out);

}  // namespace sockproof::reference
