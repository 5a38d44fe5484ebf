// sp_address and the sockaddr of Windows Sockets.
#pragma once

#include <winsock2.h>
// after winsock2.h
#include <ws2tcpip.h>

#include <cstdint>

#include "sockproof/provider.h"

namespace sockproof::windows {

// The number of a family, and back: AF_UNSPEC (SP_UNSPEC), AF_INET, AF_INET6, AF_UNIX and the family of connect data below.
// SP_OTHER_FAMILY is one that no protocol of any provider has.
int FamilyNumber(std::int32_t family);
std::int32_t FamilyOf(int number);

// Of a protocol whose connections carry user data there is none on Windows any more. This number, which Windows Sockets gives to
// nobody, stands for the one of the reference provider: a port and 16 bytes, after the family.
constexpr int kConnDataFamily = 0x5350;
struct ConnDataAddress {
  std::uint16_t family;
  std::uint16_t port;  // network byte order
  std::uint8_t bytes[16];
};
// winsock2.h of some tool chains does not have it.
struct UnixAddress {
  std::uint16_t family;
  char path[SP_PATH_MAX];
};

union AnyAddress {
  sockaddr base;
  sockaddr_in inet;
  sockaddr_in6 inet6;
  UnixAddress local;
  ConnDataAddress conndata;
  sockaddr_storage storage;
};

// Lays an address out; returns its length.
int Encode(const sp_address& address, AnyAddress* out);
// False if `length` bytes are not a whole address of a family that is known.
bool Decode(const void* data, int length, sp_address* out);
// The length of an address of this family; of AF_UNIX the least one.
int LengthOf(std::int32_t family);

}  // namespace sockproof::windows
