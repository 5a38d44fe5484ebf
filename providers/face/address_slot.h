// The memory behind an address that comes out: guarded, unless none is asked for.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "face/buffer.h"
#include "face/socket.h"

namespace sockproof {

class AddressSlot {
 public:
  AddressSlot(const AskAddress& ask, sp_address_out* out) : ask_(ask), out_(*out) {
    out_ = {};
    out_.kind = ask.kind;
    out_.length_kind = ask.length_kind;
    out_.length = ask.length;
    out_.reported = -1;
    if (ask.kind != SP_POINTER_VALID) return;
    buffer_.emplace(static_cast<std::size_t>(ask.room));
    out_.raw = buffer_->data();
    out_.raw_size = ask.room;
  }

  // Nothing may be written beyond the length that was passed, nor beyond the length that came back.
  void Check(std::string_view call) const {
    if (!buffer_) return;
    int32_t used = ask_.length == SP_NATURAL_LENGTH ? ask_.room : std::clamp(ask_.length, 0, ask_.room);
    if (out_.reported >= 0) used = std::min(used, out_.reported);
    buffer_->CheckUntouchedFrom(static_cast<std::size_t>(used), call);
  }

  void Take(NameResult* name) const {
    name->address = Address(out_.address);
    name->decoded = out_.decoded != 0;
    name->reported = out_.reported;
    if (buffer_) name->raw.assign(buffer_->data(), buffer_->data() + buffer_->size());
  }

 private:
  AskAddress ask_;
  sp_address_out& out_;
  std::optional<GuardedBuffer> buffer_;
};

}  // namespace sockproof
