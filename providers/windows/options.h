// Socket options: the neutral names of the C interface, and level, name and form of Windows Sockets.
//
// Sources: Windows Sockets 2, SOL_SOCKET Socket Options; IPPROTO_TCP socket options; IPPROTO_IP and IPPROTO_IPV6 socket options.
#pragma once

#include <winsock2.h>
// after winsock2.h
#include <ws2tcpip.h>

#include <cstdint>

#include "sockproof/provider.h"

namespace sockproof::windows {

enum class OptionForm {
  kNumber,        // DWORD or BOOL
  kLinger,        // LINGER
  kMilliseconds,  // DWORD
  kSocket,        // SOCKET
  kNothing,       // no value at all
  kMembership,    // ip_mreq
  kMembership6,   // ipv6_mreq
};
struct OptionNumber {
  std::int32_t option;  // enum sp_option
  int level, name;
  OptionForm form;
};

// Null for an option that Windows Sockets has no number for.
const OptionNumber* FindOption(std::int32_t option);
// Null for a number that stands for none of them; *level_known says whether the level at least is one.
const OptionNumber* FindOption(int level, int name, bool* level_known);

// Types of sockets, and those of SO_TYPE.
int TypeNumber(std::int32_t type);
std::int32_t TypeOf(int number);

}  // namespace sockproof::windows
