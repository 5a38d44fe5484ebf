#include "battery_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace sockproof::runner {
namespace {

using nlohmann::json;

constexpr std::string_view kMark = "@sockproof ";
constexpr std::size_t kMostProblems = 20;

bool is_string(const json& record, const char* key) { return record.contains(key) && record[key].is_string(); }
bool is_integer(const json& record, const char* key) { return record.contains(key) && record[key].is_number_integer(); }
bool is_strings(const json& record, const char* key) {
  return record.contains(key) && record[key].is_array() &&
         std::all_of(record[key].begin(), record[key].end(), [](const json& item) { return item.is_string(); });
}

template <std::size_t N>
bool is_one_of(const json& record, const char* key, const std::array<const char*, N>& values) {
  if (!is_string(record, key)) return false;
  return std::any_of(values.begin(), values.end(), [&](const char* value) { return record[key] == value; });
}

constexpr std::array kLevels{"MUST", "SHOULD", "MAY", "OBSERVED"};
constexpr std::array kCheckVerdicts{"passed", "failed", "observed"};
constexpr std::array kEndVerdicts{"passed", "failed", "not_supported", "observed", "harness_error"};

// Null stands for 'says nothing about this profile' and for 'nothing failed'.
bool is_level(const json& record, const char* key) {
  return !record.contains(key) || record[key].is_null() || record[key] == "" || is_one_of(record, key, kLevels);
}

bool good_check(const json& record) {
  return is_string(record, "requirement") && is_string(record, "outcome") && is_one_of(record, "verdict", kCheckVerdicts) &&
         is_level(record, "level") && (!record.contains("allowed") || is_strings(record, "allowed")) &&
         (!record.contains("citation") || is_strings(record, "citation")) &&
         (!record.contains("where") || is_string(record, "where")) && (!record.contains("detail") || is_string(record, "detail"));
}

bool good_end(const json& record) {
  return is_string(record, "scenario") && is_one_of(record, "verdict", kEndVerdicts) && is_level(record, "level") &&
         is_strings(record, "declared") && is_strings(record, "checked") &&
         (!record.contains("detail") || is_string(record, "detail"));
}

// How often each rule was decided, and how much of the trace that was.
bool good_oracle(const json& record) {
  for (const char* key : {"calls", "judged", "unknown", "microseconds", "rules"})
    if (!is_integer(record, key)) return false;
  return record.contains("fired") && record["fired"].is_object() &&
         std::all_of(record["fired"].begin(), record["fired"].end(), [](const json& item) { return item.is_number_integer(); });
}

std::string text_of(const json& record, const char* key) { return is_string(record, key) ? record[key].get<std::string>() : ""; }

// The length of the UTF-8 sequence at the front, or 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t length = 0;
  unsigned code = 0;
  if (byte(0) < 0x80) return 1;
  if ((byte(0) & 0xe0U) == 0xc0)
    length = 2, code = byte(0) & 0x1fU;
  else if ((byte(0) & 0xf0U) == 0xe0)
    length = 3, code = byte(0) & 0x0fU;
  else if ((byte(0) & 0xf8U) == 0xf0)
    length = 4, code = byte(0) & 0x07U;
  else
    return 0;
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  const unsigned smallest = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < smallest || surrogate || code > 0x10ffff ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (length == 0 || (length == 1 && (byte < 0x20 || byte == 0x7f) && byte != '\n' && byte != '\t')) {
      result += fmt::format("\\x{:02x}", byte);
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}

BatteryOutput::BatteryOutput(std::string scenario) : scenario_(std::move(scenario)) {}

void BatteryOutput::tail_add(std::string_view piece) {
  tail_ += piece;
  // Cut seldom, so that a flood costs no more than its bytes.
  if (tail_.size() > 4 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

std::string BatteryOutput::tail() const {
  std::string_view text = tail_;
  if (text.size() > kTailBytes) {
    text.remove_prefix(text.size() - kTailBytes);
    // Begin at a line, so that no character is cut in half.
    const std::size_t newline = text.find('\n');
    if (newline != std::string_view::npos && newline + 1 < text.size()) text.remove_prefix(newline + 1);
  }
  return printable(text);
}

void BatteryOutput::take_error(std::string_view piece) {
  bytes_ += piece.size();
  tail_add(piece);
}

void BatteryOutput::take_output(std::string_view piece) {
  bytes_ += piece.size();
  while (!piece.empty()) {
    const std::size_t newline = piece.find('\n');
    if (newline == std::string_view::npos) {
      unfinished_ += piece;
      return;
    }
    if (unfinished_.empty()) {
      line(piece.substr(0, newline));
    } else {
      unfinished_ += piece.substr(0, newline);
      line(unfinished_);
      unfinished_.clear();
    }
    piece.remove_prefix(newline + 1);
  }
}

void BatteryOutput::finish() {
  if (!unfinished_.empty()) line(unfinished_);
  unfinished_.clear();
}

void BatteryOutput::line(std::string_view text) {
  // The provider may have left a line of its own unfinished before the mark.
  const std::size_t mark = text.find(kMark);
  if (mark == std::string_view::npos) {
    if (text.empty()) return;  // the battery begins a new line before each record
    tail_add(text);
    tail_add("\n");
    return;
  }
  if (mark != 0) {
    tail_add(text.substr(0, mark));
    tail_add("\n");
  }
  record(text.substr(mark + kMark.size()));
}

void BatteryOutput::record(std::string_view text) {
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded() || !parsed.is_object()) {
    if (records_.problems.size() < kMostProblems)
      records_.problems.push_back(fmt::format("a record that is not JSON: {}", printable(text.substr(0, 200))));
    return;
  }
  take_record(std::move(parsed));
}

void BatteryOutput::take_record(json record) {
  const auto problem = [this](std::string sentence) {
    if (records_.problems.size() < kMostProblems) records_.problems.push_back(std::move(sentence));
  };
  const std::string kind = text_of(record, "record");
  if (kind == "begin") {
    if (records_.begun) problem("a second begin record");
    if (text_of(record, "scenario") != scenario_)
      problem(fmt::format("the begin record names '{}'", printable(text_of(record, "scenario"))));
    records_.begun = true;
    return;
  }
  // These may come at any time, also from a process that never got to begin.
  if (kind == "trace") {
    if (!is_strings(record, "lines")) return problem("a trace record without lines");
    if (!is_integer(record, "dropped")) record["dropped"] = 0;
    records_.trace = std::move(record);
    return;
  }
  if (kind == "died") {
    if (!is_string(record, "detail")) return problem("a died record that does not say how");
    records_.died = text_of(record, "detail");
    return;
  }
  if (kind == "signal") {
    if (!is_integer(record, "signal") || record["signal"] < 1 || record["signal"] > 64)
      return problem("a signal record without a signal");
    if (records_.signal) return;  // the first one is what it died of
    records_.signal = record["signal"].get<int>();
    if (is_integer(record, "pid")) records_.signal_pid = record["pid"].get<int>();
    return;
  }
  if (kind == "exception") {
    if (!is_integer(record, "code") || record["code"] < 0 || record["code"] > 0xffffffff || !is_strings(record, "stack"))
      return problem("an exception record without code or stack");
    if (records_.exception) return;
    records_.exception.emplace();
    records_.exception->code = record["code"].get<std::uint32_t>();
    records_.exception->stack = record["stack"].get<std::vector<std::string>>();
    if (is_integer(record, "pid")) records_.exception->pid = record["pid"].get<int>();
    return;
  }
  if (!records_.begun) problem(fmt::format("a record before begin: {}", printable(kind)));
  if (records_.end) problem(fmt::format("a record after the end record: {}", printable(kind)));
  if (kind == "check") {
    if (good_check(record))
      records_.checks.push_back(std::move(record));
    else
      problem(fmt::format("a check record that breaks the agreed form: {}", printable(record.dump().substr(0, 300))));
  } else if (kind == "step") {
    records_.steps.push_back({{"call", text_of(record, "call")},
                              {"outcome", text_of(record, "outcome")},
                              {"detail", text_of(record, "detail")},
                              {"where", text_of(record, "where")}});
  } else if (kind == "not_supported") {
    records_.missing.push_back({{"capability", text_of(record, "capability")}, {"detail", text_of(record, "detail")}});
  } else if (kind == "oracle") {
    if (!good_oracle(record)) return problem("an oracle record that breaks the agreed form");
    record.erase("record");
    records_.oracle = std::move(record);
  } else if (kind == "end") {
    if (!good_end(record)) return problem("an end record that breaks the agreed form");
    if (record["scenario"] != scenario_)
      problem(fmt::format("the end record names '{}'", printable(text_of(record, "scenario"))));
    if (!records_.end) records_.end = std::move(record);
  } else {
    problem(fmt::format("a record of an unknown kind '{}'", printable(kind)));
  }
}

}  // namespace sockproof::runner
