// The states that the sockets of a trace may be in.
//
// A set of states is kept by its bounds instead of one by one. What only ever becomes true (a direction was shut down, an end
// was closed, a reset was sent, so many bytes were taken) has the moment since when it may hold and the one since when it must:
// a call may take effect at any time between its own begin and end. What a socket is (fresh, a listener, connected, ...) is a
// set of phases. A call is then judged by what may have been at its end and what must have been at its begin, which allows
// every order of calls that overlap, at a cost that does not grow with their number.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oracle/operation.h"

namespace sockproof::oracle {

// Something that becomes true once and stays so.
struct Fact {
  Moment may = kNever;   // since when it may hold
  Moment must = kNever;  // since when it does
  void Begin(Moment at) { may = std::min(may, at); }
  void End(Moment at) {
    Begin(at);
    must = std::min(must, at);
  }
  bool Possible() const { return may != kNever; }  // for the call that ends now
  bool Certain(const Operation& at) const { return must < at.begin; }
};

// Something that calls change. A value counts while no call that overlaps with the one that is judged may have changed it.
template <typename Value>
struct Setting {
  std::optional<Value> value;  // empty: not known
  Moment set = 0;
  int under_way = 0;
  std::optional<Value> For(const Operation& at) const { return under_way == 0 && set <= at.begin ? value : std::nullopt; }
  void Set(std::optional<Value> to, Moment at) {
    value = to;
    set = at;
  }
};

enum Phase : uint32_t {
  kFresh = 1,  // made, perhaps bound
  kListening = 2,
  kConnecting = 4,  // an attempt is under way
  kConnected = 8,
  kFailed = 16,  // an attempt has failed
  kAnyPhase = 31
};

// What one end has sent.
struct Stream {
  struct Piece {
    uint64_t at = 0, length = 0;
    bool known = false;            // what the bytes are
    std::optional<uint64_t> seed;  // face/payload.h
    uint64_t offset = 0;
    std::string bytes;  // without a seed: the first ones
  };
  std::vector<Piece> pieces;
  uint64_t taken = 0;      // by calls that have ended
  uint64_t under_way = 0;  // by calls that have not, as many as they will say
  bool orderly = true;     // two sends at once: nobody knows which bytes come first
  bool urgent = false;     // out-of-band data has a place of its own
};

using Id = int32_t;
constexpr Id kNobody = -1;

// An attempt to connect, as the listener sees it.
struct Attempt {
  Id client = kNobody;
  Moment begin = 0;
  Moment done = kNever;  // since when the client knows that it is connected
};

struct Socket {
  int32_t family = SP_INET;
  int32_t type = SP_STREAM;
  bool unknown = false;  // anything goes
  bool shared = false;   // other processes may have it; when they end is not in the trace
  int handles = 1;
  int under_way = 0;  // calls on it that have not ended

  uint32_t phases = kFresh;
  Moment changed = 0;  // when a call that changes the phase last ended
  int changing = 0;    // such calls that have not ended
  bool pair = false;   // made by socketpair
  bool accepted = false;
  bool stray = false;          // it stands in a queue, and somebody was accepted from there whose name is not known
  bool told_connected = true;  // false: completed behind the caller's back, and no call has said so

  std::optional<Address> local;
  Moment named = 0;
  bool bound = false;  // by its user
  std::optional<Address> peer_name;
  Setting<bool> nonblocking;
  Setting<int64_t> receive_limit, send_limit;  // ns, 0: none
  std::map<int32_t, Setting<int64_t>> options;
  Setting<std::pair<int32_t, int32_t>> linger;
  bool sharing = false;    // an option lets its address be shared
  bool odd = false;        // an option changes how connections come about or are seen
  bool silenced = false;   // nothing reaches it
  int64_t held_until = 0;  // until when an attempt is known not to have come to an end
  bool told = false;       // a call has reported how the connection ended
  Fact aborted;            // closed in a way that resets the connection

  // Listener.
  int64_t least_backlog = 0;
  std::vector<Attempt> queue;
  bool visitors = false;  // somebody who is not in the trace may connect
  uint32_t accepted_count = 0;

  // Connection.
  Id peer = kNobody;
  Id listener = kNobody;  // that the attempt was made to
  Moment attempt_begin = 0, attempt_end = 0;
  Stream out;
  uint64_t read = 0;     // bytes of the peer that were delivered
  uint64_t reading = 0;  // calls under way that take bytes
  bool jumbled = false;  // two receives at once: nobody knows which bytes came first
  Fact read_shut, write_shut;
  Fact closed;
  Fact reset;   // this end has reset the connection, or may have
  Fact broken;  // the connection may have ended by itself: a time-out, an error that a call reported
  bool error_possible = false;
  bool end_seen = false;

  // Readiness that was seen and cannot have gone meanwhile.
  Moment ready = kNever;
  Moment error_seen = kNever;  // the same: an error was reported
  Moment consumed = 0;         // when the last call that may take it away began
  int consuming = 0;
};

struct Watcher {
  int32_t mechanism = SP_POLL;
  struct Entry {
    Id socket = kNobody;
    uint32_t events = 0;
    uint32_t flags = 0;
    uint64_t cookie = 0;
    int64_t handle = 0;     // the one that it was added by
    bool reported = false;  // of a one-shot entry
  };
  std::vector<Entry> entries;
  Moment changed = 0;
  int changing = 0;
  bool unknown = false;
};

// One address however it is written: IPv4 and its IPv4-mapped form are the same.
bool SamePlace(const Address& a, const Address& b);
bool IsWildcard(const Address& address);
bool IsLoopback(const Address& address);

struct Model {
  std::vector<Socket> sockets;
  std::map<std::pair<int, int64_t>, Id> open;        // by process and handle
  std::map<std::pair<int, int64_t>, Moment> closed;  // handles that are open no more
  std::map<std::pair<int, int64_t>, Watcher> watchers;
  std::vector<Id> listeners;  // whatever was one at some time
  bool strangers = false;     // sockets that the trace does not show may be there
  bool impaired = false;      // the network was told to lose or hold something
  bool limited = false;       // handles or memory were made scarce
  bool whole = true;          // the trace has its beginning

  Id Find(int process, int64_t handle) const {
    const auto at = open.find({process, handle});
    return at == open.end() ? kNobody : at->second;
  }
};

}  // namespace sockproof::oracle
