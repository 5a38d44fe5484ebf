// What a connection does because time has passed.
#include <algorithm>

#include "reference/tcp/connection.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {

int64_t TcpConnection::Now() const { return tcp_->scheduler_->Now(); }

void TcpConnection::Arm(Scheduler::Timer* timer, int64_t delay, void (TcpConnection::*action)()) {
  tcp_->scheduler_->Cancel(timer);
  *timer = tcp_->scheduler_->At(Now() + std::max<int64_t>(delay, 0), [this, timer, action] {
    const std::shared_ptr<TcpConnection> keep = shared_from_this();
    *timer = 0;
    (this->*action)();
    Tell();
  });
}

void TcpConnection::StopTimers() {
  for (Scheduler::Timer* timer : {&retransmit_timer_, &persist_timer_, &delayed_ack_timer_, &keep_alive_timer_, &wait_timer_}) {
    if (*timer != 0) tcp_->scheduler_->Cancel(timer);
  }
}

// ---- Retransmission
int TcpConnection::RetryLimit() const {
  const TcpPolicy& policy = tcp_->policy();
  if (state_ == SP_TCP_SYN_SENT) return settings_.syn_retries > 0 ? settings_.syn_retries : policy.syn_retries;
  if (state_ == SP_TCP_SYN_RECEIVED) return policy.syn_ack_retries;
  return orphan_ ? policy.orphan_retries : policy.data_retries;
}

bool TcpConnection::UserTimeoutOver(int64_t since) const {
  return settings_.user_timeout > 0 && Now() - since >= settings_.user_timeout;
}

void TcpConnection::ArmRetransmit() {
  int64_t delay = round_trip_.Timeout(tcp_->policy());
  // The user's time-out is not overslept.
  if (settings_.user_timeout > 0) delay = std::min(delay, unacknowledged_since_ + settings_.user_timeout - Now());
  Arm(&retransmit_timer_, delay, &TcpConnection::OnRetransmitTimer);
}

void TcpConnection::OnRetransmitTimer() {
  const bool opening = state_ == SP_TCP_SYN_SENT || state_ == SP_TCP_SYN_RECEIVED;
  // TCP_DEFER_ACCEPT: the client has acknowledged and owes nothing but data. It is asked again when its time is over.
  const bool deferred = deferred_ && listener_ != nullptr;
  const bool over = UserTimeoutOver(unacknowledged_since_);
  if (deferred && !over && Now() - opened_at_ < listener_->settings().defer_accept) {
    round_trip_.BackOff();
    ArmRetransmit();
    return;
  }
  if (over || retransmissions_ >= RetryLimit()) {
    if (opening && active_ && (ends_.local.ip.family == SP_CONNDATA || tcp_->policy().reset_abandoned_connect)) SendReset();
    Fail(TimeOut());
    return;
  }
  ++retransmissions_;
  round_trip_.BackOff();
  if (opening) {
    SendSyn();
    ArmRetransmit();
    return;
  }
  // RFC 5681 3.1, equation 4; then everything again from the first byte that is missing, beginning with one segment.
  const uint32_t flight = snd_max_ - snd_una_;
  if (retransmissions_ == 1) slow_start_threshold_ = std::max(flight / 2, 2u * send_mss_);
  congestion_window_ = send_mss_;
  duplicate_acks_ = 0;
  recovering_ = false;
  recover_ = snd_max_;
  snd_nxt_ = snd_una_;
  Retransmit();  // whatever the window says by now: it was inside once
  ArmRetransmit();
}

