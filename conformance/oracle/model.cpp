#include "oracle/model.h"

#include <cstring>

namespace sockproof::oracle {
namespace {

struct Place {
  int32_t family;
  std::array<uint8_t, 16> bytes;
};

Place Normal(const Address& address) {
  const sp_address& raw = address.raw();
  Place place{raw.family, {}};
  if (raw.family == SP_INET) {
    place.family = SP_INET6;
    place.bytes[10] = place.bytes[11] = 0xff;
    std::copy_n(raw.bytes, 4, place.bytes.begin() + 12);
  } else {
    std::copy_n(raw.bytes, 16, place.bytes.begin());
  }
  return place;
}

}  // namespace

bool SamePlace(const Address& a, const Address& b) {
  if (a.family() == SP_UNIX || b.family() == SP_UNIX) {
    return a.family() == b.family() && a.path() == b.path();
  }
  const Place x = Normal(a), y = Normal(b);
  return x.family == y.family && x.bytes == y.bytes && a.port() == b.port();
}

bool IsWildcard(const Address& address) {
  const sp_address& raw = address.raw();
  if (raw.family == SP_INET) return std::all_of(raw.bytes, raw.bytes + 4, [](uint8_t byte) { return byte == 0; });
  return raw.family != SP_UNIX && std::all_of(raw.bytes, raw.bytes + 16, [](uint8_t byte) { return byte == 0; });
}

bool IsLoopback(const Address& address) {
  const Place place = Normal(address);
  if (address.family() == SP_UNIX) return true;
  if (address.family() == SP_INET || address.IsV4Mapped()) return place.bytes[12] == 127;
  return std::all_of(place.bytes.begin(), place.bytes.begin() + 15, [](uint8_t byte) { return byte == 0; }) &&
         place.bytes[15] == 1;
}

}  // namespace sockproof::oracle
