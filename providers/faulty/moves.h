// Small moves that many faults make.
#pragma once

#include <vector>

#include "faulty/wrapped.h"

namespace sockproof::faulty {

inline bool IsSocketCall(const sp_call* call, uint32_t op) { return call->op == op && call->handle.kind == SP_HANDLE_SOCKET; }

// An accept on something that listens: the call that a server makes.
inline bool IsAccept(Wrapped& provider, const sp_call* call) {
  return IsSocketCall(call, SP_OP_ACCEPT) && provider.Of(call->handle).listening;
}

inline bool AsksForAddress(const sp_call* call) {
  return call->u.accept.peer.kind == SP_POINTER_VALID && call->u.accept.peer.length_kind == SP_POINTER_VALID;
}

inline bool IsOption(const sp_call* call, uint32_t op, int32_t option) {
  if (!IsSocketCall(call, op)) return false;
  return (op == SP_OP_GET_OPTION ? call->u.get_option : call->u.set_option).option == option;
}

// One error told as another.
inline void TellAs(sp_result* result, int32_t error, int32_t as) {
  if (result->error == error) Fail(result, as);
}

// An error told as success.
inline void Forgive(sp_result* result, int32_t error) {
  if (result->error == error) Succeed(result);
}

// Is there a connection that accept would return at once?
inline bool Waits(Wrapped& provider, sp_handle listener) { return (provider.Ready(listener, SP_IN, 0) & SP_IN) != 0; }

// Everything that waits in a listener's queue, up to `most`.
inline std::vector<sp_handle> TakeQueue(Wrapped& provider, sp_handle listener, std::size_t most = 64) {
  std::vector<sp_handle> taken;
  while (taken.size() < most && Waits(provider, listener)) {
    const sp_result one = provider.Accept(listener);
    if (one.error != SP_OK) break;
    taken.push_back(one.handle);
  }
  return taken;
}

// Stores the peer's address as accept would have.
inline void StorePeer(Wrapped& provider, sp_handle handle, sp_call* accept) {
  if (!AsksForAddress(accept)) return;
  sp_call call{};
  call.u.peer_name.name = accept->u.accept.peer;
  provider.Do(SP_OP_PEER_NAME, handle, &call);
  accept->u.accept.peer = call.u.peer_name.name;
}

inline sp_result Duplicate(Wrapped& provider, sp_handle handle) {
  sp_call call{};
  return provider.Do(SP_OP_DUPLICATE, handle, &call);
}

inline sp_result Listen(Wrapped& provider, sp_handle handle, int32_t backlog) {
  sp_call call{};
  call.u.listen.backlog = backlog;
  return provider.Do(SP_OP_LISTEN, handle, &call);
}

inline sp_result Bind(Wrapped& provider, sp_handle handle, const sp_address& address) {
  sp_call call{};
  call.u.bind.address.length = SP_NATURAL_LENGTH;
  call.u.bind.address.address = address;
  return provider.Do(SP_OP_BIND, handle, &call);
}

inline sp_result Connect(Wrapped& provider, sp_handle handle, const sp_address& address) {
  sp_call call{};
  call.u.connect.address.length = SP_NATURAL_LENGTH;
  call.u.connect.address.address = address;
  return provider.Do(SP_OP_CONNECT, handle, &call);
}

// What became of an attempt that was under way, once it has ended.
inline int32_t PendingError(Wrapped& provider, sp_handle handle) {
  return static_cast<int32_t>(provider.GetInteger(handle, SP_SO_ERROR).value_or(SP_OK));
}

constexpr int kOptionSlot = 1000;  // of a socket's memory

// An option that is set to no effect, and reads as it was set.
inline void OptionWithoutEffect(Wrapped& provider, sp_call* call, sp_result* result, int32_t option) {
  if (IsOption(call, SP_OP_SET_OPTION, option) && call->u.set_option.kind == SP_POINTER_VALID) {
    provider.Put(call->handle.value, call->u.set_option.integer + 1, kOptionSlot);
    return Succeed(result);
  }
  provider.Pass(call, result);
  const int64_t set = provider.Get(call->handle.value, kOptionSlot);
  if (IsOption(call, SP_OP_GET_OPTION, option) && result->error == SP_OK && set != 0) call->u.get_option.integer = set - 1;
}

inline bool IsWildcard(const sp_address& address) {
  for (const uint8_t byte : address.bytes) {
    if (byte != 0) return false;
  }
  return address.family == SP_INET || address.family == SP_INET6;
}

// Waits as something does that has been forgotten.
[[noreturn]] inline void WaitForEver(Wrapped& provider) {
  for (;;) provider.Pause(50'000'000);
}

}  // namespace sockproof::faulty
