// The families that a scenario runs over, as values: a scenario is written once and says which of these it is about.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "face/address.h"
#include "face/socket.h"

namespace sockproof {

struct Flavor {
  const char* name;        // the part of a scenario's name behind the slash
  int32_t listen_family;   // of the socket that waits
  int32_t connect_family;  // of the one that reaches out
  int32_t type;
  int32_t capability;  // what the provider must have

  bool tcp() const { return type == SP_STREAM && (listen_family == SP_INET || listen_family == SP_INET6); }
  bool local() const { return listen_family == SP_UNIX; }
  bool stream() const { return type == SP_STREAM; }
  bool dual() const { return listen_family != connect_family; }

  Socket NewListening(uint32_t modes = 0, Where where = SOCKPROOF_HERE) const;   // fresh; dual: V6ONLY switched off
  Socket NewConnecting(uint32_t modes = 0, Where where = SOCKPROOF_HERE) const;  // fresh
  // Where a listener binds: loopback and port 0 (dual: the wildcard), or a fresh path of the scenario's own.
  Address ToBind() const;
  // How a client reaches the socket whose local address this is (dual: IPv4).
  Address ToReach(const Address& local) const;
};

extern const Flavor kInet, kInet6, kDual, kUnix, kSeqpacket, kUnixDatagram, kUdp, kUdp6;
extern const Flavor kConnData;  // streams of the family whose connection protocol carries user data

// A fresh AF_UNIX pathname in the scenario's private directory, short enough for every implementation.
std::string FreshPath();
const std::string& ScratchDirectory();
void RemoveScratchDirectory();  // the battery's, at the end; nothing if the runner gave one

}  // namespace sockproof
