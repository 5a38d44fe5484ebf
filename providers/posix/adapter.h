// What one open adapter keeps.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "counters.h"
#include "readiness.h"
#include "sockproof/provider.h"

namespace sockproof::posix {

struct Adapter {
  void* bad_page = nullptr;  // one page that may be neither read nor written
  std::size_t page_size = 0;
  int not_socket = -1;  // a file
  int path_only = -1;   // O_PATH
  pid_t process = 0;

  Watchers watchers;

  // Descriptors that were open before anything was made through the adapter, with what they were.
  std::map<int, Identity> baseline;

  std::mutex own_mutex;      // guards what follows
  std::set<int> own;         // descriptors of the adapter itself
  std::vector<int> fillers;  // descriptors that fill holes while a limit is set
  bool limited = false;
  rlimit initial_limit{};        // RLIMIT_NOFILE at open
  std::set<pid_t> children;      // not yet waited for
  int black_hole[2] = {-1, -1};  // silenced listeners: IPv4, IPv6
  sp_address black_hole_address[2]{};

  std::mutex reason_mutex;
  std::map<std::int32_t, std::string> reasons;  // of missing capabilities; their text is handed out
};

inline Adapter* Self(void* self) { return static_cast<Adapter*>(self); }

// The descriptor behind a handle. SP_NOT_SUPPORTED for a watcher that is no descriptor.
std::int32_t Descriptor(const Adapter& adapter, const sp_handle& handle, int* descriptor);

// Puts errno and the return value of a call into a result; returns whether it failed.
bool Report(sp_result* result, std::int64_t returned, int error);
void NotSupported(sp_result* result);

// The parts of the data path (one function an operation or a family of them).
void CallSend(Adapter& adapter, int descriptor, sp_transfer_args& args, sp_result* result);
void CallRecv(Adapter& adapter, int descriptor, sp_transfer_args& args, sp_result* result);
void CallGetOption(Adapter& adapter, int descriptor, sp_option_args& args, sp_result* result);
void CallSetOption(Adapter& adapter, int descriptor, sp_option_args& args, sp_result* result);
void Call(void* self, sp_call* call, sp_result* result);

extern const sp_thread_group kThreads;
extern const sp_signal_group kSignals;
extern const sp_process_group kProcesses;
extern const sp_network_group kNetwork;
extern const sp_limit_group kLimits;
extern const sp_counter_group kCounters;

std::int32_t Capability(void* self, std::int32_t capability, const char** why);

}  // namespace sockproof::posix
