// listen: from which states, and what becomes of the socket.
#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kBound("listen.bound", "listen makes a bound socket a listener.", "listen.bound");
const Rule kNegative("listen.negative", "listen with a negative backlog does not fail.", "listen.negative_backlog");
const Rule kUnbound("listen.unbound",
                    "listen on a socket that is not bound binds it, or fails where the protocol wants it bound.",
                    "listen.unbound");
const Rule kUnboundLocal("listen.unbound_local", "listen on a local socket that is not bound fails.", "listen.unbound_unix");
const Rule kAgain("listen.again", "listen on a listener succeeds.", "listen.again");
const Rule kConnectedSocket("listen.connected", "listen on a connected socket fails.", "listen.connected");
const Rule kPair("listen.pair", "listen on one of a pair of sockets fails.", "listen.connected_pair");
const Rule kDatagram("listen.datagram", "listen on a datagram socket fails.", "listen.datagram");
const Rule kPending("listen.connecting", "listen on a socket whose connection is under way fails.", "listen.connecting");

}  // namespace

void EndListen(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  if (socket == nullptr) return;
  if (socket->type == SP_DATAGRAM && (socket->family == SP_INET || socket->family == SP_INET6 || socket->family == SP_UNIX)) {
    court.Allows(kDatagram, call, NameOf(call));
    return;
  }
  if (!ConnectionMode(*socket)) return;
  if (!Court::Stable(*socket, call)) return court.Forget(call.subject);
  const int64_t backlog = call.arguments.Number("backlog", 0);
  const std::string_view seen = NameOf(call);
  const bool local = socket->family == SP_UNIX;
  // Whose address is shared may find another listener there; one whose user bound it after a failure, TIME-WAIT.
  const bool may_be_taken = (socket->sharing || court.model.limited) && Is(call, SP_EADDRINUSE);
  if (socket->odd || may_be_taken) {
    // Not judged.
  } else if (socket->phases == kFresh && socket->bound) {
    if (!court.Allows(backlog < 0 ? kNegative : kBound, call, seen)) return;
  } else if (socket->phases == kFresh && socket->attempt_begin == 0) {
    if (!court.Allows(local ? kUnboundLocal : kUnbound, call, seen)) return;
  } else if (socket->phases == kListening && !socket->read_shut.Possible()) {
    if (!court.Allows(kAgain, call, seen)) return;
  } else if (socket->phases == kConnected && !court.EndPossible(*socket) && !socket->write_shut.Possible()) {
    if (!court.Allows(socket->pair ? kPair : kConnectedSocket, call, seen)) return;
  } else if (socket->phases == kConnecting) {
    if (!court.Allows(kPending, call, seen)) return;
  }
  if (!call.ok()) return;
  if (socket->phases == kListening) {
    if (socket->read_shut.Possible()) return court.Forget(call.subject);
    socket->least_backlog = std::min(socket->least_backlog, std::max<int64_t>(backlog, 0));
    return;
  }
  socket->phases = kListening;
  socket->least_backlog = std::max<int64_t>(backlog, 0);
  court.model.listeners.push_back(call.subject);
  // Whoever is connecting already may find it; so may whoever reached nobody that was known while this call ran.
  for (const Socket& other : court.model.sockets) {
    const bool reached_nobody = other.attempt_begin != 0 && other.listener == kNobody && other.closed.must >= call.begin &&
                                (other.unknown || (other.phases & kConnected) != 0);
    if (other.changing > 0 || (other.phases & kConnecting) != 0 || reached_nobody) socket->visitors = true;
  }
}

}  // namespace sockproof::oracle
