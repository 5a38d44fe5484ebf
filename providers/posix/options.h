// Socket options: where each has its level and number on this system.
#pragma once

#include <cstdint>

#include "sockproof/provider.h"

namespace sockproof::posix {

struct OptionName {
  int level;
  int name;
};

// False if this system has no such option. TCP_STATE and TCP_UNACCEPTED are found too: both read TCP_INFO.
bool FindOption(std::int32_t option, OptionName* out);

// The enum sp_tcp_state of a state number in TCP_INFO; 0 if it is none.
std::int32_t NeutralTcpState(unsigned state);

}  // namespace sockproof::posix
