// What the scenarios about the end of a connection have in common: data followed to its last byte and to what came after it, and
// send paths that are full.
#pragma once

#include <cstdint>
#include <string>

#include "face/fixtures.h"
#include "face/threads.h"

namespace sockproof {

// What came out of a connection, read until it ended.
struct Passage {
  Outcome data;  // "delivered", "discarded" (none of it, or a first part only), or "violated" when anything else came
  Outcome end;   // what came after it: "end_of_stream", an error, or "data" when more came than was sent
};
Passage ReadToEnd(Socket& receiver, const Payload& sent);
// What the next receive reports: "data", "end_of_stream", the error, or "still_blocked" when it has nothing to report within
// Patience().
Outcome NextSeen(Socket& receiver, const RecvOptions& options = {});
// `data` if the stream then ended in good order, otherwise what ended it.
Outcome InGoodOrder(const Passage& passage);

// Waits until `bytes` lie in the receive queue of the socket.
bool Arrives(Socket& socket, uint64_t bytes);
void MustArrive(Socket& socket, uint64_t bytes, Where where = SOCKPROOF_HERE);

// A connection that little data fills, from the client to the server. (Only TCP is narrowed; local sockets hold little anyhow.)
Pair NarrowPair(const Flavor& net, Where where = SOCKPROOF_HERE);

// A connection whose client has bound its address itself. A port that connect has picked may be shared with other connections of
// the machine, to other peers; this one is nobody else's as long as any of this connection is left.
Pair BoundClientPair(const Flavor& net, Where where = SOCKPROOF_HERE);

// Sends as much of `payload` as goes without waiting, in pieces of `chunk` bytes; what of it was sent. How much a connection
// holds before anybody reads is the implementation's affair.
Payload SendWhatFits(Socket& socket, const Payload& payload, uint64_t chunk = 5000, Where where = SOCKPROOF_HERE);

// Ends the scenario as not supported where the socket says that all it was given is with the other end already: then there is
// nothing that a close could wait for. An implementation that does not tell (SP_IOCTL_UNSENT) is taken to hold some.
void MustHoldUnsent(const Socket& socket);

// A send that waits for room, after what filled the path.
struct WaitingSend {
  uint64_t before = 0;  // bytes of the stream (seed 7) that were taken before
  uint64_t length = 0;  // bytes of the send that waits
  Task<Result> task;
  Payload Whole() const { return Payload{7, 0, before + length}; }
  Payload Before() const { return Payload{7, 0, before}; }
};
WaitingSend HoldSend(Socket& socket, const Flavor& net, Where where = SOCKPROOF_HERE);

// Waits until TCP says that the socket is in this state (enum sp_tcp_state); needs SP_CAP_TCP_STATE_SHOWN.
bool Reaches(Socket& socket, int64_t state);
void MustReach(Socket& socket, int64_t state, Where where = SOCKPROOF_HERE);

// Reads until the end of the stream, which must come.
void MustEnd(Socket& socket, Where where = SOCKPROOF_HERE);

// Whether a call for which `event` (SP_IN or SP_OUT) stands would not wait, as select and poll each say it. poll may say so by an
// error or a hang-up as well.
Outcome WouldNotWait(const Socket& socket, uint32_t event, int32_t mechanism);

// Waits until poll reports an error or a hang-up of the socket; false if none comes within Patience().
bool BreaksOff(Socket& socket);

// Whether a call that was begun comes back without waiting for anybody: "at_once", "late", "still_blocked", or its error. What
// the machine took from this process since `watch` was made does not count.
Outcome AtOnce(Task<Result>& call, const Stopwatch& watch, Nanoseconds limit = std::chrono::milliseconds(250));

// Aborts the connection of this socket: closes it with SO_LINGER on and no time.
void Abort(Socket& socket, Where where = SOCKPROOF_HERE);

}  // namespace sockproof
