// One of the two walkers over calls and results: it writes them as words. See codec.h.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "face/address.h"
#include "face/codec.h"
#include "face/codec_words.h"
#include "face/names.h"

namespace sockproof::codec {

// Writes the fields that differ from their default as words.
class Printer {
 public:
  Printer(std::string* text, const TextOptions& options) : text_(*text), options_(options) {}
  static constexpr bool kReading = false;

  template <typename Number>
  void Integer(const char* key, Number& value, Number otherwise = 0) {
    if (value != otherwise) Word(key, std::to_string(value));
  }
  // Any number may be meant: none stands for a word that is missing. `otherwise` is for who reads an older trace.
  void Always(const char* key, int32_t& value, int32_t /*otherwise*/) { Word(key, std::to_string(value)); }
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
    uint64_t left = static_cast<uint64_t>(count);
    if (options_.payload != nullptr) {
      // As far as it is what it should be; the rest is shown as it is.
      const uint64_t right = AsExpected(args, left);
      if (right > 0) Word("payload", fmt::format("{},{},{}", options_.payload->seed, options_.payload->offset, right));
      uint64_t before = right;
      for (uint32_t i = 0; i < args.buffer_count && left > right; ++i) {
        const uint64_t skip = std::min(before, args.buffers[i].length);
        const uint64_t part = std::min(left - right, args.buffers[i].length - skip);
        before -= skip;
        sp_buffer rest = args.buffers[i];
        if (part == 0 || rest.kind != SP_POINTER_VALID) continue;
        rest.data = static_cast<uint8_t*>(rest.data) + skip;
        Word("data", Bytes(rest, part));
        left -= part;
      }
      return;
    }
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
        if (args.option == SP_SO_ERROR && args.integer >= 0 && args.integer < SP_ERROR_COUNT) {
          Word("error", std::string(ErrorName(static_cast<int32_t>(args.integer))));
        } else {
          Word("integer", std::to_string(args.integer));
        }
    }
  }
  void Events(sp_watch_wait_args& args) {
    for (int32_t i = 0; i < args.count; ++i) {
      const sp_event& event = args.events[i];
      Word("event", fmt::format("{},{},{}", event.cookie, EventNames(event.events), ErrorName(event.error)));
    }
  }
  void EventRoom(sp_watch_wait_args& args) { Word("room", std::to_string(args.capacity)); }
  void UserData(const char* key, sp_user_data& data) {
    if (data.present != 0) Word(key, Bytes({data.data, data.length, data.kind, 0}, data.length));
  }
  void UserRoom(const char* key, sp_user_data& data) {
    if (data.present != 0) Word(key, RoomText(data.length, data.kind));
  }
  void UserDataGot(const char* key, sp_user_data& data) {
    if (data.present == 0) return;
    const uint32_t whole = std::min(data.length, data.capacity);  // a wrong length is no reason to read beyond
    Word(key, Bytes({data.data, whole, data.kind, 0}, whole));
  }
  void Qos(const char* key, int32_t& has, sp_qos& qos) {
    if (has == 0) return;
    Word(key, fmt::format("{},{},{},{},{},{}", qos.send_rate, qos.send_peak, qos.send_latency, qos.receive_rate, qos.receive_peak,
                          qos.receive_latency));
  }
  void Buffer(const char* key, sp_buffer& buffer) {
    if (buffer.length > 0) Word(key, Bytes(buffer, buffer.length));
  }
  void BufferRoom(const char* key, sp_buffer& buffer) {
    if (buffer.length > 0 || buffer.kind != SP_POINTER_VALID) Word(key, RoomText(buffer.length, buffer.kind));
  }
  void BufferGot(const char* key, sp_buffer& buffer, int64_t count) {
    if (count > 0) Word(key, Bytes(buffer, std::min(static_cast<uint64_t>(count), buffer.length)));
  }
  void Condition(sp_accept_args& args) {
    if (args.condition != nullptr) Word("condition", "ask");
  }
  void Name(const char* key, int32_t& value, std::string_view (*name)(int32_t), std::optional<int32_t> (*)(std::string_view)) {
    Word(key, std::string(name(value)));
  }

 private:
  // How many of the first `count` bytes are those of the payload.
  uint64_t AsExpected(const sp_transfer_args& args, uint64_t count) const {
    uint64_t right = 0;
    for (uint32_t i = 0; i < args.buffer_count && right < count; ++i) {
      const sp_buffer& buffer = args.buffers[i];
      const uint64_t part = std::min(count - right, buffer.length);
      if (part == 0) continue;
      if (buffer.kind != SP_POINTER_VALID || buffer.data == nullptr) return count;  // nothing to look at
      const std::vector<uint8_t> want = Payload{options_.payload->seed, options_.payload->offset + right, part}.Bytes();
      const auto* have = static_cast<const uint8_t*>(buffer.data);
      const auto same = static_cast<uint64_t>(std::mismatch(want.begin(), want.end(), have).first - want.begin());
      right += same;
      if (same < part) return right;
    }
    return count;
  }
  void Word(const char* key, const std::string& value) { text_ += fmt::format(" {}={}", key, value); }
  static std::string RoomText(uint64_t length, int32_t kind) {
    return kind == SP_POINTER_VALID ? std::to_string(length) : fmt::format("{}:{}", length, PointerName(kind));
  }
  static std::string Hex(const uint8_t* data, std::size_t size) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(2 * size);
    for (std::size_t i = 0; i < size; ++i) {
      text += kDigits[data[i] >> 4];
      text += kDigits[data[i] & 15];
    }
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

}  // namespace sockproof::codec
