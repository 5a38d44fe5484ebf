// The C interface's arguments in the form of the service provider interface, and back.
#include <algorithm>
#include <cstring>

#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp/adapter.h"

namespace sockproof::wsp {

bool SocketOf(const Adapter& adapter, const sp_handle& handle, SOCKET* socket) {
  switch (handle.kind) {
    case SP_HANDLE_SOCKET:
      *socket = static_cast<SOCKET>(handle.value);
      return true;
    case SP_HANDLE_INVALID:
      *socket = INVALID_SOCKET;
      return true;
    case SP_HANDLE_NOT_SOCKET:
      *socket = reinterpret_cast<SOCKET>(adapter.not_socket);
      return true;
    default:
      return false;
  }
}

const void* PointerFor(int32_t kind, const void* valid) {
  if (kind == SP_POINTER_NULL) return nullptr;
  return kind == SP_POINTER_VALID ? valid : windows::BadPage();
}

NameIn::NameIn(const sp_address_in& in) {
  windows::AnyAddress address;
  length = windows::Encode(in.address, &address);
  std::memcpy(bytes, &address, sizeof address);
  if (in.length != SP_NATURAL_LENGTH) length = in.length;
  name = static_cast<const sockaddr*>(PointerFor(in.kind, bytes));
}

NameOut::NameOut(sp_address_out* out) : out_(out) {
  out->decoded = 0;
  out->reported = -1;
  length_ = out->length == SP_NATURAL_LENGTH ? out->raw_size : out->length;
  name_ = static_cast<sockaddr*>(const_cast<void*>(PointerFor(out->kind, out->raw)));
  length_pointer_ = static_cast<LPINT>(const_cast<void*>(PointerFor(out->length_kind, &length_)));
  if (out->kind == SP_POINTER_VALID && out->raw != nullptr && out->raw_size > 0)
    before_.assign(out->raw, out->raw + out->raw_size);
}

void NameOut::Finish() {
  if (out_->length_kind == SP_POINTER_VALID) out_->reported = length_;
  // A call that failed may have written all the same, or not.
  if (before_.empty() || std::equal(before_.begin(), before_.end(), out_->raw)) return;
  const int room = out_->length == SP_NATURAL_LENGTH ? out_->raw_size : std::min(out_->length, out_->raw_size);
  out_->decoded = windows::Decode(out_->raw, std::min(room, length_), &out_->address) ? 1 : 0;
}

void Report(sp_result* result, bool failed, int64_t value, int code) {
  result->error = failed ? windows::ErrorOf(code) : static_cast<int32_t>(SP_OK);
  // A failure without a reason is none that has a name.
  if (failed && code == 0) result->error = SP_UNKNOWN_ERROR;
  result->native = failed ? code : 0;
  result->value = failed ? -1 : value;
}

}  // namespace sockproof::wsp
