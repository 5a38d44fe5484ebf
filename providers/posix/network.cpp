// Silence: a classic BPF program of one instruction, 'return 0', attached to one socket (socket(7), SO_ATTACH_FILTER). What
// arrives for that socket is dropped before the protocol sees it: no acknowledgement, no reset, nothing. It takes neither
// privilege nor a namespace. A child made by a listener takes a copy of its filter along, but a silenced listener never
// completes a connection, so there are no such children; those made before are left alone. A black hole is a listener that
// has been silenced before anybody could know of it.
#include "network.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "adapter.h"
#include "addresses.h"
#include "counters.h"
#include "errors.h"

namespace sockproof::posix {
namespace {

int Attach(int descriptor) {
  sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  sock_fprog program{};
  program.len = 1;
  program.filter = &drop;
  return ::setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int Detach(int descriptor) {
  const int ignored = 0;
  return ::setsockopt(descriptor, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof ignored);
}

sp_address Loopback(std::int32_t family) {
  sp_address address{};
  address.family = family;
  if (family == SP_INET) {
    address.bytes[0] = 127;
    address.bytes[3] = 1;
  } else {
    address.bytes[15] = 1;
  }
  return address;
}

// A listener on the loopback address, silenced before it listens if asked for; -1 and errno if there is none.
int Listener(std::int32_t family, bool silenced, sp_address* address) {
  const int descriptor = ::socket(NativeFamily(family), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  NativeAddress native;
  EncodeAddress(Loopback(family), &native);
  std::uint8_t raw[sizeof(sockaddr_storage)];
  socklen_t length = sizeof raw;
  const bool ready = ::bind(descriptor, native.pointer, native.length) == 0 && (!silenced || Attach(descriptor) == 0) &&
                     ::listen(descriptor, 8) == 0 && ::getsockname(descriptor, reinterpret_cast<sockaddr*>(raw), &length) == 0 &&
                     Decode(raw, length, address);
  if (ready) return descriptor;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return -1;
}

// Begins a connection; true if it is under way or made.
bool Begin(int descriptor, const sp_address& address) {
  NativeAddress native;
  EncodeAddress(address, &native);
  return ::connect(descriptor, native.pointer, native.length) == 0 || errno == EINPROGRESS;
}

bool Ready(int descriptor, int milliseconds) {
  pollfd one{descriptor, POLLOUT, 0};
  int returned = 0;
  do {
    returned = ::poll(&one, 1, milliseconds);
  } while (returned < 0 && errno == EINTR);
  return returned > 0;
}

// Has it got a peer? Asked beside poll, so that no one call's fault makes a stack look as if it could not be silenced.
bool Connected(int descriptor) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  return ::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
}

std::int32_t Silence(void* self, sp_handle socket, std::int32_t on) {
  Adapter& adapter = *Self(self);
  int descriptor = -1;
  if (Descriptor(adapter, socket, &descriptor) != SP_OK) return SP_NOT_SUPPORTED;
  int domain = -1;
  socklen_t length = sizeof domain;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) return ErrorFromErrno(errno);
  if (domain != AF_INET && domain != AF_INET6) return SP_NOT_SUPPORTED;  // no packets, nothing to lose
  if (on != 0) return Attach(descriptor) == 0 ? SP_OK : ErrorFromErrno(errno);
  if (Detach(descriptor) == 0 || errno == ENOENT) return SP_OK;  // ENOENT: it was not silenced
  return ErrorFromErrno(errno);
}

std::int32_t BlackHole(void* self, std::int32_t family, sp_address* address) {
  Adapter& adapter = *Self(self);
  if (family != SP_INET && family != SP_INET6) return SP_NOT_SUPPORTED;
  const int index = family == SP_INET ? 0 : 1;
  {
    const std::lock_guard<std::mutex> lock(adapter.own_mutex);
    if (adapter.black_hole[index] >= 0) {
      *address = adapter.black_hole_address[index];
      return SP_OK;
    }
  }
  OwnDescriptor hole(adapter, Listener(family, true, address));
  if (hole.get() < 0) return ErrorFromErrno(errno);
  const std::lock_guard<std::mutex> lock(adapter.own_mutex);
  if (adapter.black_hole[index] >= 0) {  // another thread was faster: two are as good as one
    *address = adapter.black_hole_address[index];
  } else {
    adapter.black_hole_address[index] = *address;
  }
  adapter.black_hole[index] = hole.Keep();
  return SP_OK;
}

}  // namespace

std::string ProbeSilence(Adapter& adapter, bool ends) {
  const auto because = [](const char* what) { return std::string(what) + ": " + std::strerror(errno); };
  sp_address silent{};
  sp_address open{};
  const OwnDescriptor silenced(adapter, Listener(SP_INET, true, &silent));
  if (silenced.get() < 0) return because("no filter can be attached to a listener (SO_ATTACH_FILTER)");
  const OwnDescriptor listener(adapter, Listener(SP_INET, false, &open));
  if (listener.get() < 0) return because("no listener on 127.0.0.1");
  const OwnDescriptor lost(adapter, ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const OwnDescriptor made(adapter, ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (lost.get() < 0 || made.get() < 0) return because("no sockets");
  if (!Begin(lost.get(), silent)) return because("a connection to a silenced listener failed at once");
  // How long is long enough to see that nothing comes? Longer than a connection takes that began later.
  if (!Begin(made.get(), open) || !Ready(made.get(), 2000)) return "a connection on 127.0.0.1 takes over 2 s";
  if (Ready(lost.get(), 20) && Connected(lost.get()))
    return "SO_ATTACH_FILTER is accepted but does not drop what arrives for a listener";
  if (ends && Detach(silenced.get()) != 0) return because("a filter can be attached and not be detached (SO_DETACH_FILTER)");
  return {};
}

std::string ProbeQueueCount(Adapter& adapter) {
  sp_address address{};
  const OwnDescriptor listener(adapter, Listener(SP_INET, false, &address));
  const OwnDescriptor client(adapter, ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (listener.get() < 0 || client.get() < 0 || !Begin(client.get(), address)) return "no connection on 127.0.0.1";
  pollfd waiting = {listener.get(), POLLIN, 0};
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::poll(&waiting, 1, 2000) != 1) return "a connection on 127.0.0.1 takes over 2 s";
  if (::getsockopt(listener.get(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || info.tcpi_unacked == 0) {
    return "TCP_INFO of a listener does not count what waits to be accepted";
  }
  return {};
}

const sp_network_group kNetwork = {sizeof(sp_network_group), Silence, BlackHole, nullptr, nullptr, nullptr};

}  // namespace sockproof::posix
