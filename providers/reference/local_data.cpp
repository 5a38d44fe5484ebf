#include <algorithm>
#include <utility>

#include "reference/local_socket.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

// What a record costs its sender beside its bytes, so that many small ones fill a buffer too.
constexpr std::size_t kRecordOverhead = 768;

}  // namespace

std::size_t LocalSocket::SendRoom() const {
  const auto size = static_cast<std::size_t>(options_.Integer(SP_SO_SNDBUF));
  return size > charged_ ? size - charged_ : 0;
}

bool LocalSocket::Writable() const { return charged_ * 4 <= static_cast<std::size_t>(options_.Integer(SP_SO_SNDBUF)); }

void LocalSocket::Uncharge(const Message& message, std::size_t bytes) {
  const std::shared_ptr<LocalSocket> sender = message.sender.lock();
  if (sender == nullptr) return;
  const bool before = sender->Writable();
  sender->charged_ -= std::min(bytes, sender->charged_);
  if (!before && sender->Writable()) sender->Tell(SP_OUT | SP_WRNORM | SP_WRBAND);
}

void LocalSocket::Post(const std::shared_ptr<LocalSocket>& to, Message message) {
  charged_ += message.charge;
  to->received_.push_back(std::move(message));
  to->Tell(SP_IN | SP_RDNORM);
}

// As many datagrams as one listener may have waiting; two that are connected to each other do not count theirs.
bool LocalSocket::RecordsFull(const LocalSocket& from) const {
  if (peer_.get() == &from) return false;
  return static_cast<int64_t>(received_.size()) > stack_->KnobValue(SP_KNOB_UNIX_BACKLOG_MAX);
}

int32_t LocalSocket::BrokenPipe(uint32_t flags) {
  const Profile& profile = stack_->profile();
  if (stream() && profile.pipe_signals && (flags & SP_MSG_NOSIGNAL) == 0) stack_->RaisePipe();
  return profile.send_after_shutdown;
}

int32_t LocalSocket::Send(SendRequest* request) { return stream() ? SendStream(request) : SendRecord(request); }

int32_t LocalSocket::SendStream(SendRequest* request) {
  if ((request->flags & SP_MSG_OOB) != 0) return SP_EOPNOTSUPP;
  if (request->to.has_value() && !stack_->profile().local_ignores_destination)
    return state_ == State::kEstablished ? SP_EISCONN : SP_EOPNOTSUPP;
  if (peer_ == nullptr) return SP_ENOTCONN;
  if (write_shut_) return BrokenPipe(request->flags);
  const int64_t limit = SendLimit();
  const int64_t end = limit < 0 ? kNever : stack_->scheduler().Now() + limit;
  const auto broken = [this] { return write_shut_ || peer_ == nullptr || peer_->dead_ || peer_->read_shut_; };
  while (request->taken < request->bytes.size()) {
    if (broken()) return request->taken > 0 ? SP_OK : BrokenPipe(request->flags);
    const std::size_t part = std::min(SendRoom(), request->bytes.size() - request->taken);
    if (part > 0) {
      Message message;
      const auto from = request->bytes.begin() + static_cast<std::ptrdiff_t>(request->taken);
      message.bytes.assign(from, from + static_cast<std::ptrdiff_t>(part));
      message.handles = std::exchange(request->handles, {});
      message.from = name_;
      message.sender = std::static_pointer_cast<LocalSocket>(shared_from_this());
      message.charge = part;
      request->taken += part;
      Post(peer_, std::move(message));
      continue;
    }
    const auto room = [&] { return broken() || Writable(); };
    const int64_t left = end == kNever ? -1 : std::max<int64_t>(end - stack_->scheduler().Now(), 0);
    const int32_t error = Await(room, request->nonblocking, left, stack_->profile().send_timeout, "send, until there is room");
    if (error != SP_OK) return request->taken > 0 ? SP_OK : error;
  }
  return request->taken == 0 && request->faults ? SP_EFAULT : SP_OK;
}

int32_t LocalSocket::SendRecord(SendRequest* request) {
  if (type_ == SP_SEQPACKET) {
    if (error_ != SP_OK) return TakeError();
    if (state_ != State::kEstablished) return SP_ENOTCONN;
  }
  if ((request->flags & SP_MSG_OOB) != 0) return SP_EOPNOTSUPP;
  std::shared_ptr<LocalSocket> other = peer_;
  const bool addressed = request->to.has_value() && type_ == SP_DATAGRAM;
  if (addressed) {
    if (const int32_t error = CheckAddress(*request->to); error != SP_OK) return error;
  } else if (other == nullptr) {
    return SP_ENOTCONN;
  }
  const auto size = static_cast<std::size_t>(options_.Integer(SP_SO_SNDBUF));
  if (request->bytes.size() + stack_->profile().record_margin > size) return SP_EMSGSIZE;
  const int64_t limit = SendLimit();
  const int64_t end = limit < 0 ? kNever : stack_->scheduler().Now() + limit;
  for (;;) {
    if (error_ != SP_OK) return TakeError();
    if (write_shut_) return BrokenPipe(request->flags);
    if (request->faults) return SP_EFAULT;
    if (addressed) {
      if (const int32_t error = Find(*request->to, &other); error != SP_OK) return error;
    }
    if (type_ == SP_DATAGRAM) {
      if (other->peer_ != nullptr && other->peer_.get() != this) return SP_EPERM;
      if (other->dead_) {
        if (peer_ == other) peer_ = nullptr;
        return SP_ECONNREFUSED;
      }
    }
    if (other->read_shut_) return BrokenPipe(request->flags);
    const std::size_t charge = request->bytes.size() + kRecordOverhead;
    const auto fits = [&] { return charged_ < size && (charged_ == 0 || charged_ + charge <= size); };
    const auto full = [&] { return type_ == SP_DATAGRAM && other.get() != this && other->RecordsFull(*this); };
    if (fits() && !full()) {
      Message message;
      message.bytes = request->bytes;
      message.handles = std::exchange(request->handles, {});
      message.from = name_;
      message.sender = std::static_pointer_cast<LocalSocket>(shared_from_this());
      message.charge = charge;
      request->taken = request->bytes.size();
      Post(other, std::move(message));
      return SP_OK;
    }
    const auto again = [&] { return (fits() && !full()) || write_shut_ || error_ != SP_OK || other->dead_ || other->read_shut_; };
    const int64_t left = end == kNever ? -1 : std::max<int64_t>(end - stack_->scheduler().Now(), 0);
    const int32_t error = Await(again, request->nonblocking, left, stack_->profile().send_timeout, "send, until there is room");
    if (error != SP_OK) return error;
  }
}

