// Options and names: what is read, what is set, what is refused.
#include "battery/scenario.h"
#include "catalogue/options.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

sp_option_args Raw(int32_t option) {
  sp_option_args args{};
  args.option = option;
  args.value_type = SP_VALUE_INTEGER;
  args.length = SP_NATURAL_LENGTH;
  return args;
}

constexpr int32_t kBooleans[] = {SP_SO_REUSEADDR, SP_SO_KEEPALIVE, SP_SO_OOBINLINE, SP_SO_BROADCAST, SP_SO_DONTROUTE};

// A tick of a 100 Hz clock either way.
bool Near(Nanoseconds seen, Nanoseconds set) { return seen >= set - milliseconds(10) && seen <= set + milliseconds(10); }

Outcome Sticks(Socket& socket, int32_t option) {
  for (const int64_t value : {1, 0, 1}) {
    static_cast<void>(Must(socket.Set(option, value)));
    const OptionResult seen = Must(socket.Get(option));
    if ((seen.integer != 0) != (value != 0)) return Holds(false, seen.text() + fmt::format(" after setting {}", value));
  }
  return Holds(true, "on, off and on again");
}

}  // namespace

SCENARIO(Options, WhatASocketIs, kConnections, options::type, options::domain, options::protocol) {
  Socket socket = net.NewConnecting();
  const OptionResult type = Must(socket.Get(SP_SO_TYPE)), domain = Must(socket.Get(SP_SO_DOMAIN)),
                     protocol = Must(socket.Get(SP_SO_PROTOCOL));
  CHECK_REQUIREMENT(options::type, Same(type.integer, net.type, "SO_TYPE"));
  CHECK_REQUIREMENT(options::domain, Same(domain.integer, net.connect_family, "SO_DOMAIN"));
  constexpr int kTcpProtocol = 6;
  CHECK_REQUIREMENT(options::protocol, Same(protocol.integer, net.tcp() ? kTcpProtocol : 0, "SO_PROTOCOL"));
}

SCENARIO(Options, TheType, (Over{{&kInet, &kInet6, &kUnix, &kSeqpacket, &kUdp, &kUdp6}, {}, {}}), options::type) {
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(options::type, Same(Must(socket.Get(SP_SO_TYPE)).integer, net.type, "SO_TYPE"));
}

SCENARIO(Options, ReadOnlyOnesRefuse, kConnections, options::read_only) {
  Socket socket = net.NewConnecting();
  for (const int32_t option : {SP_SO_TYPE, SP_SO_DOMAIN, SP_SO_PROTOCOL, SP_SO_ERROR, SP_SO_ACCEPTCONN}) {
    CHECK_REQUIREMENT(options::read_only, socket.Set(option, 1));
  }
}

SCENARIO(Options, NoErrorIsPending, kConnections, options::error_zero) {
  Pair pair = ConnectedPair(net);
  Socket fresh = net.NewConnecting();
  for (Socket* socket : {&fresh, &pair.listener.socket, &pair.client, &pair.server})
    CHECK_REQUIREMENT(options::error_zero, socket->TakeError());
}

SCENARIO(Options, BooleanOptions, kConnections, options::booleans_off, options::booleans_stick) {
  Socket socket = net.NewConnecting();
  for (const int32_t option : kBooleans) {
    const OptionResult fresh = Must(socket.Get(option));
    CHECK_REQUIREMENT(options::booleans_off, Holds(fresh.integer == 0, fresh.text()));
  }
  for (const int32_t option : {SP_SO_REUSEADDR, SP_SO_KEEPALIVE, SP_SO_OOBINLINE, SP_SO_BROADCAST}) {
    CHECK_REQUIREMENT(options::booleans_stick, Sticks(socket, option));
  }
}

SCENARIO(Options, NoDelay, kTcp, options::nodelay_sticks) {
  Pair pair = ConnectedPair(net);
  Socket fresh = net.NewConnecting();
  for (Socket* socket : {&fresh, &pair.client, &pair.server})
    CHECK_REQUIREMENT(options::nodelay_sticks, Sticks(*socket, SP_TCP_NODELAY));
}

