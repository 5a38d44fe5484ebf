// A stream socket over TCP. What the connection does is tcp/'s; here is what socket calls make of it.
//
//   stream_calls.cpp    bind, connect, shutdown, close, names, readiness
//   stream_accept.cpp   listen and accept
//   stream_events.cpp   network events
//   stream_overlapped.cpp  what AcceptEx, ConnectEx and DisconnectEx need
//   stream_data.cpp     send and receive
//   stream_options.cpp  options
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "reference/ports.h"
#include "reference/socket.h"
#include "reference/tcp/tcp.h"

namespace sockproof::reference {

class StreamSocket final : public Socket {
 public:
  StreamSocket(Stack* stack, int32_t family);
  ~StreamSocket() override;

  int32_t Bind(const AddressArgument& address) override;
  int32_t Listen(int32_t backlog) override;
  int32_t Connect(ConnectRequest* request) override;
  int32_t Accept(AcceptRequest* request) override;
  int32_t Send(SendRequest* request) override;
  int32_t Recv(RecvRequest* request) override;
  int32_t Shutdown(int32_t how) override;
  int32_t Ioctl(int32_t request, int64_t* value) override;
  int32_t LocalName(sp_address* name) const override;
  int32_t PeerName(sp_address* name) const override;
  bool Listening() const override { return listener_ != nullptr; }
  int32_t TakeError() override;
  int32_t Silence(bool on) override;
  int32_t ReadOption(int32_t option, OptionValue* value) const override;
  int32_t WriteOption(int32_t option, const OptionValue& value) override;
  int32_t protocol() const override { return 6; }
  bool HasLevel(OptionLevel level) const override;
  uint32_t Ready() const override;
  const char* Kind() const override { return "stream socket"; }
  void Released() override;
  bool CloseWouldBlock() const override;
  bool ConnectFailed() const override;
  NetworkState NetworkStateNow() const override;
  void CutOff() override;

  // ---- stream_overlapped.cpp
  bool Fresh() const;  // neither bound nor connected nor listening, nor given to an AcceptEx
  void Engage(bool on) { engaged_ = on; }
  bool Handshaking() const;
  bool Connected() const;
  sp_address OwnEnd() const;  // of the connection
  sp_address OtherEnd() const;
  // The first request of this listener becomes the connection of `on`. SP_EAGAIN if there is none, SP_ECONNRESET if its client
  // has gone.
  int32_t TakeOverlapped(StreamSocket* on);
  int32_t CheckConnectOverlapped();  // whether ConnectEx may begin, as far as the socket itself decides
  int32_t ConnectOutcome();          // of the attempt that was begun; SP_EAGAIN while it is under way
  void GiveUp();                     // resets the connection, and has none
  void EndSending();
  // Whether both directions have ended. `quite`: and nothing of the connection is left either.
  bool Disconnected(bool quite);
  void BecomeFresh();  // as it was before it was accepted, or connected

 private:
  // As the caller sees it: a connect that completed is only known of once somebody asked.
  enum class State { kUnconnected, kConnecting, kConnected };

  // ---- stream_calls.cpp
  sp_tcp_state TcpState() const;  // TIME-WAIT is none of the socket's any more: CLOSED
  int32_t PendingError() const;
  int32_t CheckLocal(const sp_address& address) const;
  int32_t Dissolve();
  int32_t BeginConnect(const ConnectRequest& request);
  int32_t FinishConnect(bool nonblocking, int32_t waiting);
  void Adopt(std::shared_ptr<TcpConnection> connection);
  void Abandon();  // the connection, whose port stays taken until TCP has done with it
  void OnChange(uint32_t change);
  void DeliverReply();
  std::shared_ptr<Binding> NewBinding() const;
  int32_t AutoBind();
  void StopListening();
  void FollowSilence();
  bool ReadingEnded() const;
  bool WritingEnded() const;
  bool Writable() const;

  // ---- stream_accept.cpp
  std::shared_ptr<StreamSocket> NewAccepted(std::shared_ptr<TcpConnection> connection);
  void BecomeAccepted(std::shared_ptr<TcpConnection> connection);
  int32_t CheckHead();
  int32_t Decide(AcceptRequest* request, std::shared_ptr<TcpConnection>* connection);
  void NoteArrivals();

  // ---- stream_data.cpp
  int32_t ReadyToSend(bool nonblocking, int64_t end);
  int32_t BrokenPipe(uint32_t flags);
  int32_t RecvUrgent(RecvRequest* request);
  int64_t Left(int64_t end) const;
  int64_t EndOf(int64_t limit) const;

  // ---- stream_options.cpp
  TcpSettings Settings() const;
  int64_t ConnectTime() const;
  int32_t UpdateAcceptContext(int64_t listener);
  int32_t UpdateConnectContext();

  State state_ = State::kUnconnected;
  std::shared_ptr<Binding> binding_;
  Endpoint local_;                                   // the name, which outlives the binding
  bool port_named_ = false, address_named_ = false;  // by the caller of bind
  std::shared_ptr<TcpConnection> connection_;
  std::shared_ptr<TcpListener> listener_;
  bool read_shut_ = false, write_shut_ = false;
  int32_t ended_by_ = SP_OK;  // the error that ended an established connection, for profiles where it stays
  bool silenced_ = false;
  // What an accepted socket is to have is what its listener had when the connection was made.
  std::map<FourTuple, Options> options_at_arrival_;
  const void* silenced_as_ = nullptr;
  // The thread in which a condition function is being asked about the first request, and the one that was deferred.
  std::optional<int64_t> asking_;
  std::optional<FourTuple> deferred_;
  sp_user_data* reply_ = nullptr;  // where the connect data of the answer go
  // For the network events: a connect that did not wait has been begun, what came of it, and what ended the connection.
  bool attempted_ = false;
  int32_t connect_error_ = SP_OK, close_error_ = SP_OK;
  // ---- Overlapped operations
  bool engaged_ = false;        // given to an AcceptEx
  bool accepted_ = false;       // has its address from a listener
  bool lacks_context_ = false;  // SO_UPDATE_ACCEPT_CONTEXT, SO_UPDATE_CONNECT_CONTEXT
  std::weak_ptr<File> origin_;  // the listener that it was accepted on with AcceptEx
};

}  // namespace sockproof::reference
