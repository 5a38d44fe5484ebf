// The stream behind a connection: what was sent is what arrives.
#include "battery/ends.h"
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/data.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

// Sends in one thread, receives in this one, and compares.
Outcome Transfer(Socket& from, Socket& to, const Payload& payload, std::size_t send_chunk, std::size_t recv_chunk,
                 const SendOptions& send = {}, const RecvOptions& recv = {}) {
  auto sender = Spawn("sender", [&] { SendAll(from, payload, send_chunk, send); });
  const Received received = ReceiveAll(to, payload, recv_chunk, recv);
  const std::string detail = fmt::format("{} of {} bytes, then {}; {}", received.bytes, payload.length, received.end.name(),
                                         received.difference.empty() ? "all of them right" : received.difference);
  // A sender that is left alone with an error on this side would wait for ever: what went wrong is told first.
  if (!received.Complete(payload)) return Holds(false, detail);
  sender.Join(seconds(15));
  return Holds(true, detail);
}

uint64_t Waiting(Socket& socket) { return static_cast<uint64_t>(Must(socket.Ioctl(SP_IOCTL_READABLE)).value()); }

}  // namespace

SCENARIO(Data, EverySizeArrivesIntact, kStreams, data::intact) {
  Pair pair = ConnectedPair(net);
  uint64_t seed = 1;
  bool intact = true;
  std::string detail = "every size";
  // Around the sizes at which implementations change their ways: a byte, a cache line, a segment, a page, a buffer.
  for (const uint64_t size :
       {1, 2, 3, 63, 64, 65, 1447, 1448, 1449, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 200000}) {
    const Outcome there = Transfer(pair.client, pair.server, Payload{++seed, 0, size}, 1 << 20, 1 << 20);
    const Outcome back = Transfer(pair.server, pair.client, Payload{++seed, 0, size}, 1 << 20, 1 << 20);
    if (intact && (there.name() != "holds" || back.name() != "holds")) {
      intact = false;
      detail = fmt::format("{} bytes: {} / {}", size, there.detail(), back.detail());
    }
  }
  CHECK_REQUIREMENT(data::intact, Holds(intact, detail));
}

SCENARIO(Data, OddChunksArriveIntact, kStreams, data::intact) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(data::intact, Transfer(pair.client, pair.server, Payload{31, 0, 20000}, 7, 1000));
  CHECK_REQUIREMENT(data::intact, Transfer(pair.server, pair.client, Payload{32, 0, 20000}, 3001, 11));
}

SCENARIO(Data, SixtyFourMebibytesArriveIntact,
         Over({{&kInet, &kInet6, &kUnix}, {}, {}}).Waits(milliseconds(150)).Limit(seconds(40)), data::intact_large) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(data::intact_large, Transfer(pair.client, pair.server, Payload{64, 0, uint64_t{64} << 20}, 1 << 18, 1 << 18));
}

SCENARIO(Data, BothDirectionsAtOnce, kStreams, data::both_ways) {
  Pair pair = ConnectedPair(net);
  const Payload there{41, 0, 3 << 20}, back{42, 0, 3 << 20};
  auto other = Spawn("server", [&] { return Transfer(pair.server, pair.client, back, 60000, 50000); });
  const Outcome first = Transfer(pair.client, pair.server, there, 70000, 40000);
  const Outcome second = other.Join(seconds(15));
  CHECK_REQUIREMENT(data::both_ways,
                    Holds(first.name() == "holds" && second.name() == "holds", first.detail() + " / " + second.detail()));
}

