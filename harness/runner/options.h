// The command line of sockproof-runner.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sockproof::runner {

enum class IsolationWish { automatic, none };

/// What goes to standard output.
enum class Format {
  text,      ///< a table by area at the end
  failures,  ///< the name of each unexpectedly failing scenario, one a line, nothing else
};

/// `GTEST_TOTAL_SHARDS` and `GTEST_SHARD_INDEX`.
struct Shard {
  unsigned total = 1;
  unsigned index = 0;
};

struct Options {
  std::filesystem::path battery;
  std::string battery_digest;         ///< its SHA-256, from a caller that knows it already; empty: it is computed
  std::filesystem::path target_file;  ///< empty when provider and profile were given instead
  std::string provider;
  std::string profile;
  std::optional<std::string> launcher;  ///< replaces the target's
  std::string catalogue_entry;          ///< which entry of Windows' catalogue of protocols: `id=N`, `guid={...}`; empty: any
  std::string emulator;                 ///< runs the battery where its own system is another one: `wine`
  std::optional<std::string> filter;    ///< GoogleTest syntax; nothing means everything
  std::optional<unsigned> jobs;         ///< processes that use a core at the same time; nothing means the number of cores
  std::optional<unsigned> repeat;
  std::optional<std::uint64_t> seed;
  std::string fault;             ///< put into the provider: `faulty:FAULT:PROVIDER`
  std::filesystem::path faults;  ///< one after the other, see mutants.h; empty: none
  bool stop_at_first = false;    ///< the first unexpected result ends the run; of each fault, with `faults`
  bool strict = false;
  std::optional<std::filesystem::path> output;
  std::optional<std::filesystem::path> resume;
  bool resume_anyway = false;
  double timeout_scale = 1.0;
  std::optional<IsolationWish> isolation;
  unsigned memory_limit_mib = 1024;
  unsigned output_limit_mib = 16;
  std::optional<unsigned> max_processes;  ///< nothing means derived from jobs
  bool stream = false;
  bool stream_only = false;
  bool list = false;
  bool selftest = false;
  bool stacks = true;
  Format format = Format::text;
  Shard shard;
  std::vector<std::string> argv;  ///< as the runner was called, for the record
};

/// Reads the command line and the two shard variables. Throws Failure with the reason when they make no sense;
/// prints help and returns nothing when help was asked for.
std::optional<Options> read_options(int argc, char** argv);

}  // namespace sockproof::runner
