// What faults of send and recv have in common.
#pragma once

#include <algorithm>
#include <vector>

#include "faulty/wrapped.h"

namespace sockproof::faulty {

inline bool Is(const sp_call* call, uint32_t op) { return call->op == op && call->handle.kind == SP_HANDLE_SOCKET; }

// A recv on a stream that takes what it delivers: no look at it, no urgent byte.
inline bool TakesStream(Wrapped& provider, const sp_call* call) {
  constexpr uint32_t kOther = SP_MSG_PEEK | SP_MSG_OOB | SP_MSG_TRUNC;
  return Is(call, SP_OP_RECV) && (call->u.recv.flags & kOther) == 0 && provider.IsStream(call->handle);
}
inline bool SendsStream(Wrapped& provider, const sp_call* call) {
  return Is(call, SP_OP_SEND) && (call->u.send.flags & SP_MSG_OOB) == 0 && provider.IsStream(call->handle);
}

inline const sp_transfer_args& Args(const sp_call* call) { return call->op == SP_OP_SEND ? call->u.send : call->u.recv; }
inline sp_transfer_args& Args(sp_call* call) { return call->op == SP_OP_SEND ? call->u.send : call->u.recv; }

inline bool HasRoom(const sp_call* call) { return TotalLength(Args(call)) > 0; }

// May this call wait, as its flags and its socket's mode have it?
inline bool MayWait(Wrapped& provider, const sp_call* call) {
  return (Args(call).flags & SP_MSG_DONTWAIT) == 0 && !provider.IsNonblocking(call->handle);
}

// Adds flags to a transfer; the forms that take none become those that do.
inline void AddFlags(sp_transfer_args& args, uint32_t flags) {
  if (args.form == SP_FORM_FILE) args.form = SP_FORM_DEFAULT;
  if (args.form == SP_FORM_VECTOR) args.form = SP_FORM_MESSAGE;
  args.flags |= flags;
}

// Lets a call see `length` bytes of its buffers and no more, as long as this lives.
class Shortened {
 public:
  Shortened(sp_transfer_args& args, uint64_t length) : args_(args), whole_(args.buffers), count_(args.buffer_count) {
    for (uint32_t i = 0; i < count_ && (length > 0 || i == 0); ++i) {
      part_.push_back(whole_[i]);
      part_.back().length = std::min(part_.back().length, length);
      length -= part_.back().length;
    }
    args.buffers = part_.data();
    args.buffer_count = static_cast<uint32_t>(part_.size());
  }
  ~Shortened() {
    args_.buffers = whole_;
    args_.buffer_count = count_;
  }
  Shortened(const Shortened&) = delete;
  Shortened& operator=(const Shortened&) = delete;

 private:
  sp_transfer_args& args_;
  const sp_buffer* whole_;
  uint32_t count_;
  std::vector<sp_buffer> part_;
};

inline int64_t Ioctl(Wrapped& provider, sp_handle handle, int32_t request) {
  sp_call call{};
  call.u.ioctl.request = request;
  const sp_result result = provider.Do(SP_OP_IOCTL, handle, &call);
  return result.error == SP_OK ? result.value : -1;
}
inline int64_t Unread(Wrapped& provider, sp_handle handle) { return Ioctl(provider, handle, SP_IOCTL_READABLE); }
inline int64_t Unsent(Wrapped& provider, sp_handle handle) { return Ioctl(provider, handle, SP_IOCTL_UNSENT); }

// Did the stream end where it now stands?
inline bool AtEnd(Wrapped& provider, sp_handle handle) {
  uint8_t byte = 0;
  const sp_result look = provider.Recv(handle, &byte, 1, SP_MSG_PEEK | SP_MSG_DONTWAIT);
  return look.error == SP_OK && look.value == 0;
}

// The error of one operation told as another.
template <uint32_t kOp, int32_t kFrom, int32_t kTo>
void TellAs(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == kOp && result->error == kFrom) Fail(result, kTo);
}

}  // namespace sockproof::faulty
