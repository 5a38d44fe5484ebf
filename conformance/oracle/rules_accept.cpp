// accept: which connection it returns, when it may return without one, and what the new socket is like.
#include <fmt/format.h>

#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kReturns("accept.made", "accept returns a connection that has been made to the listener, and none that nobody made.",
                    "accept.own_queue");
const Rule kOnce("accept.once", "No connection is returned twice.", "accept.own_descriptor");
const Rule kNewHandle("accept.new_handle", "The handle that accept returns is not one that is open already.",
                      "accept.own_descriptor");
const Rule kOrder("accept.order", "Connections are accepted in the order in which they were made.", "accept.first_in_first_out");
const Rule kPeer("accept.peer", "The address that accept stores is that of the client.", "accept.peer_address");
const Rule kBlocks("accept.blocks", "accept on a blocking listener does not return without a connection.",
                   "accept.blocks_until_connection");
const Rule kTakes("accept.takes_waiting", "accept on a non-blocking listener returns a connection that is waiting.",
                  "accept.nonblocking_takes_waiting");
const Rule kEarly("accept.time_out", "SO_RCVTIMEO does not end an accept before its time.", "accept.timeout_duration");
const Rule kEnds("accept.time_out_error", "An accept that SO_RCVTIMEO ends fails with EAGAIN.", "accept.timeout_ends_accept");
const Rule kEmpty("accept.empty", "accept on a non-blocking listener without a connection fails with EAGAIN.",
                  "accept.nonblocking_empty");
const Rule kNotListening("accept.not_listening", "accept on a socket that does not listen fails.", "accept.not_listening");
const Rule kClient("accept.client", "accept on a connected client socket fails.", "accept.client_socket");
const Rule kChild("accept.child", "accept on an accepted socket fails.", "accept.child_does_not_listen");
const Rule kDatagram("accept.datagram", "accept on a datagram socket fails.", "accept.datagram");
const Rule kPending("accept.connecting", "accept on a socket whose connection is under way fails.", "progress.accept_pending");
const Rule kShut("accept.shut", "accept on a listener that was shut down for reading fails.", "accept.after_read_shutdown");
const Rule kReset("accept.reset", "A connection that was reset while it waited is returned, reported as aborted, or gone.",
                  "accept.reset_before_accept");
const Rule kSound("accept.sound", "accept does not report a connection as aborted while all clients are sound.",
                  "accept.returns_connection");
const Rule kInherits("accept.mode", "Non-blocking mode of the listener is inherited, or is not.", "inherit.nonblocking");

// The clock of an implementation ticks; a wait that ends a tick early ends in time.
constexpr int64_t kTick = 20000000;

bool Internet(const std::optional<Address>& address) {
  return address && (address->family() == SP_INET || address->family() == SP_INET6);
}

// How many of the queue's attempts may still be waiting.
int64_t MayWait(const Socket& listener) { return static_cast<int64_t>(listener.queue.size()) - listener.accepted_count; }

bool KnowsItsVisitors(Court& court, const Socket& listener) {
  return court.Alone(listener) && !listener.visitors && !listener.odd && !listener.sharing && listener.local;
}

// Whom the connection belongs to, by the address that accept has stored, or because nobody else is there.
Id Client(Court& court, const Socket& listener, const std::optional<Address>& peer) {
  Id nameless = kNobody;
  int count = 0;
  for (const Attempt& attempt : listener.queue) {
    const Socket& client = court.At(attempt.client);
    if (Internet(peer)) {
      if (client.local && !IsWildcard(*client.local)) {
        if (SamePlace(*client.local, *peer)) return attempt.client;
        continue;
      }
      if (client.local && client.local->port() != peer->port()) continue;
    } else if (peer && peer->family() == SP_UNIX && !peer->path().empty()) {
      if (client.local && SamePlace(*client.local, *peer)) return attempt.client;
      if (client.local) continue;
    }
    nameless = attempt.client;
    ++count;
  }
  if (listener.visitors || listener.accepted_count > 0) return kNobody;
  return count == 1 ? nameless : kNobody;
}

