// What travels with a connect besides the request: user data both ways, and quality of service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "face/buffer.h"
#include "face/socket.h"

namespace sockproof {

// Room for the data that comes back. Of a non-blocking connect it comes when that ends, so this must live as long.
class CalleeData {
 public:
  // `room` is what the provider is told; `kind`: of the pointer to the memory.
  explicit CalleeData(uint32_t room, int32_t kind = SP_POINTER_VALID) : buffer_(room), room_(room), kind_(kind) {}
  CalleeData(const CalleeData&) = delete;
  CalleeData& operator=(const CalleeData&) = delete;

  // How much came back as the provider says now; the room itself, if it has not said anything yet.
  uint32_t length() const { return call_.u.connect.callee_data.length; }
  // What came back. Nothing may be written behind it.
  std::string Bytes() const;

 private:
  friend class Socket;
  void Offer(sp_user_data* data);

  GuardedBuffer buffer_;
  uint32_t room_;
  int32_t kind_;
  sp_call call_{};  // the provider writes into it when the attempt ends
};

struct ConnectOptions {
  std::optional<std::string> caller_data;  // without a value: NULL
  CalleeData* callee_data = nullptr;       // NULL
  std::optional<sp_qos> qos;               // without a value: NULL
  bool group_qos = false;                  // pass what is reserved
};

struct ConnectResult : Result {
  using Result::Result;
};

}  // namespace sockproof
