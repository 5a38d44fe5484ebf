#include "windows/options.h"

namespace sockproof::windows {
namespace {

// Numbers by themselves: not every tool chain's headers have all of them.
constexpr int kNoOption = 0x6fff, kNoLevel = 0x5fff;
constexpr int kUnspecifiedType = 0x7f;
constexpr OptionForm kNumber = OptionForm::kNumber;

// clang-format off
constexpr OptionNumber kOptions[] = {
    {SP_SO_DEBUG, SOL_SOCKET, 0x0001, kNumber},
    {SP_SO_ACCEPTCONN, SOL_SOCKET, 0x0002, kNumber},
    {SP_SO_REUSEADDR, SOL_SOCKET, 0x0004, kNumber},
    {SP_SO_KEEPALIVE, SOL_SOCKET, 0x0008, kNumber},
    {SP_SO_DONTROUTE, SOL_SOCKET, 0x0010, kNumber},
    {SP_SO_BROADCAST, SOL_SOCKET, 0x0020, kNumber},
    {SP_SO_LINGER, SOL_SOCKET, 0x0080, OptionForm::kLinger},
    {SP_SO_OOBINLINE, SOL_SOCKET, 0x0100, kNumber},
    {SP_SO_EXCLUSIVEADDRUSE, SOL_SOCKET, ~0x0004, kNumber},
    {SP_SO_SNDBUF, SOL_SOCKET, 0x1001, kNumber},
    {SP_SO_RCVBUF, SOL_SOCKET, 0x1002, kNumber},
    {SP_SO_SNDLOWAT, SOL_SOCKET, 0x1003, kNumber},
    {SP_SO_RCVLOWAT, SOL_SOCKET, 0x1004, kNumber},
    {SP_SO_SNDTIMEO, SOL_SOCKET, 0x1005, OptionForm::kMilliseconds},
    {SP_SO_RCVTIMEO, SOL_SOCKET, 0x1006, OptionForm::kMilliseconds},
    {SP_SO_ERROR, SOL_SOCKET, 0x1007, kNumber},
    {SP_SO_TYPE, SOL_SOCKET, 0x1008, kNumber},
    {SP_SO_GROUP_ID, SOL_SOCKET, 0x2001, kNumber},
    {SP_SO_MAX_MSG_SIZE, SOL_SOCKET, 0x2003, kNumber},
    {SP_SO_CONDITIONAL_ACCEPT, SOL_SOCKET, 0x3002, kNumber},
    {SP_SO_PAUSE_ACCEPT, SOL_SOCKET, 0x3003, kNumber},
    {SP_SO_CONNDATA, SOL_SOCKET, 0x7000, kNumber},
    {SP_SO_CONNOPT, SOL_SOCKET, 0x7001, kNumber},
    {SP_SO_UPDATE_ACCEPT_CONTEXT, SOL_SOCKET, 0x700b, OptionForm::kSocket},
    {SP_SO_CONNECT_TIME, SOL_SOCKET, 0x700c, kNumber},
    {SP_SO_UPDATE_CONNECT_CONTEXT, SOL_SOCKET, 0x7010, OptionForm::kNothing},
    {SP_UNKNOWN_OPTION, SOL_SOCKET, kNoOption, kNumber},
    {SP_UNKNOWN_LEVEL, kNoLevel, 1, kNumber},
    {SP_IP_TOS, IPPROTO_IP, 3, kNumber},
    {SP_IP_TTL, IPPROTO_IP, 4, kNumber},
    {SP_IP_MULTICAST_TTL, IPPROTO_IP, 10, kNumber},
    {SP_IP_MULTICAST_LOOP, IPPROTO_IP, 11, kNumber},
    {SP_IP_ADD_MEMBERSHIP, IPPROTO_IP, 12, OptionForm::kMembership},
    {SP_IP_DROP_MEMBERSHIP, IPPROTO_IP, 13, OptionForm::kMembership},
    {SP_IPV6_UNICAST_HOPS, IPPROTO_IPV6, 4, kNumber},
    {SP_IPV6_ADD_MEMBERSHIP, IPPROTO_IPV6, 12, OptionForm::kMembership6},
    {SP_IPV6_DROP_MEMBERSHIP, IPPROTO_IPV6, 13, OptionForm::kMembership6},
    {SP_IPV6_V6ONLY, IPPROTO_IPV6, 27, kNumber},
    {SP_IPV6_TCLASS, IPPROTO_IPV6, 39, kNumber},
    {SP_TCP_NODELAY, IPPROTO_TCP, 1, kNumber},
    {SP_TCP_KEEPIDLE, IPPROTO_TCP, 3, kNumber},
    {SP_TCP_MAXSEG, IPPROTO_TCP, 4, kNumber},
    {SP_TCP_FASTOPEN, IPPROTO_TCP, 15, kNumber},
    {SP_TCP_KEEPCNT, IPPROTO_TCP, 16, kNumber},
    {SP_TCP_KEEPINTVL, IPPROTO_TCP, 17, kNumber},
};
// clang-format on

}  // namespace

const OptionNumber* FindOption(std::int32_t option) {
  for (const OptionNumber& one : kOptions) {
    if (one.option == option) return &one;
  }
  return nullptr;
}

const OptionNumber* FindOption(int level, int name, bool* level_known) {
  *level_known = level == SOL_SOCKET || level == IPPROTO_IP || level == IPPROTO_IPV6 || level == IPPROTO_TCP;
  for (const OptionNumber& one : kOptions) {
    if (one.level == level && one.name == name) return &one;
  }
  return nullptr;
}

int TypeNumber(std::int32_t type) {
  switch (type) {
    case SP_STREAM:
      return SOCK_STREAM;
    case SP_DATAGRAM:
      return SOCK_DGRAM;
    case SP_SEQPACKET:
      return SOCK_SEQPACKET;
    case SP_RAW:
      return SOCK_RAW;
    default:
      return kUnspecifiedType;
  }
}

std::int32_t TypeOf(int number) {
  switch (number) {
    case SOCK_STREAM:
      return SP_STREAM;
    case SOCK_DGRAM:
      return SP_DATAGRAM;
    case SOCK_SEQPACKET:
      return SP_SEQPACKET;
    case SOCK_RAW:
      return SP_RAW;
    default:
      return SP_OTHER_TYPE;
  }
}

}  // namespace sockproof::windows
