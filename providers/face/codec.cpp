#include "face/codec.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "face/address.h"
#include "face/names.h"

namespace sockproof {
namespace {

using NameOf = std::string (*)(uint32_t);
using ValueOf = std::optional<uint32_t> (*)(std::string_view);

template <typename Number>
bool ReadNumber(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc{} && !text.empty() && end == text.data() + text.size();
}

std::optional<sp_handle> ReadHandle(std::string_view text) {
  sp_handle handle{};
  if (text == "invalid") {
    handle.kind = SP_HANDLE_INVALID;
  } else if (text == "not_socket") {
    handle.kind = SP_HANDLE_NOT_SOCKET;
  } else if (text == "path_only") {
    handle.kind = SP_HANDLE_PATH_ONLY;
  } else if (!text.empty() && (text[0] == 's' || text[0] == 'w') && ReadNumber(text.substr(1), &handle.value)) {
    handle.kind = text[0] == 's' ? SP_HANDLE_SOCKET : SP_HANDLE_WATCHER;
  } else {
    return std::nullopt;
  }
  return handle;
}

std::string_view PointerName(int32_t kind) {
  switch (kind) {
    case SP_POINTER_NULL:
      return "null";
    case SP_POINTER_INVALID:
      return "bad";
    default:
      return "valid";
  }
}

int32_t PointerKind(std::string_view text) {
  if (text == "null") return SP_POINTER_NULL;
  if (text == "bad") return SP_POINTER_INVALID;
  return SP_POINTER_VALID;
}

// Writes the fields that differ from their default as words.
class Printer {
 public:
  Printer(std::string* text, const TextOptions& options) : text_(*text), options_(options) {}
  static constexpr bool kReading = false;

  template <typename Number>
  void Integer(const char* key, Number& value, Number otherwise = 0) {
    if (value != otherwise) Word(key, std::to_string(value));
  }
  void Bits(const char* key, uint32_t& value, NameOf name, ValueOf) {
    if (value != 0) Word(key, name(value));
  }
  void Handle(const char* key, sp_handle& handle) { Word(key, HandleText(handle)); }
  void AddressIn(const char* key, sp_address_in& in) {
    std::string value = in.kind == SP_POINTER_VALID ? Address(in.address).ToString() : std::string(PointerName(in.kind));
    if (in.length != SP_NATURAL_LENGTH) value += fmt::format(",length={}", in.length);
    Word(key, value);
  }
  // What is asked for: how much room, or why there is none.
  void AddressRoom(const char* key, sp_address_out& out) {
    if (out.kind == SP_POINTER_NULL && out.length_kind == SP_POINTER_NULL) return;
    const int32_t room = out.length == SP_NATURAL_LENGTH ? out.raw_size : out.length;
    Word(key, fmt::format("{},{},{}", PointerName(out.kind), PointerName(out.length_kind), room));
  }
  void AddressGot(const char* key, sp_address_out& out) {
    if (out.reported < 0) return;
    Word(key, fmt::format("{},{}", out.decoded != 0 ? Address(out.address).ToString() : "undecoded", out.reported));
  }
  void Pointer(const char* key, int32_t& kind) {
    if (kind != SP_POINTER_VALID) Word(key, std::string(PointerName(kind)));
  }
  void Data(sp_transfer_args& args) {
    if (options_.payload != nullptr) {
      Word("payload", fmt::format("{},{},{}", options_.payload->seed, options_.payload->offset, options_.payload->length));
      Word("pieces", Lengths(args));
      return;
    }
    for (uint32_t i = 0; i < args.buffer_count; ++i) Word("data", Bytes(args.buffers[i], args.buffers[i].length));
  }
  void Room(sp_transfer_args& args) { Word("room", Lengths(args)); }
  void Received(sp_transfer_args& args, int64_t count) {
    if (count <= 0) return;
    if (options_.payload != nullptr) {
      Word("payload", fmt::format("{},{},{}", options_.payload->seed, options_.payload->offset, count));
      return;
    }
    uint64_t left = static_cast<uint64_t>(count);
    for (uint32_t i = 0; i < args.buffer_count && left > 0; ++i) {
      const uint64_t part = std::min(left, args.buffers[i].length);
      Word("data", Bytes(args.buffers[i], part));
      left -= part;
    }
  }
  void Handles(sp_transfer_args& args) {
    for (uint32_t i = 0; i < args.handle_count; ++i) Word("passes", HandleText(args.handles[i]));
  }
  void Option(sp_option_args& args) { Word("option", std::string(OptionName(args.option))); }
  void OptionValue(sp_option_args& args) {
    switch (args.value_type) {
      case SP_VALUE_LINGER:
        Word("linger", fmt::format("{},{}", args.linger_on, args.linger_seconds));
        break;
      case SP_VALUE_DURATION:
        Word("duration_ns", std::to_string(args.duration_ns));
        break;
      case SP_VALUE_BYTES:
        Word("bytes", Hex(args.bytes, std::min<std::size_t>(args.byte_count, sizeof args.bytes)));
        break;
      case SP_VALUE_ADDRESS:
        Word("address", Address(args.address).ToString());
        break;
      default:
        Word("integer", std::to_string(args.integer));
    }
  }
  void Events(sp_watch_wait_args& args) {
    for (int32_t i = 0; i < args.count; ++i) {
      const sp_event& event = args.events[i];
      Word("event", fmt::format("{},{},{}", event.cookie, EventNames(event.events), ErrorName(event.error)));
    }
  }
  void EventRoom(sp_watch_wait_args& args) { Word("room", std::to_string(args.capacity)); }
  void Name(const char* key, int32_t& value, std::string_view (*name)(int32_t), std::optional<int32_t> (*)(std::string_view)) {
    Word(key, std::string(name(value)));
  }

