#include <algorithm>
#include <utility>

#include "reference/address.h"
#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {

StreamSocket::StreamSocket(Stack* stack, int32_t family) : Socket(stack, family, SP_STREAM) { local_.ip = AnyOf(family); }

StreamSocket::~StreamSocket() {
  if (connection_ != nullptr) connection_->changed = nullptr;
  if (listener_ != nullptr) listener_->arrived = nullptr;
  if (silenced_as_ != nullptr) stack_->silenced().erase(silenced_as_);
}

sp_tcp_state StreamSocket::TcpState() const {
  if (listener_ != nullptr) return SP_TCP_LISTEN;
  if (connection_ == nullptr || connection_->state() == SP_TCP_TIME_WAIT) return SP_TCP_CLOSED;
  return connection_->state();
}

bool StreamSocket::Handshaking() const {
  const sp_tcp_state state = TcpState();
  return state == SP_TCP_SYN_SENT || state == SP_TCP_SYN_RECEIVED;
}

int32_t StreamSocket::PendingError() const { return error_ != SP_OK || connection_ == nullptr ? error_ : connection_->error(); }

int32_t StreamSocket::TakeError() {
  if (error_ != SP_OK || connection_ == nullptr) return std::exchange(error_, static_cast<int32_t>(SP_OK));
  const int32_t error = connection_->TakeError();
  if (error != SP_OK && connection_->Established() && stack_->profile().reset_stays) ended_by_ = error;
  return error;
}

bool StreamSocket::ReadingEnded() const {
  return read_shut_ || (connection_ != nullptr && (connection_->PeerFinished() || TcpState() == SP_TCP_CLOSED));
}

bool StreamSocket::WritingEnded() const {
  return write_shut_ || (connection_ != nullptr && (connection_->WriteShut() || TcpState() == SP_TCP_CLOSED));
}

// A third of the buffer: who waits for room is not to be woken for every segment (Linux: sk_stream_is_writeable).
bool StreamSocket::Writable() const {
  return connection_ == nullptr || connection_->Room() * 3 >= connection_->settings().send_buffer;
}

uint32_t StreamSocket::Ready() const {
  if (listener_ != nullptr) return listener_->Head() != nullptr ? SP_IN | SP_RDNORM : 0;
  uint32_t events = 0;
  const bool reading_ended = ReadingEnded(), writing_ended = WritingEnded();
  const sp_tcp_state state = TcpState();
  if ((reading_ended && writing_ended) || state == SP_TCP_CLOSED) events |= SP_HUP;
  if (reading_ended) events |= SP_IN | SP_RDNORM | SP_RDHUP;
  if (!Handshaking()) {
    if (connection_ != nullptr) {
      const auto least = static_cast<std::size_t>(std::max<int64_t>(options_.Integer(SP_SO_RCVLOWAT), 1));
      if (connection_->Readable() >= std::min(least, connection_->settings().receive_buffer)) events |= SP_IN | SP_RDNORM;
      if (connection_->HasUrgent()) events |= SP_PRI;
    }
    if (writing_ended || Writable()) events |= SP_OUT | SP_WRNORM;
  }
  if (PendingError() != SP_OK) events |= SP_ERR;
  return events;
}

