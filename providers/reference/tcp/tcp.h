// TCP (RFC 9293) under the sockets of the reference provider. No socket calls in here, no errno, no blocking: a socket asks a
// Connection to do something and looks at what has become of it, whenever it was told that something changed.
//
// Tcp owns the demultiplexing: which connection or listener a segment belongs to, RSTs for those that belong to none. A
// connection lives on without its socket (FIN-WAIT, TIME-WAIT, LAST-ACK) until it has come to its end.
//
// Times are nanoseconds on the scheduler's clock. Errors are enum sp_error.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "reference/network.h"
#include "reference/packet.h"
#include "reference/scheduler.h"

namespace sockproof::reference {

// What differs between the documents that a stack answers to, as far as TCP is concerned. Data, read where it matters.
struct TcpPolicy {
  // A request that finds the queue of established connections full: its SYN (or last ACK) is dropped, and the client's
  // retransmission may get in later (Linux); or it is refused with a RST (Winsock).
  enum class Overflow { kDrop, kReset } overflow = Overflow::kDrop;
  int syn_retries = 6;         // of a connect; then ETIMEDOUT
  int syn_ack_retries = 5;     // of a half-open connection; then it is gone
  int data_retries = 15;       // then ETIMEDOUT
  int orphan_retries = 8;      // of a connection whose socket is closed
  int64_t rto_initial = kSecond;
  int64_t rto_minimum = 200 * kMillisecond;
  int64_t rto_maximum = 120 * kSecond;
  int64_t fin_wait_2 = 60 * kSecond;  // of a connection whose socket is closed
  int64_t time_wait = 60 * kSecond;
  int64_t delayed_ack = 40 * kMillisecond;
  int half_open_maximum = 128;  // SYN queue of one listener
  bool reset_on_unread_close = true;  // RFC 2525 2.17, RFC 9293 3.10.4: data unread at close: RST
  bool challenge_acks = true;         // RFC 5961
};

// Adjustable on each connection; a listener's are copied into what it accepts.
struct TcpSettings {
  std::size_t send_buffer = 2'626'560, receive_buffer = 131'072;
  bool no_delay = false, cork = false, quick_ack = true;
  bool keep_alive = false;
  int64_t keep_idle = 7200 * kSecond, keep_interval = 75 * kSecond;
  int keep_count = 9;
  int64_t user_timeout = 0;  // 0: as the retries say
  int64_t linger2 = 0;       // 0: the policy's fin_wait_2; negative: no FIN-WAIT-2 without a socket at all
  int syn_retries = 0;       // 0: the policy's
  uint16_t maximum_segment = 0;  // 0: what the route allows
  std::size_t window_clamp = 0;
  bool urgent_inline = false;
  uint8_t ttl = 64, tos = 0;
  int64_t defer_accept = 0;  // listener: a connection without data is held back that long (TCP_DEFER_ACCEPT)
};

class Tcp;
class TcpListener;

class TcpConnection : public std::enable_shared_from_this<TcpConnection> {
 public:
  // ---- What a socket may ask for
  // Queues as much as there is room for; returns how much, 0 if none. `push_now` false: more is announced (MSG_MORE).
  std::size_t Write(const uint8_t* data, std::size_t size, bool push_now = true);
  // Urgent data: the last of these bytes is the urgent one (RFC 9293 3.8.5, with the pointer as RFC 6093 found it everywhere).
  std::size_t WriteUrgent(const uint8_t* data, std::size_t size);
  // Takes (or only looks at, from `offset` on) what was received in order. Stops before the urgent byte unless it is inline,
  // and at the mark, once, if it is.
  std::size_t Read(uint8_t* out, std::size_t size);
  std::size_t Peek(uint8_t* out, std::size_t size, std::size_t offset = 0) const;
  std::optional<uint8_t> TakeUrgent(bool peek);  // out of line; nothing if none is there
  bool AtMark() const;
  void ShutdownWrite();  // FIN behind what is queued
  void ShutdownRead();   // what arrives is thrown away, and acknowledged
  // The socket is gone: FIN behind what is queued, or RST if the policy says so of unread data. Stays alive to its end.
  void Close();
  void Abort();  // RST; nothing is left