 private:
  void Word(const char* key, const std::string& value) { text_ += fmt::format(" {}={}", key, value); }
  static std::string Hex(const uint8_t* data, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += fmt::format("{:02x}", data[i]);
    return text;
  }
  std::string Bytes(const sp_buffer& buffer, uint64_t length) const {
    if (buffer.kind != SP_POINTER_VALID) return fmt::format("{}:{}", length, PointerName(buffer.kind));
    const auto shown = static_cast<std::size_t>(std::min<uint64_t>(length, options_.max_bytes));
    return fmt::format("{}:{}{}", length, Hex(static_cast<const uint8_t*>(buffer.data), shown), shown < length ? "+" : "");
  }
  static std::string Lengths(const sp_transfer_args& args) {
    std::string text;
    for (uint32_t i = 0; i < args.buffer_count; ++i) {
      if (i > 0) text += ',';
      const sp_buffer& buffer = args.buffers[i];
      if (buffer.kind != SP_POINTER_VALID) text += std::string(PointerName(buffer.kind)) + ":";
      text += std::to_string(buffer.length);
    }
    return text;
  }

  std::string& text_;
  const TextOptions& options_;
};

// Takes the same fields from the words of a line.
class Parser {
 public:
  Parser(std::string_view text, OwnedCall* out) : out_(*out) {
    while (!text.empty()) {
      const std::size_t space = text.find(' ');
      const std::string_view word = text.substr(0, space);
      text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
      if (word.empty()) continue;
      const std::size_t equals = word.find('=');
      if (equals == std::string_view::npos) {
        Wrong(word);
        continue;
      }
      words_.emplace(std::string(word.substr(0, equals)), std::string(word.substr(equals + 1)));
    }
  }
  static constexpr bool kReading = true;

  // Empty when every word was understood and used.
  std::string Error() {
    if (!wrong_.empty()) return "cannot read '" + wrong_ + "'";
    if (!words_.empty()) return "does not know the word '" + words_.begin()->first + "' here";
    return {};
  }