void StreamSocket::OnChange(uint32_t change) {
  uint32_t fresh = 0;
  if ((change & TcpConnection::kConnected) != 0) fresh |= SP_OUT | SP_WRNORM;
  if ((change & TcpConnection::kArrived) != 0) fresh |= SP_IN | SP_RDNORM;
  if ((change & TcpConnection::kRoomAgain) != 0) fresh |= SP_OUT | SP_WRNORM;
  if ((change & TcpConnection::kFinished) != 0) fresh |= SP_IN | SP_RDNORM | SP_RDHUP;
  if ((change & TcpConnection::kUrgent) != 0) fresh |= SP_PRI;
  if ((change & TcpConnection::kFailed) != 0) fresh |= SP_IN | SP_OUT | SP_ERR | SP_HUP | SP_RDHUP | SP_RDNORM | SP_WRNORM;
  if ((change & TcpConnection::kGone) != 0) {
    fresh |= SP_HUP | SP_RDHUP | SP_IN | SP_OUT;
    // Nobody insisted on that port, and nothing needs it any more.
    if (!port_named_) binding_.reset();
  }
  const std::shared_ptr<File> self = shared_from_this();
  if ((change & (TcpConnection::kConnected | TcpConnection::kFailed)) != 0) DeliverReply();
  if ((change & TcpConnection::kFailed) != 0) {
    (connection_->Established() ? close_error_ : connect_error_) = PendingError();
  }
  if (fresh != 0 || (change & TcpConnection::kAcknowledged) != 0) Tell(fresh);
}

// What came with the answer to our request, before anybody hears that it has come.
void StreamSocket::DeliverReply() {
  sp_user_data* out = std::exchange(reply_, nullptr);
  if (out == nullptr) return;
  const int32_t error = GiveConnectData(Unpack(connection_->peer_user_data()).bytes, out);
  if (error == SP_OK || !connection_->Established()) return;
  connect_error_ = error_ = error;
  connection_->Abort();
}

void StreamSocket::Adopt(std::shared_ptr<TcpConnection> connection) {
  connection_ = std::move(connection);
  connection_->changed = [this](uint32_t change) { OnChange(change); };
  local_ = connection_->ends().local;
  FollowSilence();
}

void StreamSocket::Abandon() {
  if (connection_ == nullptr) return;
  // The connection may go on without a socket for a while, and its port with it.
  if (connection_->state() == SP_TCP_CLOSED) {
    connection_->changed = nullptr;
  } else {
    connection_->changed = [held = binding_](uint32_t) {};
  }
  connection_.reset();
}

std::shared_ptr<Binding> StreamSocket::NewBinding() const {
  auto binding = std::make_shared<Binding>();
  binding->protocol = Protocol::kTcp;
  binding->local = local_;
  binding->own_family_only = local_.ip.family != SP_INET6 || options_.On(SP_IPV6_V6ONLY);
  binding->reuse_address = options_.On(SP_SO_REUSEADDR);
  binding->reuse_port = options_.On(SP_SO_REUSEPORT);
  binding->exclusive = options_.On(SP_SO_EXCLUSIVEADDRUSE);
  return binding;
}

int32_t StreamSocket::AutoBind() {
  if (binding_ != nullptr) return SP_OK;
  local_.port = 0;
  auto binding = NewBinding();
  if (const int32_t error = stack_->ports().Bind(binding); error != SP_OK) return error;
  binding_ = std::move(binding);
  local_ = binding_->local;
  return SP_OK;
}

int32_t StreamSocket::CheckLocal(const sp_address& address) const {
  const Endpoint wanted = ToEndpoint(address);
  if (IsMapped(address) && options_.On(SP_IPV6_V6ONLY)) return SP_EINVAL;
  if (IsAny(wanted.ip) || options_.On(SP_IP_FREEBIND) || options_.On(SP_IP_TRANSPARENT)) return SP_OK;
  if (IsLinkLocal(wanted.ip)) return address.scope == 0 ? SP_EINVAL : address.scope == 1 ? SP_EADDRNOTAVAIL : SP_ENODEV;
  if (IsMulticast(wanted.ip)) return wanted.ip.family == SP_INET6 ? SP_EINVAL : SP_OK;
  return IsBroadcast(wanted.ip) || stack_->network().IsLocal(wanted.ip) ? SP_OK : SP_EADDRNOTAVAIL;
}

