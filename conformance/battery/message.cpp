// send and recv themselves: flags, forms, time-outs, signals, wrong arguments.
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/message.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

constexpr milliseconds kTimeout{150};
constexpr milliseconds kTick{10};  // what an implementation may round a time limit by: a tick of a 100 Hz timer

// A blocking socket whose path is full.
uint64_t FillAndBlock(Socket& socket) {
  const uint64_t filled = FillSendPath(socket);
  static_cast<void>(Must(socket.SetModes(0, SP_NONBLOCKING)));
  return filled;
}

// How long a call took that kTimeout is to end, and what it came to.
struct TimedOut {
  Outcome time, result;
};
template <typename Call>
TimedOut WatchTimeOut(Call call) {
  auto task = Spawn("a call with a time-out", [call] {
    const Stopwatch watch;
    const Outcome result = call();
    return TimedOut{Timing(watch, kTimeout, kTick), result};
  });
  if (!task.DoneWithin(Patience())) return {outcome::still_blocked, outcome::still_blocked};
  return task.Join();
}

RecvOptions WithFlags(uint32_t flags) {
  RecvOptions options;
  options.flags = flags;
  return options;
}

}  // namespace

SCENARIO(Message, PeekLeavesTheData, kConnections, message::peek_keeps) {
  Pair pair = ConnectedPair(net);
  const Payload payload{1, 0, 50};
  SendAll(pair.client, payload);
  MustBeReady(pair.server, SP_IN);
  const RecvResult once = pair.server.Recv(50, WithFlags(SP_MSG_PEEK)), part = pair.server.Recv(10, WithFlags(SP_MSG_PEEK));
  const RecvResult taken = pair.server.Recv(50);
  const auto right = [&](const RecvResult& seen, uint64_t size) {
    return seen.ok() && seen.data.size() == size && payload.Difference(seen.data.data(), size).empty();
  };
  static_cast<void>(Must(pair.server.SetModes(SP_NONBLOCKING)));
  const Result after = pair.server.Recv(50);
  CHECK_REQUIREMENT(message::peek_keeps,
                    Holds(right(once, 50) && right(part, 10) && right(taken, 50) && after.error() == SP_EAGAIN,
                          once.text() + "; " + part.text() + "; " + taken.text() + "; " + after.text()));
}

SCENARIO(Message, WaitAllWaitsForAll, kStreams, message::waitall_waits) {
  Pair pair = ConnectedPair(net);
  const Payload payload{2, 0, 1000};
  SendAll(pair.client, Payload{2, 0, 400});
  MustBeReady(pair.server, SP_IN);
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(1000, WithFlags(SP_MSG_WAITALL)); });
  const bool waited = receiver.WaitBlocked();
  SendAll(pair.client, Payload{2, 400, 600});
  const RecvResult received = receiver.Join();
  CHECK_REQUIREMENT(message::waitall_waits, Holds(waited && received.value() == 1000 &&
                                                      payload.Difference(received.data.data(), received.data.size()).empty(),
                                                  fmt::format("waited: {}; {}", waited, received.text())));
}

SCENARIO(Message, WaitAllEndsWithTheStream, kStreams, message::waitall_end) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.client, Payload{3, 0, 400});
  MustBeReady(pair.server, SP_IN);
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(1000, WithFlags(SP_MSG_WAITALL)); });
  const bool waited = receiver.WaitBlocked();
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  const RecvResult received = receiver.Join();
  CHECK_REQUIREMENT(message::waitall_end,
                    Holds(waited && received.value() == 400, fmt::format("waited: {}; {}", waited, received.text())));
}

SCENARIO(Message, DontWaitIsForOneCall, kConnections, message::dontwait_empty) {
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(message::dontwait_empty, WithoutWaiting([&] { return pair.server.Recv(10, WithFlags(SP_MSG_DONTWAIT)); }));
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(10); });
  if (!receiver.WaitBlocked())
    CHECK_REQUIREMENT(message::dontwait_empty, Outcome(outcome::returned, "the next recv did not wait"));
  SendAll(pair.client, Payload{4, 0, 1});
  static_cast<void>(Must(receiver.Join()));
}

