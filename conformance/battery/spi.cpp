// What the service provider interface asks of a provider itself, as far as its calls show it.
#include "catalogue/spi.h"

#include "battery/overlapped_support.h"

namespace sockproof {
namespace {

// Whether an accept with nobody there waits: "still_blocked" if so. It is ended by a client afterwards.
Outcome Waits(Listener& listener, const Flavor& net) {
  auto accepting = AcceptInThread(listener.socket);
  const bool waits = accepting.WaitBlocked();
  Asker client = Ask(listener, net);
  const Outcome came = Settled(accepting);
  return waits ? Outcome(outcome::still_blocked) : came;
}

}  // namespace

SCENARIO(Spi, SocketsAreCreatedBlocking, kConditional, spi::created_blocking) {
  Listener listener = ListenOn(net);
  CHECK_REQUIREMENT(spi::created_blocking, Waits(listener, net));
  Asker client = Ask(listener, net);
  Socket server = Must(AcceptNow(listener.socket));
  MustBeReady(client.socket, SP_OUT);
  auto receiving = Spawn("recv", [&] { return server.Recv(16); });
  const bool waits = receiving.WaitBlocked();
  Step(client.socket.SendBytes("data"));
  const Outcome came = Settled(receiving);
  CHECK_REQUIREMENT(spi::created_blocking, waits ? Outcome(outcome::still_blocked) : came);
}

SCENARIO(Spi, OverlappedOperationsLeaveTheModeAlone, kOverlapped, spi::overlapped_leaves_mode) {
  Listener listener = ListenOn(net);
  Socket on = net.NewListening();
  Pending pending = BeginAccept(listener.socket, on);
  Socket first = ConnectTo(listener, net);
  static_cast<void>(Must(pending.Wait()));
  CHECK_REQUIREMENT(spi::overlapped_leaves_mode, Waits(listener, net));
  Step(UpdateAccepted(on, listener.socket));
  auto receiving = Spawn("recv", [&] { return on.Recv(16); });
  const bool waits = receiving.WaitBlocked();
  Step(first.SendBytes("data"));
  const Outcome came = Settled(receiving);
  CHECK_REQUIREMENT(spi::overlapped_leaves_mode, waits ? Outcome(outcome::still_blocked) : came);
}

SCENARIO(Spi, EachCallHasItsOwnError, kTcp4, spi::error_per_call) {
  Listener listener = ListenOn(net);
  Socket bound = net.NewListening(), invalid = Socket::Wrong(SP_HANDLE_INVALID);
  Step(bound.Bind(net.ToBind()));
  Step(listener.socket.SetModes(SP_NONBLOCKING));
  Step(bound.SetModes(SP_NONBLOCKING));
  const std::string alone[] = {Outcome(bound.Accept()).name(), Outcome(invalid.Accept()).name(),
                               Outcome(listener.socket.Accept()).name()};
  Socket* const sockets[] = {&bound, &invalid, &listener.socket};
  std::vector<Task<std::string>> tasks;
  for (std::size_t i = 0; i < 3; ++i) {
    tasks.push_back(Spawn("failing " + std::to_string(i), [&, i] {
      for (int round = 0; round < 300; ++round) {
        const std::string seen = Outcome(sockets[i]->Accept()).name();
        if (seen != alone[i]) return seen + " in place of " + alone[i];
      }
      return std::string();
    }));
  }
  std::string wrong;
  for (Task<std::string>& task : tasks) wrong += task.Join();
  const bool three = alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2];
  CHECK_REQUIREMENT(spi::error_per_call, Holds(wrong.empty() && three, three ? wrong : "three failures with the same error"));
}

SCENARIO(Spi, EachSocketHasItsOwnPendingError, kTcp, spi::pending_error, spi::error_per_socket) {
  Listener listener = ListenOn(net), closed = BoundOn(net);
  Asker fine = NewAsker(net), refused = NewAsker(net), idle = NewAsker(net);
  MustHaveAsked(fine.socket.Connect(listener.address));
  const Result connecting = refused.socket.Connect(closed.address);
  const bool later = connecting.error() == SP_EAGAIN || connecting.error() == SP_EINPROGRESS;
  if (later) WaitReady(refused.socket, SP_OUT);
  const auto none = [](Asker& asker) {
    const Outcome error = asker.socket.TakeError();
    return Holds(error.name() == "ok", "another socket's pending error: " + error.name());
  };
  CHECK_REQUIREMENT(spi::error_per_socket, none(fine));
  CHECK_REQUIREMENT(spi::error_per_socket, none(idle));
  CHECK_REQUIREMENT(spi::pending_error, later ? refused.socket.TakeError() : Outcome(connecting));
  CHECK_REQUIREMENT(spi::error_per_socket, none(fine));
}

}  // namespace sockproof