SCENARIO(Options, Linger, kConnections, options::linger_default, options::linger_sticks) {
  Socket socket = net.NewConnecting();
  const OptionResult fresh = Must(socket.Get(SP_SO_LINGER));
  CHECK_REQUIREMENT(options::linger_default, Holds(!fresh.linger_on, fresh.text()));
  for (const int32_t linger : {0, 1, 17, 3600}) {
    static_cast<void>(Must(socket.SetLinger(true, linger)));
    const OptionResult seen = Must(socket.Get(SP_SO_LINGER));
    CHECK_REQUIREMENT(options::linger_sticks, Holds(seen.linger_on && seen.linger_seconds == linger, seen.text()));
  }
  static_cast<void>(Must(socket.SetLinger(false, 5)));
  const OptionResult off = Must(socket.Get(SP_SO_LINGER));
  CHECK_REQUIREMENT(options::linger_sticks, Holds(!off.linger_on, off.text()));
}

SCENARIO(Options, TimeOuts, kConnections, options::timeouts_default, options::timeouts_stick, options::timeout_out_of_range) {
  Socket socket = net.NewConnecting();
  for (const int32_t option : {SP_SO_RCVTIMEO, SP_SO_SNDTIMEO}) {
    const OptionResult fresh = Must(socket.Get(option));
    CHECK_REQUIREMENT(options::timeouts_default, Holds(fresh.duration == Nanoseconds(0), fresh.text()));
  }
  static_cast<void>(Must(socket.SetDuration(SP_SO_RCVTIMEO, milliseconds(2500))));
  static_cast<void>(Must(socket.SetDuration(SP_SO_SNDTIMEO, milliseconds(70))));
  const OptionResult receive = Must(socket.Get(SP_SO_RCVTIMEO)), send = Must(socket.Get(SP_SO_SNDTIMEO));
  CHECK_REQUIREMENT(options::timeouts_stick, Holds(Near(receive.duration, milliseconds(2500)), receive.text()));
  CHECK_REQUIREMENT(options::timeouts_stick, Holds(Near(send.duration, milliseconds(70)), send.text()));
  CHECK_REQUIREMENT(options::timeout_out_of_range, socket.SetDuration(SP_SO_RCVTIMEO, Nanoseconds::max()));
  CHECK_REQUIREMENT(options::timeout_out_of_range, socket.SetDuration(SP_SO_SNDTIMEO, Nanoseconds::max()));
}

SCENARIO(Options, LowWaterMark, kConnections, options::low_water_default) {
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(options::low_water_default, Outcome::OfNumber(Must(socket.Get(SP_SO_RCVLOWAT)).integer));
}

SCENARIO(Options, BufferSizes, kConnections, options::receive_buffer_doubled, options::send_buffer_doubled) {
  Socket socket = net.NewConnecting();
  for (const int64_t size : {8192, 50000}) {
    static_cast<void>(Must(socket.Set(SP_SO_RCVBUF, size)));
    static_cast<void>(Must(socket.Set(SP_SO_SNDBUF, size)));
    CHECK_REQUIREMENT(options::receive_buffer_doubled, Same(Must(socket.Get(SP_SO_RCVBUF)).integer, 2 * size, "SO_RCVBUF"));
    CHECK_REQUIREMENT(options::send_buffer_doubled, Same(Must(socket.Get(SP_SO_SNDBUF)).integer, 2 * size, "SO_SNDBUF"));
  }
}

SCENARIO(Options, UnknownOnes, kConnections, options::unknown_get, options::unknown_set) {
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(options::unknown_get, socket.Get(SP_UNKNOWN_OPTION));
  CHECK_REQUIREMENT(options::unknown_set, socket.Set(SP_UNKNOWN_OPTION, 1));
}

SCENARIO(Options, UnknownLevels, kConnections, options::unknown_level_get, options::unknown_level_set) {
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(options::unknown_level_get, socket.Get(SP_UNKNOWN_LEVEL));
  CHECK_REQUIREMENT(options::unknown_level_set, socket.Set(SP_UNKNOWN_LEVEL, 1));
}

