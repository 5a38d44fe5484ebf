// The operations that fuzzers make, as bytes and as text.
//
// An operation is eight bytes: its kind and up to seven choices, each from a short list of values that are worth trying. So
// whatever bytes there are mean something, an operation is put in, taken out or moved without harm to its neighbours, and what
// was chosen stands in the text by its value:
//
//     s0 = socket flavor=inet
//     bind s0 at=any_port
//     listen s0 backlog=2
//     s1 = socket flavor=inet
//     connect s1 to=s0
//     s2 = accept s0 peer=whole form=0
//
// s0 to s7 and w0 to w1 are places that hold a socket or a watcher. The text is read back by Parse; `# ...` is a remark.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sockproof::fuzz {

constexpr int kSockets = 8;   // places for sockets
constexpr int kWatchers = 2;  // and for watchers
constexpr std::size_t kChoices = 7;
constexpr std::size_t kOpSize = 1 + kChoices;  // bytes
constexpr std::size_t kMostOps = 96;           // of a script; what follows is not read

enum class Kind : uint8_t {
  kSocket,
  kPair,
  kBind,
  kListen,
  kConnect,
  kAccept,
  kSend,
  kRecv,
  kShutdown,
  kClose,
  kSet,
  kGet,
  kIoctl,
  kLocalName,
  kPeerName,
  kMode,
  kDuplicate,
  kReady,
  kWatchCreate,
  kWatchAdd,
  kWatchModify,
  kWatchRemove,
  kWatchWait,
  kWatchClose,
  kClock,
  kImpair,
  kSilence,
  kCount
};

// One value that a choice may take: how it is written, and what it stands for.
struct Value {
  const char* text;
  int64_t number;
  int64_t more = 0;
};

struct Domain {
  const Value* values;
  std::size_t count;
};

// What one of an operation's choices is about. A key that is empty is the place the operation is made on, or that it fills.
struct Field {
  const char* key;
  const Domain* domain;
};

struct Form {
  const char* name;
  bool makes;       // the first choice is the place that it fills, written before an equals sign
  bool on_a_place;  // the next one is the place that it is made on
  std::vector<Field> fields;
};

struct Op {
  Kind kind = Kind::kSocket;
  std::array<uint8_t, kChoices> choice{};

  const Value& Of(std::size_t field) const;
  int64_t Number(std::size_t field) const { return Of(field).number; }
  friend bool operator==(const Op& a, const Op& b) { return a.kind == b.kind && a.choice == b.choice; }
};

using Script = std::vector<Op>;

const Form& FormOf(Kind kind);

// Any bytes are a script; what does not fill an operation is left out. Encode is the other way.
Script Decode(const uint8_t* data, std::size_t size);
std::vector<uint8_t> Encode(const Script& script);

std::string Print(const Op& op);
std::string Print(const Script& script);  // a line each
// False, with the line that is wrong and why, when the text is no script.
bool Parse(std::string_view text, Script* out, std::string* why);

// The words of the grammar, for a fuzzer that knows nothing of it: a line each, as libFuzzer's dictionaries are.
std::string Dictionary();

// Sockets that a script can make: what family and type, by the value of a `flavor`.
enum FlavorNumber : int64_t { kInet, kInet6, kUnix, kSeqpacket, kUdp, kUdp6, kUnixDatagram, kDual, kConnData };

}  // namespace sockproof::fuzz
