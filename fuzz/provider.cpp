#include "fuzz/provider.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "face/platform.h"
#include "faulty/registry.h"
#include "sockproof/posix.h"

extern "C" const struct sp_provider* sockproof_reference_provider(void);

namespace sockproof::fuzz {
namespace {

// A copy of a table that may be shorter or longer than ours.
template <typename Table>
void Copy(const Table* from, Table* to) {
  *to = Table{};
  if (from != nullptr) std::memcpy(to, from, std::min<std::size_t>(from->size, sizeof *to));
}

bool Complete(const sp_provider& table) {
  return table.version == SP_API_VERSION && table.open != nullptr && table.close != nullptr && table.capability != nullptr &&
         table.call != nullptr;
}

// Splits "NAME:REST".
std::string TakeName(std::string* text) {
  const std::size_t colon = text->find(':');
  std::string name = text->substr(0, colon);
  *text = colon == std::string::npos ? std::string{} : text->substr(colon + 1);
  return name;
}

}  // namespace

bool Provider::Load(const std::string& spec, std::string* why) {
  spec_ = spec;
  std::string rest = spec;
  std::string name = TakeName(&rest);
  if (name == "faulty") {
    fault_ = TakeName(&rest);
    name = TakeName(&rest);
    if (fault_ != "none" && faulty::FindFault(fault_) == nullptr) {
      *why = "there is no fault '" + fault_ + "'";
      return false;
    }
  }
  argument_ = rest;
  if (name == "reference") {
    original_ = sockproof_reference_provider();
  } else if (name == "posix" || name == "linux") {
    original_ = sockproof_posix_provider();
  } else if (name == "lib") {
    void* symbol = platform::LoadSymbol(argument_, SP_PROVIDER_SYMBOL, why);
    if (symbol == nullptr) return false;
    original_ = reinterpret_cast<sp_provider_function>(symbol)();
    argument_.clear();
  } else {
    *why = "no provider is called '" + name + "'; there are reference[:PROFILE], posix, lib:PATH and faulty:FAULT:PROVIDER[:ARG]";
    return false;
  }
  Copy(original_, &table_);
  if (original_ == nullptr || !Complete(table_)) {
    *why = "the provider's table is of another version, or lacks one of open, close, capability, call";
    return false;
  }
  return Fresh(why);
}

Provider::~Provider() { Close(); }

void Provider::Close() {
  if (self_ == nullptr) return;
  if (scheduler_.detach != nullptr) scheduler_.detach(self_);
  table_.close(self_);
  if (!fault_.empty()) faulty::Unwrap();
  self_ = nullptr;
}

bool Provider::Fresh(std::string* why) {
  if (self_ != nullptr && !virtual_ && fault_.empty()) return true;
  Close();
  Copy(original_, &table_);
  const char* reason = nullptr;
  if (const int32_t error = table_.open(argument_.c_str(), &self_, &reason); error != SP_OK) {
    *why = reason != nullptr ? reason : "the provider did not open";
    self_ = nullptr;
    return false;
  }
  if (!fault_.empty()) faulty::Wrap(faulty::FindFault(fault_), &table_, self_);
  Copy(table_.clock, &clock_);
  Copy(table_.scheduler, &scheduler_);
  Copy(table_.network, &network_);
  Copy(table_.counters, &counters_);
  virtual_ = clock_.is_virtual != nullptr && clock_.is_virtual(self_) != 0;
  if (scheduler_.seed != nullptr) scheduler_.seed(self_, 1);
  if (scheduler_.attach != nullptr) scheduler_.attach(self_, "fuzzer");
  return true;
}

void Provider::Call(sp_call* call, sp_result* result) const {
  call->size = sizeof *call;
  *result = sp_result{};
  result->size = sizeof *result;
  table_.call(self_, call, result);
}

bool Provider::Has(int32_t capability) const {
  const char* why = nullptr;
  return table_.capability(self_, capability, &why) == SP_OK;
}

int64_t Provider::Now() const {
  if (clock_.now_ns != nullptr) return clock_.now_ns(self_);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Provider::Advance(int64_t span) const {
  if (!virtual_ || scheduler_.wait_until == nullptr) return;
  scheduler_.wait_until(
      self_, [](void*) -> int32_t { return 0; }, nullptr, span, "a fuzzer");
}

std::string Provider::ProfileOf(std::string spec) {
  std::string name = TakeName(&spec);
  if (name == "faulty") {
    TakeName(&spec);
    name = TakeName(&spec);
  }
  return name == "reference" && !spec.empty() ? spec : "linux";
}

}  // namespace sockproof::fuzz
