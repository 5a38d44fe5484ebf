// results.jsonl: where every result is before the next one counts.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sockproof::runner {

/// Where records go: a file, standard output, both, or neither.
class ResultSink {
 public:
  ResultSink() = default;
  ~ResultSink();
  ResultSink(const ResultSink&) = delete;
  ResultSink& operator=(const ResultSink&) = delete;

  /// Appends to this file from now on. Throws Failure.
  void open(const std::filesystem::path& file);
  /// Each record to standard output as well.
  void stream() { stream_ = true; }

  /// Writes the records, a line each, with one write(). Throws Failure when the disk does not take them.
  void write(const std::vector<nlohmann::json>& records);

 private:
  int file_ = -1;
  bool stream_ = false;
};

/// What an earlier run left in its results.jsonl.
struct EarlierResults {
  nlohmann::json run;                     ///< its run record
  std::vector<nlohmann::json> scenarios;  ///< its scenario records
  bool complete = false;                  ///< there is a summary that was not interrupted
  bool requirements = false;              ///< its requirement records are there
  std::uintmax_t good_bytes = 0;          ///< everything after this is torn, or belongs to no whole scenario
};

/// Reads as far as whole scenarios go; a torn last line is no error. Throws Failure when there is no run record.
EarlierResults read_earlier(const std::filesystem::path& file);

/// Makes `.sockproof/runs/TIME-TARGET` below the working directory, and points `.sockproof/runs/latest` at it.
std::filesystem::path make_run_directory(const std::string& target);

}  // namespace sockproof::runner