int32_t LocalSocket::Recv(RecvRequest* request) { return stream() ? RecvStream(request) : RecvRecord(request); }

int32_t LocalSocket::RecvStream(RecvRequest* request) {
  if ((request->flags & SP_MSG_OOB) != 0) return SP_EOPNOTSUPP;
  if (state_ != State::kEstablished) return stack_->profile().local_unconnected;
  if (read_shut_by_us_ && stack_->profile().recv_after_shutdown != SP_OK) return stack_->profile().recv_after_shutdown;
  const bool peek = (request->flags & SP_MSG_PEEK) != 0;
  const bool whole = (request->flags & SP_MSG_WAITALL) != 0;
  const auto least = static_cast<std::size_t>(std::max<int64_t>(options_.Integer(SP_SO_RCVLOWAT), 1));
  const std::size_t target = std::max<std::size_t>(whole ? request->room : std::min(least, request->room), 1);
  const int64_t limit = ReceiveLimit();
  const int64_t end = limit < 0 ? kNever : stack_->scheduler().Now() + limit;
  std::size_t looked_at = 0;  // messages that a peek has been through
  for (;;) {
    bool stop = false;
    while (!stop && request->bytes.size() < request->room && received_.size() > (peek ? looked_at : 0)) {
      Message& message = received_[peek ? looked_at : 0];
      if (!message.from.empty()) request->from = ToAddress(message.from);
      const std::size_t part = std::min(request->room - request->bytes.size(), message.left());
      const auto from = message.bytes.begin() + static_cast<std::ptrdiff_t>(message.at);
      request->bytes.insert(request->bytes.end(), from, from + static_cast<std::ptrdiff_t>(part));
      // A receive ends with the message that carries handles.
      stop = !message.handles.empty();
      if (peek) {
        request->handles.insert(request->handles.end(), message.handles.begin(), message.handles.end());
        ++looked_at;
        continue;
      }
      for (Hold& hold : std::exchange(message.handles, {})) request->handles.push_back(std::move(hold));
      message.at += part;
      Uncharge(message, part);
      if (message.left() == 0) received_.pop_front();
    }
    request->full_length = request->bytes.size();
    if (stop || request->bytes.size() >= target || (request->room == 0 && !received_.empty())) break;
    if (error_ != SP_OK) return request->bytes.empty() ? TakeError() : SP_OK;
    if (read_shut_) break;
    const auto more = [&] { return received_.size() > (peek ? looked_at : 0) || read_shut_ || error_ != SP_OK; };
    const int64_t left = end == kNever ? -1 : std::max<int64_t>(end - stack_->scheduler().Now(), 0);
    const int32_t error = Await(more, request->nonblocking, left, stack_->profile().receive_timeout, "recv");
    if (error != SP_OK) return request->bytes.empty() ? error : SP_OK;
  }
  return request->bytes.empty() && request->faults && !received_.empty() ? SP_EFAULT : SP_OK;
}

int32_t LocalSocket::RecvRecord(RecvRequest* request) {
  if ((request->flags & SP_MSG_OOB) != 0) return SP_EOPNOTSUPP;
  if (type_ == SP_SEQPACKET && state_ != State::kEstablished) return SP_ENOTCONN;
  const auto something = [this] { return !received_.empty() || error_ != SP_OK || read_shut_; };
  const int32_t waited = Await(something, request->nonblocking, ReceiveLimit(), stack_->profile().receive_timeout, "recv");
  if (waited != SP_OK) return waited;
  if (error_ != SP_OK) return TakeError();
  if (received_.empty()) return request->nonblocking && type_ == SP_DATAGRAM ? SP_EAGAIN : SP_OK;
  const bool peek = (request->flags & SP_MSG_PEEK) != 0;
  const std::shared_ptr<LocalSocket> self = std::static_pointer_cast<LocalSocket>(shared_from_this());
  Message message = received_.front();
  if (!peek) {
    received_.pop_front();
    Uncharge(message, message.charge);
    const std::shared_ptr<LocalSocket> sender = message.sender.lock();
    if (sender != nullptr && type_ == SP_DATAGRAM) sender->Tell(SP_OUT | SP_WRNORM | SP_WRBAND);
  }
  request->full_length = message.bytes.size();
  if (!message.from.empty()) request->from = ToAddress(message.from);
  request->handles = std::move(message.handles);
  if (message.bytes.size() > request->room) {
    if (request->faults) return SP_EFAULT;
    message.bytes.resize(request->room);
    request->flags_out |= SP_MSG_TRUNC;
  }
  request->bytes = std::move(message.bytes);
  return SP_OK;
}

}  // namespace sockproof::reference
