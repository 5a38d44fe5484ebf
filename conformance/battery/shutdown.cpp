// Half-close: arguments, each direction alone, both in all orders.
#include "catalogue/shutdown.h"

#include "battery/ends.h"
#include "battery/scenario.h"
#include "battery/ways.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

constexpr int32_t kEveryHow[] = {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR};
constexpr int32_t kEveryForm[] = {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR};

SendOptions SendForm(int32_t form, uint32_t flags = SP_MSG_NOSIGNAL) {
  SendOptions options;
  options.form = form;
  options.flags = flags;
  return options;
}

RecvOptions RecvForm(int32_t form, uint32_t flags = 0) {
  RecvOptions options;
  options.form = form;
  options.flags = flags;
  return options;
}

// A datagram socket that is connected to another one.
struct DatagramEnds {
  Socket near, far;
};
DatagramEnds ConnectedDatagrams(const Flavor& net) {
  DatagramEnds ends;
  Listener far = BoundOn(net);
  ends.near = net.NewConnecting();
  static_cast<void>(Must(ends.near.Connect(far.address)));
  ends.far = std::move(far.socket);
  return ends;
}

}  // namespace

SCENARIO(Shutdown, BadHow, kConnections, shutdown::bad_how, shutdown::bad_how_changes_nothing) {
  Pair pair = ConnectedPair(net);
  for (const int32_t how : {-1, 3, 4, 100, INT32_MAX, INT32_MIN}) CHECK_REQUIREMENT(shutdown::bad_how, pair.client.Shutdown(how));

  const Payload there{1, 0, 100}, back{2, 0, 100};
  bool whole = true;
  const auto pass = [&whole](Socket& from, Socket& to, const Payload& payload) {
    if (!from.Send(payload).ok()) {
      whole = false;
      return;
    }
    whole = whole && ReceiveAll(to, payload).Complete(payload);
  };
  pass(pair.client, pair.server, there);
  pass(pair.server, pair.client, back);
  CHECK_REQUIREMENT(shutdown::bad_how_changes_nothing, Holds(whole, "data in both directions afterwards"));
}

SCENARIO(Shutdown, BadDescriptor, kConnections, shutdown::bad_descriptor, shutdown::not_a_socket) {
  Pair pair = ConnectedPair(net);
  Socket gone = Socket::Borrowed(pair.client.handle());
  static_cast<void>(Must(pair.client.Close()));
  Socket never = Socket::Wrong(SP_HANDLE_INVALID), file = Socket::Wrong(SP_HANDLE_NOT_SOCKET);
  for (const int32_t how : kEveryHow) {
    CHECK_REQUIREMENT(shutdown::bad_descriptor, gone.Shutdown(how));
    CHECK_REQUIREMENT(shutdown::bad_descriptor, never.Shutdown(how));
    CHECK_REQUIREMENT(shutdown::not_a_socket, file.Shutdown(how));
  }
}

namespace {

void CheckUnconnected(const Flavor& net, const Requirement& requirement) {
  Socket fresh = net.NewConnecting();
  Listener bound = BoundOn(net);
  for (const int32_t how : kEveryHow) {
    CHECK_REQUIREMENT(requirement, fresh.Shutdown(how));
    CHECK_REQUIREMENT(requirement, bound.socket.Shutdown(how));
  }
}

}  // namespace

SCENARIO(Shutdown, Unconnected, kTcp46, shutdown::unconnected) { CheckUnconnected(net, shutdown::unconnected); }

SCENARIO(Shutdown, UnconnectedDatagrams, kDatagrams, shutdown::unconnected_udp) {
  CheckUnconnected(net, shutdown::unconnected_udp);
}

SCENARIO(Shutdown, UnconnectedLocal, kLocal, shutdown::unconnected_unix) {
  for (const int32_t how : kEveryHow) {
    Socket fresh = net.NewConnecting();
    CHECK_REQUIREMENT(shutdown::unconnected_unix, fresh.Shutdown(how));
  }
}

SCENARIO(Shutdown, AfterBothEnds, kConnections, shutdown::after_both_ends) {
  for (const int32_t how : kEveryHow) {
    Pair pair = ConnectedPair(net);
    static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
    MustEnd(pair.server);
    static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
    MustEnd(pair.client);
    CHECK_REQUIREMENT(shutdown::after_both_ends, pair.client.Shutdown(how));
    CHECK_REQUIREMENT(shutdown::after_both_ends, pair.server.Shutdown(how));
  }
}