SCENARIO(Data, ConnectionsDoNotMix, kConnections, data::connections_apart) {
  Listener listener = ListenOn(net, 16);
  std::vector<Socket> clients, servers;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(ConnectTo(listener, net));
    servers.push_back(Must(listener.socket.Accept()));
  }
  // All of them send before any receives, in two rounds, each a stream of its own.
  for (uint64_t round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < clients.size(); ++i) SendAll(clients[i], Payload{100 + i, round * 500, 500});
  }
  bool apart = true;
  std::string detail = "eight connections";
  for (uint64_t i = 0; i < clients.size(); ++i) {
    for (uint64_t round = 0; round < 2; ++round) {
      const Payload expected{100 + i, round * 500, 500};
      const Received received = ReceiveAll(servers[i], expected, 500);
      if (received.Complete(expected)) continue;
      apart = false;
      detail = fmt::format("connection {}: {} bytes, {}", i, received.bytes, received.difference);
    }
  }
  CHECK_REQUIREMENT(data::connections_apart, Holds(apart, detail));
}

SCENARIO(Data, VectorsKeepTheirOrder, kStreams, data::vectors_fill_in_turn) {
  Pair pair = ConnectedPair(net);
  bool right = true;
  std::string detail = "every shape";
  uint64_t seed = 200;
  const std::vector<std::vector<uint64_t>> shapes = {
      {1000}, {1, 999}, {999, 1}, {0, 1000}, {1000, 0}, {0, 1, 0, 2, 0, 997, 0}, std::vector<uint64_t>(500, 2)};
  for (const int32_t send_form : {SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    for (const int32_t recv_form : {SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
      for (const auto& shape : shapes) {
        SendOptions send;
        send.form = send_form;
        send.pieces = shape;
        RecvOptions recv;
        recv.form = recv_form;
        recv.pieces = {shape.rbegin(), shape.rend()};
        const Outcome seen = Transfer(pair.client, pair.server, Payload{++seed, 0, 1000}, 1000, 1000, send, recv);
        if (right && seen.name() != "holds") {
          right = false;
          detail = fmt::format("{} parts, forms {} and {}: {}", shape.size(), send_form, recv_form, seen.detail());
        }
      }
    }
  }
  CHECK_REQUIREMENT(data::vectors_fill_in_turn, Holds(right, detail));
}

SCENARIO(Data, WhatIsNotTakenStays, kStreams, data::rest_stays) {
  Pair pair = ConnectedPair(net);
  const Payload payload{5, 0, 100};
  SendAll(pair.client, payload);
  const Received received = ReceiveAll(pair.server, payload, 9);
  CHECK_REQUIREMENT(data::rest_stays, Holds(received.Complete(payload),
                                            fmt::format("{} bytes in pieces of 9: {}", received.bytes, received.difference)));
}

SCENARIO(Data, OneRecvTakesSeveralSends, kStreams, data::sends_join) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.client, Payload{6, 0, 10});
  SendAll(pair.client, Payload{6, 10, 20});
  if (!WaitUntil([&] { return Waiting(pair.server) == 30; }, Patience(), "both sends")) {
    CHECK_REQUIREMENT(data::sends_join, Outcome(outcome::nothing, "30 bytes were never there"));
    return;
  }
  const RecvResult received = Must(pair.server.Recv(64));
  CHECK_REQUIREMENT(data::sends_join, received.value() == 30 ? Outcome(outcome::all_of_it, received.text())
                                                             : Outcome(outcome::part_of_it, received.text()));
}

SCENARIO(Data, ARecordIsOneRecv, kSeqpacketOnly, data::record_whole) {
  Pair pair = ConnectedPair(net);
  const std::vector<uint64_t> sizes = {1, 17, 1000, 30000, 5};
  uint64_t seed = 300;
  for (const uint64_t size : sizes) SendAll(pair.client, Payload{++seed, 0, size});
  seed = 300;
  bool whole = true;
  std::string detail = "five records";
  for (const uint64_t size : sizes) {
    const Payload expected{++seed, 0, size};
    const RecvResult record = Must(pair.server.Recv(65536));
    const std::string difference = expected.Difference(record.data.data(), record.data.size());
    if (record.data.size() == size && difference.empty()) continue;
    whole = false;
    detail = fmt::format("a record of {} came as {}: {}", size, record.data.size(), difference);
  }
  CHECK_REQUIREMENT(data::record_whole, Holds(whole, detail));
}

