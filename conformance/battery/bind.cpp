// bind() and getsockname(): names, ports of the implementation's choice, errors.
#include "catalogue/bind.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "battery/scenario.h"
#include "battery/serving.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

const Over kEverything{{&kInet, &kInet6, &kDual, &kUnix, &kSeqpacket, &kUnixDatagram, &kUdp, &kUdp6}, {}, {}};
const Over kIp{{&kInet, &kInet6, &kUdp, &kUdp6}, {}, {}};
const Over kIp6{{&kInet6, &kUdp6}, {}, {}};
const Over kIp4{{&kInet, &kUdp}, {}, {}};
const Over kAllLocal{{&kUnix, &kSeqpacket, &kUnixDatagram}, {}, {}};

// Addresses that no host has: they are set aside for documentation.
Address Elsewhere(int32_t family) {
  if (family == SP_INET) return Address::Inet({192, 0, 2, 1}, 0);
  return Address::Inet6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0);
}

bool Untouched(const NameResult& name, std::size_t from) {
  return std::all_of(name.raw.begin() + static_cast<std::ptrdiff_t>(std::min(from, name.raw.size())), name.raw.end(),
                     [](uint8_t byte) { return byte == GuardedBuffer::kPoison; });
}

}  // namespace

// ---- names ----

SCENARIO(Bind, Name, kEverything, bind::name, bind::name_length, bind::name_roomy) {
  Listener bound;
  Address asked;
  if (net.local()) {
    bound.socket = net.NewListening();
    asked = net.ToBind();
    static_cast<void>(Must(bound.socket.Bind(asked)));
  } else {
    bound = BoundToNamedPort(net, {});
    asked = Address::Any(net.listen_family, bound.address.port());
    if (!net.dual()) asked = Address::Loopback(net.listen_family, bound.address.port());
  }
  const NameResult name = bound.socket.LocalName();
  CHECK_REQUIREMENT(bind::name,
                    name.ok() && name.decoded ? SameAddress(name.address, asked, "the name") : Holds(false, name.text()));
  // The last byte that counts has been written, and none after it.
  const bool plausible = name.ok() && name.reported > 0 && static_cast<std::size_t>(name.reported) <= name.raw.size();
  const std::size_t length = plausible ? static_cast<std::size_t>(name.reported) : 0;
  CHECK_REQUIREMENT(bind::name_length, Holds(plausible && name.raw[length - 1] != GuardedBuffer::kPoison, name.text()));
  CHECK_REQUIREMENT(bind::name_roomy,
                    plausible && Untouched(name, length) ? Outcome(outcome::untouched) : Holds(false, name.text()));
}

SCENARIO(Bind, NameTruncated, kEverything, bind::name_truncated, bind::name_truncated_length) {
  Listener bound = BoundOn(net);
  const NameResult whole = bound.socket.LocalName();
  static_cast<void>(Must(static_cast<Result>(whole)));
  for (const int32_t room : {0, 1, 2, 3, 4, 7, 8, 12, whole.reported - 1, whole.reported}) {
    AskAddress ask;
    ask.length = room;
    const NameResult part = bound.socket.LocalName(ask);
    const auto stored = static_cast<std::size_t>(room);
    const bool same = part.ok() && std::equal(part.raw.begin(), part.raw.begin() + room, whole.raw.begin());
    CHECK_REQUIREMENT(bind::name_truncated,
                      Holds(same && Untouched(part, stored), fmt::format("room for {}: {}", room, part.text())));
    CHECK_REQUIREMENT(bind::name_truncated_length,
                      Same(part.reported, whole.reported, fmt::format("length with room for {}", room)));
  }
}

SCENARIO(Bind, NameIntoTooLittleRoom, kIp, bind::name_short) {
  Listener bound = BoundOn(net);
  for (const int32_t room : {0, 1, 2, 8, 15}) {
    AskAddress ask;
    ask.length = room;
    CHECK_REQUIREMENT(bind::name_short, bound.socket.LocalName(ask));
  }
}

SCENARIO(Bind, NameArguments, kEverything, bind::name_negative_length, bind::name_bad_pointer) {
  Listener bound = BoundOn(net);
  AskAddress negative;
  negative.length = -1;
  CHECK_REQUIREMENT(bind::name_negative_length, bound.socket.LocalName(negative));
  for (const int32_t kind : {SP_POINTER_NULL, SP_POINTER_INVALID}) {
    AskAddress bad;
    bad.kind = kind;
    bad.length = 128;
    CHECK_REQUIREMENT(bind::name_bad_pointer, bound.socket.LocalName(bad));
  }
}

