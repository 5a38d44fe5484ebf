// A socket of the reference provider: what all kinds have in common. Kinds: StreamSocket (TCP and the protocol with connect
// data), DatagramSocket (UDP), LocalSocket (AF_UNIX).
//
// Calls return an enum sp_error. They block where the socket is blocking, through Await. Arguments have been checked for what no
// kind of socket need know (pointers, the handle) before they get here; lengths of addresses are looked at by the kind.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "reference/address.h"
#include "reference/connect_data.h"
#include "reference/event_object.h"
#include "reference/file.h"
#include "reference/options.h"
#include "reference/packet.h"
#include "reference/scheduler.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

class Stack;
class Socket;

// What a transfer is asked for and what came of it, with the buffers already laid out as one.
struct SendRequest {
  std::vector<uint8_t> bytes;  // up to the first buffer that cannot be read
  bool faults = false;         // there was one
  uint32_t flags = 0;          // enum sp_message_flags
  std::optional<AddressArgument> to;
  std::vector<Hold> handles;  // SCM_RIGHTS
  bool nonblocking = false;   // of the handle or the flag
  std::size_t taken = 0;      // out
};
struct RecvRequest {
  std::size_t room = 0;  // up to the first buffer that cannot be written
  bool faults = false;
  uint32_t flags = 0;
  bool nonblocking = false;
  bool wants_handles = false;   // ancillary data has a place to go
  std::vector<uint8_t> bytes;   // out
  std::size_t full_length = 0;  // out: of the datagram, before it was cut; a stream: of `bytes`
  uint32_t flags_out = 0;
  std::optional<sp_address> from;  // none: the protocol gives none (a connected stream)
  std::vector<Hold> handles;
};
struct AcceptRequest {
  bool nonblocking = false;
  sp_accept_args* args = nullptr;  // condition function and its context
  // Whether there is room for what would be returned, asked once there is something; nothing: it has been asked.
  std::function<int32_t()> room;
  std::shared_ptr<Socket> accepted;  // out
  sp_address peer{};                 // out: of the request that was looked at, whatever became of it
  bool peer_known = false;           // out
};
struct ConnectRequest {
  AddressArgument to;
  bool nonblocking = false;
  ConnectData data;               // that travels with the request
  bool by_events = true;          // FD_CONNECT tells of the end of an attempt that does not wait
  sp_user_data* reply = nullptr;  // where the answer's data go; stays until the attempt is over
};

class Socket : public File {
 public:
  Socket(Stack* stack, int32_t family, int32_t type);

  virtual int32_t Bind(const AddressArgument& address) = 0;
  virtual int32_t Listen(int32_t backlog) = 0;
  virtual int32_t Connect(ConnectRequest* request) = 0;
  virtual int32_t Accept(AcceptRequest* request) = 0;
  virtual int32_t Send(SendRequest* request) = 0;
  virtual int32_t Recv(RecvRequest* request) = 0;
  virtual int32_t Shutdown(int32_t how) = 0;
  virtual int32_t Ioctl(int32_t request, int64_t* value) = 0;
  virtual int32_t LocalName(sp_address* name) const = 0;
  virtual int32_t PeerName(sp_address* name) const = 0;
  virtual bool Listening() const { return false; }
  virtual int32_t TakeError();
  virtual bool CloseWouldBlock() const { return false; }  // in a profile where close says so instead
  virtual bool ConnectFailed() const { return false; }    // one that went on in the background
  // Everything that arrives from the network for it is lost from now on.
  virtual int32_t Silence(bool on);

  // What of the network events is the case. Everybody has data to read and room to write.
  virtual NetworkState NetworkStateNow() const;
  NetworkEvents& events() { return events_; }
  // Ends at once, whatever it was about to do: a connection is reset.
  virtual void CutOff() {}

  // Options as the kind has them; what all kinds have is in options.cpp. SP_ENOPROTOOPT if it has no such option.
  virtual int32_t ReadOption(int32_t option, OptionValue* value) const;
  virtual int32_t WriteOption(int32_t option, const OptionValue& value);

  int32_t family() const { return family_; }
  int32_t type() const { return type_; }
  virtual int32_t protocol() const { return 0; }
  // Over which levels it has options.
  virtual bool HasLevel(OptionLevel level) const = 0;
  // What it says to one that it does not have.
  virtual int32_t MissingLevel() const { return SP_ENOPROTOOPT; }
  bool short_is_fault() const;  // the profile's answer to buffers that are too short
  Options& options() { return options_; }
  const Options& options() const { return options_; }

  // Waits until `ready`, or as long as `limit` says (nanoseconds, negative for ever; then `late`), or until the handle was
  // closed in a profile where that ends calls. Nothing is waited for if `nonblocking`: then it is SP_EAGAIN at once.
  int32_t Await(const std::function<bool()>& ready, bool nonblocking, int64_t limit, int32_t late, const char* what) const;
  int64_t ReceiveLimit() const { return options_.Limit(SP_SO_RCVTIMEO); }
  int64_t SendLimit() const { return options_.Limit(SP_SO_SNDTIMEO); }

 protected:
  Stack* stack_;
  int32_t family_, type_;
  Options options_;
  int32_t error_ = SP_OK;  // pending: SO_ERROR
  NetworkEvents events_{this};
};

}  // namespace sockproof::reference