SCENARIO(Message, DontWaitDoesNotWaitForRoom, kStreams.Waits(milliseconds(150)), message::dontwait_full) {
  Pair pair = ConnectedPair(net);
  FillAndBlock(pair.client);
  SendOptions options;
  options.flags = SP_MSG_DONTWAIT | SP_MSG_NOSIGNAL;
  CHECK_REQUIREMENT(message::dontwait_full, WithoutWaiting([&] { return pair.client.Send(Payload{5, 0, 100}, options); }));
}

SCENARIO(Message, NonBlockingRecvFailsAtOnce, kConnections, message::nonblocking_empty) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.SetModes(SP_NONBLOCKING)));
  static_cast<void>(Must(pair.client.SetModes(SP_NONBLOCKING)));
  for (const int32_t form : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    RecvOptions options;
    options.form = form;
    for (Socket* end : {&pair.server, &pair.client}) {
      CHECK_REQUIREMENT(message::nonblocking_empty, WithoutWaiting([&] { return end->Recv(10, options); }));
    }
  }
}

SCENARIO(Message, RecvTimesOut, kConnections.Waits(milliseconds(300)), message::recv_timeout_error, message::recv_timeout_time) {
  for (const int32_t form : {SP_FORM_DEFAULT, SP_FORM_MESSAGE}) {
    Pair pair = ConnectedPair(net);  // a new one each time: Winsock promises nothing of a connection after a time-out
    static_cast<void>(Must(pair.server.SetDuration(SP_SO_RCVTIMEO, kTimeout)));
    RecvOptions options;
    options.form = form;
    const TimedOut seen = WatchTimeOut([&pair, options] { return pair.server.Recv(10, options); });
    CHECK_REQUIREMENT(message::recv_timeout_time, seen.time);
    CHECK_REQUIREMENT(message::recv_timeout_error, seen.result);
    if (seen.result.name() == outcome::still_blocked.text) return;  // the socket is in use
  }
}

SCENARIO(Message, ATimeOutIsNoEnd, kConnections.Waits(milliseconds(150)), message::recv_after_timeout) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.SetDuration(SP_SO_RCVTIMEO, kTimeout)));
  if (WatchTimeOut([&pair] { return pair.server.Recv(10); }).result.name() == outcome::still_blocked.text) {
    CHECK_REQUIREMENT(message::recv_after_timeout, Holds(false, "the recv did not time out"));
    return;  // the socket is in use
  }
  SendAll(pair.client, Payload{6, 0, 4});
  const RecvResult received = WaitReady(pair.server, SP_IN) ? pair.server.Recv(10) : RecvResult();
  CHECK_REQUIREMENT(message::recv_after_timeout, Holds(received.ok() && received.data.size() == 4, received.text()));
}

SCENARIO(Message, ATimeOutReturnsThePartThatCame, kStreams.Waits(milliseconds(150)), message::recv_timeout_partial,
         message::recv_timeout_data) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.SetDuration(SP_SO_RCVTIMEO, kTimeout)));
  SendAll(pair.client, Payload{6, 0, 4});
  MustBeReady(pair.server, SP_IN);
  CHECK_REQUIREMENT(message::recv_timeout_data, pair.server.Recv(10).Counted());
  SendAll(pair.client, Payload{6, 0, 5});
  MustBeReady(pair.server, SP_IN);
  CHECK_REQUIREMENT(message::recv_timeout_partial, pair.server.Recv(10, WithFlags(SP_MSG_WAITALL)).Counted());
}

