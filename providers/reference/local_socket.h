// AF_UNIX sockets: streams, sequenced packets and datagrams inside this host. Nothing of them ever is on the network; what one
// end sends lies in the other's queue, and is charged to the sender until it is taken.
//
//   local_calls.cpp     bind, listen, connect, accept, shutdown, close, names, readiness
//   local_data.cpp      send and receive
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "reference/socket.h"

namespace sockproof::reference {

class LocalSocket final : public Socket {
 public:
  LocalSocket(Stack* stack, int32_t type) : Socket(stack, SP_UNIX, type) {}
  ~LocalSocket() override;

  static void Pair(const std::shared_ptr<LocalSocket>& one, const std::shared_ptr<LocalSocket>& two);

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
  bool Listening() const override { return state_ == State::kListening; }
  bool HasLevel(OptionLevel level) const override { return level == OptionLevel::kSocket; }
  int32_t MissingLevel() const override;
  uint32_t Ready() const override;
  const char* Kind() const override { return "AF_UNIX socket"; }
  void Released() override;

 private:
  enum class State { kClosed, kEstablished, kListening };
  // A record; of a stream, what one send added.
  struct Message {
    std::vector<uint8_t> bytes;
    std::size_t at = 0;  // of a stream: how far it has been read
    std::vector<Hold> handles;
    std::string from;  // the sender's name
    std::weak_ptr<LocalSocket> sender;
    std::size_t charge = 0;
    std::size_t left() const { return bytes.size() - at; }
  };

  // ---- local_calls.cpp
  bool stream() const { return type_ == SP_STREAM; }
  bool connected_kind() const { return type_ != SP_DATAGRAM; }
  int32_t CheckAddress(const AddressArgument& address) const;
  static std::string NameIn(const AddressArgument& address);
  static sp_address ToAddress(const std::string& name);
  int32_t Find(const AddressArgument& address, std::shared_ptr<LocalSocket>* other) const;
  int32_t ConnectStream(ConnectRequest* request);
  int32_t ConnectDatagram(ConnectRequest* request);
  bool QueueFull() const;
  void Refuse();
  void LosePeer(bool reset);

  // ---- local_data.cpp
  std::size_t SendRoom() const;
  bool Writable() const;
  int32_t SendStream(SendRequest* request);
  int32_t SendRecord(SendRequest* request);
  int32_t RecvStream(RecvRequest* request);
  int32_t RecvRecord(RecvRequest* request);
  int32_t BrokenPipe(uint32_t flags);
  void Post(const std::shared_ptr<LocalSocket>& to, Message message);
  void Uncharge(const Message& message, std::size_t bytes);
  bool RecordsFull(const LocalSocket& from) const;

  State state_ = State::kClosed;
  std::string name_;
  bool dead_ = false;
  bool read_shut_ = false, write_shut_ = false;
  bool read_shut_by_us_ = false;       // not by the peer's end
  std::shared_ptr<LocalSocket> peer_;  // stays when that one is closed: it is only dead then
  std::deque<Message> received_;
  std::size_t charged_ = 0;  // of what it sent and nobody has taken
  // Listening:
  std::deque<std::shared_ptr<LocalSocket>> pending_;
  std::size_t capacity_ = 0;
};

}  // namespace sockproof::reference
