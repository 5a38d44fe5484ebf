// Which address reaches which listener: IPv4 against IPv6, and paths of the file system.
#if defined(__linux__)
#include <fcntl.h>
#include <sys/fsuid.h>
#include <unistd.h>
#endif

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "battery/held.h"
#include "battery/scenario.h"
#include "catalogue/connect.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

const std::array<uint8_t, 4> kLoopback4{127, 0, 0, 1};
const std::array<uint8_t, 4> kOtherLoopback4{127, 0, 0, 2};

enum Cover { kOwn = 0, kV4 = 1, kV4All = 2, kV6 = 4 };  // what an address of a listener covers

struct ListenerKind {
  Address address;
  int v6only;  // -1: not an IPv6 socket
  int covers;
};

std::vector<ListenerKind> ListenerKinds() {
  return {
      {Address::Inet(kLoopback4, 0), -1, kV4},         {Address::Any(SP_INET), -1, kV4 | kV4All},
      {Address::Loopback(SP_INET6), 0, kV6},           {Address::Loopback(SP_INET6), 1, kV6},
      {Address::Any(SP_INET6), 0, kV4 | kV4All | kV6}, {Address::Any(SP_INET6), 1, kV6},
      {Address::V4Mapped(kLoopback4, 0), 0, kV4},      {Address::V4Mapped({0, 0, 0, 0}, 0), 0, kV4 | kV4All},
  };
}

struct ConnectorKind {
  Address address;
  int needs;  // the Cover that a listener must have
};

std::vector<ConnectorKind> ConnectorKinds() {
  return {
      {Address::Inet(kLoopback4, 0), kV4},     {Address::Inet(kOtherLoopback4, 0), kV4All},
      {Address::V4Mapped(kLoopback4, 0), kV4}, {Address::V4Mapped(kOtherLoopback4, 0), kV4All},
      {Address::Loopback(SP_INET6), kV6},
  };
}

struct ReachableListener : Listener {
  std::vector<Socket> guards;
};

// Listens on a port of which everything that the listener does not cover is kept from others, so that what is refused there is
// refused by nobody else's presence. Where this suite runs again and again in a network that others use too, every port that is
// given out by itself may be in TIME-WAIT on one of the protocols; every other try is below those, where few are used.
ReachableListener ListenOnKind(const ListenerKind& kind) {
  uint16_t port = 0;
  for (int attempt = 0; attempt < 200; ++attempt) {
    ReachableListener listener;
    listener.socket = Socket::New(kind.address.family());
    if (kind.v6only >= 0) static_cast<void>(Must(listener.socket.Set(SP_IPV6_V6ONLY, kind.v6only)));
    if (port == 0) {
      static_cast<void>(Must(listener.socket.Bind(kind.address)));
    } else if (!listener.socket.Bind(kind.address.WithPort(port)).ok()) {
      port = 0;
      continue;
    }
    listener.address = Must(listener.socket.LocalName());
    port = port == 0 ? static_cast<uint16_t>(1024 + listener.address.port() % 30000) : uint16_t{0};
    bool kept = true;
    for (const ConnectorKind& connector : ConnectorKinds()) {
      if ((kind.covers & connector.needs) == connector.needs || connector.address.IsV4Mapped()) continue;
      listener.guards.push_back(Socket::New(connector.address.family()));
      kept = kept && listener.guards.back().Bind(connector.address.WithPort(listener.address.port())).ok();
    }
    if (!kept) continue;  // another process has that port there; another port, then
    static_cast<void>(Must(listener.socket.Listen(16)));
    return listener;
  }
  Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "a port that is free on both protocols", outcome::violated);
  return {};  // not reached
}

const Over kBothProtocols = kDualOnly.Needs({SP_CAP_INET, SP_CAP_INET6});

}  // namespace

