#include "face/address.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

namespace sockproof {
namespace {

// The suite prints and reads addresses itself: inet_pton belongs to the host, and the host may be what is under test.
std::string Inet6Text(const uint8_t* bytes) {
  std::string text;
  for (int i = 0; i < 8; ++i) {
    if (i > 0) text += ':';
    text += fmt::format("{:x}", (bytes[2 * i] << 8) | bytes[2 * i + 1]);
  }
  return text;
}

template <typename Number>
bool Read(std::string_view text, Number* out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out, base);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

bool ReadGroups(std::string_view text, char separator, int base, uint32_t limit, std::size_t count, uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t end = i + 1 == count ? text.size() : text.find(separator);
    if (end == std::string_view::npos || !Read(text.substr(0, end), &out[i], base) || out[i] > limit) return false;
    text = end < text.size() ? text.substr(end + 1) : std::string_view{};
  }
  return true;
}

}  // namespace

Address Address::Inet(std::array<uint8_t, 4> bytes, uint16_t port) {
  Address address;
  address.raw_.family = SP_INET;
  address.raw_.port = port;
  std::copy(bytes.begin(), bytes.end(), address.raw_.bytes);
  return address;
}

Address Address::Inet6(std::array<uint8_t, 16> bytes, uint16_t port, uint32_t scope) {
  Address address;
  address.raw_.family = SP_INET6;
  address.raw_.port = port;
  address.raw_.scope = scope;
  std::copy(bytes.begin(), bytes.end(), address.raw_.bytes);
  return address;
}

Address Address::ConnData(std::array<uint8_t, 16> bytes, uint16_t port) { return Inet6(bytes, port).WithFamily(SP_CONNDATA); }

Address Address::Loopback(int32_t family, uint16_t port) {
  if (family == SP_CONNDATA) return ConnData({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port);
  if (family == SP_INET6) return Inet6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port);
  return Inet({127, 0, 0, 1}, port);
}

Address Address::Any(int32_t family, uint16_t port) {
  if (family == SP_CONNDATA) return ConnData({}, port);
  if (family == SP_INET6) return Inet6({}, port);
  return Inet({}, port);
}

Address Address::V4Mapped(std::array<uint8_t, 4> b, uint16_t port) {
  return Inet6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, b[0], b[1], b[2], b[3]}, port);
}

Address Address::Unix(std::string_view path) {
  Address address;
  address.raw_.family = SP_UNIX;
  address.raw_.path_length = static_cast<uint16_t>(std::min<std::size_t>(path.size(), SP_PATH_MAX));
  std::copy_n(path.begin(), address.raw_.path_length, address.raw_.path);
  return address;
}

Address Address::Unspecified() { return Address{}; }

Address Address::WithPort(uint16_t port) const {
  Address copy = *this;
  copy.raw_.port = port;
  return copy;
}

Address Address::WithFamily(int32_t family) const {
  Address copy = *this;
  copy.raw_.family = family;
  return copy;
}

bool Address::IsV4Mapped() const {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return raw_.family == SP_INET6 && std::equal(std::begin(kPrefix), std::end(kPrefix), raw_.bytes);
}

