#include "reference/datagram_socket.h"

#include <algorithm>
#include <utility>

#include "reference/address.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

constexpr std::size_t kOverhead = 256;  // what a datagram costs its receiver beside its bytes
constexpr std::size_t kIpHeader = 20, kUdpHeader = 8;

}  // namespace

DatagramSocket::DatagramSocket(Stack* stack, int32_t family) : Socket(stack, family, SP_DATAGRAM) {
  local_.ip = AnyOf(family);
  stack_->datagrams().push_back(this);
}

DatagramSocket::~DatagramSocket() { Released(); }

void DatagramSocket::Released() {
  auto& all = stack_->datagrams();
  all.erase(std::remove(all.begin(), all.end(), this), all.end());
  binding_.reset();
}

bool DatagramSocket::HasLevel(OptionLevel level) const {
  return level == OptionLevel::kSocket || level == OptionLevel::kIp || (level == OptionLevel::kIpv6 && family_ == SP_INET6);
}

int32_t DatagramSocket::CheckLocal(const sp_address& address) const {
  const Endpoint wanted = ToEndpoint(address);
  if (IsMapped(address) && options_.On(SP_IPV6_V6ONLY)) return SP_EINVAL;
  if (IsAny(wanted.ip) || options_.On(SP_IP_FREEBIND) || options_.On(SP_IP_TRANSPARENT)) return SP_OK;
  if (IsLinkLocal(wanted.ip)) return address.scope == 0 ? SP_EINVAL : address.scope == 1 ? SP_EADDRNOTAVAIL : SP_ENODEV;
  if (IsMulticast(wanted.ip) || IsBroadcast(wanted.ip)) return SP_OK;
  return stack_->network().IsLocal(wanted.ip) ? SP_OK : SP_EADDRNOTAVAIL;
}

int32_t DatagramSocket::Bind(const AddressArgument& argument) {
  if (const int32_t error = stack_->CheckAddress(argument, family_, true); error != SP_OK) return error;
  sp_address address = argument.address;
  if (address.family == SP_UNSPEC) address.family = family_;
  if (const int32_t error = CheckLocal(address); error != SP_OK) return error;
  if (binding_ != nullptr) return SP_EINVAL;
  auto binding = std::make_shared<Binding>();
  binding->protocol = Protocol::kUdp;
  binding->local = ToEndpoint(address);
  binding->own_family_only = binding->local.ip.family != SP_INET6 || options_.On(SP_IPV6_V6ONLY);
  binding->reuse_address = options_.On(SP_SO_REUSEADDR);
  binding->reuse_port = options_.On(SP_SO_REUSEPORT);
  binding->exclusive = options_.On(SP_SO_EXCLUSIVEADDRUSE);
  port_named_ = binding->local.port != 0;
  address_named_ = !IsAny(binding->local.ip);
  if (const int32_t error = stack_->ports().Bind(binding); error != SP_OK) return error;
  binding_ = std::move(binding);
  local_ = binding_->local;
  return SP_OK;
}

int32_t DatagramSocket::AutoBind() {
  if (binding_ != nullptr) return SP_OK;
  AddressArgument any{NoAddress(family_), kInet6Length};
  return Bind(any);
}

int32_t DatagramSocket::Listen(int32_t) { return stack_->profile().listen_wrong_type; }
int32_t DatagramSocket::Accept(AcceptRequest*) { return SP_EOPNOTSUPP; }

int32_t DatagramSocket::Reach(const sp_address& to, Endpoint* remote) const {
  *remote = ToEndpoint(to);
  if (IsMapped(to) && options_.On(SP_IPV6_V6ONLY)) return SP_ENETUNREACH;
  if (IsAny(remote->ip)) remote->ip = LoopbackOf(remote->ip.family);
  if (IsBroadcast(remote->ip) && !options_.On(SP_SO_BROADCAST)) return SP_EACCES;
  if (IsMulticast(remote->ip) || IsBroadcast(remote->ip)) return SP_OK;
  if (IsLinkLocal(remote->ip) && to.scope == 0) return SP_EINVAL;
  if (stack_->network().RouteTo(remote->ip) == Network::Route::kUnreachable) return SP_ENETUNREACH;
  if (!IsAny(local_.ip) && local_.ip.family != remote->ip.family) return SP_ENETUNREACH;
  return SP_OK;
}