// The oldest, where each was connected before the next one began and there was room for all: that it comes first is a rule.
Id Oldest(Court& court, const Socket& listener, const Operation& call) {
  if (listener.queue.empty() || listener.visitors || listener.accepted_count > 0 || !Court::TakesAlone(listener, call) ||
      static_cast<int64_t>(listener.queue.size()) > listener.least_backlog) {
    return kNobody;
  }
  for (std::size_t i = 0; i < listener.queue.size(); ++i) {
    // Who has gone meanwhile may have been taken out of the queue.
    const Socket& client = court.At(listener.queue[i].client);
    if (client.unknown || client.closed.Possible() || client.reset.Possible() || client.broken.Possible()) return kNobody;
    if (i + 1 < listener.queue.size() && listener.queue[i].done >= listener.queue[i + 1].begin) return kNobody;
  }
  return listener.queue.front().done < call.begin ? listener.queue.front().client : kNobody;
}

// Somebody else was connected before this client even began.
bool OvertookAnother(Court& court, const Socket& listener, Id client) {
  Moment begin = kNever;
  for (const Attempt& attempt : listener.queue) {
    if (attempt.client == client) begin = attempt.begin;
  }
  for (const Attempt& attempt : listener.queue) {
    const Socket& other = court.At(attempt.client);
    if (attempt.client != client && attempt.done < begin && !other.unknown && other.peer == kNobody && !other.closed.Possible() &&
        !other.reset.Possible() && !other.broken.Possible() && other.phases == kConnected) {
      return true;
    }
  }
  return false;
}

bool ClientGone(Court& court, const Socket& listener) {
  if (!KnowsItsVisitors(court, listener)) return true;
  return std::any_of(listener.queue.begin(), listener.queue.end(), [&](const Attempt& attempt) {
    const Socket& client = court.At(attempt.client);
    return client.unknown || client.closed.Possible() || client.reset.Possible() || client.broken.Possible();
  });
}

