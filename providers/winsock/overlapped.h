// AcceptEx, ConnectEx and DisconnectEx: operations that are begun, and the ways in which their end is told.
#pragma once

#include <cstdint>
#include <set>
#include <mutex>
#include <thread>
#include <vector>

#include "adapter.h"
#include "sockproof/provider.h"
#include "system.h"

namespace sockproof::winsock {

// The OVERLAPPED comes first: a completion port hands back its address.
struct OverlappedOperation {
  OVERLAPPED overlapped{};
  Adapter* adapter = nullptr;
  sp_call* call = nullptr;
  SOCKET socket = INVALID_SOCKET;     // the one that the call was made on
  HANDLE ended = nullptr;             // set when it has ended: overlapped.hEvent, or the port's thread does it
  std::vector<unsigned char> buffer;  // AcceptEx: first data and both addresses
  DWORD local_length = 0, remote_length = 0;
  DWORD transferred = 0;
};

// A completion port and the thread that looks at it.
class CompletionPort {
 public:
  CompletionPort();
  ~CompletionPort();
  CompletionPort(const CompletionPort&) = delete;
  CompletionPort& operator=(const CompletionPort&) = delete;
  // A socket is associated once and for all.
  void Associate(SOCKET socket);

 private:
  void Serve();
  HANDLE port_;
  std::thread thread_;
};

}  // namespace sockproof::winsock
