// The states that scenarios begin in. Every step in here must succeed; one that does not ends the scenario, named.
#pragma once

#include <optional>
#include <vector>

#include "face/flavor.h"
#include "face/payload.h"
#include "face/socket.h"
#include "face/watcher.h"

namespace sockproof {

struct Listener {
  Socket socket;
  Address address;  // where clients reach it
};

// Bound, not listening.
Listener BoundOn(const Flavor& net, Where where = SOCKPROOF_HERE);
// Listening on an address of its own.
Listener ListenOn(const Flavor& net, int32_t backlog = 16, Where where = SOCKPROOF_HERE);

// Whether a non-blocking connect over this family says that it goes on by itself: EINPROGRESS, or what Winsock calls
// WSAEWOULDBLOCK. (AF_UNIX answers EAGAIN where it does not go on.)
bool UnderWay(const Result& connecting, const Flavor& net);

// A client connected to the listener, and not accepted.
Socket ConnectTo(const Listener& listener, const Flavor& net, Where where = SOCKPROOF_HERE);

struct Pair {
  Listener listener;
  Socket client;
  Socket server;
};
// A connection: the client's end and the accepted one.
Pair ConnectedPair(const Flavor& net, Where where = SOCKPROOF_HERE);
Pair ConnectedPair(Listener listener, const Flavor& net, Where where = SOCKPROOF_HERE);

// Where an attempt to connect stands, looked at without taking anything from the socket: "pending", "completed", or the
// error that poll announces (taken with SO_ERROR, as only that can tell). Where there is only select, which announces none, the
// error is taken of every socket that is ready and has no peer.
Outcome ConnectState(Socket& socket);

// Waits until so many complete connections stand in the listener's queue, where the implementation shows that; half a second
// at most. A client holds its connection for established before its last acknowledgement has reached the queue, and on a busy
// machine the next client could be faster.
void AwaitQueued(const Socket& listener, const Flavor& net, std::size_t count);

// Connects without blocking, one client after the other, until one stays pending (TCP) or is sent back with EAGAIN
// (AF_UNIX), or `most` were completed. A client counts as pending when nothing came of it although this process and its
// network had a quiet time of 50 ms; on loopback a connection that can be completed is, long before.
struct Filled {
  std::vector<Socket> queued;                  // completed, in order
  std::optional<Socket> waiting;               // the first one that was not; TCP: its connect goes on
  Outcome overflow{OutcomeName{"completed"}};  // what became of that one
};
Filled FillBacklog(const Listener& listener, const Flavor& net, std::size_t most = 64, Where where = SOCKPROOF_HERE);

// How many clients the queue of a listener with this backlog takes before anybody accepts one, `most` at most: tried with a
// listener of its own, so that nothing of it is left where the scenario works. The length that a queue must have is asked of the
// area backlog alone; a scenario that wants several clients to stand in a queue takes as many as there is room for, and ends as
// not supported if that is less than `least`.
std::size_t QueueRoom(const Flavor& net, std::size_t most, std::size_t least = 1, int32_t backlog = 64,
                      Where where = SOCKPROOF_HERE);
// For a scenario that means nothing with fewer clients in one queue.
inline void NeedQueue(const Flavor& net, std::size_t clients, Where where = SOCKPROOF_HERE) {
  static_cast<void>(QueueRoom(net, clients, clients, 64, where));
}

// TCP only: a socket whose connect is under way and stays so, because the listener's queue is full. Nothing can end that but
// an accept, the listener's close or the client's own doing; after an accept the client gets in when it next retries its SYN.
struct Connecting {
  Listener listener;
  std::vector<Socket> queued;
  Socket socket;
};
Connecting HoldConnecting(const Flavor& net, Where where = SOCKPROOF_HERE);
Connecting HoldConnecting(Listener listener, const Flavor& net, Where where = SOCKPROOF_HERE);  // of a small backlog

// Sends all of it through a blocking socket; the steps must succeed. Chunks of at most `chunk`.
void SendAll(Socket& socket, const Payload& payload, std::size_t chunk = 65536, const SendOptions& options = {},
             Where where = SOCKPROOF_HERE);
// Receives until the payload is complete, the stream ends or an error comes. What came is compared byte by byte.
struct Received {
  uint64_t bytes = 0;
  std::string difference;            // empty: all of it was right
  Outcome end{OutcomeName{"data"}};  // "data" when complete, "end_of_stream", or the error that ended it
  bool Complete(const Payload& payload) const { return bytes == payload.length && difference.empty(); }
};
Received ReceiveAll(Socket& socket, const Payload& payload, std::size_t chunk = 65536, const RecvOptions& options = {});

// Fills the path from `socket` to its peer until a send would block; returns the bytes that were taken. Leaves the socket
// non-blocking.
uint64_t FillSendPath(Socket& socket, uint64_t seed = 7, Where where = SOCKPROOF_HERE);

}  // namespace sockproof
