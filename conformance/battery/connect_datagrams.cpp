// connect() on datagram sockets that gives them a peer, another one, none, or everybody.
#include "battery/held.h"
#include "battery/scenario.h"
#include "catalogue/connect.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

void SendTo(Socket& from, const Address& to, const std::string& text, Where where = SOCKPROOF_HERE) {
  SendOptions options;
  options.form = SP_FORM_ADDRESS;
  options.to = to;
  static_cast<void>(Must(from.SendBytes(text, options), where));
}

}  // namespace

SCENARIO(Connect, DatagramsToTheAddressOfZeros, kDatagrams, connect::datagram_zero_dissolves, connect::datagram_zero_transfer) {
  Listener peer = BoundOn(net);
  Socket socket = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(Must(socket.Connect(peer.address)));
  const Result dissolved = socket.Connect(Address::Any(net.connect_family));
  CHECK_REQUIREMENT(connect::datagram_zero_dissolves, dissolved.ok() ? Outcome(socket.PeerName()) : Outcome(dissolved));
  CHECK_REQUIREMENT(connect::datagram_zero_transfer, socket.SendBytes("to nobody"));
  CHECK_REQUIREMENT(connect::datagram_zero_transfer, socket.Recv(10));
}

SCENARIO(Connect, DatagramsOfAnEarlierPeer, kDatagrams, connect::datagram_reconnect_discards) {
  Listener one = BoundOn(net), two = BoundOn(net);
  Socket socket = net.NewConnecting(SP_NONBLOCKING);
  static_cast<void>(Must(socket.Connect(one.address)));
  SendTo(one.socket, Must(socket.LocalName()), "from one");
  MustBeReady(socket, SP_IN);
  static_cast<void>(Must(socket.Connect(two.address)));
  CHECK_REQUIREMENT(connect::datagram_reconnect_discards, socket.Recv(10).Seen());
}

SCENARIO(Connect, DatagramsToEverybody, (Over{{&kUdp}, {}, {}}), connect::datagram_broadcast,
         connect::datagram_broadcast_allowed) {
  const Address everybody = Address::Inet({255, 255, 255, 255}, 9);
  Socket socket = net.NewConnecting();
  CHECK_REQUIREMENT(connect::datagram_broadcast, socket.Connect(everybody));
  static_cast<void>(Must(socket.Set(SP_SO_BROADCAST, 1)));
  CHECK_REQUIREMENT(connect::datagram_broadcast_allowed, socket.Connect(everybody));
}

}  // namespace sockproof