SCENARIO(Connect, EveryPairOfAddresses, kBothProtocols, connect::reaches_listener, connect::misses_listener, connect::peer_name) {
  for (const ListenerKind& kind : ListenerKinds()) {
    ReachableListener listener = ListenOnKind(kind);
    for (const ConnectorKind& connector : ConnectorKinds()) {
      Socket client = Socket::New(connector.address.family());
      const Result result = client.Connect(connector.address.WithPort(listener.address.port()));
      const bool covered = (kind.covers & connector.needs) == connector.needs;
      CHECK_REQUIREMENT(covered ? connect::reaches_listener : connect::misses_listener,
                        Outcome(result).With(fmt::format("{} against a listener on {}{}", result.text(), kind.address.ToString(),
                                                         kind.v6only == 1 ? " with V6ONLY" : "")));
      if (!result.ok()) continue;
      const Address wanted = connector.address.WithPort(listener.address.port());
      CHECK_REQUIREMENT(connect::peer_name, NameIs(client.PeerName(), wanted, "the client's peer"));
      // Taken out of the queue, so that the next one finds room.
      if (covered && WaitReady(listener.socket, SP_IN)) static_cast<void>(listener.socket.Accept());
    }
  }
}

SCENARIO(Connect, V6OnlyMeansIt, kBothProtocols, connect::v6only_listener, connect::v6only_client, connect::v6only_client_error) {
  ReachableListener v6only = ListenOnKind({Address::Any(SP_INET6), 1, kV6});
  const uint16_t port = v6only.address.port();
  for (const Address& address : {Address::Inet(kLoopback4, port), Address::V4Mapped(kLoopback4, port)}) {
    Socket client = Socket::New(address.family());
    if (address.family() == SP_INET6) static_cast<void>(Must(client.Set(SP_IPV6_V6ONLY, 0)));
    CHECK_REQUIREMENT(connect::v6only_listener, client.Connect(address));
  }
  ReachableListener listener = ListenOnKind({Address::Any(SP_INET6), 0, kV4 | kV4All | kV6});
  Socket client = Socket::New(SP_INET6);
  static_cast<void>(Must(client.Set(SP_IPV6_V6ONLY, 1)));
  const Result result = client.Connect(Address::V4Mapped(kLoopback4, listener.address.port()));
  CHECK_REQUIREMENT(connect::v6only_client, Holds(!result.ok(), result.text()));
  CHECK_REQUIREMENT(connect::v6only_client_error, result);
}

SCENARIO(Connect, BoundToTheOtherProtocol, kBothProtocols, connect::bound_to_ipv6_connects_ipv4,
         connect::bound_to_ipv4_connects_ipv6) {
  ReachableListener listener = ListenOnKind({Address::Any(SP_INET6), 0, kV4 | kV4All | kV6});
  const uint16_t port = listener.address.port();
  const auto from = [](const Address& local, const Address& to) {
    Socket client = Socket::New(SP_INET6);
    static_cast<void>(Must(client.Bind(local)));
    return client.Connect(to);
  };
  CHECK_REQUIREMENT(connect::bound_to_ipv6_connects_ipv4, from(Address::Loopback(SP_INET6), Address::V4Mapped(kLoopback4, port)));
  CHECK_REQUIREMENT(connect::bound_to_ipv4_connects_ipv6,
                    from(Address::V4Mapped(kLoopback4, 0), Address::Loopback(SP_INET6, port)));
}

SCENARIO(Connect, MappedNames, kBothProtocols, connect::mapped_names) {
  {
    Pair pair = ConnectedPair(net);  // an IPv4 client of an IPv6 listener
    const Address client = Must(pair.client.LocalName());
    const Address seen = Must(pair.server.PeerName());
    CHECK_REQUIREMENT(connect::mapped_names,
                      SameAddress(seen, SeenByListener(net, client), "an IPv4 client seen by an IPv6 socket"));
    const Address own = Must(pair.server.LocalName());
    CHECK_REQUIREMENT(connect::mapped_names,
                      SameAddress(own, SeenByListener(net, pair.listener.address), "the server's own address"));
  }
  ReachableListener listener = ListenOnKind({Address::Inet(kLoopback4, 0), -1, kV4});
  Socket client = Socket::New(SP_INET6);
  static_cast<void>(Must(client.Set(SP_IPV6_V6ONLY, 0)));
  const Address mapped = Address::V4Mapped(kLoopback4, listener.address.port());
  static_cast<void>(Must(client.Connect(mapped)));
  CHECK_REQUIREMENT(connect::mapped_names, NameIs(client.PeerName(), mapped, "an IPv4 server seen by an IPv6 socket"));
  const Address own = Must(client.LocalName());
  CHECK_REQUIREMENT(connect::mapped_names, Holds(own.IsV4Mapped(), "the client's own address: " + own.ToString()));
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(listener.socket.Accept());
  CHECK_REQUIREMENT(connect::mapped_names,
                    NameIs(server.PeerName(), Address::Inet(kLoopback4, own.port()), "an IPv6 client seen by an IPv4 socket"));
}

