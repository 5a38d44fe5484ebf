// A server turns a client away, after accept or without it: what the client sees.
#include "catalogue/rejection.h"

#include <memory>

#include "battery/ends.h"
#include "battery/queue_support.h"
#include "battery/ways.h"
#include "face/agent.h"
#include "face/controls.h"
#include "face/names.h"

namespace sockproof {
namespace {

// What the client's next read says, when there is something to be said within `limit`; "silent" if not.
Outcome Sees(Socket& client, Nanoseconds limit = Patience()) {
  if (!WaitReady(client, SP_IN, limit)) return outcome::silent;
  static_cast<void>(Must(client.SetModes(SP_NONBLOCKING)));
  return client.Recv(1).Seen();
}

// Nothing to be said within a quiet time.
Outcome HearsNothing(Socket& client) {
  const uint32_t events = Events(client, SP_IN | SP_RDHUP, kQuiet);
  if (events == 0) return outcome::silent;
  return Sees(client).With(fmt::format("events {:#x}", events));
}

Outcome Carries(bool carried, const char* what) {
  return carried ? Outcome(outcome::carries_data) : Outcome(outcome::violated, what);
}

// Sends until a send fails, three times at most. Between two sends the answer to the first has time to come.
Outcome SendUntilRefused(Socket& client) {
  Outcome last = outcome::carries_data;
  for (int i = 0; i < 3; ++i) {
    const Result sent = client.SendBytes("x");
    if (!sent.ok()) return sent;
    // An error or a hang-up is always reported. Where what is sent goes nowhere without a word, none comes.
    WaitReady(client, 0, i < 2 ? Patience() / 5 : Patience());
  }
  return last;
}

// A connection that the server has aborted: linger 0, then close; the client has been told.
Pair Aborted(const Flavor& net, Where where = SOCKPROOF_HERE) {
  Pair pair = ConnectedPair(net, where);
  static_cast<void>(Must(pair.server.SetLinger(true, 0), where));
  static_cast<void>(Must(pair.server.Close(), where));
  MustBeReady(pair.client, SP_IN, where);
  return pair;
}

// The farewell, and what comes behind it.
Outcome FarewellOf(Socket& client, const Payload& farewell) {
  const Received received = ReceivePatiently(client, farewell);
  const std::string detail = fmt::format("{} of {} bytes; {}", received.bytes, farewell.length, received.difference);
  if (!received.difference.empty()) return Outcome(outcome::violated, detail);
  const Outcome end = received.Complete(farewell) ? client.Recv(1).Seen() : received.end;
  const bool whole = received.Complete(farewell);
  if (end.name() == outcome::end_of_stream.text) return Outcome(whole ? outcome::text_then_end : outcome::text_lost, detail);
  if (end.name() == "ECONNRESET") return Outcome(whole ? outcome::text_then_reset : outcome::reset_at_once, detail);
  return end.With(detail);
}

// Whether the client's end is ready for reading, by this mechanism and by select as far as there are both, and shows an error.
Outcome ReadableNow(const Socket& client, int32_t way) {
  bool error = false;
  std::string detail;
  for (const int32_t mechanism : Ways({way, SP_SELECT})) {
    const uint32_t events = Events(client, SP_IN, Nanoseconds(0), mechanism);
    detail += fmt::format("{} {:#x} ", MechanismName(mechanism), events);
    if ((events & SP_IN) == 0) return Outcome(outcome::not_readable, detail);
    error = error || (events & SP_ERR) != 0;
  }
  return Outcome(error ? outcome::readable_error : outcome::readable, detail);
}

}  // namespace

// ---- close of the accepted connection ----

SCENARIO(Rejection, Close, kConnections, rejection::close, rejection::close_repeats, rejection::close_no_error,
         rejection::close_readiness) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Close()));
  const bool told = WaitReady(pair.client, SP_IN);
  CHECK_REQUIREMENT(rejection::close_readiness,
                    told ? ReadableNow(pair.client, DefaultMechanism()) : Outcome(outcome::not_readable));
  CHECK_REQUIREMENT(rejection::close, Sees(pair.client));
  for (int i = 0; i < 3; ++i) CHECK_REQUIREMENT(rejection::close_repeats, Sees(pair.client));
  CHECK_REQUIREMENT(rejection::close_no_error, pair.client.TakeError());
}