  template <typename Number>
  void Integer(const char* key, Number& value, Number otherwise = 0) {
    value = otherwise;
    if (const auto text = Take(key)) {
      if (!ReadNumber(*text, &value)) Wrong(*text);
    }
  }
  void Bits(const char* key, uint32_t& value, NameOf, ValueOf parse) {
    value = 0;
    if (const auto text = Take(key)) {
      if (const auto bits = parse(*text)) {
        value = *bits;
      } else {
        Wrong(*text);
      }
    }
  }
  void Handle(const char* key, sp_handle& handle) {
    if (const auto text = Take(key)) {
      if (const auto got = ReadHandle(*text)) {
        handle = *got;
      } else {
        Wrong(*text);
      }
    }
  }
  void AddressIn(const char* key, sp_address_in& in) {
    in = {};
    in.kind = SP_POINTER_NULL;
    in.length = SP_NATURAL_LENGTH;
    auto text = Take(key);
    if (!text) return;
    if (const std::size_t comma = text->rfind(",length="); comma != std::string::npos) {
      if (!ReadNumber(std::string_view(*text).substr(comma + 8), &in.length)) Wrong(*text);
      text->resize(comma);
    }
    Address address;
    if (*text == "null" || *text == "bad") {
      in.kind = PointerKind(*text);
    } else if (Address::Parse(*text, &address)) {
      in.kind = SP_POINTER_VALID;
      in.address = address.raw();
    } else {
      Wrong(*text);
    }
  }
  void AddressRoom(const char* key, sp_address_out& out) {
    out = {};
    out.kind = out.length_kind = SP_POINTER_NULL;
    out.reported = -1;
    const auto text = Take(key);
    if (!text) return;
    const std::vector<std::string> part = Split(*text);
    if (part.size() != 3 || !ReadNumber(part[2], &out.length)) return Wrong(*text);
    out.kind = PointerKind(part[0]);
    out.length_kind = PointerKind(part[1]);
    out.raw_size = std::clamp(out.length, 0, 4096);
    out.raw = out_.Allocate(static_cast<std::size_t>(std::max(out.raw_size, 1)));
  }
  void AddressGot(const char* key, sp_address_out& out) {
    out.reported = -1;
    out.decoded = 0;
    const auto text = Take(key);
    if (!text) return;
    const std::size_t comma = text->rfind(',');
    if (comma == std::string::npos || !ReadNumber(std::string_view(*text).substr(comma + 1), &out.reported)) return Wrong(*text);
    const std::string_view name = std::string_view(*text).substr(0, comma);
    if (name == "undecoded") return;
    Address address;
    if (!Address::Parse(name, &address)) return Wrong(*text);
    out.address = address.raw();
    out.decoded = 1;
  }
  void Pointer(const char* key, int32_t& kind) {
    const auto text = Take(key);
    kind = text ? PointerKind(*text) : SP_POINTER_VALID;
  }
  void Data(sp_transfer_args& args) {
    if (const auto text = Take("payload")) {
      const std::vector<std::string> part = Split(*text);
      Payload payload;
      if (part.size() != 3 || !ReadNumber(part[0], &payload.seed) || !ReadNumber(part[1], &payload.offset) ||
          !ReadNumber(part[2], &payload.length) || payload.length > kMostBytes) {
        return Wrong(*text);
      }
      uint8_t* bytes = out_.Allocate(static_cast<std::size_t>(payload.length) + 1);
      payload.Fill(bytes);
      uint64_t used = 0;
      for (const uint64_t length : TakeLengths("pieces")) {
        if (used + length > payload.length) return Wrong(*text);
        out_.buffers.push_back({bytes + used, length, SP_POINTER_VALID, 0});
        used += length;
      }
    }
    while (const auto text = Take("data")) {
      const std::size_t colon = text->find(':');
      sp_buffer buffer{};
      if (colon == std::string::npos || !ReadNumber(std::string_view(*text).substr(0, colon), &buffer.length))
        return Wrong(*text);
      const std::string hex = text->substr(colon + 1);
      buffer.kind = PointerKind(hex);
      if (buffer.kind == SP_POINTER_VALID) {
        std::vector<uint8_t> bytes;
        if (!Unhex(hex, &bytes) || bytes.size() != buffer.length) return Wrong(*text);
        buffer.data = out_.Allocate(bytes.size() + 1);
        std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(buffer.data));
      }
      out_.buffers.push_back(buffer);
    }
    args.buffers = out_.buffers.data();
    args.buffer_count = static_cast<uint32_t>(out_.buffers.size());
  }
  void Room(sp_transfer_args& args) {
    for (const uint64_t length : TakeLengths("room")) {
      if (length > kMostBytes) return Wrong("room");
      out_.buffers.push_back({out_.Allocate(static_cast<std::size_t>(length) + 1), length, SP_POINTER_VALID, 0});
    }
    args.buffers = out_.buffers.data();
    args.buffer_count = static_cast<uint32_t>(out_.buffers.size());
  }
  void Received(sp_transfer_args& args, int64_t) {
    uint32_t index = 0;
    while (const auto text = Take("data")) {
      const std::size_t colon = text->find(':');
      std::vector<uint8_t> bytes;
      if (colon == std::string::npos || !Unhex(text->substr(colon + 1), &bytes)) return Wrong(*text);
      if (index >= args.buffer_count || bytes.size() > args.buffers[index].length) return Wrong(*text);
      std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(args.buffers[index++].data));
    }
  }
  void Handles(sp_transfer_args& args) {
    args.handle_count = 0;
    while (const auto text = Take("passes")) {
      const auto handle = ReadHandle(*text);
      if (!handle || args.handle_count >= SP_MAX_HANDLES) return Wrong(*text);
      args.handles[args.handle_count++] = *handle;
    }
  }
  void Option(sp_option_args& args) {
    const auto text = Take("option");
    const auto option = text ? OptionByName(*text) : std::nullopt;
    if (!option) return Wrong(text.value_or("option"));
    args.option = *option;
  }
  void OptionValue(sp_option_args& args) {
    if (const auto text = Take("integer")) {
      args.value_type = SP_VALUE_INTEGER;
      if (!ReadNumber(*text, &args.integer)) Wrong(*text);
    } else if (const auto linger = Take("linger")) {
      args.value_type = SP_VALUE_LINGER;
      const std::vector<std::string> part = Split(*linger);
      if (part.size() != 2 || !ReadNumber(part[0], &args.linger_on) || !ReadNumber(part[1], &args.linger_seconds)) Wrong(*linger);
    } else if (const auto duration = Take("duration_ns")) {
      args.value_type = SP_VALUE_DURATION;
      if (!ReadNumber(*duration, &args.duration_ns)) Wrong(*duration);
    } else if (const auto bytes = Take("bytes")) {
      args.value_type = SP_VALUE_BYTES;
      std::vector<uint8_t> got;
      if (!Unhex(*bytes, &got) || got.size() > sizeof args.bytes) return Wrong(*bytes);
      std::copy(got.begin(), got.end(), args.bytes);
      args.byte_count = static_cast<uint32_t>(got.size());
    } else if (const auto name = Take("address")) {
      args.value_type = SP_VALUE_ADDRESS;
      Address address;
      if (!Address::Parse(*name, &address)) return Wrong(*name);
      args.address = address.raw();
    }
  }
  void Events(sp_watch_wait_args& args) {
    args.count = 0;
    while (const auto text = Take("event")) {
      const std::vector<std::string> part = Split(*text);
      sp_event event{};
      if (part.size() != 3 || args.count >= args.capacity || !ReadNumber(part[0], &event.cookie)) return Wrong(*text);
      const auto events = EventsByName(part[1]);
      const auto error = ErrorByName(part[2]);
      if (!events || !error) return Wrong(*text);
      event.events = *events;
      event.error = *error;
      args.events[args.count++] = event;
    }
  }
  void EventRoom(sp_watch_wait_args& args) {
    Integer("room", args.capacity);
    out_.events.resize(static_cast<std::size_t>(std::clamp(args.capacity, 1, 4096)));
    args.events = out_.events.data();
  }
  void Name(const char* key, int32_t& value, std::string_view (*)(int32_t), std::optional<int32_t> (*parse)(std::string_view)) {
    const auto text = Take(key);
    const auto got = text ? parse(*text) : std::nullopt;
    if (!got) return Wrong(text.value_or(key));
    value = *got;
  }