SCENARIO(Data, ARecordThatDoesNotFitIsCut, kSeqpacketOnly, data::record_rest_discarded, data::record_cut_is_told,
         data::record_real_length) {
  Pair pair = ConnectedPair(net);
  const Payload first{7, 0, 100}, second{8, 0, 20}, third{9, 0, 60};
  for (const Payload& record : {first, second, third}) SendAll(pair.client, record);
  RecvOptions message;
  message.form = SP_FORM_MESSAGE;
  const RecvResult cut = Must(pair.server.Recv(40, message));
  const RecvResult next = Must(pair.server.Recv(40, message));
  CHECK_REQUIREMENT(data::record_rest_discarded,
                    Holds(cut.data.size() == 40 && first.Difference(cut.data.data(), 40).empty() && next.data.size() == 20 &&
                              second.Difference(next.data.data(), next.data.size()).empty(),
                          cut.text() + "; " + next.text()));
  CHECK_REQUIREMENT(data::record_cut_is_told,
                    Holds((cut.flags & SP_MSG_TRUNC) != 0 && (next.flags & SP_MSG_TRUNC) == 0, cut.text() + "; " + next.text()));
  RecvOptions real;
  real.flags = SP_MSG_TRUNC;
  const Result length = pair.server.Recv(10, real);
  CHECK_REQUIREMENT(data::record_real_length, Holds(length.value() == 60, length.text()));
}

SCENARIO(Data, ACountIsWhatWasTaken, kStreams.Waits(milliseconds(150)), data::count_is_true, data::full_would_block,
         data::full_not_writable, data::drained_is_writable) {
  Pair pair = ConnectedPair(net);
  const uint64_t sent = FillSendPath(pair.client, 77);
  CHECK_REQUIREMENT(data::full_would_block, WithoutWaiting([&] { return pair.client.Send(Payload{77, sent, 1}); }));
  CHECK_REQUIREMENT(data::full_not_writable, Readiness((Events(pair.client, SP_OUT) & SP_OUT) != 0));
  const Payload expected{77, 0, sent};
  const Received received = ReceiveAll(pair.server, expected);
  const bool exact = received.Complete(expected) && Waiting(pair.server) == 0;
  CHECK_REQUIREMENT(data::count_is_true, Holds(exact, fmt::format("{} bytes taken, {} arrived and {} are waiting; {}", sent,
                                                                  received.bytes, Waiting(pair.server), received.difference)));
  CHECK_REQUIREMENT(data::drained_is_writable, Readiness(WaitReady(pair.client, SP_OUT)));
}

SCENARIO(Data, ASendThatTakesAPartSaysHowMuch, kStreams, data::count_is_true) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.SetModes(SP_NONBLOCKING)));
  constexpr uint64_t kMoreThanFits = uint64_t{16} << 20;
  const Result sent = Must(pair.client.Send(Payload{79, 0, kMoreThanFits}));
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  const Outcome seen = InGoodOrder(ReadToEnd(pair.server, Payload{79, 0, static_cast<uint64_t>(sent.value())}));
  CHECK_REQUIREMENT(data::count_is_true, Holds(seen.name() == outcome::delivered.text, sent.text() + "; " + seen.detail()));
}

SCENARIO(Data, ABlockedSendGoesOn, kStreams.Waits(milliseconds(150)), data::blocked_send_goes_on) {
  Pair pair = ConnectedPair(net);
  const uint64_t filled = FillSendPath(pair.client, 78);
  static_cast<void>(Must(pair.client.SetModes(0, SP_NONBLOCKING)));
  constexpr uint64_t kMore = 500'000;
  auto sender = Spawn("sender", [&] { SendAll(pair.client, Payload{78, filled, kMore}, kMore); });
  const bool waited = sender.WaitBlocked();
  const Payload expected{78, 0, filled + kMore};
  const Received received = ReceiveAll(pair.server, expected);
  CHECK_REQUIREMENT(data::blocked_send_goes_on,
                    Holds(waited && received.Complete(expected) && sender.DoneWithin(Patience()),
                          fmt::format("{}; {} of {} bytes arrived; {}", waited ? "it waited" : "it did not wait", received.bytes,
                                      expected.length, received.difference)));
  sender.Join();
}

