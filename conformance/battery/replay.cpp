#include "battery/replay.h"

#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "face/codec.h"
#include "face/controls.h"
#include "face/fixtures.h"
#include "face/host.h"
#include "face/names.h"
#include "face/platform.h"
#include "face/threads.h"
#include "face/trace.h"
#include "oracle/operation.h"
#include "oracle/oracle.h"

namespace sockproof {
namespace {

using nlohmann::json;

constexpr std::string_view kAddressKeys[] = {"address", "to"};

bool LooksLikeTrace(const std::string& line) { return !line.empty() && line[0] >= '0' && line[0] <= '9'; }

bool ReadLines(const std::string& file, const std::string& scenario, std::vector<std::string>* lines) {
  std::ifstream in(file);
  if (!in) return false;
  std::string line;
  while (std::getline(in, line)) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] != '{') {
      lines->push_back(line);
      continue;
    }
    const json record = json::parse(line, nullptr, false);
    if (record.is_discarded() || record.value("record", "") != "scenario" || !record.contains("trace")) continue;
    if (!lines->empty() || record["trace"].empty() || (!scenario.empty() && record.value("name", "") != scenario)) continue;
    for (const json& item : record["trace"]) lines->push_back(item.get<std::string>());
  }
  return !lines->empty();
}

// A script is a trace whose calls follow each other and whose results are not known.
std::vector<std::string> AsTrace(const std::vector<std::string>& script) {
  std::vector<std::string> lines;
  int number = 0;
  for (const std::string& call : script) {
    ++number;
    lines.push_back(fmt::format("{:06} 0.000000 p0 t0 > {}", number, call));
    lines.push_back(fmt::format("{:06} 0.000000 p0 t0 < ok", number));
  }
  return lines;
}

class Player {
 public:
  // What went wrong, or nothing.
  std::string Play(const oracle::Reading& reading) {
    for (std::size_t at = 0; at < reading.records.size(); ++at) {
      const oracle::Record& record = reading.records[at];
      if (record.kind == oracle::Record::kRemark)
        Trace::Get().Note("not replayed: " + std::string(reading.remarks[record.index].text));
      if (record.kind == oracle::Record::kBegin) {
        const oracle::Operation& call = reading.operations[record.index];
        if (call.op == SP_OP_COUNT || call.overlapped) {
          Trace::Get().Note("not replayed: " + std::string(call.name));
          continue;
        }
        const bool alone = call.end == at + 1;
        if (std::string why = Begin(call, alone); !why.empty()) return why;
      }
      if (record.kind == oracle::Record::kEnd) End(reading.operations[record.index]);
    }
    return {};
  }

 private:
  struct Running {
    OwnedCall call;
    std::optional<Task<bool>> task;
    bool finished = false;
  };

  static void Carry(Running* running) { Host::Get().CallRaw(&running->call.call, &running->call.result); }

  std::string Begin(const oracle::Operation& call, bool alone) {
    auto running = std::make_unique<Running>();
    std::string why;
    const std::string text = Translated(call);
    if (!ParseCall(text, &running->call, &why)) return fmt::format("'{}': {}", text, why);
    Running* here = running.get();
    running_[call.number] = std::move(running);
    if (alone) {
      Carry(here);
      here->finished = true;
    } else {
      here->task = Spawn("replay", [here] {
        Carry(here);
        return true;
      });
      // Calls that overlapped then are to overlap now: what comes next waits until this one waits, or is over.
      static_cast<void>(here->task->WaitBlocked());
    }
    return {};
  }

  void End(const oracle::Operation& call) {
    const auto found = running_.find(call.number);
    if (found == running_.end()) return;
    Running& running = *found->second;
    if (running.task) {
      // What waits here may wait for something that another implementation does later: it is left behind then.
      if (!running.task->DoneWithin(Patience())) {
        Trace::Get().Note(fmt::format("did not come back: {}", call.name));
        return;
      }
      static_cast<void>(running.task->Join());
    }
    Learn(call, running.call);
  }

  // Handles and addresses of the trace, in those of this run.
  std::string Translated(const oracle::Operation& call) {
    std::string text(call.name);
    if (call.handle.valid) text += ' ' + Translated(HandleText({call.handle.kind, 0, call.handle.value}));
    for (const auto& [key, value] : call.arguments.all()) {
      std::string word(value);
      if (key == "watcher" || key == "target" || key == "socket" || key == "passes") word = Translated(word);
      for (const std::string_view of : kAddressKeys) {
        if (key == of) word = Place(word);
      }
      // Bytes that the trace has left out.
      if (key == "data" && !word.empty() && word.back() == '+') {
        const std::string length = word.substr(0, word.find(':'));
        text += fmt::format(" payload=1,0,{} pieces={}", length, length);
        continue;
      }
      if (key == "condition") continue;
      text += fmt::format(" {}={}", key, word);
    }
    return text;
  }

