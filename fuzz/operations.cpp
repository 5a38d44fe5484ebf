// One operation each: what its words mean on a provider.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "face/codec.h"
#include "face/platform.h"
#include "fuzz/world.h"

namespace sockproof::fuzz {
namespace {

struct FlavorFacts {
  int32_t family, type;
};
FlavorFacts FactsOf(int64_t flavor) {
  switch (flavor) {
    case kInet6:
    case kDual:
      return {SP_INET6, SP_STREAM};
    case kUnix:
      return {SP_UNIX, SP_STREAM};
    case kSeqpacket:
      return {SP_UNIX, SP_SEQPACKET};
    case kUdp:
      return {SP_INET, SP_DATAGRAM};
    case kUdp6:
      return {SP_INET6, SP_DATAGRAM};
    case kUnixDatagram:
      return {SP_UNIX, SP_DATAGRAM};
    case kConnData:
      return {SP_CONNDATA, SP_STREAM};
    default:
      return {SP_INET, SP_STREAM};
  }
}

bool Messages(int64_t flavor) { return FactsOf(flavor).type != SP_STREAM; }

// Not among the ephemeral ports of any system.
constexpr uint16_t kPorts[] = {7001, 7002};
constexpr uint16_t kDeadPort = 7009;

// A folder of this process's own; where sockets live in a file system there will be some in it.
const std::string& Folder() {
  static const std::string folder = [] {
    bool made = false;
    const std::string path = platform::MakeScratchDirectory(&made);
    if (made) {
      static std::string to_remove;
      to_remove = path;
      std::atexit([] { std::remove(to_remove.c_str()); });
    }
    return path;
  }();
  return folder;
}

bool IsWildcard(const Address& address) {
  return std::all_of(std::begin(address.raw().bytes), std::end(address.raw().bytes), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

void World::Perform(const Op& op) {
  switch (op.kind) {
    case Kind::kSocket:
      return Socket(op);
    case Kind::kPair:
      return Pair(op);
    case Kind::kBind:
    case Kind::kConnect:
      return BindOrConnect(op);
    case Kind::kListen: {
      Held& held = At(op, 0);
      if (!Usable(held)) return;
      sp_call call = On(SP_OP_LISTEN, held);
      call.u.listen.backlog = static_cast<int32_t>(op.Number(1));
      static_cast<void>(Make(&call));
      return;
    }
    case Kind::kAccept:
      return Accept(op);
    case Kind::kSend:
      return Send(op);
    case Kind::kRecv:
      return Recv(op);
    case Kind::kShutdown:
      return Shutdown(op);
    case Kind::kClose:
      return Close(op);
    case Kind::kSet:
      return Set(op);
    case Kind::kGet:
      return Get(op);
    case Kind::kIoctl: {
      Held& held = At(op, 0);
      if (!Usable(held)) return;
      sp_call call = On(SP_OP_IOCTL, held);
      call.u.ioctl.request = static_cast<int32_t>(op.Number(1));
      call.u.ioctl.argument = op.Of(1).more;
      static_cast<void>(Make(&call));
      return;
    }
    case Kind::kLocalName:
    case Kind::kPeerName:
      return Name(op);
    case Kind::kMode:
      return Mode(op);
    case Kind::kDuplicate:
      return Duplicate(op);
    case Kind::kReady: {
      Held& held = At(op, 0);
      if (held.open) Ready(&held, static_cast<uint32_t>(op.Number(1)));
      return;
    }
    case Kind::kClock:
      return provider_->Advance(op.Number(0));
    case Kind::kImpair:
      return Impair(op);
    case Kind::kSilence:
      return Silence(op);
    default:
      return Watch(op);
  }
}

void World::Nonblocking(Held* held) {
  sp_call call = On(SP_OP_SET_MODE, *held);
  call.u.set_mode.set = SP_NONBLOCKING;
  if (Make(&call).error != SP_NOT_SUPPORTED) return;
  sp_call request = On(SP_OP_IOCTL, *held);
  request.u.ioctl.request = SP_IOCTL_NONBLOCKING;
  request.u.ioctl.argument = 1;
  static_cast<void>(Make(&request));
}

void World::Socket(const Op& op) {
  Held& place = At(op, 0);
  if (place.open) return;
  const int64_t flavor = op.Number(1);
  const FlavorFacts facts = FactsOf(flavor);
  sp_call call{};
  call.op = SP_OP_SOCKET;
  call.u.socket = {facts.family, facts.type, 0, SP_NONBLOCKING};
  sp_result result = Make(&call);
  const bool modes = result.error != SP_NOT_SUPPORTED;
  if (!modes) {
    call.u.socket.modes = 0;
    result = Make(&call);
  }
  if (result.error != SP_OK) return;
  Fill(&place, result.handle, flavor, streams_.Open(Messages(flavor)));
  if (!modes) Nonblocking(&place);
  if (flavor != kDual) return;
  sp_call set = On(SP_OP_SET_OPTION, place);
  set.u.set_option.option = SP_IPV6_V6ONLY;
  set.u.set_option.value_type = SP_VALUE_INTEGER;
  set.u.set_option.length = SP_NATURAL_LENGTH;
  static_cast<void>(Make(&set));
}

void World::Pair(const Op& op) {
  Held& one = At(op, 0);
  Held& two = At(op, 1);
  if (one.open || two.open || &one == &two) return;
  sp_call call{};
  call.op = SP_OP_SOCKETPAIR;
  call.u.socketpair.of = {SP_UNIX, static_cast<int32_t>(op.Number(2)), 0, SP_NONBLOCKING};
  const sp_result result = Make(&call);
  if (result.error != SP_OK) return;
  const int64_t flavor = op.Number(2) == SP_STREAM ? kUnix : op.Number(2) == SP_SEQPACKET ? kSeqpacket : kUnixDatagram;
  Fill(&one, result.handle, flavor, streams_.Open(Messages(flavor)));
  Fill(&two, call.u.socketpair.second, flavor, streams_.Open(Messages(flavor)));
}

// The address of a socket: asked for once it can be known.
std::optional<Address> World::AddressOf(Held* held) {
  if (held->address && (held->address->family() == SP_UNIX || held->address->port() != 0)) return held->address;
  if (!held->open) return held->address;
  sp_call call = On(SP_OP_LOCAL_NAME, *held);
  Room(kWholePeer, 0, &call.u.local_name.name);
  if (Make(&call).error == SP_OK && call.u.local_name.name.decoded != 0) held->address = Address(call.u.local_name.name.address);
  return held->address;
}

sp_address_in World::AddressFor(const Held& held, const Value& place) {
  const int32_t family = FactsOf(held.flavor).family;
  const bool local = family == SP_UNIX;
  const auto path = [&](const std::string& name) { return Address::Unix(Folder() + '/' + name); };
  sp_address_in in{};
  in.kind = SP_POINTER_VALID;
  in.length = SP_NATURAL_LENGTH;
  Address address = local ? path("p1") : Address::Loopback(family, kPorts[0]);
  switch (place.number) {
    case kAnyPort:
      address = local                  ? path(fmt::format("f{}", fresh_++))
                : held.flavor == kDual ? Address::Any(family, 0)
                                       : Address::Loopback(family, 0);
      break;
    case kWildcard:
      address = local ? path(fmt::format("f{}", fresh_++)) : Address::Any(family, 0);
      break;
    case kPort2:
      address = local ? path("p2") : Address::Loopback(family, kPorts[1]);
      break;
    case kWildcardPort1:
      address = local ? path("p1") : Address::Any(family, kPorts[0]);
      break;
    case kOfPlace: {
      Held& other = places_[static_cast<std::size_t>(place.more)];
      const std::optional<Address> of = other.used ? AddressOf(&other) : std::nullopt;
      if (!of) break;
      address = *of;
      if (!local && (IsWildcard(address) || address.family() != family)) address = Address::Loopback(family, address.port());
      break;
    }
    case kForeign:
      address = local               ? Address::Unix("/nowhere/at/all")
                : family == SP_INET ? Address::Inet({192, 0, 2, 1}, kPorts[0])
                                    : Address::Inet6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, kPorts[0]);
      break;
    case kOtherFamily:
      address =
          local ? Address::Loopback(SP_INET, kPorts[0]) : Address::Loopback(family == SP_INET ? SP_INET6 : SP_INET, kPorts[0]);
      break;
    case kUnspec:
      address = Address::Unspecified();
      break;
    case kNull:
      in.kind = SP_POINTER_NULL;
      break;
    case kBad:
      in.kind = SP_POINTER_INVALID;
      break;
    case kShort:
      in.length = 2;
      break;
    case kEmpty:
      in.length = 0;
      break;
    case kLong:
      in.length = 200;
      break;
    case kNobody:
      address = local ? path("nobody") : Address::Loopback(family, kDeadPort);
      break;
    case kHole: {
      sp_address hole{};
      if (!local && provider_->VirtualClock() && provider_->network().black_hole != nullptr &&
          provider_->network().black_hole(provider_->self(), family, &hole) == SP_OK) {
        address = Address(hole);
        Remark("black hole at " + address.ToString());
      }
      break;
    }
    default:
      break;
  }
  in.address = address.raw();
  return in;
}

void World::BindOrConnect(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  const bool bind = op.kind == Kind::kBind;
  const sp_address_in address = AddressFor(held, op.Of(1));
  sp_call call = On(bind ? SP_OP_BIND : SP_OP_CONNECT, held);
  (bind ? call.u.bind.address : call.u.connect.address) = address;
  const sp_result result = Make(&call);
  if (!bind) {
    held.reset = held.reset || (op.Number(1) == kUnspec && result.error == SP_OK);
    return;
  }
  if (result.error != SP_OK || address.kind != SP_POINTER_VALID) return;
  const Address bound(address.address);
  if (bound.family() != SP_UNIX || bound.path().empty()) return;
  held.address = bound;
  // The reference provider, too, leaves a file there.
  if (bound.path()[0] == '/') paths_.emplace_back(bound.path());
}

void World::Accept(const Op& op) {
  Held& place = At(op, 0);
  Held& held = At(op, 1);
  if (place.open || !Usable(held) || &place == &held) return;
  const int64_t answer = op.Number(4);
  for (const bool modes : {true, false}) {
    if (modes && (op.Number(3) == 0 || !accept_modes_)) continue;
    sp_call call = On(SP_OP_ACCEPT, held);
    sp_accept_args& args = call.u.accept;
    args.form = static_cast<int32_t>(op.Number(3));
    args.modes = modes ? static_cast<uint32_t>(SP_NONBLOCKING) : 0;
    Room(op.Number(2), op.Of(2).more, &args.peer);
    int32_t reply = static_cast<int32_t>(answer);
    if (answer >= 0) {
      args.condition = [](void* context, sp_condition_request*) { return *static_cast<int32_t*>(context); };
      args.condition_context = &reply;
    }
    const sp_result result = Make(&call);
    if (op.Number(2) != kNoPeer) CheckRoom(call, args.peer);
    if (result.error == SP_NOT_SUPPORTED && modes) {
      accept_modes_ = false;
      continue;
    }
    if (result.error != SP_OK) return;
    Fill(&place, result.handle, held.flavor, streams_.Open(Messages(held.flavor)));
    if (!modes) Nonblocking(&place);
    return;
  }
}

void World::Shutdown(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  sp_call call = On(SP_OP_SHUTDOWN, held);
  call.u.shutdown.how = static_cast<int32_t>(op.Number(1));
  const sp_result result = Make(&call);
  if (held.end && result.error == SP_OK && op.Number(1) != SP_SHUT_WR) {
    streams_.Forgive(*held.end);
    held.reset = true;  // what comes in afterwards may be answered by a reset
  }
}

void World::Close(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  static_cast<void>(held.open ? AddressOf(&held) : std::nullopt);
  const bool was_open = held.open;
  held.open = false;
  // With something unread it resets the connection, and who knows what there is.
  if (was_open) held.reset = true;
  sp_call call = On(SP_OP_CLOSE, held);
  if (Make(&call).error != SP_OK && was_open) counted_ = false;
}

void World::Set(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  const Value& value = op.Of(1);
  sp_call call = On(SP_OP_SET_OPTION, held);
  sp_option_args& args = call.u.set_option;
  args.option = static_cast<int32_t>(value.number);
  args.length = SP_NATURAL_LENGTH;
  args.integer = value.more;
  if (args.option == SP_SO_LINGER) {
    args.value_type = SP_VALUE_LINGER;
    args.integer = 0;
    args.linger_on = value.more > 0 ? 1 : 0;
    args.linger_seconds = static_cast<int32_t>(value.more > 0 ? value.more - 1 : 0);
    held.reset = held.reset || value.more > 0;
  } else if (args.option == SP_SO_RCVTIMEO || args.option == SP_SO_SNDTIMEO) {
    args.value_type = SP_VALUE_DURATION;
    args.integer = 0;
    args.duration_ns = value.more;
  }
  const sp_result result = Make(&call);
  // Urgent data in its place, or not: what the other end sends is not one stream then.
  if (result.error == SP_OK && args.option == SP_SO_OOBINLINE && held.end) streams_.Forgive(*held.end);
}

void World::Get(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  sp_call call = On(SP_OP_GET_OPTION, held);
  sp_option_args& args = call.u.get_option;
  args.option = static_cast<int32_t>(op.Number(1));
  args.length = SP_NATURAL_LENGTH;
  args.reported = -1;
  if (args.option == SP_SO_LINGER) args.value_type = SP_VALUE_LINGER;
  if (args.option == SP_SO_RCVTIMEO || args.option == SP_SO_SNDTIMEO) args.value_type = SP_VALUE_DURATION;
  static_cast<void>(Make(&call));
}

void World::Name(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  sp_call call = On(op.kind == Kind::kLocalName ? SP_OP_LOCAL_NAME : SP_OP_PEER_NAME, held);
  Room(op.Number(1) == kNoPeer ? static_cast<int64_t>(kWholePeer) : op.Number(1), op.Of(1).more, &call.u.local_name.name);
  static_cast<void>(Make(&call));
  CheckRoom(call, call.u.local_name.name);
}

void World::Mode(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  sp_call call = On(op.Number(1) == 0 ? SP_OP_GET_MODE : SP_OP_SET_MODE, held);
  if (op.Number(1) != 0) call.u.set_mode.set = static_cast<uint32_t>(op.Number(1));
  static_cast<void>(Make(&call));
}

void World::Duplicate(const Op& op) {
  Held& place = At(op, 0);
  Held& held = At(op, 1);
  if (place.open || !held.open || &place == &held) return;
  sp_call call = On(SP_OP_DUPLICATE, held);
  const sp_result result = Make(&call);
  if (result.error != SP_OK) return;
  const Held original = held;
  Fill(&place, result.handle, original.flavor, original.end);
  place.address = original.address;
  place.reset = original.reset;
}

void World::Ready(Held* held, uint32_t events) {
  for (const int32_t mechanism : {mechanism_, static_cast<int32_t>(SP_WSAPOLL), static_cast<int32_t>(SP_SELECT)}) {
    sp_call create{};
    create.op = SP_OP_WATCH_CREATE;
    create.u.watch_create.mechanism = mechanism;
    const sp_result made = Make(&create);
    if (made.error == SP_NOT_SUPPORTED) continue;
    mechanism_ = mechanism;
    if (made.error != SP_OK) return;
    sp_call add = On(SP_OP_WATCH_ADD, *held);
    add.u.watch_set.watcher = made.handle;
    add.u.watch_set.events = events & (SP_IN | SP_OUT | SP_PRI | SP_RDHUP);
    if (Make(&add).error == SP_OK) {
      sp_event event{};
      sp_call wait{};
      wait.op = SP_OP_WATCH_WAIT;
      wait.handle = made.handle;
      wait.u.watch_wait.capacity = 1;
      wait.u.watch_wait.events = &event;
      static_cast<void>(Make(&wait));
    }
    sp_call close{};
    close.op = SP_OP_WATCH_CLOSE;
    close.handle = made.handle;
    static_cast<void>(Make(&close));
    return;
  }
}

void World::Watch(const Op& op) {
  const auto which = static_cast<std::size_t>(op.Number(0));
  sp_call call{};
  if (op.kind == Kind::kWatchCreate) {
    if (watching_[which]) return;
    call.op = SP_OP_WATCH_CREATE;
    call.u.watch_create.mechanism = static_cast<int32_t>(op.Number(1));
    const sp_result result = Make(&call);
    watching_[which] = result.error == SP_OK;
    if (watching_[which]) watchers_[which] = result.handle;
    return;
  }
  if (!watching_[which]) return;
  switch (op.kind) {
    case Kind::kWatchClose:
      call.op = SP_OP_WATCH_CLOSE;
      call.handle = watchers_[which];
      watching_[which] = false;
      static_cast<void>(Make(&call));
      return;
    case Kind::kWatchWait: {
      std::array<sp_event, 16> events{};
      call.op = SP_OP_WATCH_WAIT;
      call.handle = watchers_[which];
      call.u.watch_wait.capacity = static_cast<int32_t>(op.Number(1));
      call.u.watch_wait.kind = static_cast<int32_t>(op.Number(2));
      call.u.watch_wait.events = events.data();
      static_cast<void>(Make(&call));
      return;
    }
    default:
      break;
  }
  const Held& held = At(op, 1);
  if (!held.open) return;
  call = On(op.kind == Kind::kWatchAdd      ? SP_OP_WATCH_ADD
            : op.kind == Kind::kWatchModify ? SP_OP_WATCH_MODIFY
                                            : SP_OP_WATCH_REMOVE,
            held);
  call.u.watch_set.watcher = watchers_[which];
  if (op.kind != Kind::kWatchRemove) {
    call.u.watch_set.events = static_cast<uint32_t>(op.Number(2));
    call.u.watch_set.flags = static_cast<uint32_t>(op.Number(3));
  }
  call.u.watch_set.cookie = static_cast<uint64_t>(op.Number(1));
  static_cast<void>(Make(&call));
}

void World::Impair(const Op& op) {
  const auto impair = provider_->network().impair;
  if (impair == nullptr || !provider_->VirtualClock()) return;
  constexpr int64_t kTenMilliseconds = 10'000'000;
  const Value& value = op.Of(0);
  const auto parts = static_cast<uint32_t>(value.number);
  const bool doubles = (value.more & 4) != 0;
  if (impair(provider_->self(), doubles ? 0 : parts, doubles ? parts : 0, (value.more & 1) != 0 ? kTenMilliseconds : 0,
             (value.more & 2) != 0 ? kTenMilliseconds : 0) != SP_OK) {
    return;
  }
  done_.impaired = true;
  Remark(fmt::format("impair {}", value.text));
}

void World::Silence(const Op& op) {
  const Held& held = At(op, 0);
  if (!held.open || provider_->network().silence == nullptr || !provider_->VirtualClock()) return;
  const bool on = op.Number(1) == 0;
  if (provider_->network().silence(provider_->self(), held.handle, on ? 1 : 0) != SP_OK) return;
  done_.impaired = done_.impaired || on;
  Remark((on ? "silence " : "no more silence for ") + HandleText(held.handle));
}

}  // namespace sockproof::fuzz
