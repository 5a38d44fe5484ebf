#include "reference/options.h"

#include <algorithm>
#include <climits>
#include <cstring>

#include "reference/profile.h"
#include "reference/scheduler.h"
#include "reference/socket.h"

namespace sockproof::reference {
namespace {

constexpr OptionLevel kS = OptionLevel::kSocket, kI = OptionLevel::kIp, k6 = OptionLevel::kIpv6, kT = OptionLevel::kTcp;
constexpr OptionType kInt = OptionType::kInteger;
constexpr OptionRule::Kind kFlag = OptionRule::kFlag, kPlain = OptionRule::kPlain, kReadOnly = OptionRule::kReadOnly;
constexpr int64_t kLow = INT32_MIN, kHigh = INT32_MAX;

// clang-format off
constexpr OptionRule kRules[] = {
    {SP_SO_ERROR, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_SO_TYPE, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_SO_DOMAIN, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_SO_PROTOCOL, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_SO_ACCEPTCONN, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_SO_REUSEADDR, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_REUSEPORT, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_EXCLUSIVEADDRUSE, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_KEEPALIVE, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_BROADCAST, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_DONTROUTE, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_OOBINLINE, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_DEBUG, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_SNDBUF, kS, kInt, kPlain, 212992, kLow, kHigh},
    {SP_SO_RCVBUF, kS, kInt, kPlain, 212992, kLow, kHigh},
    {SP_SO_SNDLOWAT, kS, kInt, kReadOnly, 1, 0, 0},
    {SP_SO_RCVLOWAT, kS, kInt, kPlain, 1, kLow, kHigh},
    {SP_SO_LINGER, kS, OptionType::kLinger, kPlain, 0, kLow, kHigh},
    {SP_SO_SNDTIMEO, kS, OptionType::kDuration, kPlain, 0, kLow, kHigh},
    {SP_SO_RCVTIMEO, kS, OptionType::kDuration, kPlain, 0, kLow, kHigh},
    {SP_SO_PRIORITY, kS, kInt, kPlain, 0, kLow, kHigh},
    {SP_SO_MARK, kS, kInt, kPlain, 0, kLow, kHigh},
    {SP_SO_INCOMING_CPU, kS, kInt, kPlain, -1, kLow, kHigh},
    {SP_SO_PASSCRED, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_TIMESTAMP, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_RXQ_OVFL, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_BUSY_POLL, kS, kInt, kPlain, 0, 0, kHigh},
    {SP_SO_BINDTODEVICE, kS, OptionType::kBytes, kPlain, 0, kLow, kHigh},
    {SP_SO_CONDITIONAL_ACCEPT, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_PAUSE_ACCEPT, kS, kInt, kFlag, 0, kLow, kHigh},
    {SP_SO_UPDATE_ACCEPT_CONTEXT, kS, kInt, kPlain, 0, kLow, kHigh},
    {SP_SO_UPDATE_CONNECT_CONTEXT, kS, OptionType::kNothing, kPlain, 0, kLow, kHigh},
    {SP_SO_CONNECT_TIME, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_SO_MAX_MSG_SIZE, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_SO_GROUP_ID, kS, kInt, kReadOnly, 0, 0, 0},
    {SP_IP_TTL, kI, kInt, kPlain, 64, 1, 255},
    {SP_IP_TOS, kI, kInt, kPlain, 0, kLow, kHigh},
    {SP_IP_RECVERR, kI, kInt, kFlag, 0, kLow, kHigh},
    {SP_IP_FREEBIND, kI, kInt, kFlag, 0, kLow, kHigh},
    {SP_IP_TRANSPARENT, kI, kInt, kFlag, 0, kLow, kHigh},
    {SP_IP_MTU_DISCOVER, kI, kInt, kPlain, 1, 0, 5},
    {SP_IP_BIND_ADDRESS_NO_PORT, kI, kInt, kFlag, 0, kLow, kHigh},
    {SP_IP_ADD_MEMBERSHIP, kI, OptionType::kAddress, kPlain, 0, kLow, kHigh},
    {SP_IP_DROP_MEMBERSHIP, kI, OptionType::kAddress, kPlain, 0, kLow, kHigh},
    {SP_IP_MULTICAST_TTL, kI, kInt, kPlain, 1, -1, 255},
    {SP_IP_MULTICAST_LOOP, kI, kInt, kFlag, 1, kLow, kHigh},
    {SP_IPV6_V6ONLY, k6, kInt, kFlag, 0, kLow, kHigh},
    {SP_IPV6_UNICAST_HOPS, k6, kInt, kPlain, 64, -1, 255},
    {SP_IPV6_TCLASS, k6, kInt, kPlain, 0, -1, 255},
    {SP_IPV6_RECVERR, k6, kInt, kFlag, 0, kLow, kHigh},
    {SP_IPV6_ADD_MEMBERSHIP, k6, OptionType::kAddress, kPlain, 0, kLow, kHigh},
    {SP_IPV6_DROP_MEMBERSHIP, k6, OptionType::kAddress, kPlain, 0, kLow, kHigh},
    {SP_TCP_NODELAY, kT, kInt, kFlag, 0, kLow, kHigh},
    {SP_TCP_CORK, kT, kInt, kFlag, 0, kLow, kHigh},
    {SP_TCP_MAXSEG, kT, kInt, kPlain, 536, 88, 32767},
    {SP_TCP_DEFER_ACCEPT, kT, kInt, kPlain, 0, kLow, kHigh},
    {SP_TCP_SYNCNT, kT, kInt, kPlain, 6, 1, 127},
    {SP_TCP_LINGER2, kT, kInt, kPlain, 60, kLow, kHigh},
    {SP_TCP_QUICKACK, kT, kInt, kFlag, 1, kLow, kHigh},
    {SP_TCP_KEEPIDLE, kT, kInt, kPlain, 7200, 1, 32767},
    {SP_TCP_KEEPINTVL, kT, kInt, kPlain, 75, 1, 32767},
    {SP_TCP_KEEPCNT, kT, kInt, kPlain, 9, 1, 127},
    {SP_TCP_USER_TIMEOUT, kT, kInt, kPlain, 0, 0, kHigh},
    {SP_TCP_WINDOW_CLAMP, kT, kInt, kPlain, 0, 0, kHigh},
    {SP_TCP_FASTOPEN, kT, kInt, kPlain, 0, 0, kHigh},
    {SP_TCP_NOTSENT_LOWAT, kT, kInt, kPlain, 0, kLow, kHigh},
    {SP_TCP_SAVE_SYN, kT, kInt, kPlain, 0, 0, 2},
    {SP_TCP_INQ, kT, kInt, kPlain, 0, 0, 1},
    {SP_TCP_CONGESTION, kT, OptionType::kBytes, kPlain, 0, kLow, kHigh},
    {SP_TCP_STATE, kT, kInt, kReadOnly, 0, 0, 0},
    {SP_TCP_UNACCEPTED, kT, kInt, kReadOnly, 0, 0, 0},
};
// clang-format on

constexpr int32_t kIntegerLength = 4, kLingerLength = 8, kDurationLength = 16;

int32_t NaturalLength(OptionType type, const sp_option_args& args) {
  switch (type) {
    case OptionType::kLinger:
      return kLingerLength;
    case OptionType::kDuration:
      return kDurationLength;
    case OptionType::kBytes:
      return static_cast<int32_t>(sizeof args.bytes);
    default:
      return kIntegerLength;
  }
}

// What the interface's value type says of the length that is passed, whatever the option.
OptionType TypeOf(int32_t value_type) {
  switch (value_type) {
    case SP_VALUE_LINGER:
      return OptionType::kLinger;
    case SP_VALUE_DURATION:
      return OptionType::kDuration;
    case SP_VALUE_BYTES:
      return OptionType::kBytes;
    case SP_VALUE_ADDRESS:
      return OptionType::kAddress;
    default:
      return OptionType::kInteger;
  }
}

void Put32(std::vector<uint8_t>* out, int64_t value) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<uint8_t>(value >> shift));
}
void Put64(std::vector<uint8_t>* out, int64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out->push_back(static_cast<uint8_t>(value >> shift));
}
int64_t Take32(const std::vector<uint8_t>& in, std::size_t at) {
  uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= static_cast<uint32_t>(in[at + i]) << (8 * i);
  return static_cast<int32_t>(value);
}
int64_t Take64(const std::vector<uint8_t>& in, std::size_t at) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= static_cast<uint64_t>(in[at + i]) << (8 * i);
  return static_cast<int64_t>(value);
}