SCENARIO(Message, AClearedTimeOutIsNone, kConnections.Waits(milliseconds(250)), message::recv_timeout_cleared,
         message::recv_timeout_poll) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.SetDuration(SP_SO_RCVTIMEO, milliseconds(20))));
  const Stopwatch watch;
  Watcher watcher(DefaultMechanism());
  static_cast<void>(Must(watcher.Add(pair.server, SP_IN)));
  const WaitResult polled = watcher.Wait(milliseconds(100));
  CHECK_REQUIREMENT(message::recv_timeout_poll, Holds(polled.ok() && polled.value() == 0 && watch.Elapsed() >= milliseconds(99),
                                                      polled.text() + ", " + watch.Describe(milliseconds(100))));
  static_cast<void>(Must(pair.server.SetDuration(SP_SO_RCVTIMEO, milliseconds(0))));
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(10); });
  // Ten times what it was: nothing may happen.
  if (receiver.DoneWithin(milliseconds(200))) {
    CHECK_REQUIREMENT(message::recv_timeout_cleared, receiver.Join().Counted());
    return;
  }
  SendAll(pair.client, Payload{7, 0, 2});
  CHECK_REQUIREMENT(message::recv_timeout_cleared, receiver.Join().Counted());
}

SCENARIO(Message, SendTimesOut, kStreams.Waits(milliseconds(150)), message::send_timeout_error, message::send_timeout_time) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(FillAndBlock(pair.client));
  static_cast<void>(Must(pair.client.SetDuration(SP_SO_SNDTIMEO, kTimeout)));
  const TimedOut seen = WatchTimeOut([&pair] { return pair.client.Send(Payload{8, 0, 100}); });
  CHECK_REQUIREMENT(message::send_timeout_time, seen.time);
  CHECK_REQUIREMENT(message::send_timeout_error, seen.result);
}

SCENARIO(Message, ASignalEndsAWaitingRecv, kConnections.Needs({SP_CAP_SIGNALS}), message::recv_interrupted,
         message::recv_restarted) {
  Pair pair = ConnectedPair(net);
  auto first = Spawn("receiver", [&] { return pair.server.Recv(10); });
  first.WaitBlocked();
  first.Interrupt();
  CHECK_REQUIREMENT(message::recv_interrupted, first.Join());

  auto second = Spawn("receiver with SA_RESTART", [&] { return pair.server.Recv(10); });
  second.WaitBlocked();
  second.Interrupt(true);
  if (second.DoneWithin(milliseconds(20))) {
    CHECK_REQUIREMENT(message::recv_restarted, second.Join().Counted());
    return;
  }
  SendAll(pair.client, Payload{9, 0, 3});
  CHECK_REQUIREMENT(message::recv_restarted, second.Join().Counted());
}

SCENARIO(Message, ASignalEndsARecvWithATimeOut, kConnections.Needs({SP_CAP_SIGNALS}), message::recv_timeout_interrupted) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.SetDuration(SP_SO_RCVTIMEO, seconds(10))));
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(10); });
  receiver.WaitBlocked();
  receiver.Interrupt(true);
  if (!receiver.DoneWithin(Patience())) {
    CHECK_REQUIREMENT(message::recv_timeout_interrupted, Outcome(outcome::still_blocked));
    SendAll(pair.client, Payload{9, 0, 3});
  } else {
    CHECK_REQUIREMENT(message::recv_timeout_interrupted, receiver.Join());
  }
}

SCENARIO(Message, ASignalLeavesWhatWaitAllHas, kStreams.Needs({SP_CAP_SIGNALS}), message::waitall_interrupted) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.client, Payload{10, 0, 5});
  MustBeReady(pair.server, SP_IN);
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(100, WithFlags(SP_MSG_WAITALL)); });
  // It is to be interrupted with its first bytes taken, not before.
  const bool taken = WaitUntil([&] { return pair.server.Ioctl(SP_IOCTL_READABLE).value() == 0; }, Patience(), "the first bytes");
  if (!taken || !receiver.WaitBlocked()) {
    CHECK_REQUIREMENT(message::waitall_interrupted, Outcome(outcome::returned, "it did not wait for all"));
    return;
  }
  receiver.Interrupt();
  CHECK_REQUIREMENT(message::waitall_interrupted, receiver.Join().Counted());
}