SCENARIO(Options, WrongDescriptors, kTcp4, options::get_not_open, options::set_not_open, options::get_not_socket,
         options::set_not_socket, options::local_name_not_open, options::peer_name_not_open, options::local_name_not_socket,
         options::peer_name_not_socket) {
  Socket closed = net.NewConnecting();
  const sp_handle handle = closed.handle();
  static_cast<void>(Must(closed.Close()));
  for (const sp_handle wrong : {handle, sp_handle{SP_HANDLE_INVALID, 0, -1}}) {
    Socket borrowed = Socket::Borrowed(wrong);
    CHECK_REQUIREMENT(options::get_not_open, borrowed.Get(SP_SO_TYPE));
    CHECK_REQUIREMENT(options::set_not_open, borrowed.Set(SP_SO_KEEPALIVE, 1));
    CHECK_REQUIREMENT(options::local_name_not_open, borrowed.LocalName());
    CHECK_REQUIREMENT(options::peer_name_not_open, borrowed.PeerName());
  }
  Socket file = Socket::Wrong(SP_HANDLE_NOT_SOCKET);
  CHECK_REQUIREMENT(options::get_not_socket, file.Get(SP_SO_TYPE));
  CHECK_REQUIREMENT(options::set_not_socket, file.Set(SP_SO_KEEPALIVE, 1));
  CHECK_REQUIREMENT(options::local_name_not_socket, file.LocalName());
  CHECK_REQUIREMENT(options::peer_name_not_socket, file.PeerName());
}

SCENARIO(Options, BadPointersAndLengths, kConnections, options::set_bad_pointer, options::get_bad_pointer, options::set_short,
         options::get_truncates) {
  Socket socket = net.NewConnecting();
  sp_option_args bad = Raw(SP_SO_KEEPALIVE);
  bad.kind = SP_POINTER_INVALID;
  CHECK_REQUIREMENT(options::set_bad_pointer, socket.SetOption(bad));
  CHECK_REQUIREMENT(options::get_bad_pointer, socket.GetOption(bad));
  sp_option_args brief = Raw(SP_SO_KEEPALIVE);
  brief.integer = 1;
  brief.length = 1;
  CHECK_REQUIREMENT(options::set_short, socket.SetOption(brief));
  sp_option_args narrow = Raw(SP_SO_TYPE);
  narrow.length = 1;
  const OptionResult cut = socket.GetOption(narrow);
  CHECK_REQUIREMENT(options::get_truncates, Holds(cut.ok() && cut.reported == 1, cut.text()));
}

SCENARIO(Options, TooLittleRoomForAnInteger, kConnections, options::get_short) {
  Socket socket = net.NewConnecting();
  for (const int32_t length : {0, 1}) {
    sp_option_args narrow = Raw(SP_SO_TYPE);
    narrow.length = length;
    CHECK_REQUIREMENT(options::get_short, socket.GetOption(narrow));
  }
}

SCENARIO(Options, NamesOfBothEnds, kConnections, options::local_name_known, options::peer_name_known) {
  Pair pair = ConnectedPair(net);
  const Address client = Must(pair.client.LocalName()), server = Must(pair.server.LocalName());
  const Address seen_server = Must(pair.client.PeerName());
  CHECK_REQUIREMENT(options::local_name_known,
                    SameAddress(seen_server, pair.listener.address, "the client's peer and the address it connected to"));
  if (net.dual()) {
    // Each end says the same port in its own family.
    CHECK_REQUIREMENT(options::peer_name_known,
                      Same(Must(pair.server.PeerName()).port(), client.port(), "port of the server's peer"));
    CHECK_REQUIREMENT(options::peer_name_known, Same(seen_server.port(), server.port(), "port of the client's peer"));
    return;
  }
  CHECK_REQUIREMENT(options::peer_name_known, SameAddress(seen_server, server, "the client's peer and the server's own name"));
  if (net.local()) return;  // what is said of a client that is not bound is left open
  CHECK_REQUIREMENT(options::peer_name_known,
                    SameAddress(Must(pair.server.PeerName()), client, "the server's peer and the client's own name"));
}

