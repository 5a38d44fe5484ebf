// The condition function of accept, as scenarios write it.
//
//     AcceptOptions options;
//     options.condition = [&](ConditionRequest& request) { return SP_CONDITION_REJECT; };
//     AcceptResult refused = listener.Accept(options);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "face/address.h"
#include "face/socket.h"
#include "sockproof/provider.h"

namespace sockproof {

// What the implementation asked: a copy, so that a scenario may keep it. Only Reply and the like reach back to it, and only
// before the function has returned.
class ConditionRequest {
 public:
  std::optional<Address> caller, callee;  // without a value: NULL was passed
  int32_t caller_length = 0;              // as the implementation gave it
  int32_t callee_length = 0;
  std::optional<std::string> caller_data;  // without a value: NULL was passed
  bool takes_callee_data = false;          // data may be given back; false: NULL was passed
  uint32_t callee_room = 0;                // the room for it, as the implementation gave it
  bool callee_storage = false;             // there is memory behind that room
  std::optional<sp_qos> qos;               // what the caller asked for
  bool group_qos = false;                  // something was passed that is reserved
  uint64_t callback_data = 0;
  bool same_thread = false;  // asked in the thread that called accept

  // Data for the caller; cut to the room there is.
  void Reply(const std::string& data);
  void SetQos(const sp_qos& qos);
  void SetGroup(int64_t group);

 private:
  friend class Asked;
  explicit ConditionRequest(sp_condition_request* raw);
  sp_condition_request* raw_;
};

// One accept call's condition function: counts, traces, copies. For Socket::Accept alone.
class Asked {
 public:
  Asked(const AcceptOptions& options, sp_accept_args* args);
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
  int times() const { return times_; }

 private:
  static int32_t Ask(void* context, sp_condition_request* request);
  const AcceptOptions& options_;
  std::thread::id thread_ = std::this_thread::get_id();
  int times_ = 0;
};

}  // namespace sockproof
