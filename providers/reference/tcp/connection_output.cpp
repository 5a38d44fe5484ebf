// What a connection sends, and when (RFC 9293 3.8, 3.10; RFC 5681).
#include <algorithm>
#include <utility>

#include "reference/tcp/connection.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kLargestWindow = 65535;
constexpr uint16_t kTcpHeaderSize = 20;
// An answer to something that does not fit is sent no more often than this, or two ends that disagree would answer each other
// for ever, at one and the same time (RFC 5961 10 asks for a limit; the interval is that of net.ipv4.tcp_invalid_ratelimit).
constexpr int64_t kChallengeInterval = 500 * kMillisecond;

uint16_t SegmentLimit(const Network& network, const FourTuple& ends, const TcpSettings& settings) {
  const auto route = static_cast<uint16_t>(network.MaximumPayload(ends.remote.ip) - kTcpHeaderSize);
  return settings.maximum_segment != 0 ? std::min(route, settings.maximum_segment) : route;
}

}  // namespace

void TcpConnection::OpenActive(std::vector<uint8_t> user_data) {
  active_ = true;
  user_data_ = std::move(user_data);
  state_ = SP_TCP_SYN_SENT;
  snd_una_ = iss_;
  snd_nxt_ = snd_max_ = iss_ + 1;
  unacknowledged_since_ = Now();
  scaling_ = true;
  receive_shift_ = WindowShift();
  round_trip_.Sent(snd_max_, Now());
  SendSyn();
  ArmRetransmit();
}

void TcpConnection::OpenPassive(const Packet& syn, std::vector<uint8_t> user_data) {
  user_data_ = std::move(user_data);
  TakeSyn(syn);
  unacknowledged_since_ = Now();
  round_trip_.Sent(snd_max_, Now());
  SendSyn();
  ArmRetransmit();
}

void TcpConnection::TakeSyn(const Packet& syn) {
  if (ends_.local.ip.family == SP_CONNDATA) peer_user_data_ = syn.payload;
  state_ = SP_TCP_SYN_RECEIVED;
  snd_una_ = iss_;
  snd_nxt_ = snd_max_ = iss_ + 1;
  irs_ = syn.tcp.sequence;
  rcv_nxt_ = rcv_adv_ = read_ = irs_ + 1;
  receive_shift_ = WindowShift();
  TakeOptions(syn.tcp);
}

// The smallest that can express the receive buffer (RFC 7323 2.3).
uint8_t TcpConnection::WindowShift() const {
  uint8_t shift = 0;
  while (shift < 14 && (kLargestWindow << shift) < settings_.receive_buffer) ++shift;
  return shift;
}

// SYN, or SYN+ACK once the peer's SYN is known.
void TcpConnection::SendSyn() { Emit(state_ == SP_TCP_SYN_SENT ? kSyn : kSyn | kAck, iss_); }

// With the highest number, also while older data are sent again: behind what the peer has, its ACK would not be looked at.
void TcpConnection::SendAck() { Emit(kAck, snd_max_); }

void TcpConnection::SendReset() {
  if (state_ == SP_TCP_SYN_SENT) {
    Emit(kRst, snd_max_);
  } else {
    Emit(kRst | kAck, snd_max_);
  }
}

// The answer to a segment that cannot be right. With data or a FIN it is never held back: the peer waits for it.
void TcpConnection::ChallengeAck(bool with_data) {
  if (!with_data && last_challenge_ > Now() - kChallengeInterval) return;
  if (!with_data) last_challenge_ = Now();
  SendAck();
}