SCENARIO(Bind, NameOfNoSocket, kTcp4, bind::name_bad_descriptor, bind::name_not_a_socket) {
  CHECK_REQUIREMENT(bind::name_bad_descriptor, Socket::Wrong(SP_HANDLE_INVALID).LocalName());
  Listener bound = BoundOn(net);
  const sp_handle handle = bound.socket.handle();
  static_cast<void>(Must(bound.socket.Close()));
  CHECK_REQUIREMENT(bind::name_bad_descriptor, Socket::Borrowed(handle).LocalName());
  CHECK_REQUIREMENT(bind::name_not_a_socket, Socket::Wrong(SP_HANDLE_NOT_SOCKET).LocalName());
}

SCENARIO(Bind, NameUnbound, kIp, bind::name_unbound, bind::name_unbound_refused) {
  Socket socket = net.NewListening();
  const NameResult name = socket.LocalName();
  CHECK_REQUIREMENT(bind::name_unbound, SameAddress(name.address, Address::Any(net.listen_family), "the name"));
  CHECK_REQUIREMENT(bind::name_unbound_refused, name);
}

SCENARIO(Bind, NameUnboundLocal, kAllLocal, bind::name_unbound_unix) {
  Socket socket = net.NewListening();
  const NameResult name = socket.LocalName();
  CHECK_REQUIREMENT(bind::name_unbound_unix, Outcome::OfNumber(name.reported, name.text()));
}

SCENARIO(Bind, NameOfPath, kAllLocal, bind::name_path_length) {
  Socket socket = net.NewListening();
  const Address path = net.ToBind();
  static_cast<void>(Must(socket.Bind(path)));
  const NameResult name = socket.LocalName();
  CHECK_REQUIREMENT(bind::name_path_length,
                    Outcome::OfNumber(name.reported - static_cast<int64_t>(path.path().size()), name.text()));
}

SCENARIO(Bind, NameOfAccepted, kTcp, bind::name_accepted) {
  Listener listener{net.NewListening(), {}};
  static_cast<void>(Must(listener.socket.Bind(Address::Any(net.listen_family))));
  static_cast<void>(Must(listener.socket.Listen(4)));
  const uint16_t port = listener.socket.LocalAddress().port();
  std::vector<Address> targets = {Address::Loopback(net.connect_family, port)};
  if (net.connect_family == SP_INET) targets.push_back(Address::Inet({127, 9, 8, 7}, port));
  for (const Address& target : targets) {
    listener.address = target;
    const Socket client = ConnectTo(listener, net);
    MustBeReady(listener.socket, SP_IN);
    Socket server = Must(listener.socket.Accept());
    const sp_address& raw = target.raw();
    const Address expected =
        net.dual() ? Address::V4Mapped({raw.bytes[0], raw.bytes[1], raw.bytes[2], raw.bytes[3]}, port) : target;
    CHECK_REQUIREMENT(bind::name_accepted, SameAddress(server.LocalAddress(), expected, "the accepted socket's name"));
  }
}

SCENARIO(Bind, NameOfListenerStays, kConnections, bind::name_of_listener) {
  Listener listener = BoundOn(net);
  const Address name = listener.socket.LocalAddress();
  auto check = [&] { CHECK_REQUIREMENT(bind::name_of_listener, SameAddress(listener.socket.LocalAddress(), name, "the name")); };
  static_cast<void>(Must(listener.socket.Listen(4)));
  check();
  const Socket client = ConnectTo(listener, net);
  check();
  MustBeReady(listener.socket, SP_IN);
  const Socket server = Must(listener.socket.Accept());
  check();
}

// ---- ports of the implementation's choice ----

SCENARIO(Bind, PortChosen, kIp, bind::port_chosen, bind::port_distinct) {
  std::vector<Socket> sockets;
  std::set<uint16_t> ports;
  for (int i = 0; i < 32; ++i) {
    sockets.push_back(net.NewListening());
    static_cast<void>(Must(sockets.back().Bind(net.ToBind())));
    const Address name = sockets.back().LocalAddress();
    CHECK_REQUIREMENT(bind::port_chosen, Holds(name.port() != 0 && name.WithPort(0) == net.ToBind(), name.ToString()));
    ports.insert(name.port());
  }
  CHECK_REQUIREMENT(bind::port_distinct, Same(ports.size(), sockets.size(), "ports of as many sockets"));
}

SCENARIO(Bind, PortInRange, kIp.Needs({SP_CAP_KNOBS}), bind::port_range) {
  const int64_t low = Knob::Value(SP_KNOB_PORT_RANGE_LOW), high = Knob::Value(SP_KNOB_PORT_RANGE_HIGH);
  for (int i = 0; i < 32; ++i) {
    Socket socket = net.NewListening();
    static_cast<void>(Must(socket.Bind(net.ToBind())));
    const uint16_t port = socket.LocalAddress().port();
    CHECK_REQUIREMENT(bind::port_range, Holds(port >= low && port <= high, fmt::format("{} <= {} <= {}", low, port, high)));
  }
}