SCENARIO(Shutdown, AfterBothEndsTcp, kTcp, shutdown::after_both_ends_tcp) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.server);
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.client);
  // The last acknowledgment may still be on its way.
  for (Socket* end : {&pair.client, &pair.server}) {
    WaitUntil([&] { return end->Shutdown(SP_SHUT_RD).error() == SP_ENOTCONN; }, Patience(), "the connection to be gone");
    for (const int32_t how : kEveryHow) CHECK_REQUIREMENT(shutdown::after_both_ends_tcp, end->Shutdown(how));
  }
}

SCENARIO(Shutdown, AfterReset, kTcp, shutdown::after_reset) {
  Pair pair = ConnectedPair(net);
  Abort(pair.server);
  MustBeReady(pair.client, SP_IN);
  for (const int32_t how : kEveryHow) CHECK_REQUIREMENT(shutdown::after_reset, pair.client.Shutdown(how));
}

// ---- SHUT_RD --------------------------------------------------------------------------------------------------------

SCENARIO(Shutdown, ReadEndsReceiving, kConnections, shutdown::rd_receive, shutdown::rd_receive_end, shutdown::rd_readable) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT})) {
    CHECK_REQUIREMENT(shutdown::rd_readable, WouldNotWait(pair.client, SP_IN, mechanism));
  }
  for (const int32_t form : kEveryForm) {
    for (const uint32_t flags : {0u, static_cast<uint32_t>(SP_MSG_DONTWAIT)}) {
      if (flags != 0 && (form == SP_FORM_FILE || form == SP_FORM_VECTOR)) continue;  // these take no flags
      // In a thread of its own: a receive that waits shows as one.
      auto receiving = Spawn("recv", [&] { return pair.client.Recv(10, RecvForm(form, flags)); });
      const Outcome seen = receiving.Join().Seen();
      CHECK_REQUIREMENT(shutdown::rd_receive, seen);
      CHECK_REQUIREMENT(shutdown::rd_receive_end, seen);
    }
  }
}

SCENARIO(Shutdown, ReadWithDataQueued, kConnections, shutdown::rd_buffered, shutdown::rd_buffered_kept) {
  Pair pair = ConnectedPair(net);
  const Payload payload{1, 0, 1000};
  SendAll(pair.server, payload);
  MustArrive(pair.client, payload.length);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  const Outcome data = InGoodOrder(ReadToEnd(pair.client, payload));
  CHECK_REQUIREMENT(shutdown::rd_buffered, data);
  CHECK_REQUIREMENT(shutdown::rd_buffered_kept, data);
}

SCENARIO(Shutdown, ReadThenDataArrive, kTcp, shutdown::rd_later_data, shutdown::rd_later_data_kept) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  const Payload payload{1, 0, 1000};
  SendAll(pair.server, payload);
  // The peer's FIN lies behind the data, so that what is to come has come when the stream has ended. (Where such data reset the
  // connection there is nothing to shut down.)
  static_cast<void>(pair.server.Shutdown(SP_SHUT_WR));
  Arrives(pair.client, payload.length);
  const Outcome data = ReadToEnd(pair.client, payload).data;
  CHECK_REQUIREMENT(shutdown::rd_later_data, data);
  CHECK_REQUIREMENT(shutdown::rd_later_data_kept, data);
}

SCENARIO(Shutdown, ReadWithDataQueuedResets, kTcp, shutdown::rd_queued_resets) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.server, Payload{1, 0, 1000});
  MustArrive(pair.client, 1000);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  CHECK_REQUIREMENT(shutdown::rd_queued_resets, NextSeen(pair.server));
}

SCENARIO(Shutdown, ReadThenDataArriveResets, kTcp, shutdown::rd_later_resets) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  SendAll(pair.server, Payload{1, 0, 1000});
  CHECK_REQUIREMENT(shutdown::rd_later_resets, NextSeen(pair.server));
}

SCENARIO(Shutdown, ReadLeavesSending, kConnections, shutdown::rd_keeps_sending) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  const Payload payload{1, 0, 300000};
  auto sending = Spawn("send", [&] {
    SendAll(pair.client, payload);
    return Must(pair.client.Shutdown(SP_SHUT_WR));
  });
  CHECK_REQUIREMENT(shutdown::rd_keeps_sending, InGoodOrder(ReadToEnd(pair.server, payload)));
  static_cast<void>(sending.Join());
}

