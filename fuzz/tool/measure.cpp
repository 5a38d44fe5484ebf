#include "fuzz/tool/measure.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "catalogue/requirement.h"
#include "fuzz/campaign.h"
#include "fuzz/execute.h"
#include "fuzz/generate.h"
#include "oracle/oracle.h"

namespace sockproof::fuzz {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

bool Ready(const std::string& spec, const std::string& profile, Provider* provider, int* number) {
  *number = TheCatalogue().ProfileNumber(profile);
  std::string why = *number < 0 ? "there is no profile '" + profile + "'" : "";
  if (why.empty() && OwnNetwork(spec, &why) && provider->Load(spec, &why)) return true;
  fmt::print(stderr, "sockproof-fuzz: {}\n", why);
  return false;
}

}  // namespace

int MeasureSpeed(const std::string& spec, const std::string& profile, double seconds) {
  Provider provider;
  int number = 0;
  if (!Ready(spec, profile, &provider, &number)) return 2;
  Lot lot(1);
  std::vector<Script> scripts;
  for (int i = 0; i < 300; ++i) scripts.push_back(Generate(&lot, Bent::kConnection, 24));
  struct Row {
    const char* name;
    bool record, judge;
    uint64_t calls = 0, scripts = 0;
    double spent = 0;
  };
  Row rows[] = {{"calls alone", false, false}, {"with a trace", true, false}, {"with the oracle", true, true}};
  // In turns, so that what else the machine does falls on all of them.
  for (const auto start = Clock::now(); Seconds(start) < seconds;) {
    for (Row& row : rows) {
      const auto begin = Clock::now();
      for (const Script& script : scripts) {
        const Ways ways{false, row.record};
        const Execution done = row.judge ? ExecuteAndJudge(&provider, script, ways, number) : Execute(&provider, script, ways);
        row.calls += done.calls;
        ++row.scripts;
      }
      row.spent += Seconds(begin);
    }
  }
  fmt::print("{}, {} scripts of 24 operations\n", spec, scripts.size());
  const double alone = static_cast<double>(rows[0].calls) / rows[0].spent;
  for (const Row& row : rows) {
    const double rate = static_cast<double>(row.calls) / row.spent;
    fmt::print("{:16} {:9.0f} calls/s {:8.0f} scripts/s {:6.0f} ns a call  {:.0f} %\n", row.name, rate,
               static_cast<double>(row.scripts) / row.spent, 1e9 / rate, 100 * rate / alone);
  }
  const double oracle =
      1e9 * (rows[2].spent / static_cast<double>(rows[2].calls) - rows[1].spent / static_cast<double>(rows[1].calls));
  fmt::print("oracle: {:.0f} ns a call\n", oracle);
  return 0;
}

int MeasureSameness(const std::string& spec, const std::string& profile, const std::string& folder, int times, std::size_t most) {
  Provider provider;
  int number = 0;
  if (!Ready(spec, profile, &provider, &number)) return 2;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.size() > most) files.resize(most);
  std::size_t differ = 0, calls = 0;
  for (const auto& path : files) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    const Script script = Decode(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    Execution first;
    for (int i = 0; i < times; ++i) {
      Execution again = ExecuteAndJudge(&provider, script, {}, number);
      calls += again.calls;
      const bool same = provider.VirtualClock() ? again.trace == first.trace : again.outcomes == first.outcomes;
      if (i > 0 && !same) {
        ++differ;
        const auto at = std::mismatch(first.outcomes.begin(), first.outcomes.end(), again.outcomes.begin(), again.outcomes.end());
        fmt::print("{}: run {}: call {} of {}: {} / {}\n", path.filename().string(), i + 1, at.first - first.outcomes.begin() + 1,
                   first.outcomes.size(), at.first != first.outcomes.end() ? *at.first : "none",
                   at.second != again.outcomes.end() ? *at.second : "none");
        break;
      }
      if (i == 0) first = std::move(again);
    }
  }
  fmt::print("{} inputs x {} runs, {} calls: {} differ\n", files.size(), times, calls, differ);
  return differ == 0 ? 0 : 1;
}

}  // namespace sockproof::fuzz