// The bytes that the caller's value has in memory. A time is seconds and microseconds, 64 bits each.
std::vector<uint8_t> BytesOf(const sp_option_args& args) {
  std::vector<uint8_t> out;
  switch (TypeOf(args.value_type)) {
    case OptionType::kLinger:
      Put32(&out, args.linger_on);
      Put32(&out, args.linger_seconds);
      break;
    case OptionType::kDuration:
      if (args.duration_ns == INT64_MAX) {
        Put64(&out, 0);
        Put64(&out, 1'000'000);
      } else {
        const int64_t microseconds = args.duration_ns < 0 ? -1'000'000 : (args.duration_ns + 999) / 1000;
        Put64(&out, microseconds / 1'000'000);
        Put64(&out, microseconds % 1'000'000);
      }
      break;
    case OptionType::kBytes:
      out.assign(args.bytes, args.bytes + std::min<std::size_t>(args.byte_count, sizeof args.bytes));
      break;
    default:
      Put32(&out, args.integer);
      break;
  }
  return out;
}

std::vector<uint8_t> BytesOf(const OptionRule& rule, const OptionValue& value) {
  std::vector<uint8_t> out;
  switch (rule.type) {
    case OptionType::kLinger:
      Put32(&out, value.on ? 1 : 0);
      Put32(&out, value.seconds);
      break;
    case OptionType::kDuration:
      Put64(&out, value.integer / kSecond);
      Put64(&out, value.integer % kSecond / kMicrosecond);
      break;
    case OptionType::kBytes:
      out.assign(value.bytes.begin(), value.bytes.end());
      break;
    default:
      Put32(&out, value.integer);
      break;
  }
  return out;
}

