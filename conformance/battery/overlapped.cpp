// AcceptEx: what it waits for, what it yields, and what it does not take.
#include "catalogue/overlapped.h"

#include "battery/overlapped_support.h"

namespace sockproof {

SCENARIO(Overlapped, AnAcceptIsPendingUntilSomebodyComes, kOverlapped, overlapped::accept_pending, overlapped::accept_completes,
         overlapped::accept_connection) {
  Listener listener = ListenOn(net);
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  CHECK_REQUIREMENT(overlapped::accept_pending, pending.Began());
  LetQuietTimePass(milliseconds(50));
  CHECK_REQUIREMENT(overlapped::accept_pending,
                    pending.Done() ? Outcome(outcome::returned, "with nobody there") : pending.Began());
  Socket client = ConnectTo(listener, net);
  CHECK_REQUIREMENT(overlapped::accept_completes, pending.Settle());
  Step(UpdateAccepted(on, listener.socket));
  CHECK_REQUIREMENT(overlapped::accept_connection, BothWays(client, on));
}

SCENARIO(Overlapped, AnAcceptOfOneWhoWaits, kOverlapped, overlapped::accept_completes, overlapped::accept_connection) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  CHECK_REQUIREMENT(overlapped::accept_completes, pending.Settle());
  Step(UpdateAccepted(on, listener.socket));
  CHECK_REQUIREMENT(overlapped::accept_connection, BothWays(client, on));
}

SCENARIO(Overlapped, AnAcceptThatWaitsForData, kOverlapped, overlapped::accept_waits_for_data, overlapped::accept_first_data) {
  Listener listener = ListenOn(net);
  for (const std::size_t sent : {std::size_t{4}, std::size_t{10}, std::size_t{25}}) {
    Socket on = net.NewListening();
    BeginAcceptOptions options;
    options.first_data = 10;
    Pending pending = BeginAccept(listener.socket, on, options);
    Socket client = ConnectTo(listener, net);
    LetQuietTimePass(milliseconds(50));
    const bool early = pending.Done();
    const std::string data = std::string("abcdefghijklmnopqrstuvwxyz").substr(0, sent);
    Step(client.SendBytes(data));
    const Outcome settled = pending.Settle();
    CHECK_REQUIREMENT(overlapped::accept_waits_for_data,
                      Holds(!early && settled.name() == "ok", early ? "ended without data" : settled.name()));
    std::string got = pending.Data();
    const bool first = got.size() <= 10 && !got.empty();
    if (settled.name() == "ok") Step(UpdateAccepted(on, listener.socket));
    while (got.size() < sent && WaitReady(on, SP_IN)) {
      const RecvResult rest = on.Recv(64);
      if (!rest.ok() || rest.value() == 0) break;
      got.append(rest.data.begin(), rest.data.end());
    }
    CHECK_REQUIREMENT(overlapped::accept_first_data, first ? Same(got, data, "data") : Holds(false, "no first data: " + got));
  }
}

SCENARIO(Overlapped, AnAcceptYieldsTheAddresses, kOverlapped, overlapped::accept_addresses, overlapped::accept_names) {
  Listener listener = ListenOn(net);
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  Socket client = ConnectTo(listener, net);
  static_cast<void>(Must(pending.Wait()));
  const Address remote = SeenByListener(net, client.LocalAddress());
  const Address local = SeenByListener(net, Must(client.PeerName()));
  const NameResult seen_remote = pending.Peer(), seen_local = pending.Local();
  CHECK_REQUIREMENT(
      overlapped::accept_addresses,
      Holds(seen_remote.decoded && seen_local.decoded && seen_remote.address == remote && seen_local.address == local,
            fmt::format("remote {} and local {}, and not {} and {}", seen_remote.address.ToString(),
                        seen_local.address.ToString(), remote.ToString(), local.ToString())));
  Step(UpdateAccepted(on, listener.socket));
  const NameResult peer = on.PeerName(), name = on.LocalName();
  CHECK_REQUIREMENT(overlapped::accept_names, Holds(peer.ok() && name.ok() && peer.address == remote && name.address == local,
                                                    peer.text() + "; " + name.text()));
}

