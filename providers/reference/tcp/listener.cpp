#include "reference/tcp/listener.h"

#include <algorithm>
#include <utility>

#include "reference/tcp/tcp.h"

namespace sockproof::reference {

int TcpListener::Fits(const Endpoint& destination) const {
  if (destination.port != local_.port) return 0;
  if (destination.ip == local_.ip) return 3;
  if (local_.ip.bytes != std::array<uint8_t, 16>{}) return 0;
  if (destination.ip.family == local_.ip.family) return 2;
  return local_.ip.family == SP_INET6 && destination.ip.family == SP_INET && !only_own_family_ ? 1 : 0;
}

TcpListener::Request* TcpListener::FindWaiting(const FourTuple& ends) {
  const auto found = std::find_if(queue_.begin(), queue_.end(), [&](const Request& request) {
    return request.connection == nullptr && !request.withdrawn && request.ends == ends;
  });
  return found == queue_.end() ? nullptr : &*found;
}

void TcpListener::OnSyn(const Packet& packet) {
  if (Request* waiting = FindWaiting(EndsOf(packet))) {
    if (waiting->syn.tcp.sequence == packet.tcp.sequence) return;  // sent again: it goes on waiting
    Withdrawn(waiting);
  }
  if (paused) {
    tcp_->Refuse(packet);
    return;
  }
  if (Waiting() >= capacity_) {
    // tcp_abort_on_overflow speaks of the last ACK only: Linux drops the SYN either way.
    if (tcp_->policy().overflow == TcpPolicy::Overflow::kReset) tcp_->Refuse(packet);
    return;
  }
  std::vector<uint8_t> user_data;
  if (packet.source.ip.family == SP_CONNDATA) user_data = packet.payload;
  if (conditional_) {
    queue_.push_back({EndsOf(packet), nullptr, std::move(user_data), false, packet});
    if (arrived) arrived();
    return;
  }
  if (HalfOpen() >= static_cast<std::size_t>(std::max(tcp_->policy().half_open_maximum, 1))) {
    if (tcp_->policy().syn_cookies) SendCookie(packet);
    return;
  }
  const std::shared_ptr<TcpConnection> connection = tcp_->Add(EndsOf(packet), settings_);
  connection->listener_ = this;
  half_open_.push_back(connection.get());
  connection->OpenPassive(packet, {});
}

void TcpListener::SendCookie(const Packet& syn) {
  last_cookie_ = tcp_->scheduler_->Now();
  Packet answer;
  answer.source = syn.destination;
  answer.destination = syn.source;
  answer.tcp.flags = kSyn | kAck;
  answer.tcp.sequence = tcp_->Cookie(EndsOf(syn), syn.tcp.sequence, syn.tcp.maximum_segment.value_or(0), 0);
  answer.tcp.acknowledgement = syn.tcp.sequence + 1;
  answer.tcp.window = CookieWindow();
  answer.tcp.maximum_segment = static_cast<uint16_t>(tcp_->network_->MaximumPayload(syn.source.ip) - 20);
  tcp_->network_->Send(std::move(answer));
}

uint16_t TcpListener::CookieWindow() const {
  return static_cast<uint16_t>(std::min<std::size_t>(settings_.receive_buffer, UINT16_MAX));
}

bool TcpListener::TakeCookie(const Packet& packet) {
  if (last_cookie_ < tcp_->scheduler_->Now() - 2 * Tcp::kCookieAge) return false;
  Packet syn = packet;  // as it was, as far as the cookie can tell
  syn.payload.clear();
  syn.tcp.sequence = packet.tcp.sequence - 1;
  syn.tcp.window_scale.reset();
  const uint32_t cookie = packet.tcp.acknowledgement - 1;
  syn.tcp.maximum_segment = tcp_->ReadCookie(cookie, EndsOf(packet), syn.tcp.sequence);
  if (!syn.tcp.maximum_segment) return false;
  if (Waiting() >= capacity_) return true;
  const std::shared_ptr<TcpConnection> connection = tcp_->Add(EndsOf(packet), settings_);
  connection->listener_ = this;
  connection->iss_ = cookie;
  connection->TakeSyn(syn);
  connection->rcv_adv_ += CookieWindow();
  connection->OnSegment(packet);
  if (!connection->Established()) connection->Vanish();  // deferred, say: nothing would ever ask again
  return true;
}

bool TcpListener::Admit(TcpConnection* connection, const Packet& packet, bool bare) {
  if (bare && connection->Now() - connection->opened_at_ < settings_.defer_accept) {
    connection->deferred_ = true;
    return false;
  }
  if (Waiting() < capacity_) return true;
  if (abort_on_overflow || tcp_->policy().overflow == TcpPolicy::Overflow::kReset) {
    tcp_->Refuse(packet);
    connection->Vanish();
  }
  return false;
}

void TcpListener::Completed(TcpConnection* connection) {
  half_open_.erase(std::remove(half_open_.begin(), half_open_.end(), connection), half_open_.end());
  queue_.push_back({connection->ends_, connection->shared_from_this(), connection->peer_user_data_, false, {}});
  if (arrived) arrived();
}

void TcpListener::Ended(TcpConnection* connection) {
  half_open_.erase(std::remove(half_open_.begin(), half_open_.end(), connection), half_open_.end());
  const auto found =
      std::find_if(queue_.begin(), queue_.end(), [&](const Request& request) { return request.connection.get() == connection; });
  if (found != queue_.end()) Withdrawn(&*found);
}

void TcpListener::Withdrawn(Request* request) {
  request->withdrawn = true;
  if (!forget_reset) return;
  queue_.erase(queue_.begin() + (request - &queue_.front()));
}

std::shared_ptr<TcpConnection> TcpListener::Accept(const std::vector<uint8_t>& callee_data) {
  if (queue_.empty()) return nullptr;
  Request request = std::move(queue_.front());
  queue_.pop_front();
  if (request.connection == nullptr) {
    request.connection = tcp_->Add(request.ends, settings_);
    request.connection->OpenPassive(request.syn, callee_data);
  }
  request.connection->listener_ = nullptr;
  return std::move(request.connection);
}

void TcpListener::Reject(const std::vector<uint8_t>& callee_data) {
  if (queue_.empty()) return;
  const Request request = std::move(queue_.front());
  queue_.pop_front();
  if (request.connection != nullptr) {
    request.connection->listener_ = nullptr;
    request.connection->Abort();
  } else if (!request.withdrawn) {
    tcp_->Refuse(request.syn, callee_data);
  }
}

void TcpListener::Drop() {
  if (queue_.empty()) return;
  if (queue_.front().connection != nullptr) queue_.front().connection->listener_ = nullptr;
  queue_.pop_front();
}

void TcpListener::SetCapacity(std::size_t capacity, bool drop_excess) {
  capacity_ = capacity;
  while (drop_excess && queue_.size() > capacity_) {
    std::rotate(queue_.begin(), queue_.end() - 1, queue_.end());  // the newest, as Reject takes the head
    Reject();
  }
}

// Those that wait hear of it by RST. Half-open ones are only forgotten: what their clients send next belongs to nobody, and is
// answered with RST.
void TcpListener::Stop() {
  while (!queue_.empty()) Reject();
  while (!half_open_.empty()) {
    TcpConnection* connection = half_open_.back();
    half_open_.pop_back();
    connection->listener_ = nullptr;
    connection->Vanish();
  }
}

}  // namespace sockproof::reference