SCENARIO(Options, AnUnboundLocalClientHasNoName, kLocal, options::unnamed_peer) {
  Pair pair = ConnectedPair(net);
  const NameResult peer = pair.server.PeerName();
  constexpr int32_t kFamilyAlone = 2;
  CHECK_REQUIREMENT(options::unnamed_peer,
                    Holds(peer.ok() && peer.address.path().empty() && peer.reported == kFamilyAlone, peer.text()));
}

SCENARIO(Options, NobodyIsConnected, kConnections, options::peer_name_unconnected) {
  Socket fresh = net.NewConnecting();
  CHECK_REQUIREMENT(options::peer_name_unconnected, fresh.PeerName());
  Listener bound = BoundOn(net);
  CHECK_REQUIREMENT(options::peer_name_unconnected, bound.socket.PeerName());
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(options::peer_name_unconnected, listener.socket.PeerName());
}

SCENARIO(Options, NamesIntoTooLittleRoom, kConnections, options::name_truncated, options::name_real_length,
         options::name_bad_pointer, options::name_negative_length) {
  Pair pair = ConnectedPair(net);
  const NameResult whole_local = pair.server.LocalName(), whole_peer = pair.client.PeerName();
  for (const int32_t room : {0, 1, 2, 4, 7}) {
    AskAddress ask;
    ask.length = room;
    const NameResult local = pair.server.LocalName(ask), peer = pair.client.PeerName(ask);
    const auto prefix = [room](const NameResult& cut, const NameResult& whole) {
      return cut.ok() && std::equal(cut.raw.begin(), cut.raw.begin() + room, whole.raw.begin());
    };
    CHECK_REQUIREMENT(options::name_truncated,
                      Holds(prefix(local, whole_local) && prefix(peer, whole_peer), local.text() + "; " + peer.text()));
    CHECK_REQUIREMENT(options::name_real_length, Same(local.reported, whole_local.reported, "getsockname"));
    CHECK_REQUIREMENT(options::name_real_length, Same(peer.reported, whole_peer.reported, "getpeername"));
  }
  AskAddress bad;
  bad.kind = SP_POINTER_INVALID;
  bad.length = 16;
  CHECK_REQUIREMENT(options::name_bad_pointer, pair.server.LocalName(bad));
  CHECK_REQUIREMENT(options::name_bad_pointer, pair.client.PeerName(bad));
  AskAddress negative;
  negative.length = -1;
  CHECK_REQUIREMENT(options::name_negative_length, pair.server.LocalName(negative));
  CHECK_REQUIREMENT(options::name_negative_length, pair.client.PeerName(negative));
}

SCENARIO(Options, NamesRefuseTooLittleRoom, kTcp, options::names_short) {
  Pair pair = ConnectedPair(net);
  for (const int32_t room : {0, 1, 2, 8, 15}) {
    AskAddress ask;
    ask.length = room;
    CHECK_REQUIREMENT(options::names_short, pair.server.LocalName(ask));
    CHECK_REQUIREMENT(options::names_short, pair.client.PeerName(ask));
  }
}

SCENARIO(Options, FastPathOverLoopback, kTcp46, options::fast_path, options::fast_path_carries) {
  Listener listener = BoundOn(net);
  CHECK_REQUIREMENT(options::fast_path, listener.socket.Ioctl(SP_IOCTL_FAST_PATH, 1));
  static_cast<void>(Must(listener.socket.Listen(4)));
  Pair pair;
  pair.client = net.NewConnecting();
  CHECK_REQUIREMENT(options::fast_path, pair.client.Ioctl(SP_IOCTL_FAST_PATH, 1));
  static_cast<void>(Must(pair.client.Connect(listener.address)));
  MustBeReady(listener.socket, SP_IN);
  pair.server = Must(listener.socket.Accept());
  const Payload payload{1, 0, 1000};
  SendAll(pair.client, payload);
  const Received received = ReceiveAll(pair.server, payload);
  CHECK_REQUIREMENT(options::fast_path_carries,
                    Holds(received.Complete(payload), fmt::format("{} of {} bytes", received.bytes, payload.length)));
}

}  // namespace sockproof
