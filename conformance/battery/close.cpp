// The end of a connection: the descriptor, the orderly close, unread data, and the order of data and error.
#include "catalogue/close.h"

#include "battery/ends.h"
#include "battery/scenario.h"
#include "battery/ways.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

constexpr int32_t kEveryForm[] = {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR};
const Over kEverySocket{{&kInet, &kInet6, &kDual, &kUnix, &kSeqpacket, &kUdp, &kUdp6}, {}};

RecvOptions RecvForm(int32_t form, uint32_t flags = 0) {
  RecvOptions options;
  options.form = form;
  options.flags = flags;
  return options;
}

SendOptions WithSignal() {
  SendOptions options;
  options.flags = 0;
  return options;
}

// "alive" if data still pass from one end to the other and nothing else was there to receive.
Outcome StillAlive(Socket& from, Socket& to) {
  const Outcome before = to.Recv(1, RecvForm(SP_FORM_DEFAULT, SP_MSG_DONTWAIT)).Seen();
  if (before.name() != "EAGAIN") return before;
  const Result sent = from.SendBytes("!");
  if (!sent.ok()) return sent;
  const Outcome seen = NextSeen(to);
  return seen.name() == outcome::data.text ? Outcome(outcome::alive) : seen;
}

}  // namespace

// ---- The descriptor -------------------------------------------------------------------------------------------------

SCENARIO(Close, Twice, kEverySocket, close::bad_descriptor) {
  Socket socket = net.NewConnecting();
  Socket same = Socket::Borrowed(socket.handle());
  static_cast<void>(Must(socket.Close()));
  CHECK_REQUIREMENT(close::bad_descriptor, same.Close());
  Socket never = Socket::Wrong(SP_HANDLE_INVALID);
  CHECK_REQUIREMENT(close::bad_descriptor, never.Close());
}

SCENARIO(Close, UseAfterwards, kConnections, close::use_after) {
  Pair pair = ConnectedPair(net);
  Socket gone = Socket::Borrowed(pair.client.handle());
  static_cast<void>(Must(pair.client.Close()));
  CHECK_REQUIREMENT(close::use_after, gone.Bind(net.ToBind()));
  CHECK_REQUIREMENT(close::use_after, gone.Listen(1));
  CHECK_REQUIREMENT(close::use_after, gone.Accept());
  CHECK_REQUIREMENT(close::use_after, gone.Connect(pair.listener.address));
  for (const int32_t form : kEveryForm) {
    SendOptions options;
    options.form = form;
    CHECK_REQUIREMENT(close::use_after, gone.Send(Payload{1, 0, 10}, options));
    CHECK_REQUIREMENT(close::use_after, gone.Recv(10, RecvForm(form)));
  }
  CHECK_REQUIREMENT(close::use_after, gone.Shutdown(SP_SHUT_RDWR));
  CHECK_REQUIREMENT(close::use_after, gone.LocalName());
  CHECK_REQUIREMENT(close::use_after, gone.PeerName());
  CHECK_REQUIREMENT(close::use_after, gone.Get(SP_SO_ERROR));
  CHECK_REQUIREMENT(close::use_after, gone.Set(SP_SO_KEEPALIVE, 1));
}

SCENARIO(Close, FreesTheDescriptor, kConnections.Needs({SP_CAP_HANDLE_COUNT}), close::frees_descriptor) {
  const auto live = [&net] {
    for (int round = 0; round < 30; ++round) static_cast<void>(Must(net.NewConnecting().Close()));
    for (int round = 0; round < 5; ++round) {
      Pair pair = ConnectedPair(net);
      static_cast<void>(Must(pair.server.Close()));
      static_cast<void>(Must(pair.client.Close()));
      static_cast<void>(Must(pair.listener.socket.Close()));
    }
  };
  live();  // whatever is opened once and kept is open from here on
  const uint64_t before = OpenHandles();
  live();
  CHECK_REQUIREMENT(close::frees_descriptor,
                    Outcome::OfNumber(static_cast<int64_t>(OpenHandles() - before), "handles more than before"));
}

