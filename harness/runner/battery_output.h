// What one scenario's process says: records behind a mark on standard output, everything else is text of the provider.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockproof::runner {

/// The records of one process, taken apart and checked against what was agreed. Everything that breaks the agreement is
/// listed in `problems`, in sentences.
struct BatteryRecords {
  bool begun = false;
  std::vector<nlohmann::json> checks;
  std::vector<nlohmann::json> steps;    ///< {call, outcome, detail, where}
  std::vector<nlohmann::json> missing;  ///< {capability, detail}
  std::optional<nlohmann::json> end;
  std::optional<std::string> died;  ///< the provider's own process did, and how
  std::optional<int> signal;        ///< the process reported that it is about to die of this
  std::optional<int> signal_pid;
  /// The same of a Windows program: an exception that nobody handles, of this code.
  struct Exception {
    std::uint32_t code = 0;
    int pid = 0;
    std::vector<std::string> stack;  ///< MODULE+0xOFFSET, innermost first
  };
  std::optional<Exception> exception;
  std::optional<nlohmann::json> trace;  ///< {lines, dropped}
  nlohmann::json oracle;                ///< {calls, judged, unknown, microseconds, rules, fired}, or null
  std::vector<std::string> problems;
};

/// Takes the output in pieces of any size.
class BatteryOutput {
 public:
  /// `scenario` is the name that begin and end must give.
  explicit BatteryOutput(std::string scenario);

  /// A piece of standard output.
  void take_output(std::string_view piece);
  /// A piece of standard error; it never holds records.
  void take_error(std::string_view piece);
  /// The process is gone: what is left of the last line counts as a line.
  void finish();

  const BatteryRecords& records() const { return records_; }
  /// All of them, once there is nothing more to come.
  BatteryRecords take_records() { return std::move(records_); }
  /// All bytes seen so far, records included.
  std::size_t bytes() const { return bytes_; }
  /// The last lines that were no records, at most `kTailBytes`.
  std::string tail() const;

  static constexpr std::size_t kTailBytes = 8 * 1024;

 private:
  void line(std::string_view text);
  void record(std::string_view text);
  void take_record(nlohmann::json record);
  void tail_add(std::string_view piece);

  std::string scenario_;
  std::string unfinished_;
  std::string tail_;
  std::size_t bytes_ = 0;
  BatteryRecords records_;
};

/// Bytes that are not UTF-8 and control characters other than newline and tab become visible escapes.
std::string printable(std::string_view text);

}  // namespace sockproof::runner
