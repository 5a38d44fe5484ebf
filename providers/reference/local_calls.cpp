#include <algorithm>
#include <cstring>
#include <utility>

#include "reference/local_socket.h"
#include "reference/stack.h"

namespace sockproof::reference {

int32_t LocalSocket::MissingLevel() const { return stack_->profile().local_wrong_level; }

LocalSocket::~LocalSocket() { stack_->names().Forget(this); }

void LocalSocket::Pair(const std::shared_ptr<LocalSocket>& one, const std::shared_ptr<LocalSocket>& two) {
  one->peer_ = two;
  two->peer_ = one;
  if (one->connected_kind()) one->state_ = two->state_ = State::kEstablished;
}

int32_t LocalSocket::CheckAddress(const AddressArgument& argument) const {
  const Profile& profile = stack_->profile();
  if (argument.length < kPathOffset || argument.length > kUnixLength) {
    return profile.address_lengths_are_faults ? SP_EFAULT : SP_EINVAL;
  }
  return argument.address.family == SP_UNIX ? static_cast<int32_t>(SP_OK) : profile.local_wrong_family;
}

// A path ends at its first NUL; an abstract name is as long as the address says.
std::string LocalSocket::NameIn(const AddressArgument& argument) {
  const std::size_t length = static_cast<std::size_t>(std::max(argument.length - kPathOffset, 0));
  std::string name(argument.address.path,
                   argument.address.path + std::min<std::size_t>(argument.address.path_length, SP_PATH_MAX));
  name.resize(length, '\0');
  if (!name.empty() && name.front() != '\0') name = name.c_str();
  return name;
}

sp_address LocalSocket::ToAddress(const std::string& name) {
  sp_address address = NoAddress(SP_UNIX);
  address.path_length = static_cast<uint16_t>(name.size());
  std::memcpy(address.path, name.data(), name.size());
  return address;
}

int32_t LocalSocket::Find(const AddressArgument& argument, std::shared_ptr<LocalSocket>* other) const {
  if (argument.length == kPathOffset) {  // only bind takes no name
    return stack_->profile().address_lengths_are_faults ? SP_EFAULT : SP_EINVAL;
  }
  LocalSocket* found = nullptr;
  if (const int32_t error = stack_->names().Find(NameIn(argument), &found); error != SP_OK) return error;
  if (found->type_ != type_) return SP_EPROTOTYPE;
  *other = std::static_pointer_cast<LocalSocket>(found->shared_from_this());
  return SP_OK;
}

int32_t LocalSocket::Bind(const AddressArgument& argument) {
  if (const int32_t error = CheckAddress(argument); error != SP_OK) {
    return error == SP_EAFNOSUPPORT ? stack_->profile().wrong_family_bind : error;
  }
  if (!name_.empty()) return SP_EINVAL;
  const std::string name = NameIn(argument);
  const bool abstract = name.empty() || name.front() == '\0';
  if (abstract && stack_->profile().capabilities.count(SP_CAP_ABSTRACT_NAMES) == 0) return SP_EINVAL;
  if (name.empty()) {
    name_ = stack_->names().BindAny(this, stack_->scheduler().Random());
    return SP_OK;
  }
  const int32_t error = stack_->names().Bind(name, this);
  if (error == SP_OK) name_ = name;
  return error;
}

int32_t LocalSocket::Listen(int32_t backlog) {
  if (!connected_kind()) return SP_EOPNOTSUPP;
  if (state_ == State::kEstablished) return stack_->profile().listen_connected;
  if (name_.empty()) return stack_->profile().listen_unbound_local;
  const bool again = Listening();
  if (again && stack_->profile().backlog_is_fixed) return SP_OK;
  capacity_ = stack_->profile().backlog.Capacity(backlog, stack_->KnobValue(SP_KNOB_BACKLOG_MAX));
  state_ = State::kListening;
  while (again && stack_->profile().drops_excess && pending_.size() > capacity_) {
    const std::shared_ptr<LocalSocket> newest = std::move(pending_.back());
    pending_.pop_back();
    newest->Refuse();
  }
  return SP_OK;
}

// Of a connection that nobody has accepted: its client is told.
void LocalSocket::Refuse() {
  dead_ = true;
  LosePeer(true);
  received_.clear();
  peer_ = nullptr;
}

bool LocalSocket::QueueFull() const { return pending_.size() >= capacity_; }

int32_t LocalSocket::Connect(ConnectRequest* request) {
  return connected_kind() ? ConnectStream(request) : ConnectDatagram(request);
}

int32_t LocalSocket::ConnectStream(ConnectRequest* request) {
  if (const int32_t error = CheckAddress(request->to); error != SP_OK) return error;
  const int64_t limit = SendLimit();
  const int64_t end = limit < 0 ? kNever : stack_->scheduler().Now() + limit;
  for (;;) {
    std::shared_ptr<LocalSocket> other;
    if (const int32_t error = Find(request->to, &other); error != SP_OK) return error;
    if (other->state_ != State::kListening || other->read_shut_ || other->dead_) return SP_ECONNREFUSED;
    if (state_ == State::kEstablished) return SP_EISCONN;
    if (state_ == State::kListening) return SP_EINVAL;
    if (!other->QueueFull()) {
      auto accepted = std::make_shared<LocalSocket>(stack_, type_);
      accepted->name_ = other->name_;
      Pair(std::static_pointer_cast<LocalSocket>(shared_from_this()), accepted);
      other->pending_.push_back(std::move(accepted));
      other->Tell(SP_IN | SP_RDNORM);
      Tell(SP_OUT | SP_WRNORM);
      return SP_OK;
    }
    const auto again = [&] {
      return !other->QueueFull() || other->state_ != State::kListening || other->read_shut_ || other->dead_ ||
             state_ != State::kClosed;
    };
    const int64_t left = end == kNever ? -1 : std::max<int64_t>(end - stack_->scheduler().Now(), 0);
    if (request->nonblocking || !stack_->profile().local_connect_waits) return stack_->profile().local_full;
    if (const int32_t error = Await(again, false, left, SP_EAGAIN, "connect, at a full queue"); error != SP_OK) return error;
  }
}

int32_t LocalSocket::ConnectDatagram(ConnectRequest* request) {
  if (request->to.address.family == SP_UNSPEC && request->to.length >= kPathOffset) {
    LosePeer(false);
    peer_ = nullptr;
    return SP_OK;
  }
  if (const int32_t error = CheckAddress(request->to); error != SP_OK) return error;
  std::shared_ptr<LocalSocket> other;
  if (const int32_t error = Find(request->to, &other); error != SP_OK) return error;
  if (other->dead_) return SP_ECONNREFUSED;
  if (other->peer_ != nullptr && other->peer_.get() != this) return SP_EPERM;
  if (peer_ != nullptr && peer_ != other) LosePeer(false);
  peer_ = std::move(other);
  return SP_OK;
}

int32_t LocalSocket::Accept(AcceptRequest* request) {
  if (!connected_kind()) return SP_EOPNOTSUPP;
  if (state_ != State::kListening) return SP_EINVAL;
  if (request->nonblocking && pending_.empty()) return SP_EAGAIN;
  const auto something = [this] { return !pending_.empty() || read_shut_ || state_ != State::kListening; };
  const int64_t limit = stack_->profile().receive_limit_on_accept ? ReceiveLimit() : -1;
  const int32_t error = Await(something, request->nonblocking, limit, stack_->profile().receive_timeout, "accept");
  if (error != SP_OK) return error;
  if (request->room != nullptr) {
    if (const int32_t full = request->room(); full != SP_OK) return full;
  }
  if (pending_.empty()) return SP_EINVAL;
  std::shared_ptr<LocalSocket> accepted = std::move(pending_.front());
  pending_.pop_front();
  accepted->nonblocking = stack_->profile().inherits_nonblocking && nonblocking;
  accepted->options_.InheritFrom(options_, stack_->profile().inherited_locally);
  request->peer = ToAddress(accepted->peer_->name_);
  request->accepted = std::move(accepted);
  return SP_OK;
}

int32_t LocalSocket::Shutdown(int32_t how) {
  if (how != SP_SHUT_RD && how != SP_SHUT_WR && how != SP_SHUT_RDWR) return SP_EINVAL;
  const bool reading = how != SP_SHUT_WR, writing = how != SP_SHUT_RD;
  read_shut_ = read_shut_ || reading;
  read_shut_by_us_ = read_shut_by_us_ || reading;
  write_shut_ = write_shut_ || writing;
  Tell(SP_IN | SP_OUT | SP_RDHUP | SP_HUP);
  if (connected_kind() && peer_ != nullptr) {
    peer_->read_shut_ = peer_->read_shut_ || writing;
    peer_->write_shut_ = peer_->write_shut_ || reading;
    const std::shared_ptr<LocalSocket> peer = peer_;
    peer->Tell(SP_IN | SP_OUT | SP_RDHUP | SP_HUP);
  }
  return peer_ != nullptr || Listening() ? static_cast<int32_t>(SP_OK) : stack_->profile().local_shutdown_unconnected;
}

// This end is gone for the peer.
void LocalSocket::LosePeer(bool reset) {
  const std::shared_ptr<LocalSocket> peer = peer_;
  if (peer == nullptr) return;
  if (connected_kind()) {
    peer->read_shut_ = peer->write_shut_ = true;
    if (reset) peer->error_ = SP_ECONNRESET;
    peer->Tell(SP_IN | SP_OUT | SP_RDHUP | SP_HUP | SP_ERR);
  } else if (!received_.empty()) {
    // A datagram socket that turns to another peer has nothing more to do with what the old one sent.
    for (const Message& message : received_) Uncharge(message, message.charge);
    received_.clear();
    if (peer->peer_.get() == this) {
      peer->error_ = SP_ECONNRESET;
      peer->Tell(SP_ERR);
    }
  }
}

void LocalSocket::Released() {
  dead_ = true;
  stack_->names().Forget(this);
  const std::deque<std::shared_ptr<LocalSocket>> pending = std::move(pending_);
  pending_.clear();
  for (const std::shared_ptr<LocalSocket>& embryo : pending) embryo->Refuse();
  if (connected_kind()) LosePeer(!received_.empty());
  const std::deque<Message> unread = std::move(received_);
  received_.clear();
  for (const Message& message : unread) Uncharge(message, message.charge);
  peer_ = nullptr;
}

int32_t LocalSocket::LocalName(sp_address* name) const {
  *name = ToAddress(name_);
  return SP_OK;
}

int32_t LocalSocket::PeerName(sp_address* name) const {
  if (peer_ == nullptr) return SP_ENOTCONN;
  *name = ToAddress(peer_->name_);
  return SP_OK;
}

uint32_t LocalSocket::Ready() const {
  if (state_ == State::kListening) {
    uint32_t events = pending_.empty() ? 0 : SP_IN | SP_RDNORM;
    if (read_shut_) events |= SP_IN | SP_RDNORM | SP_RDHUP;
    if (read_shut_ && write_shut_) events |= SP_HUP;
    return events;
  }
  uint32_t events = 0;
  if (error_ != SP_OK) events |= SP_ERR;
  if (read_shut_ && write_shut_) events |= SP_HUP;
  if (read_shut_) events |= SP_IN | SP_RDNORM | SP_RDHUP;
  if (!received_.empty()) events |= SP_IN | SP_RDNORM;
  if (connected_kind() && state_ == State::kClosed) events |= SP_HUP;
  const bool peer_full = !connected_kind() && peer_ != nullptr && peer_->RecordsFull(*this);
  if (Writable() && !peer_full) events |= SP_OUT | SP_WRNORM | SP_WRBAND;
  return events;
}

int32_t LocalSocket::Ioctl(int32_t request, int64_t* value) {
  switch (request) {
    case SP_IOCTL_READABLE:
      if (state_ == State::kListening) return SP_EINVAL;
      *value = 0;
      for (const Message& message : received_) {
        *value += static_cast<int64_t>(message.left());
        if (!connected_kind()) break;
      }
      return SP_OK;
    case SP_IOCTL_UNSENT:
      *value = static_cast<int64_t>(charged_);
      return SP_OK;
    case SP_IOCTL_AT_MARK:
      return SP_ENOTTY;
    default:
      return SP_ENOTTY;
  }
}

}  // namespace sockproof::reference
