#include "face/names.h"

#include <array>
#include <charconv>

namespace sockproof {
namespace {

struct Entry {
  uint32_t value;
  std::string_view name;
};

template <std::size_t N>
std::string_view Find(const std::array<Entry, N>& table, uint32_t value, std::string_view otherwise) {
  for (const Entry& entry : table) {
    if (entry.value == value) return entry.name;
  }
  return otherwise;
}

template <std::size_t N>
std::optional<uint32_t> FindName(const std::array<Entry, N>& table, std::string_view name) {
  for (const Entry& entry : table) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}

template <std::size_t N>
std::string BitNames(const std::array<Entry, N>& table, uint32_t bits) {
  if (bits == 0) return "0";
  std::string text;
  for (const Entry& entry : table) {
    if ((bits & entry.value) == 0) continue;
    if (!text.empty()) text += '|';
    text += entry.name;
    bits &= ~entry.value;
  }
  if (bits != 0) {
    if (!text.empty()) text += '|';
    text += std::to_string(bits);
  }
  return text;
}

template <std::size_t N>
std::optional<uint32_t> BitsByName(const std::array<Entry, N>& table, std::string_view text) {
  uint32_t bits = 0;
  while (!text.empty()) {
    const std::size_t bar = text.find('|');
    const std::string_view word = text.substr(0, bar);
    text = bar == std::string_view::npos ? std::string_view{} : text.substr(bar + 1);
    if (const auto bit = FindName(table, word)) {
      bits |= *bit;
      continue;
    }
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    bits |= number;
  }
  return bits;
}

constexpr auto kErrors = std::to_array<Entry>({
    {SP_OK, "ok"},
#define X(name) {SP_##name, #name},
    SP_ERRORS(X)
#undef X
        {SP_UNKNOWN_ERROR, "UNKNOWN"},
    {SP_NOT_SUPPORTED, "NOT_SUPPORTED"},
});

constexpr auto kOps = std::to_array<Entry>({
    {SP_OP_SOCKET, "socket"},
    {SP_OP_SOCKETPAIR, "socketpair"},
    {SP_OP_BIND, "bind"},
    {SP_OP_LISTEN, "listen"},
    {SP_OP_CONNECT, "connect"},
    {SP_OP_ACCEPT, "accept"},
    {SP_OP_DISCONNECT, "disconnect"},
    {SP_OP_SEND, "send"},
    {SP_OP_RECV, "recv"},
    {SP_OP_SHUTDOWN, "shutdown"},
    {SP_OP_CLOSE, "close"},
    {SP_OP_GET_OPTION, "get_option"},
    {SP_OP_SET_OPTION, "set_option"},
    {SP_OP_IOCTL, "ioctl"},
    {SP_OP_LOCAL_NAME, "local_name"},
    {SP_OP_PEER_NAME, "peer_name"},
    {SP_OP_SET_MODE, "set_mode"},
    {SP_OP_GET_MODE, "get_mode"},
    {SP_OP_DUPLICATE, "duplicate"},
    {SP_OP_WATCH_CREATE, "watch_create"},
    {SP_OP_WATCH_ADD, "watch_add"},
    {SP_OP_WATCH_MODIFY, "watch_modify"},
    {SP_OP_WATCH_REMOVE, "watch_remove"},
    {SP_OP_WATCH_WAIT, "watch_wait"},
    {SP_OP_WATCH_CLOSE, "watch_close"},
});
static_assert(kOps.size() == SP_OP_COUNT);

constexpr auto kOptions = std::to_array<Entry>({
#define X(name) {SP_##name, #name},
    SP_OPTIONS(X)
#undef X
});

constexpr auto kCapabilities = std::to_array<Entry>({
#define X(name, text) {SP_CAP_##name, #text},
    SP_CAPABILITIES(X)
#undef X
});

constexpr auto kFamilies = std::to_array<Entry>({
    {SP_UNSPEC, "unspec"},
    {SP_INET, "inet"},
    {SP_INET6, "inet6"},
    {SP_UNIX, "unix"},
    {SP_CONNDATA, "conndata"},
    {SP_OTHER_FAMILY, "other"},
});

constexpr auto kMechanisms = std::to_array<Entry>({
    {SP_POLL, "poll"},
    {SP_SELECT, "select"},
    {SP_EPOLL, "epoll"},
    {SP_PPOLL, "ppoll"},
    {SP_PSELECT, "pselect"},
    {SP_EVENT_OBJECT, "event_object"},
    {SP_WINDOW_MESSAGE, "window_message"},
    {SP_COMPLETION_PORT, "completion_port"},
    {SP_WSAPOLL, "wsapoll"},
});

constexpr auto kEvents = std::to_array<Entry>({
    {SP_IN, "in"},
    {SP_OUT, "out"},
    {SP_PRI, "pri"},
    {SP_ERR, "err"},
    {SP_HUP, "hup"},
    {SP_NVAL, "nval"},
    {SP_RDHUP, "rdhup"},
    {SP_RDNORM, "rdnorm"},
    {SP_RDBAND, "rdband"},
    {SP_WRNORM, "wrnorm"},
    {SP_WRBAND, "wrband"},
    {SP_FD_READ, "fd_read"},
    {SP_FD_WRITE, "fd_write"},
    {SP_FD_OOB, "fd_oob"},
    {SP_FD_ACCEPT, "fd_accept"},
    {SP_FD_CONNECT, "fd_connect"},
    {SP_FD_CLOSE, "fd_close"},
});

constexpr auto kMessageFlags = std::to_array<Entry>({
    {SP_MSG_PEEK, "peek"},
    {SP_MSG_OOB, "oob"},
    {SP_MSG_DONTWAIT, "dontwait"},
    {SP_MSG_WAITALL, "waitall"},
    {SP_MSG_NOSIGNAL, "nosignal"},
    {SP_MSG_TRUNC, "trunc"},
    {SP_MSG_CTRUNC, "ctrunc"},
    {SP_MSG_MORE, "more"},
    {SP_MSG_EOR, "eor"},
    {SP_MSG_DONTROUTE, "dontroute"},
    {SP_MSG_CLOSE_ON_EXEC, "cloexec"},
    {SP_MSG_UNKNOWN_BIT, "unknown_bit"},
});

constexpr auto kModes = std::to_array<Entry>({
    {SP_NONBLOCKING, "nonblocking"},
    {SP_CLOSE_ON_EXEC, "cloexec"},
    {SP_ASYNC, "async"},
    {SP_MODE_UNKNOWN_BIT, "unknown_bit"},
});

std::optional<int32_t> Signed(std::optional<uint32_t> value) {
  if (!value) return std::nullopt;
  return static_cast<int32_t>(*value);
}

}  // namespace

std::string_view ErrorName(int32_t error) { return Find(kErrors, static_cast<uint32_t>(error), "UNKNOWN"); }
std::optional<int32_t> ErrorByName(std::string_view name) {
  // Names that some systems have for the same thing.
  if (name == "EWOULDBLOCK") return SP_EAGAIN;
  if (name == "ENOTSUP") return SP_EOPNOTSUPP;
  if (name == "EDEADLOCK") return SP_EDEADLK;
  return Signed(FindName(kErrors, name));
}

std::string_view OpName(uint32_t op) { return Find(kOps, op, "?"); }
std::optional<uint32_t> OpByName(std::string_view name) { return FindName(kOps, name); }

std::string_view OptionName(int32_t option) { return Find(kOptions, static_cast<uint32_t>(option), "?"); }
std::optional<int32_t> OptionByName(std::string_view name) { return Signed(FindName(kOptions, name)); }

std::string_view CapabilityName(int32_t capability) { return Find(kCapabilities, static_cast<uint32_t>(capability), "?"); }

std::string_view FamilyName(int32_t family) { return Find(kFamilies, static_cast<uint32_t>(family), "?"); }
std::optional<int32_t> FamilyByName(std::string_view name) { return Signed(FindName(kFamilies, name)); }

std::string_view MechanismName(int32_t mechanism) { return Find(kMechanisms, static_cast<uint32_t>(mechanism), "?"); }
std::optional<int32_t> MechanismByName(std::string_view name) { return Signed(FindName(kMechanisms, name)); }

std::string EventNames(uint32_t events) { return BitNames(kEvents, events); }
std::string MessageFlagNames(uint32_t flags) { return BitNames(kMessageFlags, flags); }
std::string ModeNames(uint32_t modes) { return BitNames(kModes, modes); }
std::optional<uint32_t> EventsByName(std::string_view text) { return BitsByName(kEvents, text); }
std::optional<uint32_t> MessageFlagsByName(std::string_view text) { return BitsByName(kMessageFlags, text); }
std::optional<uint32_t> ModesByName(std::string_view text) { return BitsByName(kModes, text); }

}  // namespace sockproof
