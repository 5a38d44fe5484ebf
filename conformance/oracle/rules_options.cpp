// What is set and asked for: modes, options, the pending error, counts of bytes.
#include <array>

#include <fmt/format.h>

#include "face/codec_words.h"
#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kMode("mode.sticks", "A socket is non-blocking exactly if it was made so.", "",
                 "POSIX.1-2001 fcntl() DESCRIPTION F_SETFL, F_GETFL");
const Rule kNoError("error.none", "A socket that nothing has gone wrong with has no pending error.", "options.error_zero");
const Rule kTaken("error.taken", "Reading SO_ERROR takes the pending error away.", "close.error_cleared");
const Rule kTakenRefusal("error.refusal_taken", "Reading SO_ERROR takes the error of a failed attempt away.",
                         "refused.error_clears");
const Rule kPendingNone("error.pending_none", "Nothing is wrong with a socket while its connection is under way.",
                        "progress.no_error_pending");
const Rule kErrorThere("error.there", "An error that poll has reported, and that nobody has taken, is what SO_ERROR tells.", "",
                       "POSIX.1-2001 getsockopt() DESCRIPTION SO_ERROR; POSIX.1-2001 poll() DESCRIPTION POLLERR");
const Rule kChildNot("option.child_not_listening", "An accepted socket is not in the listening state.",
                     "accept.child_not_marked_listening");
const Rule kListenerValue("option.accepting_value", "SO_ACCEPTCONN of a listener is 1.", "accept.acceptconn_value");
const Rule kListenerShut("option.accepting_shut", "SO_ACCEPTCONN of a listener that was shut down for reading is 0.",
                         "accept.acceptconn_after_shutdown");
const Rule kType("option.type", "SO_TYPE is the type that the socket was made with.", "options.type");
const Rule kDomain("option.domain", "SO_DOMAIN is the family that the socket was made with.", "options.domain");
const Rule kBoolean("option.boolean", "A Boolean option reads as it was set.", "options.booleans_stick");
const Rule kNoDelay("option.nodelay", "TCP_NODELAY reads as it was set.", "options.nodelay_sticks");
const Rule kLinger("option.linger", "SO_LINGER reads as it was set.", "close.linger_option");
const Rule kAcceptFresh("option.accepting_not", "SO_ACCEPTCONN of a socket that does not listen is 0.",
                        "accept.acceptconn_fresh");
const Rule kAcceptListener("option.accepting", "SO_ACCEPTCONN of a listener is true.", "accept.acceptconn_listening");
const Rule kTimeouts("option.time_out", "SO_RCVTIMEO and SO_SNDTIMEO read as they were set, give or take a tick of the clock.",
                     "options.timeouts_stick");
const Rule kUnread("count.unread", "FIONREAD tells no more bytes than were sent and not received.", "data.unread_bytes");
const Rule kListenerUnread("count.listener", "Asking a listener how many bytes can be read fails.", "listen.readable_bytes");

constexpr std::array kBooleans{SP_SO_KEEPALIVE, SP_SO_BROADCAST, SP_SO_DONTROUTE, SP_SO_OOBINLINE, SP_SO_REUSEADDR};
constexpr int64_t kTick = 20000000;

bool Boolean(int32_t option) { return std::find(kBooleans.begin(), kBooleans.end(), option) != kBooleans.end(); }

std::optional<int32_t> OptionOf(const Operation& call) { return OptionByName(call.arguments.Get("option")); }

bool Plain(const Operation& call) {
  return !call.arguments.Has("value") && !call.arguments.Has("length") && !call.arguments.Has("length_pointer");
}

