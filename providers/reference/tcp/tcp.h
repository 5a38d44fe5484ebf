// TCP (RFC 9293) under the sockets of the reference provider.
//
// Tcp owns the demultiplexing: which connection or listener a segment belongs to, RSTs for those that belong to none. A
// connection lives on without its socket (FIN-WAIT, TIME-WAIT, LAST-ACK) until it has come to its end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "reference/network.h"
#include "reference/packet.h"
#include "reference/scheduler.h"
#include "reference/tcp/connection.h"
#include "reference/tcp/listener.h"
#include "reference/tcp/policy.h"

namespace sockproof::reference {

class Tcp {
 public:
  Tcp(Scheduler* scheduler, Network* network, TcpPolicy policy);
  ~Tcp();
  Tcp(const Tcp&) = delete;
  Tcp& operator=(const Tcp&) = delete;
  TcpPolicy& policy() { return policy_; }  // knobs change it; connections read it when they need it

  // Sends the SYN. The four-tuple must be free. error() tells an unreachable route at once (ENETUNREACH).
  std::shared_ptr<TcpConnection> Connect(const FourTuple& ends, const TcpSettings& settings,
                                         std::vector<uint8_t> caller_data = {});
  // Wildcard addresses are all zero. `only_own_family` false: an IPv6 wildcard takes IPv4 too. Several listeners on one
  // endpoint (SO_REUSEPORT) share requests by a hash of the four-tuple.
  std::shared_ptr<TcpListener> Listen(const Endpoint& local, bool only_own_family, const TcpSettings& settings);
  void StopListening(const std::shared_ptr<TcpListener>& listener);  // resets all that nobody accepted

  bool InUse(const FourTuple& ends) const { return connections_.count(ends) != 0; }
  // Whether a connection at this local endpoint (TIME-WAIT ones only if asked) still exists. A wildcard address stands for all
  // of its own family.
  bool LocalInUse(const Endpoint& local, bool count_time_wait) const;
  bool IsTimeWait(const FourTuple& ends) const;
  // A new connect may take the place of one in TIME-WAIT (net.ipv4.tcp_tw_reuse): forgets that.
  void EndTimeWait(const FourTuple& ends);
  // The connection or listener that a packet would be given to (for silencing a socket). Half-open connections, and ICMP
  // messages, are looked up as well.
  const void* OwnerOf(const Packet& packet) const;

 private:
  friend class TcpConnection;
  friend class TcpListener;
  void OnPacket(const Packet& packet);
  TcpListener* FindListener(const FourTuple& ends) const;
  std::shared_ptr<TcpConnection> Add(const FourTuple& ends, const TcpSettings& settings);
  void Forget(TcpConnection* connection);
  // RST in answer to a segment that belongs to nothing (RFC 9293 3.10.7.1).
  void Refuse(const Packet& packet, const std::vector<uint8_t>& user_data = {});
  uint32_t InitialSequence(const FourTuple& ends);
  // An initial sequence number that says which SYN it answers, and about how large the peer's segments are. Good for two ages.
  static constexpr int64_t kCookieAge = 64 * kSecond;
  uint32_t Cookie(const FourTuple& ends, uint32_t sequence, uint16_t segment, int age) const;
  std::optional<uint16_t> ReadCookie(uint32_t cookie, const FourTuple& ends, uint32_t sequence) const;

  Scheduler* scheduler_;
  Network* network_;
  TcpPolicy policy_;
  uint64_t secret_;
  uint32_t opened_ = 0;
  std::map<FourTuple, std::shared_ptr<TcpConnection>> connections_;
  std::vector<std::shared_ptr<TcpListener>> listeners_;
};

}  // namespace sockproof::reference