// One byte is enough for an option of IP (ip(7)).
bool TakesBytes(OptionLevel level) { return level == OptionLevel::kIp; }

}  // namespace

const OptionRule* RuleOf(int32_t option) {
  for (const OptionRule& rule : kRules) {
    if (rule.option == option) return &rule;
  }
  return nullptr;
}

int32_t Options::Read(int32_t option, OptionValue* value) const {
  if (profile_->options.count(option) == 0) return SP_ENOPROTOOPT;
  const auto found = values_.find(option);
  if (found != values_.end()) {
    *value = found->second;
  } else {
    value->integer = Integer(option);
  }
  return SP_OK;
}

int64_t Options::Integer(int32_t option) const {
  const auto found = values_.find(option);
  if (found != values_.end()) return found->second.integer;
  const auto own = profile_->initial.find(option);
  if (own != profile_->initial.end()) return own->second;
  const OptionRule* rule = RuleOf(option);
  return rule != nullptr ? rule->initial : 0;
}

int64_t Options::Limit(int32_t option) const {
  const int64_t time = Integer(option);
  return time == 0 ? -1 : time;
}

bool Options::lingers() const {
  const auto found = values_.find(SP_SO_LINGER);
  return found != values_.end() && found->second.on;
}

int64_t Options::linger_time() const {
  const auto found = values_.find(SP_SO_LINGER);
  return found == values_.end() ? 0 : found->second.seconds * kSecond;
}

int32_t Options::Write(int32_t option, const OptionValue& value) {
  const OptionRule* rule = RuleOf(option);
  if (rule == nullptr || profile_->options.count(option) == 0 || rule->kind == OptionRule::kReadOnly) return SP_ENOPROTOOPT;
  OptionValue kept = value;
  if (rule->type == OptionType::kInteger) {
    if (rule->kind == OptionRule::kFlag) {
      kept.integer = value.integer != 0 ? 1 : 0;
    } else if (value.integer < rule->lowest || value.integer > rule->highest) {
      return SP_EINVAL;
    }
  }
  const BufferRule& buffers = profile_->buffers;
  switch (option) {
    case SP_SO_SNDBUF:
      kept.integer = std::max(std::clamp<int64_t>(value.integer, 0, buffers.most) * buffers.factor, buffers.least_send);
      break;
    case SP_SO_RCVBUF:
      kept.integer = std::max(std::clamp<int64_t>(value.integer, 0, buffers.most) * buffers.factor, buffers.least_receive);
      break;
    case SP_SO_RCVLOWAT:
      kept.integer = value.integer < 0 ? INT32_MAX : std::max<int64_t>(value.integer, 1);
      break;
    default:
      break;
  }
  values_[option] = kept;
  return SP_OK;
}

void Options::InheritFrom(const Options& other, const std::set<int32_t>& set) {
  for (const auto& [option, value] : other.values_) {
    if (set.count(option) != 0) values_[option] = value;
  }
}

namespace {

// Which error says that there is no such option, before any argument is looked at; SP_OK if there is one.
int32_t Known(const Socket& socket, int32_t option, const OptionRule** rule) {
  *rule = RuleOf(option);
  if (*rule == nullptr) return option == SP_UNKNOWN_LEVEL ? socket.MissingLevel() : SP_ENOPROTOOPT;
  if (!socket.HasLevel((*rule)->level)) return socket.MissingLevel();
  return SP_OK;
}

}  // namespace

