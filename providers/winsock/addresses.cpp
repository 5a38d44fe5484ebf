#include "addresses.h"

#include <algorithm>
#include <cstring>

namespace sockproof::winsock {

std::int32_t EncodeAddress(const sp_address& in, NativeAddress* out) {
  // The connection data of the reference provider has no family here.
  if (in.family == SP_CONNDATA || in.family < SP_UNSPEC || in.family > SP_OTHER_FAMILY) return SP_NOT_SUPPORTED;
  windows::AnyAddress address;
  std::memset(out->bytes, 0, sizeof out->bytes);
  out->length = windows::Encode(in, &address);
  std::memcpy(out->bytes, &address, sizeof address);
  out->pointer = reinterpret_cast<const sockaddr*>(out->bytes);
  return SP_OK;
}

std::int32_t Encode(const sp_address_in& in, void* bad, NativeAddress* out) {
  const std::int32_t error = EncodeAddress(in.address, out);
  if (error != SP_OK) return error;
  if (in.length != SP_NATURAL_LENGTH) out->length = in.length;
  if (in.kind == SP_POINTER_NULL) out->pointer = nullptr;
  if (in.kind == SP_POINTER_INVALID) out->pointer = static_cast<const sockaddr*>(bad);
  return SP_OK;
}

NativeAddressOut::NativeAddressOut(sp_address_out* out, void* bad) : out_(out) {
  initial_ = out->length == SP_NATURAL_LENGTH ? out->raw_size : out->length;
  length_ = initial_;
  if (out->kind == SP_POINTER_VALID) address_ = reinterpret_cast<sockaddr*>(out->raw);
  if (out->kind == SP_POINTER_INVALID) address_ = static_cast<sockaddr*>(bad);
  if (out->length_kind == SP_POINTER_VALID) length_pointer_ = &length_;
  if (out->length_kind == SP_POINTER_INVALID) length_pointer_ = static_cast<int*>(bad);
  out->reported = -1;
  out->decoded = 0;
}

void NativeAddressOut::Finish(bool failed) {
  if (out_->length_kind != SP_POINTER_VALID) return;
  // After a failure too: whether the length was touched is the caller's to see.
  out_->reported = length_;
  // WSAAccept may fill it in when it fails, too; that it did so shows by the length.
  if (failed && length_ == initial_) return;
  if (out_->kind != SP_POINTER_VALID || out_->raw == nullptr || out_->raw_size <= 0) return;
  const int room = initial_ < 0 ? out_->raw_size : std::min(initial_, out_->raw_size);
  const bool whole = windows::Decode(out_->raw, std::min(length_, room), &out_->address);
  // Cut off: what can be said is said, but not that it is an address.
  out_->decoded = whole && length_ <= room ? 1 : 0;
}

}  // namespace sockproof::winsock