SCENARIO(Data, ABlockedRecvWaitsForData, kConnections, data::blocked_recv_waits) {
  Pair pair = ConnectedPair(net);
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(100); });
  if (!receiver.WaitBlocked()) {
    CHECK_REQUIREMENT(data::blocked_recv_waits, Outcome(outcome::returned, "before any data: " + receiver.Join().text()));
    return;
  }
  SendAll(pair.client, Payload{9, 0, 3});
  CHECK_REQUIREMENT(data::blocked_recv_waits, receiver.Join().Counted());
}

SCENARIO(Data, PressureInBothDirections, kStreams.Waits(milliseconds(250)), data::pressure_both_ways) {
  Pair pair = ConnectedPair(net);
  const uint64_t there = FillSendPath(pair.client, 81), back = FillSendPath(pair.server, 82);
  for (Socket* socket : {&pair.client, &pair.server}) static_cast<void>(Must(socket->SetModes(0, SP_NONBLOCKING)));
  constexpr uint64_t kMore = 300'000;
  auto client = Spawn("client", [&] { SendAll(pair.client, Payload{81, there, kMore}); });
  auto server = Spawn("server", [&] { SendAll(pair.server, Payload{82, back, kMore}); });
  const Payload first{81, 0, there + kMore}, second{82, 0, back + kMore};
  auto drain = Spawn("drain", [&] { return ReceiveAll(pair.client, second); });
  const Received at_server = ReceiveAll(pair.server, first);
  const Received at_client = drain.Join(seconds(15));
  client.Join();
  server.Join();
  CHECK_REQUIREMENT(data::pressure_both_ways,
                    Holds(at_server.Complete(first) && at_client.Complete(second),
                          fmt::format("{} of {} and {} of {} bytes; {} {}", at_server.bytes, first.length, at_client.bytes,
                                      second.length, at_server.difference, at_client.difference)));
}

SCENARIO(Data, DataComesBeforeTheEnd, kConnections, data::data_before_end, data::end_repeats) {
  Pair pair = ConnectedPair(net);
  const Payload payload = SendWhatFits(pair.client, Payload{10, 0, 20000});
  static_cast<void>(Must(pair.client.Close()));
  const Received received = ReceiveAll(pair.server, payload, 5000);
  const RecvResult end = pair.server.Recv(16);
  CHECK_REQUIREMENT(data::data_before_end,
                    Holds(received.Complete(payload) && end.Seen().name() == "end_of_stream",
                          fmt::format("{} of {} bytes, then {}", received.bytes, payload.length, end.text())));
  for (int i = 0; i < 3; ++i) CHECK_REQUIREMENT(data::end_repeats, pair.server.Recv(16).Seen());
}

SCENARIO(Data, NothingSentIsNothing, kStreams, data::zero_send) {
  Pair pair = ConnectedPair(net);
  const Result sent = pair.client.Send(Payload{1, 0, 0});
  LetQuietTimePass(milliseconds(5));
  const bool quiet = Events(pair.server, SP_IN) == 0;
  CHECK_REQUIREMENT(data::zero_send, quiet ? sent.Counted() : Outcome(outcome::ready, "the receiver became readable"));
}

SCENARIO(Data, UnreadBytesAreCounted, kTcp, data::unread_bytes) {
  Pair pair = ConnectedPair(net);
  const bool none = Waiting(pair.server) == 0;
  SendAll(pair.client, Payload{11, 0, 1234});
  const bool all = WaitUntil([&] { return Waiting(pair.server) == 1234; }, Patience(), "1234 bytes");
  static_cast<void>(Must(pair.server.Recv(1000)));
  const uint64_t rest = Waiting(pair.server);
  CHECK_REQUIREMENT(data::unread_bytes,
                    Holds(none && all && rest == 234, fmt::format("0 at first: {}; 1234 then: {}; at last {}", none, all, rest)));
}

}  // namespace sockproof
