// TCP_DEFER_ACCEPT: connections that are handed out when their first data has come.
#include "catalogue/deferred.h"

#include "battery/queue_support.h"

namespace sockproof {
namespace {

// Far longer than any scenario: what comes out before that does not come out because the time is over.
constexpr int64_t kLong = 60;

Listener DeferringListener(const Flavor& net, int64_t seconds_of_option = kLong, int32_t backlog = 8,
                           Where where = SOCKPROOF_HERE) {
  Listener listener = BoundOn(net, where);
  static_cast<void>(Must(listener.socket.Set(SP_TCP_DEFER_ACCEPT, seconds_of_option), where));
  static_cast<void>(Must(listener.socket.Listen(backlog), where));
  return listener;
}

// A client that is connected and has sent nothing.
Socket DeferredClient(const Listener& listener, const Flavor& net, Where where = SOCKPROOF_HERE) {
  QueueAttempt attempt = TryToConnect(listener, net, Patience(), where);
  if (!attempt.in()) Host::Get().reporter().StepFailed(where, "the client of a deferring listener connects", attempt.state);
  return std::move(attempt.socket);
}

// Is there anything to accept, now or within a quiet time?
Outcome Offers(Listener& listener, Nanoseconds quiet = kQuiet) {
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  LetQuietTimePass(quiet);
  const bool ready = Events(listener.socket, SP_IN) != 0;
  const AcceptResult accepted = listener.socket.Accept();
  return Readiness(ready || accepted.error() != SP_EAGAIN, accepted.text());
}

Outcome Arrives(Socket& server, const Payload& payload) {
  const Received received = ReceivePatiently(server, payload);
  if (received.Complete(payload)) return outcome::intact;
  return Outcome(outcome::damaged, fmt::format("{} of {} bytes, then {}; {}", received.bytes, payload.length, received.end.name(),
                                               received.difference));
}

}  // namespace

SCENARIO(Deferred, Values, kTcp46, deferred::default_value, deferred::negative, deferred::value_read_back,
         deferred::takes_effect) {
  Socket socket = net.NewListening();
  const auto value = [&] { return Must(socket.Get(SP_TCP_DEFER_ACCEPT)).integer; };
  CHECK_REQUIREMENT(deferred::default_value, Outcome::OfNumber(value()));
  for (const int64_t set : {1, 2, 3, 7, 8, 30, 100}) {
    static_cast<void>(Must(socket.Set(SP_TCP_DEFER_ACCEPT, set)));
    const int64_t got = value();
    const std::string detail = fmt::format("set {}, read back {}", set, got);
    int64_t rounded = 1;
    while (rounded < set) rounded = 2 * rounded + 1;
    CHECK_REQUIREMENT(deferred::takes_effect, Holds(got >= set, detail));
    CHECK_REQUIREMENT(deferred::value_read_back, got == set       ? Outcome(outcome::same, detail)
                                                 : got == rounded ? Outcome(outcome::rounded_up, detail)
                                                                  : Outcome(outcome::violated, detail));
  }
  static_cast<void>(Must(socket.Set(SP_TCP_DEFER_ACCEPT, -1)));
  CHECK_REQUIREMENT(deferred::negative, Outcome::OfNumber(value()));
}

SCENARIO(Deferred, KeptByListen, kTcp46, deferred::kept_by_listen) {
  Listener listener = BoundOn(net);
  const auto value = [&] { return Must(listener.socket.Get(SP_TCP_DEFER_ACCEPT)).integer; };
  static_cast<void>(Must(listener.socket.Set(SP_TCP_DEFER_ACCEPT, 7)));
  const int64_t before = value();
  static_cast<void>(Must(listener.socket.Listen(2)));
  const int64_t once = value();
  static_cast<void>(Must(listener.socket.Listen(4)));
  const int64_t twice = value();
  CHECK_REQUIREMENT(deferred::kept_by_listen, Holds(before == once && once == twice,
                                                    fmt::format("{}, after listen {}, after another {}", before, once, twice)));
}

SCENARIO(Deferred, DataBringsItOut, kTcp.Waits(milliseconds(60)), deferred::connect_completes, deferred::not_before_data,
         deferred::data_wakes_listener, deferred::data_there_at_once, deferred::reply_works) {
  Listener listener = DeferringListener(net);
  QueueAttempt attempt = TryToConnect(listener, net, Patience());
  CHECK_REQUIREMENT(deferred::connect_completes, attempt.state);
  if (!attempt.in()) CannotGoOn("there is no connection");
  CHECK_REQUIREMENT(deferred::not_before_data, Offers(listener));
  Tag(attempt.socket, 0);
  const bool woken = WaitReady(listener.socket, SP_IN);
  CHECK_REQUIREMENT(deferred::data_wakes_listener, Readiness(woken));
  if (!woken) CannotGoOn("nothing comes out");
  Socket server = Must(listener.socket.Accept());
  CHECK_REQUIREMENT(deferred::data_there_at_once, Readiness((Events(server, SP_IN) & SP_IN) != 0));
  const bool works = TagOf(server) == 'A' && Exchange(attempt.socket, server);
  CHECK_REQUIREMENT(deferred::reply_works, works ? outcome::intact : outcome::damaged);
}

SCENARIO(Deferred, BlockedAccept, kTcp.Waits(milliseconds(60)), deferred::blocked_accept_sleeps, deferred::blocked_accept_wakes,
         deferred::data_there_at_once) {
  Listener listener = DeferringListener(net);
  auto accepting = Spawn("accept", [&] { return listener.socket.Accept(); });
  accepting.WaitBlocked();
  Socket client = DeferredClient(listener, net);
  LetQuietTimePass(kQuiet);
  const bool returned = accepting.Done();
  CHECK_REQUIREMENT(deferred::blocked_accept_sleeps, returned ? outcome::returned : outcome::pending);
  Tag(client, 0);
  AcceptResult accepted = accepting.Join();
  CHECK_REQUIREMENT(deferred::blocked_accept_wakes, accepted);
  if (!accepted.ok() || returned) CannotGoOn("the accept did not wait for data");
  CHECK_REQUIREMENT(deferred::data_there_at_once, Readiness((Events(accepted.socket, SP_IN) & SP_IN) != 0));
}

SCENARIO(Deferred, TimeIsOver, kTcp.Waits(milliseconds(3100)), deferred::still_not_before_time, deferred::time_over) {
  // 3 is a value that needs no rounding.
  constexpr Nanoseconds kTime = seconds(3);
  Listener listener = DeferringListener(net, 3);
  const Stopwatch watch;
  Socket client = DeferredClient(listener, net);
  const bool early = WaitReady(listener.socket, SP_IN, milliseconds(1500));
  CHECK_REQUIREMENT(deferred::still_not_before_time, Readiness(early));
  const bool came = WaitReady(listener.socket, SP_IN, seconds(5));
  const Outcome when = Timing(watch, kTime, milliseconds(20));
  CHECK_REQUIREMENT(deferred::time_over, came ? when : Outcome(outcome::dropped));
}

SCENARIO(Deferred, DataIsIntact, kTcp, deferred::data_intact) {
  Listener listener = DeferringListener(net);
  struct Part {
    uint64_t first, second;
  };
  // One byte; two sends; more than one segment holds (the loopback takes 64 KiB), some before and some after accept.
  for (const Part part : {Part{1, 0}, Part{10, 100}, Part{100'000, 0}, Part{70'000, 300'000}}) {
    Socket client = DeferredClient(listener, net);
    static_cast<void>(Must(client.SetModes(0, SP_NONBLOCKING)));
    auto sending = Spawn("send", [&] {
      SendAll(client, Payload{31, 0, part.first});
      if (part.second > 0) SendAll(client, Payload{31, part.first, part.second});
    });
    Socket server = AcceptNext(listener.socket);
    CHECK_REQUIREMENT(deferred::data_intact, Arrives(server, Payload{31, 0, part.first + part.second}));
    sending.Join();
  }
}

SCENARIO(Deferred, OnlySendersComeOut, kTcp.Waits(milliseconds(60)), deferred::only_senders, deferred::order) {
  NeedQueue(net, 4);
  Listener listener = DeferringListener(net);
  std::vector<Socket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(DeferredClient(listener, net));
  Tag(clients[2], 2);
  MustBeReady(listener.socket, SP_IN);
  Tag(clients[0], 0);
  AwaitQueued(listener.socket, net, 2);
  std::string tags;
  for (int i = 0; i < 2; ++i) {
    if (!WaitReady(listener.socket, SP_IN)) break;
    AcceptResult accepted = listener.socket.Accept();
    if (!accepted.ok()) break;
    // A client that has sent nothing has nothing to read.
    tags += (Events(accepted.socket, SP_IN) & SP_IN) != 0 ? TagOf(accepted.socket) : '-';
  }
  const Outcome further = Offers(listener);
  const bool senders = (tags == "CA" || tags == "AC") && further.name() == outcome::not_ready.text;
  const std::string detail = fmt::format("C and A have sent; accepted {}, then {}", tags, further.name());
  CHECK_REQUIREMENT(deferred::only_senders, Outcome(senders ? outcome::sender : outcome::other, detail));
  CHECK_REQUIREMENT(deferred::order, tags == "CA"   ? Outcome(outcome::by_data, detail)
                                     : tags == "AC" ? Outcome(outcome::by_connect, detail)
                                                    : Outcome(outcome::violated, detail));
}

SCENARIO(Deferred, EachClientIsDeferred, kTcp.Waits(milliseconds(120)), deferred::not_before_data,
         deferred::data_wakes_listener) {
  Listener listener = DeferringListener(net);
  // One that was handed out changes nothing for the next.
  for (int i = 0; i < 2; ++i) {
    Socket client = DeferredClient(listener, net);
    CHECK_REQUIREMENT(deferred::not_before_data, Offers(listener));
    Tag(client, 0);
    const bool woken = WaitReady(listener.socket, SP_IN);
    CHECK_REQUIREMENT(deferred::data_wakes_listener, Readiness(woken));
    if (!woken) return;
    const Socket server = Must(listener.socket.Accept());
  }
}

SCENARIO(Deferred, EndOfStreamComesOut, kTcp, deferred::fin_is_handed_out) {
  Listener listener = DeferringListener(net);
  Socket client = DeferredClient(listener, net);
  static_cast<void>(Must(client.Shutdown(SP_SHUT_WR)));
  Outcome seen = outcome::dropped;
  if (WaitReady(listener.socket, SP_IN, seconds(2))) {
    Socket server = Must(listener.socket.Accept());
    seen = WaitReady(server, SP_IN) ? server.Recv(1).Seen() : Outcome(outcome::silent);
  }
  CHECK_REQUIREMENT(deferred::fin_is_handed_out, seen);
}

SCENARIO(Deferred, ResetStaysIn, kTcp.Waits(milliseconds(60)), deferred::reset_is_not_handed_out) {
  Listener listener = DeferringListener(net);
  Socket client = DeferredClient(listener, net);
  static_cast<void>(Must(client.SetLinger(true, 0)));
  static_cast<void>(Must(client.Close()));
  CHECK_REQUIREMENT(deferred::reset_is_not_handed_out, Offers(listener));
}

SCENARIO(Deferred, TakesNoPlace, kTcp.Waits(milliseconds(60)), deferred::takes_no_place) {
  Listener listener = DeferringListener(net, kLong, 2);
  std::vector<Socket> clients;
  for (int i = 0; i < 2; ++i) clients.push_back(DeferredClient(listener, net));
  static_cast<void>(Must(listener.socket.Set(SP_TCP_DEFER_ACCEPT, 0)));
  const Depth depth = MeasureDepth(listener, net, 2, 6);
  CHECK_REQUIREMENT(deferred::takes_no_place,
                    Holds(depth.accepted >= 2, fmt::format("{} of 2 got in beside 2 deferred", depth.accepted)));
}

// ---- the option changed while peers wait ----

SCENARIO(Deferred, SetWhilePeersAreQueued, kTcp, deferred::set_keeps_queued) {
  const std::size_t room = QueueRoom(net, 3, 1, 8);
  Listener listener = ListenOn(net, 8);
  std::vector<Socket> clients = Enqueue(listener, net, room);
  static_cast<void>(Must(listener.socket.Set(SP_TCP_DEFER_ACCEPT, kLong)));
  std::size_t carried = 0;
  for (Socket& client : clients) {
    if (!WaitReady(listener.socket, SP_IN, seconds(2))) break;
    Socket server = Must(listener.socket.Accept());
    if (Exchange(client, server)) ++carried;
  }
  CHECK_REQUIREMENT(deferred::set_keeps_queued, Outcome(carried == clients.size() ? outcome::at_once : outcome::dropped,
                                                        fmt::format("{} of {} came out", carried, room)));
}

SCENARIO(Deferred, ClearedWhilePeersAreDeferred, kTcp.Waits(milliseconds(1100)), deferred::cleared_new,
         deferred::cleared_deferred_data, deferred::cleared_deferred) {
  NeedQueue(net, 3);
  Listener listener = DeferringListener(net);
  Socket sends = DeferredClient(listener, net), silent = DeferredClient(listener, net);
  static_cast<void>(Must(listener.socket.Set(SP_TCP_DEFER_ACCEPT, 0)));
  const Stopwatch watch;
  // From now on a connection is handed out when it is complete.
  Socket fresh = DeferredClient(listener, net);
  const auto accept_of = [&](Socket& client) {
    const uint16_t port = client.LocalAddress().port();
    std::optional<Socket> found;
    while (!found && WaitReady(listener.socket, SP_IN)) {
      AcceptResult accepted = listener.socket.Accept();
      if (!accepted.ok()) break;
      if (accepted.peer.address.port() == port) found = std::move(accepted.socket);
    }
    return found;
  };
  const std::optional<Socket> of_fresh = accept_of(fresh);
  CHECK_REQUIREMENT(deferred::cleared_new, of_fresh ? outcome::at_once : outcome::dropped);
  const Payload payload{32, 0, 2000};
  SendAll(sends, payload);
  std::optional<Socket> of_sender = accept_of(sends);
  CHECK_REQUIREMENT(deferred::cleared_deferred_data, of_sender ? Arrives(*of_sender, payload) : Outcome(outcome::dropped));
  const std::optional<Socket> of_silent = accept_of(silent);
  CHECK_REQUIREMENT(deferred::cleared_deferred, !of_silent                            ? outcome::dropped
                                                : watch.Elapsed() < milliseconds(500) ? outcome::at_once
                                                                                      : outcome::later);
}

SCENARIO(Deferred, ListenerGoes, kTcp.Waits(milliseconds(60)), deferred::closed_client_told, deferred::closed_data_reset) {
  Listener listener = DeferringListener(net);
  Socket client = DeferredClient(listener, net);
  static_cast<void>(Must(listener.socket.Close()));
  const uint32_t events = Events(client, SP_IN | SP_RDHUP, kQuiet);
  CHECK_REQUIREMENT(deferred::closed_client_told, events == 0              ? Outcome(outcome::silent)
                                                  : (events & SP_ERR) != 0 ? Outcome::OfError(SP_ECONNRESET, 0)
                                                                           : Outcome(outcome::end_of_stream));
  Outcome seen = client.SendBytes("late");
  if (seen.name() == "ok") seen = WaitReady(client, SP_IN) ? client.Recv(1).Seen() : Outcome(outcome::silent);
  CHECK_REQUIREMENT(deferred::closed_data_reset, seen);
}

}  // namespace sockproof