// What changes how connections come about, are torn down or are seen, beyond what the model has.
bool MakesOdd(int32_t option) {
  switch (option) {
    case SP_SO_BINDTODEVICE:
    case SP_SO_RCVLOWAT:
    case SP_SO_SNDLOWAT:
    case SP_SO_PAUSE_ACCEPT:
    case SP_SO_CONDITIONAL_ACCEPT:
    case SP_SO_UPDATE_ACCEPT_CONTEXT:
    case SP_SO_UPDATE_CONNECT_CONTEXT:
    case SP_SO_CONNDATA:
    case SP_SO_CONNOPT:
    case SP_IP_FREEBIND:
    case SP_IP_TRANSPARENT:
    case SP_IP_BIND_ADDRESS_NO_PORT:
    case SP_TCP_DEFER_ACCEPT:
    case SP_TCP_SYNCNT:
    case SP_TCP_LINGER2:
    case SP_TCP_USER_TIMEOUT:
    case SP_TCP_FASTOPEN:
    case SP_TCP_SAVE_SYN:
    case SP_SO_OOBINLINE:
      return true;
    default:
      return false;
  }
}

bool Linger(std::string_view text, std::pair<int32_t, int32_t>* out) {
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return false;
  return codec::ReadNumber(text.substr(0, comma), &out->first) && codec::ReadNumber(text.substr(comma + 1), &out->second);
}

Setting<int64_t>* Limit(Socket& socket, int32_t option) {
  return option == SP_SO_RCVTIMEO ? &socket.receive_limit : option == SP_SO_SNDTIMEO ? &socket.send_limit : nullptr;
}

void PendingError(Court& court, const Operation& call, Socket& socket) {
  const auto named = call.results.Find("error");
  const int64_t error = named ? ErrorByName(*named).value_or(SP_UNKNOWN_ERROR) : call.results.Number("integer", 0);
  if (!ConnectionMode(socket) || socket.odd || !Court::Stable(socket, call)) {
    if (error != 0) socket.error_possible = true;
    return;
  }
  const std::string_view name = ErrorName(static_cast<int32_t>(error));
  const bool quiet = court.Alone(socket) && !socket.error_possible && !socket.out.urgent &&
                     (socket.phases == kFresh || socket.phases == kListening || socket.phases == kConnected);
  const bool sound = socket.phases != kConnected || (!court.EndPossible(socket) && !socket.write_shut.Possible());
  if (quiet && sound && socket.attempt_begin == 0) {
    if (!court.Allows(kNoError, call, name)) return;
  } else if (quiet && sound && socket.phases == kConnected) {
    if (!court.Allows(kNoError, call, name)) return;
  }
  if (socket.phases == kConnecting && court.Alone(socket) && !court.Allows(kPendingNone, call, name)) return;
  if (call.was_error && Court::TakesAlone(socket, call) && !socket.shared && !socket.out.urgent) {
    if (!court.Holds(kErrorThere, call, error != 0, "none")) return;
  }
  Setting<int64_t>& taken = socket.options[SP_SO_ERROR];
  if (taken.value && *taken.value != 0 && Court::TakesAlone(socket, call) && taken.set < call.begin) {
    // Since the last reading nothing was done with the socket that could have brought another one.
    if (socket.phases == kConnected || socket.phases == kFailed) {
      if (!court.Allows(socket.phases == kConnected ? kTaken : kTakenRefusal, call, name)) return;
    }
  }
  taken.Set(error, call.end);
  if (error != 0) {
    socket.told = true;
    if (socket.phases == kConnected) socket.broken.End(call.end);
    if ((socket.phases & kConnecting) != 0) {
      socket.phases = kFailed;
      socket.changed = call.end;
      if (socket.listener != kNobody) {
        auto& queue = court.At(socket.listener).queue;
        queue.erase(std::remove_if(queue.begin(), queue.end(), [&](const Attempt& of) { return of.client == call.subject; }),
                    queue.end());
        court.At(socket.listener).visitors = true;
        socket.listener = kNobody;
      }
    }
  }
}

}  // namespace

void BeginMode(Court& court, const Operation& call) {
  if (call.subject != kNobody) ++court.At(call.subject).nonblocking.under_way;
}

