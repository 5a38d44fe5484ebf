#include "face/host.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "face/names.h"
#include "face/platform.h"
#include "face/trace.h"

namespace sockproof {
namespace {

// A copy of a table that may be shorter or longer than ours: what the provider does not have is NULL.
template <typename Table>
void Copy(const Table* from, Table* to) {
  *to = Table{};
  if (from != nullptr) std::memcpy(to, from, std::min<std::size_t>(from->size, sizeof *to));
}

const sp_provider* Load(const std::string& path, std::string* why) {
  if (path.empty()) {
    *why = "lib: needs a path, as in lib:./libmystack.so";
    return nullptr;
  }
  void* symbol = platform::LoadSymbol(path, SP_PROVIDER_SYMBOL, why);
  return symbol != nullptr ? reinterpret_cast<sp_provider_function>(symbol)() : nullptr;
}

}  // namespace

Host& Host::Get() {
  static Host host;
  return host;
}

bool Host::Open(std::string_view spec, const std::vector<Builtin>& builtin, std::string* why, PutFault put_fault, uint64_t seed) {
  spec_ = std::string(spec);
  constexpr std::string_view kFaulty = "faulty:";
  std::string fault;
  if (spec.substr(0, kFaulty.size()) == kFaulty) {
    const std::size_t end = spec.find(':', kFaulty.size());
    if (end == std::string_view::npos || put_fault == nullptr) {
      *why = "a fault is put into a provider as faulty:FAULT:PROVIDER";
      return false;
    }
    fault = spec.substr(kFaulty.size(), end - kFaulty.size());
    spec = spec.substr(end + 1);
  }
  const std::size_t colon = spec.find(':');
  const std::string_view name = spec.substr(0, colon);
  const std::string argument(colon == std::string_view::npos ? std::string_view{} : spec.substr(colon + 1));
  if (name == "lib") {
    table_ = Load(argument, why);
    if (table_ == nullptr) return false;
  } else {
    std::string known = "lib:PATH";
    for (const Builtin& candidate : builtin) {
      known += fmt::format(", {}", candidate.name);
      if (name == candidate.name) table_ = candidate.get();
    }
    if (table_ == nullptr) {
      *why = fmt::format("no provider is called '{}'; there are: {}", name, known);
      return false;
    }
  }
  Copy(table_, &copy_);
  table_ = &copy_;
  if (table_->version != SP_API_VERSION) {
    *why = fmt::format("the provider speaks version {} of the interface, this is version {}", table_->version, SP_API_VERSION);
    return false;
  }
  if (table_->open == nullptr || table_->call == nullptr || table_->close == nullptr || table_->capability == nullptr ||
      table_->name == nullptr || table_->text == nullptr) {
    *why = "the provider's table lacks one of name, text, open, close, capability, call";
    return false;
  }
  const char* reason = nullptr;
  const int32_t error = table_->open(name == "lib" ? "" : argument.c_str(), &self_, &reason);
  if (error != SP_OK) {
    *why = fmt::format("the provider did not open: {} {}", ErrorName(error), reason != nullptr ? reason : "");
    return false;
  }
  if (!fault.empty() && !put_fault(fault, &copy_, self_)) {
    *why = fmt::format("there is no fault '{}'", fault);
    return false;
  }
  Copy(table_->session, &session);
  Copy(table_->threads, &threads);
  Copy(table_->signals, &signals);
  Copy(table_->processes, &processes);
  Copy(table_->upcalls, &upcalls);
  Copy(table_->clock, &clock);
  Copy(table_->scheduler, &scheduler);
  Copy(table_->network, &network);
  Copy(table_->limits, &limits);
  Copy(table_->counters, &counters);
  virtual_clock_ = clock.is_virtual != nullptr && clock.is_virtual(self_) != 0;
  if (scheduler.seed != nullptr) scheduler.seed(self_, seed);
  if (scheduler.attach != nullptr) scheduler.attach(self_, "scenario");
  return true;
}

void Host::Close() {
  if (table_ != nullptr) table_->close(self_);
  table_ = nullptr;
}

void Host::CallRaw(sp_call* call, sp_result* result, const Payload* payload) {
  call->size = sizeof *call;
  *result = sp_result{};
  result->size = sizeof *result;
  TextOptions text;
  text.payload = payload;
  const uint64_t operation = Trace::Get().Begin(CallText(*call, text));
  table_->call(self_, call, result);
  Trace::Get().End(operation, ResultText(*call, *result, text));
}

void Host::Call(sp_call* call, sp_result* result, const Payload* payload) {
  CallRaw(call, result, payload);
  if (result->error == SP_NOT_SUPPORTED) {
    reporter_->NotSupported(OpName(call->op), "the provider cannot do this call: " + CallText(*call));
  }
}

bool Host::Has(int32_t capability, std::string* why) const {
  const std::lock_guard<std::mutex> lock(capabilities_mutex_);
  auto at = capabilities_.find(capability);
  if (at == capabilities_.end()) {
    const char* reason = nullptr;
    const bool has = table_->capability(self_, capability, &reason) == SP_OK;
    at = capabilities_.emplace(capability, Answer{has, reason != nullptr ? reason : "the provider does not have it"}).first;
  }
  if (!at->second.has && why != nullptr) *why = at->second.why;
  return at->second.has;
}

void Host::Need(int32_t capability) {
  std::string why;
  if (!Has(capability, &why)) reporter_->NotSupported(CapabilityName(capability), why);
}

void Host::Expect(int32_t error, std::string_view capability, const std::string& what, Where where) {
  if (error == SP_NOT_SUPPORTED) reporter_->NotSupported(capability, what);
  if (error != SP_OK) reporter_->StepFailed(where, what, Outcome::OfError(error, 0));
}

int64_t Host::Now() const { return table_ != nullptr && clock.now_ns != nullptr ? clock.now_ns(self_) : HostNow(); }

void Host::SleepVirtual(Nanoseconds span) {
  if (scheduler.wait_until == nullptr) return;
  scheduler.wait_until(
      self_, [](void*) -> int32_t { return 0; }, nullptr, span.count(), "quiet time");
}

}  // namespace sockproof