// ---- paths ----

SCENARIO(Connect, PathsThatLeadNowhere, kLocal, connect::unix_no_entry, connect::unix_not_directory, connect::unix_loop,
         connect::unix_not_socket) {
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(connect::unix_no_entry, client.Connect(Address::Unix(FreshPath())));

  const std::string file = FreshPath();
  std::ofstream(file) << "no socket";
  CHECK_REQUIREMENT(connect::unix_not_directory, client.Connect(Address::Unix(file + "/s")));

  const std::string loop = FreshPath();
  std::filesystem::create_symlink(loop, loop);
  CHECK_REQUIREMENT(connect::unix_loop, client.Connect(Address::Unix(loop)));

  // It can be read and written, so that its being no socket is all that is wrong.
  CHECK_REQUIREMENT(connect::unix_not_socket, client.Connect(Address::Unix(file)));
}

SCENARIO(Connect, PathsWhereNobodyListens, kLocal, connect::unix_not_listening, connect::unix_stale) {
  Listener bound = BoundOn(net);
  Socket client = net.NewConnecting();
  CHECK_REQUIREMENT(connect::unix_not_listening, client.Connect(bound.address));
  static_cast<void>(Must(bound.socket.Close()));
  CHECK_REQUIREMENT(connect::unix_stale, client.Connect(bound.address));
}

SCENARIO(Connect, PathsOfOtherTypes, kLocal.Needs({SP_CAP_UNIX_STREAM, SP_CAP_UNIX_SEQPACKET, SP_CAP_UNIX_DATAGRAM}),
         connect::unix_wrong_type) {
  for (const int32_t type : {SP_STREAM, SP_SEQPACKET, SP_DATAGRAM}) {
    if (type == net.type) continue;
    Socket other = Socket::New(SP_UNIX, type);
    const Address address = Address::Unix(FreshPath());
    static_cast<void>(Must(other.Bind(address)));
    if (type != SP_DATAGRAM) static_cast<void>(Must(other.Listen(4)));
    Socket client = net.NewConnecting();
    CHECK_REQUIREMENT(connect::unix_wrong_type, client.Connect(address));
  }
}

namespace {

// For its life, whoever may override the permissions of files gives that up in this thread.
class WithoutFilePrivilege {
 public:
#if defined(__linux__)
  WithoutFilePrivilege() {
    constexpr uid_t kNobody = 65534;
    if (geteuid() == 0) setfsuid(kNobody);
  }
  ~WithoutFilePrivilege() { setfsuid(geteuid()); }
#else
  WithoutFilePrivilege() {}
#endif
  WithoutFilePrivilege(const WithoutFilePrivilege&) = delete;
  WithoutFilePrivilege& operator=(const WithoutFilePrivilege&) = delete;

  // Ends the scenario unless the permissions of this file have just this effect.
  void Need(const std::string& path, bool writable) const {
#if defined(__linux__)
    if ((faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0) == writable) return;
#else
    static_cast<void>(path);
    static_cast<void>(writable);
#endif
    Host::Get().reporter().NotSupported("file_permissions", "the permissions of files mean nothing for this user");
  }
};

// Connects to the listener on `path` with everything allowed and then with `forbid` done; nothing else differs. The path
// starts in the scenario's own directory, so that no permission above it matters.
Outcome ConnectWhenForbidden(const Flavor& net, const std::string& path, const std::function<void()>& forbid) {
  namespace fs = std::filesystem;
  fs::permissions(".", fs::perms::group_exec | fs::perms::others_exec, fs::perm_options::add);
  Listener listener;
  listener.socket = net.NewListening();
  listener.address = Address::Unix(path);
  static_cast<void>(Must(listener.socket.Bind(listener.address)));
  static_cast<void>(Must(listener.socket.Listen(4)));
  fs::permissions(path, fs::perms::all);
  {
    const WithoutFilePrivilege without;
    without.Need(path, true);
    Socket allowed = net.NewConnecting();
    static_cast<void>(Must(allowed.Connect(listener.address)));
  }
  forbid();
  const WithoutFilePrivilege without;
  without.Need(path, false);
  Socket client = net.NewConnecting();
  return client.Connect(listener.address);
}

}  // namespace

