#include "reference/tcp/tcp.h"

#include <algorithm>
#include <utility>

#include "reference/tcp/sequence.h"

namespace sockproof::reference {
namespace {

uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

uint64_t Hash(const FourTuple& ends, uint64_t secret) {
  uint64_t hash = secret;
  for (const Endpoint* end : {&ends.local, &ends.remote}) {
    for (const uint8_t byte : end->ip.bytes) hash = Mix(hash ^ byte);
    hash = Mix(hash ^ end->port);
  }
  return hash;
}

// Whose packet an ICMP message speaks of: one that this host sent.
FourTuple EndsInQuestion(const Packet& packet) {
  if (packet.protocol == Protocol::kIcmp) return {packet.icmp.source, packet.icmp.destination};
  return EndsOf(packet);
}

}  // namespace

Tcp::Tcp(Scheduler* scheduler, Network* network, TcpPolicy policy)
    : scheduler_(scheduler), network_(network), policy_(policy), secret_(scheduler->Random()) {
  network_->SetReceiver(Protocol::kTcp, [this](const Packet& packet) { OnPacket(packet); });
}

Tcp::~Tcp() {
  for (const auto& [ends, connection] : connections_) {
    connection->listener_ = nullptr;
    connection->StopTimers();
    connection->state_ = SP_TCP_CLOSED;
  }
}

std::shared_ptr<TcpConnection> Tcp::Connect(const FourTuple& ends, const TcpSettings& settings,
                                            std::vector<uint8_t> caller_data) {
  if (network_->RouteTo(ends.remote.ip) == Network::Route::kUnreachable) {
    const std::shared_ptr<TcpConnection> nowhere(new TcpConnection(this, ends, settings));
    nowhere->error_ = SP_ENETUNREACH;
    return nowhere;
  }
  std::shared_ptr<TcpConnection> connection = Add(ends, settings);
  connection->OpenActive(std::move(caller_data));
  return connection;
}

std::shared_ptr<TcpListener> Tcp::Listen(const Endpoint& local, bool only_own_family, const TcpSettings& settings) {
  listeners_.push_back(std::shared_ptr<TcpListener>(new TcpListener(this, local, only_own_family, settings)));
  return listeners_.back();
}

void Tcp::StopListening(const std::shared_ptr<TcpListener>& listener) {
  const auto found = std::find(listeners_.begin(), listeners_.end(), listener);
  if (found == listeners_.end()) return;
  const std::shared_ptr<TcpListener> keep = *found;
  listeners_.erase(found);
  keep->Stop();
}

bool Tcp::LocalInUse(const Endpoint& local, bool count_time_wait) const {
  const bool any = local.ip.bytes == std::array<uint8_t, 16>{};
  return std::any_of(connections_.begin(), connections_.end(), [&](const auto& entry) {
    const Endpoint& end = entry.first.local;
    return end.port == local.port && end.ip.family == local.ip.family && (any || end.ip == local.ip) &&
           (count_time_wait || entry.second->state_ != SP_TCP_TIME_WAIT);
  });
}

bool Tcp::IsTimeWait(const FourTuple& ends) const {
  const auto found = connections_.find(ends);
  return found != connections_.end() && found->second->state_ == SP_TCP_TIME_WAIT;
}

void Tcp::EndTimeWait(const FourTuple& ends) {
  const auto found = connections_.find(ends);
  if (found == connections_.end() || found->second->state_ != SP_TCP_TIME_WAIT) return;
  const std::shared_ptr<TcpConnection> old = found->second;
  old->Vanish();
  old->Tell();
}

const void* Tcp::OwnerOf(const Packet& packet) const {
  const FourTuple ends = EndsInQuestion(packet);
  const auto found = connections_.find(ends);
  if (found == connections_.end()) return FindListener(ends);
  const TcpConnection& connection = *found->second;
  if (connection.state_ == SP_TCP_SYN_RECEIVED && connection.listener_ != nullptr) return connection.listener_;
  return &connection;
}

void Tcp::OnPacket(const Packet& packet) {
  const FourTuple ends = EndsInQuestion(packet);
  auto found = connections_.find(ends);
  if (packet.protocol == Protocol::kIcmp) {
    if (found != connections_.end()) found->second->OnUnreachable(packet.icmp);
    return;
  }
  const TcpHeader& tcp = packet.tcp;
  TcpListener* listener = FindListener(ends);
  const bool opening = tcp.Has(kSyn) && !tcp.Has(kAck) && !tcp.Has(kRst) && !tcp.Has(kFin);
  // A new incarnation of a connection whose TIME-WAIT is not over may begin if nothing old can be taken for its data: RFC 9293
  // 3.10.7.4, fourth step, which has it from RFC 1122 4.2.2.13.
  if (opening && listener != nullptr && IsTimeWait(ends) && SeqLess(found->second->rcv_nxt_, tcp.sequence)) {
    EndTimeWait(ends);
    found = connections_.end();
  }
  if (found != connections_.end()) {
    found->second->OnSegment(packet);
    return;
  }
  if (listener != nullptr) {
    if (TcpListener::Request* waiting = listener->FindWaiting(ends); waiting != nullptr && tcp.Has(kRst)) {
      // The SYN was never acknowledged: the RST of its sender has the next sequence number, or is one of an answer that we
      // have never sent.
      if (tcp.sequence == waiting->syn.tcp.sequence + 1) listener->Withdrawn(waiting);
      return;
    }
    if (opening) {
      listener->OnSyn(packet);
      return;
    }
  }
  if (listener != nullptr && tcp.Has(kAck) && !tcp.Has(kSyn) && !tcp.Has(kRst) && listener->TakeCookie(packet)) return;
  // RFC 9293 3.10.7.1 and 3.10.7.2: an ACK that comes to a listener is as wrong as one that comes to nobody.
  const bool to_listener = listener != nullptr && !tcp.Has(kAck);
  if (!tcp.Has(kRst) && !to_listener) Refuse(packet);
}

TcpListener* Tcp::FindListener(const FourTuple& ends) const {
  std::vector<TcpListener*> best;
  int fit = 1;
  for (const auto& listener : listeners_) {
    const int fits = listener->Fits(ends.local);
    if (fits > fit) best.clear();
    fit = std::max(fit, fits);
    if (fits == fit) best.push_back(listener.get());
  }
  if (best.empty()) return nullptr;
  return best.size() == 1 ? best.front() : best[Hash(ends, secret_) % best.size()];
}

std::shared_ptr<TcpConnection> Tcp::Add(const FourTuple& ends, const TcpSettings& settings) {
  std::shared_ptr<TcpConnection> connection(new TcpConnection(this, ends, settings));
  connections_[ends] = connection;
  return connection;
}

void Tcp::Forget(TcpConnection* connection) {
  const auto found = connections_.find(connection->ends_);
  if (found != connections_.end() && found->second.get() == connection) connections_.erase(found);
}

void Tcp::Refuse(const Packet& packet, const std::vector<uint8_t>& user_data) {
  const TcpHeader& tcp = packet.tcp;
  Packet reset;
  reset.source = packet.destination;
  reset.destination = packet.source;
  if (tcp.Has(kAck)) {
    reset.tcp.flags = kRst;
    reset.tcp.sequence = tcp.acknowledgement;
  } else {
    const bool carries_user_data = packet.source.ip.family == SP_CONNDATA && tcp.Has(kSyn);
    reset.tcp.flags = kRst | kAck;
    reset.tcp.acknowledgement = tcp.sequence + (carries_user_data ? 0 : static_cast<uint32_t>(packet.payload.size())) +
                                (tcp.Has(kSyn) ? 1 : 0) + (tcp.Has(kFin) ? 1 : 0);
  }
  if (packet.source.ip.family == SP_CONNDATA) reset.payload = user_data;
  network_->Send(std::move(reset));
}

// RFC 6528: a clock, plus a number that only the four-tuple decides, so that a new incarnation begins behind the old one. Each
// connection moves the clock on as well, since virtual time may stand still between two.
uint32_t Tcp::InitialSequence(const FourTuple& ends) {
  constexpr uint32_t kApart = 1 << 18;
  const auto clock = static_cast<uint32_t>(scheduler_->Now() / (4 * kMicrosecond));
  return static_cast<uint32_t>(Hash(ends, secret_)) + clock + kApart * opened_++;
}

// Three bits say which of these the peer's segments are not smaller than, the others that nobody else could have made it up.
constexpr uint16_t kCookieSegments[] = {0, 536, 1000, 1220, 1440, 1460, 8960, 65'000};
constexpr uint32_t kCookieBits = 7;

uint32_t Tcp::Cookie(const FourTuple& ends, uint32_t sequence, uint16_t segment, int age) const {
  const auto epoch = static_cast<uint64_t>(scheduler_->Now() / kCookieAge - age);
  uint32_t index = kCookieBits;
  while (kCookieSegments[index] > segment) --index;
  const uint64_t hash = Mix(Hash(ends, secret_ + epoch) + sequence + (uint64_t{index} << 32));
  return (static_cast<uint32_t>(hash) & ~kCookieBits) | index;
}

std::optional<uint16_t> Tcp::ReadCookie(uint32_t cookie, const FourTuple& ends, uint32_t sequence) const {
  const uint16_t segment = kCookieSegments[cookie & kCookieBits];
  for (const int age : {0, 1}) {
    if (Cookie(ends, sequence, segment, age) == cookie) return segment != 0 ? segment : uint16_t{536};
  }
  return std::nullopt;
}

}  // namespace sockproof::reference
