// What travels with a connection request and its answer besides the connection: user data, and quality of service. On the network
// both stand in the payload of the segment that opens the connection; only the protocol with connect data has such a thing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sockproof/provider.h"

namespace sockproof::reference {

class Socket;

struct ConnectData {
  std::optional<sp_qos> qos;
  std::vector<uint8_t> bytes;
};

// "A small amount of user data" (Windows Sockets 2, WSAConnect, Remarks); the same either way.
constexpr std::size_t kMostConnectData = 32;

std::vector<uint8_t> Pack(const ConnectData& data);  // empty if there is nothing
ConnectData Unpack(const std::vector<uint8_t>& payload);

// What connect was given, as far as its protocol carries it; out: the error if it cannot.
// Windows Sockets 2, WSAConnect, Remarks and Return value: connectionless sockets ignore user data silently; a protocol without
// such data refuses them; what is too long, or cannot be read, is a fault; a group's quality of service is reserved.
int32_t ReadConnectData(const Socket& socket, const sp_connect_args& args, ConnectData* out);
// Hands the other end's data over. SP_EFAULT if they do not fit (the same page): the length is 0 then.
int32_t GiveConnectData(const std::vector<uint8_t>& bytes, sp_user_data* out);

}  // namespace sockproof::reference