void EndMode(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  Socket& socket = court.At(call.subject);
  if (call.op == SP_OP_SET_MODE) {
    --socket.nonblocking.under_way;
    const uint32_t set = ModesByName(call.arguments.Get("set")).value_or(0);
    const uint32_t clear = ModesByName(call.arguments.Get("clear")).value_or(0);
    if (!call.ok()) {
      socket.nonblocking.Set(std::nullopt, call.end);
    } else if ((set & SP_NONBLOCKING) != 0) {
      socket.nonblocking.Set(true, call.end);
    } else if ((clear & SP_NONBLOCKING) != 0) {
      socket.nonblocking.Set(false, call.end);
    } else {
      socket.nonblocking.set = std::max(socket.nonblocking.set, socket.nonblocking.under_way > 0 ? call.end : Moment{0});
    }
    return;
  }
  const auto nonblocking = socket.nonblocking.For(call);
  if (!call.ok() || !nonblocking || socket.unknown || socket.shared) return;
  const bool seen = (call.value & SP_NONBLOCKING) != 0;
  court.Holds(kMode, call, seen == *nonblocking, seen ? "non-blocking" : "blocking");
}

void BeginSetOption(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  Socket& socket = court.At(call.subject);
  const auto option = OptionOf(call);
  if (!option) return;
  if (*option == SP_SO_LINGER) ++socket.linger.under_way;
  if (Setting<int64_t>* limit = Limit(socket, *option)) ++limit->under_way;
  if (Boolean(*option) || *option == SP_TCP_NODELAY) ++socket.options[*option].under_way;
  if (call.ok()) {
    if (*option == SP_SO_REUSEADDR || *option == SP_SO_REUSEPORT || *option == SP_SO_EXCLUSIVEADDRUSE) socket.sharing = true;
    if (MakesOdd(*option)) {
      socket.odd = true;
      // Bytes out of band are in the stream from now on.
      if (*option == SP_SO_OOBINLINE && socket.peer != kNobody) court.At(socket.peer).out.urgent = true;
    }
    if (*option == SP_SO_KEEPALIVE || *option == SP_IP_RECVERR) socket.broken.Begin(court.now);
  }
}

void EndSetOption(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  Socket& socket = court.At(call.subject);
  const auto option = OptionOf(call);
  if (!option) return;
  if (*option == SP_SO_LINGER) {
    --socket.linger.under_way;
    std::pair<int32_t, int32_t> value;
    if (call.ok() && Plain(call) && Linger(call.arguments.Get("linger"), &value)) {
      socket.linger.Set(value, call.end);
    } else if (call.ok()) {
      socket.linger.Set(std::nullopt, call.end);
    }
  }
  if (Setting<int64_t>* limit = Limit(socket, *option)) {
    --limit->under_way;
    const int64_t value = call.arguments.Number("duration_ns", -1);
    if (call.ok()) limit->Set(Plain(call) && value >= 0 && value < INT64_MAX ? std::optional(value) : std::nullopt, call.end);
  }
  if (Boolean(*option) || *option == SP_TCP_NODELAY) {
    Setting<int64_t>& setting = socket.options[*option];
    --setting.under_way;
    if (call.ok()) {
      const auto value = call.arguments.Find("integer");
      setting.Set(Plain(call) && value ? std::optional(call.arguments.Number("integer", 0)) : std::nullopt, call.end);
    }
  }
}