SCENARIO(Message, ASignalEndsAWaitingSend, kStreams.Needs({SP_CAP_SIGNALS}).Waits(milliseconds(150)), message::send_interrupted) {
  Pair pair = ConnectedPair(net);
  FillAndBlock(pair.client);
  auto sender = Spawn("sender", [&] { return pair.client.Send(Payload{11, 0, 100}); });
  sender.WaitBlocked();
  sender.Interrupt();
  CHECK_REQUIREMENT(message::send_interrupted, sender.Join());
}

SCENARIO(Message, EveryFormMovesTheSameStream, kConnections, message::forms_agree) {
  Pair pair = ConnectedPair(net);
  const std::vector<int32_t> forms = {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR};
  uint64_t offset = 0;
  bool same = true;
  std::string detail = "all pairs of forms";
  for (const int32_t send_form : forms) {
    for (const int32_t recv_form : forms) {
      const Payload payload{12, offset, 300};
      offset += payload.length;
      SendOptions send;
      send.form = send_form;
      SendAll(pair.client, payload, 300, send);
      RecvOptions recv;
      recv.form = recv_form;
      const Received received = ReceiveAll(pair.server, payload, 300, recv);
      if (received.Complete(payload)) continue;
      same = false;
      detail = fmt::format("forms {} and {}: {} bytes, {} {}", send_form, recv_form, received.bytes, received.end.name(),
                           received.difference);
    }
  }
  CHECK_REQUIREMENT(message::forms_agree, Holds(same, detail));
}

SCENARIO(Message, MoreToComeArrives, kTcp, message::more_arrives) {
  Pair pair = ConnectedPair(net);
  const Payload payload{13, 0, 300};
  SendOptions more;
  more.flags = SP_MSG_MORE | SP_MSG_NOSIGNAL;
  SendAll(pair.client, Payload{13, 0, 100}, 100, more);
  SendAll(pair.client, Payload{13, 100, 100}, 100, more);
  SendAll(pair.client, Payload{13, 200, 100}, 100);
  auto receiver = Spawn("receiver", [&] { return ReceiveAll(pair.server, payload); });
  if (!receiver.DoneWithin(Patience())) {
    CHECK_REQUIREMENT(message::more_arrives, Outcome(outcome::still_blocked, "not all of it came"));
    return;
  }
  const Received received = receiver.Join();
  CHECK_REQUIREMENT(message::more_arrives, Holds(received.Complete(payload), received.difference));
}

SCENARIO(Message, SendWithoutAConnection, kConnections, message::send_unconnected) {
  Socket fresh = net.NewConnecting();
  CHECK_REQUIREMENT(message::send_unconnected, fresh.Send(Payload{1, 0, 10}));
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(message::send_unconnected, listener.socket.Send(Payload{1, 0, 10}));
}

SCENARIO(Message, RecvWithoutAConnection, kTcp, message::recv_unconnected) {
  Socket fresh = net.NewConnecting();
  auto receiver = Spawn("receiver", [&] { return fresh.Recv(10); });
  CHECK_REQUIREMENT(message::recv_unconnected, receiver.Join());
}

SCENARIO(Message, RecvWithoutAConnectionLocally, kLocal, message::recv_unconnected_local) {
  Socket fresh = net.NewConnecting();
  auto receiver = Spawn("receiver", [&] { return fresh.Recv(10); });
  CHECK_REQUIREMENT(message::recv_unconnected_local, receiver.Join());
}

SCENARIO(Message, WrongDescriptors, kTcp4, message::send_not_open, message::recv_not_open, message::send_not_socket,
         message::recv_not_socket) {
  Socket closed = net.NewConnecting();
  const sp_handle handle = closed.handle();
  static_cast<void>(Must(closed.Close()));
  for (const sp_handle wrong : {handle, sp_handle{SP_HANDLE_INVALID, 0, -1}}) {
    Socket borrowed = Socket::Borrowed(wrong);
    CHECK_REQUIREMENT(message::send_not_open, borrowed.Send(Payload{1, 0, 1}));
    CHECK_REQUIREMENT(message::recv_not_open, borrowed.Recv(1));
  }
  Socket file = Socket::Wrong(SP_HANDLE_NOT_SOCKET);
  CHECK_REQUIREMENT(message::send_not_socket, file.Send(Payload{1, 0, 1}));
  CHECK_REQUIREMENT(message::recv_not_socket, file.Recv(1));
}

