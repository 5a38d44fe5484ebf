// How long a retransmission waits (RFC 6298).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "reference/tcp/policy.h"
#include "reference/tcp/sequence.h"

namespace sockproof::reference {

class RoundTrip {
 public:
  int64_t Timeout(const TcpPolicy& policy) const {
    int64_t timeout = slow_handshake_ ? std::max(policy.rto_initial, 3 * kSecond) : policy.rto_initial;
    if (sampled_) timeout = std::max(smoothed_ + std::max(kGranularity, 4 * variation_), policy.rto_minimum);
    // 5.5: doubled with each expiry. Shifted no further than what cannot overflow.
    return std::min(timeout << std::min(back_off_, 16), policy.rto_maximum);
  }
  void BackOff() {
    ++back_off_;
    timed_.reset();  // Karn: what is sent twice is not measured
  }
  // Measures one segment at a time: the one whose last byte is `end`.
  void Sent(uint32_t end, int64_t now) {
    if (!timed_) timed_ = {end, now};
  }
  void SentAgain() { timed_.reset(); }
  void Acknowledged(uint32_t acknowledgement, int64_t now) {
    if (!timed_ || SeqLess(acknowledgement, timed_->end)) return;
    Sample(now - timed_->at);
    timed_.reset();
  }
  // 5.7: the SYN was sent again, so data begin with three seconds at least.
  void HandshakeWasSlow() {
    back_off_ = 0;
    slow_handshake_ = true;
  }

 private:
  static constexpr int64_t kGranularity = kMillisecond;
  void Sample(int64_t measured) {
    if (!sampled_) {
      smoothed_ = measured;
      variation_ = measured / 2;
      sampled_ = true;
    } else {
      const int64_t off = smoothed_ > measured ? smoothed_ - measured : measured - smoothed_;
      variation_ = (3 * variation_ + off) / 4;
      smoothed_ = (7 * smoothed_ + measured) / 8;
    }
    back_off_ = 0;
  }
  struct Timed {
    uint32_t end;
    int64_t at;
  };
  std::optional<Timed> timed_;
  bool sampled_ = false, slow_handshake_ = false;
  int64_t smoothed_ = 0, variation_ = 0;
  int back_off_ = 0;
};

}  // namespace sockproof::reference