SCENARIO(Rejection, CloseThenSend, kConnections, rejection::close_then_send) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Close()));
  MustBeReady(pair.client, SP_IN);
  CHECK_REQUIREMENT(rejection::close_then_send, SendUntilRefused(pair.client));
}

SCENARIO(Rejection, CloseOfOneDescriptor, kConnections.Waits(milliseconds(50)), rejection::close_last_descriptor) {
  Pair pair = ConnectedPair(net);
  Socket copy;
  static_cast<void>(Must(pair.server.Duplicate(&copy)));
  static_cast<void>(Must(pair.server.Close()));
  const Outcome heard = HearsNothing(pair.client);
  const bool carried = heard.name() == outcome::silent.text && Exchange(pair.client, copy);
  CHECK_REQUIREMENT(rejection::close_last_descriptor, Carries(carried, "after one of two descriptors was closed"));
}

SCENARIO(Rejection, Farewell, kConnections, rejection::farewell, rejection::shutdown_farewell) {
  for (const bool shut_down : {false, true}) {
    for (const uint64_t length : {1, 30'000}) {
      Pair pair = ConnectedPair(net);
      const Payload farewell = SendWhatFits(pair.server, Payload{41, 0, length}, length);
      if (shut_down) static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
      static_cast<void>(Must(pair.server.Close()));
      CHECK_REQUIREMENT(shut_down ? rejection::shutdown_farewell : rejection::farewell, FarewellOf(pair.client, farewell));
    }
  }
}

SCENARIO(Rejection, CloseUnread, kTcp, rejection::close_unread) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.SendBytes("please")));
  MustBeReady(pair.server, SP_IN);
  static_cast<void>(Must(pair.server.Close()));
  CHECK_REQUIREMENT(rejection::close_unread, Sees(pair.client));
}

SCENARIO(Rejection, CloseUnreadLocal, kLocal, rejection::close_unread_local) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.SendBytes("please")));
  MustBeReady(pair.server, SP_IN);
  static_cast<void>(Must(pair.server.Close()));
  CHECK_REQUIREMENT(rejection::close_unread_local, Sees(pair.client));
}

SCENARIO(Rejection, FarewellUnread, kTcp, rejection::farewell_unread, rejection::farewell_unread_seen) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.client.SendBytes("please")));
  MustBeReady(pair.server, SP_IN);
  const Payload farewell{42, 0, 1000};
  SendAll(pair.server, farewell);
  MustBeReady(pair.client, SP_IN);
  static_cast<void>(Must(pair.server.Close()));
  WaitReady(pair.client, 0);
  const Outcome seen = FarewellOf(pair.client, farewell);
  CHECK_REQUIREMENT(rejection::farewell_unread, seen);
  CHECK_REQUIREMENT(rejection::farewell_unread_seen, seen);
}

SCENARIO(Rejection, LingerZero, kTcp, rejection::linger_zero, rejection::reset_told_apart, rejection::reset_readiness,
         rejection::reset_no_peer, rejection::reset_then_read, rejection::reset_then_send) {
  Pair pair = Aborted(net);
  // select alone would not show the error.
  CHECK_REQUIREMENT(rejection::reset_readiness, ReadableNow(pair.client, EventMechanism()));
  CHECK_REQUIREMENT(rejection::reset_no_peer, pair.client.PeerName());
  const Outcome first = Sees(pair.client);
  CHECK_REQUIREMENT(rejection::linger_zero, first);
  CHECK_REQUIREMENT(rejection::reset_told_apart, first);
  CHECK_REQUIREMENT(rejection::reset_then_read, Sees(pair.client));
  CHECK_REQUIREMENT(rejection::reset_then_send, pair.client.SendBytes("x"));
}

SCENARIO(Rejection, ResetIsReportedOnce, kTcp, rejection::reset_error_once, rejection::reset_then_send) {
  Pair pair = Aborted(net);
  const Outcome first = pair.client.TakeError(), second = pair.client.TakeError();
  CHECK_REQUIREMENT(rejection::reset_error_once, Holds(first.name() == "ECONNRESET" && second.name() == "ok",
                                                       fmt::format("SO_ERROR {}, then {}", first.name(), second.name())));
  CHECK_REQUIREMENT(rejection::reset_then_send, pair.client.SendBytes("x"));
}

