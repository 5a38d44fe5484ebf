// One TCP connection (RFC 9293). No socket calls in here, no errno, no blocking: a socket asks for something and looks at what
// has become of it, whenever it was told that something changed.
//
//   connection_calls.cpp    what a socket asks for
//   connection_input.cpp    segments that arrive (RFC 9293 3.10.7)
//   connection_output.cpp   segments that are sent
//   connection_timers.cpp   retransmission, persist, keepalive, delayed ACK, TIME-WAIT
//
// Addresses are those on the wire: a connection over IPv4 has SP_INET ends whatever socket made it. Errors are enum sp_error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "reference/packet.h"
#include "reference/scheduler.h"
#include "reference/tcp/buffers.h"
#include "reference/tcp/policy.h"
#include "reference/tcp/round_trip.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

class Tcp;
class TcpListener;

class TcpConnection : public std::enable_shared_from_this<TcpConnection> {
 public:
  ~TcpConnection();
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  // ---- What a socket may ask for
  // Queues as much as there is room for; returns how much, 0 if none. `push_now` false: more is announced (MSG_MORE).
  std::size_t Write(const uint8_t* data, std::size_t size, bool push_now = true);
  // Urgent data: the last of these bytes is the urgent one; the pointer points behind it, as RFC 6093 found it everywhere.
  std::size_t WriteUrgent(const uint8_t* data, std::size_t size);
  // Takes (or only looks at, from `offset` on) what was received in order. Stops before the urgent byte; at the mark it goes
  // on with that byte if it is inline, else behind it.
  std::size_t Read(uint8_t* out, std::size_t size);
  std::size_t Peek(uint8_t* out, std::size_t size, std::size_t offset = 0) const;
  std::optional<uint8_t> TakeUrgent(bool peek);  // out of line; nothing if none is there
  bool AtMark() const;
  void ShutdownWrite();  // FIN behind what is queued
  void ShutdownRead();   // what then happens to data: TcpPolicy::after_shutdown_read
  // The socket is gone: FIN behind what is queued, or RST if the policy says so of unread data. Stays alive to its end.
  void Close();
  void Abort();  // RST; nothing is left