SCENARIO(Close, SucceedsInEveryState, kConnections, close::succeeds) {
  Socket fresh = net.NewConnecting();
  CHECK_REQUIREMENT(close::succeeds, fresh.Close());
  Listener bound = BoundOn(net);
  CHECK_REQUIREMENT(close::succeeds, bound.socket.Close());
  Listener listening = ListenOn(net);
  Socket queued = ConnectTo(listening, net);
  CHECK_REQUIREMENT(close::succeeds, listening.socket.Close());
  CHECK_REQUIREMENT(close::succeeds, queued.Close());
  for (const int32_t how : {SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR}) {
    Pair pair = ConnectedPair(net);
    static_cast<void>(Must(pair.client.Shutdown(how)));
    CHECK_REQUIREMENT(close::succeeds, pair.client.Close());
    CHECK_REQUIREMENT(close::succeeds, pair.server.Close());
  }
  Pair unread = ConnectedPair(net);
  SendAll(unread.client, Payload{1, 0, 100});
  MustArrive(unread.server, 100);
  CHECK_REQUIREMENT(close::succeeds, unread.server.Close());
  BreaksOff(unread.client);  // the error is pending when this end is closed
  CHECK_REQUIREMENT(close::succeeds, unread.client.Close());
}

SCENARIO(Close, Duplicates, kConnections, close::duplicate_keeps, close::duplicate_last) {
  Pair pair = ConnectedPair(net);
  Socket copy;
  static_cast<void>(Must(pair.client.Duplicate(&copy)));
  static_cast<void>(Must(pair.client.Close()));
  CHECK_REQUIREMENT(close::duplicate_keeps, StillAlive(copy, pair.server));
  CHECK_REQUIREMENT(close::duplicate_keeps, StillAlive(pair.server, copy));
  static_cast<void>(Must(copy.Close()));
  CHECK_REQUIREMENT(close::duplicate_last, NextSeen(pair.server));
}

SCENARIO(Close, ByReplacement, kConnections, close::replaced) {
  Pair pair = ConnectedPair(net);
  Socket other = net.NewConnecting();
  static_cast<void>(Must(other.DuplicateOnto(pair.client)));
  CHECK_REQUIREMENT(close::replaced, NextSeen(pair.server));
}

// ---- The orderly close ----------------------------------------------------------------------------------------------

SCENARIO(Close, Orderly, kConnections, close::orderly, close::peer_end, close::no_error) {
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{4096}, uint64_t{300000}}) {
    Pair pair = ConnectedPair(net);
    const Payload payload{1, 0, length};
    auto sending = Spawn("send", [&] {
      SendAll(pair.client, payload);
      return Must(pair.client.Close());
    });
    CHECK_REQUIREMENT(close::orderly, InGoodOrder(ReadToEnd(pair.server, payload)));
    static_cast<void>(sending.Join());
    CHECK_REQUIREMENT(close::no_error, pair.server.TakeError());
    for (const int32_t form : kEveryForm) CHECK_REQUIREMENT(close::peer_end, NextSeen(pair.server, RecvForm(form)));
  }
}

SCENARIO(Close, EndsThePeersReceive, kConnections, close::wakes_peer_receive) {
  Pair pair = ConnectedPair(net);
  auto receiving = Spawn("recv", [&] { return pair.server.Recv(10); });
  receiving.WaitBlocked();
  static_cast<void>(Must(pair.client.Close()));
  const bool ended = receiving.DoneWithin(Patience());
  CHECK_REQUIREMENT(close::wakes_peer_receive, ended ? receiving.Join().Seen() : Outcome(outcome::still_blocked));
}

SCENARIO(Close, WithUntransmittedData, kConnections.Waits(milliseconds(150)), close::returns_at_once, close::background) {
  Pair pair = NarrowPair(net);
  const Payload sent{7, 0, FillSendPath(pair.client)};
  static_cast<void>(Must(pair.client.SetModes(0, SP_NONBLOCKING)));
  const Stopwatch watch;
  auto closing = Spawn("close", [&] { return pair.client.Close(); });
  CHECK_REQUIREMENT(close::returns_at_once, AtOnce(closing, watch));
  CHECK_REQUIREMENT(close::background, InGoodOrder(ReadToEnd(pair.server, sent)));
}

