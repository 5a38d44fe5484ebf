#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <map>

namespace sockproof::runner {
namespace {

using nlohmann::json;

constexpr auto kLiveLine = std::chrono::milliseconds(200);
constexpr auto kPlainLine = std::chrono::seconds(10);
constexpr std::size_t kMostListed = 100;

}  // namespace

Progress::Progress(bool quiet, std::size_t expected)
    : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1), expected_(expected), last_(std::chrono::steady_clock::now()) {}

void Progress::clear_line() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

void Progress::message(const std::string& text) {
  clear_line();
  fmt::print(stderr, "sockproof-runner: {}\n", text);
}

void Progress::scenario(const json& record) {
  ++seen_;
  if (!record["unexpected"].get<bool>()) return;
  ++unexpected_;
  if (quiet_) return;
  clear_line();
  fmt::print(stderr, "{} {}: {}\n", record["verdict"].get<std::string>(), record["name"].get<std::string>(),
             record["reason"].get<std::string>());
}

void Progress::tick(std::size_t running) {
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < (terminal_ ? std::chrono::milliseconds(kLiveLine) : std::chrono::milliseconds(kPlainLine))) return;
  last_ = now;
  const std::string line = fmt::format("{}/{} done, {} unexpected, {} running", seen_, expected_, unexpected_, running);
  if (terminal_) {
    clear_line();
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
    line_open_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
}

void Progress::end() { clear_line(); }

std::string final_table(const Tally& tally, const json& summary, const std::string& where) {
  const auto scenarios = tally.folded();
  std::map<std::string, std::array<unsigned, kVerdicts>> areas;
  std::array<unsigned, kVerdicts> totals{};
  for (const auto& [name, entry] : scenarios) {
    ++areas[entry.area][static_cast<std::size_t>(entry.verdict)];
    ++totals[static_cast<std::size_t>(entry.verdict)];
  }
  std::size_t width = 5;
  for (const auto& [area, counts] : areas) width = std::max(width, area.size());

  std::string text = fmt::format("{:<{}}", "area", width);
  const auto column = [](std::size_t verdict) { return name_of(static_cast<Verdict>(verdict)); };
  for (std::size_t v = 0; v < kVerdicts; ++v)
    if (totals[v] != 0) text += fmt::format("  {}", column(v));
  text += '\n';
  const auto row = [&](const std::string& name, const std::array<unsigned, kVerdicts>& counts) {
    text += fmt::format("{:<{}}", name, width);
    for (std::size_t v = 0; v < kVerdicts; ++v)
      if (totals[v] != 0) text += fmt::format("  {:>{}}", counts[v], column(v).size());
    text += '\n';
  };
  for (const auto& [area, counts] : areas) row(area, counts);
  row("total", totals);

  std::size_t listed = 0;
  for (const auto& [name, entry] : scenarios) {
    if (!entry.unexpected) continue;
    if (listed == 0) text += "\nUnexpected:\n";
    if (++listed > kMostListed) continue;
    std::string verdicts;
    if (entry.verdict == Verdict::flaky)
      for (const auto& [verdict, count] : entry.verdicts) verdicts += fmt::format(" {} {}", count, verdict);
    text += fmt::format("  {} {}{}: {}\n    {}\n", name_of(entry.verdict), name, verdicts, entry.reason, entry.replay);
  }
  if (listed > kMostListed) text += fmt::format("  and {} more\n", listed - kMostListed);

  const auto number = [](const json& value) {
    return value.is_null() ? std::string("-") : fmt::format("{:.2f}", value.get<double>());
  };
  text += fmt::format(
      "\n{} scenarios, {} results in {:.2f} s, {} ms each; longest {:.2f} s, processor time {:.2f} s, of the runner {:.2f} s\n",
      summary["scenarios"].get<std::size_t>(), summary["results"].get<std::size_t>(), summary["wall_ms"].get<double>() / 1000,
      number(summary["wall_ms_per_result"]), summary["longest_ms"].get<double>() / 1000, summary["cpu_ms"].get<double>() / 1000,
      summary["runner_cpu_ms"].get<double>() / 1000);
  text += fmt::format("wall time / larger of longest and processor time / cores: {}; with the scenarios' own alone: {}\n",
                      number(summary["wall_over_bound"]), number(summary["wall_over_scenarios"]));
  if (summary["interrupted"].get<bool>())
    text +=
        fmt::format("interrupted: {} results are missing; --resume finishes the run\n", summary["not_run"].get<std::size_t>());
  if (!where.empty()) text += fmt::format("results: {}\n", where);
  return text;
}

}  // namespace sockproof::runner