  // ---- What has become of it
  enum sp_tcp_state state() const { return state_; }
  std::size_t Readable() const;            // bytes in order, urgent one not counted unless inline
  std::size_t Room() const;                // bytes that Write would take
  std::size_t Unsent() const;              // bytes not yet acknowledged (SIOCOUTQ)
  bool PeerFinished() const { return peer_finished_; }  // its FIN has arrived, in order
  bool WriteShut() const { return write_shut_; }
  bool HasUrgent() const;
  bool Everything() const;                 // all that was written, and the FIN, has been acknowledged
  bool Established() const { return ever_established_; }
  int64_t established_at() const { return established_at_; }
  // What ended it: SP_OK, ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH. Stays until taken.
  int32_t error() const { return error_; }
  int32_t TakeError();
  const FourTuple& ends() const { return ends_; }
  TcpSettings& settings() { return settings_; }
  void SettingsChanged();  // timers and windows after a change of settings()
  // Data of the connecting protocol that came with the SYN (at the accepting end) or the SYN+ACK (at the connecting one), or
  // with the RST that refused it.
  const std::vector<uint8_t>& peer_user_data() const { return peer_user_data_; }

  // Told after every segment or timer that changed something visible; bits say what came anew (for edge-triggered watchers and
  // network events). Not called inside calls from the socket.
  enum Change : uint32_t {
    kConnected = 1, kArrived = 2 /* data */, kRoomAgain = 4 /* after Room() was 0 */, kFinished = 8 /* FIN */,
    kFailed = 16 /* error() */, kUrgent = 32, kAcknowledged = 64 /* Everything() became true */, kGone = 128 /* CLOSED */
  };
  std::function<void(uint32_t)> changed;

 private:
  friend class Tcp;
  friend class TcpListener;
  // (the author's own)
  enum sp_tcp_state state_ = SP_TCP_CLOSED;
  FourTuple ends_;
  TcpSettings settings_;
  int32_t error_ = SP_OK;
  bool peer_finished_ = false, write_shut_ = false, ever_established_ = false;
  int64_t established_at_ = 0;
  std::vector<uint8_t> peer_user_data_;
};

// The queues behind listen(): half-open connections, and established ones that nobody has accepted.
class TcpListener {
 public:
  // How many established connections may wait. Growing lets late ones in when they are next heard of; shrinking throws nobody
  // out unless `drop_excess` (then the newest are reset).
  void SetCapacity(std::size_t capacity, bool drop_excess = false);
  std::size_t capacity() const;
  std::size_t Waiting() const;   // established, deferred ones (TCP_DEFER_ACCEPT) not counted
  std::size_t HalfOpen() const;
  // Requests are answered by nobody but Answer (conditional accept): a SYN waits, unacknowledged, in the queue.
  void SetConditional(bool on);

  // The request at the head: established, or (conditional) a SYN that waits for its answer. Null if there is none. Requests
  // that were reset meanwhile stay in the queue (so that accept may say so) unless `forget_reset` is set.
  struct Request {
    FourTuple ends;
    std::shared_ptr<TcpConnection> connection;  // null while it is only a SYN
    std::vector<uint8_t> caller_data;
    bool withdrawn = false;  // the client has given up: its own time-out or close (RST)
  };
  const Request* Head() const;
  // Takes the head off the queue as a connection. A SYN that waited is answered now with `callee_data`, and completes later.
  std::shared_ptr<TcpConnection> Accept(const std::vector<uint8_t>& callee_data = {});
  void Reject(const std::vector<uint8_t>& callee_data = {});  // RST to the client, off the queue
  void Drop();  // takes a withdrawn head off

  TcpSettings& settings();
  const Endpoint& local() const;
  bool abort_on_overflow = false;  // Linux: tcp_abort_on_overflow
  bool forget_reset = false;
  bool paused = false;  // SO_PAUSE_ACCEPT: every request is answered with RST
  std::function<void()> arrived;  // a request came to the queue
};

class Tcp {
 public:
  Tcp(Scheduler* scheduler, Network* network, TcpPolicy policy);
  ~Tcp();
  TcpPolicy& policy();  // knobs change it; connections read it when they need it

  // Sends the SYN. The four-tuple must be free. error() tells an unreachable route at once (ENETUNREACH).
  std::shared_ptr<TcpConnection> Connect(const FourTuple& ends, const TcpSettings& settings,
                                         std::vector<uint8_t> caller_data = {});
  // Wildcard addresses are all zero. `only_own_family` false: an IPv6 wildcard takes IPv4 too (its connections then have IPv4
  // mapped addresses). Several listeners on one endpoint (SO_REUSEPORT) share requests by a hash of the four-tuple.
  std::shared_ptr<TcpListener> Listen(const Endpoint& local, bool only_own_family, const TcpSettings& settings);
  void StopListening(const std::shared_ptr<TcpListener>& listener);  // resets all that nobody accepted

  bool InUse(const FourTuple& ends) const;
  // Whether a connection at this local endpoint (TIME-WAIT ones only if asked) still exists.
  bool LocalInUse(const Endpoint& local, bool count_time_wait) const;
  bool IsTimeWait(const FourTuple& ends) const;
  // The connection or listener that a packet would be given to (for silencing a socket).
  const void* OwnerOf(const Packet& packet) const;
};

}  // namespace sockproof::reference