SCENARIO(Close, FinIsSentAgain, kTcp46.Needs({SP_CAP_SILENCE}).Waits(milliseconds(210)), close::lost_fin) {
  Pair pair = ConnectedPair(net);
  Silence deaf(pair.server);
  static_cast<void>(Must(pair.client.Close()));
  deaf.Lift();
  CHECK_REQUIREMENT(close::lost_fin, NextSeen(pair.server));
}

SCENARIO(Close, BothEndsAtTheSameTime, kConnections, close::simultaneous) {
  for (int round = 0; round < 10; ++round) {
    Pair pair = ConnectedPair(net);
    Latch start;
    const auto end = [&start](Socket& socket) {
      start.Wait();
      return socket.Close();
    };
    auto one = Spawn("one", [&] { return end(pair.client); });
    auto other = Spawn("other", [&] { return end(pair.server); });
    start.Open();
    CHECK_REQUIREMENT(close::simultaneous, one.Join());
    CHECK_REQUIREMENT(close::simultaneous, other.Join());
  }
}

// ---- Sending to an end that is gone ----------------------------------------------------------------------------------

SCENARIO(Close, SendingToAClosedEnd, kTcp, close::first_send_after, close::late_data, close::later_send, close::later_send_epipe,
         close::later_receive) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Close()));
  MustEnd(pair.client);
  CHECK_REQUIREMENT(close::first_send_after, pair.client.SendBytes("late"));
  CHECK_REQUIREMENT(close::late_data, Readiness(BreaksOff(pair.client), "an error or a hang-up"));
  const Result later = pair.client.SendBytes("later");
  CHECK_REQUIREMENT(close::later_send, later);
  CHECK_REQUIREMENT(close::later_send_epipe, later);
  CHECK_REQUIREMENT(close::later_send, pair.client.SendBytes("latest"));
  CHECK_REQUIREMENT(close::later_receive, NextSeen(pair.client));
}

SCENARIO(Close, SendingToAClosedEndRaisesSigpipe, kStreams.Needs({SP_CAP_SIGNALS}), close::later_sigpipe) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Close()));
  MustEnd(pair.client);
  if (pair.client.SendBytes("late").ok()) BreaksOff(pair.client);
  TakePipeSignals();
  for (int time = 0; time < 2; ++time) {
    const Result result = pair.client.SendBytes("later", WithSignal());
    CHECK_REQUIREMENT(close::later_sigpipe, Outcome::OfNumber(static_cast<int64_t>(TakePipeSignals()), result.text()));
  }
}

SCENARIO(Close, SendingToAClosedLocalEnd, kLocal, close::send_unix) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Close()));
  for (int time = 0; time < 2; ++time) CHECK_REQUIREMENT(close::send_unix, pair.client.SendBytes("late"));
}

// ---- Unread data ----------------------------------------------------------------------------------------------------

SCENARIO(Close, WithUnreadData, kTcp, close::unread) {
  for (const uint64_t length : {1, 100000}) {
    Pair pair = ConnectedPair(net);
    SendWhatFits(pair.client, Payload{1, 0, length}, length);
    MustArrive(pair.server, 1);
    static_cast<void>(Must(pair.server.Close()));
    CHECK_REQUIREMENT(close::unread, NextSeen(pair.client));
  }
}

SCENARIO(Close, WithUnreadDataHalfClosed, kTcp, close::unread_half_closed) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
  MustEnd(pair.client);
  SendAll(pair.client, Payload{1, 0, 100});
  MustArrive(pair.server, 100);
  static_cast<void>(Must(pair.server.Close()));
  BreaksOff(pair.client);
  CHECK_REQUIREMENT(close::unread_half_closed, pair.client.SendBytes("x"));
}

SCENARIO(Close, WithUnreadDataLocal, kLocal, close::unread_unix) {
  Pair pair = ConnectedPair(net);
  SendAll(pair.client, Payload{1, 0, 100});
  static_cast<void>(Must(pair.server.Close()));
  CHECK_REQUIREMENT(close::unread_unix, NextSeen(pair.client));
}

