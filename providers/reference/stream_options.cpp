#include <algorithm>

#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {
namespace {

// TCP_DEFER_ACCEPT is kept as a number of retransmissions of the SYN+ACK, so what comes back is rounded up to their times.
int64_t DeferredSeconds(int64_t seconds, int64_t first, int64_t longest) {
  if (seconds <= 0) return 0;
  int64_t period = first, step = first;
  while (seconds > period) {
    step = std::min(step * 2, longest);
    period += step;
  }
  return period;
}

constexpr std::size_t kCongestionName = 16;  // TCP_CA_NAME_MAX

std::string Padded(std::string name) {
  name.resize(kCongestionName, '\0');
  return name;
}

}  // namespace

bool StreamSocket::HasLevel(OptionLevel level) const { return level != OptionLevel::kIpv6 || family_ == SP_INET6; }

int32_t StreamSocket::ReadOption(int32_t option, OptionValue* value) const {
  switch (option) {
    case SP_TCP_STATE:
      value->integer = TcpState();
      return SP_OK;
    case SP_SO_CONNECT_TIME:
      if (stack_->profile().options.count(option) == 0) return SP_ENOPROTOOPT;
      value->integer = ConnectTime();
      return SP_OK;
    case SP_TCP_UNACCEPTED:
      if (listener_ == nullptr) return SP_NOT_SUPPORTED;
      value->integer = static_cast<int64_t>(listener_->Waiting());
      return SP_OK;
    case SP_TCP_MAXSEG:
      if (stack_->profile().options.count(option) == 0) return SP_ENOPROTOOPT;
      value->integer =
          connection_ != nullptr && connection_->Established() ? connection_->send_segment() : options_.Integer(option);
      return SP_OK;
    case SP_TCP_SYNCNT:
      if (!options_.IsSet(option) && stack_->profile().options.count(option) != 0) {
        value->integer = stack_->KnobValue(SP_KNOB_SYN_RETRIES);
        return SP_OK;
      }
      break;
    case SP_TCP_LINGER2:
      if (!options_.IsSet(option) && stack_->profile().options.count(option) != 0) {
        value->integer = stack_->KnobValue(SP_KNOB_FIN_TIMEOUT);
        return SP_OK;
      }
      break;
    case SP_TCP_CONGESTION:
      if (!options_.IsSet(option) && stack_->profile().options.count(option) != 0) {
        value->bytes = Padded("reno");
        return SP_OK;
      }
      break;
    default:
      break;
  }
  return Socket::ReadOption(option, value);
}