int32_t StreamSocket::Bind(const AddressArgument& argument) {
  if (const int32_t error = stack_->CheckAddress(argument, family_, true); error != SP_OK) return error;
  sp_address address = argument.address;
  if (address.family == SP_UNSPEC) address.family = family_;  // bind's old habit: let through for the wildcard
  const int32_t bad = CheckLocal(address);
  if (TcpState() != SP_TCP_CLOSED || binding_ != nullptr) return bad != SP_OK ? bad : SP_EINVAL;
  if (bad != SP_OK) return bad;
  const Endpoint before = local_;
  local_ = ToEndpoint(address);
  if (local_.port == 0 && options_.On(SP_IP_BIND_ADDRESS_NO_PORT)) {
    address_named_ = !IsAny(local_.ip);  // connect chooses the port, when it knows where to
    return SP_OK;
  }
  auto binding = NewBinding();
  if (const int32_t error = stack_->ports().Bind(binding); error != SP_OK) {
    local_ = before;
    return error;
  }
  port_named_ = local_.port != 0 || stack_->profile().bind_lasts;
  address_named_ = !IsAny(local_.ip);
  binding_ = std::move(binding);
  local_ = binding_->local;
  return SP_OK;
}

int32_t StreamSocket::Dissolve() {
  if (listener_ != nullptr) {
    StopListening();
  } else if (connection_ != nullptr) {
    const bool alive = TcpState() != SP_TCP_CLOSED;
    const std::shared_ptr<TcpConnection> connection = connection_;
    Abandon();
    if (alive) {
      connection->Abort();
      error_ = SP_ECONNRESET;
    }
  }
  if (!port_named_) binding_.reset();
  if (!address_named_) local_.ip = AnyOf(family_);
  read_shut_ = write_shut_ = false;
  state_ = State::kUnconnected;
  Tell(SP_IN | SP_OUT | SP_ERR | SP_HUP);
  return SP_OK;
}

int32_t StreamSocket::Connect(ConnectRequest* request) {
  const AddressArgument& to = request->to;
  if (to.address.family == SP_UNSPEC && stack_->profile().connect_dissolves && to.length >= kPathOffset) return Dissolve();
  if (listener_ != nullptr) return stack_->profile().connect_listening;
  switch (state_) {
    case State::kConnected:
      return SP_EISCONN;
    case State::kConnecting:
      if (!stack_->profile().second_connect_tells && !Handshaking() && TcpState() != SP_TCP_CLOSED) {
        state_ = State::kConnected;
        return SP_EISCONN;
      }
      if (!stack_->profile().second_connect_waits && Handshaking()) return SP_EALREADY;
      return FinishConnect(request->nonblocking, SP_EALREADY);
    case State::kUnconnected:
      break;
  }
  if (TcpState() != SP_TCP_CLOSED) return SP_EISCONN;
  if (const int32_t error = stack_->CheckAddress(to, family_, false); error != SP_OK) return error;
  if (const int32_t error = BeginConnect(*request); error != SP_OK) return error;
  state_ = State::kConnecting;
  attempted_ = request->nonblocking && request->by_events;
  return FinishConnect(request->nonblocking, stack_->profile().connecting);
}

