// The numbers behind the words of the grammar that stand for addresses. See grammar.h.
#pragma once

#include <cstdint>

namespace sockproof::fuzz {

// Where to bind, connect or send to, in the family of the socket.
enum Place : int64_t {
  kAnyPort,   // loopback, a port that the system chooses; a fresh path
  kWildcard,  // the same, every address
  kPort1,     // loopback, always the same port; a path that is always the same
  kPort2,
  kWildcardPort1,
  kOfPlace,  // the address of the socket in that place, or that was there last
  kForeign,  // no address of this host
  kOtherFamily,
  kUnspec,
  kNull,    // a null pointer
  kBad,     // one that cannot be read
  kShort,   // two bytes
  kEmpty,   // none
  kLong,    // more than an address has
  kNobody,  // a port that nobody listens on
  kHole     // an address that swallows everything
};

// Where an address goes that comes out of a call.
enum PeerRoom : int64_t { kNoPeer, kWholePeer, kCutPeer, kBadPeer, kNoLengthPeer };

}  // namespace sockproof::fuzz