int32_t DatagramSocket::Connect(ConnectRequest* request) {
  const AddressArgument& to = request->to;
  const bool zeros = stack_->profile().zeros_dissolve && to.address.family == family_ && to.length >= kInetLength &&
                     IsAny(ToEndpoint(to.address).ip);
  if (zeros || (to.address.family == SP_UNSPEC && to.length >= kPathOffset)) {
    peer_.reset();
    dissolved_ = zeros;
    if (!address_named_) local_.ip = AnyOf(family_);
    if (!port_named_) {
      local_.port = 0;
      binding_.reset();
    }
    return SP_OK;
  }
  if (const int32_t error = stack_->CheckAddress(to, family_, false); error != SP_OK) return error;
  Endpoint remote;
  if (const int32_t error = Reach(to.address, &remote); error != SP_OK) return error;
  if (remote.port == 0 && stack_->profile().port_zero != SP_OK) return stack_->profile().port_zero;
  if (const int32_t error = AutoBind(); error != SP_OK) return error;
  if (IsAny(local_.ip)) local_.ip = stack_->network().SourceFor(remote.ip);
  if (peer_.has_value() && stack_->profile().new_peer_discards) {
    received_.clear();
    queued_ = 0;
  }
  dissolved_ = false;
  peer_ = remote;
  return SP_OK;
}

int32_t DatagramSocket::Send(SendRequest* request) {
  constexpr std::size_t kMost = 65535 - kIpHeader - kUdpHeader;
  if (request->bytes.size() > kMost) return SP_EMSGSIZE;
  if ((request->flags & SP_MSG_OOB) != 0) return SP_EOPNOTSUPP;
  Endpoint remote;
  if (request->to.has_value()) {
    if (request->to->address.family == SP_UNSPEC && family_ == SP_INET) request->to->address.family = SP_INET;
    if (const int32_t error = stack_->CheckAddress(*request->to, family_, false); error != SP_OK) return error;
    if (request->to->address.port == 0) return SP_EINVAL;
    if (const int32_t error = Reach(request->to->address, &remote); error != SP_OK) return error;
  } else if (peer_.has_value()) {
    remote = *peer_;
  } else {
    return stack_->profile().datagram_nowhere;
  }
  if (const int32_t error = AutoBind(); error != SP_OK) return error;
  if (error_ != SP_OK) return TakeError();
  if (write_shut_) return stack_->profile().send_after_shutdown;
  if (request->faults) return SP_EFAULT;
  Packet packet;
  packet.protocol = Protocol::kUdp;
  packet.source = {IsAny(local_.ip) || local_.ip.family != remote.ip.family ? stack_->network().SourceFor(remote.ip) : local_.ip,
                   local_.port};
  packet.destination = remote;
  packet.ttl = static_cast<uint8_t>(options_.Integer(SP_IP_TTL));
  packet.payload = request->bytes;
  request->taken = request->bytes.size();
  stack_->network().Send(std::move(packet));
  return SP_OK;
}

