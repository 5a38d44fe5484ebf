// A provider as fuzzers use it: opened and closed for each input where that gives a fresh world, and any number at a time.
#pragma once

#include <cstdint>
#include <string>

#include "sockproof/provider.h"

namespace sockproof::fuzz {

class Provider {
 public:
  // `spec`: PROVIDER[:ARG], or faulty:FAULT:PROVIDER[:ARG] (one of those at a time). False, and why, if there is none such.
  bool Load(const std::string& spec, std::string* why);
  ~Provider();
  Provider() = default;
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;

  // A world in which nothing has happened yet. Where the sockets live in a kernel there is one for the whole process.
  bool Fresh(std::string* why);

  // Carries out one call: `call` must be filled in but for its size.
  void Call(sp_call* call, sp_result* result) const;
  bool Has(int32_t capability) const;
  bool VirtualClock() const { return virtual_; }
  int64_t Now() const;               // nanoseconds
  void Advance(int64_t span) const;  // of a virtual clock; nothing elsewhere

  const sp_network_group& network() const { return network_; }
  const sp_counter_group& counters() const { return counters_; }
  void* self() const { return self_; }
  const std::string& spec() const { return spec_; }
  // The profile that is meant where nobody says another one: that of a reference provider, else linux.
  static std::string ProfileOf(std::string spec);

 private:
  void Close();

  std::string spec_, argument_, fault_;
  const sp_provider* original_ = nullptr;
  sp_provider table_{};
  sp_clock_group clock_{};
  sp_scheduler_group scheduler_{};
  sp_network_group network_{};
  sp_counter_group counters_{};
  void* self_ = nullptr;
  bool virtual_ = false;
};

}  // namespace sockproof::fuzz
