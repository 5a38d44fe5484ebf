#include "reference/profile.h"

#include <algorithm>
#include <vector>

namespace sockproof::reference {
namespace {

const std::set<int32_t> kEverywhere = {
    SP_CAP_INET,    SP_CAP_INET6,        SP_CAP_DUAL_STACK, SP_CAP_UDP,          SP_CAP_SELECT,          SP_CAP_THREADS,
    SP_CAP_CLOCK,   SP_CAP_SCHEDULER,    SP_CAP_SILENCE,    SP_CAP_BLACK_HOLE,   SP_CAP_IMPAIR,          SP_CAP_INJECT,
    SP_CAP_CAPTURE, SP_CAP_HANDLE_LIMIT, SP_CAP_KNOBS,      SP_CAP_HANDLE_COUNT, SP_CAP_TCP_STATE_SHOWN, SP_CAP_FAULTY_LIMITS,
};

std::set<int32_t> With(std::set<int32_t> set, std::initializer_list<int32_t> more) {
  set.insert(more);
  return set;
}

Profile Posix() {
  Profile profile;
  profile.name = "posix";
  profile.capabilities =
      With(kEverywhere, {SP_CAP_UNIX_STREAM, SP_CAP_UNIX_SEQPACKET, SP_CAP_UNIX_DATAGRAM, SP_CAP_POLL, SP_CAP_HANDLE_PASSING});
  profile.options = {SP_SO_ERROR,     SP_SO_TYPE,      SP_SO_ACCEPTCONN,     SP_SO_REUSEADDR, SP_SO_KEEPALIVE, SP_SO_BROADCAST,
                     SP_SO_DONTROUTE, SP_SO_OOBINLINE, SP_SO_DEBUG,          SP_SO_SNDBUF,    SP_SO_RCVBUF,    SP_SO_LINGER,
                     SP_TCP_NODELAY,  SP_IPV6_V6ONLY,  SP_IPV6_UNICAST_HOPS, SP_SO_RCVTIMEO,  SP_SO_SNDTIMEO,  SP_SO_RCVLOWAT,
                     SP_SO_SNDLOWAT,  SP_SO_DOMAIN,    SP_SO_PROTOCOL};
  // What no edition has and nearly everybody offers, so that what POSIX does say of ports that are shared, of probes and of
  // time-outs can be tried; and what lets scenarios see what they wait for.
  profile.options.insert({SP_SO_REUSEPORT, SP_TCP_SYNCNT, SP_TCP_LINGER2, SP_TCP_KEEPIDLE, SP_TCP_KEEPINTVL, SP_TCP_KEEPCNT,
                          SP_TCP_USER_TIMEOUT, SP_TCP_STATE, SP_TCP_UNACCEPTED});
  profile.inherited = {SP_SO_DEBUG,     SP_SO_REUSEADDR, SP_SO_KEEPALIVE, SP_SO_DONTROUTE, SP_SO_BROADCAST,
                       SP_SO_OOBINLINE, SP_SO_SNDBUF,    SP_SO_RCVBUF,    SP_SO_LINGER,    SP_SO_RCVTIMEO,
                       SP_SO_SNDTIMEO,  SP_SO_RCVLOWAT,  SP_TCP_NODELAY,  SP_IPV6_V6ONLY,  SP_IPV6_UNICAST_HOPS};
  profile.backlog.extra = 1;
  profile.backlog.least = 1;
  profile.send_unconnected = SP_ENOTCONN;
  profile.local_unconnected = SP_ENOTCONN;
  profile.local_shutdown_unconnected = SP_ENOTCONN;
  profile.backlog.negative_is_most = false;
  profile.listen_unbound_local = SP_EDESTADDRREQ;
  profile.hangup_excludes_writable = true;
  profile.second_connect_waits = false;
  profile.second_connect_tells = false;
  profile.shutdown_connecting = SP_ENOTCONN;
  profile.error_is_exception = true;
  profile.local_full = SP_ECONNREFUSED;
  return profile;
}

Profile Linux() {
  Profile profile = Posix();
  profile.name = "linux";
  profile.capabilities = With(profile.capabilities, {SP_CAP_ABSTRACT_NAMES, SP_CAP_EPOLL});
  for (const int32_t option : {SP_SO_PRIORITY,
                               SP_SO_MARK,
                               SP_SO_INCOMING_CPU,
                               SP_SO_PASSCRED,
                               SP_SO_TIMESTAMP,
                               SP_SO_RXQ_OVFL,
                               SP_SO_BUSY_POLL,
                               SP_SO_BINDTODEVICE,
                               SP_IP_TTL,
                               SP_IP_TOS,
                               SP_IP_RECVERR,
                               SP_IP_FREEBIND,
                               SP_IP_TRANSPARENT,
                               SP_IP_MTU_DISCOVER,
                               SP_IP_BIND_ADDRESS_NO_PORT,
                               SP_IP_ADD_MEMBERSHIP,
                               SP_IP_DROP_MEMBERSHIP,
                               SP_IP_MULTICAST_TTL,
                               SP_IP_MULTICAST_LOOP,
                               SP_IPV6_TCLASS,
                               SP_IPV6_RECVERR,
                               SP_IPV6_ADD_MEMBERSHIP,
                               SP_IPV6_DROP_MEMBERSHIP,
                               SP_TCP_CORK,
                               SP_TCP_MAXSEG,
                               SP_TCP_DEFER_ACCEPT,
                               SP_TCP_QUICKACK,
                               SP_TCP_WINDOW_CLAMP,
                               SP_TCP_FASTOPEN,
                               SP_TCP_NOTSENT_LOWAT,
                               SP_TCP_SAVE_SYN,
                               SP_TCP_INQ,
                               SP_TCP_CONGESTION}) {
    profile.options.insert(option);
  }
  // Linux copies the whole socket (inet_csk_clone_lock), but for what says what may be done with its address alone.
  profile.inherited = profile.options;
  for (const int32_t option : {SP_SO_PRIORITY, SP_TCP_FASTOPEN, SP_TCP_DEFER_ACCEPT}) profile.inherited.erase(option);
  profile.inherited_locally = {SP_SO_PASSCRED};
  profile.buffers = {212'992, 2, 4'608, 2'304};
  profile.send_unconnected = SP_EPIPE;
  profile.local_unconnected = SP_EINVAL;
  profile.local_shutdown_unconnected = SP_OK;
  profile.backlog.negative_is_most = true;
  profile.listen_unbound_local = SP_EINVAL;
  profile.hangup_excludes_writable = false;
  profile.second_connect_waits = true;
  profile.second_connect_tells = true;
  profile.shutdown_connecting = SP_OK;
  profile.error_is_exception = false;
  profile.local_full = SP_EAGAIN;
  profile.record_margin = 32;
  return profile;
}

Profile Winsock() {
  Profile profile;
  profile.name = "winsock";
  profile.capabilities =
      With(kEverywhere, {SP_CAP_POLL, SP_CAP_UNIX_STREAM,  // WSAPoll; AF_UNIX knows streams alone
                         SP_CAP_CONNECT_DATA, SP_CAP_CONDITION, SP_CAP_EVENT_OBJECTS, SP_CAP_OVERLAPPED, SP_CAP_SESSION});
  profile.options = {SP_SO_ERROR,
                     SP_SO_TYPE,
                     SP_SO_ACCEPTCONN,
                     SP_SO_REUSEADDR,
                     SP_SO_EXCLUSIVEADDRUSE,
                     SP_SO_KEEPALIVE,
                     SP_SO_BROADCAST,
                     SP_SO_DONTROUTE,
                     SP_SO_OOBINLINE,
                     SP_SO_DEBUG,
                     SP_SO_SNDBUF,
                     SP_SO_RCVBUF,
                     SP_SO_LINGER,
                     SP_SO_SNDTIMEO,
                     SP_SO_RCVTIMEO,
                     SP_SO_CONDITIONAL_ACCEPT,
                     SP_SO_PAUSE_ACCEPT,
                     SP_SO_CONNECT_TIME,
                     SP_SO_UPDATE_ACCEPT_CONTEXT,
                     SP_SO_UPDATE_CONNECT_CONTEXT,
                     SP_SO_MAX_MSG_SIZE,
                     SP_SO_GROUP_ID,
                     SP_TCP_NODELAY,
                     SP_TCP_KEEPIDLE,
                     SP_TCP_KEEPINTVL,
                     SP_TCP_KEEPCNT,
                     SP_TCP_FASTOPEN,
                     SP_IPV6_V6ONLY,
                     SP_TCP_STATE,
                     SP_TCP_UNACCEPTED};
  profile.initial = {{SP_IPV6_V6ONLY, 1}};
  profile.inherited = {SP_SO_DEBUG,      SP_SO_REUSEADDR,        SP_SO_KEEPALIVE, SP_SO_DONTROUTE, SP_SO_BROADCAST,
                       SP_SO_OOBINLINE,  SP_SO_SNDBUF,           SP_SO_RCVBUF,    SP_SO_LINGER,    SP_SO_RCVTIMEO,
                       SP_SO_SNDTIMEO,   SP_SO_EXCLUSIVEADDRUSE, SP_TCP_NODELAY,  SP_IPV6_V6ONLY,  SP_TCP_KEEPIDLE,
                       SP_TCP_KEEPINTVL, SP_TCP_KEEPCNT};
  profile.inherits_nonblocking = true;
  profile.tcp.overflow = TcpPolicy::Overflow::kReset;
  profile.tcp.syn_retries = 2;
  profile.tcp.rto_initial = 3 * kSecond;
  profile.backlog.negative_is_most = false;
  profile.backlog_is_fixed = true;
  profile.local_full = SP_ECONNREFUSED;
  profile.listen_unbound_local = SP_EINVAL;
  profile.local_unconnected = SP_ENOTCONN;
  profile.local_shutdown_unconnected = SP_ENOTCONN;
  profile.shutdown_connecting = SP_ENOTCONN;
  profile.name_unbound = SP_EINVAL;
  profile.accept_reset = SP_ECONNRESET;
  profile.wrong_family_bind = SP_EFAULT;
  profile.fast_path = SP_EOPNOTSUPP;  // there is no shorter way through this network
  profile.select_nothing = SP_EINVAL;
  profile.select_not_socket = SP_ENOTSOCK;
  profile.refused_poll_flags = SP_PRI | SP_WRBAND | SP_ERR | SP_HUP | SP_NVAL;
  profile.local_wrong_family = SP_EAFNOSUPPORT;
  profile.local_wrong_level = SP_ENOPROTOOPT;
  profile.listener_shutdown = SP_ENOTCONN;
  profile.datagram_refused = SP_ECONNRESET;
  profile.failed_connect_is_exception = true;
  profile.local_connect_waits = false;
  profile.local_ignores_destination = true;
  profile.linger_timeout_aborts = true;
  profile.zeros_dissolve = true;
  profile.new_peer_discards = true;
  profile.second_connect_waits = false;
  profile.receive_limit_on_accept = false;
  profile.accept_needs_room_first = false;
  profile.null_length_is_no_address = true;
  profile.reset_stays = true;
  profile.tcp.after_shutdown_read = TcpPolicy::AfterShutdownRead::kReset;
  profile.backlog_most = 200;
  profile.conflict = ExclusiveConflict;
  profile.no_protocol_number = SP_EPROTONOSUPPORT;
  profile.bad_handle = SP_ENOTSOCK;
  profile.path_handle = SP_ENOTSOCK;
  profile.closed_while_waiting = SP_EINTR;
  profile.connecting = SP_EAGAIN;
  profile.send_unconnected = SP_ENOTCONN;
  profile.send_after_shutdown = SP_ESHUTDOWN;
  profile.recv_after_shutdown = SP_ESHUTDOWN;
  profile.receive_timeout = profile.send_timeout = SP_ETIMEDOUT;
  profile.listen_connected = SP_EISCONN;
  profile.listen_unbound = SP_EINVAL;
  profile.connect_listening = SP_EINVAL;
  profile.datagram_too_long = SP_EMSGSIZE;
  profile.port_zero = SP_EADDRNOTAVAIL;
  profile.datagram_nowhere = SP_ENOTCONN;
  profile.receive_unbound = SP_EINVAL;
  profile.address_lengths_are_faults = true;
  profile.short_is_fault = true;
  profile.close_ends_calls = true;
  profile.pipe_signals = false;
  profile.connect_dissolves = false;
  profile.second_connect_tells = false;
  profile.accept_takes_modes = false;
  profile.conditional = true;
  profile.linger_blocks_nonblocking = false;
  profile.bind_lasts = true;
  profile.lowest_version = 0x0100;
  profile.tcp.reset_abandoned_connect = true;
  return profile;
}

Profile WinsockSpi() {
  Profile profile = Winsock();
  profile.name = "winsock-spi";
  profile.backlog_is_fixed = false;
  profile.drops_excess = true;
  return profile;
}

}  // namespace

std::size_t BacklogRule::Capacity(int32_t asked, int64_t most) const {
  int64_t wanted = asked;
  if (asked < 0) wanted = negative_is_most ? most : 0;
  wanted = std::min(wanted, most);
  return static_cast<std::size_t>(std::max(wanted + extra, least));
}

namespace {

const std::vector<Profile>& Profiles() {
  static const std::vector<Profile> profiles = {Linux(), Posix(), Winsock(), WinsockSpi()};
  return profiles;
}
// Made when the program begins: one that forks for each scenario makes them once.
[[maybe_unused]] const std::vector<Profile>& made_early = Profiles();

}  // namespace

const Profile* FindProfile(std::string_view name) {
  if (name.empty()) return &Profiles().front();
  for (const Profile& profile : Profiles()) {
    if (profile.name == name) return &profile;
  }
  return nullptr;
}

}  // namespace sockproof::reference
