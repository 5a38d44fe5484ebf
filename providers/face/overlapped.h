// Overlapped operations: AcceptEx, ConnectEx and DisconnectEx, begun, waited for and cancelled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "face/socket.h"

namespace sockproof {

// One operation that was begun. Given up while it is under way, it is cancelled and waited for.
class Pending {
 public:
  ~Pending();
  Pending(Pending&& other) noexcept;
  Pending& operator=(Pending&& other) noexcept;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  // What beginning it came to: "IO_PENDING", "ok" (done at once), or the error that it was refused with.
  Outcome Began() const;
  bool begun() const;  // false: refused; there is nothing to wait for
  // Whether it has ended, within `limit`; zero only looks.
  bool Done(Nanoseconds limit = Nanoseconds(0));
  // What it came to. One that does not end within `limit` ends the scenario, as does one that was refused.
  Result Wait(Nanoseconds limit = Patience(), Where where = SOCKPROOF_HERE);
  // The same as an outcome: "still_blocked" if it does not end, the error of beginning if it was refused.
  Outcome Settle(Nanoseconds limit = Patience());
  // Asks it to end early. It still has to be waited for.
  Outcome Cancel();

  // Once it has ended well; of an accept.
  NameResult Peer() const;
  NameResult Local() const;
  std::string Data() const;  // the first data

 private:
  friend Pending BeginAccept(Socket&, Socket&, const struct BeginAcceptOptions&);
  friend Pending BeginConnect(Socket&, const Address&, const struct BeginConnectOptions&);
  friend Pending BeginDisconnect(Socket&, const struct DisconnectOptions&);
  struct State;
  explicit Pending(std::unique_ptr<State> state);
  void Begin();
  void GiveUp();
  std::unique_ptr<State> state_;
};

struct BeginAcceptOptions {
  uint32_t first_data = 0;                    // wait for data of at most this many bytes
  int32_t output_kind = SP_POINTER_VALID;     // NULL, INVALID: of the output buffer
  int32_t local_length = SP_NATURAL_LENGTH;   // bytes reserved for the local address
  int32_t remote_length = SP_NATURAL_LENGTH;  // and for the remote one
};
// AcceptEx: `on` becomes the connection.
Pending BeginAccept(Socket& listener, Socket& on, const BeginAcceptOptions& options = {});
// The same with NULL as lpOverlapped, which is wrong: what it is refused with.
Result AcceptWithoutOverlapped(Socket& listener, Socket& on);

struct BeginConnectOptions {
  std::string first_data;  // sent with the connection
};
// ConnectEx.
Pending BeginConnect(Socket& socket, const Address& address, const BeginConnectOptions& options = {});
Result ConnectWithoutOverlapped(Socket& socket, const Address& address);

struct DisconnectOptions {
  bool reuse = false;        // TF_REUSE_SOCKET
  uint32_t reserved = 0;     // must be 0
  uint32_t extra_flags = 0;  // what is no flag
};
// DisconnectEx, overlapped and as the blocking call that it also is.
Pending BeginDisconnect(Socket& socket, const DisconnectOptions& options = {});
Result Disconnect(Socket& socket, const DisconnectOptions& options = {});

}  // namespace sockproof
