// What AcceptEx, ConnectEx and DisconnectEx ask of a stream socket.
#include <algorithm>
#include <array>
#include <utility>

#include "reference/address.h"
#include "reference/calls.h"
#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {

bool StreamSocket::Fresh() const {
  return listener_ == nullptr && binding_ == nullptr && connection_ == nullptr && !engaged_ && state_ == State::kUnconnected;
}

bool StreamSocket::Connected() const {
  return connection_ != nullptr && connection_->Established() && TcpState() != SP_TCP_CLOSED;
}

sp_address StreamSocket::OwnEnd() const { return ToAddress(connection_->ends().local, family_); }
sp_address StreamSocket::OtherEnd() const { return ToAddress(connection_->ends().remote, family_); }

int32_t StreamSocket::TakeOverlapped(StreamSocket* on) {
  if (asking_ || listener_->Head() == nullptr) return SP_EAGAIN;
  options_at_arrival_.erase(listener_->Head()->ends);
  deferred_.reset();
  if (listener_->Head()->withdrawn) {
    listener_->Drop();
    return SP_ECONNRESET;
  }
  // "does not inherit the properties of the socket associated with sListenSocket until SO_UPDATE_ACCEPT_CONTEXT is set on the
  // socket" (AcceptEx function (mswsock.h), Remarks)
  on->local_ = listener_->Head()->ends.local;
  on->BecomeAccepted(listener_->Accept());
  on->lacks_context_ = true;
  on->origin_ = weak_from_this();
  return SP_OK;
}

int32_t StreamSocket::CheckConnectOverlapped() {
  if (listener_ != nullptr) return SP_EINVAL;
  if (state_ == State::kConnecting && Handshaking()) return SP_EALREADY;
  if (TcpState() != SP_TCP_CLOSED) return SP_EISCONN;
  return binding_ == nullptr || engaged_ ? static_cast<int32_t>(SP_EINVAL) : static_cast<int32_t>(SP_OK);
}

int32_t StreamSocket::ConnectOutcome() {
  const int32_t error = FinishConnect(true, SP_EAGAIN);
  if (error == SP_OK) lacks_context_ = true;
  return error;
}

void StreamSocket::GiveUp() {
  if (connection_ != nullptr) {
    const std::shared_ptr<TcpConnection> connection = connection_;
    Abandon();
    connection->Abort();
  }
  BecomeFresh();
}

void StreamSocket::EndSending() {
  write_shut_ = true;
  connection_->ShutdownWrite();
}

bool StreamSocket::Disconnected(bool quite) {
  if (connection_ == nullptr) return true;
  // Nobody will read what still comes, and the end comes behind it.
  std::array<uint8_t, 4096> unread;
  while (connection_->Read(unread.data(), unread.size()) > 0) {
  }
  const sp_tcp_state state = connection_->state();
  return state == SP_TCP_CLOSED || (!quite && state == SP_TCP_TIME_WAIT);
}

void StreamSocket::BecomeFresh() {
  if (connection_ != nullptr) Abandon();
  // One that was bound stays so, for the next ConnectEx; one that AcceptEx made had its listener's address.
  if (accepted_) {
    binding_.reset();
    local_ = {AnyOf(family_), 0};
    port_named_ = address_named_ = false;
  }
  accepted_ = lacks_context_ = attempted_ = false;
  read_shut_ = write_shut_ = false;
  connect_error_ = close_error_ = error_ = SP_OK;
  reply_ = nullptr;
  state_ = State::kUnconnected;
  FollowSilence();
}

void StreamSocket::CutOff() {
  if (listener_ != nullptr) StopListening();
  if (connection_ != nullptr) connection_->Abort();
  binding_.reset();
}

// SOL_SOCKET Socket Options, SO_CONNECT_TIME: seconds since the connection was made, 0xFFFFFFFF without one.
int64_t StreamSocket::ConnectTime() const {
  constexpr int64_t kNone = 0xffffffff;
  if (!Connected()) return kNone;
  return (stack_->scheduler().Now() - connection_->established_at()) / kSecond;
}

int32_t StreamSocket::UpdateAcceptContext(int64_t handle) {
  Hold file;
  if (const int32_t error = FindFile(stack_, {SP_HANDLE_SOCKET, 0, handle}, &file); error != SP_OK) return error;
  auto* listener = dynamic_cast<StreamSocket*>(file.get());
  if (listener == nullptr || !accepted_ || origin_.lock().get() != listener) return SP_EINVAL;
  options_.InheritFrom(listener->options_, stack_->profile().inherited);
  lacks_context_ = false;
  if (connection_ != nullptr && TcpState() != SP_TCP_CLOSED) {
    connection_->settings() = Settings();
    connection_->SettingsChanged();
  }
  return SP_OK;
}

int32_t StreamSocket::UpdateConnectContext() {
  if (connection_ == nullptr || accepted_) return SP_ENOTCONN;
  lacks_context_ = false;
  return SP_OK;
}

}  // namespace sockproof::reference
