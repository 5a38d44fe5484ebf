#include "oracle/operation.h"

#include <charconv>
#include <unordered_map>

#include <fmt/format.h>

#include "face/codec.h"
#include "face/codec_words.h"
#include "face/names.h"

namespace sockproof::oracle {
namespace {

std::string_view TakeWord(std::string_view* text) {
  const std::size_t space = text->find(' ');
  const std::string_view word = text->substr(0, space);
  *text = space == std::string_view::npos ? std::string_view{} : text->substr(space + 1);
  return word;
}

// "0.000873", in nanoseconds; the trace has six digits.
bool ReadTime(std::string_view word, int64_t* out) {
  const std::size_t point = word.find('.');
  int64_t seconds = 0;
  if (point == std::string_view::npos || !codec::ReadNumber(word.substr(0, point), &seconds)) return false;
  int64_t fraction = 0, unit = 1000000000;
  for (const char digit : word.substr(point + 1)) {
    if (digit < '0' || digit > '9' || unit == 1) return false;
    unit /= 10;
    fraction += (digit - '0') * unit;
  }
  *out = seconds * 1000000000 + fraction;
  return true;
}

bool ReadTagged(std::string_view word, char tag, int* out) {
  return word.size() > 1 && word[0] == tag && codec::ReadNumber(word.substr(1), out);
}

void ReadCall(std::string_view text, Operation* out) {
  if (text.substr(0, 6) == "begin ") {
    out->overlapped = true;
    text.remove_prefix(6);
  }
  out->name = TakeWord(&text);
  if (const auto op = OpByName(out->name)) out->op = *op;
  if (out->op != SP_OP_COUNT && out->op != SP_OP_SOCKET && out->op != SP_OP_SOCKETPAIR && out->op != SP_OP_WATCH_CREATE) {
    out->handle = ReadHandle(TakeWord(&text));
  }
  out->arguments.Read(text);
}

bool ReadResult(std::string_view text, Operation* out) {
  std::string_view word = TakeWord(&text);
  if (word == "refused") word = TakeWord(&text);  // a call that was not even begun
  const auto error = ErrorByName(word);
  if (!error) return false;
  out->error = *error;
  out->results.Read(text);
  out->value = out->results.Number("value", out->error == SP_OK ? 0 : -1);
  return true;
}

}  // namespace

void Words::Read(std::string_view text) {
  while (!text.empty()) {
    const std::string_view word = TakeWord(&text);
    const std::size_t equals = word.find('=');
    if (equals != std::string_view::npos) words_.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
}

std::optional<std::string_view> Words::Find(std::string_view key) const {
  for (const auto& [name, value] : words_) {
    if (name == key) return value;
  }
  return std::nullopt;
}

int64_t Words::Number(std::string_view key, int64_t otherwise) const {
  const auto text = Find(key);
  int64_t number = 0;
  return text && codec::ReadNumber(*text, &number) ? number : otherwise;
}

Handle ReadHandle(std::string_view word) {
  const auto got = codec::ReadHandle(word);
  return got ? Handle{got->kind, got->value, true} : Handle{};
}

AddressArgument Operation::In(std::string_view key) const {
  const auto text = arguments.Find(key);
  AddressArgument argument;
  // A path may hold a comma; a length that is passed instead of the right one stands at the end.
  if (!text || *text == "null" || *text == "bad" || text->rfind(",length=") != std::string_view::npos) return argument;
  argument.plain = Address::Parse(*text, &argument.address);
  return argument;
}

std::optional<Address> Operation::Out(std::string_view key) const {
  const auto text = results.Find(key);
  if (!text) return std::nullopt;
  const std::size_t comma = text->rfind(',');
  Address address;
  if (comma == std::string_view::npos || !Address::Parse(text->substr(0, comma), &address)) return std::nullopt;
  return address;
}

std::string Operation::Text() const {
  std::string text(name);
  if (handle.valid) text += ' ' + HandleText({handle.kind, 0, handle.value});
  for (const auto& [key, value] : arguments.all()) text += fmt::format(" {}={}", key, value);
  if (!done()) return text + " ... (no end)";
  text += fmt::format(" -> {}", ErrorName(error));
  for (const auto& [key, value_of] : results.all()) text += fmt::format(" {}={}", key, value_of);
  return text;
}

void ReadTrace(std::vector<std::string> lines, Reading* out) {
  out->lines = std::move(lines);
  out->records.reserve(out->lines.size());
  std::unordered_map<uint64_t, std::size_t> open;
  for (Moment at = 0; at < out->lines.size(); ++at) {
    std::string_view text = out->lines[at];
    out->records.push_back({Record::kNothing, 0});
    Operation seen;
    int64_t ns = 0;
    if (!codec::ReadNumber(TakeWord(&text), &seen.number) || !ReadTime(TakeWord(&text), &ns) ||
        !ReadTagged(TakeWord(&text), 'p', &seen.process) || !ReadTagged(TakeWord(&text), 't', &seen.thread)) {
      ++out->unreadable;
      continue;
    }
    const std::string_view mark = TakeWord(&text);
    if (mark == "=") {
      out->records.back() = {Record::kRemark, out->remarks.size()};
      out->remarks.push_back({at, seen.process, text});
    } else if (mark == ">") {
      // What a scenario asks of another process is written by that process as well.
      if (text.size() > 1 && text[0] == 'p' && text[1] >= '0' && text[1] <= '9') continue;
      seen.begin = at;
      seen.begin_ns = ns;
      ReadCall(text, &seen);
      open[seen.number] = out->operations.size();
      out->records.back() = {Record::kBegin, out->operations.size()};
      out->operations.push_back(std::move(seen));
    } else if (mark == "<") {
      const auto found = open.find(seen.number);
      if (found == open.end()) {
        out->records.back() = {Record::kOrphan, out->remarks.size()};
        out->remarks.push_back({at, seen.process, text});
        continue;
      }
      Operation& operation = out->operations[found->second];
      if (!ReadResult(text, &operation)) {
        if (operation.op != SP_OP_COUNT) ++out->unreadable;  // else the answer of a condition function
        continue;
      }
      operation.end = at;
      operation.end_ns = ns;
      out->records.back() = {Record::kEnd, found->second};
      open.erase(found);
    } else {
      ++out->unreadable;
    }
  }
}

}  // namespace sockproof::oracle