SCENARIO(Connect, NeedsPermissionToWriteThePath, kLocal, connect::unix_no_write_permission) {
  namespace fs = std::filesystem;
  fs::current_path(ScratchDirectory());
  const std::string path = "s";
  const auto forbid = [&] { fs::permissions(path, fs::perms::owner_read | fs::perms::others_read); };
  CHECK_REQUIREMENT(connect::unix_no_write_permission, ConnectWhenForbidden(net, path, forbid));
}

SCENARIO(Connect, NeedsPermissionToSearchThePath, kLocal, connect::unix_no_search_permission) {
  namespace fs = std::filesystem;
  fs::current_path(ScratchDirectory());
  const std::string directory = "d";
  fs::create_directory(directory);
  fs::permissions(directory, fs::perms::all);
  const auto forbid = [&] { fs::permissions(directory, fs::perms::owner_read | fs::perms::others_read); };
  CHECK_REQUIREMENT(connect::unix_no_search_permission, ConnectWhenForbidden(net, directory + "/s", forbid));
  fs::permissions(directory, fs::perms::all);  // so that it can be removed
}

// ---- connected datagram sockets ----

SCENARIO(Connect, DatagramSocketsHaveAPeer, kDatagrams, connect::datagram_no_peer, connect::datagram_peer,
         connect::datagram_destination, connect::datagram_sender, connect::datagram_reconnect, connect::datagram_dissolve) {
  Listener one = BoundOn(net);
  Listener two = BoundOn(net);
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(connect::datagram_no_peer, socket.SendBytes("nobody"));

  const auto arrives = [](Socket& at, const std::string& text) {
    if (!WaitReady(at, SP_IN)) return Holds(false, "'" + text + "' did not arrive");
    RecvOptions options;
    options.flags = SP_MSG_DONTWAIT;
    const RecvResult received = at.Recv(64, options);
    return Same(std::string(received.data.begin(), received.data.end()), text, "what arrived");
  };
  const auto send_to = [](Socket& from, const Address& to, const std::string& text) {
    SendOptions options;
    options.form = SP_FORM_ADDRESS;
    options.to = to;
    static_cast<void>(Must(from.SendBytes(text, options)));
  };

  static_cast<void>(Must(socket.Connect(one.address)));
  CHECK_REQUIREMENT(connect::datagram_peer, NameIs(socket.PeerName(), one.address, "the peer"));
  const Address self = Must(socket.LocalName());
  static_cast<void>(socket.SendBytes("to one"));
  CHECK_REQUIREMENT(connect::datagram_destination, arrives(one.socket, "to one"));
  // The stranger's comes first: what is received must be the peer's all the same.
  send_to(two.socket, self, "from two");
  send_to(one.socket, self, "from one");
  CHECK_REQUIREMENT(connect::datagram_sender, arrives(socket, "from one"));
  CHECK_REQUIREMENT(connect::datagram_sender, Holds(Events(socket, SP_IN) == 0, "nothing more to receive"));

  static_cast<void>(Must(socket.Connect(two.address)));
  CHECK_REQUIREMENT(connect::datagram_reconnect, NameIs(socket.PeerName(), two.address, "the new peer"));
  static_cast<void>(socket.SendBytes("to two"));
  CHECK_REQUIREMENT(connect::datagram_reconnect, arrives(two.socket, "to two"));
  send_to(one.socket, self, "from one, late");
  send_to(two.socket, self, "from two, again");
  CHECK_REQUIREMENT(connect::datagram_reconnect, arrives(socket, "from two, again"));

  const Result dissolved = socket.Connect(Address::Unspecified());
  CHECK_REQUIREMENT(connect::datagram_dissolve, dissolved.ok() ? Outcome(socket.PeerName()) : Outcome(dissolved));
  if (dissolved.ok()) CHECK_REQUIREMENT(connect::datagram_no_peer, socket.SendBytes("nobody again"));
}

}  // namespace sockproof