SCENARIO(Shutdown, ReadIsSilent, kTcp, shutdown::rd_silent) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  // Whatever SHUT_RD had put on the wire would have come before this byte.
  static_cast<void>(Must(pair.client.SendBytes("x")));
  const RecvResult byte = Must(pair.server.Recv(10));
  const uint32_t events = Events(pair.server, SP_IN | SP_RDHUP);
  const Result sent = pair.server.SendBytes("y");
  CHECK_REQUIREMENT(shutdown::rd_silent,
                    Holds(byte.value() == 1 && events == 0 && sent.ok(),
                          fmt::format("one byte came ({}), events {:#x}, then {}", byte.value(), events, sent.text())));
}

SCENARIO(Shutdown, ReadRefusesLocalSends, kLocal, shutdown::rd_peer_send_unix) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  CHECK_REQUIREMENT(shutdown::rd_peer_send_unix, pair.server.SendBytes("x"));
}

SCENARIO(Shutdown, ReadThenCloseWithUnreadData, kTcp, shutdown::rd_unread_close) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.server, Payload{1, 0, 1000});
  MustArrive(pair.client, 1000);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_RD)));
  static_cast<void>(Must(pair.client.Close()));
  CHECK_REQUIREMENT(shutdown::rd_unread_close, NextSeen(pair.server));
}

// ---- SHUT_WR --------------------------------------------------------------------------------------------------------

SCENARIO(Shutdown, WriteEndsSending, kConnections, shutdown::wr_send, shutdown::wr_send_nothing, shutdown::wr_writable) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT})) {
    CHECK_REQUIREMENT(shutdown::wr_writable, WouldNotWait(pair.client, SP_OUT, mechanism));
  }
  for (const int32_t form : kEveryForm) {
    CHECK_REQUIREMENT(shutdown::wr_send, pair.client.Send(Payload{1, 0, 10}, SendForm(form)));
    CHECK_REQUIREMENT(shutdown::wr_send, pair.client.Send(Payload{1, 0, 100000}, SendForm(form)));
  }
  CHECK_REQUIREMENT(shutdown::wr_send_nothing, pair.client.Send(Payload{1, 0, 0}).Counted());
}

SCENARIO(Shutdown, WriteEndsSendingDatagrams, kDatagrams, shutdown::wr_send_udp) {
  DatagramEnds ends = ConnectedDatagrams(net);
  static_cast<void>(Must(ends.near.SendBytes("before")));
  static_cast<void>(Must(ends.near.Shutdown(SP_SHUT_WR)));
  CHECK_REQUIREMENT(shutdown::wr_send_udp, ends.near.SendBytes("after"));
}

SCENARIO(Shutdown, WriteRaisesSigpipe, kStreams.Needs({SP_CAP_SIGNALS}), shutdown::wr_sigpipe, shutdown::wr_nosignal) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  for (const int32_t form : kEveryForm) {
    TakePipeSignals();
    const Result result = pair.client.Send(Payload{1, 0, 10}, SendForm(form, 0));
    CHECK_REQUIREMENT(shutdown::wr_sigpipe, Outcome::OfNumber(static_cast<int64_t>(TakePipeSignals()), result.text()));
    if (form == SP_FORM_FILE || form == SP_FORM_VECTOR) continue;  // these take no flags
    const Result quiet = pair.client.Send(Payload{1, 0, 10}, SendForm(form));
    CHECK_REQUIREMENT(shutdown::wr_nosignal, Outcome::OfNumber(static_cast<int64_t>(TakePipeSignals()), quiet.text()));
  }
}

SCENARIO(Shutdown, WriteRaisesNoSigpipeForRecords, kSeqpacketOnly.Needs({SP_CAP_SIGNALS}), shutdown::wr_sigpipe_seqpacket) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  TakePipeSignals();
  const Result result = pair.client.Send(Payload{1, 0, 10}, SendForm(SP_FORM_DEFAULT, 0));
  CHECK_REQUIREMENT(shutdown::wr_sigpipe_seqpacket, Outcome::OfNumber(static_cast<int64_t>(TakePipeSignals()), result.text()));
}