SCENARIO(Close, WithUnreadDataEndsThePeersSend, kTcp.Waits(milliseconds(150)), close::unread_wakes_send) {
  Pair pair = NarrowPair(net);
  WaitingSend held = HoldSend(pair.client, net);
  static_cast<void>(Must(pair.server.Close()));
  const bool ended = held.task.DoneWithin(Patience());
  CHECK_REQUIREMENT(close::unread_wakes_send, ended ? held.task.Join().Counted() : Outcome(outcome::still_blocked));
}

// ---- Reset ----------------------------------------------------------------------------------------------------------

SCENARIO(Close, DataBeforeReset, kTcp, close::data_before_reset, close::reset_told, close::error_once) {
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{1000}}) {
    Pair pair = ConnectedPair(net);
    const Payload payload{1, 0, length};
    SendAll(pair.server, payload);
    MustArrive(pair.client, length);
    Abort(pair.server);
    BreaksOff(pair.client);
    const Passage passage = ReadToEnd(pair.client, payload);
    const Outcome after = NextSeen(pair.client);
    CHECK_REQUIREMENT(close::data_before_reset,
                      after.name() == outcome::data.text ? Outcome(outcome::violated, "data after the error") : passage.data);
    CHECK_REQUIREMENT(close::reset_told, passage.end);
    CHECK_REQUIREMENT(close::error_once, after);
  }
}

SCENARIO(Close, ResetIsPendingOnce, kTcp, close::reset_pending, close::error_cleared, close::reset_readiness) {
  Pair pair = ConnectedPair(net);
  Abort(pair.server);
  BreaksOff(pair.client);
  for (const int32_t mechanism : Ways({SP_POLL, SP_SELECT})) {
    for (const uint32_t event : {SP_IN, SP_OUT}) {
      CHECK_REQUIREMENT(close::reset_readiness, WouldNotWait(pair.client, event, mechanism));
    }
  }
  // None of these calls reports the error, so none may take it.
  static_cast<void>(pair.client.PeerName());
  static_cast<void>(pair.client.LocalName());
  static_cast<void>(pair.client.Get(SP_SO_TYPE));
  static_cast<void>(pair.client.Ioctl(SP_IOCTL_READABLE));
  CHECK_REQUIREMENT(close::reset_pending, pair.client.TakeError());
  CHECK_REQUIREMENT(close::error_cleared, pair.client.TakeError());
}

SCENARIO(Close, SendAfterReset, kTcp, close::send_after_reset) {
  for (const int32_t form : kEveryForm) {
    Pair pair = ConnectedPair(net);
    Abort(pair.server);
    if (!BreaksOff(pair.client)) {
      CHECK_REQUIREMENT(close::send_after_reset, Outcome(outcome::not_ready, "no reset came"));
      return;
    }
    SendOptions options;
    options.form = form;
    for (int time = 0; time < 2; ++time) CHECK_REQUIREMENT(close::send_after_reset, pair.client.Send(Payload{1, 0, 10}, options));
  }
}

SCENARIO(Close, ResetEndsAReceive, kTcp, close::reset_wakes_receive) {
  Pair pair = ConnectedPair(net);
  auto receiving = Spawn("recv", [&] { return pair.client.Recv(10); });
  receiving.WaitBlocked();
  Abort(pair.server);
  const bool ended = receiving.DoneWithin(Patience());
  CHECK_REQUIREMENT(close::reset_wakes_receive, ended ? receiving.Join().Seen() : Outcome(outcome::still_blocked));
}

// ---- Calls that wait on a descriptor that is closed -------------------------------------------------------------------

SCENARIO(Close, UnderAWaitingReceive, kConnections, close::waiting_receive_stays, close::waiting_receive_completes,
         close::waiting_receive_then_end) {
  Pair pair = ConnectedPair(net);
  const Payload payload{1, 0, 100};
  Socket same = Socket::Borrowed(pair.client.handle());
  auto receiving = Spawn("recv", [&] { return same.Recv(payload.length); });
  receiving.WaitBlocked();
  static_cast<void>(Must(pair.client.Close()));
  // A receive that the close has ended would be back long before this time has passed.
  LetQuietTimePass(milliseconds(20));
  const bool stays = !receiving.Done();
  const Result sent = pair.server.Send(payload);
  const bool back = receiving.DoneWithin(Patience());
  const RecvResult received = back ? receiving.Join() : RecvResult();
  CHECK_REQUIREMENT(close::waiting_receive_stays, stays ? Outcome(outcome::still_blocked) : received.Seen());
  Outcome came = back ? received.Seen() : Outcome(outcome::still_blocked);
  if (!sent.ok()) came = sent;
  if (came.name() == outcome::data.text) {
    const std::string difference = payload.Difference(received.data.data(), received.data.size());
    came = difference.empty() && received.data.size() == payload.length ? Outcome(outcome::delivered)
                                                                        : Outcome(outcome::violated, difference);
  }
  CHECK_REQUIREMENT(close::waiting_receive_completes, came);
  CHECK_REQUIREMENT(close::waiting_receive_then_end, NextSeen(pair.server));
}

