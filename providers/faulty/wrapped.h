// The provider behind a fault, as faults use it: the call itself, calls of their own beside it, and what they want to remember.
// Everything may be entered from several threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "faulty/fault.h"

namespace sockproof::faulty {

// What is known of a handle from the calls that went by.
struct Known {
  int32_t family = SP_UNSPEC;
  int32_t type = 0;
  bool nonblocking = false;
  bool listening = false;
  int32_t backlog = 0;
  bool connecting = false;          // a connect was begun and has not been seen to end
  bool connected = false;           // by connect, accept or socketpair
  bool accepted = false;            // by accept
  int64_t listener = -1;            // accepted: on which
  uint64_t sent = 0, received = 0;  // bytes
  int64_t watcher_mechanism = -1;   // a watcher's: enum sp_mechanism
};

// A key for what a fault remembers of no handle in particular.
constexpr int64_t kWorld = -1;

class Wrapped {
 public:
  Wrapped(const Fault* fault, const sp_provider& table, void* self);

  // ---- The call as it should be
  void Pass(sp_call* call, sp_result* result);

  // ---- Calls beside it, straight to the provider
  sp_result Do(uint32_t op, sp_handle handle, sp_call* call);  // `call` zeroed but for its u; op and handle are filled in
  sp_result Close(sp_handle handle);
  sp_result Shutdown(sp_handle handle, int32_t how);
  sp_result Accept(sp_handle handle, uint32_t modes = 0);
  sp_result Recv(sp_handle handle, void* data, uint64_t length, uint32_t flags);
  sp_result Send(sp_handle handle, const void* data, uint64_t length, uint32_t flags);
  sp_result SetInteger(sp_handle handle, int32_t option, int64_t value);
  std::optional<int64_t> GetInteger(sp_handle handle, int32_t option);
  sp_result SetLinger(sp_handle handle, bool on, int32_t seconds);
  std::optional<int64_t> GetDuration(sp_handle handle, int32_t option);  // nanoseconds
  sp_result SetDuration(sp_handle handle, int32_t option, int64_t nanoseconds);
  sp_result SetNonblocking(sp_handle handle, bool on);
  bool IsNonblocking(sp_handle handle);
  std::optional<sp_address> LocalName(sp_handle handle);
  std::optional<sp_address> PeerName(sp_handle handle);
  // What poll (or the first mechanism that the provider has) says within `timeout`; negative: no limit.
  uint32_t Ready(sp_handle handle, uint32_t events, int64_t timeout_ns);
  // Lets time go by: the provider's own where it has a clock, the host's otherwise.
  void Pause(int64_t nanoseconds);
  int64_t Now();

  // ---- What went by
  Known Of(sp_handle handle);
  bool IsStream(sp_handle handle) { return Of(handle).type == SP_STREAM; }
  bool IsTcp(sp_handle handle);  // a stream of any family but AF_UNIX
  bool IsLocal(sp_handle handle) { return Of(handle).family == SP_UNIX; }
  bool IsNonblockingKnown(sp_handle handle) { return Of(handle).nonblocking; }

  // ---- What a fault remembers, by a key of its own choosing (mostly a handle's value). Gone with the handle if the key is one.
  int64_t Get(int64_t key, int slot = 0);  // 0 if nothing was put there
  void Put(int64_t key, int64_t value, int slot = 0);
  int64_t Add(int64_t key, int64_t value, int slot = 0);  // the sum
  std::mutex& mutex() { return fault_mutex_; }            // for a fault whose steps must not be mixed; never held by the wrapper
  std::map<int64_t, std::vector<sp_handle>> handles;      // likewise the fault's own
  std::map<int64_t, std::vector<uint8_t>> bytes;

  const sp_provider& table() const { return inner_; }
  void* self() const { return self_; }
  const Fault* fault() const { return fault_; }

 private:
  void Learn(const sp_call& call, const sp_result& result);
  sp_call GetOption(sp_handle handle, int32_t option, int32_t value_type, bool* ok);
  sp_result SetOption(sp_handle handle, int32_t option, int32_t value_type, sp_option_args value);

  const Fault* fault_;
  sp_provider inner_;
  void* self_;
  std::mutex mutex_;  // guards known_ and memory_
  std::map<int64_t, Known> known_;
  std::map<std::pair<int64_t, int>, int64_t> memory_;
  std::mutex fault_mutex_;
};

// A successful result, or a failed one, made up.
void Fail(sp_result* result, int32_t error);
void Succeed(sp_result* result, int64_t value = 0);

// The bytes of a transfer's buffers, one after the other.
uint64_t TotalLength(const sp_transfer_args& args);
uint8_t* ByteAt(const sp_transfer_args& args, uint64_t offset);  // null behind the end, or where no valid buffer is

}  // namespace sockproof::faulty
