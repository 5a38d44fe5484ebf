// What a connection makes of a segment: RFC 9293 3.10.7, in its order, with the checks of RFC 5961.
#include <algorithm>
#include <utility>

#include "reference/tcp/connection.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {

TcpConnection::TcpConnection(Tcp* tcp, const FourTuple& ends, const TcpSettings& settings)
    : tcp_(tcp), ends_(ends), settings_(settings), opened_at_(tcp->scheduler_->Now()), iss_(tcp->InitialSequence(ends)) {}

TcpConnection::~TcpConnection() { StopTimers(); }

TcpConnection::Segment::Segment(const Packet& packet)
    : header(packet.tcp),
      sequence(packet.tcp.sequence),
      data(packet.payload.data()),
      size(packet.payload.size()),
      syn(packet.tcp.Has(kSyn)),
      fin(packet.tcp.Has(kFin)) {
  // User data of the connecting protocol are not part of the stream.
  if (packet.source.ip.family == SP_CONNDATA && (syn || header.Has(kRst))) size = 0;
}

void TcpConnection::Tell() {
  const uint32_t fresh = std::exchange(fresh_, 0);
  const std::function<void(uint32_t)> told = changed;  // it may be replaced by whom it tells
  if (fresh != 0 && told) told(fresh);
}

void TcpConnection::OnSegment(const Packet& packet) {
  const std::shared_ptr<TcpConnection> keep = shared_from_this();
  last_heard_ = Now();
  keep_probes_ = 0;
  if (state_ == SP_TCP_SYN_SENT) {
    InSynSent(packet);
  } else {
    InSynchronized(packet);
  }
  Tell();
}

// 3.10.7.3
void TcpConnection::InSynSent(const Packet& packet) {
  const TcpHeader& tcp = packet.tcp;
  if (tcp.Has(kAck) && tcp.acknowledgement != iss_ + 1) {
    if (!tcp.Has(kRst)) tcp_->Refuse(packet);
    return;
  }
  if (tcp.Has(kRst)) {
    if (!tcp.Has(kAck)) return;
    if (ends_.local.ip.family == SP_CONNDATA) peer_user_data_ = packet.payload;
    Fail(SP_ECONNREFUSED);
    return;
  }
  if (!tcp.Has(kSyn)) return;
  irs_ = tcp.sequence;
  rcv_nxt_ = rcv_adv_ = read_ = irs_ + 1;
  if (ends_.local.ip.family == SP_CONNDATA) peer_user_data_ = packet.payload;
  if (tcp.Has(kAck)) {
    snd_una_ = tcp.acknowledgement;
    round_trip_.Acknowledged(snd_una_, Now());
    TakeOptions(tcp);
    BecomeEstablished();
    acknowledge_now_ = true;
    Output();
  } else {
    // Both ends open at once (3.5, figure 7).
    state_ = SP_TCP_SYN_RECEIVED;
    TakeOptions(tcp);
    SendSyn();
  }
}

void TcpConnection::BecomeEstablished() {
  state_ = write_shut_ ? SP_TCP_FIN_WAIT_1 : SP_TCP_ESTABLISHED;
  ever_established_ = true;
  established_at_ = Now();
  tcp_->scheduler_->Cancel(&retransmit_timer_);
  if (retransmissions_ > 0) round_trip_.HandshakeWasSlow();
  retransmissions_ = 0;
  recover_ = iss_;
  ArmKeepAlive(settings_.keep_idle);
  fresh_ |= kConnected;
  if (listener_ != nullptr) listener_->Completed(this);
}