void Accepted(Court& court, const Operation& call, Socket& listener) {
  const Handle made = ReadHandle(call.results.Get("handle"));
  if (!made.valid) return court.Forget(call.subject);
  // What was shut down before it listened may hand that on.
  if (listener.read_shut.Possible() || listener.write_shut.Possible()) {
    court.Forget(call.subject);
    return EndAccept(court, call);
  }
  const std::optional<Address> peer = call.Out("peer");
  if (listener.nonblocking.For(call) == false && Court::Stable(listener, call)) court.Holds(kBlocks, call, true);
  if (listener.nonblocking.For(call) == true && call.was_ready) court.Allows(kTakes, call, "ok");
  const bool informed = KnowsItsVisitors(court, listener) && Court::Stable(listener, call);
  if (court.model.Find(call.process, made.value) != kNobody) {
    const Socket& there = court.At(court.model.Find(call.process, made.value));
    if (!there.unknown && there.under_way == 0 && !court.Holds(kNewHandle, call, false, "a socket is open under that handle"))
      return;
  }
  if (!ClientGone(court, listener)) {
    court.Allows(kSound, call, "ok");
  } else if (court.Lists(kReset, "ok")) {
    court.Fired(kReset);
  }
  if (court.model.Find(call.process, made.value) == kNobody) court.Holds(kNewHandle, call, true);
  Id client = Client(court, listener, peer);
  if (informed && client == kNobody && Internet(peer) && IsLoopback(*peer)) {
    for (Id id = 0; id < static_cast<Id>(court.model.sockets.size()); ++id) {
      const Socket& other = court.At(id);
      if (other.listener == call.subject && other.peer != kNobody && other.local && !IsWildcard(*other.local) && !other.unknown &&
          !other.closed.Possible() && SamePlace(*other.local, *peer)) {
        court.Holds(kOnce, call, false, "the connection of " + peer->ToString() + " was accepted before");
        return;
      }
    }
  }
  if (informed && (!Internet(peer) || IsLoopback(*peer))) {
    court.Holds(kOnce, call, true);
    if (!court.Holds(kReturns, call, MayWait(listener) > 0, "nobody has tried to connect who is not accepted already")) return;
    if (client != kNobody && Court::TakesAlone(listener, call) &&
        static_cast<int64_t>(listener.queue.size()) <= listener.least_backlog && !court.model.impaired && !court.model.limited) {
      if (!court.Holds(kOrder, call, !OvertookAnother(court, listener, client), "another client was connected before")) return;
    }
  }
  if (client != kNobody && Internet(peer)) {
    Socket& of = court.At(client);
    if (of.local && !IsWildcard(*of.local) && !of.unknown) {
      if (!court.Holds(kPeer, call, SamePlace(*of.local, *peer))) return;
    } else {
      of.local = peer;
    }
  } else if (informed && client == kNobody && Internet(peer) && MayWait(listener) == 1) {
    // The one that waits has another name.
    const Socket& waiting = court.At(listener.queue.front().client);
    if (listener.queue.size() == 1 && waiting.local && !waiting.unknown && !IsWildcard(*waiting.local)) {
      if (!court.Holds(kPeer, call, false, fmt::format("{} and not {}", peer->ToString(), waiting.local->ToString()))) return;
    }
  }
  if (client == kNobody && informed && !court.model.impaired && !court.model.limited) {
    const Id oldest = Oldest(court, listener, call);
    if (oldest != kNobody && !(Internet(peer) && court.At(oldest).local && court.At(oldest).local->port() != peer->port())) {
      client = oldest;
    }
  }
  const Id id = court.Make(call, listener.family, listener.type);
  Socket& parent = court.At(call.subject);  // Make may have moved it
  Socket& socket = court.At(id);
  socket.phases = kConnected;
  socket.accepted = true;
  socket.bound = false;
  socket.odd = parent.odd;
  socket.listener = call.subject;
  if (Internet(peer)) socket.peer_name = peer;
  const auto modes = ModesByName(call.arguments.Get("modes"));
  const auto inherited = parent.nonblocking.For(call);
  if (call.arguments.Has("modes") || call.arguments.Number("form", 0) == 1) {
    socket.nonblocking.Set((modes.value_or(0) & SP_NONBLOCKING) != 0, call.end);
  } else if (court.Speaks(kInherits) && (!inherited || court.Lists(kInherits, "not_inherited"))) {
    if (court.Lists(kInherits, "not_inherited")) socket.nonblocking.Set(false, call.end);
  } else if (court.Speaks(kInherits)) {
    socket.nonblocking.Set(inherited, call.end);
  }
  // Options that the listener had may have come along.
  if (parent.linger.value != std::pair(0, 0)) socket.linger.value.reset();
  if (parent.receive_limit.value != 0) socket.receive_limit.value.reset();
  if (parent.send_limit.value != 0) socket.send_limit.value.reset();
  if (client != kNobody && court.At(client).unknown) socket.unknown = true;
  if (client != kNobody) {
    socket.peer = client;
    court.At(client).peer = id;
    if (court.At(client).listener == kNobody) court.At(client).listener = call.subject;
    if ((court.At(client).phases & kConnected) == 0) socket.unknown = true;
    for (const Id any : court.model.listeners) {
      auto& queue = court.At(any).queue;
      queue.erase(std::remove_if(queue.begin(), queue.end(), [&](const Attempt& attempt) { return attempt.client == client; }),
                  queue.end());
    }
  } else {
    ++parent.accepted_count;
    for (const Attempt& attempt : parent.queue) court.At(attempt.client).stray = true;
    if (MayWait(parent) <= 0) {
      // Everybody was accepted, and nobody knows as what.
      parent.queue.clear();
      parent.accepted_count = 0;
      if (!informed) parent.visitors = true;
    }
    socket.unknown = !Internet(peer);
  }
  court.Open(call.process, made.value, id, call.end);
}

