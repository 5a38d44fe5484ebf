#include "face/user_data.h"

#include <algorithm>

namespace sockproof {

void CalleeData::Offer(sp_user_data* data) {
  *data = {1, kind_, room_, room_, kind_ == SP_POINTER_VALID ? buffer_.data() : nullptr};
}

std::string CalleeData::Bytes() const {
  const uint32_t used = std::min(length(), room_);
  buffer_.CheckUntouchedFrom(used, "connect");
  return std::string(buffer_.data(), buffer_.data() + used);
}

}  // namespace sockproof