void TcpConnection::Emit(uint8_t flags, uint32_t sequence, const uint8_t* data, std::size_t size) {
  Packet packet;
  packet.source = ends_.local;
  packet.destination = ends_.remote;
  packet.ttl = settings_.ttl;
  packet.tos = settings_.tos;
  TcpHeader& tcp = packet.tcp;
  tcp.sequence = sequence;
  tcp.flags = flags;
  if (tcp.Has(kSyn)) {
    tcp.window = static_cast<uint16_t>(std::min(ReceiveWindow(), kLargestWindow));
    tcp.maximum_segment = SegmentLimit(*tcp_->network_, ends_, settings_);
    if (scaling_) tcp.window_scale = receive_shift_;
    rcv_adv_ = rcv_nxt_ + tcp.window;
    if (ends_.local.ip.family == SP_CONNDATA) packet.payload = user_data_;
  } else {
    // Rounded up, so that the right edge never moves back by what the scale cannot express.
    const uint32_t unit = 1u << receive_shift_;
    tcp.window = static_cast<uint16_t>(std::min((ReceiveWindow() + unit - 1) >> receive_shift_, kLargestWindow));
    rcv_adv_ = SeqMax(rcv_adv_, rcv_nxt_ + (static_cast<uint32_t>(tcp.window) << receive_shift_));
  }
  if (tcp.Has(kAck)) {
    tcp.acknowledgement = rcv_nxt_;
    acknowledge_now_ = false;
    segments_to_acknowledge_ = 0;
    tcp_->scheduler_->Cancel(&delayed_ack_timer_);
  }
  if (urgent_out_ && !tcp.Has(kSyn) && !tcp.Has(kRst) && SeqLess(sequence, snd_up_)) {
    tcp.flags |= kUrg;
    tcp.urgent = static_cast<uint16_t>(std::min<uint32_t>(snd_up_ - sequence, UINT16_MAX));
  }
  if (size > 0) packet.payload.assign(data, data + size);
  tcp_->network_->Send(std::move(packet));
}

// What may be in flight towards us: never less than was promised before, and only more if it is worth a segment (RFC 9293
// 3.8.6.2.2, against the silly window syndrome).
uint32_t TcpConnection::ReceiveWindow() const {
  const uint32_t promised = rcv_adv_ - rcv_nxt_;
  std::size_t buffer = settings_.receive_buffer;
  if (settings_.window_clamp != 0) buffer = std::min(buffer, settings_.window_clamp);
  const std::size_t used = received_.Size();
  const auto room =
      static_cast<uint32_t>(std::min<std::size_t>(buffer > used ? buffer - used : 0, kLargestWindow << receive_shift_));
  const uint32_t worth = std::min<uint32_t>(static_cast<uint32_t>(buffer / 2), SegmentLimit(*tcp_->network_, ends_, settings_));
  return room >= promised + worth ? room : promised;
}

void TcpConnection::OfferWindow() {
  switch (state_) {
    case SP_TCP_ESTABLISHED:
    case SP_TCP_FIN_WAIT_1:
    case SP_TCP_FIN_WAIT_2:
      break;
    default:
      return;  // nothing more will come
  }
  const uint32_t promised = rcv_adv_ - rcv_nxt_;
  // An ACK that says nothing but the window is worth it when the peer can use up what it knows of.
  if (ReceiveWindow() > promised && promised < settings_.receive_buffer / 2) SendAck();
}

void TcpConnection::Output() {
  switch (state_) {
    case SP_TCP_CLOSED:
    case SP_TCP_LISTEN:
    case SP_TCP_SYN_SENT:
    case SP_TCP_SYN_RECEIVED:
      return;
    case SP_TCP_TIME_WAIT:
      break;
    default:
      while (SendOne()) {
      }
  }
  if (acknowledge_now_) SendAck();
  if (state_ == SP_TCP_TIME_WAIT) return;
  if (snd_una_ != snd_max_) {
    tcp_->scheduler_->Cancel(&persist_timer_);
    if (retransmit_timer_ == 0) ArmRetransmit();
    return;
  }
  tcp_->scheduler_->Cancel(&retransmit_timer_);
  if (unacknowledged_.Empty()) {
    tcp_->scheduler_->Cancel(&persist_timer_);
  } else if (persist_timer_ == 0) {
    // Something waits, and no acknowledgement will come that could set it going: a window that is closed is probed, and what is
    // held back as too little goes after all.
    constexpr int64_t kHeldBack = 200 * kMillisecond;  // RFC 9293 3.8.6.2.1: the override time-out, 0.1 to 1.0 s
    probes_ = unanswered_probes_ = 0;
    probing_since_ = Now();
    Arm(&persist_timer_, snd_wnd_ > 0 ? kHeldBack : round_trip_.Timeout(tcp_->policy()), &TcpConnection::OnPersistTimer);
  }
}

