// Values of socket options in the form that Windows Sockets has for them.
#pragma once

#include <cstdint>
#include <cstring>

#include "sockproof/provider.h"

namespace sockproof::winsock {

// Longer than any, so that lengths that are too large read zeros.
struct OptionValue {
  alignas(16) unsigned char bytes[256] = {};
  int length = 0;

  template <class T>
  void Put(const T& value) {
    std::memcpy(bytes, &value, sizeof value);
    length = static_cast<int>(sizeof value);
  }
  template <class T>
  T Take() const {
    T value{};
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
};

// What set_option passes, its natural length included. False for a value that cannot be written in such a form.
bool EncodeOption(const sp_option_args& args, OptionValue* value);

// How many bytes get_option offers by itself; 0 for a value of no known form. SP_VALUE_BYTES come in args.bytes itself.
int NaturalLength(const sp_option_args& args);

// What get_option was given: `whole` bytes of value. *native is the code behind SO_ERROR.
void DecodeOption(const OptionValue& value, int whole, sp_option_args& args, std::int64_t* native);

}  // namespace sockproof::winsock