// 3.10.7.4
void TcpConnection::InSynchronized(const Packet& packet) {
  Segment segment(packet);
  const TcpHeader& tcp = packet.tcp;
  if (state_ == SP_TCP_SYN_RECEIVED && segment.syn && segment.sequence == irs_ && !tcp.Has(kRst)) {
    if (!tcp.Has(kAck)) {  // its SYN again: our answer got lost
      SendSyn();
      return;
    }
    // Both ends opened at once: the SYN+ACK repeats the SYN that was taken, and its ACK completes the handshake.
    segment.syn = false;
    ++segment.sequence;
  }

  // First: the sequence number.
  if (!Acceptable(segment)) {
    if (tcp.Has(kRst)) return;
    if (state_ == SP_TCP_TIME_WAIT && segment.fin) EnterTimeWait();  // the only thing that can still arrive: begin anew
    ChallengeAck(segment.size > 0 || segment.fin);
    return;
  }
  // Second: RST. Fourth: SYN (the third is about security levels). RFC 5961 3.2 and 4.2.
  const bool challenge = tcp_->policy().challenge_acks;
  if (tcp.Has(kRst)) {
    if (segment.sequence == rcv_nxt_ || !challenge) {
      OnReset(packet);
    } else {
      ChallengeAck(false);
    }
    return;
  }
  if (segment.syn) {
    if (challenge) {
      ChallengeAck(false);
    } else {
      FailWithReset(SP_ECONNRESET);  // RFC 793: an error
    }
    return;
  }
  // Fifth: ACK.
  if (!tcp.Has(kAck)) return;
  if (state_ == SP_TCP_SYN_RECEIVED) {
    if (!SeqLess(snd_una_, tcp.acknowledgement) || SeqLess(snd_max_, tcp.acknowledgement)) {
      tcp_->Refuse(packet);
      return;
    }
    const bool bare = segment.size == 0 && !segment.fin;
    if (listener_ != nullptr && !listener_->Admit(this, packet, bare)) return;
    ++snd_una_;  // the SYN; what else this acknowledges follows
    round_trip_.Acknowledged(snd_una_, Now());
    snd_wnd_ = largest_window_ = Window(tcp);
    snd_wl1_ = segment.sequence;
    snd_wl2_ = tcp.acknowledgement;
    BecomeEstablished();
  }
  Trim(&segment);
  if (!OnAcknowledgement(segment)) return;
  // Sixth to eighth: URG, data, FIN.
  OnUrgent(segment);
  if (OnData(segment)) Output();
}

// 3.4, table 6. An empty segment may stand at the right edge, and a FIN may, as it needs no room.
bool TcpConnection::Acceptable(const Segment& segment) const {
  const uint32_t window = rcv_adv_ - rcv_nxt_;
  const uint32_t from_next = segment.sequence - rcv_nxt_;
  if (segment.sequence == rcv_nxt_) return true;  // with a window of zero: its ACK, URG and RST count
  if (from_next < window) return true;
  const uint32_t end = segment.End();
  if (end == segment.sequence) return false;
  return SeqLess(segment.sequence, rcv_nxt_) && SeqLess(rcv_nxt_, end);
}

// Cuts off what was received before, and what lies behind the window.
void TcpConnection::Trim(Segment* segment) {
  if (SeqLess(segment->sequence, rcv_nxt_)) {
    const std::size_t known = std::min<std::size_t>(rcv_nxt_ - segment->sequence, segment->size);
    segment->data += known;
    segment->size -= known;
    segment->sequence = rcv_nxt_;
  }
  const uint32_t window = rcv_adv_ - segment->sequence;
  if (segment->size > window) {
    segment->size = window;
    segment->fin = false;
    acknowledge_now_ = true;  // so that the peer hears how much was too much
  }
}

void TcpConnection::OnReset(const Packet& packet) {
  switch (state_) {
    case SP_TCP_SYN_RECEIVED:
      // One that listens goes back to that, and nobody hears of it. One that was accepted before its handshake was complete
      // has an owner; one that opened at the same time as its peer was refused.
      if (ends_.local.ip.family == SP_CONNDATA) peer_user_data_ = packet.payload;
      if (listener_ != nullptr) {
        Vanish();
      } else {
        Fail(active_ ? SP_ECONNREFUSED : SP_ECONNRESET);
      }
      break;
    case SP_TCP_TIME_WAIT:
      if (!tcp_->policy().time_wait_ignores_reset) Vanish();
      break;
    case SP_TCP_CLOSING:
    case SP_TCP_LAST_ACK:
      Vanish();
      break;
    default:
      Fail(SP_ECONNRESET);
  }
}

uint32_t TcpConnection::Window(const TcpHeader& header) const {
  return static_cast<uint32_t>(header.window) << (header.Has(kSyn) ? 0 : send_shift_);  // RFC 7323 2.2
}

