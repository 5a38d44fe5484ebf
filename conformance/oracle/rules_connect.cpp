// connect: from which states, what it may answer, and which listener the attempt goes to.
#include <fmt/format.h>

#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kCompletes("connect.completes", "connect to a listener that has room makes a connection.", "connect.completes");
const Rule kCall("connect.in_progress", "A non-blocking connect that is not established at once says that it is under way.",
                 "progress.call");
const Rule kWaits("connect.blocking_waits", "A blocking connect does not return before the connection is established or refused.",
                  "", "POSIX.1-2001 connect() DESCRIPTION");
const Rule kOnlyBound("connect.only_bound", "A socket that is bound and does not listen takes no connection.",
                      "listen.bound_only_refuses");
const Rule kAlready("connect.again", "A further connect while the first is under way fails.", "progress.again");
const Rule kConnectedSocket("connect.connected", "connect on a connected socket fails.", "connect.already_connected");
const Rule kAfterwards("connect.told_once", "The first connect after an asynchronous establishment fails, or tells of it.",
                       "progress.connect_afterwards");
const Rule kListener("connect.listener", "connect on a listener fails.", "listen.connect");
const Rule kListenerLocal("connect.listener_local", "connect on a local listener fails.", "listen.connect_unix");

int32_t FamilyOf(const Address& address) { return address.IsV4Mapped() ? static_cast<int32_t>(SP_INET) : address.family(); }

// The listener's address covers the one that is connected to; `surely` counts only what leaves no doubt.
bool Covers(const Socket& listener, const Address& target, bool surely) {
  if (!listener.local) return !surely && (listener.family == SP_UNIX) == (target.family() == SP_UNIX);
  if (SamePlace(*listener.local, target)) return FamilyOf(*listener.local) == FamilyOf(target) || !surely;
  if (target.family() == SP_UNIX || listener.local->family() == SP_UNIX) return false;
  if (listener.local->port() != target.port()) return false;
  if (IsWildcard(*listener.local)) return !surely || (FamilyOf(*listener.local) == FamilyOf(target) && IsLoopback(target));
  return !surely && IsWildcard(target);
}

// Fresh, or after an attempt that failed, or one of both.
bool Idle(const Socket& socket) { return (socket.phases & ~static_cast<uint32_t>(kFresh | kFailed)) == 0; }

void TakeOut(Court& court, Id client) {
  for (const Id id : court.model.listeners) {
    auto& queue = court.At(id).queue;
    queue.erase(std::remove_if(queue.begin(), queue.end(), [&](const Attempt& attempt) { return attempt.client == client; }),
                queue.end());
  }
}

// Nothing that a refusal could come from: a listener is there throughout the call, and its queue has room.
bool SurelyServed(Court& court, const Operation& call, const Socket& socket, const Address& target) {
  if (court.model.impaired || court.model.limited || !court.Alone(socket) || socket.odd) return false;
  int serving = 0;
  for (const Id id : court.model.listeners) {
    const Socket& listener = court.At(id);
    if (listener.closed.Possible() && listener.closed.must < call.begin) continue;
    if (!Covers(listener, target, false)) continue;
    if (listener.unknown || listener.shared || listener.odd || listener.sharing || listener.closed.Possible() ||
        listener.read_shut.Possible() || listener.type != socket.type || !Covers(listener, target, true) ||
        !Court::Stable(listener, call) || listener.phases != kListening) {
      return false;
    }
    // The backlog is a wish: an implementation may keep shorter queues. The attempt itself stands in this one; whether it may
    // have been full with others in it, no call has said.
    if (listener.queue.size() > 1 || listener.least_backlog < 1) return false;
    ++serving;
  }
  return serving == 1;
}

// A socket has exactly this address for itself, and does not listen.
const Socket* OnlyBound(Court& court, const Operation& call, const Address& target) {
  if (court.model.strangers || court.model.impaired || !court.model.whole) return nullptr;
  const Socket* only = nullptr;
  for (Id id = 0; id < static_cast<Id>(court.model.sockets.size()); ++id) {
    const Socket& other = court.At(id);
    if (other.unknown && !other.closed.Possible()) return nullptr;
    if (other.closed.must < call.begin || !other.local) continue;
    if (!Covers(other, target, false)) continue;
    if (id == call.subject || other.phases != kFresh || other.attempt_begin != 0 || other.sharing || other.shared || other.odd ||
        other.closed.Possible() || !Court::Stable(other, call) || !SamePlace(*other.local, target)) {
      return nullptr;
    }
    only = &other;
  }
  return only;
}

void Dissolved(Court& court, const Operation& call) {
  Socket& socket = court.At(call.subject);
  socket.reset.Begin(call.begin);
  court.Forget(call.subject);
}

}  // namespace

void BeginConnect(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  const AddressArgument to = call.In("address");
  Socket& socket = court.At(call.subject);
  if (!to.plain || !ConnectionMode(socket)) return;
  Id only = kNobody;
  int candidates = 0;
  for (const Id id : court.model.listeners) {
    Socket& listener = court.At(id);
    if (listener.closed.must < call.begin || !Covers(listener, to.address, false)) continue;
    // What was shut down may listen no more, and reach out instead.
    if (Idle(socket) || socket.unknown || socket.read_shut.Possible())
      listener.queue.push_back({call.subject, call.begin, kNever});
    only = id;
    ++candidates;
  }
  if (!Idle(socket)) return;
  socket.attempt_begin = std::max<Moment>(call.begin, 1);
  socket.listener = candidates == 1 ? only : kNobody;
}

