#include <limits>
#include <utility>

#include "reference/address.h"
#include "reference/condition.h"
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
  // "the listen backlog ... has no effect" (SO_CONDITIONAL_ACCEPT, Remarks): the stack queues nothing by itself then.
  const bool conditional = options_.On(SP_SO_CONDITIONAL_ACCEPT);
  listener_->SetConditional(conditional || family_ == SP_CONNDATA);
  const std::size_t most = profile.backlog.Capacity(backlog, stack_->KnobValue(SP_KNOB_BACKLOG_MAX));
  listener_->SetCapacity(conditional ? std::numeric_limits<std::size_t>::max() : most, profile.drops_excess);
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
  // From within the condition function: "the service provider is still processing a callback function" (WSAAccept, Return value).
  if (asking_ && *asking_ == stack_->scheduler().Current()) return SP_EINPROGRESS;
  const auto something = [this] { return listener_ == nullptr || (listener_->Head() != nullptr && !asking_); };
  const Profile& profile = stack_->profile();
  const int64_t limit = profile.receive_limit_on_accept ? ReceiveLimit() : -1;
  const int32_t error = Await(something, request->nonblocking, limit, profile.receive_timeout, "accept");
  if (error != SP_OK) return error;
  if (listener_ == nullptr) return SP_EINVAL;
  if (request->room != nullptr) {
    if (const int32_t full = request->room(); full != SP_OK) return full;
  }
  std::shared_ptr<TcpConnection> connection;
  if (const int32_t refused = Decide(request, &connection); refused != SP_OK) return refused;
  const std::shared_ptr<StreamSocket> accepted = NewAccepted(std::move(connection));
  // One that was answered only now is complete when its client has heard of it.
  const auto settled = [&accepted] { return !accepted->Handshaking(); };
  if (!request->nonblocking && !settled()) {
    const int32_t late = Await(settled, false, -1, SP_EAGAIN, "accept, until the handshake is complete");
    if (late != SP_OK) return late;
    if (!accepted->Connected()) return SP_ECONNRESET;
  }
  request->accepted = accepted;
  return SP_OK;
}

// A request whose client has gone is told of once, in profiles that do: it had a connection, or had only asked for one.
int32_t StreamSocket::CheckHead() {
  const int32_t withdrawn = stack_->profile().accept_reset;
  if (withdrawn == SP_OK || !listener_->Head()->withdrawn) return SP_OK;
  const bool was_connected = listener_->Head()->connection != nullptr;
  listener_->Drop();
  deferred_.reset();
  return was_connected ? withdrawn : static_cast<int32_t>(SP_EACCES);
}

// What becomes of the first request: the connection, or the error that accept ends with.
// Windows Sockets 2, WSAAccept function (winsock2.h), Remarks and Return value; LPWSPACCEPT, the same.
int32_t StreamSocket::Decide(AcceptRequest* request, std::shared_ptr<TcpConnection>* connection) {
  const TcpListener::Request head = *listener_->Head();
  if (const int32_t gone = CheckHead(); gone != SP_OK) return gone;
  ConditionAnswer answer;
  const sp_accept_args* args = request->args;
  if (args != nullptr && args->condition_kind != SP_POINTER_VALID) return SP_EFAULT;
  if (args != nullptr && args->condition != nullptr) {
    asking_ = stack_->scheduler().Current();
    answer = AskCondition(head, family_, *args);
    asking_.reset();
    // The function may have made other calls: the listener may be closed, and the client may have given up.
    if (listener_ == nullptr || cancelled) return stack_->profile().closed_while_waiting;
    if (listener_->Head() == nullptr || listener_->Head()->ends != head.ends) return SP_EACCES;
    if (const int32_t gone = CheckHead(); gone != SP_OK) return gone;
  }
  request->peer = ToAddress(head.ends.remote, family_);
  request->peer_known = true;
  switch (answer.verdict) {
    case SP_CONDITION_ACCEPT:
      if (!answer.group_is_valid) return SP_EINVAL;
      deferred_.reset();
      *connection = listener_->Accept(answer.payload);
      return SP_OK;
    case SP_CONDITION_REJECT:
      deferred_.reset();
      options_at_arrival_.erase(head.ends);
      listener_->Reject(answer.payload);
      return SP_ECONNREFUSED;
    case SP_CONDITION_DEFER:
      deferred_ = head.ends;
      return SP_TRY_AGAIN;
    default:
      return SP_EINVAL;
  }
}

std::shared_ptr<StreamSocket> StreamSocket::NewAccepted(std::shared_ptr<TcpConnection> connection) {
  auto socket = std::make_shared<StreamSocket>(stack_, family_);
  const auto found = options_at_arrival_.find(connection->ends());
  socket->options_.InheritFrom(found != options_at_arrival_.end() ? found->second : options_, stack_->profile().inherited);
  if (found != options_at_arrival_.end()) options_at_arrival_.erase(found);
  socket->nonblocking = stack_->profile().inherits_nonblocking && nonblocking;
  socket->BecomeAccepted(std::move(connection));
  socket->events_.InheritFrom(events_);
  return socket;
}

void StreamSocket::BecomeAccepted(std::shared_ptr<TcpConnection> connection) {
  state_ = State::kConnected;
  accepted_ = true;
  Adopt(std::move(connection));
  port_named_ = true;  // its listener's
  address_named_ = true;
  binding_ = NewBinding();
  binding_->remote = connection_->ends().remote;
  stack_->ports().Join(binding_);
  connection_->settings() = Settings();
  connection_->SettingsChanged();
}

}  // namespace sockproof::reference
