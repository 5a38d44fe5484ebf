// What a socket asks a connection for.
#include <algorithm>
#include <utility>

#include "reference/tcp/connection.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {

std::size_t TcpConnection::Room() const {
  const bool open = state_ != SP_TCP_CLOSED && state_ != SP_TCP_TIME_WAIT && !write_shut_;
  return open && settings_.send_buffer > unacknowledged_.Size() ? settings_.send_buffer - unacknowledged_.Size() : 0;
}

std::size_t TcpConnection::Write(const uint8_t* data, std::size_t size, bool push_now) {
  const std::size_t taken = std::min(size, Room());
  was_full_ = taken < size || taken == Room();
  unacknowledged_.Append(data, taken);
  more_announced_ = !push_now && taken == size;
  if (taken > 0) Output();
  return taken;
}

std::size_t TcpConnection::WriteUrgent(const uint8_t* data, std::size_t size) {
  const std::size_t taken = std::min(size, Room());
  was_full_ = taken < size || taken == Room();
  if (taken == 0) return 0;
  unacknowledged_.Append(data, taken);
  if (taken == size) {
    const uint32_t first = SeqMax(snd_una_, iss_ + 1);
    snd_up_ = first + static_cast<uint32_t>(unacknowledged_.Size());
    urgent_out_ = true;
  }
  Output();
  return taken;
}

std::size_t TcpConnection::Readable() const {
  const std::size_t here = received_.Size();
  const bool apart = urgent_ != Urgent::kNone && !settings_.urgent_inline && urgent_at_ - read_ < here;
  return apart ? here - 1 : here;
}

std::size_t TcpConnection::BeforeMark() const {
  const std::size_t here = received_.Size();
  if (urgent_ == Urgent::kNone || settings_.urgent_inline) return here;
  return std::min<std::size_t>(here, urgent_at_ - read_);
}

// The mark stops a read that is under way, not one that begins there: that goes over it.
std::size_t TcpConnection::Peek(uint8_t* out, std::size_t size, std::size_t offset) const {
  const std::size_t here = received_.Size();
  std::size_t begin = offset, end = here;
  if (urgent_ != Urgent::kNone && urgent_at_ - read_ < here) {
    const std::size_t mark = urgent_at_ - read_;
    if (mark > offset) {
      end = mark;
    } else if (!settings_.urgent_inline) {
      ++begin;
    }
  }
  if (begin >= end) return 0;
  const std::size_t count = std::min(size, end - begin);
  std::copy_n(received_.At(begin), count, out);
  return count;
}

std::size_t TcpConnection::Read(uint8_t* out, std::size_t size) {
  const std::size_t count = Peek(out, size);
  if (count == 0) return 0;
  const bool over_mark = urgent_ != Urgent::kNone && urgent_at_ == read_ && !settings_.urgent_inline;
  const std::size_t passed = count + (over_mark ? 1 : 0);
  received_.Drop(passed);
  read_ += static_cast<uint32_t>(passed);
  if (urgent_ != Urgent::kNone && SeqLess(urgent_at_, read_)) urgent_ = Urgent::kNone;
  OfferWindow();
  return count;
}

bool TcpConnection::HasUrgent() const { return urgent_ == Urgent::kThere && urgent_at_ - read_ < received_.Size(); }

bool TcpConnection::UrgentAnnounced() const { return urgent_ == Urgent::kThere && !HasUrgent(); }

bool TcpConnection::AtMark() const { return urgent_ != Urgent::kNone && urgent_at_ == read_; }

std::optional<uint8_t> TcpConnection::TakeUrgent(bool peek) {
  if (settings_.urgent_inline || !HasUrgent()) return std::nullopt;
  // It stays in the stream, to be passed over, as the mark.
  const uint8_t byte = *received_.At(urgent_at_ - read_);
  if (!peek) urgent_ = Urgent::kTaken;
  return byte;
}

std::size_t TcpConnection::Unsent() const { return unacknowledged_.Size(); }

bool TcpConnection::Everything() const { return unacknowledged_.Empty() && (!write_shut_ || fin_acknowledged_); }

int32_t TcpConnection::TakeError() { return std::exchange(error_, SP_OK); }

void TcpConnection::SettingsChanged() {
  switch (state_) {
    case SP_TCP_CLOSED:
    case SP_TCP_SYN_SENT:
    case SP_TCP_SYN_RECEIVED:
    case SP_TCP_TIME_WAIT:
      return;
    default:
      break;
  }
  ArmKeepAlive(last_heard_ + settings_.keep_idle - Now());
  // Nagle or the cork may have gone, there may be more room, and what was saved up need not wait any more.
  if (settings_.quick_ack && delayed_ack_timer_ != 0) acknowledge_now_ = true;
  Output();
  OfferWindow();
}

void TcpConnection::ShutdownRead() { read_shut_ = true; }

void TcpConnection::ShutdownWrite() {
  if (write_shut_) return;
  switch (state_) {
    case SP_TCP_SYN_RECEIVED:  // follows when the connection is established
      write_shut_ = true;
      return;
    case SP_TCP_ESTABLISHED:
      state_ = SP_TCP_FIN_WAIT_1;
      break;
    case SP_TCP_CLOSE_WAIT:
      state_ = SP_TCP_LAST_ACK;
      break;
    default:
      return;
  }
  write_shut_ = true;
  Output();
}

void TcpConnection::Close() {
  const std::shared_ptr<TcpConnection> keep = shared_from_this();
  orphan_ = true;
  changed = nullptr;
  const bool unread = (Readable() > 0 || HasUrgent()) && tcp_->policy().reset_on_unread_close;
  // RFC 2525 2.17: the peer hears that it was not read, also where an abort has nothing to say any more.
  if (unread && (state_ == SP_TCP_CLOSING || state_ == SP_TCP_LAST_ACK)) SendReset();
  if (state_ == SP_TCP_SYN_SENT || (unread && state_ != SP_TCP_TIME_WAIT)) {
    Abort();
    return;
  }
  received_.Clear();
  ShutdownWrite();
  if (state_ == SP_TCP_FIN_WAIT_2) ArmOrphanWait();
  fresh_ = 0;
}

void TcpConnection::Abort() {
  const std::shared_ptr<TcpConnection> keep = shared_from_this();
  switch (state_) {
    case SP_TCP_SYN_SENT:
      // RFC 9293 3.10.5 sends nothing here; one that has not answered yet would never know.
      if (ends_.local.ip.family == SP_CONNDATA || tcp_->policy().reset_abandoned_connect) SendReset();
      break;
    case SP_TCP_SYN_RECEIVED:
    case SP_TCP_ESTABLISHED:
    case SP_TCP_FIN_WAIT_1:
    case SP_TCP_FIN_WAIT_2:
    case SP_TCP_CLOSE_WAIT:
      SendReset();
      break;
    default:  // RFC 9293 3.10.5: CLOSING, LAST-ACK and TIME-WAIT end silently
      break;
  }
  if (state_ != SP_TCP_CLOSED) Vanish();
  fresh_ = 0;
}

}  // namespace sockproof::reference