int32_t DatagramSocket::Recv(RecvRequest* request) {
  if ((request->flags & SP_MSG_OOB) != 0) return SP_EOPNOTSUPP;
  const Profile& profile = stack_->profile();
  if (read_shut_ && profile.recv_after_shutdown != SP_OK) return profile.recv_after_shutdown;
  if (dissolved_) return SP_ENOTCONN;
  if (binding_ == nullptr && profile.receive_unbound != SP_OK) return profile.receive_unbound;
  const auto something = [this] { return !received_.empty() || error_ != SP_OK; };
  const auto waiting_ends = [&] { return something() || read_shut_; };
  if (request->nonblocking && !something()) return SP_EAGAIN;
  const int32_t error = Await(waiting_ends, false, ReceiveLimit(), profile.receive_timeout, "recv");
  if (error != SP_OK) return error;
  if (error_ != SP_OK) return TakeError();
  if (received_.empty()) return SP_OK;  // shut down
  Datagram datagram = received_.front();
  if ((request->flags & SP_MSG_PEEK) == 0) {
    queued_ -= datagram.bytes.size() + kOverhead;
    received_.pop_front();
  }
  request->full_length = datagram.bytes.size();
  request->from = ToAddress(datagram.from, family_);
  if (datagram.bytes.size() > request->room) {
    if (request->faults) return SP_EFAULT;
    datagram.bytes.resize(request->room);
    request->flags_out |= SP_MSG_TRUNC;
  }
  request->bytes = std::move(datagram.bytes);
  return (request->flags_out & SP_MSG_TRUNC) != 0 ? profile.datagram_too_long : SP_OK;
}

int32_t DatagramSocket::Shutdown(int32_t how) {
  if (how != SP_SHUT_RD && how != SP_SHUT_WR && how != SP_SHUT_RDWR) return SP_EINVAL;
  read_shut_ = read_shut_ || how != SP_SHUT_WR;
  write_shut_ = write_shut_ || how != SP_SHUT_RD;
  Tell(SP_IN | SP_OUT | SP_RDHUP | SP_HUP);
  return peer_.has_value() || stack_->profile().datagram_shutdown_unconnected ? SP_OK : SP_ENOTCONN;
}

int32_t DatagramSocket::Ioctl(int32_t request, int64_t* value) {
  switch (request) {
    case SP_IOCTL_READABLE:
      *value = received_.empty() ? 0 : static_cast<int64_t>(received_.front().bytes.size());
      return SP_OK;
    case SP_IOCTL_UNSENT:
      *value = 0;
      return SP_OK;
    default:
      return SP_ENOTTY;
  }
}

int32_t DatagramSocket::LocalName(sp_address* name) const {
  if (binding_ == nullptr) {
    if (const int32_t error = stack_->profile().name_unbound; error != SP_OK) return error;
  }
  *name = IsAny(local_.ip) ? ToAddress({AnyOf(family_), local_.port}, family_) : ToAddress(local_, family_);
  return SP_OK;
}

int32_t DatagramSocket::PeerName(sp_address* name) const {
  if (!peer_.has_value()) return SP_ENOTCONN;
  *name = ToAddress(*peer_, family_);
  return SP_OK;
}

int32_t DatagramSocket::WriteOption(int32_t option, const OptionValue& value) {
  const bool join = option == SP_IP_ADD_MEMBERSHIP || option == SP_IPV6_ADD_MEMBERSHIP;
  const bool leave = option == SP_IP_DROP_MEMBERSHIP || option == SP_IPV6_DROP_MEMBERSHIP;
  if ((join || leave) && stack_->profile().options.count(option) != 0) {
    const IpAddress group = ToEndpoint(value.address).ip;
    if (!IsMulticast(group)) return SP_EINVAL;
    if (join) return groups_.insert(group).second ? SP_OK : SP_EADDRINUSE;
    return groups_.erase(group) != 0 ? SP_OK : SP_EADDRNOTAVAIL;
  }
  if (option == SP_IPV6_V6ONLY && binding_ != nullptr) return SP_EINVAL;
  const int32_t error = Socket::WriteOption(option, value);
  if (error == SP_OK && binding_ != nullptr) {
    if (option == SP_SO_REUSEADDR) binding_->reuse_address = options_.On(option);
    if (option == SP_SO_REUSEPORT) binding_->reuse_port = options_.On(option);
  }
  return error;
}

int32_t DatagramSocket::Silence(bool on) {
  silenced_ = on;
  return SP_OK;
}

uint32_t DatagramSocket::Ready() const {
  uint32_t events = SP_OUT | SP_WRNORM | SP_WRBAND;
  if (error_ != SP_OK) events |= SP_ERR;
  if (read_shut_) events |= SP_IN | SP_RDNORM | SP_RDHUP;
  if (read_shut_ && write_shut_) events |= SP_HUP;
  if (!received_.empty()) events |= SP_IN | SP_RDNORM;
  return events;
}

