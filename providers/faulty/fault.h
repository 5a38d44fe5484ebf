// Seeded faults: what a provider does wrong, one at a time. Each resembles something that a real stack got wrong, and breaks a
// requirement that the catalogue names; a battery that does not notice it has lost its teeth there.
#pragma once

#include <cstddef>

#include "sockproof/provider.h"

namespace sockproof::faulty {

class Wrapped;

struct Fault {
  const char* name;          // lower-case words with hyphens
  const char* text;          // one sentence: what it does wrong
  const char* requirements;  // the full ids that it breaks, separated by spaces; catching one of them kills it
  const char* profiles;      // those that it applies to, separated by spaces; what inherits one of them is meant too
  const char* model;         // the real bug that it resembles, with its source; or the document's own warning
  // Carries the call out, wrongly. What it does not want to touch it hands to Wrapped::Pass.
  void (*call)(Wrapped& provider, sp_call* call, sp_result* result);
  // Begun calls, in the same way; null: as they should be.
  int32_t (*begin)(Wrapped& provider, sp_call* call, sp_operation* operation) = nullptr;
  int32_t (*wait)(Wrapped& provider, sp_operation operation, int64_t timeout_ns, sp_result* result) = nullptr;
  int32_t (*cancel)(Wrapped& provider, sp_operation operation) = nullptr;
  // The session: likewise.
  int32_t (*startup)(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) = nullptr;
  int32_t (*cleanup)(Wrapped& provider, int64_t* native) = nullptr;
  // A service provider's upcalls and handles: changes what of the group tells of them. Once, when the provider has been opened.
  void (*upcalls)(Wrapped& provider, sp_upcall_group* group) = nullptr;
};

// Every fault there is.
struct FaultList {
  const Fault* faults;
  std::size_t count;
};
// One list a file; registry.cpp puts them together.
extern const FaultList kListenFaults;
extern const FaultList kBacklogFaults;
extern const FaultList kBindFaults;
extern const FaultList kAcceptFaults;
extern const FaultList kAcceptAddressFaults;
extern const FaultList kAcceptFlagFaults;
extern const FaultList kAcceptTimeFaults;
extern const FaultList kAcceptGoneFaults;
extern const FaultList kConnectFaults;
extern const FaultList kProgressFaults;
extern const FaultList kRefusedFaults;
extern const FaultList kDeferredFaults;
extern const FaultList kClosingFaults;
extern const FaultList kErrorFaults;
extern const FaultList kCrashFaults;
extern const FaultList kDataFaults;
extern const FaultList kFlagFaults;
extern const FaultList kTimeoutFaults;
extern const FaultList kShutdownFaults;
extern const FaultList kCloseFaults;
extern const FaultList kNotifyFaults;
extern const FaultList kEpollFaults;
extern const FaultList kOptionFaults;
extern const FaultList kInheritFaults;
extern const FaultList kContractFaults;
extern const FaultList kCodeFaults;
extern const FaultList kConditionFaults;
extern const FaultList kEventFaults;
extern const FaultList kOverlappedFaults;
extern const FaultList kSessionFaults;
extern const FaultList kHarmFaults;
extern const FaultList kNameFaults;
extern const FaultList kReadyFaults;
extern const FaultList kLateFaults;
extern const FaultList kShareFaults;
extern const FaultList kSpiFaults;

}  // namespace sockproof::faulty