void NothingAccepted(Court& court, const Operation& call, Socket& listener) {
  if (!Court::Stable(listener, call)) return;
  if (listener.read_shut.Possible()) {
    if (listener.family != SP_UNIX && listener.read_shut.Certain(call)) court.Allows(kShut, call, NameOf(call));
    return;
  }
  if (Is(call, SP_EAGAIN)) {
    const auto nonblocking = listener.nonblocking.For(call);
    const auto limit = listener.receive_limit.For(call);
    if (nonblocking == true) court.Fired(kEmpty);
    if (nonblocking == false && limit && *limit > 0) court.Fired(kEnds);
    if (nonblocking == false && limit == 0) {
      court.Holds(kBlocks, call, false, "the listener is blocking, and has no time-out");
    } else if (nonblocking == false && limit && *limit > 0) {
      court.Allows(kEarly, call, call.elapsed_ns() + kTick < *limit ? "early" : "on_time");
    } else if (call.was_ready && Court::TakesAlone(listener, call) && !listener.shared && !listener.sharing && !listener.odd &&
               !ClientGone(court, listener)) {
      court.Allows(kTakes, call, NameOf(call), "the listener was reported ready, and nobody has accepted since");
    }
    return;
  }
  const auto nonblocking = listener.nonblocking.For(call);
  const auto limit = listener.receive_limit.For(call);
  // What interrupts, or is scarce, has nothing to do with the queue.
  const bool other_cause = Is(call, SP_EINTR) || Is(call, SP_EMFILE) || Is(call, SP_ENFILE) || Is(call, SP_ENOBUFS) ||
                           Is(call, SP_ENOMEM) || Is(call, SP_EACCES) || Is(call, SP_EPERM);
  if (!other_cause && nonblocking == true && listener.queue.empty() && KnowsItsVisitors(court, listener)) {
    court.Allows(kEmpty, call, NameOf(call));
    return;
  }
  if (!other_cause && nonblocking == false && limit && *limit > 0 && call.elapsed_ns() + kTick >= *limit &&
      !ClientGone(court, listener)) {
    court.Allows(kEnds, call, NameOf(call));
    return;
  }
  if (Is(call, SP_ECONNABORTED) || Is(call, SP_ECONNRESET)) {
    court.Allows(ClientGone(court, listener) ? kReset : kSound, call, NameOf(call));
  }
}

}  // namespace

void EndAccept(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  if (socket == nullptr) {
    if (call.ok()) {
      const Handle made = ReadHandle(call.results.Get("handle"));
      const Id id =
          court.Make(call, call.subject != kNobody ? court.At(call.subject).family : static_cast<int32_t>(SP_INET), SP_STREAM);
      court.At(id).unknown = true;
      if (made.valid) court.Open(call.process, made.value, id, call.end);
    }
    return;
  }
  // Too little room for the address may be a fault, and be noticed first (Windows Sockets 2, accept function, WSAEFAULT).
  const bool no_room = Is(call, SP_EFAULT) && call.arguments.Has("peer");
  const bool plain = !no_room && !call.arguments.Has("condition") && !call.arguments.Has("condition_pointer") &&
                     (!call.arguments.Has("peer") || (call.arguments.Get("peer").substr(0, 12) == "valid,valid," &&
                                                      call.arguments.Get("peer").substr(12, 1) != "-"));
  if (socket->phases == kListening) {
    if (call.ok()) return plain ? Accepted(court, call, *socket) : (court.Forget(call.subject), EndAccept(court, call));
    // A condition function, or a wrong argument, may have cost a connection.
    if (!plain) return court.Forget(call.subject);
    if ((ModesByName(call.arguments.Get("modes")).value_or(0) & SP_MODE_UNKNOWN_BIT) != 0) return;
    return NothingAccepted(court, call, *socket);
  }
  if (!plain || call.arguments.Has("modes")) return;
  if (socket->type == SP_DATAGRAM) {
    if (socket->family == SP_INET || socket->family == SP_INET6 || socket->family == SP_UNIX)
      court.Allows(kDatagram, call, NameOf(call));
  } else if (Court::Stable(*socket, call) && ConnectionMode(*socket) && !socket->odd) {
    if (socket->phases == kFresh && socket->attempt_begin == 0) court.Allows(kNotListening, call, NameOf(call));
    if (socket->phases == kConnecting) court.Allows(kPending, call, NameOf(call));
    if (socket->phases == kConnected) court.Allows(socket->accepted ? kChild : kClient, call, NameOf(call));
  }
  if (call.ok()) court.Forget(call.subject);
}

}  // namespace sockproof::oracle
