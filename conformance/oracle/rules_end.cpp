// How connections and listeners end: shutdown and close.
#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kBadHow("shutdown.how", "shutdown fails with a how that does not exist.", "shutdown.bad_how");
const Rule kUnconnected("shutdown.unconnected", "shutdown of a socket that was never connected fails.", "shutdown.unconnected");
const Rule kListener("shutdown.listener", "shutdown of a listener succeeds, or says that it is not connected.",
                     "closing.shutdown");
const Rule kConnectedSocket("shutdown.connected", "shutdown of a connection succeeds while neither end has shut anything down.",
                            "", "POSIX.1-2001 shutdown() ERRORS ENOTCONN");
const Rule kTwice("shutdown.twice", "Shutting down a half again succeeds, or says that there is no connection.",
                  "shutdown.twice");
const Rule kCloses("close.succeeds", "close of an open socket succeeds.", "close.succeeds");
const Rule kClosesListener("close.listener", "close of a listener succeeds.", "closing.close");

bool Valid(int64_t how) { return how >= SP_SHUT_RD && how <= SP_SHUT_RDWR; }

// Whoever waits in the queue finds the connection ended; whether by a reset is for the profile to say.
void Unready(Court& court, const Socket& socket) {
  if (socket.peer != kNobody || socket.listener == kNobody) return;
  Socket& listener = court.At(socket.listener);
  listener.ready = kNever;
  listener.consumed = court.now;
}

}  // namespace

void BeginShutdown(Court& court, const Operation& call) {
  const int64_t how = call.arguments.Number("how", -1);
  // One that says that there is no connection may have shut it down all the same (Linux: inet_shutdown).
  if (call.subject == kNobody || !Valid(how)) return;
  Socket& socket = court.At(call.subject);
  if (!call.ok() && (!Is(call, SP_ENOTCONN) || socket.phases == kConnected)) return;
  if (how != SP_SHUT_WR) socket.read_shut.Begin(court.now);
  if (how != SP_SHUT_RD) socket.write_shut.Begin(court.now);
}

void EndShutdown(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  const int64_t how = call.arguments.Number("how", -1);
  if (socket == nullptr || !ConnectionMode(*socket) || socket->odd) return;
  const std::string_view seen = NameOf(call);
  if (!Court::Stable(*socket, call)) {
    if (call.ok()) court.Forget(call.subject);
    return;
  }
  const bool internet = socket->family == SP_INET || socket->family == SP_INET6;
  if (!Valid(how)) {
    if (socket->phases == kConnected && !court.EndPossible(*socket) && !socket->write_shut.Possible())
      court.Allows(kBadHow, call, seen);
    return;
  }
  if (socket->phases == kConnected) {
    if (!call.ok()) {
      const bool before = socket->read_shut.Possible() || socket->write_shut.Possible();
      if (court.Alone(*socket) && !court.EndPossible(*socket) && !before && !socket->error_possible) {
        court.Holds(kConnectedSocket, call, false, std::string(seen));
      } else if (before && !court.ResetPossible(*socket) && !court.EndPossible(*socket)) {
        court.Allows(kTwice, call, seen);
      }
      return;
    }
    const bool again = how == SP_SHUT_RD   ? socket->read_shut.Certain(call)
                       : how == SP_SHUT_WR ? socket->write_shut.Certain(call)
                                           : socket->read_shut.Certain(call) && socket->write_shut.Certain(call);
    if (again) court.Allows(kTwice, call, seen);
    if (!again) court.Holds(kConnectedSocket, call, true);
    if (how != SP_SHUT_WR) socket->read_shut.End(call.end);
    if (how != SP_SHUT_RD) socket->write_shut.End(call.end);
    return;
  }
  if (socket->phases == kListening) {
    if (internet && !court.Allows(kListener, call, seen)) return;
    if (call.ok() && how != SP_SHUT_WR) {
      socket->read_shut.End(call.end);
      for (const Attempt& attempt : socket->queue) court.At(attempt.client).broken.Begin(call.begin);
    }
    return;
  }
  if (socket->phases == kFresh && socket->attempt_begin == 0 && internet) {
    court.Allows(kUnconnected, call, seen);
    return;
  }
  // It may end an attempt that is under way, or make a fresh local socket half usable.
  if (call.ok()) court.Forget(call.subject);
}

void BeginClose(Court& court, const Operation& call) {
  if (call.subject == kNobody || (call.done() && !call.ok())) return;
  Socket& socket = court.At(call.subject);
  Unready(court, socket);
  if (socket.handles > 1 && !socket.shared) return;
  socket.closed.Begin(court.now);
  const bool internet = socket.family == SP_INET || socket.family == SP_INET6;
  const bool aborts = socket.linger.For(call) == std::pair(1, 0) && internet;
  // Data that was seen to have arrived, and that nobody has taken.
  const Socket* peer = court.PeerOf(socket);
  const bool unread = call.was_ready && peer != nullptr && !peer->unknown && peer->out.taken > socket.read && !peer->out.urgent &&
                      peer->out.under_way == 0 && !peer->write_shut.Possible() && !peer->closed.Possible() &&
                      !peer->reset.Possible() && !peer->broken.Possible();
  if (!socket.unknown && !socket.shared && call.ok() && call.alone && socket.phases == kConnected && (aborts || unread)) {
    socket.aborted.Begin(court.now);
  }
  if (socket.linger.value != std::pair(0, 0) || socket.linger.under_way > 0) socket.reset.Begin(court.now);
  if ((socket.phases & kListening) != 0) {
    for (const Attempt& attempt : socket.queue) court.At(attempt.client).broken.Begin(court.now);
  }
}

void EndClose(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  Socket& socket = court.At(call.subject);
  if (!call.ok()) {
    const bool judged = !socket.unknown && court.Alone(socket) && Court::Stable(socket, call) && !Is(call, SP_EINTR) &&
                        !(Is(call, SP_EAGAIN) && socket.linger.value != std::pair(0, 0));
    if (judged) court.Allows((socket.phases & kListening) != 0 ? kClosesListener : kCloses, call, NameOf(call));
  }
  if (call.ok() || Is(call, SP_EINTR)) {
    const std::pair<int, int64_t> key{call.process, call.handle.value};
    if (court.model.Find(key.first, key.second) == call.subject) {
      court.model.open.erase(key);
      court.model.closed[key] = call.end;
    }
  }
  if (!call.ok()) return court.Forget(call.subject);
  if (!socket.unknown) court.Allows((socket.phases & kListening) != 0 ? kClosesListener : kCloses, call, "ok");
  --socket.handles;
  // A call that still runs keeps it open.
  if (socket.handles <= 0 && !socket.shared && socket.under_way == 0) socket.closed.End(call.end);
  if (socket.handles <= 0 || socket.shared) socket.closed.Begin(call.begin);
}

}  // namespace sockproof::oracle