SCENARIO(Shutdown, WriteEndsTheStream, kConnections, shutdown::wr_then_end, shutdown::wr_peer_end, shutdown::wr_no_early_end,
         shutdown::wr_no_error, shutdown::wr_peer_readable) {
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{4096}, uint64_t{300000}}) {
    Pair pair = ConnectedPair(net);
    CHECK_REQUIREMENT(shutdown::wr_no_early_end, pair.server.Recv(1, RecvForm(SP_FORM_DEFAULT, SP_MSG_DONTWAIT)).Seen());
    const Payload payload{1, 0, length};
    auto sending = Spawn("send", [&] {
      SendAll(pair.client, payload);
      return Must(pair.client.Shutdown(SP_SHUT_WR));
    });
    CHECK_REQUIREMENT(shutdown::wr_then_end, InGoodOrder(ReadToEnd(pair.server, payload)));
    static_cast<void>(sending.Join());
    for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT})) {
      CHECK_REQUIREMENT(shutdown::wr_peer_readable, WouldNotWait(pair.server, SP_IN, mechanism));
    }
    for (const int32_t form : kEveryForm) CHECK_REQUIREMENT(shutdown::wr_peer_end, NextSeen(pair.server, RecvForm(form)));
    CHECK_REQUIREMENT(shutdown::wr_no_error, pair.client.TakeError());
    CHECK_REQUIREMENT(shutdown::wr_no_error, pair.server.TakeError());
  }
}

SCENARIO(Shutdown, WriteShowsAsHalfHangUp, kStreams, shutdown::wr_peer_rdhup) {
  Pair pair = ConnectedPair(net);
  const uint32_t before = Events(pair.server, SP_RDHUP);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  const uint32_t after = Events(pair.server, SP_RDHUP, Patience());
  CHECK_REQUIREMENT(shutdown::wr_peer_rdhup, Readiness((before & SP_RDHUP) == 0 && (after & SP_RDHUP) != 0,
                                                       fmt::format("events {:#x} before, {:#x} after", before, after)));
}

SCENARIO(Shutdown, WriteIsNoHangUp, kTcp, shutdown::wr_no_hangup) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.server);
  for (Socket* end : {&pair.client, &pair.server}) {
    CHECK_REQUIREMENT(shutdown::wr_no_hangup,
                      Readiness((Events(*end, SP_IN | SP_OUT, Nanoseconds(0), EventMechanism()) & SP_HUP) != 0));
  }
}

SCENARIO(Shutdown, WriteLeavesReceiving, kConnections, shutdown::wr_keeps_receiving, shutdown::peer_half_closes) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.server);
  // In pieces that are each answered for by the next wait, and then as a flood that fills every buffer on the way.
  const Payload first{1, 0, 100}, flood{1, 100, 1000000};
  SendAll(pair.server, first);
  const Received piece = ReceiveAll(pair.client, first);
  auto sending = Spawn("send", [&] {
    SendAll(pair.server, flood);
    return Must(pair.server.Shutdown(SP_SHUT_WR));
  });
  const Passage passage = ReadToEnd(pair.client, flood);
  static_cast<void>(sending.Join());
  const Outcome both = piece.Complete(first) ? InGoodOrder(passage) : piece.end.With("the first piece did not come whole");
  CHECK_REQUIREMENT(shutdown::wr_keeps_receiving, both);
  CHECK_REQUIREMENT(shutdown::peer_half_closes, both);
}

SCENARIO(Shutdown, WriteWithUnreadData, kConnections, shutdown::wr_with_unread) {
  Pair pair = ConnectedPair(net);
  const Payload unread{1, 0, 1000}, last{2, 0, 1000};
  SendAll(pair.server, unread);
  MustArrive(pair.client, unread.length);
  SendAll(pair.client, last);
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  CHECK_REQUIREMENT(shutdown::wr_with_unread, InGoodOrder(ReadToEnd(pair.server, last)));
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
  CHECK_REQUIREMENT(shutdown::wr_with_unread, InGoodOrder(ReadToEnd(pair.client, unread)));
}

SCENARIO(Shutdown, PeerNameAfterwards, kConnections, shutdown::peer_name_after) {
  for (const int32_t how : kEveryHow) {
    Pair pair = ConnectedPair(net);
    const Address before = Must(pair.client.PeerName());
    static_cast<void>(Must(pair.client.Shutdown(how)));
    const NameResult after = pair.client.PeerName();
    CHECK_REQUIREMENT(shutdown::peer_name_after, after.ok() && after.address != before
                                                     ? SameAddress(after.address, before, "the peer after a shutdown")
                                                     : Outcome(after));
  }
}

}  // namespace sockproof