// Sends the next segment if there is one, and it may go: window (RFC 5681 too), Nagle, the cork (RFC 9293 3.7.4, 3.8.6.2.1).
bool TcpConnection::SendOne() {
  const uint32_t in_flight = snd_nxt_ - snd_una_;
  if (in_flight > unacknowledged_.Size()) return false;  // the FIN too
  const std::size_t waiting = unacknowledged_.Size() - in_flight;
  const uint32_t window = std::min(snd_wnd_, congestion_window_);
  const std::size_t usable = window > in_flight ? window - in_flight : 0;
  const std::size_t length = std::min({waiting, usable, static_cast<std::size_t>(send_mss_)});
  const bool last = length == waiting;
  // A FIN needs no room at the peer, so a closed window does not keep it.
  const bool fin = write_shut_ && last && !fin_acknowledged_;
  if (length == 0 && !fin) return false;
  const bool again = SeqLess(snd_nxt_, snd_max_), idle = snd_una_ == snd_max_;
  const bool corked = settings_.cork || more_announced_;
  const bool urgent = urgent_out_ && SeqLess(snd_nxt_, snd_up_);
  const bool worth = length == send_mss_ || length >= std::max<std::size_t>(largest_window_ / 2, 1);
  if (!(again || fin || urgent || worth || (last && !corked && (settings_.no_delay || idle)))) return false;

  const uint32_t end = snd_nxt_ + static_cast<uint32_t>(length) + (fin ? 1 : 0);
  if (idle) unacknowledged_since_ = Now();
  if (again) {
    round_trip_.SentAgain();
  } else {
    round_trip_.Sent(end, Now());
  }
  Emit(kAck | (last ? kPsh : 0) | (fin ? kFin : 0), snd_nxt_, unacknowledged_.At(in_flight), length);
  snd_nxt_ = end;
  snd_max_ = SeqMax(snd_max_, end);
  return true;
}

void TcpConnection::Retransmit() {
  const std::size_t length = std::min<std::size_t>({unacknowledged_.Size(), send_mss_, snd_max_ - snd_una_});
  const bool fin = write_shut_ && length == unacknowledged_.Size();
  round_trip_.SentAgain();
  Emit(kAck | (fin ? kFin | kPsh : 0), snd_una_, unacknowledged_.At(0), length);
  snd_nxt_ = SeqMax(snd_nxt_, snd_una_ + static_cast<uint32_t>(length) + (fin ? 1 : 0));
  snd_max_ = SeqMax(snd_max_, snd_nxt_);
}

// The peer's part of what the handshake agrees upon: largest segment, window scale.
void TcpConnection::TakeOptions(const TcpHeader& header) {
  const uint16_t otherwise = ends_.remote.ip.family == SP_INET6 ? 1220 : 536;  // RFC 9293 3.7.1
  const uint16_t theirs = std::max<uint16_t>(header.maximum_segment.value_or(otherwise), 1);
  send_mss_ = std::min(theirs, SegmentLimit(*tcp_->network_, ends_, settings_));
  scaling_ = header.window_scale.has_value();
  send_shift_ = header.window_scale.value_or(0);
  if (!scaling_) receive_shift_ = 0;
  snd_wnd_ = largest_window_ = header.window;  // never scaled on a SYN
  snd_wl1_ = header.sequence;
  snd_wl2_ = snd_una_;
  congestion_window_ = 10u * send_mss_;  // RFC 6928
}

}  // namespace sockproof::reference