std::string Address::ToString() const {
  switch (raw_.family) {
    case SP_INET:
      return fmt::format("inet:{}.{}.{}.{}:{}", raw_.bytes[0], raw_.bytes[1], raw_.bytes[2], raw_.bytes[3], raw_.port);
    case SP_INET6:
      return raw_.scope == 0 ? fmt::format("inet6:[{}]:{}", Inet6Text(raw_.bytes), raw_.port)
                             : fmt::format("inet6:[{}%{}]:{}", Inet6Text(raw_.bytes), raw_.scope, raw_.port);
    case SP_CONNDATA:
      return fmt::format("conndata:[{}]:{}", Inet6Text(raw_.bytes), raw_.port);
    case SP_UNIX: {
      // Bytes that would break the line, or the words of a line, are escaped.
      std::string text = "unix:";
      for (const char c : path()) {
        if (c > ' ' && c < 127 && c != '\\') {
          text += c;
        } else {
          text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
      }
      return text;
    }
    case SP_UNSPEC:
      return "unspec";
    default:
      return fmt::format("family:{}", raw_.family);
  }
}

bool Address::Parse(std::string_view text, Address* out) {
  if (text.substr(0, 10) == "conndata:[") {  // as IPv6, but for the scope
    const std::string inet6 = "inet6:" + std::string(text.substr(9));
    if (inet6.find('%') != std::string::npos || !Parse(inet6, out)) return false;
    out->raw_.family = SP_CONNDATA;
    return true;
  }
  if (text == "unspec") {
    *out = Unspecified();
    return true;
  }
  if (text.substr(0, 7) == "family:") {
    *out = Address{};
    return Read(text.substr(7), &out->raw_.family);
  }
  if (text.substr(0, 5) == "inet:") {
    text.remove_prefix(5);
    const std::size_t colon = text.find(':');
    uint32_t group[4];
    uint16_t port = 0;
    if (colon == std::string_view::npos || !ReadGroups(text.substr(0, colon), '.', 10, 255, 4, group)) return false;
    if (!Read(text.substr(colon + 1), &port)) return false;
    *out = Inet({static_cast<uint8_t>(group[0]), static_cast<uint8_t>(group[1]), static_cast<uint8_t>(group[2]),
                 static_cast<uint8_t>(group[3])},
                port);
    return true;
  }
  if (text.substr(0, 7) == "inet6:[") {
    text.remove_prefix(7);
    const std::size_t close = text.find("]:");
    if (close == std::string_view::npos) return false;
    std::string_view host = text.substr(0, close);
    uint32_t scope = 0;
    uint16_t port = 0;
    if (const std::size_t percent = host.find('%'); percent != std::string_view::npos) {
      if (!Read(host.substr(percent + 1), &scope)) return false;
      host = host.substr(0, percent);
    }
    uint32_t group[8];
    if (!ReadGroups(host, ':', 16, 0xffff, 8, group) || !Read(text.substr(close + 2), &port)) return false;
    std::array<uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < 8; ++i) {
      bytes[2 * i] = static_cast<uint8_t>(group[i] >> 8);
      bytes[2 * i + 1] = static_cast<uint8_t>(group[i] & 0xff);
    }
    *out = Inet6(bytes, port, scope);
    return true;
  }
  if (text.substr(0, 5) == "unix:") {
    text.remove_prefix(5);
    std::string path;
    while (!text.empty()) {
      if (text.size() >= 4 && text[0] == '\\' && text[1] == 'x') {
        unsigned value = 0;
        if (!Read(text.substr(2, 2), &value, 16)) return false;
        path += static_cast<char>(value);
        text.remove_prefix(4);
      } else {
        path += text[0];
        text.remove_prefix(1);
      }
    }
    if (path.size() > SP_PATH_MAX) return false;
    *out = Unix(path);
    return true;
  }
  return false;
}

bool operator==(const Address& a, const Address& b) {
  if (a.raw_.family != b.raw_.family) return false;
  switch (a.raw_.family) {
    case SP_INET:
      return a.raw_.port == b.raw_.port && std::equal(a.raw_.bytes, a.raw_.bytes + 4, b.raw_.bytes);
    case SP_INET6:
      return a.raw_.port == b.raw_.port && a.raw_.scope == b.raw_.scope &&
             std::equal(a.raw_.bytes, a.raw_.bytes + 16, b.raw_.bytes);
    case SP_CONNDATA:
      return a.raw_.port == b.raw_.port && std::equal(a.raw_.bytes, a.raw_.bytes + 16, b.raw_.bytes);
    case SP_UNIX:
      return a.path() == b.path();
    default:
      return true;
  }
}

}  // namespace sockproof
