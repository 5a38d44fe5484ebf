// What a person sees of a run on standard error, and the table at its end.
#pragma once

#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "records.h"

namespace sockproof::runner {

class Progress {
 public:
  /// `quiet` leaves standard error to messages about the harness itself.
  Progress(bool quiet, std::size_t expected);

  void scenario(const nlohmann::json& record);
  void message(const std::string& text);
  /// The live line of a terminal; called often, prints seldom.
  void tick(std::size_t running);
  void end();

 private:
  void clear_line();

  bool quiet_;
  bool terminal_;
  std::size_t expected_;
  std::size_t seen_ = 0;
  std::size_t unexpected_ = 0;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point last_{};
};

/// Verdicts by area, then what was unexpected with its replay, then where the results are.
std::string final_table(const Tally& tally, const nlohmann::json& summary, const std::string& where);

}  // namespace sockproof::runner