  // ---- What has become of it
  enum sp_tcp_state state() const { return state_; }
  std::size_t Readable() const;    // bytes in order, urgent one not counted unless inline
  std::size_t BeforeMark() const;  // those before the urgent byte (SIOCINQ); all if there is none, or it is inline
  std::size_t Room() const;        // bytes that Write would take
  std::size_t Unsent() const;      // bytes not yet acknowledged (SIOCOUTQ)
  bool PeerFinished() const { return peer_finished_; }  // its FIN has arrived, in order
  bool WriteShut() const { return write_shut_; }
  bool HasUrgent() const;        // the urgent byte has arrived, and was not taken
  bool UrgentAnnounced() const;  // it will come: the pointer has arrived before it
  bool Everything() const;       // all that was written, and the FIN, has been acknowledged
  bool Established() const { return ever_established_; }
  int64_t established_at() const { return established_at_; }
  uint16_t send_segment() const { return send_mss_; }  // bytes; TCP_MAXSEG
  // What ended it: SP_OK, ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT. Stays until taken.
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
    kConnected = 1,
    kArrived = 2 /* data */,
    kRoomAgain = 4 /* a third of the buffer, after a Write that did not fit */,
    kFinished = 8 /* FIN */,
    kFailed = 16 /* error() */,
    kUrgent = 32 /* announced */,
    kAcknowledged = 64 /* Everything() became true */,
    kGone = 128 /* CLOSED */
  };
  std::function<void(uint32_t)> changed;

 private:
  friend class Tcp;
  friend class TcpListener;
  TcpConnection(Tcp* tcp, const FourTuple& ends, const TcpSettings& settings);

  // ---- Beginnings and ends
  void OpenActive(std::vector<uint8_t> user_data);                      // sends the SYN
  void OpenPassive(const Packet& syn, std::vector<uint8_t> user_data);  // sends the SYN+ACK
  void TakeSyn(const Packet& syn);                                      // SYN-RECEIVED, as if it had
  void BecomeEstablished();
  void EnterTimeWait();
  void Vanish();             // CLOSED, without an error
  void Fail(int32_t error);  // CLOSED
  void FailWithReset(int32_t error);
  int32_t TimeOut() const { return soft_error_ != SP_OK ? soft_error_ : SP_ETIMEDOUT; }
  void Tell();
  int64_t Now() const;

  // ---- connection_input.cpp
  struct Segment {
    explicit Segment(const Packet& packet);
    TcpHeader header;
    uint32_t sequence;  // of what is left of it when it has been trimmed:
    const uint8_t* data;
    std::size_t size;
    bool syn, fin;
    uint32_t End() const { return sequence + static_cast<uint32_t>(size) + (syn ? 1 : 0) + (fin ? 1 : 0); }
  };
  void OnSegment(const Packet& packet);
  void InSynSent(const Packet& packet);
  void InSynchronized(const Packet& packet);
  bool Acceptable(const Segment& segment) const;
  void Trim(Segment* segment);
  uint32_t Window(const TcpHeader& header) const;  // that the peer offers
  void OnReset(const Packet& packet);
  bool OnAcknowledgement(const Segment& segment);  // false: the segment is not to be looked at any further
  void OnNewlyAcknowledged(uint32_t acknowledgement);
  void OnFinAcknowledged();
  void OnUrgent(const Segment& segment);
  bool OnData(const Segment& segment);
  void OnFin();
  void OnUnreachable(const IcmpHeader& icmp);
  void TakeOptions(const TcpHeader& header);
  void Deliver(const uint8_t* data, std::size_t size);

  // ---- connection_output.cpp
  void Output();  // whatever may be sent now, and the timers for it
  bool SendOne();
  void SendSyn();
  void SendAck();
  void SendReset();
  void ChallengeAck(bool with_data);
  void Retransmit();  // the first segment that is not acknowledged
  void Emit(uint8_t flags, uint32_t sequence, const uint8_t* data = nullptr, std::size_t size = 0);
  uint32_t ReceiveWindow() const;
  void OfferWindow();  // after room was made: tells the peer if it is worth it
  uint8_t WindowShift() const;

  // ---- connection_timers.cpp
  void Arm(Scheduler::Timer* timer, int64_t delay, void (TcpConnection::*action)());
  void ArmRetransmit();
  void StopTimers();
  void OnRetransmitTimer();
  void OnPersistTimer();
  void OnDelayedAckTimer();
  void OnKeepAliveTimer();
  void OnWaitTimer();  // FIN-WAIT-2 without a socket, TIME-WAIT
  void ArmKeepAlive(int64_t delay);
  void ArmOrphanWait();
  int RetryLimit() const;
  bool UserTimeoutOver(int64_t since) const;

  Tcp* tcp_;
  TcpListener* listener_ = nullptr;  // that has not handed it out yet
  FourTuple ends_;
  TcpSettings settings_;
  enum sp_tcp_state state_ = SP_TCP_CLOSED;
  int32_t error_ = SP_OK;
  int32_t soft_error_ = SP_OK;  // what ICMP said meanwhile: the better reason for a time-out
  uint32_t fresh_ = 0;          // enum Change, to be told
  int64_t opened_at_ = 0, established_at_ = 0;
  bool active_ = false, ever_established_ = false;
  bool orphan_ = false;    // its socket is closed
  bool deferred_ = false;  // TCP_DEFER_ACCEPT: acknowledged, but without data
  std::vector<uint8_t> user_data_, peer_user_data_;

  // ---- Sending. Names are those of RFC 9293 3.3.1; snd_max_ is the highest that snd_nxt_ has been: it goes back to snd_una_
  // when the retransmission timer expires.
  ByteQueue unacknowledged_;  // from snd_una_ on (from iss_ + 1, while the SYN is not acknowledged)
  uint32_t iss_ = 0, snd_una_ = 0, snd_nxt_ = 0, snd_max_ = 0, snd_up_ = 0, snd_wl1_ = 0, snd_wl2_ = 0;
  uint32_t snd_wnd_ = 0, largest_window_ = 0;
  uint16_t send_mss_ = 536;
  uint8_t send_shift_ = 0, receive_shift_ = 0;
  bool scaling_ = false;
  bool write_shut_ = false, fin_acknowledged_ = false, more_announced_ = false, was_full_ = false, urgent_out_ = false;
  bool probed_ = false;  // one byte behind snd_max_ was sent into a closed window
  int retransmissions_ = 0, probes_ = 0, unanswered_probes_ = 0;
  int64_t unacknowledged_since_ = 0, probing_since_ = 0;
  RoundTrip round_trip_;
  // Congestion control: RFC 5681, and RFC 6582 for the recovery.
  uint32_t congestion_window_ = 0, slow_start_threshold_ = UINT32_MAX, recover_ = 0;
  int duplicate_acks_ = 0;
  bool recovering_ = false;

  // ---- Receiving. rcv_adv_ is the right edge of the window as the peer knows it; read_ the sequence number of the first byte
  // in received_.
  ByteQueue received_;
  Reassembly early_;
  uint32_t irs_ = 0, rcv_nxt_ = 0, rcv_adv_ = 0, read_ = 0;
  std::optional<uint32_t> fin_at_;
  bool peer_finished_ = false, read_shut_ = false;
  bool acknowledge_now_ = false;
  int segments_to_acknowledge_ = 0;
  enum class Urgent { kNone, kThere, kTaken } urgent_ = Urgent::kNone;
  uint32_t urgent_at_ = 0;  // the sequence number of the urgent byte
  int64_t last_heard_ = 0, last_challenge_ = INT64_MIN;
  int keep_probes_ = 0;

  Scheduler::Timer retransmit_timer_ = 0, persist_timer_ = 0, delayed_ack_timer_ = 0, keep_alive_timer_ = 0, wait_timer_ = 0;
};

}  // namespace sockproof::reference
