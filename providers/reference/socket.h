// A socket of the reference provider: what all kinds have in common. Handles (handle_table.h) refer to it; the last one that
// goes closes it. Kinds: StreamSocket (TCP and the protocol with connect data), DatagramSocket (UDP), LocalSocket (AF_UNIX).
//
// Calls return an enum sp_error. They block where the socket is blocking, through Stack::Block. Arguments have been checked for
// what no kind of socket need know (pointers, address lengths, the handle) before they get here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "reference/packet.h"
#include "reference/scheduler.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

class Stack;
class Socket;

// What a transfer is asked for and what came of it, with the buffers already laid out as one.
struct SendRequest {
  std::vector<uint8_t> bytes;
  uint32_t flags = 0;               // enum sp_message_flags
  const sp_address* to = nullptr;
  std::vector<std::shared_ptr<Socket>> handles;  // SCM_RIGHTS
  bool nonblocking = false;         // of the handle or the flag
  std::size_t taken = 0;            // out
};
struct RecvRequest {
  std::size_t room = 0;
  uint32_t flags = 0;
  bool nonblocking = false;
  std::vector<uint8_t> bytes;       // out; datagrams: the whole one as far as it fits
  std::size_t full_length = 0;      // out: of the datagram, before it was cut
  uint32_t flags_out = 0;
  bool has_from = false;
  sp_address from{};
  std::vector<std::shared_ptr<Socket>> handles;
};
struct AcceptRequest {
  bool nonblocking = false;
  const sp_accept_args* args = nullptr;  // condition function and its context
  std::shared_ptr<Socket> accepted;      // out
  bool has_peer = false;                 // out: as accept reports it (some profiles: after a rejection too)
  sp_address peer{};
};

// Who is told when something about a socket changes: watchers with edges, event objects. `fresh` are enum sp_events bits that
// came anew (data arrived, though there was some already).
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void Changed(Socket* socket, uint32_t fresh) = 0;
};

class Socket : public std::enable_shared_from_this<Socket> {
 public:
  Socket(Stack* stack, int32_t family, int32_t type) : stack_(stack), family_(family), type_(type) {}
  virtual ~Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  virtual int32_t Bind(const sp_address& address) = 0;
  virtual int32_t Listen(int32_t backlog) = 0;
  virtual int32_t Connect(const sp_address& address, bool nonblocking, sp_connect_args* args) = 0;
  virtual int32_t Accept(AcceptRequest* request) = 0;
  virtual int32_t Send(SendRequest* request) = 0;
  virtual int32_t Recv(RecvRequest* request) = 0;
  virtual int32_t Shutdown(int32_t how) = 0;
  // Of the last handle. A stream that lingers blocks here. The handle is gone whatever comes back.
  virtual int32_t Close(bool nonblocking) = 0;
  virtual int32_t GetOption(sp_option_args* args) = 0;
  virtual int32_t SetOption(const sp_option_args& args) = 0;
  virtual int32_t Ioctl(sp_ioctl_args* args, int64_t* value) = 0;
  virtual int32_t LocalName(sp_address* name) const = 0;
  virtual int32_t PeerName(sp_address* name) const = 0;
  // What poll would say, all of it: enum sp_events (IN OUT PRI ERR HUP RDHUP RDNORM RDBAND WRNORM WRBAND).
  virtual uint32_t Ready() const = 0;

  int32_t family() const { return family_; }
  int32_t type() const { return type_; }
  bool nonblocking() const { return nonblocking_; }
  void SetNonblocking(bool on) { nonblocking_ = on; }

  void AddObserver(Observer* observer);
  void RemoveObserver(Observer* observer);

 protected:
  void Tell(uint32_t fresh);  // every observer

  Stack* stack_;
  int32_t family_, type_;
  bool nonblocking_ = false;
  std::vector<Observer*> observers_;
};

}  // namespace sockproof::reference
