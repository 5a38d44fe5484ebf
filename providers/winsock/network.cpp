// A black hole, as far as an unprivileged process can make one: a listener that never answers.
//
// With SO_CONDITIONAL_ACCEPT the transport leaves a request unanswered until a condition function has accepted it ("the stack
// no longer responds to connection requests on the application's behalf", SO_CONDITIONAL_ACCEPT Socket Option), so that nobody
// who asks hears anything before it gives up. Where the option has no such effect, a listener whose queue is full may do: some
// systems ignore what does not fit, others refuse it. Which of them it is here is found out by trying.

#include "adapter.h"
#include "addresses.h"

namespace sockproof::winsock {
namespace {

sp_address Loopback(std::int32_t family) {
  sp_address address{};
  address.family = family;
  if (family == SP_INET) address.bytes[0] = 127;
  address.bytes[family == SP_INET ? 3 : 15] = 1;
  return address;
}

// A socket of the adapter's own: no count speaks of it.
SOCKET OwnSocket(Adapter& adapter, std::int32_t family) {
  const SOCKET made = MakeSocket(adapter, windows::FamilyNumber(family), SOCK_STREAM, 0, WSA_FLAG_NO_HANDLE_INHERIT);
  if (made == INVALID_SOCKET) return made;
  u_long on = 1;
  ::ioctlsocket(made, FIONBIO, &on);
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  adapter.own.insert(static_cast<std::uint64_t>(made));
  return made;
}

void CloseOwn(Adapter& adapter, SOCKET socket) {
  if (socket == INVALID_SOCKET) return;
  ::closesocket(socket);
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  adapter.own.erase(static_cast<std::uint64_t>(socket));
}

SOCKET Listener(Adapter& adapter, std::int32_t family, bool conditional, sp_address* address) {
  const SOCKET made = OwnSocket(adapter, family);
  if (made == INVALID_SOCKET) return made;
  const int on = conditional ? 1 : 0;
  NativeAddress native;
  EncodeAddress(Loopback(family), &native);
  std::uint8_t raw[sizeof(sockaddr_storage)];
  int length = sizeof raw;
  // Whether the option has an effect is seen later.
  if (conditional) {
    ::setsockopt(made, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, reinterpret_cast<const char*>(&on), sizeof on);
  }
  const bool ready = ::bind(made, native.pointer, native.length) == 0 && ::listen(made, 1) == 0 &&
                     ::getsockname(made, reinterpret_cast<sockaddr*>(raw), &length) == 0 && windows::Decode(raw, length, address);
  if (ready) return made;
  CloseOwn(adapter, made);
  return INVALID_SOCKET;
}

enum class Asked { kWaits, kConnected, kRefused };

// How a connect stands after at most so many milliseconds.
Asked Look(SOCKET socket, int milliseconds) {
  fd_set connected, failed;
  FD_ZERO(&connected);
  FD_ZERO(&failed);
  FD_SET(socket, &connected);
  FD_SET(socket, &failed);
  timeval limit{milliseconds / 1000, milliseconds % 1000 * 1000};
  if (::select(0, nullptr, &connected, &failed, &limit) <= 0) return Asked::kWaits;
  if (FD_ISSET(socket, &failed)) return Asked::kRefused;
  sockaddr_storage peer{};
  int length = sizeof peer;
  const bool has_peer = ::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
  return has_peer ? Asked::kConnected : Asked::kWaits;
}

bool Begin(SOCKET socket, const sp_address& address) {
  NativeAddress native;
  EncodeAddress(address, &native);
  return ::connect(socket, native.pointer, native.length) == 0 || ::WSAGetLastError() == WSAEWOULDBLOCK;
}

// Makes one more ask at the listener, and looks longer than a connection takes that began later elsewhere.
Asked AskThere(Adapter& adapter, std::int32_t family, const sp_address& there, SOCKET* out) {
  sp_address elsewhere{};
  const SOCKET open = Listener(adapter, family, false, &elsewhere);
  const SOCKET asking = OwnSocket(adapter, family);
  const SOCKET other = OwnSocket(adapter, family);
  Asked seen = Asked::kRefused;
  if (open != INVALID_SOCKET && other != INVALID_SOCKET && Begin(asking, there) && Begin(other, elsewhere)) {
    seen = Look(other, 5000) == Asked::kConnected ? Look(asking, 100) : Asked::kRefused;
  }
  CloseOwn(adapter, open);
  CloseOwn(adapter, other);
  *out = asking;
  return seen;
}

// Leaves the listener open, and whoever waits in its queue, for as long as the process lives.
std::string MakeBlackHole(Adapter& adapter, std::int32_t family, sp_address* address) {
  const SOCKET listener = Listener(adapter, family, true, address);
  if (listener == INVALID_SOCKET) return "no listener on the loopback address";
  constexpr int kMost = 16;  // more than a queue for one takes anywhere
  for (int i = 0; i < kMost; ++i) {
    SOCKET asking = INVALID_SOCKET;
    const Asked seen = AskThere(adapter, family, *address, &asking);
    if (seen == Asked::kConnected) continue;  // it stays in the queue
    CloseOwn(adapter, asking);
    if (seen == Asked::kWaits) return {};
    return "SO_CONDITIONAL_ACCEPT leaves no request unanswered here, and a full queue refuses";
  }
  return "neither SO_CONDITIONAL_ACCEPT nor a full queue leaves a request unanswered here";
}

std::int32_t BlackHole(void* self, std::int32_t family, sp_address* address) {
  Adapter& adapter = *Self(self);
  if (family != SP_INET && family != SP_INET6) return SP_NOT_SUPPORTED;
  if (!WhyNoBlackHole(adapter, family).empty()) return SP_NOT_SUPPORTED;
  *address = adapter.black_hole[family == SP_INET ? 0 : 1];
  return SP_OK;
}

}  // namespace

std::string WhyNoBlackHole(Adapter& adapter, std::int32_t family) {
  static std::mutex making;  // one at a time; the rest of the adapter goes on
  const std::lock_guard<std::mutex> lock(making);
  const int index = family == SP_INET ? 0 : 1;
  if (!adapter.black_hole_known[index]) {
    adapter.no_black_hole[index] = MakeBlackHole(adapter, family, &adapter.black_hole[index]);
    adapter.black_hole_known[index] = true;
  }
  return adapter.no_black_hole[index];
}

// What arrives for one socket cannot be lost on purpose without privileges (the filtering platform wants an administrator).
const sp_network_group kNetwork = {sizeof(sp_network_group), nullptr, BlackHole, nullptr, nullptr, nullptr};

}  // namespace sockproof::winsock