namespace {

// Binds one socket more than the range of ephemeral ports has ports; what the last one got.
Result FillRange(const Flavor& net, int64_t ports, std::vector<Socket>* sockets) {
  Result bound;
  for (int64_t i = 0; i <= ports; ++i) {
    sockets->push_back(net.NewListening());
    bound = sockets->back().Bind(net.ToBind());
    if (!bound.ok()) break;
  }
  return bound;
}

}  // namespace

SCENARIO(Bind, RangeFull, kIp.Needs({SP_CAP_KNOBS}), bind::port_range_full) {
  const Knob high(SP_KNOB_PORT_RANGE_HIGH, Knob::Value(SP_KNOB_PORT_RANGE_LOW) + 3);
  std::vector<Socket> sockets;
  CHECK_REQUIREMENT(bind::port_range_full, FillRange(net, 4, &sockets));
}

SCENARIO(Bind, RangeFullForListen, kTcp46.Needs({SP_CAP_KNOBS}), bind::port_range_full_listen) {
  const Knob high(SP_KNOB_PORT_RANGE_HIGH, Knob::Value(SP_KNOB_PORT_RANGE_LOW) + 3);
  std::vector<Socket> sockets;
  Result listening;
  for (int i = 0; i < 5; ++i) {
    sockets.push_back(net.NewListening());
    listening = sockets.back().Listen(1);
    if (!listening.ok()) break;
  }
  CHECK_REQUIREMENT(bind::port_range_full_listen, listening);
}

SCENARIO(Bind, PortLater, kTcp4, bind::port_later) {
  const Listener listener = ListenOn(net);
  Socket client = net.NewConnecting();
  static_cast<void>(Must(client.Set(SP_IP_BIND_ADDRESS_NO_PORT, 1)));
  static_cast<void>(Must(client.Bind(net.ToBind())));
  const uint16_t before = client.LocalAddress().port();
  static_cast<void>(Must(client.Connect(listener.address)));
  const uint16_t after = client.LocalAddress().port();
  CHECK_REQUIREMENT(bind::port_later,
                    Holds(before == 0 && after != 0, fmt::format("port {} after bind, {} after connect", before, after)));
}

SCENARIO(Bind, Autobind, kAllLocal.Needs({SP_CAP_ABSTRACT_NAMES}), bind::autobind) {
  Socket socket = net.NewListening();
  static_cast<void>(Must(socket.Bind(Address::Unix(""))));
  const Address name = socket.LocalAddress();
  const std::string_view path = name.path();
  const bool hexadecimal = path.size() == 6 && path[0] == '\0' && std::all_of(path.begin() + 1, path.end(), [](char digit) {
                             return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
                           });
  CHECK_REQUIREMENT(bind::autobind, Holds(hexadecimal, name.ToString()));
}

SCENARIO(Bind, AutobindServes, kLocal.Needs({SP_CAP_ABSTRACT_NAMES}), bind::autobind_serves) {
  Socket socket = net.NewListening();
  static_cast<void>(Must(socket.Bind(Address::Unix(""))));
  static_cast<void>(Must(socket.Listen(4)));
  CHECK_REQUIREMENT(bind::autobind_serves, Serves(net, socket, socket.LocalAddress()));
}

// ---- errors ----

SCENARIO(Bind, NoSocket, kTcp4, bind::bad_descriptor, bind::not_a_socket) {
  CHECK_REQUIREMENT(bind::bad_descriptor, Socket::Wrong(SP_HANDLE_INVALID).Bind(net.ToBind()));
  Socket socket = net.NewListening();
  const sp_handle handle = socket.handle();
  static_cast<void>(Must(socket.Close()));
  CHECK_REQUIREMENT(bind::bad_descriptor, Socket::Borrowed(handle).Bind(net.ToBind()));
  CHECK_REQUIREMENT(bind::not_a_socket, Socket::Wrong(SP_HANDLE_NOT_SOCKET).Bind(net.ToBind()));
}

SCENARIO(Bind, Twice, kEverything, bind::twice, bind::twice_harmless) {
  Listener bound = BoundOn(net);
  const Address name = bound.socket.LocalAddress();
  // Its own pathname is another matter: that exists, which is an error of its own.
  std::vector<Address> addresses = {net.ToBind()};
  if (!net.local()) addresses.push_back(name);
  for (const Address& again : addresses) {
    const Result result = bound.socket.Bind(again);
    CHECK_REQUIREMENT(bind::twice, result);
    CHECK_REQUIREMENT(bind::twice_harmless, result.ok() ? Holds(true, "bind did not fail")
                                                        : SameAddress(bound.socket.LocalAddress(), name, "the name"));
  }
}

