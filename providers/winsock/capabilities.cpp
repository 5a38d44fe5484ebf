// What this machine can do, found out by trying. An answer that is not 'yes' says what is missing.
#include <string>
#include <utility>

#include "adapter.h"
#include "addresses.h"
#include "option_values.h"

namespace sockproof::winsock {
namespace {

std::string Because(const std::string& what) { return what + ": error " + std::to_string(::WSAGetLastError()); }

// A socket for trying, which is gone afterwards.
class Tried {
 public:
  Tried(Adapter& adapter, int family, int type) : socket_(MakeSocket(adapter, family, type, 0, 0)) {}
  ~Tried() {
    if (socket_ != INVALID_SOCKET) ::closesocket(socket_);
  }
  Tried(const Tried&) = delete;
  Tried& operator=(const Tried&) = delete;
  bool ok() const { return socket_ != INVALID_SOCKET; }
  SOCKET get() const { return socket_; }

 private:
  SOCKET socket_;
};

std::string TrySocket(Adapter& adapter, int family, int type, const char* what) {
  const Tried made(adapter, family, type);
  return made.ok() ? std::string() : Because(what);
}

bool BindTo(SOCKET socket, const sp_address& address) {
  NativeAddress native;
  EncodeAddress(address, &native);
  return ::bind(socket, native.pointer, native.length) == 0;
}

std::string TryLoopback(Adapter& adapter, std::int32_t family, int type, const char* what) {
  const Tried made(adapter, windows::FamilyNumber(family), type);
  sp_address address{};
  address.family = family;
  if (family == SP_INET) address.bytes[0] = 127;
  address.bytes[family == SP_INET ? 3 : 15] = 1;
  return made.ok() && BindTo(made.get(), address) ? std::string() : Because(what);
}

std::string TryDualStack(Adapter& adapter) {
  std::string missing = TryLoopback(adapter, SP_INET, SOCK_STREAM, "127.0.0.1");
  if (!missing.empty()) return missing;
  const Tried made(adapter, AF_INET6, SOCK_STREAM);
  const int off = 0;
  sp_address any{};
  any.family = SP_INET6;
  const bool both = made.ok() &&
                    ::setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, reinterpret_cast<const char*>(&off), sizeof off) == 0 &&
                    BindTo(made.get(), any);
  return both ? std::string() : Because("a socket for both IPv6 and IPv4");
}

std::string TryTcpState(Adapter& adapter) {
  const Tried made(adapter, AF_INET, SOCK_STREAM);
  sp_option_args args{};
  args.option = SP_TCP_STATE;
  args.length = SP_NATURAL_LENGTH;
  sp_result result{};
  if (made.ok()) CallGetOption(adapter, made.get(), args, &result);
  return made.ok() && result.error == SP_OK && args.integer == SP_TCP_CLOSED ? std::string() : Because("SIO_TCP_INFO");
}

template <class Function>
std::string TryExtension(Adapter& adapter, GUID id) {
  const Tried made(adapter, AF_INET, SOCK_STREAM);
  Function function = nullptr;
  DWORD written = 0;
  const bool found = made.ok() && ::WSAIoctl(made.get(), SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &function,
                                             sizeof function, &written, nullptr, nullptr) == 0;
  return found && function != nullptr ? std::string() : Because("SIO_GET_EXTENSION_FUNCTION_POINTER");
}

std::string TryOverlapped(Adapter& adapter) {
  std::string missing = TryExtension<LPFN_ACCEPTEX>(adapter, WSAID_ACCEPTEX);
  if (missing.empty()) missing = TryExtension<LPFN_CONNECTEX>(adapter, WSAID_CONNECTEX);
  if (missing.empty()) missing = TryExtension<LPFN_DISCONNECTEX>(adapter, WSAID_DISCONNECTEX);
  return missing;
}

std::string TryWindow() {
  const MessageWindow window;
  return window.window() != nullptr ? std::string() : "a message-only window: error " + std::to_string(window.error());
}

std::string TryHandleCount(Adapter& adapter) {
  const Tried made(adapter, AF_INET, SOCK_STREAM);
  const bool counted = made.ok() && OpenSockets(adapter).count(static_cast<std::uint64_t>(made.get())) != 0;
  return counted ? std::string() : "the system does not list the handles of this process";
}

std::string Missing(Adapter& adapter, std::int32_t capability) {
  switch (capability) {
    case SP_CAP_INET:
      return TryLoopback(adapter, SP_INET, SOCK_STREAM, "127.0.0.1");
    case SP_CAP_INET6:
      return TryLoopback(adapter, SP_INET6, SOCK_STREAM, "::1");
    case SP_CAP_DUAL_STACK:
      return TryDualStack(adapter);
    case SP_CAP_UDP:
      return TryLoopback(adapter, SP_INET, SOCK_DGRAM, "UDP on 127.0.0.1");
    case SP_CAP_UNIX_STREAM:
      return TrySocket(adapter, AF_UNIX, SOCK_STREAM, "AF_UNIX SOCK_STREAM");
    case SP_CAP_UNIX_SEQPACKET:
      return TrySocket(adapter, AF_UNIX, SOCK_SEQPACKET, "AF_UNIX SOCK_SEQPACKET");
    case SP_CAP_UNIX_DATAGRAM:
      return TrySocket(adapter, AF_UNIX, SOCK_DGRAM, "AF_UNIX SOCK_DGRAM");
    case SP_CAP_TCP_STATE_SHOWN:
      return TryTcpState(adapter);
    case SP_CAP_OVERLAPPED:
      return TryOverlapped(adapter);
    case SP_CAP_WINDOW_MESSAGES:
      return TryWindow();
    case SP_CAP_HANDLE_COUNT:
      return TryHandleCount(adapter);
    case SP_CAP_BLACK_HOLE:
      return WhyNoBlackHole(adapter, SP_INET);
    case SP_CAP_SELECT:
    case SP_CAP_THREADS:
    case SP_CAP_CONDITION:
    case SP_CAP_EVENT_OBJECTS:
    case SP_CAP_SESSION:
    case SP_CAP_PROCESSES:
    case SP_CAP_HANDLE_EXPORT:
      return {};
    case SP_CAP_POLL:
      return "there is WSAPoll, and no poll";
    case SP_CAP_CONNECT_DATA:
      return "no protocol of Windows carries user data with its connections any more";
    case SP_CAP_HANDLE_LIMIT:
      return "no limit can be set to the handles of a process";
    case SP_CAP_SILENCE:
      return "a process without privileges can lose nothing that arrives for one socket alone";
    default:
      return "Windows Sockets has nothing of this kind";
  }
}

}  // namespace

std::int32_t Capability(void* self, std::int32_t capability, const char** why) {
  Adapter& adapter = *Self(self);
  const int saved = ::WSAGetLastError();
  std::string missing = Missing(adapter, capability);
  ::WSASetLastError(saved);
  if (missing.empty()) return SP_OK;
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  const std::string& kept = adapter.reasons.try_emplace(capability, std::move(missing)).first->second;
  if (why != nullptr) *why = kept.c_str();
  return SP_NOT_SUPPORTED;
}

}  // namespace sockproof::winsock