int DatagramSocket::Fits(const Packet& packet) const {
  if (binding_ == nullptr || local_.port != packet.destination.port) return 0;
  int score = 1;
  if (!IsAny(local_.ip)) {
    if (local_.ip != packet.destination.ip) return 0;
    score += 4;
  } else if (binding_->local.ip.family != packet.destination.ip.family) {
    if (binding_->own_family_only) return 0;
  } else {
    ++score;
  }
  if (peer_.has_value()) {
    if (*peer_ != packet.source) return 0;
    score += 8;
  }
  return score;
}

bool DatagramSocket::Takes(const Packet& packet) const {
  const IpAddress& to = packet.destination.ip;
  if (binding_ == nullptr || local_.port != packet.destination.port) return false;
  if (!IsAny(binding_->local.ip) && binding_->local.ip != to) return false;
  if (peer_.has_value() && *peer_ != packet.source) return false;
  return IsBroadcast(to) || groups_.count(to) != 0;
}

void DatagramSocket::Arrive(const Packet& packet) {
  const std::size_t cost = packet.payload.size() + kOverhead;
  if (silenced_ || queued_ + cost > static_cast<std::size_t>(options_.Integer(SP_SO_RCVBUF))) return;
  queued_ += cost;
  received_.push_back({packet.source, packet.payload});
  Tell(SP_IN | SP_RDNORM);
}

bool DatagramSocket::Sent(const Endpoint& source, const Endpoint& destination) const {
  if (binding_ == nullptr || local_.port != source.port || silenced_) return false;
  if (!IsAny(local_.ip) && local_.ip != source.ip) return false;
  if (peer_.has_value()) return *peer_ == destination;
  return options_.On(SP_IP_RECVERR) || options_.On(SP_IPV6_RECVERR);
}

void DatagramSocket::Unreachable(int32_t error) {
  error_ = error;
  Tell(SP_ERR);
}

void ReceiveDatagram(Stack* stack, const Packet& packet) {
  const std::vector<DatagramSocket*> all = stack->datagrams();
  const bool many = IsMulticast(packet.destination.ip) || IsBroadcast(packet.destination.ip);
  if (many) {
    for (DatagramSocket* socket : all) {
      if (socket->Takes(packet)) socket->Arrive(packet);
    }
    return;
  }
  int best = 0;
  std::vector<DatagramSocket*> fitting;
  for (DatagramSocket* socket : all) {
    const int score = socket->Fits(packet);
    if (score == 0 || score < best) continue;
    if (score > best) fitting.clear();
    best = score;
    fitting.push_back(socket);
  }
  if (fitting.empty()) {
    Packet answer;
    answer.protocol = Protocol::kIcmp;
    answer.source = {packet.destination.ip, 0};
    answer.destination = {packet.source.ip, 0};
    answer.icmp = {IcmpHeader::Reason::kPort, Protocol::kUdp, packet.source, packet.destination, 0};
    stack->network().Send(std::move(answer));
    return;
  }
  // Those that share an address share what comes: always the same one for one sender (SO_REUSEPORT).
  fitting[(packet.source.port * 2654435761u >> 16) % fitting.size()]->Arrive(packet);
}

void ReceiveUnreachable(Stack* stack, const Packet& packet) {
  if (packet.icmp.protocol != Protocol::kUdp) return;
  const int32_t error = packet.icmp.reason == IcmpHeader::Reason::kPort   ? stack->profile().datagram_refused
                        : packet.icmp.reason == IcmpHeader::Reason::kHost ? SP_EHOSTUNREACH
                                                                          : SP_ENETUNREACH;
  const std::vector<DatagramSocket*> all = stack->datagrams();
  for (DatagramSocket* socket : all) {
    if (socket->Sent(packet.icmp.source, packet.icmp.destination)) socket->Unreachable(error);
  }
}

}  // namespace sockproof::reference