SCENARIO(Bind, Connected, kTcp, bind::connected) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(bind::connected, pair.client.Bind(Address::Loopback(net.connect_family)));
  CHECK_REQUIREMENT(bind::connected, pair.server.Bind(net.ToBind()));
}

SCENARIO(Bind, NotLocal, kIp, bind::not_local) {
  Socket socket = net.NewListening();
  CHECK_REQUIREMENT(bind::not_local, socket.Bind(Elsewhere(net.listen_family)));
}

SCENARIO(Bind, NotLocalButFree, kIp4, bind::not_local_free) {
  Socket socket = net.NewListening();
  static_cast<void>(Must(socket.Set(SP_IP_FREEBIND, 1)));
  CHECK_REQUIREMENT(bind::not_local_free, socket.Bind(Elsewhere(net.listen_family)));
}

SCENARIO(Bind, AnotherFamily, kEverything, bind::family) {
  std::vector<Address> others = {Address::Loopback(SP_INET), Address::Loopback(SP_INET6), Address::Unix(FreshPath()),
                                 Address::Loopback(SP_INET).WithFamily(SP_OTHER_FAMILY)};
  for (const Address& other : others) {
    if (other.family() == net.listen_family) continue;
    Socket socket = net.NewListening();
    CHECK_REQUIREMENT(bind::family, socket.Bind(other));
  }
}

SCENARIO(Bind, Length, kEverything, bind::short_length, bind::wrong_length) {
  std::vector<int32_t> too_short = {0, 1};
  // An AF_UNIX address may be as short as its family; the others have a size.
  if (!net.local()) too_short.insert(too_short.end(), {2, 4, 7, 8, 15});
  if (net.listen_family == SP_INET6) too_short.insert(too_short.end(), {16, 23});
  for (const int32_t length : too_short) {
    Socket socket = net.NewListening();
    CHECK_REQUIREMENT(bind::short_length, socket.Bind(AddressWith(net.ToBind(), length)));
  }
  for (const int32_t length : {-1, -16, 4096}) {
    Socket socket = net.NewListening();
    CHECK_REQUIREMENT(bind::wrong_length, socket.Bind(AddressWith(net.ToBind(), length)));
  }
}

SCENARIO(Bind, BadPointerLocal, kAllLocal, bind::bad_pointer) {
  for (const int32_t kind : {SP_POINTER_NULL, SP_POINTER_INVALID}) {
    Socket socket = net.NewListening();
    CHECK_REQUIREMENT(bind::bad_pointer, socket.Bind(AddressOfKind(kind, 16)));
  }
}

SCENARIO(Bind, BadPointer, kIp, bind::bad_pointer_ip) {
  for (const int32_t kind : {SP_POINTER_NULL, SP_POINTER_INVALID}) {
    Socket socket = net.NewListening();
    CHECK_REQUIREMENT(bind::bad_pointer_ip, socket.Bind(AddressOfKind(kind, 28)));
  }
}

SCENARIO(Bind, LinkLocalScope, kIp6, bind::link_local_scope) {
  constexpr uint32_t kNoInterface = 0x7ffffff0;
  Socket socket = net.NewListening();
  const Address address = Address::Inet6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0, kNoInterface);
  CHECK_REQUIREMENT(bind::link_local_scope, socket.Bind(address));
}

SCENARIO(Bind, FailedIsHarmless, kConnections, bind::failed_harmless) {
  Listener listener{net.NewListening(), {}};
  const Address cannot = net.local() ? Address::Unix(ScratchDirectory() + "/none/x") : Elsewhere(net.listen_family);
  static_cast<void>(listener.socket.Bind(cannot));
  const Result bound = listener.socket.Bind(net.ToBind());
  const Result listening = bound.ok() ? listener.socket.Listen(4) : bound;
  if (!listening.ok()) {
    CHECK_REQUIREMENT(bind::failed_harmless, Holds(false, listening.text()));
    return;
  }
  listener.address = net.ToReach(listener.socket.LocalAddress());
  CHECK_REQUIREMENT(bind::failed_harmless, Serves(net, listener));
}

SCENARIO(Bind, NoDirectory, kAllLocal, bind::no_directory, bind::not_a_directory) {
  Socket nowhere = net.NewListening();
  CHECK_REQUIREMENT(bind::no_directory, nowhere.Bind(Address::Unix(ScratchDirectory() + "/none/x")));
  const std::string file = FreshPath();
  std::ofstream(file) << "not a directory\n";
  Socket below = net.NewListening();
  CHECK_REQUIREMENT(bind::not_a_directory, below.Bind(Address::Unix(file + "/x")));
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
}

}  // namespace sockproof
