// sockproof-oracle: judges traces. See docs/oracle.md.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "oracle/oracle.h"

namespace sockproof::oracle {
namespace {

using nlohmann::json;

struct Totals {
  std::vector<uint32_t> fired = std::vector<uint32_t>(Rule::All().size());
  uint64_t traces = 0, calls = 0, judged = 0, unknown = 0, unreadable = 0, violations = 0, scenarios = 0;
  std::map<std::string, uint64_t> by_rule;
  std::chrono::nanoseconds spent{0};
};

std::string Joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : " or ") + item;
  return text;
}

void Print(const Violation& violation, const std::vector<std::string>& lines, std::size_t context) {
  fmt::print("  {} ({}): {}\n    call:     {}\n    seen:     {}\n    allowed:  {}\n", violation.rule->name(),
             LevelName(violation.level), violation.rule->text(), violation.call, violation.outcome, Joined(violation.allowed));
  if (!violation.detail.empty()) fmt::print("    because:  {}\n", violation.detail);
  fmt::print("    stands in: {}\n", violation.citation);
  const std::size_t from = violation.line + 1 > context ? violation.line + 1 - context : 0;
  for (std::size_t i = from; i <= violation.line && i < lines.size(); ++i) fmt::print("      {}\n", lines[i]);
}

void Take(const std::string& name, std::vector<std::string> lines, bool whole, int profile, std::size_t context, Totals* totals) {
  const std::vector<std::string> kept = lines;
  const auto start = std::chrono::steady_clock::now();
  const Judgement judgement = Judge(std::move(lines), profile, whole);
  totals->spent += std::chrono::steady_clock::now() - start;
  ++totals->traces;
  totals->calls += judgement.calls;
  totals->judged += judgement.judged;
  totals->unknown += judgement.unknown;
  totals->unreadable += judgement.unreadable;
  totals->violations += judgement.violations.size();
  for (std::size_t i = 0; i < judgement.fired.size(); ++i) totals->fired[i] += judgement.fired[i];
  if (judgement.violations.empty()) return;
  ++totals->scenarios;
  fmt::print("{}\n", name);
  for (const Violation& violation : judgement.violations) {
    ++totals->by_rule[violation.rule->name()];
    Print(violation, kept, context);
  }
}

int Main(int argc, char** argv) {
  CLI::App app{"Judges traces of sockproof by its model of sockets: results.jsonl, or files with the lines of a trace."};
  std::vector<std::string> files;
  std::string profile_name = "linux", only;
  std::size_t context = 12;
  bool coverage = false, list = false;
  app.add_option("FILE", files, "results.jsonl of a run, or a trace; '-' is standard input");
  app.add_option("--profile", profile_name, "the documents that it is judged by");
  app.add_option("--scenario", only, "of results.jsonl, only the scenarios whose names contain this");
  app.add_option("--context", context, "lines of the trace to show before a violation");
  app.add_flag("--coverage", coverage, "print how often each rule was decided");
  app.add_flag("--list", list, "print the rules, with where each stands for the profile, and leave");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const int profile = TheCatalogue().ProfileNumber(profile_name);
  if (profile < 0) {
    std::cerr << "sockproof-oracle: there is no profile '" << profile_name << "'\n";
    return 2;
  }
  std::vector<const Rule*> rules = Rule::All();
  std::sort(rules.begin(), rules.end(), [](const Rule* a, const Rule* b) { return std::string_view(a->name()) < b->name(); });
  if (list) {
    for (const Rule* rule : rules) {
      const Requirement* requirement = rule->requirement();
      const Entry* entry = requirement != nullptr ? requirement->For(profile) : nullptr;
      fmt::print("{}: {}\n    {}{}{}\n", rule->name(), rule->text(), rule->requirement_id(),
                 entry != nullptr                  ? fmt::format(" ({}): ", LevelName(entry->level))
                 : *rule->requirement_id() != '\0' ? ": says nothing"
                                                   : "",
                 rule->Citation(profile));
    }
    return 0;
  }
  if (files.empty()) {
    std::cerr << "sockproof-oracle: name a file, or '-'\n";
    return 2;
  }
  Totals totals;
  for (const std::string& name : files) {
    std::ifstream file;
    if (name != "-") file.open(name);
    std::istream& in = name == "-" ? std::cin : file;
    if (!in) {
      std::cerr << "sockproof-oracle: cannot read " << name << '\n';
      return 2;
    }
    std::vector<std::string> lines;
    std::string line;
    while (std::getline(in, line)) {
      if (line.empty() || line[0] != '{') {
        if (!line.empty()) lines.push_back(line);
        continue;
      }
      const json record = json::parse(line, nullptr, false);
      if (record.is_discarded() || record.value("record", "") != "scenario" || !record.contains("trace") ||
          !record["trace"].is_array()) {
        continue;
      }
      const std::string scenario = record.value("name", "");
      if (!only.empty() && scenario.find(only) == std::string::npos) continue;
      std::vector<std::string> trace;
      for (const json& item : record["trace"]) trace.push_back(item.get<std::string>());
      Take(scenario, std::move(trace), record.value("trace_dropped", 0) == 0, profile, context, &totals);
    }
    if (!lines.empty()) Take(name, std::move(lines), true, profile, context, &totals);
  }
  if (totals.traces == 0) {
    std::cerr << "sockproof-oracle: there is no trace in there\n";
    return 2;
  }
  if (coverage) {
    for (const Rule* rule : rules) {
      fmt::print("{:10} {:28} {}\n", totals.fired[rule->number()], rule->name(), rule->requirement_id());
    }
  }
  const auto fired = std::count_if(totals.fired.begin(), totals.fired.end(), [](uint32_t count) { return count > 0; });
  for (const auto& [rule, count] : totals.by_rule) fmt::print("{:6} x {}\n", count, rule);
  fmt::print("{} traces, {} calls: {} judged, {} on sockets of which nothing is known, {} lines unreadable; {} ns a call\n",
             totals.traces, totals.calls, totals.judged, totals.unknown, totals.unreadable,
             totals.calls > 0 ? static_cast<uint64_t>(totals.spent.count()) / totals.calls : 0);
  fmt::print("{} of {} rules fired; {} violations in {} traces\n", fired, rules.size(), totals.violations, totals.scenarios);
  return totals.violations > 0 ? 1 : 0;
}

}  // namespace
}  // namespace sockproof::oracle

int main(int argc, char** argv) { return sockproof::oracle::Main(argc, argv); }