SCENARIO(Overlapped, TheListenersProperties, kOverlapped, overlapped::accept_context_before, overlapped::accept_context_after) {
  Listener listener = ListenOn(net);
  Step(listener.socket.Set(SP_SO_KEEPALIVE, 1));
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  Socket client = ConnectTo(listener, net);
  static_cast<void>(Must(pending.Wait()));
  const auto inherited = [&] {
    const OptionResult value = on.Get(SP_SO_KEEPALIVE);
    return Outcome(value.ok() && value.integer != 0 ? outcome::inherited : outcome::not_inherited, value.text());
  };
  CHECK_REQUIREMENT(overlapped::accept_context_before, inherited());
  Step(UpdateAccepted(on, listener.socket));
  CHECK_REQUIREMENT(overlapped::accept_context_after, inherited());
}

SCENARIO(Overlapped, TheTimeOfAConnection, kOverlapped, overlapped::connect_time_unconnected, overlapped::connect_time) {
  Listener listener = ListenOn(net);
  Socket on = net.NewListening();
  const auto time_of = [](Socket& socket) { return Must(socket.Get(SP_SO_CONNECT_TIME)).integer; };
  CHECK_REQUIREMENT(overlapped::connect_time_unconnected, Outcome::OfNumber(time_of(on), "a fresh socket"));
  BeginAcceptOptions options;
  options.first_data = 10;
  Pending pending = BeginAccept(listener.socket, on, options);
  CHECK_REQUIREMENT(overlapped::connect_time_unconnected, Outcome::OfNumber(time_of(on), "nobody has come"));
  const int64_t before = Now();
  Socket client = ConnectTo(listener, net);
  const bool connected = WaitUntil([&] { return time_of(on) != 0xffffffff; }, Patience(), "the connection");
  const int64_t seconds_since = (Now() - before) / 1'000'000'000 + 1;
  const int64_t seen = time_of(on);
  CHECK_REQUIREMENT(overlapped::connect_time, Holds(connected && seen >= 0 && seen <= seconds_since && !pending.Done(),
                                                    fmt::format("{} s, of {} at most", seen, seconds_since)));
}

SCENARIO(Overlapped, AWrongSocketToAcceptOn, kOverlapped, overlapped::accept_on_bound, overlapped::accept_on_connected,
         overlapped::accept_not_listening, overlapped::refused_leaves_nothing) {
  Listener listener = ListenOn(net);
  Listener bound = BoundOn(net);
  CHECK_REQUIREMENT(overlapped::accept_on_bound, Refused(BeginAccept(listener.socket, bound.socket)));
  Pair pair = ConnectedPair(net);
  CHECK_REQUIREMENT(overlapped::accept_on_connected, Refused(BeginAccept(listener.socket, pair.server)));
  Socket on = net.NewListening();
  CHECK_REQUIREMENT(overlapped::accept_not_listening, Refused(BeginAccept(bound.socket, on)));
  // What was refused takes nobody.
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(overlapped::refused_leaves_nothing, BothWays(client, server));
}

SCENARIO(Overlapped, AWrongArgumentToAccept, kOverlapped, overlapped::accept_address_room, overlapped::accept_no_remote_room,
         overlapped::accept_no_output, overlapped::accept_no_overlapped, overlapped::refused_leaves_nothing) {
  Listener listener = ListenOn(net);
  {
    Socket on = net.NewListening();
    BeginAcceptOptions options;
    options.remote_length = 8;
    CHECK_REQUIREMENT(overlapped::accept_address_room, Refused(BeginAccept(listener.socket, on, options)));
  }
  {
    Socket on = net.NewListening();
    BeginAcceptOptions options;
    options.remote_length = 0;
    CHECK_REQUIREMENT(overlapped::accept_no_remote_room, Refused(BeginAccept(listener.socket, on, options)));
  }
  {
    Socket on = net.NewListening();
    BeginAcceptOptions options;
    options.output_kind = SP_POINTER_NULL;
    CHECK_REQUIREMENT(overlapped::accept_no_output, Refused(BeginAccept(listener.socket, on, options)));
  }
  Socket on = net.NewListening();
  CHECK_REQUIREMENT(overlapped::accept_no_overlapped, Refused(AcceptWithoutOverlapped(listener.socket, on)));
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(overlapped::refused_leaves_nothing, BothWays(client, server));
}