int32_t StreamSocket::BeginConnect(const ConnectRequest& request) {
  const sp_address& to = request.to.address;
  Endpoint remote = ToEndpoint(to);
  Network& network = stack_->network();
  if (IsMapped(to) && options_.On(SP_IPV6_V6ONLY)) return SP_ENETUNREACH;
  if (remote.port == 0 && stack_->profile().port_zero != SP_OK) return stack_->profile().port_zero;
  if (IsMulticast(remote.ip) || IsBroadcast(remote.ip)) return SP_ENETUNREACH;
  if (IsAny(remote.ip)) {
    if (stack_->profile().port_zero != SP_OK) return SP_EADDRNOTAVAIL;
    remote.ip = LoopbackOf(remote.ip.family);
  }
  if (IsLinkLocal(remote.ip) && to.scope == 0) return SP_EINVAL;
  if (network.RouteTo(remote.ip) == Network::Route::kUnreachable) return SP_ENETUNREACH;
  if (!IsAny(local_.ip) && local_.ip.family != remote.ip.family) {
    return remote.ip.family == SP_INET6 ? SP_EINVAL : SP_ENETUNREACH;
  }

  Endpoint local = binding_ != nullptr ? local_ : Endpoint{local_.ip, 0};
  if (IsAny(local.ip)) local.ip = network.SourceFor(remote.ip);
  const auto free = [&](const Endpoint& from) {
    const FourTuple ends{from, remote};
    if (!stack_->tcp().InUse(ends)) return true;
    if (!stack_->tcp().IsTimeWait(ends) || stack_->KnobValue(SP_KNOB_TIME_WAIT_REUSE) == 0) return false;
    stack_->tcp().EndTimeWait(ends);
    return true;
  };
  if (binding_ != nullptr) {
    if (!free(local)) return SP_EADDRNOTAVAIL;
  } else {
    local_ = local;
    auto binding = NewBinding();
    if (const int32_t error = stack_->ports().Connect(binding, free); error != SP_OK) return error;
    binding_ = std::move(binding);
    local = binding_->local;
  }
  if (connection_ != nullptr) {
    Abandon();
    read_shut_ = write_shut_ = false;
  }
  binding_->remote = remote;
  reply_ = request.reply;
  connect_error_ = close_error_ = SP_OK;
  Adopt(stack_->tcp().Connect({local, remote}, Settings(), Pack(request.data)));
  return SP_OK;
}

int32_t StreamSocket::FinishConnect(bool nonblocking, int32_t waiting) {
  const std::shared_ptr<TcpConnection> connection = connection_;
  const auto over = [&] { return connection_ != connection || !Handshaking(); };
  if (nonblocking && !over()) return waiting;
  const int32_t error = Await(over, false, SendLimit(), waiting, "connect");
  if (error != SP_OK) return error;
  if (TcpState() != SP_TCP_CLOSED || (connection_ != nullptr && connection_->Established() && PendingError() == SP_OK)) {
    state_ = State::kConnected;
    return SP_OK;
  }
  const int32_t failed = TakeError();
  Dissolve();
  error_ = SP_OK;
  return failed != SP_OK ? failed : stack_->profile().connect_aborted;
}

int32_t StreamSocket::Shutdown(int32_t how) {
  if (how != SP_SHUT_RD && how != SP_SHUT_WR && how != SP_SHUT_RDWR) return SP_EINVAL;
  if (lacks_context_) return SP_ENOTCONN;
  const bool reading = how != SP_SHUT_WR, writing = how != SP_SHUT_RD;
  const sp_tcp_state state = TcpState();
  if (state_ == State::kConnecting && !Handshaking() && state != SP_TCP_CLOSED) state_ = State::kConnected;
  int32_t error = SP_OK;
  if (state == SP_TCP_LISTEN) {
    if (stack_->profile().listener_shutdown != SP_OK) return stack_->profile().listener_shutdown;
    if (reading) error = Dissolve();
  } else if (state == SP_TCP_SYN_SENT) {
    if (stack_->profile().shutdown_connecting != SP_OK) return stack_->profile().shutdown_connecting;
    error = Dissolve();
  } else {
    if (state == SP_TCP_CLOSED) error = SP_ENOTCONN;
    read_shut_ = read_shut_ || reading;
    write_shut_ = write_shut_ || writing;
    if (connection_ != nullptr && state != SP_TCP_CLOSED) {
      // What waits there can be delivered no more, which the peer must hear.
      const bool loses = stack_->profile().tcp.after_shutdown_read == TcpPolicy::AfterShutdownRead::kReset;
      if (reading && loses && connection_->Readable() > 0) {
        connection_->Abort();
        Tell(SP_IN | SP_OUT | SP_RDHUP | SP_HUP);
        return SP_OK;
      }
      if (reading) connection_->ShutdownRead();
      if (writing) connection_->ShutdownWrite();
    }
  }
  Tell(SP_IN | SP_OUT | SP_RDHUP | SP_HUP);
  return error;
}

