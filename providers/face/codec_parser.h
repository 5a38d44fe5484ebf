// The other of the two walkers: it takes calls and results from words. See codec.h.
#pragma once

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "face/address.h"
#include "face/codec.h"
#include "face/codec_words.h"
#include "face/names.h"

namespace sockproof::codec {

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
  void Always(const char* key, int32_t& value, int32_t otherwise) { Integer(key, value, otherwise); }
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
      sp_buffer buffer{};
      if (!ReadBytes(*text, &buffer)) return Wrong(*text);
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
  // Pieces follow one another, wherever one buffer ends and the next one begins; nothing is written that was not asked for, and
  // nothing is missing of what the call says that it delivered.
  void Received(sp_transfer_args& args, int64_t count) {
    std::vector<uint8_t> bytes;
    std::string last = "value=" + std::to_string(count);
    while (const auto text = Take("data")) {
      sp_buffer piece{};
      if (!ReadBytes(*text, &piece) || piece.kind != SP_POINTER_VALID) return Wrong(*text);
      bytes.insert(bytes.end(), static_cast<uint8_t*>(piece.data), static_cast<uint8_t*>(piece.data) + piece.length);
      last = *text;
    }
    uint64_t room = 0, done = 0;
    for (uint32_t i = 0; i < args.buffer_count; ++i) room += args.buffers[i].length;
    if (bytes.size() != std::min<uint64_t>(room, static_cast<uint64_t>(std::max<int64_t>(count, 0)))) return Wrong(last);
    for (uint32_t i = 0; i < args.buffer_count && done < bytes.size(); ++i) {
      const uint64_t part = std::min<uint64_t>(bytes.size() - done, args.buffers[i].length);
      if (part > 0 && args.buffers[i].kind != SP_POINTER_VALID) return Wrong(last);
      std::copy_n(bytes.begin() + static_cast<int64_t>(done), part, static_cast<uint8_t*>(args.buffers[i].data));
      done += part;
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
    if (const auto text = Take("error")) {
      const auto error = args.option == SP_SO_ERROR ? ErrorByName(*text) : std::nullopt;
      if (!error) return Wrong(*text);
      args.value_type = SP_VALUE_INTEGER;
      args.integer = *error;
    } else if (const auto integer = Take("integer")) {
      args.value_type = SP_VALUE_INTEGER;
      if (!ReadNumber(*integer, &args.integer)) Wrong(*integer);
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
      if (part.size() != 3 || args.kind != SP_POINTER_VALID || args.count >= args.capacity ||
          !ReadNumber(part[0], &event.cookie)) {
        return Wrong(*text);
      }
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
  void UserData(const char* key, sp_user_data& data) {
    data = {};
    const auto text = Take(key);
    if (!text) return;
    sp_buffer buffer{};
    if (!ReadBytes(*text, &buffer)) return Wrong(*text);
    data = {1, buffer.kind, static_cast<uint32_t>(buffer.length), static_cast<uint32_t>(buffer.length),
            static_cast<uint8_t*>(buffer.data)};
  }
  void UserRoom(const char* key, sp_user_data& data) {
    data = {};
    const auto text = Take(key);
    if (!text) return;
    sp_buffer buffer{};
    if (!ReadRoom(*text, &buffer)) return Wrong(*text);
    data = {1, buffer.kind, static_cast<uint32_t>(buffer.length), static_cast<uint32_t>(buffer.length),
            static_cast<uint8_t*>(buffer.data)};
  }
  void UserDataGot(const char* key, sp_user_data& data) {
    const auto text = Take(key);
    if (!text) return;
    sp_buffer buffer{};
    if (!ReadBytes(*text, &buffer) || buffer.length > data.capacity || data.present == 0) return Wrong(*text);
    if (buffer.length > 0 && buffer.kind == SP_POINTER_VALID && data.kind != SP_POINTER_VALID) return Wrong(*text);
    data.length = static_cast<uint32_t>(buffer.length);
    if (buffer.kind == SP_POINTER_VALID) std::copy_n(static_cast<uint8_t*>(buffer.data), data.length, data.data);
  }
  void Qos(const char* key, int32_t& has, sp_qos& qos) {
    const auto text = Take(key);
    has = text ? 1 : 0;
    if (!text) return;
    const std::vector<std::string> part = Split(*text);
    uint32_t* const fields[] = {&qos.send_rate,    &qos.send_peak,    &qos.send_latency,
                                &qos.receive_rate, &qos.receive_peak, &qos.receive_latency};
    if (part.size() != 6) return Wrong(*text);
    for (std::size_t i = 0; i < 6; ++i) {
      if (!ReadNumber(part[i], fields[i])) return Wrong(*text);
    }
  }
  void Buffer(const char* key, sp_buffer& buffer) {
    buffer = {};
    if (const auto text = Take(key); text && !ReadBytes(*text, &buffer)) Wrong(*text);
  }
  void BufferRoom(const char* key, sp_buffer& buffer) {
    buffer = {};
    if (const auto text = Take(key); text && !ReadRoom(*text, &buffer)) Wrong(*text);
  }
  void BufferGot(const char* key, sp_buffer& buffer, int64_t) {
    const auto text = Take(key);
    if (!text) return;
    sp_buffer got{};
    if (!ReadBytes(*text, &got) || got.length > buffer.length || got.data == nullptr || buffer.kind != SP_POINTER_VALID) {
      return Wrong(*text);
    }
    std::copy_n(static_cast<uint8_t*>(got.data), got.length, static_cast<uint8_t*>(buffer.data));
  }
  // The function itself stays where it is: whoever carries the call out puts one of its own in the place of this one.
  void Condition(sp_accept_args& args) {
    args.condition = nullptr;
    if (const auto text = Take("condition"); text && *text != "ask") {
      Wrong(*text);
    } else if (text) {
      args.condition = [](void*, sp_condition_request*) -> int32_t { return SP_CONDITION_BAD; };
    }
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
  // "3:616263", or a length with a pointer that is wrong: "3:bad".
  bool ReadBytes(const std::string& text, sp_buffer* buffer) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || !ReadNumber(std::string_view(text).substr(0, colon), &buffer->length)) return false;
    const std::string hex = text.substr(colon + 1);
    buffer->kind = PointerKind(hex);
    if (buffer->kind != SP_POINTER_VALID) return true;
    std::vector<uint8_t> bytes;
    if (!Unhex(hex, &bytes) || bytes.size() != buffer->length) return false;
    buffer->data = out_.Allocate(bytes.size() + 1);
    std::copy(bytes.begin(), bytes.end(), static_cast<uint8_t*>(buffer->data));
    return true;
  }
  // "64", or "64:bad".
  bool ReadRoom(const std::string& text, sp_buffer* buffer) {
    const std::size_t colon = text.find(':');
    if (!ReadNumber(std::string_view(text).substr(0, colon), &buffer->length) || buffer->length > kMostBytes) return false;
    if (colon != std::string::npos) buffer->kind = PointerKind(text.substr(colon + 1));
    if (buffer->kind == SP_POINTER_VALID) buffer->data = out_.Allocate(static_cast<std::size_t>(buffer->length) + 1);
    return true;
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
    const auto digit = [](char c) {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      return -1;
    };
    out->reserve(out->size() + text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
      const int high = digit(text[i]), low = digit(text[i + 1]);
      if (high < 0 || low < 0) return false;
      out->push_back(static_cast<uint8_t>(high << 4 | low));
    }
    return true;
  }

  OwnedCall& out_;
  std::multimap<std::string, std::string> words_;  // equal keys keep their order
  std::string wrong_;
};

}  // namespace sockproof::codec
