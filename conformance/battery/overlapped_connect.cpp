// ConnectEx and DisconnectEx.
#include "battery/overlapped_support.h"
#include "catalogue/overlapped.h"

namespace sockproof {
namespace {

// A connection that ConnectEx made, both ends of it ordinary sockets.
struct Made {
  Listener listener;
  Socket client;
  Socket server;
};
Made MakeConnection(const Flavor& net, Where where = SOCKPROOF_HERE) {
  Made made{ListenOn(net, 16, where), BoundClient(net, where), {}};
  Pending pending = BeginConnect(made.client, made.listener.address);
  static_cast<void>(Must(pending.Wait(Patience(), where), where));
  Step(UpdateConnected(made.client), where);
  made.server = Must(AcceptNow(made.listener.socket, {}, where), where);
  return made;
}

}  // namespace

SCENARIO(Overlapped, AConnect, kOverlapped, overlapped::connect_completes, overlapped::connect_context,
         overlapped::connect_time) {
  Listener listener = ListenOn(net);
  Socket client = BoundClient(net);
  Pending pending = BeginConnect(client, listener.address);
  CHECK_REQUIREMENT(overlapped::connect_completes, pending.Settle());
  Socket server = Must(AcceptNow(listener.socket));
  const OptionResult time = client.Get(SP_SO_CONNECT_TIME);
  CHECK_REQUIREMENT(overlapped::connect_time, Holds(time.ok() && time.integer >= 0 && time.integer < 60, time.text()));
  Step(UpdateConnected(client));
  const NameResult peer = client.PeerName();
  const std::string wrong = OneWay(client, server, Payload{1, 0, 100});
  const Result shut = client.Shutdown(SP_SHUT_WR);
  const bool ended = WaitReady(server, SP_IN) && server.Recv(16).Seen().name() == "end_of_stream";
  CHECK_REQUIREMENT(overlapped::connect_context,
                    Holds(peer.ok() && peer.address == listener.address && wrong.empty() && shut.ok() && ended,
                          peer.text() + "; " + wrong + "; " + shut.text() + (ended ? "" : "; no end")));
}

SCENARIO(Overlapped, AConnectWithFirstData, kOverlapped, overlapped::connect_first_data, overlapped::connect_completes) {
  Listener listener = ListenOn(net);
  for (const std::size_t length : {std::size_t{1}, std::size_t{1000}, std::size_t{20000}}) {
    const std::vector<uint8_t> bytes = Payload{length, 0, length}.Bytes();
    Socket client = BoundClient(net);
    BeginConnectOptions options;
    options.first_data.assign(bytes.begin(), bytes.end());
    Pending pending = BeginConnect(client, listener.address, options);
    Socket server = Must(AcceptNow(listener.socket));
    const Received received = ReceiveAll(server, Payload{length, 0, length});
    CHECK_REQUIREMENT(overlapped::connect_completes, pending.Settle());
    const int64_t said = pending.Done() ? pending.Wait().value() : -1;
    CHECK_REQUIREMENT(
        overlapped::connect_first_data,
        Holds(said == static_cast<int64_t>(length) && received.Complete(Payload{length, 0, length}),
              fmt::format("{} bytes of {} said, {} received {}", said, length, received.bytes, received.difference)));
  }
}

SCENARIO(Overlapped, AConnectToNobody, kOverlapped, overlapped::connect_refused, overlapped::connect_again) {
  Listener later = BoundOn(net);
  Socket first = BoundClient(net), second = BoundClient(net);
  Pending one = BeginConnect(first, later.address), two = BeginConnect(second, later.address);
  CHECK_REQUIREMENT(overlapped::connect_refused, one.Settle());
  CHECK_REQUIREMENT(overlapped::connect_refused, two.Settle());
  Step(later.socket.Listen(4));
  Pending again = BeginConnect(first, later.address);
  CHECK_REQUIREMENT(overlapped::connect_again, again.Settle());
  auto plain = Spawn("connect", [&] { return second.Connect(later.address); });
  CHECK_REQUIREMENT(overlapped::connect_again, Settled(plain));
}

SCENARIO(Overlapped, AConnectOnAWrongSocket, kOverlapped, overlapped::connect_unbound, overlapped::connect_listening,
         overlapped::connect_connected, overlapped::connect_zero_address, overlapped::connect_no_overlapped) {
  Listener listener = ListenOn(net), other = ListenOn(net);
  const auto outcome_of = [](Pending pending) { return pending.Settle(); };
  Socket unbound = net.NewConnecting();
  CHECK_REQUIREMENT(overlapped::connect_unbound, outcome_of(BeginConnect(unbound, listener.address)));
  const Address reach = net.dual() ? SeenByListener(net, listener.address) : listener.address;
  CHECK_REQUIREMENT(overlapped::connect_listening, outcome_of(BeginConnect(other.socket, reach)));
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(overlapped::connect_connected, outcome_of(BeginConnect(pair.client, listener.address)));
  Socket zero = BoundClient(net);
  CHECK_REQUIREMENT(overlapped::connect_zero_address,
                    outcome_of(BeginConnect(zero, Address::Any(net.connect_family, listener.address.port()))));
  Socket client = BoundClient(net);
  CHECK_REQUIREMENT(overlapped::connect_no_overlapped, Refused(ConnectWithoutOverlapped(client, listener.address)));
}

SCENARIO(Overlapped, AConnectUnderWay, kTcp46.Needs({SP_CAP_OVERLAPPED, SP_CAP_BLACK_HOLE}), overlapped::connect_in_progress,
         overlapped::connect_time_unconnected, overlapped::connect_cancelled) {
  const Address hole = BlackHole(net.connect_family);
  const Address nowhere = hole.port() != 0 ? hole : hole.WithPort(7);  // where the address alone swallows everything
  Socket client = net.NewConnecting();
  Step(client.Bind(Address::Any(net.connect_family)));
  Pending pending = BeginConnect(client, nowhere);
  LetQuietTimePass(milliseconds(20));
  CHECK_REQUIREMENT(overlapped::connect_time_unconnected, Outcome::OfNumber(Must(client.Get(SP_SO_CONNECT_TIME)).integer));
  Pending second = BeginConnect(client, nowhere);
  CHECK_REQUIREMENT(overlapped::connect_in_progress, second.Settle(milliseconds(100)));
  static_cast<void>(pending.Cancel());
  CHECK_REQUIREMENT(overlapped::connect_cancelled, pending.Settle());
}

SCENARIO(Overlapped, ADisconnect, kOverlapped, overlapped::disconnect_completes, overlapped::disconnect_ends) {
  for (const bool overlapped : {true, false}) {
    Made made = MakeConnection(net);
    // Who is told of the end ends its own side as well: nobody is left to be waited for.
    auto peer = Spawn("peer", [&] {
      if (!WaitReady(made.server, SP_IN)) return Outcome(outcome::pending);
      Outcome seen = made.server.Recv(16).Seen();
      static_cast<void>(made.server.Close());
      return seen;
    });
    if (overlapped) {
      Pending pending = BeginDisconnect(made.client);
      CHECK_REQUIREMENT(overlapped::disconnect_completes, pending.Settle());
    } else {
      auto blocking = Spawn("disconnect", [&] { return Disconnect(made.client); });
      CHECK_REQUIREMENT(overlapped::disconnect_completes, Settled(blocking));
    }
    CHECK_REQUIREMENT(overlapped::disconnect_ends, peer.Join(2 * Patience()));
  }
}

// The other end is closed first: it is the one that waits out the connection, and the socket is free at once.
SCENARIO(Overlapped, ASocketIsUsedAgain, kOverlapped, overlapped::disconnect_completes, overlapped::disconnect_reused_connect,
         overlapped::disconnect_reused_accept) {
  DisconnectOptions reuse;
  reuse.reuse = true;
  {
    Made made = MakeConnection(net);
    Listener other = ListenOn(net);
    Step(made.server.Close());
    MustBeReady(made.client, SP_IN);
    Pending pending = BeginDisconnect(made.client, reuse);
    CHECK_REQUIREMENT(overlapped::disconnect_completes, pending.Settle());
    Pending again = BeginConnect(made.client, other.address);
    const Outcome connected = again.Settle();
    CHECK_REQUIREMENT(overlapped::disconnect_reused_connect, connected);
    if (connected.name() == "ok") {
      Step(UpdateConnected(made.client));
      Socket server = Must(AcceptNow(other.socket));
      const Outcome works = BothWays(made.client, server);
      CHECK_REQUIREMENT(overlapped::disconnect_reused_connect, works.name() == "holds" ? connected : works);
    }
  }
  Listener listener = ListenOn(net);
  Socket on = net.NewListening();
  Pending accept = BeginAccept(listener.socket, on);
  Socket client = ConnectTo(listener, net);
  static_cast<void>(Must(accept.Wait()));
  Step(UpdateAccepted(on, listener.socket));
  Step(client.Close());
  MustBeReady(on, SP_IN);
  Pending pending = BeginDisconnect(on, reuse);
  CHECK_REQUIREMENT(overlapped::disconnect_completes, pending.Settle());
  Pending again = BeginAccept(listener.socket, on);
  Socket next = ConnectTo(listener, net);
  const Outcome accepted = again.Settle();
  CHECK_REQUIREMENT(overlapped::disconnect_reused_accept, accepted);
  if (accepted.name() == "ok") {
    Step(UpdateAccepted(on, listener.socket));
    const Outcome works = BothWays(next, on, 2);
    CHECK_REQUIREMENT(overlapped::disconnect_reused_accept, works.name() == "holds" ? accepted : works);
  }
}

SCENARIO(Overlapped, AWrongDisconnect, kOverlapped, overlapped::disconnect_reserved, overlapped::disconnect_flags,
         overlapped::disconnect_unconnected) {
  Made made = MakeConnection(net);
  const auto outcome_of = [](Pending pending) { return pending.Settle(); };
  DisconnectOptions reserved, flags;
  reserved.reserved = 1;
  flags.extra_flags = 0x40000000;
  CHECK_REQUIREMENT(overlapped::disconnect_reserved, outcome_of(BeginDisconnect(made.client, reserved)));
  CHECK_REQUIREMENT(overlapped::disconnect_flags, outcome_of(BeginDisconnect(made.client, flags)));
  Socket fresh = BoundClient(net);
  CHECK_REQUIREMENT(overlapped::disconnect_unconnected, outcome_of(BeginDisconnect(fresh)));
  CHECK_REQUIREMENT(overlapped::disconnect_unconnected, outcome_of(BeginDisconnect(made.listener.socket)));
}

}  // namespace sockproof