  std::string Translated(const std::string& handle) const {
    const auto known = handles_.find(handle);
    return known != handles_.end() ? known->second : handle;
  }

  std::string Place(const std::string& address) {
    if (const auto known = places_.find(address); known != places_.end()) return known->second;
    Address parsed;
    if (!Address::Parse(address, &parsed)) return address;
    if (parsed.family() == SP_UNIX && !parsed.path().empty() && parsed.path()[0] == '/') {
      const Address fresh = Address::Unix(fmt::format("{}/r{}.{}", ScratchDirectory(), platform::ProcessId(), places_.size()));
      places_[address] = fresh.ToString();
      return fresh.ToString();
    }
    // Another address of the same port.
    for (const auto& [from, to] : ports_) {
      if (from == parsed.port() && from != 0) return parsed.WithPort(to).ToString();
    }
    return address;
  }

  void Learn(const oracle::Operation& before, const OwnedCall& now) {
    if (now.result.error != SP_OK) return;
    const bool makes = now.call.op == SP_OP_SOCKET || now.call.op == SP_OP_ACCEPT || now.call.op == SP_OP_DUPLICATE ||
                       now.call.op == SP_OP_WATCH_CREATE || now.call.op == SP_OP_SOCKETPAIR;
    if (makes) {
      const auto given = before.results.Find("handle");
      const bool watcher = now.call.op == SP_OP_WATCH_CREATE;
      // A script gives no results: handles are counted, from s1 and w1.
      const std::string named =
          given ? std::string(*given) : fmt::format("{}{}", watcher ? 'w' : 's', watcher ? ++watchers_ : ++sockets_);
      handles_[named] = HandleText(now.result.handle);
      if (now.call.op == SP_OP_SOCKETPAIR) {
        const auto second = before.results.Find("second");
        handles_[second ? std::string(*second) : fmt::format("s{}", ++sockets_)] = HandleText(now.call.u.socketpair.second);
      }
    }
    if (now.call.op == SP_OP_LOCAL_NAME && now.call.u.local_name.name.decoded != 0) {
      const Address fresh(now.call.u.local_name.name.address);
      if (const auto old = before.Out("name")) {
        places_[old->ToString()] = fresh.ToString();
        if (old->port() != 0) ports_[old->port()] = fresh.port();
      }
    }
  }

  std::map<uint64_t, std::unique_ptr<Running>> running_;
  std::map<std::string, std::string> handles_;
  std::map<std::string, std::string> places_;
  std::map<uint16_t, uint16_t> ports_;
  int sockets_ = 0;
  int watchers_ = 0;
};

}  // namespace

int Replay(const std::string& file, const std::string& scenario, int profile) {
  std::vector<std::string> lines;
  if (!ReadLines(file, scenario, &lines)) {
    std::cerr << "replay: there is no trace and no script in " << file << '\n';
    return 2;
  }
  if (!LooksLikeTrace(lines.front())) lines = AsTrace(lines);
  oracle::Reading reading;
  oracle::ReadTrace(std::move(lines), &reading);
  Player player;
  const std::string why = player.Play(reading);
  const std::vector<std::string> seen = Trace::Get().Tail(SIZE_MAX);
  for (const std::string& line : seen) std::cout << line << '\n';
  std::cout.flush();
  if (!why.empty()) {
    std::cerr << "replay: " << why << '\n';
    return 2;
  }
  const oracle::Judgement judgement = oracle::Judge(seen, profile, seen.size() == Trace::Get().LinesWritten());
  for (const oracle::Violation& violation : judgement.violations) {
    std::cout << fmt::format("\n{} ({}): {}\n  call:    {}\n  seen:    {}\n  allowed: {}\n{}  stands in: {}\n",
                             violation.rule->name(), LevelName(violation.level), violation.rule->text(), violation.call,
                             violation.outcome, fmt::join(violation.allowed, " or "),
                             violation.detail.empty() ? "" : fmt::format("  because: {}\n", violation.detail),
                             violation.citation);
  }
  std::cout << fmt::format("\n{} calls, {} judged, {} on sockets of which nothing is known; {} violations\n", judgement.calls,
                           judgement.judged, judgement.unknown, judgement.violations.size());
  std::cout.flush();
  return judgement.violations.empty() ? 0 : 1;
}

}  // namespace sockproof
