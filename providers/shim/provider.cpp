// The provider's table in front of a conversation: calls become lines, lines become results.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "face/codec.h"
#include "face/codec_parser.h"
#include "face/codec_printer.h"
#include "face/names.h"
#include "shim/conversation.h"
#include "shim/shim.h"

namespace sockproof::shim {
namespace {

constexpr std::string_view kName = "sockproof-shim";
constexpr std::string_view kVersion = "1";
constexpr TextOptions kWhole{nullptr, std::size_t{1} << 30};

// What a shim can have. The others would need more than this version of the protocol carries.
constexpr int32_t kCarried[] = {SP_CAP_INET,           SP_CAP_INET6,          SP_CAP_DUAL_STACK,    SP_CAP_UNIX_STREAM,
                                SP_CAP_UNIX_SEQPACKET, SP_CAP_UNIX_DATAGRAM,  SP_CAP_UDP,           SP_CAP_ABSTRACT_NAMES,
                                SP_CAP_CONNECT_DATA,   SP_CAP_CONDITION,      SP_CAP_EVENT_OBJECTS, SP_CAP_POLL,
                                SP_CAP_SELECT,         SP_CAP_EPOLL,          SP_CAP_THREADS,       SP_CAP_HANDLE_PASSING,
                                SP_CAP_HANDLE_COUNT,   SP_CAP_TCP_STATE_SHOWN};

char text_of_shim[160] = "a program that speaks sockproof's line protocol";

// A thread of the suite, and what it waits for.
struct Thread {
  std::atomic<int64_t> operation{0};  // 0: none
};

struct Provider {
  std::unique_ptr<Conversation> talk;
  std::map<int32_t, bool> capabilities;
  std::string why;
  std::mutex mutex;
  std::map<int64_t, std::shared_ptr<Thread>> threads;
  int64_t next_thread = 1;
  std::atomic<int> tells_blocked{-1};  // -1: not asked yet
};

Provider& Of(void* self) { return *static_cast<Provider*>(self); }

std::vector<std::string> Words(const std::string& line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c != ' ') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

bool ReadGreeting(const std::string& line, Provider* provider, std::string* why) {
  const std::vector<std::string> words = Words(line);
  if (words.size() < 3 || words[0] != kName) {
    *why = fmt::format("the shim's first line must be '{} {} NAME CAPABILITY...', and is '{}'", kName, kVersion,
                       line.substr(0, 160));
    return false;
  }
  if (words[1] != kVersion) {
    *why = fmt::format("the shim speaks version {} of the protocol, this is version {}", words[1], kVersion);
    return false;
  }
  std::snprintf(text_of_shim, sizeof text_of_shim, "%s", words[2].c_str());
  for (std::size_t i = 3; i < words.size(); ++i) {
    const auto found = std::find_if(std::begin(kCarried), std::end(kCarried),
                                    [&](int32_t capability) { return CapabilityName(capability) == words[i]; });
    if (found == std::end(kCarried)) {
      std::string known;
      for (const int32_t capability : kCarried) known += fmt::format(" {}", CapabilityName(capability));
      *why = fmt::format("the shim's greeting names the capability '{}'; those that a shim can have are:{}", words[i], known);
      return false;
    }
    provider->capabilities[*found] = true;
  }
  return true;
}

int32_t Open(const char* argument, void** self, const char** why) {
  static std::string reason;  // outlives a provider that did not open
  std::string greeting;
  if (*argument == '\0') {
    *why = "shim: needs a command, tcp:HOST:PORT or unix:PATH, as in shim:./myshim";
    return SP_EINVAL;
  }
  // Whoever writes to a shim that has died hears of it by EPIPE.
  signal(SIGPIPE, SIG_IGN);
  auto provider = std::make_unique<Provider>();
  provider->talk = Conversation::Open(argument, &greeting, &reason);
  if (provider->talk == nullptr || !ReadGreeting(greeting, provider.get(), &reason)) {
    *why = reason.c_str();
    return provider->talk == nullptr ? SP_EIO : SP_EPROTO;
  }
  *self = provider.release();
  return SP_OK;
}

void Close(void* self) {
  Of(self).talk->End();
  delete static_cast<Provider*>(self);
}

int32_t Capability(void* self, int32_t capability, const char** why) {
  Provider& provider = Of(self);
  if (provider.capabilities.count(capability) != 0) return SP_OK;
  const bool carried = std::find(std::begin(kCarried), std::end(kCarried), capability) != std::end(kCarried);
  *why = carried ? "the shim's greeting does not name it" : "a shim cannot be asked for that";
  return SP_NOT_SUPPORTED;
}

// The number of the operation that this thread waits for, for `blocked`.
std::shared_ptr<Thread>& MyRecord() {
  thread_local std::shared_ptr<Thread> record;
  return record;
}

std::string Ask(Provider& provider, const std::string& text, uint64_t room, const Conversation::OnQuestion& on_question = {}) {
  const std::shared_ptr<Thread>& record = MyRecord();
  std::string answer = provider.talk->Ask(text, room, on_question, record != nullptr ? &record->operation : nullptr);
  if (record != nullptr) record->operation = 0;
  return answer;
}

// How many bytes the answer may hold beside its words.
uint64_t RoomOf(const sp_call& call) {
  switch (call.op) {
    case SP_OP_RECV: {
      uint64_t room = 0;
      for (uint32_t i = 0; i < call.u.recv.buffer_count; ++i) room += call.u.recv.buffers[i].length + 32;
      return room;
    }
    case SP_OP_ACCEPT:
      return call.u.accept.output.length;
    case SP_OP_CONNECT:
      return call.u.connect.callee_data.length;
    case SP_OP_WATCH_WAIT:
      return static_cast<uint64_t>(std::clamp(call.u.watch_wait.capacity, 0, 1 << 16)) * 128;
    default:
      return 0;
  }
}

// "ask ..." to the suite's condition function, and its answer as a line.
std::string Question(Provider& provider, const sp_accept_args& accept, const std::string& line) {
  const auto wrong = [&](const std::string& why) { provider.talk->Broke(fmt::format("its question '{}' {}", line, why)); };
  OwnedCall memory;
  codec::Parser words(std::string_view(line).substr(std::min<std::size_t>(line.size(), 4)), &memory);
  sp_condition_request request{};
  request.size = sizeof request;
  sp_address_in caller{}, callee{};
  words.Integer("same_thread", request.same_thread);
  words.AddressIn("caller", caller);
  words.AddressIn("callee", callee);
  words.Integer("caller_length", request.caller_length);
  words.Integer("callee_length", request.callee_length);
  words.UserData("caller_data", request.caller_data);
  words.UserRoom("callee_room", request.callee_data);
  words.Qos("qos", request.has_qos, request.qos);
  words.Integer("group_qos", request.has_group_qos);
  words.Integer("callback_data", request.callback_data);
  if (const std::string error = words.Error(); !error.empty()) wrong(error);
  if (request.callee_data.present != 0 && request.callee_data.kind != SP_POINTER_VALID) wrong("has no room that could be given");
  request.has_caller = caller.kind == SP_POINTER_VALID ? 1 : 0;
  request.has_callee = callee.kind == SP_POINTER_VALID ? 1 : 0;
  request.caller = caller.address;
  request.callee = callee.address;
  const int32_t said = accept.condition(accept.condition_context, &request);
  std::string reply = "reply ";
  switch (said) {
    case SP_CONDITION_ACCEPT:
      reply += "accept";
      break;
    case SP_CONDITION_REJECT:
      reply += "reject";
      break;
    case SP_CONDITION_DEFER:
      reply += "defer";
      break;
    default:
      reply += fmt::format("{}", said);
  }
  codec::Printer printer(&reply, kWhole);
  printer.UserDataGot("callee_data", request.callee_data);
  printer.Qos("qos", request.has_qos, request.qos);
  printer.Integer("group", request.group);
  return reply;
}

// What cannot be, whatever the implementation did.
std::string Impossible(const sp_call& call, const sp_result& result, const std::string& answer) {
  if (result.error != SP_OK) return {};
  const bool has_handle = answer.find(" handle=") != std::string::npos, has_second = answer.find(" second=") != std::string::npos;
  const bool socket =
      call.op == SP_OP_SOCKET || call.op == SP_OP_SOCKETPAIR || call.op == SP_OP_ACCEPT || call.op == SP_OP_DUPLICATE;
  if (socket && (!has_handle || result.handle.kind != SP_HANDLE_SOCKET)) return "its new socket is no 'handle=sNUMBER'";
  if (call.op == SP_OP_SOCKETPAIR && (!has_second || call.u.socketpair.second.kind != SP_HANDLE_SOCKET))
    return "its second socket is no 'second=sNUMBER'";
  if (call.op == SP_OP_WATCH_CREATE && (!has_handle || result.handle.kind != SP_HANDLE_WATCHER))
    return "its new watcher is no 'handle=wNUMBER'";
  if (call.op == SP_OP_RECV && result.value < 0) return "it delivered less than nothing";
  return {};
}

// Lays an address out where the suite looks for it, in the form that sockaddr_in, sockaddr_in6 and sockaddr_un have nearly
// everywhere: no more of it than the length that was passed, nor than the length that came back.
void LayOut(sp_address_out* out) {
  if (out->kind != SP_POINTER_VALID || out->decoded == 0 || out->reported <= 0) return;
  const sp_address& address = out->address;
  std::vector<uint8_t> bytes(static_cast<std::size_t>(std::min(out->reported, int32_t{4096})));
  const auto put = [&](std::size_t at, const uint8_t* from, std::size_t size) {
    for (std::size_t i = 0; i < size && at + i < bytes.size(); ++i) bytes[at + i] = from[i];
  };
  const uint8_t family[] = {static_cast<uint8_t>(address.family), 0};
  const uint8_t port[] = {static_cast<uint8_t>(address.port >> 8), static_cast<uint8_t>(address.port)};
  put(0, family, 2);
  if (address.family == SP_UNIX) {
    put(2, reinterpret_cast<const uint8_t*>(address.path), address.path_length);
  } else {
    put(2, port, 2);
    put(address.family == SP_INET6 ? 8 : 4, address.bytes, address.family == SP_INET ? 4 : 16);
  }
  const int32_t passed = out->length == SP_NATURAL_LENGTH ? out->raw_size : std::min(out->length, out->raw_size);
  std::copy_n(bytes.begin(), std::clamp(passed, 0, static_cast<int32_t>(bytes.size())), out->raw);
}

// A path that begins in the suite's working directory would mean another file to a process that need not stand there.
bool IsRelative(const sp_address_in& in) {
  return in.kind == SP_POINTER_VALID && in.address.family == SP_UNIX && in.address.path_length > 0 && in.address.path[0] != '/' &&
         in.address.path[0] != '\0';
}

bool IsNotImplemented(std::string_view answer) {
  const std::string_view word = answer.substr(0, answer.find(' '));
  return word == "not_implemented" || word == ErrorName(SP_NOT_SUPPORTED);
}

void Call(void* self, sp_call* call, sp_result* result) {
  Provider& provider = Of(self);
  if ((call->op == SP_OP_BIND && IsRelative(call->u.bind.address)) ||
      (call->op == SP_OP_CONNECT && IsRelative(call->u.connect.address))) {
    result->error = SP_NOT_SUPPORTED;
    result->value = -1;
    return;
  }
  const std::string text = CallText(*call, kWhole);
  Conversation::OnQuestion on_question;
  if (call->op == SP_OP_ACCEPT && call->u.accept.condition != nullptr) {
    on_question = [&](const std::string& line) { return Question(provider, call->u.accept, line); };
  }
  const std::string answer = Ask(provider, text, RoomOf(*call), on_question);
  if (IsNotImplemented(answer)) {
    // What the shim says of it has no place in a result, and is wanted where its author looks.
    if (const std::size_t space = answer.find(' '); space != std::string::npos) {
      fmt::print(stderr, "the shim on {}: {}\n", text.substr(0, 80), answer);
    }
    result->error = SP_NOT_SUPPORTED;
    result->value = -1;
    return;
  }
  OwnedCall owned;
  owned.call = *call;
  std::string why;
  if (!ParseResult(answer, &owned, &why)) {
    provider.talk->Broke(fmt::format("in its answer to '{}', '{}': {}", text.substr(0, 200), answer.substr(0, 400), why));
  }
  why = Impossible(owned.call, owned.result, answer);
  if (!why.empty())
    provider.talk->Broke(fmt::format("in its answer to '{}', '{}': {}", text.substr(0, 200), answer.substr(0, 400), why));
  *call = owned.call;
  *result = owned.result;
  if (call->op == SP_OP_LOCAL_NAME || call->op == SP_OP_PEER_NAME) LayOut(&call->u.local_name.name);
  if (call->op == SP_OP_ACCEPT) LayOut(&call->u.accept.peer);
  if (call->op == SP_OP_RECV) LayOut(&call->u.recv.from);
}

// A question of ours whose answer is a number; nothing if the shim does not know it.
std::optional<int64_t> Number(Provider& provider, const std::string& text) {
  const std::string answer = Ask(provider, text, 0);
  if (IsNotImplemented(answer)) return std::nullopt;
  OwnedCall owned;
  owned.call.op = SP_OP_SHUTDOWN;  // has nothing but a value
  std::string why;
  if (!ParseResult(answer, &owned, &why) || owned.result.error != SP_OK) {
    provider.talk->Broke(
        fmt::format("in its answer to '{}', '{}': {}", text, answer.substr(0, 400), why.empty() ? "that cannot fail" : why));
  }
  return owned.result.value;
}

int64_t Current(void* self) {
  Provider& provider = Of(self);
  thread_local int64_t token = 0;
  if (token == 0) {
    MyRecord() = std::make_shared<Thread>();
    const std::lock_guard<std::mutex> lock(provider.mutex);
    token = provider.next_thread++;
    provider.threads[token] = MyRecord();
  }
  return token;
}

int32_t Blocked(void* self, int64_t token) {
  Provider& provider = Of(self);
  if (provider.tells_blocked < 0) provider.tells_blocked = Number(provider, "blocked of=0").has_value() ? 1 : 0;
  if (provider.tells_blocked == 0) return SP_NOT_SUPPORTED;
  std::shared_ptr<Thread> thread;
  {
    const std::lock_guard<std::mutex> lock(provider.mutex);
    const auto found = provider.threads.find(token);
    if (found == provider.threads.end()) return SP_EAGAIN;
    thread = found->second;
  }
  const int64_t operation = thread->operation;
  if (operation == 0) return SP_EAGAIN;
  const bool blocked = Number(provider, fmt::format("blocked of={}", operation)).value_or(0) == 1;
  return blocked && thread->operation == operation ? SP_OK : SP_EAGAIN;
}

int32_t OpenHandles(void* self, uint64_t* count) {
  Provider& provider = Of(self);
  if (provider.capabilities.count(SP_CAP_HANDLE_COUNT) == 0) return SP_NOT_SUPPORTED;
  const std::optional<int64_t> number = Number(provider, "open_handles");
  if (!number) return SP_NOT_SUPPORTED;
  *count = static_cast<uint64_t>(std::max<int64_t>(*number, 0));
  return SP_OK;
}

const sp_thread_group kThreads = {sizeof(sp_thread_group), Current, Blocked, nullptr, nullptr, nullptr};
const sp_counter_group kCounters = {sizeof(sp_counter_group), OpenHandles, nullptr};

}  // namespace
}  // namespace sockproof::shim

const struct sp_provider* sockproof_shim_provider(void) {
  namespace shim = sockproof::shim;
  static const sp_provider provider = [] {
    sp_provider table{};
    table.size = sizeof table;
    table.version = SP_API_VERSION;
    table.name = "shim";
    table.text = shim::text_of_shim;
    table.open = shim::Open;
    table.close = shim::Close;
    table.capability = shim::Capability;
    table.call = shim::Call;
    table.threads = &shim::kThreads;
    table.counters = &shim::kCounters;
    return table;
  }();
  return &provider;
}
