// Arguments that are wrong on purpose: what a call must not take.
#include "face/codec_words.h"
#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kBindFamily("argument.bind_family", "bind to an address of another family fails.", "bind.family");
const Rule kBindShort("argument.bind_short", "bind with a length too short for the address fails.", "bind.short_length");
const Rule kBindLength("argument.bind_length", "bind with a negative length fails.", "bind.wrong_length");
const Rule kConnectFamily("argument.connect_family", "connect to an address of another family fails.", "connect.wrong_family");
const Rule kConnectFamilyLocal("argument.connect_family_local", "connect of a local socket to another family fails.",
                               "connect.unix_wrong_family");
const Rule kConnectShort("argument.connect_short", "connect with a length too short for the address fails.",
                         "connect.short_length");
const Rule kConnectLength("argument.connect_length", "connect with a negative length fails.", "connect.impossible_length");
const Rule kConnectNull("argument.connect_null", "connect to no address fails.", "connect.null_address");
const Rule kConnectPointer("argument.connect_pointer", "connect to an address that cannot be read fails.",
                           "connect.invalid_pointer");
const Rule kPortZero("argument.connect_port_zero", "connect to port 0 fails.", "connect.port_zero");
const Rule kAcceptLength("argument.accept_length", "accept with a negative address length fails.", "accept.negative_length");
const Rule kAcceptFlag("argument.accept_flag", "accept4 refuses a flag that it does not know.", "accept.unknown_flag");
const Rule kUnknownGet("argument.get_unknown_option", "Reading an option that nobody knows fails.", "options.unknown_get");
const Rule kUnknownSet("argument.set_unknown_option", "Setting an option that nobody knows fails.", "options.unknown_set");
const Rule kReadOnly("argument.set_read_only", "Setting an option that can only be read fails.", "options.read_only");

bool Internet(int32_t family) { return family == SP_INET || family == SP_INET6; }

struct LengthGiven {
  bool given = false;
  int32_t length = 0;
  std::string_view address;
};

LengthGiven Length(const Operation& call) {
  const std::string_view text = call.arguments.Get("address");
  const std::size_t comma = text.rfind(",length=");
  LengthGiven result;
  if (comma == std::string_view::npos) return result;
  result.given = codec::ReadNumber(text.substr(comma + 8), &result.length);
  result.address = text.substr(0, comma);
  return result;
}

// The least length of an address of the family that can be told apart from a shorter one: sa_family and port alone are not
// enough.
constexpr int32_t kTooShort = 8;

void BindOrConnect(Court& court, const Operation& call, const Socket& socket) {
  const bool binds = call.op == SP_OP_BIND;
  if (socket.phases != kFresh || socket.bound || socket.attempt_begin != 0 || socket.odd || socket.type != SP_STREAM ||
      !Internet(socket.family)) {
    const AddressArgument other = call.In("address");
    if (!binds && socket.phases == kFresh && socket.family == SP_UNIX && other.plain && Internet(other.address.family())) {
      court.Allows(kConnectFamilyLocal, call, NameOf(call));
    }
    return;
  }
  const AddressArgument to = call.In("address");
  if (to.plain) {
    const int32_t family = to.address.family();
    const bool other = (Internet(family) && family != socket.family) || family == SP_UNIX;
    if (other && !(binds && family == SP_UNIX)) court.Allows(binds ? kBindFamily : kConnectFamily, call, NameOf(call));
    if (!other && !binds && Internet(family) && to.address.port() == 0 && IsLoopback(to.address)) {
      court.Allows(kPortZero, call, NameOf(call));
    }
    return;
  }
  const LengthGiven length = Length(call);
  if (!length.given || length.address.substr(0, 4) != "inet") {
    if (binds) return;
    const std::string_view text = length.given ? length.address : call.arguments.Get("address");
    const bool right = !length.given || length.length == (socket.family == SP_INET ? 16 : 28);
    if (text == "null" && right && length.given) court.Allows(kConnectNull, call, NameOf(call));
    if (text == "bad" && right && length.given) court.Allows(kConnectPointer, call, NameOf(call));
    return;
  }
  if (length.length < 0) court.Allows(binds ? kBindLength : kConnectLength, call, NameOf(call));
  if (length.length >= 2 && length.length <= kTooShort) court.Allows(binds ? kBindShort : kConnectShort, call, NameOf(call));
}

void Accept(Court& court, const Operation& call, const Socket& socket) {
  if (socket.phases != kListening || socket.read_shut.Possible() || socket.odd) return;
  const std::string_view peer = call.arguments.Get("peer");
  if (call.ok() && peer.substr(0, 13) == "valid,valid,-") court.Allows(kAcceptLength, call, "ok");
  const uint32_t modes = ModesByName(call.arguments.Get("modes")).value_or(0);
  if ((modes & SP_MODE_UNKNOWN_BIT) != 0 && call.error != SP_EBADF) court.Allows(kAcceptFlag, call, NameOf(call));
}

}  // namespace

void JudgeArguments(Court& court, const Operation& call) {
  const Socket* socket = court.Of(call);
  if (socket == nullptr || !Court::Stable(*socket, call)) return;
  const std::string_view option = call.arguments.Get("option");
  switch (call.op) {
    case SP_OP_BIND:
    case SP_OP_CONNECT:
      return BindOrConnect(court, call, *socket);
    case SP_OP_ACCEPT:
      return Accept(court, call, *socket);
    case SP_OP_GET_OPTION:
      if (option == "UNKNOWN_OPTION" && call.arguments.all().size() == 1) court.Allows(kUnknownGet, call, NameOf(call));
      return;
    case SP_OP_SET_OPTION:
      if (option == "UNKNOWN_OPTION" && call.arguments.all().size() == 2) court.Allows(kUnknownSet, call, NameOf(call));
      if ((option == "SO_TYPE" || option == "SO_ACCEPTCONN") && call.arguments.all().size() == 2) {
        court.Allows(kReadOnly, call, NameOf(call));
      }
      return;
    default:
      return;
  }
}

}  // namespace sockproof::oracle
