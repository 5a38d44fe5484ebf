#include "faulty/registry.h"

#include <algorithm>
#include <cstring>

#include "faulty/wrapped.h"

namespace sockproof::faulty {
namespace {

// One a line, so that they can be told apart.
const FaultList* const kLists[] = {
    &kListenFaults,     &kBacklogFaults,    &kBindFaults,      &kAcceptFaults,   &kAcceptAddressFaults, &kAcceptFlagFaults,
    &kAcceptTimeFaults, &kAcceptGoneFaults, &kConnectFaults,   &kProgressFaults, &kRefusedFaults,       &kDeferredFaults,
    &kClosingFaults,    &kErrorFaults,      &kCrashFaults,     &kDataFaults,     &kFlagFaults,          &kTimeoutFaults,
    &kShutdownFaults,   &kCloseFaults,      &kNotifyFaults,    &kEpollFaults,    &kOptionFaults,        &kInheritFaults,
    &kContractFaults,   &kCodeFaults,       &kConditionFaults, &kEventFaults,    &kOverlappedFaults,    &kSessionFaults,
    &kHarmFaults,       &kNameFaults,       &kReadyFaults,     &kLateFaults,     &kShareFaults,         &kSpiFaults,
};

// A provider is opened once a process, and so is this. Not destroyed at the end: threads may still be in a call then.
Wrapped* the_wrapped = nullptr;

void Call(void*, sp_call* call, sp_result* result) {
  const Fault* fault = the_wrapped->fault();
  if (fault != nullptr && fault->call != nullptr) {
    fault->call(*the_wrapped, call, result);
  } else {
    the_wrapped->Pass(call, result);
  }
}

int32_t Begin(void*, sp_call* call, sp_operation* operation) {
  const Fault* fault = the_wrapped->fault();
  if (fault != nullptr && fault->begin != nullptr) return fault->begin(*the_wrapped, call, operation);
  return the_wrapped->table().begin(the_wrapped->self(), call, operation);
}

int32_t Wait(void*, sp_operation operation, int64_t timeout_ns, sp_result* result) {
  const Fault* fault = the_wrapped->fault();
  if (fault != nullptr && fault->wait != nullptr) return fault->wait(*the_wrapped, operation, timeout_ns, result);
  return the_wrapped->table().wait(the_wrapped->self(), operation, timeout_ns, result);
}

int32_t Cancel(void*, sp_operation operation) {
  const Fault* fault = the_wrapped->fault();
  if (fault != nullptr && fault->cancel != nullptr) return fault->cancel(*the_wrapped, operation);
  return the_wrapped->table().cancel(the_wrapped->self(), operation);
}

int32_t Startup(void*, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  return the_wrapped->fault()->startup(*the_wrapped, version, given, highest, native);
}

int32_t Cleanup(void*, int64_t* native) { return the_wrapped->fault()->cleanup(*the_wrapped, native); }

}  // namespace

std::vector<const Fault*> AllFaults() {
  std::vector<const Fault*> all;
  for (const FaultList* list : kLists) {
    for (std::size_t i = 0; i < list->count; ++i) all.push_back(&list->faults[i]);
  }
  std::sort(all.begin(), all.end(), [](const Fault* a, const Fault* b) { return std::strcmp(a->name, b->name) < 0; });
  return all;
}

const Fault* FindFault(const std::string& name) {
  for (const FaultList* list : kLists) {
    for (std::size_t i = 0; i < list->count; ++i) {
      if (name == list->faults[i].name) return &list->faults[i];
    }
  }
  return nullptr;
}

void Wrap(const Fault* fault, sp_provider* table, void* self) {
  the_wrapped = new Wrapped(fault, *table, self);
  table->call = Call;
  if (table->begin != nullptr) table->begin = Begin;
  if (table->wait != nullptr) table->wait = Wait;
  if (table->cancel != nullptr) table->cancel = Cancel;
  if (fault == nullptr) return;
  if (table->upcalls != nullptr && fault->upcalls != nullptr) {
    static sp_upcall_group upcalls;
    upcalls = *table->upcalls;
    fault->upcalls(*the_wrapped, &upcalls);
    table->upcalls = &upcalls;
  }
  if (table->session == nullptr) return;
  static sp_session_group session;
  session = *table->session;
  if (fault->startup != nullptr) session.startup = Startup;
  if (fault->cleanup != nullptr) session.cleanup = Cleanup;
  table->session = &session;
}

void Unwrap() {
  delete the_wrapped;
  the_wrapped = nullptr;
}

}  // namespace sockproof::faulty