SCENARIO(Rejection, ResetMeetsASend, kTcp, rejection::reset_then_send, rejection::reset_told_apart) {
  // The first that the client does is to send; it learns of the reset there, or when it reads.
  Pair pair = Aborted(net);
  const Result sent = pair.client.SendBytes("x");
  CHECK_REQUIREMENT(rejection::reset_then_send, sent);
  CHECK_REQUIREMENT(rejection::reset_then_send, pair.client.SendBytes("x"));
  Pair other = Aborted(net);
  RecvOptions peek;
  peek.flags = SP_MSG_PEEK;
  CHECK_REQUIREMENT(rejection::reset_told_apart, other.client.Recv(1, peek).Seen());
}

SCENARIO(Rejection, LingerZeroLocal, kLocal, rejection::linger_zero_local) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.SetLinger(true, 0)));
  static_cast<void>(Must(pair.server.Close()));
  CHECK_REQUIREMENT(rejection::linger_zero_local, Sees(pair.client));
}

SCENARIO(Rejection, CloseWakesTheReader, kConnections, rejection::close_wakes_reader) {
  Pair pair = ConnectedPair(net);
  auto reading = Spawn("recv", [&] { return pair.client.Recv(1); });
  reading.WaitBlocked();
  static_cast<void>(Must(pair.server.Close()));
  CHECK_REQUIREMENT(rejection::close_wakes_reader, reading.Join().Seen());
}

SCENARIO(Rejection, ResetWakesTheReader, kTcp, rejection::reset_wakes_reader) {
  Pair pair = ConnectedPair(net);
  auto reading = Spawn("recv", [&] { return pair.client.Recv(1); });
  reading.WaitBlocked();
  static_cast<void>(Must(pair.server.SetLinger(true, 0)));
  static_cast<void>(Must(pair.server.Close()));
  CHECK_REQUIREMENT(rejection::reset_wakes_reader, reading.Join().Seen());
}

// ---- shutdown of the accepted connection ----

SCENARIO(Rejection, ShutdownWrite, kConnections, rejection::shutdown_write, rejection::shutdown_write_half) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_WR)));
  CHECK_REQUIREMENT(rejection::shutdown_write, Sees(pair.client));
  const Payload payload{43, 0, 500};
  bool carried = true;
  for (int i = 0; i < 3 && carried; ++i) {
    carried = pair.client.Send(payload).ok() && WaitReady(pair.server, SP_IN) &&
              ReceivePatiently(pair.server, payload).Complete(payload);
  }
  CHECK_REQUIREMENT(rejection::shutdown_write_half,
                    Carries(carried, "from the client, after the server has shut down its sending side"));
}

SCENARIO(Rejection, ShutdownRead, kTcp.Waits(milliseconds(50)), rejection::shutdown_read, rejection::shutdown_read_server_sends) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_RD)));
  CHECK_REQUIREMENT(rejection::shutdown_read, HearsNothing(pair.client));
  const Payload payload{44, 0, 500};
  SendAll(pair.server, payload);
  const bool carried = WaitReady(pair.client, SP_IN) && ReceivePatiently(pair.client, payload).Complete(payload);
  CHECK_REQUIREMENT(rejection::shutdown_read_server_sends,
                    Carries(carried, "from the server, after it has shut down its receiving side"));
}

SCENARIO(Rejection, ShutdownReadLocal, kLocal, rejection::shutdown_read_local, rejection::shutdown_read_server_sends) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_RD)));
  const Payload payload{44, 0, 500};
  SendAll(pair.server, payload);
  const bool carried = WaitReady(pair.client, SP_IN) && ReceivePatiently(pair.client, payload).Complete(payload);
  CHECK_REQUIREMENT(rejection::shutdown_read_server_sends,
                    Carries(carried, "from the server, after it has shut down its receiving side"));
  CHECK_REQUIREMENT(rejection::shutdown_read_local, pair.client.SendBytes("x"));
}

SCENARIO(Rejection, ShutdownBoth, kConnections, rejection::shutdown_both, rejection::shutdown_both_then_send) {
  Pair pair = ConnectedPair(net);
  static_cast<void>(Must(pair.server.Shutdown(SP_SHUT_RDWR)));
  CHECK_REQUIREMENT(rejection::shutdown_both, Sees(pair.client));
  CHECK_REQUIREMENT(rejection::shutdown_both_then_send, SendUntilRefused(pair.client));
}

}  // namespace sockproof