SCENARIO(Message, BadPointers, kConnections, message::send_bad_pointer, message::recv_bad_pointer) {
  Pair pair = ConnectedPair(net);
  const std::vector<sp_buffer> bad = {sp_buffer{nullptr, 16, SP_POINTER_INVALID, 0}};
  CHECK_REQUIREMENT(message::send_bad_pointer, pair.client.SendBuffers(bad));
  SendAll(pair.client, Payload{14, 0, 8});
  MustBeReady(pair.server, SP_IN);
  CHECK_REQUIREMENT(message::recv_bad_pointer, pair.server.RecvBuffers(bad));
}

SCENARIO(Message, MorePartsThanAllowed, kConnections, message::too_many_parts) {
  Pair pair = ConnectedPair(net);
  SendOptions send;
  send.form = SP_FORM_MESSAGE;
  std::vector<uint8_t> bytes(2000);
  std::vector<sp_buffer> parts;
  for (uint8_t& byte : bytes) parts.push_back({&byte, 1, SP_POINTER_VALID, 0});
  CHECK_REQUIREMENT(message::too_many_parts, pair.client.SendBuffers(parts, send));
  RecvOptions recv;
  recv.form = SP_FORM_MESSAGE;
  SendAll(pair.client, Payload{15, 0, 8});
  MustBeReady(pair.server, SP_IN);
  CHECK_REQUIREMENT(message::too_many_parts, pair.server.RecvBuffers(parts, recv));
}

SCENARIO(Message, ADestinationOnAConnection, kTcp, message::address_on_stream) {
  Pair pair = ConnectedPair(net);
  Listener elsewhere = ListenOn(net);
  SendOptions options;
  options.form = SP_FORM_ADDRESS;
  options.to = elsewhere.address;
  CHECK_REQUIREMENT(message::address_on_stream, pair.client.Send(Payload{16, 0, 10}, options));
}

SCENARIO(Message, ADestinationOnALocalConnection, kUnixOnly, message::address_on_local_stream) {
  Pair pair = ConnectedPair(net);
  SendOptions options;
  options.form = SP_FORM_ADDRESS;
  options.to = pair.listener.address;
  CHECK_REQUIREMENT(message::address_on_local_stream, pair.client.Send(Payload{16, 0, 10}, options));
}

SCENARIO(Message, UrgentDataTravelsApart, kTcp, message::urgent_byte, message::urgent_apart, message::urgent_stops_recv,
         message::urgent_mark, message::urgent_peek) {
  Pair pair = ConnectedPair(net);
  SendOptions urgent;
  urgent.flags = SP_MSG_OOB | SP_MSG_NOSIGNAL;
  static_cast<void>(Must(pair.client.SendBytes("abc")));
  static_cast<void>(Must(pair.client.SendBytes("U", urgent)));
  static_cast<void>(Must(pair.client.SendBytes("def")));
  MustBeReady(pair.server, SP_PRI);
  const bool before = Must(pair.server.Ioctl(SP_IOCTL_AT_MARK)).value() == 0;
  const RecvResult peeked = pair.server.Recv(1, WithFlags(SP_MSG_OOB | SP_MSG_PEEK));
  const RecvResult byte = pair.server.Recv(1, WithFlags(SP_MSG_OOB));
  const auto text = [](const RecvResult& result) { return std::string(result.data.begin(), result.data.end()); };
  CHECK_REQUIREMENT(message::urgent_peek, Holds(text(peeked) == "U" && byte.ok(), peeked.text() + "; " + byte.text()));
  CHECK_REQUIREMENT(message::urgent_byte, Holds(text(byte) == "U", byte.text()));
  const RecvResult first = Must(pair.server.Recv(100));
  CHECK_REQUIREMENT(message::urgent_stops_recv, Holds(text(first) == "abc", first.text()));
  const bool at = Must(pair.server.Ioctl(SP_IOCTL_AT_MARK)).value() == 1;
  CHECK_REQUIREMENT(message::urgent_mark,
                    Holds(before && (at || text(first) != "abc"), fmt::format("before: {}, at the mark: {}", before, at)));
  std::string all = text(first);
  while (all.size() < 6) {
    const RecvResult more = Must(pair.server.Recv(100));
    if (more.data.empty()) break;
    all += text(more);
  }
  CHECK_REQUIREMENT(message::urgent_apart, Holds(all == "abcdef", "the stream: " + all));
}