SCENARIO(Close, UnderAWaitingSend, kConnections.Waits(milliseconds(150)), close::waiting_send_stays) {
  Pair pair = NarrowPair(net);
  Socket same = Socket::Borrowed(pair.client.handle());
  WaitingSend held = HoldSend(same, net);
  static_cast<void>(Must(pair.client.Close()));
  const Passage passage = ReadToEnd(pair.server, held.Whole());
  const Result sent = held.task.Join();
  CHECK_REQUIREMENT(close::waiting_send_stays, sent.ok() ? InGoodOrder(passage) : Outcome(sent));
}

SCENARIO(Close, EndsAWaitingReceive, kConnections.Needs({SP_CAP_THREADS}), close::waiting_receive_ends) {
  Pair pair = ConnectedPair(net);
  Socket same = Socket::Borrowed(pair.client.handle());
  auto receiving = Spawn("recv", [&] { return same.Recv(10); });
  receiving.WaitBlocked();
  static_cast<void>(Must(pair.client.Close()));
  const bool ended = receiving.DoneWithin(Patience());
  CHECK_REQUIREMENT(close::waiting_receive_ends, ended ? outcome::returned : outcome::still_blocked);
  static_cast<void>(pair.server.Close());
  static_cast<void>(receiving.Join());
}

SCENARIO(Close, UnderAReceiveWithATimeOut, kConnections.Waits(milliseconds(300)), close::waiting_receive_times_out) {
  Pair pair = ConnectedPair(net);
  Socket same = Socket::Borrowed(pair.client.handle());
  static_cast<void>(Must(same.SetDuration(SP_SO_RCVTIMEO, milliseconds(300))));
  const Stopwatch watch;
  auto receiving = Spawn("recv", [&] { return same.Recv(10); });
  receiving.WaitBlocked();
  static_cast<void>(Must(pair.client.Close()));
  const bool back = receiving.DoneWithin(Patience());
  const Outcome time = Timing(watch, milliseconds(300), milliseconds(10));
  const Outcome seen = back ? receiving.Join().Seen() : Outcome(outcome::still_blocked);
  CHECK_REQUIREMENT(close::waiting_receive_times_out, time.name() == outcome::on_time.text ? seen : time);
}

SCENARIO(Close, Races, kTcp, close::reset_race) {
  const auto end = [](Latch& start, Socket& socket) {
    start.Wait();
    return socket.Close();
  };
  std::string failed;
  for (int round = 0; round < 24 && failed.empty(); ++round) {
    Pair pair = ConnectedPair(net);
    if ((round & 1) != 0) static_cast<void>(Must(pair.client.SetLinger(true, 0)));
    if ((round & 2) != 0) static_cast<void>(Must(pair.server.SetLinger(true, 0)));
    if ((round & 4) != 0) SendAll(pair.client, Payload{1, 0, 1000});
    Latch start;
    auto one = Spawn("one", [&] { return end(start, pair.client); });
    auto other = Spawn("other", [&] { return end(start, pair.server); });
    start.Open();
    for (auto* closing : {&one, &other}) {
      if (!closing->DoneWithin(Patience())) {
        failed = fmt::format("a close of round {} hangs", round);
        break;
      }
      const Result result = closing->Join();
      if (!result.ok()) failed = fmt::format("round {}: {}", round, result.text());
    }
  }
  CHECK_REQUIREMENT(close::reset_race, Holds(failed.empty(), failed));
}

}  // namespace sockproof