int32_t StreamSocket::WriteOption(int32_t option, const OptionValue& given) {
  OptionValue value = given;
  switch (option) {
    case SP_SO_UPDATE_ACCEPT_CONTEXT:
      return stack_->profile().options.count(option) != 0 ? UpdateAcceptContext(value.integer)
                                                          : static_cast<int32_t>(SP_ENOPROTOOPT);
    case SP_SO_UPDATE_CONNECT_CONTEXT:
      return stack_->profile().options.count(option) != 0 ? UpdateConnectContext() : static_cast<int32_t>(SP_ENOPROTOOPT);
    case SP_SO_CONDITIONAL_ACCEPT:
      if (listener_ != nullptr) return SP_EINVAL;  // its page, Return value
      break;
    case SP_IPV6_V6ONLY:
      if (binding_ != nullptr) return SP_EINVAL;
      break;
    case SP_TCP_DEFER_ACCEPT:
      value.integer = DeferredSeconds(value.integer, std::max<int64_t>(stack_->tcp().policy().rto_initial / kSecond, 1),
                                      stack_->tcp().policy().rto_maximum / kSecond);
      break;
    case SP_TCP_LINGER2:
      value.integer = value.integer < 0 ? -1 : std::min<int64_t>(value.integer, 120);
      break;
    case SP_TCP_MAXSEG:
      if (value.integer == 0) value.integer = 536;
      break;
    case SP_TCP_FASTOPEN:
      if (TcpState() != SP_TCP_CLOSED && TcpState() != SP_TCP_LISTEN) return SP_EINVAL;
      break;
    case SP_TCP_CONGESTION:
      value.bytes = value.bytes.c_str();
      // Both names are taken, what stands behind them is the same (RFC 5681).
      if (value.bytes != "reno" && value.bytes != "cubic") return SP_ENOENT;
      value.bytes = Padded(value.bytes);
      break;
    case SP_IP_ADD_MEMBERSHIP:
    case SP_IP_DROP_MEMBERSHIP:
    case SP_IPV6_ADD_MEMBERSHIP:
    case SP_IPV6_DROP_MEMBERSHIP:
      return stack_->profile().options.count(option) != 0 ? SP_EPROTO : SP_ENOPROTOOPT;
    case SP_IP_TTL:
      if (value.integer == -1) value.integer = 64;
      break;
    case SP_IP_TOS:
      value.integer &= 0xfc;  // the two bits of ECN are TCP's own
      break;
    default:
      break;
  }
  if (const int32_t error = Socket::WriteOption(option, value); error != SP_OK) return error;
  if (option == SP_SO_REUSEADDR && binding_ != nullptr) binding_->reuse_address = options_.On(option);
  if (connection_ != nullptr && TcpState() != SP_TCP_CLOSED) {
    connection_->settings() = Settings();
    connection_->SettingsChanged();
  }
  if (listener_ != nullptr) {
    listener_->settings() = Settings();
    listener_->paused = options_.On(SP_SO_PAUSE_ACCEPT);
  }
  return SP_OK;
}

TcpSettings StreamSocket::Settings() const {
  TcpSettings settings;
  const int64_t factor = stack_->profile().buffers.factor;
  if (options_.IsSet(SP_SO_SNDBUF)) settings.send_buffer = static_cast<std::size_t>(options_.Integer(SP_SO_SNDBUF) / factor);
  if (options_.IsSet(SP_SO_RCVBUF)) settings.receive_buffer = static_cast<std::size_t>(options_.Integer(SP_SO_RCVBUF) / factor);
  settings.no_delay = options_.On(SP_TCP_NODELAY);
  settings.cork = options_.On(SP_TCP_CORK);
  settings.quick_ack = options_.On(SP_TCP_QUICKACK);
  settings.keep_alive = options_.On(SP_SO_KEEPALIVE);
  settings.keep_idle = options_.Integer(SP_TCP_KEEPIDLE) * kSecond;
  settings.keep_interval = options_.Integer(SP_TCP_KEEPINTVL) * kSecond;
  settings.keep_count = static_cast<int>(options_.Integer(SP_TCP_KEEPCNT));
  settings.user_timeout = options_.Integer(SP_TCP_USER_TIMEOUT) * kMillisecond;
  if (options_.IsSet(SP_TCP_LINGER2)) settings.linger2 = options_.Integer(SP_TCP_LINGER2) * kSecond;
  if (options_.IsSet(SP_TCP_SYNCNT)) settings.syn_retries = static_cast<int>(options_.Integer(SP_TCP_SYNCNT));
  if (options_.IsSet(SP_TCP_MAXSEG)) settings.maximum_segment = static_cast<uint16_t>(options_.Integer(SP_TCP_MAXSEG));
  settings.window_clamp = static_cast<std::size_t>(options_.Integer(SP_TCP_WINDOW_CLAMP));
  settings.urgent_inline = options_.On(SP_SO_OOBINLINE);
  settings.ttl = static_cast<uint8_t>(options_.Integer(family_ == SP_INET6 ? SP_IPV6_UNICAST_HOPS : SP_IP_TTL));
  settings.tos = static_cast<uint8_t>(options_.Integer(SP_IP_TOS));
  settings.defer_accept = options_.Integer(SP_TCP_DEFER_ACCEPT) * kSecond;
  return settings;
}

}  // namespace sockproof::reference