SCENARIO(Overlapped, SeveralAccepts, kOverlapped, overlapped::one_accept_each, overlapped::accept_connection) {
  Listener listener = ListenOn(net);
  std::vector<Socket> sockets, clients;
  std::vector<Pending> accepts;
  for (int i = 0; i < 3; ++i) sockets.push_back(net.NewListening());
  for (Socket& on : sockets) accepts.push_back(BeginAccept(listener.socket, on));
  std::vector<bool> known(sockets.size());
  for (std::size_t round = 0; round < sockets.size(); ++round) {
    clients.push_back(ConnectTo(listener, net));
    const auto ended = [&] {
      std::size_t count = 0;
      for (Pending& pending : accepts) count += pending.Done() ? 1 : 0;
      return count;
    };
    const bool one_more = WaitUntil([&] { return ended() > round; }, Patience(), "an accept to end");
    LetQuietTimePass(milliseconds(20));
    const std::size_t now = ended();
    CHECK_REQUIREMENT(overlapped::one_accept_each,
                      Holds(one_more && now == round + 1, fmt::format("{} ended for {} connections", now, round + 1)));
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      if (known[i] || !accepts[i].Done()) continue;
      known[i] = true;
      Step(UpdateAccepted(sockets[i], listener.socket));
      CHECK_REQUIREMENT(overlapped::accept_connection, BothWays(clients.back(), sockets[i], round + 1));
    }
  }
}

SCENARIO(Overlapped, AnAcceptTakesOneConnection, kOverlapped, overlapped::accept_ends_once, overlapped::accept_completes) {
  Listener listener = ListenOn(net);
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  Socket first = ConnectTo(listener, net);
  CHECK_REQUIREMENT(overlapped::accept_completes, pending.Settle());
  Socket second = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(overlapped::accept_ends_once, BothWays(second, server, 1));
  Step(UpdateAccepted(on, listener.socket));
  CHECK_REQUIREMENT(overlapped::accept_ends_once, BothWays(first, on, 2));
}

SCENARIO(Overlapped, ACancelledAccept, kOverlapped, overlapped::accept_cancelled, overlapped::accept_cancelled_takes_nothing) {
  Listener listener = ListenOn(net);
  Socket on = net.NewListening(), other = net.NewListening();
  Pending cancelled = BeginAccept(listener.socket, on), kept = BeginAccept(listener.socket, other);
  static_cast<void>(cancelled.Cancel());
  CHECK_REQUIREMENT(overlapped::accept_cancelled, cancelled.Settle());
  LetQuietTimePass(milliseconds(20));
  const bool still_there = !kept.Done();
  Socket client = ConnectTo(listener, net);
  const Outcome settled = kept.Settle();
  if (settled.name() == "ok") Step(UpdateAccepted(other, listener.socket));
  CHECK_REQUIREMENT(overlapped::accept_cancelled_takes_nothing, still_there && settled.name() == "ok"
                                                                    ? BothWays(client, other)
                                                                    : Holds(false, "the other accept: " + settled.name()));
  Socket second = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Socket server = Must(AcceptNow(listener.socket));
  CHECK_REQUIREMENT(overlapped::accept_cancelled_takes_nothing, BothWays(second, server, 2));
}

SCENARIO(Overlapped, ClosingEndsAnAccept, kOverlapped, overlapped::accept_closed, overlapped::listener_closed) {
  {
    Listener listener = ListenOn(net);
    Socket on = net.NewListening();
    BeginAcceptOptions options;
    options.first_data = 10;
    Pending pending = BeginAccept(listener.socket, on, options);
    Socket client = ConnectTo(listener, net);  // which says nothing
    LetQuietTimePass(milliseconds(20));
    Step(on.Close());
    CHECK_REQUIREMENT(overlapped::accept_closed, EndedWithError(pending));
  }
  Listener listener = ListenOn(net);
  Socket one = net.NewListening(), two = net.NewListening();
  Pending first = BeginAccept(listener.socket, one), second = BeginAccept(listener.socket, two);
  Step(listener.socket.Close());
  CHECK_REQUIREMENT(overlapped::listener_closed, EndedWithError(first));
  CHECK_REQUIREMENT(overlapped::listener_closed, EndedWithError(second));
}

SCENARIO(Overlapped, AClientThatLeftBefore, kOverlapped, overlapped::accept_withdrawn) {
  Listener listener = ListenOn(net);
  Socket client = ConnectTo(listener, net);
  MustBeReady(listener.socket, SP_IN);
  Step(client.SetLinger(true, 0));
  Step(client.Close());
  LetQuietTimePass(milliseconds(50));
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  CHECK_REQUIREMENT(overlapped::accept_withdrawn, pending.Settle(milliseconds(100)));
}

}  // namespace sockproof
