// The provider under test as the rest of the face sees it: opened once a process, every call traced.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "face/codec.h"
#include "face/outcome.h"
#include "face/payload.h"
#include "face/time.h"
#include "sockproof/provider.h"

namespace sockproof {

// Where in a scenario something was asked for.
struct Where {
  const char* file = "";
  int line = 0;
};  // clang-format off
#define SOCKPROOF_HERE ::sockproof::Where{__builtin_FILE(), __builtin_LINE()}
// clang-format on
// What the battery does when a scenario cannot go on. Both end the scenario (in the battery: the process).
class Reporter {
 public:
  virtual ~Reporter() = default;
  // The provider has no such capability.
  [[noreturn]] virtual void NotSupported(std::string_view capability, const std::string& detail) = 0;
  // A step that the scenario stands on came out otherwise than it must.
  [[noreturn]] virtual void StepFailed(Where where, const std::string& step, const Outcome& outcome) = 0;
  // That step was an option that the provider does not have. Whether it must have it is for its profile to say.
  [[noreturn]] virtual void NoSuchOption(Where where, int32_t option, const std::string& step, const Outcome& outcome) = 0;
  // The provider broke what every call promises (wrote past a buffer, returned what cannot be). The scenario goes on.
  virtual void ContractBroken(std::string_view promise, const std::string& detail) = 0;
};

// Carries out calls: the provider of this process, or of another one (agent.h).
class Caller {
 public:
  virtual ~Caller() = default;
  // `payload` says what the bytes of a send are, or what those of a recv are expected to be, for the trace.
  virtual void Call(sp_call* call, sp_result* result, const Payload* payload = nullptr) = 0;
};

class Host final : public Caller {
 public:
  static Host& Get();

  // `spec` is PROVIDER[:ARG]; `builtin` are the providers that this program holds; `seed` is for what a provider with a
  // scheduler draws by lot. The calling thread is attached to such a scheduler. False with a reason for people.
  struct Builtin {
    const char* name;
    sp_provider_function get;
  };
  // `faulty:FAULT:PROVIDER[:ARG]` opens the provider and hands it to `put_fault`, which changes its table; false: no such fault.
  using PutFault = bool (*)(const std::string& fault, sp_provider* table, void* self);
  bool Open(std::string_view spec, const std::vector<Builtin>& builtin, std::string* why, PutFault put_fault = nullptr,
            uint64_t seed = 0);
  void Close();
  void SetReporter(Reporter* reporter) { reporter_ = reporter; }
  Reporter& reporter() { return *reporter_; }

  // Traces, carries out, traces. SP_NOT_SUPPORTED ends the scenario, named after the operation.
  void Call(sp_call* call, sp_result* result, const Payload* payload = nullptr) override;
  // The same without an end to the scenario.
  void CallRaw(sp_call* call, sp_result* result, const Payload* payload = nullptr);

  // Asked once and kept: an answer must not depend on what the scenario has done meanwhile.
  bool Has(int32_t capability, std::string* why = nullptr) const;
  void Need(int32_t capability);  // ends the scenario as not supported without it
  // Ends the scenario as not supported if an optional function said so, as a failed step if it failed otherwise.
  void Expect(int32_t error, std::string_view capability, const std::string& what, Where where = SOCKPROOF_HERE);

  const std::string& spec() const { return spec_; }  // as it was opened
  const sp_provider& table() const { return *table_; }
  void* self() const { return self_; }
  // The optional groups, each filled up with NULL where the provider has none.
  sp_session_group session{};
  sp_thread_group threads{};
  sp_signal_group signals{};
  sp_process_group processes{};
  sp_upcall_group upcalls{};
  sp_clock_group clock{};
  sp_scheduler_group scheduler{};
  sp_network_group network{};
  sp_limit_group limits{};
  sp_counter_group counters{};

  int64_t Now() const;
  bool HasVirtualClock() const { return virtual_clock_; }
  void SleepVirtual(Nanoseconds span);  // nothing without a virtual clock

 private:
  const sp_provider* table_ = nullptr;
  sp_provider copy_{};
  void* self_ = nullptr;
  Reporter* reporter_ = nullptr;
  std::string spec_;
  bool virtual_clock_ = false;
  struct Answer {
    bool has;
    std::string why;
  };
  mutable std::mutex capabilities_mutex_;
  mutable std::map<int32_t, Answer> capabilities_;
};

}  // namespace sockproof