bool TcpConnection::OnAcknowledgement(const Segment& segment) {
  const uint32_t acknowledgement = segment.header.acknowledgement;
  if (SeqLess(snd_max_ + (probed_ ? 1 : 0), acknowledgement)) {  // of what was never sent
    ChallengeAck(segment.size > 0);
    return false;
  }
  // RFC 5961 5.2: nor of what is older than anything the peer can still have.
  if (tcp_->policy().challenge_acks && SeqLess(acknowledgement, snd_una_ - largest_window_)) {
    ChallengeAck(false);
    return false;
  }
  unanswered_probes_ = 0;
  const uint32_t window = Window(segment.header);
  const bool same_window = window == snd_wnd_;
  // Only the newest segment says how large the window is (3.10.7.4).
  const bool newest =
      SeqLess(snd_wl1_, segment.sequence) || (snd_wl1_ == segment.sequence && SeqLessEqual(snd_wl2_, acknowledgement));
  if (newest && SeqLessEqual(snd_una_, acknowledgement)) {
    if (snd_wnd_ == 0 && window > 0) {
      tcp_->scheduler_->Cancel(&persist_timer_);
      probes_ = 0;
    }
    snd_wnd_ = window;
    largest_window_ = std::max(largest_window_, window);
    snd_wl1_ = segment.sequence;
    snd_wl2_ = acknowledgement;
  }
  soft_error_ = SP_OK;
  if (SeqLess(snd_una_, acknowledgement)) {
    OnNewlyAcknowledged(acknowledgement);
  } else if (acknowledgement == snd_una_ && snd_una_ != snd_max_ && segment.size == 0 && !segment.fin && same_window) {
    // RFC 5681 3.2: the third duplicate says that a segment is missing; each one, that another has arrived.
    ++duplicate_acks_;
    if (recovering_) {
      congestion_window_ += send_mss_;
    } else if (duplicate_acks_ == 3 && SeqLess(recover_, acknowledgement)) {
      slow_start_threshold_ = std::max((snd_max_ - snd_una_) / 2, 2u * send_mss_);
      congestion_window_ = slow_start_threshold_ + 3u * send_mss_;
      recover_ = snd_max_;
      recovering_ = true;
      Retransmit();
      ArmRetransmit();
    }
  }
  return state_ != SP_TCP_CLOSED;
}

void TcpConnection::OnNewlyAcknowledged(uint32_t acknowledgement) {
  const uint32_t acknowledged = acknowledgement - snd_una_;
  const std::size_t data = std::min<std::size_t>(acknowledged, unacknowledged_.Size());
  const bool had_everything = Everything();
  unacknowledged_.Drop(data);
  snd_una_ = acknowledgement;
  snd_nxt_ = SeqMax(snd_nxt_, snd_una_);
  snd_max_ = SeqMax(snd_max_, snd_una_);
  probed_ = false;
  retransmissions_ = 0;
  unacknowledged_since_ = Now();
  if (urgent_out_ && SeqLessEqual(snd_up_, snd_una_)) urgent_out_ = false;
  round_trip_.Acknowledged(acknowledgement, Now());

  if (recovering_ && SeqLess(acknowledgement, recover_)) {
    // RFC 6582 3.2: a partial acknowledgement says that the next one is missing too.
    congestion_window_ -= std::min(congestion_window_ - send_mss_, acknowledged);
    congestion_window_ += send_mss_;
    Retransmit();
  } else if (recovering_) {
    congestion_window_ = slow_start_threshold_;
    recovering_ = false;
  } else if (congestion_window_ < slow_start_threshold_) {
    congestion_window_ += std::min<uint32_t>(acknowledged, send_mss_);
  } else {
    congestion_window_ += std::max(1u, static_cast<uint32_t>(uint64_t{send_mss_} * send_mss_ / congestion_window_));
  }
  congestion_window_ = std::min(congestion_window_, 1u << 30);
  duplicate_acks_ = 0;

  tcp_->scheduler_->Cancel(&retransmit_timer_);  // Output arms it again for what is left (RFC 6298 5.3)
  if (acknowledged > data) OnFinAcknowledged();
  if (was_full_ && Room() >= settings_.send_buffer / 3) {
    was_full_ = false;
    fresh_ |= kRoomAgain;
  }
  if (!had_everything && Everything()) fresh_ |= kAcknowledged;
}

void TcpConnection::OnFinAcknowledged() {
  fin_acknowledged_ = true;
  switch (state_) {
    case SP_TCP_FIN_WAIT_1:
      state_ = SP_TCP_FIN_WAIT_2;
      if (orphan_) ArmOrphanWait();
      break;
    case SP_TCP_CLOSING:
      EnterTimeWait();
      break;
    case SP_TCP_LAST_ACK:
      Vanish();
      break;
    default:
      break;
  }
}

// The pointer points behind the urgent byte (RFC 6093 3.1). There is one mark: a newer one takes the place of the older, whose
// byte becomes one of the stream.
void TcpConnection::OnUrgent(const Segment& segment) {
  if (!segment.header.Has(kUrg) || segment.header.urgent == 0 || peer_finished_) return;
  const uint32_t at = segment.header.sequence + segment.header.urgent - 1;
  if (SeqLess(at, rcv_nxt_)) return;
  if (urgent_ != Urgent::kNone) {
    if (SeqLessEqual(at, urgent_at_)) return;
    if (AtMark() && !settings_.urgent_inline && !received_.Empty()) {  // out of the stream, where nobody asked for it
      received_.Drop(1);
      ++read_;
    }
  }
  urgent_at_ = at;
  urgent_ = Urgent::kThere;
  fresh_ |= kUrgent;
}

