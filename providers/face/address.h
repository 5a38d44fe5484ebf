// Addresses as values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "sockproof/provider.h"

namespace sockproof {

class Address {
 public:
  Address() = default;
  explicit Address(const sp_address& raw) : raw_(raw) {}

  static Address Inet(std::array<uint8_t, 4> bytes, uint16_t port);
  static Address Inet6(std::array<uint8_t, 16> bytes, uint16_t port, uint32_t scope = 0);
  static Address ConnData(std::array<uint8_t, 16> bytes, uint16_t port);
  static Address Loopback(int32_t family, uint16_t port = 0);  // SP_INET, SP_INET6 or SP_CONNDATA
  static Address Any(int32_t family, uint16_t port = 0);
  static Address V4Mapped(std::array<uint8_t, 4> bytes, uint16_t port);  // ::ffff:a.b.c.d
  static Address Unix(std::string_view path);                            // a pathname, or an abstract name if it begins with NUL
  static Address Unspecified();                                          // family SP_UNSPEC: dissolves an association

  // "inet:127.0.0.1:80", "inet6:[0:0:0:0:0:0:0:1]:80", "conndata:[0:0:0:0:0:0:0:1]:80", "unix:/path", "unix:\x00abstract",
  // "unix:" (unnamed), "unspec", "family:N" for any other. Parse takes what ToString gives; false on anything else.
  std::string ToString() const;
  static bool Parse(std::string_view text, Address* out);

  int32_t family() const { return raw_.family; }
  uint16_t port() const { return raw_.port; }
  Address WithPort(uint16_t port) const;
  Address WithFamily(int32_t family) const;
  const sp_address& raw() const { return raw_; }
  std::string_view path() const { return {raw_.path, raw_.path_length}; }
  bool IsV4Mapped() const;

  friend bool operator==(const Address& a, const Address& b);
  friend bool operator!=(const Address& a, const Address& b) { return !(a == b); }

 private:
  sp_address raw_{};
};

}  // namespace sockproof