// ---- A window that is closed (RFC 9293 3.8.6.1), or too little to send (3.8.6.2.1)
void TcpConnection::OnPersistTimer() {
  const TcpPolicy& policy = tcp_->policy();
  const uint32_t next = snd_una_;
  if (snd_wnd_ > 0) {
    const std::size_t length = std::min<std::size_t>({unacknowledged_.Size(), snd_wnd_, send_mss_});
    const bool fin = write_shut_ && length == unacknowledged_.Size();
    unacknowledged_since_ = Now();
    Emit(kAck | kPsh | (fin ? kFin : 0), next, unacknowledged_.At(0), length);
    snd_nxt_ = snd_max_ = next + static_cast<uint32_t>(length) + (fin ? 1 : 0);
    Output();
    return;
  }
  // A peer that answers may keep its window closed for as long as it likes (MUST-37). Nobody waits for an orphan that long.
  const int silent = orphan_ ? probes_ : unanswered_probes_;
  if (silent >= RetryLimit() || (probes_ > 0 && UserTimeoutOver(probing_since_))) {
    if (orphan_) {
      FailWithReset(TimeOut());
    } else {
      Fail(TimeOut());
    }
    return;
  }
  ++probes_;
  ++unanswered_probes_;
  probed_ = true;
  Emit(kAck, next, unacknowledged_.At(0), 1);
  int64_t delay = std::min(round_trip_.Timeout(policy) << std::min(probes_, 16), policy.rto_maximum);
  if (settings_.user_timeout > 0) delay = std::min(delay, std::max<int64_t>(probing_since_ + settings_.user_timeout - Now(), 1));
  Arm(&persist_timer_, delay, &TcpConnection::OnPersistTimer);
}

void TcpConnection::OnDelayedAckTimer() { SendAck(); }

// ---- Keepalive (RFC 9293 3.8.4)
void TcpConnection::ArmKeepAlive(int64_t delay) {
  tcp_->scheduler_->Cancel(&keep_alive_timer_);
  keep_probes_ = 0;
  if (settings_.keep_alive) Arm(&keep_alive_timer_, delay, &TcpConnection::OnKeepAliveTimer);
}

void TcpConnection::OnKeepAliveTimer() {
  if (last_heard_ + settings_.keep_idle > Now()) {
    ArmKeepAlive(last_heard_ + settings_.keep_idle - Now());
    return;
  }
  if (!unacknowledged_.Empty() || snd_una_ != snd_max_) {  // retransmission and persist know already
    ArmKeepAlive(settings_.keep_idle);
    return;
  }
  const bool over =
      settings_.user_timeout > 0 ? UserTimeoutOver(last_heard_) && keep_probes_ > 0 : keep_probes_ >= settings_.keep_count;
  if (over) {
    FailWithReset(TimeOut());
    return;
  }
  ++keep_probes_;
  Emit(kAck, snd_nxt_ - 1);  // no data, and a number that has been acknowledged: nobody can but answer
  Arm(&keep_alive_timer_, settings_.keep_interval, &TcpConnection::OnKeepAliveTimer);
}

// ---- Ends
void TcpConnection::ArmOrphanWait() {
  if (settings_.linger2 < 0) {
    SendReset();
    Vanish();
    return;
  }
  Arm(&wait_timer_, settings_.linger2 > 0 ? settings_.linger2 : tcp_->policy().fin_wait_2, &TcpConnection::OnWaitTimer);
}

void TcpConnection::OnWaitTimer() { Vanish(); }

void TcpConnection::EnterTimeWait() {
  StopTimers();
  state_ = SP_TCP_TIME_WAIT;
  Arm(&wait_timer_, tcp_->policy().time_wait, &TcpConnection::OnWaitTimer);
}

void TcpConnection::Vanish() {
  StopTimers();
  state_ = SP_TCP_CLOSED;
  fresh_ |= kGone;
  if (listener_ != nullptr) listener_->Ended(this);
  listener_ = nullptr;
  tcp_->Forget(this);
}

void TcpConnection::Fail(int32_t error) {
  error_ = error;
  fresh_ |= kFailed;
  unacknowledged_.Clear();
  early_.Clear();
  Vanish();
}

void TcpConnection::FailWithReset(int32_t error) {
  SendReset();
  Fail(error);
}

}  // namespace sockproof::reference