int32_t GetOption(Socket* socket, sp_option_args* args, int64_t* native) {
  args->reported = -1;
  const OptionType asked = TypeOf(args->value_type);
  int32_t length = args->length == SP_NATURAL_LENGTH ? NaturalLength(asked, *args) : args->length;
  const OptionRule* rule = nullptr;
  if (const int32_t error = Known(*socket, args->option, &rule); error != SP_OK) {
    return args->length_kind != SP_POINTER_VALID ? static_cast<int32_t>(SP_EFAULT) : error;
  }
  if (args->length_kind != SP_POINTER_VALID) return SP_EFAULT;
  if (length < 0) return SP_EINVAL;
  OptionValue value;
  if (const int32_t error = socket->ReadOption(args->option, &value); error != SP_OK) return error;
  std::vector<uint8_t> bytes = BytesOf(*rule, value);
  if (socket->short_is_fault() && length < static_cast<int32_t>(bytes.size())) return SP_EFAULT;
  const bool one_byte = TakesBytes(rule->level) && rule->type == OptionType::kInteger && length > 0 && length < kIntegerLength &&
                        value.integer >= 0 && value.integer <= 255;
  if (one_byte) length = 1;
  length = std::min(length, static_cast<int32_t>(bytes.size()));
  if (length > 0 && args->kind != SP_POINTER_VALID) return SP_EFAULT;
  args->reported = length;
  bytes.resize(static_cast<std::size_t>(length));
  switch (asked) {
    case OptionType::kInteger:
      if (length >= kIntegerLength) {
        args->integer = Take32(bytes, 0);
        // A DWORD: 0xFFFFFFFF is no negative number.
        if (args->option == SP_SO_CONNECT_TIME || args->option == SP_SO_MAX_MSG_SIZE) args->integer &= 0xffffffff;
      } else if (length >= 1) {
        args->integer = bytes[0];
      }
      if (args->option == SP_SO_ERROR) *native = args->integer;
      break;
    case OptionType::kLinger:
      if (length >= kLingerLength) {
        args->linger_on = static_cast<int32_t>(Take32(bytes, 0));
        args->linger_seconds = static_cast<int32_t>(Take32(bytes, 4));
      }
      break;
    case OptionType::kDuration:
      if (length >= kDurationLength) args->duration_ns = Take64(bytes, 0) * kSecond + Take64(bytes, 8) * kMicrosecond;
      break;
    default:
      args->byte_count = static_cast<uint32_t>(length);
      std::copy(bytes.begin(), bytes.end(), args->bytes);
      break;
  }
  return SP_OK;
}

int32_t SetOption(Socket* socket, const sp_option_args& args) {
  std::vector<uint8_t> bytes = BytesOf(args);
  const int32_t length = args.length == SP_NATURAL_LENGTH ? static_cast<int32_t>(bytes.size()) : args.length;
  if (length < 0) return SP_EINVAL;
  const OptionRule* rule = nullptr;
  if (const int32_t error = Known(*socket, args.option, &rule); error != SP_OK) return error;
  if (rule->kind == OptionRule::kReadOnly) return SP_ENOPROTOOPT;
  bytes.resize(std::max<std::size_t>(bytes.size(), static_cast<std::size_t>(std::min(length, 256))));
  OptionValue value;
  if (rule->type == OptionType::kNothing) return socket->WriteOption(args.option, value);
  const bool one_byte = TakesBytes(rule->level) && length >= 1 && length < kIntegerLength;
  switch (rule->type) {
    case OptionType::kInteger:
      if (length < kIntegerLength && !one_byte) return socket->short_is_fault() ? SP_EFAULT : SP_EINVAL;
      if (args.kind != SP_POINTER_VALID) return SP_EFAULT;
      value.integer = one_byte ? bytes[0] : Take32(bytes, 0);
      break;
    case OptionType::kLinger:
      if (args.kind != SP_POINTER_VALID) return SP_EFAULT;
      if (length < kLingerLength) return socket->short_is_fault() ? SP_EFAULT : SP_EINVAL;
      value.on = Take32(bytes, 0) != 0;
      value.seconds = static_cast<int32_t>(Take32(bytes, 4));
      break;
    case OptionType::kDuration: {
      if (args.kind != SP_POINTER_VALID) return SP_EFAULT;
      if (length < kDurationLength) return socket->short_is_fault() ? SP_EFAULT : SP_EINVAL;
      const int64_t seconds = Take64(bytes, 0), microseconds = Take64(bytes, 8);
      if (microseconds < 0 || microseconds >= 1'000'000) return SP_EDOM;
      value.integer = seconds < 0 ? 0 : seconds * kSecond + microseconds * kMicrosecond;
      break;
    }
    case OptionType::kBytes:
      if (args.kind != SP_POINTER_VALID) return SP_EFAULT;
      value.bytes.assign(bytes.begin(),
                         bytes.begin() + std::min<std::ptrdiff_t>(length, static_cast<std::ptrdiff_t>(bytes.size())));
      break;
    case OptionType::kNothing:
      break;
    case OptionType::kAddress:
      if (args.kind != SP_POINTER_VALID) return SP_EFAULT;
      value.address = args.address;
      break;
  }
  return socket->WriteOption(args.option, value);
}

}  // namespace sockproof::reference
