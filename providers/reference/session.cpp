#include "reference/session.h"

#include <algorithm>
#include <vector>

#include "reference/socket.h"
#include "reference/stack.h"

namespace sockproof::reference {

int32_t Session::Startup(uint32_t version, uint32_t lowest, uint32_t* given, uint32_t* highest) {
  constexpr uint32_t kHighest = 0x0202;
  *highest = kHighest;
  *given = std::min(version, kHighest);
  if (version < lowest) return SP_VERNOTSUPPORTED;
  ++count_;
  return SP_OK;
}

// Windows Sockets 2, WSACleanup function (winsock.h), Remarks; LPWSPCLEANUP callback function (ws2spi.h), Remarks: calls under
// way are cancelled without a notification, sockets that are open are reset and freed.
int32_t Session::Cleanup(Stack* stack) {
  if (count_ == 0) return SP_NOTINITIALISED;
  if (--count_ > 0) return SP_OK;
  std::vector<Hold> all = stack->handles().TakeAll();
  for (const Hold& file : all) {
    if (auto* socket = dynamic_cast<Socket*>(file.get()); socket != nullptr) socket->events().End();
  }
  stack->operations().AbortAll();
  for (Hold& file : all) {
    file->cancelled = true;
    if (auto* socket = dynamic_cast<Socket*>(file.get()); socket != nullptr) socket->CutOff();
    file.Drop();
  }
  return SP_OK;
}

}  // namespace sockproof::reference