SCENARIO(Message, UrgentDataInline, kTcp, message::urgent_inline) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Set(SP_SO_OOBINLINE, 1)));
  SendOptions urgent;
  urgent.flags = SP_MSG_OOB | SP_MSG_NOSIGNAL;
  static_cast<void>(Must(pair.client.SendBytes("abc")));
  static_cast<void>(Must(pair.client.SendBytes("U", urgent)));
  static_cast<void>(Must(pair.client.SendBytes("def")));
  static_cast<void>(Must(pair.client.Shutdown(SP_SHUT_WR)));
  std::string all;
  for (;;) {
    const RecvResult more = Must(pair.server.Recv(100));
    if (more.data.empty()) break;
    all.append(more.data.begin(), more.data.end());
  }
  CHECK_REQUIREMENT(message::urgent_inline, Holds(all == "abcUdef", "the stream: " + all));
}

SCENARIO(Message, NoUrgentData, kTcp, message::urgent_none) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.client, Payload{17, 0, 3});
  MustBeReady(pair.server, SP_IN);
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(1, WithFlags(SP_MSG_OOB)); });
  CHECK_REQUIREMENT(message::urgent_none, receiver.Join());
}

SCENARIO(Message, LowWaterMark, kTcp, message::low_water_poll, message::low_water_recv) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Set(SP_SO_RCVLOWAT, 100)));
  SendAll(pair.client, Payload{18, 0, 60});
  const bool there = WaitUntil([&] { return pair.server.Ioctl(SP_IOCTL_READABLE).value() == 60; }, Patience(), "60 bytes");
  const bool quiet = Events(pair.server, SP_IN) == 0;
  auto receiver = Spawn("receiver", [&] { return pair.server.Recv(200); });
  const bool waited = receiver.WaitBlocked();
  // As much again as the mark: Linux counts what arrives after the reader took the first part (tcp_data_ready()).
  SendAll(pair.client, Payload{18, 60, 100});
  const RecvResult received = receiver.Join();
  CHECK_REQUIREMENT(message::low_water_recv,
                    Holds(waited && received.value() >= 100, fmt::format("waited with 60: {}; {}", waited, received.text())));
  static_cast<void>(pair.server.Recv(200, WithFlags(SP_MSG_DONTWAIT)));
  SendAll(pair.client, Payload{18, 160, 100});
  const bool ready = WaitReady(pair.server, SP_IN);
  CHECK_REQUIREMENT(message::low_water_poll,
                    Holds(there && quiet && ready,
                          fmt::format("60 bytes there: {}, not readable: {}; readable with 100: {}", there, quiet, ready)));
}

SCENARIO(Message, SourceOfAStream, kTcp4, message::stream_source) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.client, Payload{19, 0, 3});
  RecvOptions options;
  options.form = SP_FORM_ADDRESS;
  options.from = AskAddress{};
  const RecvResult received = Must(pair.server.Recv(10, options));
  CHECK_REQUIREMENT(message::stream_source, received.from_length == 0 ? Outcome(outcome::zero_length)
                                            : received.has_from       ? Outcome(outcome::some_address, received.from.ToString())
                                                                      : Outcome(outcome::unchanged));
}

}  // namespace sockproof