void StreamSocket::Released() {
  if (listener_ != nullptr) StopListening();
  if (connection_ != nullptr) {
    const std::shared_ptr<TcpConnection> connection = connection_;
    if (options_.lingers() && options_.linger_time() == 0) {
      connection->Abort();
    } else {
      connection->Close();
    }
    Abandon();
    if (options_.lingers() && options_.linger_time() > 0 && (!nonblocking || stack_->profile().linger_blocks_nonblocking)) {
      const auto sent = [&] {
        const sp_tcp_state state = connection->state();
        return state != SP_TCP_FIN_WAIT_1 && state != SP_TCP_CLOSING && state != SP_TCP_LAST_ACK;
      };
      const int32_t late = stack_->Block(sent, options_.linger_time(), SP_ETIMEDOUT, "close, until everything is sent");
      if (late != SP_OK && stack_->profile().linger_timeout_aborts) connection->Abort();
    }
  }
  binding_.reset();
}

bool StreamSocket::CloseWouldBlock() const {
  return nonblocking && !stack_->profile().linger_blocks_nonblocking && options_.lingers() && options_.linger_time() > 0 &&
         connection_ != nullptr && TcpState() != SP_TCP_CLOSED && connection_->Unsent() > 0;
}

bool StreamSocket::ConnectFailed() const {
  return state_ == State::kConnecting && connection_ != nullptr && TcpState() == SP_TCP_CLOSED && !connection_->Established();
}

int32_t StreamSocket::LocalName(sp_address* name) const {
  if (binding_ == nullptr && local_.port == 0) {
    if (const int32_t error = stack_->profile().name_unbound; error != SP_OK) return error;
  }
  *name = ToAddress(local_, family_);
  if (local_.ip.family == SP_INET && family_ == SP_INET6 && IsAny(local_.ip))
    *name = ToAddress({AnyOf(SP_INET6), local_.port}, SP_INET6);
  return SP_OK;
}

int32_t StreamSocket::PeerName(sp_address* name) const {
  if (connection_ == nullptr || TcpState() == SP_TCP_CLOSED || TcpState() == SP_TCP_SYN_SENT) return SP_ENOTCONN;
  if (lacks_context_) return SP_ENOTCONN;
  *name = ToAddress(connection_->ends().remote, family_);
  return SP_OK;
}

int32_t StreamSocket::Silence(bool on) {
  silenced_ = on;
  FollowSilence();
  return SP_OK;
}

// What is silenced is the connection or listener that the socket has by now.
void StreamSocket::FollowSilence() {
  if (silenced_as_ != nullptr) stack_->silenced().erase(silenced_as_);
  silenced_as_ = nullptr;
  if (!silenced_) return;
  if (listener_ != nullptr) silenced_as_ = listener_.get();
  if (connection_ != nullptr) silenced_as_ = connection_.get();
  if (silenced_as_ != nullptr) stack_->silenced().insert(silenced_as_);
}

int32_t StreamSocket::Ioctl(int32_t request, int64_t* value) {
  switch (request) {
    case SP_IOCTL_READABLE:
      if (listener_ != nullptr) return SP_EINVAL;
      *value = connection_ != nullptr ? static_cast<int64_t>(connection_->BeforeMark()) : 0;
      return SP_OK;
    case SP_IOCTL_UNSENT:
      if (listener_ != nullptr) return SP_EINVAL;
      *value = connection_ != nullptr && !Handshaking() ? static_cast<int64_t>(connection_->Unsent()) : 0;
      return SP_OK;
    case SP_IOCTL_AT_MARK:
      *value = connection_ != nullptr && connection_->AtMark() ? 1 : 0;
      return SP_OK;
    default:
      return SP_ENOTTY;
  }
}

}  // namespace sockproof::reference
