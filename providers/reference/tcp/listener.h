// The queues behind listen(): half-open connections, and established ones that nobody has accepted.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "reference/tcp/connection.h"

namespace sockproof::reference {

class TcpListener {
 public:
  // How many established connections may wait. Growing lets late ones in when they are next heard of; shrinking throws nobody
  // out unless `drop_excess` (then the newest are reset).
  void SetCapacity(std::size_t capacity, bool drop_excess = false);
  std::size_t capacity() const { return capacity_; }
  std::size_t Waiting() const { return queue_.size(); }  // deferred ones (TCP_DEFER_ACCEPT) not counted
  std::size_t HalfOpen() const { return half_open_.size(); }
  // Requests are answered by nobody but Accept and Reject (conditional accept): a SYN waits, unacknowledged, in the queue.
  void SetConditional(bool on) { conditional_ = on; }

  // The request at the head: established, or (conditional) a SYN that waits for its answer. Null if there is none. Requests
  // that were reset meanwhile stay in the queue (so that accept may say so) unless `forget_reset` is set.
  struct Request {
    FourTuple ends;
    std::shared_ptr<TcpConnection> connection;  // null while it is only a SYN
    std::vector<uint8_t> caller_data;
    bool withdrawn = false;  // the client has given up: its own time-out or close (RST)
    Packet syn;              // of one that waits for its answer
  };
  const Request* Head() const { return queue_.empty() ? nullptr : &queue_.front(); }
  const Request* Newest() const { return queue_.empty() ? nullptr : &queue_.back(); }
  // Takes the head off the queue as a connection. A SYN that waited is answered now with `callee_data`, and completes later.
  std::shared_ptr<TcpConnection> Accept(const std::vector<uint8_t>& callee_data = {});
  void Reject(const std::vector<uint8_t>& callee_data = {});  // RST to the client, off the queue
  void Drop();                                                // takes a withdrawn head off

  TcpSettings& settings() { return settings_; }
  const Endpoint& local() const { return local_; }
  bool abort_on_overflow = false;  // Linux: tcp_abort_on_overflow
  bool forget_reset = false;
  bool paused = false;            // SO_PAUSE_ACCEPT: every request is answered with RST
  std::function<void()> arrived;  // a request came to the queue

 private:
  friend class Tcp;
  friend class TcpConnection;
  TcpListener(Tcp* tcp, const Endpoint& local, bool only_own_family, const TcpSettings& settings)
      : tcp_(tcp), local_(local), only_own_family_(only_own_family), settings_(settings) {}

  // How well it fits a destination: 0 not at all, the exact address best.
  int Fits(const Endpoint& destination) const;
  void OnSyn(const Packet& packet);
  // A handshake of which nothing is kept (RFC 4987 3.6): all that must be known comes back with the last ACK.
  void SendCookie(const Packet& syn);
  uint16_t CookieWindow() const;          // that it offers
  bool TakeCookie(const Packet& packet);  // false: the ACK returns none
  Request* FindWaiting(const FourTuple& ends);
  // The last ACK of a handshake: whether the connection may go into the queue now. If not, the segment is dropped.
  bool Admit(TcpConnection* connection, const Packet& packet, bool bare);
  void Completed(TcpConnection* connection);  // into the queue
  void Ended(TcpConnection* connection);      // reset, or given up
  void Withdrawn(Request* request);
  void Stop();

  Tcp* tcp_;
  Endpoint local_;
  bool only_own_family_;
  TcpSettings settings_;
  std::size_t capacity_ = 1;
  bool conditional_ = false;
  std::deque<Request> queue_;
  std::vector<TcpConnection*> half_open_;
  int64_t last_cookie_ = INT64_MIN;
};

}  // namespace sockproof::reference