 private:
  static constexpr uint64_t kMostBytes = 1u << 28;

  void Wrong(std::string_view word) {
    if (wrong_.empty()) wrong_ = std::string(word);
  }
  // Removes the first word with this key.
  std::optional<std::string> Take(const char* key) {
    const auto found = words_.lower_bound(key);
    if (found == words_.end() || found->first != key) return std::nullopt;
    std::string value = std::move(found->second);
    words_.erase(found);
    return value;
  }
  static std::vector<std::string> Split(const std::string& text) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
      if (c == ',') {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
    return parts;
  }
  std::vector<uint64_t> TakeLengths(const char* key) {
    std::vector<uint64_t> lengths;
    const auto text = Take(key);
    if (!text || text->empty()) return lengths;
    for (const std::string& part : Split(*text)) {
      uint64_t length = 0;
      if (!ReadNumber(part, &length)) Wrong(*text);
      lengths.push_back(length);
    }
    return lengths;
  }
  static bool Unhex(std::string_view text, std::vector<uint8_t>* out) {
    if (text.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < text.size(); i += 2) {
      uint8_t byte = 0;
      const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
      if (error != std::errc{} || end != text.data() + i + 2) return false;
      out->push_back(byte);
    }
    return true;
  }

  OwnedCall& out_;
  std::multimap<std::string, std::string> words_;  // equal keys keep their order
  std::string wrong_;
};

