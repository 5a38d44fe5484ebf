// What this machine can do, found out by trying. An answer that is not 'yes' says what is missing.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "adapter.h"
#include "addresses.h"
#include "counters.h"
#include "knobs.h"
#include "network.h"

namespace sockproof::posix {
namespace {

std::string Because(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

std::string TrySocket(Adapter& adapter, int family, int type, const char* what) {
  const OwnDescriptor made(adapter, ::socket(family, type | SOCK_CLOEXEC, 0));
  return made.get() < 0 ? Because(what) : std::string();
}

std::string TryLoopback(Adapter& adapter, std::int32_t family, int type, const char* what) {
  const OwnDescriptor made(adapter, ::socket(NativeFamily(family), type | SOCK_CLOEXEC, 0));
  if (made.get() < 0) return Because(what);
  sp_address address{};
  address.family = family;
  if (family == SP_INET) address.bytes[0] = 127;
  address.bytes[family == SP_INET ? 3 : 15] = 1;
  NativeAddress native;
  EncodeAddress(address, &native);
  if (::bind(made.get(), native.pointer, native.length) != 0) return Because(what);
  // An address can be bound to while its interface is down. This sends nothing, it only asks for a way there.
  const OwnDescriptor asking(adapter, ::socket(NativeFamily(family), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  address.port = 9;
  EncodeAddress(address, &native);
  const bool reached = asking.get() >= 0 && ::connect(asking.get(), native.pointer, native.length) == 0;
  return reached ? std::string() : Because(what);
}

std::string TryDualStack(Adapter& adapter) {
  std::string missing = TryLoopback(adapter, SP_INET, SOCK_STREAM, "127.0.0.1");
  if (!missing.empty()) return missing;
  const OwnDescriptor made(adapter, ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int off = 0;
  if (made.get() < 0 || ::setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) {
    return Because("a socket for both IPv6 and IPv4");
  }
  sp_address any{};
  any.family = SP_INET6;
  NativeAddress native;
  EncodeAddress(any, &native);
  return ::bind(made.get(), native.pointer, native.length) != 0 ? Because("bind to ::") : std::string();
}

std::string TryAbstractName(Adapter& adapter) {
  const OwnDescriptor made(adapter, ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (made.get() < 0) return Because("AF_UNIX");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // No more than the family: the system picks an abstract name.
  if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family) != 0) {
    return Because("a name that the system picks");
  }
  socklen_t length = sizeof address;
  if (::getsockname(made.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return Because("getsockname");
  const bool abstract = length > sizeof address.sun_family && address.sun_path[0] == '\0';
  return abstract ? std::string() : std::string("the system picks no abstract name");
}

std::string TryTcpState(Adapter& adapter) {
  const OwnDescriptor made(adapter, ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  tcp_info info{};
  socklen_t length = sizeof info;
  if (made.get() < 0 || ::getsockopt(made.get(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
    return Because("TCP_INFO");
  }
  if (info.tcpi_state != TCP_CLOSE) return "TCP_INFO shows a new socket as other than closed";
  return ProbeQueueCount(adapter);
}

std::string TryHandleCount() { return ::access("/proc/self/fd", R_OK | X_OK) != 0 ? Because("/proc/self/fd") : std::string(); }

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
    case SP_CAP_HANDLE_PASSING:
      return TrySocket(adapter, AF_UNIX, SOCK_STREAM, "AF_UNIX SOCK_STREAM");
    case SP_CAP_ABSTRACT_NAMES:
      return TryAbstractName(adapter);
    case SP_CAP_TCP_STATE_SHOWN:
      return TryTcpState(adapter);
    case SP_CAP_SILENCE:
      return ProbeSilence(adapter, true);
    case SP_CAP_BLACK_HOLE:
      return ProbeSilence(adapter, false);
    case SP_CAP_HANDLE_LIMIT:
      return WhyNoHandleLimit();
    case SP_CAP_KNOBS:
      return WhyNoKnobs();
    case SP_CAP_HANDLE_COUNT:
      return TryHandleCount();
    case SP_CAP_EPOLL:
    case SP_CAP_POLL:
    case SP_CAP_SELECT:
    case SP_CAP_THREADS:
    case SP_CAP_SIGNALS:
    case SP_CAP_CANCELLATION:
    case SP_CAP_PROCESSES:
      return {};
    default:
      return "the socket calls of the C library have nothing of this kind";
  }
}

}  // namespace

std::int32_t Capability(void* self, std::int32_t capability, const char** why) {
  Adapter& adapter = *Self(self);
  const int saved = errno;
  std::string missing = Missing(adapter, capability);
  errno = saved;
  if (missing.empty()) return SP_OK;
  const std::lock_guard<std::mutex> lock(adapter.reason_mutex);
  std::string& kept = adapter.reasons.try_emplace(capability, std::move(missing)).first->second;
  if (why != nullptr) *why = kept.c_str();
  return SP_NOT_SUPPORTED;
}

}  // namespace sockproof::posix