void EndConnect(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  const AddressArgument to = call.In("address");
  if (socket == nullptr) {
    // Whoever is unknown may have connected.
    if (call.subject != kNobody && call.error != SP_OK && NameOf(call) != court.InProgress()) TakeOut(court, call.subject);
    return;
  }
  if (!to.plain || call.arguments.Has("extended") || call.arguments.Has("caller_data") || socket->odd) {
    if (call.ok() || NameOf(call) == court.InProgress()) court.Forget(call.subject);
    return;
  }
  if (to.address.family() == SP_UNSPEC) return Dissolved(court, call);
  if (!Court::Stable(*socket, call)) return court.Forget(call.subject);
  const std::string_view seen = NameOf(call);
  const bool local = socket->family == SP_UNIX;
  if (socket->phases == kListening) {
    // Whether there is anybody at a local address may be looked at before the socket's own state.
    const bool other_cause = local && !call.ok() && !Is(call, SP_EINVAL);
    if (!socket->read_shut.Possible() && !other_cause) court.Allows(local ? kListenerLocal : kListener, call, seen);
    if (call.ok() || socket->read_shut.Possible()) court.Forget(call.subject);
    return;
  }
  if (socket->phases == kConnected) {
    if (!ConnectionMode(*socket)) return court.Forget(call.subject);
    if (court.EndPossible(*socket) || socket->write_shut.Possible()) return;
    if (local && !call.ok() && !Is(call, SP_EISCONN)) return;
    if (socket->told_connected) {
      court.Allows(kConnectedSocket, call, seen);
    } else {
      court.Allows(kAfterwards, call, seen);
      socket = court.Of(call);
      if (socket != nullptr) socket->told_connected = true;
    }
    return;
  }
  const bool first = Idle(*socket);
  if (!first) {
    // Under way, or over: what this call says tells which.
    if (Is(call, SP_EALREADY)) {
      court.Allows(kAlready, call, seen);
      socket->phases &= kConnecting;
      if (socket->phases == 0) court.Forget(call.subject);
    } else if (Is(call, SP_EISCONN) || call.ok()) {
      socket->phases = kConnected;
      socket->told_connected = true;
      if (socket->nonblocking.For(call) == false) socket->told_connected = false;
    } else if (seen != court.InProgress() && !Is(call, SP_EINTR)) {
      if (socket->phases == kConnecting && socket->nonblocking.For(call) == true && !court.model.impaired) {
        court.Allows(kAlready, call, seen);
      }
      court.Forget(call.subject);
    }
    return;
  }
  const bool in_progress = seen == court.InProgress() && !(local && Is(call, SP_EAGAIN));
  const auto nonblocking = socket->nonblocking.For(call);
  const auto limit = socket->send_limit.For(call);
  if (call.ok() || in_progress) {
    if (const Socket* bound = OnlyBound(court, call, to.address); bound != nullptr && call.ok()) {
      if (!court.Allows(kOnlyBound, call, seen,
                        "nobody listens there: a socket is bound to that address, and was never told to listen")) {
        return;
      }
    }
  }
  if (in_progress) {
    if (nonblocking == false && limit == 0) {
      court.Holds(kWaits, call, false, "the socket is blocking, and has no time-out for sending");
      return;
    }
    if (nonblocking == true && !local && !court.Allows(kCall, call, seen)) return;
    socket->phases = kConnecting | kConnected | kFailed;
    // The listener hears nothing, and the request is sent again after a second at the earliest.
    if (socket->listener != kNobody && !local && court.At(socket->listener).silenced && nonblocking == true &&
        !court.model.limited) {
      socket->phases = kConnecting;
      socket->held_until = call.begin_ns + 500000000;
    }
    socket->told_connected = false;
    socket->peer_name = to.address;
    return;
  }
  if (call.ok()) {
    if (nonblocking == false) court.Holds(kWaits, call, true);
    if (socket->listener != kNobody) court.Allows(kCompletes, call, seen);
    if (socket->listener == kNobody && socket->sharing) socket->odd = true;
    socket->phases = kConnected;
    socket->told_connected = true;
    socket->peer_name = to.address;
    socket->attempt_end = call.end;
    for (const Id id : court.model.listeners) {
      for (Attempt& attempt : court.At(id).queue) {
        if (attempt.client == call.subject) attempt.done = call.end;
      }
    }
    // Connected to itself, or with another that connects at the same time: no listener is in it.
    if (socket->listener == kNobody) court.Forget(call.subject);
    return;
  }
  if (Is(call, SP_ECONNREFUSED) && OnlyBound(court, call, to.address) != nullptr) court.Allows(kOnlyBound, call, seen);
  // A reply that depends on more than the model has (routes, ports, permissions) is none of these.
  if ((Is(call, SP_ECONNREFUSED) || Is(call, SP_ETIMEDOUT)) && !local && IsLoopback(to.address) &&
      (!socket->local || IsLoopback(*socket->local) || IsWildcard(*socket->local)) &&
      SurelyServed(court, call, *socket, to.address)) {
    court.Allows(kCompletes, call, seen, "a listener is there, and its queue has room");
    return;
  }
  TakeOut(court, call.subject);
  if (Is(call, SP_EINTR)) return court.Forget(call.subject);
  if (Is(call, SP_EAGAIN) && local) {  // sent back: the socket is as it was
    socket->attempt_begin = 0;
    return;
  }
  socket->phases = Is(call, SP_ECONNREFUSED) ? kFailed : (kFresh | kFailed);
  if (socket->listener != kNobody) socket->listener = kNobody;
}

}  // namespace sockproof::oracle