void EndGetOption(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  const auto option = OptionOf(call);
  if (socket == nullptr || !option || !call.ok() || !Plain(call)) return;
  const bool structured = *option == SP_SO_LINGER || *option == SP_SO_RCVTIMEO || *option == SP_SO_SNDTIMEO;
  if (call.arguments.Has("type") && !structured) return;
  const int64_t seen = call.results.Number("integer", 0);
  const std::string number = fmt::format("={}", seen);
  const auto reads = [&](const Rule& rule, int64_t expected) {
    court.Holds(rule, call, seen == expected, fmt::format("{} and not {}", seen, expected));
  };
  switch (*option) {
    case SP_SO_ERROR:
      return PendingError(court, call, *socket);
    case SP_SO_TYPE:
      return reads(kType, socket->type);
    case SP_SO_DOMAIN:
      return reads(kDomain, socket->family);
    case SP_SO_ACCEPTCONN:
      if (!Court::Stable(*socket, call) || socket->odd) return;
      if (socket->read_shut.Possible()) {
        const bool internet = socket->family == SP_INET || socket->family == SP_INET6;
        if (socket->phases == kListening && internet && socket->read_shut.Certain(call))
          court.Allows(kListenerShut, call, number);
        return;
      }
      if (socket->phases == kConnected && socket->accepted) court.Allows(kChildNot, call, number);
      if (socket->phases == kListening) {
        if (seen != 0 && !court.Allows(kListenerValue, call, number)) return;
        court.Holds(kAcceptListener, call, seen != 0, number);
      } else if (socket->phases == kFresh && ConnectionMode(*socket)) {
        court.Allows(kAcceptFresh, call, number);
      }
      return;
    case SP_SO_LINGER: {
      std::pair<int32_t, int32_t> value;
      const auto set = socket->linger.For(call);
      if (!set || socket->linger.set == socket->changed || !Linger(call.results.Get("linger"), &value)) return;
      const bool same = (value.first != 0) == (set->first != 0) && (set->first == 0 || value.second == set->second);
      court.Holds(kLinger, call, same, fmt::format("{},{} and not {},{}", value.first, value.second, set->first, set->second));
      return;
    }
    case SP_SO_RCVTIMEO:
    case SP_SO_SNDTIMEO: {
      const auto set = Limit(*socket, *option)->For(call);
      const int64_t value = call.results.Number("duration_ns", -1);
      if (set && *set > 0 && value >= 0) {
        court.Holds(kTimeouts, call, value >= *set - kTick && value <= *set + kTick,
                    fmt::format("{} ns and not {}", value, *set));
      }
      return;
    }
    default:
      if (Boolean(*option) || *option == SP_TCP_NODELAY) {
        const auto setting = socket->options.find(*option);
        if (setting == socket->options.end()) return;
        const auto set = setting->second.For(call);
        if (!set) return;
        court.Holds(*option == SP_TCP_NODELAY ? kNoDelay : kBoolean, call, (seen != 0) == (*set != 0), number);
      }
  }
}

void EndIoctl(Court& court, const Operation& call) {
  Socket* socket = court.Of(call);
  if (socket == nullptr) return;
  const int64_t request = call.arguments.Number("request", -1);
  if (request == SP_IOCTL_NONBLOCKING) return socket->nonblocking.Set(std::nullopt, call.end);
  if (request != SP_IOCTL_READABLE || call.arguments.Has("pointer") || socket->odd || !ConnectionMode(*socket)) return;
  if (!Court::Stable(*socket, call) || socket->reading > 0 || socket->jumbled) return;
  if (socket->phases == kListening && socket->read_shut.Possible()) return;  // it may listen no more
  if (socket->phases == kListening && (socket->family != SP_UNIX || socket->type == SP_STREAM)) {
    court.Allows(kListenerUnread, call, NameOf(call));
    return;
  }
  const Socket* peer = court.PeerOf(*socket);
  if (!call.ok() || socket->phases != kConnected || peer == nullptr || peer->unknown || socket->type != SP_STREAM ||
      peer->out.urgent || socket->consuming > 0 || socket->consumed > call.begin) {
    return;
  }
  const int64_t most = static_cast<int64_t>(peer->out.taken + peer->out.under_way) - static_cast<int64_t>(socket->read);
  // The end of the stream may be counted as something to read.
  const bool ended = court.EndPossible(*socket);
  court.Holds(kUnread, call, call.value >= 0 && call.value <= most + (ended ? 1 : 0),
              fmt::format("{} of at most {}", call.value, most));
}

}  // namespace sockproof::oracle