template <typename Walker>
void WalkModes(Walker& walk, const char* key, uint32_t& modes) {
  walk.Bits(key, modes, ModeNames, ModesByName);
}

template <typename Walker>
void WalkSocket(Walker& walk, sp_socket_args& args) {
  walk.Name("family", args.family, FamilyName, FamilyByName);
  walk.Integer("type", args.type, static_cast<int32_t>(SP_STREAM));
  walk.Integer("protocol", args.protocol);
  WalkModes(walk, "modes", args.modes);
}

template <typename Walker>
void WalkTransfer(Walker& walk, sp_transfer_args& args) {
  walk.Integer("form", args.form);
  walk.Bits("flags", args.flags, MessageFlagNames, MessageFlagsByName);
}

// The arguments that go in.
template <typename Walker>
void WalkCall(Walker& walk, sp_call& call) {
  auto& u = call.u;
  switch (call.op) {
    case SP_OP_SOCKET:
      WalkSocket(walk, u.socket);
      break;
    case SP_OP_SOCKETPAIR:
      WalkSocket(walk, u.socketpair.of);
      break;
    case SP_OP_BIND:
      walk.AddressIn("address", u.bind.address);
      break;
    case SP_OP_LISTEN:
      walk.Integer("backlog", u.listen.backlog);
      break;
    case SP_OP_CONNECT:
      walk.AddressIn("address", u.connect.address);
      walk.Integer("extended", u.connect.extended);
      break;
    case SP_OP_ACCEPT:
      walk.Integer("form", u.accept.form);
      WalkModes(walk, "modes", u.accept.modes);
      walk.AddressRoom("peer", u.accept.peer);
      walk.Integer("extended", u.accept.extended);
      break;
    case SP_OP_DISCONNECT:
      walk.Integer("reuse", u.disconnect.reuse);
      break;
    case SP_OP_SEND:
      WalkTransfer(walk, u.send);
      if (u.send.to.kind != SP_POINTER_NULL || Walker::kReading) walk.AddressIn("to", u.send.to);
      walk.Handles(u.send);
      walk.Data(u.send);
      break;
    case SP_OP_RECV:
      WalkTransfer(walk, u.recv);
      walk.AddressRoom("from", u.recv.from);
      walk.Integer("handle_room", u.recv.handle_count);
      walk.Room(u.recv);
      break;
    case SP_OP_SHUTDOWN:
      walk.Integer("how", u.shutdown.how, -1);
      break;
    case SP_OP_GET_OPTION:
      walk.Option(u.get_option);
      walk.Integer("type", u.get_option.value_type);
      walk.Pointer("value", u.get_option.kind);
      walk.Integer("length", u.get_option.length, static_cast<int32_t>(SP_NATURAL_LENGTH));
      walk.Pointer("length_pointer", u.get_option.length_kind);
      break;
    case SP_OP_SET_OPTION:
      walk.Option(u.set_option);
      walk.OptionValue(u.set_option);
      walk.Pointer("value", u.set_option.kind);
      walk.Integer("length", u.set_option.length, static_cast<int32_t>(SP_NATURAL_LENGTH));
      break;
    case SP_OP_IOCTL:
      walk.Integer("request", u.ioctl.request, -1);
      walk.Pointer("pointer", u.ioctl.kind);
      walk.Integer("argument", u.ioctl.argument);
      break;
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      walk.AddressRoom("name", u.local_name.name);
      break;
    case SP_OP_SET_MODE:
      WalkModes(walk, "set", u.set_mode.set);
      WalkModes(walk, "clear", u.set_mode.clear);
      break;
    case SP_OP_DUPLICATE:
      walk.Integer("onto", u.duplicate.onto);
      WalkModes(walk, "modes", u.duplicate.modes);
      if (u.duplicate.onto != 0 || Walker::kReading) walk.Handle("target", u.duplicate.target);
      break;
    case SP_OP_WATCH_CREATE:
      walk.Name("mechanism", u.watch_create.mechanism, MechanismName, MechanismByName);
      WalkModes(walk, "modes", u.watch_create.modes);
      break;
    case SP_OP_WATCH_ADD:
    case SP_OP_WATCH_MODIFY:
    case SP_OP_WATCH_REMOVE:
      walk.Handle("watcher", u.watch_set.watcher);
      walk.Bits("events", u.watch_set.events, EventNames, EventsByName);
      walk.Integer("flags", u.watch_set.flags);
      walk.Integer("cookie", u.watch_set.cookie);
      break;
    case SP_OP_WATCH_WAIT:
      walk.Integer("timeout_ns", u.watch_wait.timeout_ns, static_cast<int64_t>(-1));
      walk.Integer("timeout_kind", u.watch_wait.timeout_kind);
      walk.Pointer("pointer", u.watch_wait.kind);
      walk.EventRoom(u.watch_wait);
      break;
    default:
      break;
  }
}

