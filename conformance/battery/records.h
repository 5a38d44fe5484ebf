// What the battery says to the runner: a line of JSON a record, on standard output.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "catalogue/requirement.h"
#include "face/host.h"
#include "face/outcome.h"

namespace sockproof {

// The state of the one scenario that runs, and the writer of its records. Records may come from any thread; each is one
// write, so none is torn by another process of the scenario.
class Recorder final : public Reporter {
 public:
  static Recorder& Get();

  void UseProfile(int number) { profile_ = number; }
  int profile() const { return profile_; }

  void Begin(std::string scenario, std::vector<const Requirement*> declared);
  // False if it failed.
  bool Check(const Requirement& requirement, const Outcome& outcome, Where where);
  // Writes the end record after the body came to its end; returns whether the verdict is one that gtest should pass. What
  // threads that the scenario left behind have to say after it is not written.
  bool End();
  // Ends the process without unwinding or destroying anything.
  [[noreturn]] void Leave(int code);

  [[noreturn]] void NotSupported(std::string_view capability, const std::string& detail) override;
  [[noreturn]] void StepFailed(Where where, const std::string& step, const Outcome& outcome) override;
  [[noreturn]] void NoSuchOption(Where where, int32_t option, const std::string& step, const Outcome& outcome) override;
  // The provider's own process has ended: the scenario crashed, in another process than this one. Both do not return.
  [[noreturn]] void ProviderDied(const std::string& what);
  // What stands between the implementation and the suite does not do what was agreed: that is no verdict about the
  // implementation.
  [[noreturn]] void ProviderBroke(const std::string& what);
  void ContractBroken(std::string_view promise, const std::string& detail) override;

 private:
  struct State;
  State& state() const;
  void Write(const std::string& json);
  void WriteTrace();
  void WriteEnd(std::string_view verdict, std::string_view level, const std::string& detail);
  // The oracle judges the whole trace, before the verdict is written: what it finds are failed checks of oracle.RULE.
  void HearOracle();
  std::unique_lock<std::mutex> LastWord();

  int profile_ = -1;
};

// The record that holds the last lines of the trace.
std::string TraceRecord();

}  // namespace sockproof