bool TcpConnection::OnData(const Segment& segment) {
  if (state_ == SP_TCP_TIME_WAIT || (segment.size == 0 && !segment.fin)) return true;
  if (peer_finished_) return true;  // nothing can follow a FIN
  using After = TcpPolicy::AfterShutdownRead;
  const bool nobody_reads = orphan_ || (read_shut_ && (write_shut_ || tcp_->policy().after_shutdown_read == After::kReset));
  if (segment.size > 0 && nobody_reads) {
    Packet answered;
    answered.source = ends_.remote;
    answered.destination = ends_.local;
    answered.tcp = segment.header;
    tcp_->Refuse(answered);
    Fail(SP_ECONNRESET);
    return false;
  }
  if (segment.fin) fin_at_ = segment.sequence + static_cast<uint32_t>(segment.size);
  const bool in_order = segment.sequence == rcv_nxt_ && early_.Empty();
  if (segment.sequence == rcv_nxt_) {
    Deliver(segment.data, segment.size);
    rcv_nxt_ += static_cast<uint32_t>(segment.size);
    while (early_.TakeFrom(&rcv_nxt_, [this](const uint8_t* data, std::size_t size) { Deliver(data, size); })) {
    }
  } else if (segment.size > 0) {
    early_.Insert(segment.sequence, segment.data, segment.size);
  }
  // RFC 5681 4.2: what is out of order, or fills a gap, is acknowledged at once; of the rest at least every second segment.
  if (settings_.quick_ack || !in_order || segment.size == 0 || ++segments_to_acknowledge_ >= 2) {
    acknowledge_now_ = true;
  } else if (delayed_ack_timer_ == 0) {
    Arm(&delayed_ack_timer_, tcp_->policy().delayed_ack, &TcpConnection::OnDelayedAckTimer);
  }
  if (fin_at_ == rcv_nxt_) OnFin();
  return true;
}

void TcpConnection::Deliver(const uint8_t* data, std::size_t size) {
  if (size == 0) return;
  if (read_shut_ && tcp_->policy().after_shutdown_read == TcpPolicy::AfterShutdownRead::kDiscard) {
    read_ += static_cast<uint32_t>(size);
    return;
  }
  received_.Append(data, size);
  fresh_ |= kArrived;
}

void TcpConnection::OnFin() {
  ++rcv_nxt_;
  rcv_adv_ = SeqMax(rcv_adv_, rcv_nxt_);
  peer_finished_ = true;
  acknowledge_now_ = true;
  fresh_ |= kFinished;
  switch (state_) {
    case SP_TCP_ESTABLISHED:
      state_ = SP_TCP_CLOSE_WAIT;
      break;
    case SP_TCP_FIN_WAIT_1:
      state_ = SP_TCP_CLOSING;
      break;
    case SP_TCP_FIN_WAIT_2:
      EnterTimeWait();
      break;
    default:
      break;
  }
}

// ICMP. Only what speaks of something in flight is believed (RFC 5927 4.1). While a connection opens any such message ends the
// attempt; later none does, not even the 'hard' ones, as RFC 5461 found it everywhere. A time-out then has a better reason.
void TcpConnection::OnUnreachable(const IcmpHeader& icmp) {
  const std::shared_ptr<TcpConnection> keep = shared_from_this();
  if (SeqLess(icmp.tcp_sequence, snd_una_) || !SeqLess(icmp.tcp_sequence, snd_max_)) return;
  int32_t error = SP_OK;
  switch (icmp.reason) {
    case IcmpHeader::Reason::kPort:
      error = SP_ECONNREFUSED;
      break;
    case IcmpHeader::Reason::kProtocol:
      error = SP_ENOPROTOOPT;
      break;
    case IcmpHeader::Reason::kHost:
      error = SP_EHOSTUNREACH;
      break;
    case IcmpHeader::Reason::kNetwork:
      error = SP_ENETUNREACH;
      break;
  }
  if (state_ == SP_TCP_SYN_SENT || state_ == SP_TCP_SYN_RECEIVED) {
    Fail(error);
    Tell();
  } else if (error == SP_EHOSTUNREACH || error == SP_ENETUNREACH) {
    soft_error_ = error;
  }
}

}  // namespace sockproof::reference