// What came out.
template <typename Walker>
void WalkResult(Walker& walk, sp_call& call, sp_result& result) {
  auto& u = call.u;
  walk.Integer("native", result.native);
  const bool failed = result.error != SP_OK;
  walk.Integer("value", result.value, static_cast<int64_t>(failed ? -1 : 0));
  switch (call.op) {
    case SP_OP_SOCKET:
    case SP_OP_DUPLICATE:
    case SP_OP_WATCH_CREATE:
      if (!failed) walk.Handle("handle", result.handle);
      break;
    case SP_OP_SOCKETPAIR:
      if (!failed) {
        walk.Handle("handle", result.handle);
        walk.Handle("second", u.socketpair.second);
      }
      break;
    case SP_OP_ACCEPT:
      if (!failed) walk.Handle("handle", result.handle);
      walk.AddressGot("peer", u.accept.peer);
      break;
    case SP_OP_RECV:
      walk.Bits("flags", u.recv.flags_out, MessageFlagNames, MessageFlagsByName);
      walk.AddressGot("from", u.recv.from);
      if (!failed) {
        walk.Handles(u.recv);
        walk.Received(u.recv, result.value);
      }
      break;
    case SP_OP_GET_OPTION:
      if (!failed) walk.OptionValue(u.get_option);
      walk.Integer("reported", u.get_option.reported, -1);
      break;
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      walk.AddressGot("name", u.local_name.name);
      break;
    case SP_OP_WATCH_WAIT:
      if (!failed) walk.Events(u.watch_wait);
      break;
    default:
      break;
  }
}

