#include "options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

// Numbers that are older than the C library's headers may be: they are part of the kernel's interface.
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25
#endif
#ifndef TCP_SAVE_SYN
#define TCP_SAVE_SYN 27
#endif
#ifndef TCP_INQ
#define TCP_INQ 36
#endif

namespace sockproof::posix {
namespace {

// A level and an option number that no protocol has.
constexpr int kNoLevel = 0x7ff1;
constexpr int kNoOption = 0x7ff2;

struct Row {
  std::int32_t option;
  OptionName name;
};

#define SOCKET_ROW(name)            \
  {                                 \
    SP_##name, { SOL_SOCKET, name } \
  }
#define IP_ROW(name)                \
  {                                 \
    SP_##name, { IPPROTO_IP, name } \
  }
#define IPV6_ROW(name)                \
  {                                   \
    SP_##name, { IPPROTO_IPV6, name } \
  }
#define TCP_ROW(name)                \
  {                                  \
    SP_##name, { IPPROTO_TCP, name } \
  }
// clang-format off
constexpr Row kTable[] = {
    SOCKET_ROW(SO_ERROR),      SOCKET_ROW(SO_TYPE),         SOCKET_ROW(SO_DOMAIN),       SOCKET_ROW(SO_PROTOCOL),
    SOCKET_ROW(SO_ACCEPTCONN), SOCKET_ROW(SO_REUSEADDR),    SOCKET_ROW(SO_REUSEPORT),    SOCKET_ROW(SO_KEEPALIVE),
    SOCKET_ROW(SO_BROADCAST),  SOCKET_ROW(SO_DONTROUTE),    SOCKET_ROW(SO_OOBINLINE),    SOCKET_ROW(SO_DEBUG),
    SOCKET_ROW(SO_SNDBUF),     SOCKET_ROW(SO_RCVBUF),       SOCKET_ROW(SO_SNDLOWAT),     SOCKET_ROW(SO_RCVLOWAT),
    SOCKET_ROW(SO_LINGER),     SOCKET_ROW(SO_SNDTIMEO),     SOCKET_ROW(SO_RCVTIMEO),     SOCKET_ROW(SO_PRIORITY),
    SOCKET_ROW(SO_MARK),       SOCKET_ROW(SO_INCOMING_CPU), SOCKET_ROW(SO_PASSCRED),     SOCKET_ROW(SO_TIMESTAMP),
    SOCKET_ROW(SO_RXQ_OVFL),   SOCKET_ROW(SO_BUSY_POLL),    SOCKET_ROW(SO_BINDTODEVICE),
    IP_ROW(IP_TTL),            IP_ROW(IP_TOS),              IP_ROW(IP_RECVERR),          IP_ROW(IP_FREEBIND),
    IP_ROW(IP_TRANSPARENT),    IP_ROW(IP_MTU_DISCOVER),     IP_ROW(IP_BIND_ADDRESS_NO_PORT),
    IP_ROW(IP_ADD_MEMBERSHIP), IP_ROW(IP_DROP_MEMBERSHIP),  IP_ROW(IP_MULTICAST_TTL),    IP_ROW(IP_MULTICAST_LOOP),
    IPV6_ROW(IPV6_V6ONLY),     IPV6_ROW(IPV6_UNICAST_HOPS), IPV6_ROW(IPV6_TCLASS),       IPV6_ROW(IPV6_RECVERR),
    IPV6_ROW(IPV6_ADD_MEMBERSHIP), IPV6_ROW(IPV6_DROP_MEMBERSHIP),
    TCP_ROW(TCP_NODELAY),      TCP_ROW(TCP_CORK),           TCP_ROW(TCP_MAXSEG),         TCP_ROW(TCP_DEFER_ACCEPT),
    TCP_ROW(TCP_SYNCNT),       TCP_ROW(TCP_LINGER2),        TCP_ROW(TCP_QUICKACK),       TCP_ROW(TCP_KEEPIDLE),
    TCP_ROW(TCP_KEEPINTVL),    TCP_ROW(TCP_KEEPCNT),        TCP_ROW(TCP_USER_TIMEOUT),   TCP_ROW(TCP_WINDOW_CLAMP),
    TCP_ROW(TCP_FASTOPEN),     TCP_ROW(TCP_NOTSENT_LOWAT),  TCP_ROW(TCP_SAVE_SYN),       TCP_ROW(TCP_INQ),
    TCP_ROW(TCP_CONGESTION),
    {SP_TCP_STATE, {IPPROTO_TCP, TCP_INFO}},
    {SP_TCP_UNACCEPTED, {IPPROTO_TCP, TCP_INFO}},
    {SP_UNKNOWN_OPTION, {SOL_SOCKET, kNoOption}},
    {SP_UNKNOWN_LEVEL, {kNoLevel, 1}},
};
// clang-format on
#undef SOCKET_ROW
#undef IP_ROW
#undef IPV6_ROW
#undef TCP_ROW

}  // namespace

bool FindOption(std::int32_t option, OptionName* out) {
  for (const Row& row : kTable) {
    if (row.option == option) {
      *out = row.name;
      return true;
    }
  }
  return false;
}

std::int32_t NeutralTcpState(unsigned state) {
  switch (state) {
    case TCP_ESTABLISHED:
      return SP_TCP_ESTABLISHED;
    case TCP_SYN_SENT:
      return SP_TCP_SYN_SENT;
    case TCP_SYN_RECV:
      return SP_TCP_SYN_RECEIVED;
    case TCP_FIN_WAIT1:
      return SP_TCP_FIN_WAIT_1;
    case TCP_FIN_WAIT2:
      return SP_TCP_FIN_WAIT_2;
    case TCP_TIME_WAIT:
      return SP_TCP_TIME_WAIT;
    case TCP_CLOSE:
      return SP_TCP_CLOSED;
    case TCP_CLOSE_WAIT:
      return SP_TCP_CLOSE_WAIT;
    case TCP_LAST_ACK:
      return SP_TCP_LAST_ACK;
    case TCP_LISTEN:
      return SP_TCP_LISTEN;
    case TCP_CLOSING:
      return SP_TCP_CLOSING;
    default:
      return 0;
  }
}

}  // namespace sockproof::posix
