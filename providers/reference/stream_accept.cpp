#include <utility>

#include "reference/address.h"
#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {

int32_t StreamSocket::Listen(int32_t backlog) {
  const Profile& profile = stack_->profile();
  if (listener_ == nullptr) {
    if (state_ != State::kUnconnected || TcpState() != SP_TCP_CLOSED) return profile.listen_connected;
    if (binding_ == nullptr) {
      if (profile.listen_unbound != SP_OK) return profile.listen_unbound;
      if (const int32_t error = AutoBind(); error != SP_OK) return error;
    }
    // Sharing may have been asked for since: it is what the options say now that counts.
    binding_->reuse_address = options_.On(SP_SO_REUSEADDR);
    binding_->listening = true;
    if (const int32_t error = stack_->ports().Conflict(*binding_); error != SP_OK) {
      binding_->listening = false;
      return error;
    }
    Abandon();
    listener_ = stack_->tcp().Listen(local_, binding_->own_family_only, Settings());
    listener_->abort_on_overflow = stack_->KnobValue(SP_KNOB_ABORT_ON_OVERFLOW) != 0;
    listener_->arrived = [this] {
      NoteArrivals();
      Tell(SP_IN | SP_RDNORM);
    };
    read_shut_ = write_shut_ = false;
    FollowSilence();
  } else if (profile.backlog_is_fixed) {
    return SP_OK;
  }
  listener_->SetCapacity(profile.backlog.Capacity(backlog, stack_->KnobValue(SP_KNOB_BACKLOG_MAX)), profile.drops_excess);
  return SP_OK;
}

void StreamSocket::StopListening() {
  const std::shared_ptr<TcpListener> listener = std::exchange(listener_, nullptr);
  listener->arrived = nullptr;
  stack_->tcp().StopListening(listener);
  if (binding_ != nullptr) binding_->listening = false;
  options_at_arrival_.clear();
  FollowSilence();
}

void StreamSocket::NoteArrivals() {
  if (const TcpListener::Request* request = listener_->Newest(); request != nullptr) {
    options_at_arrival_.insert_or_assign(request->ends, options_);
  }
}

int32_t StreamSocket::Accept(AcceptRequest* request) {
  if (listener_ == nullptr) return SP_EINVAL;
  const auto something = [this] { return listener_ == nullptr || listener_->Head() != nullptr; };
  const Profile& profile = stack_->profile();
  const int64_t limit = profile.receive_limit_on_accept ? ReceiveLimit() : -1;
  const int32_t error = Await(something, request->nonblocking, limit, profile.receive_timeout, "accept");
  if (error != SP_OK) return error;
  if (listener_ == nullptr) return SP_EINVAL;
  if (request->room != nullptr) {
    if (const int32_t full = request->room(); full != SP_OK) return full;
  }
  if (profile.accept_reset != SP_OK && listener_->Head()->withdrawn) {
    listener_->Drop();
    return profile.accept_reset;
  }
  const std::shared_ptr<StreamSocket> accepted = NewAccepted(listener_->Accept());
  request->accepted = accepted;
  request->peer = ToAddress(accepted->connection_->ends().remote, family_);
  return SP_OK;
}

std::shared_ptr<StreamSocket> StreamSocket::NewAccepted(std::shared_ptr<TcpConnection> connection) {
  auto socket = std::make_shared<StreamSocket>(stack_, family_);
  const auto found = options_at_arrival_.find(connection->ends());
  socket->options_.InheritFrom(found != options_at_arrival_.end() ? found->second : options_, stack_->profile().inherited);
  if (found != options_at_arrival_.end()) options_at_arrival_.erase(found);
  socket->nonblocking = stack_->profile().inherits_nonblocking && nonblocking;
  socket->state_ = State::kConnected;
  socket->Adopt(std::move(connection));
  socket->port_named_ = true;  // its listener's
  socket->address_named_ = true;
  socket->binding_ = socket->NewBinding();
  socket->binding_->remote = socket->connection_->ends().remote;
  stack_->ports().Join(socket->binding_);
  socket->connection_->settings() = socket->Settings();
  socket->connection_->SettingsChanged();
  return socket;
}

}  // namespace sockproof::reference