// Splits the first word off.
std::string_view TakeWord(std::string_view* text) {
  const std::size_t space = text->find(' ');
  const std::string_view word = text->substr(0, space);
  *text = space == std::string_view::npos ? std::string_view{} : text->substr(space + 1);
  return word;
}

}  // namespace

std::string HandleText(const sp_handle& handle) {
  switch (handle.kind) {
    case SP_HANDLE_WATCHER:
      return fmt::format("w{}", handle.value);
    case SP_HANDLE_INVALID:
      return "invalid";
    case SP_HANDLE_NOT_SOCKET:
      return "not_socket";
    case SP_HANDLE_PATH_ONLY:
      return "path_only";
    default:
      return fmt::format("s{}", handle.value);
  }
}

std::string CallText(const sp_call& call, const TextOptions& options) {
  sp_call copy = call;  // the walk is written for both directions, so it takes what it could change
  std::string text(OpName(call.op));
  if (call.op != SP_OP_SOCKET && call.op != SP_OP_SOCKETPAIR && call.op != SP_OP_WATCH_CREATE) {
    text += ' ';
    text += HandleText(call.handle);
  }
  Printer printer(&text, options);
  WalkCall(printer, copy);
  return text;
}

std::string ResultText(const sp_call& call, const sp_result& result, const TextOptions& options) {
  sp_call copy = call;
  sp_result result_copy = result;
  std::string text(ErrorName(result.error));
  Printer printer(&text, options);
  WalkResult(printer, copy, result_copy);
  return text;
}

bool ParseCall(std::string_view text, OwnedCall* out, std::string* why) {
  *out = OwnedCall{};
  out->call.size = sizeof out->call;
  out->result.size = sizeof out->result;
  const std::string_view name = TakeWord(&text);
  const auto op = OpByName(name);
  if (!op) {
    *why = fmt::format("no such operation: '{}'", name);
    return false;
  }
  out->call.op = *op;
  if (*op != SP_OP_SOCKET && *op != SP_OP_SOCKETPAIR && *op != SP_OP_WATCH_CREATE) {
    const std::string_view word = TakeWord(&text);
    const auto handle = ReadHandle(word);
    if (!handle) {
      *why = fmt::format("{}: not a handle: '{}'", name, word);
      return false;
    }
    out->call.handle = *handle;
  }
  Parser parser(text, out);
  WalkCall(parser, out->call);
  if (const std::string error = parser.Error(); !error.empty()) {
    *why = fmt::format("{}: {}", name, error);
    return false;
  }
  return true;
}

bool ParseResult(std::string_view text, OwnedCall* out, std::string* why) {
  out->result = sp_result{};
  out->result.size = sizeof out->result;
  const std::string_view name = TakeWord(&text);
  const auto error = ErrorByName(name);
  if (!error) {
    *why = fmt::format("no such outcome: '{}'", name);
    return false;
  }
  out->result.error = *error;
  Parser parser(text, out);
  WalkResult(parser, out->call, out->result);
  if (const std::string wrong = parser.Error(); !wrong.empty()) {
    *why = fmt::format("{}: {}", name, wrong);
    return false;
  }
  return true;
}

}  // namespace sockproof
