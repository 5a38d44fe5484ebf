// The table: what this provider gives to the suite. What a call does is in calls.cpp, the rest is short enough to stand here.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "reference/address.h"
#include "reference/calls.h"
#include "reference/profile.h"
#include "reference/socket.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

Stack& Self(void* self) { return *static_cast<Stack*>(self); }

int32_t Open(const char* argument, void** self, const char** why) {
  const Profile* profile = FindProfile(argument != nullptr ? argument : "");
  if (profile == nullptr) {
    if (why != nullptr) *why = "its argument is a profile: linux (which is meant by none), posix, winsock or winsock-spi";
    return SP_EINVAL;
  }
  *self = std::make_unique<Stack>(*profile).release();
  return SP_OK;
}

void Close(void* self) { std::unique_ptr<Stack>(static_cast<Stack*>(self)).reset(); }

int32_t Capability(void* self, int32_t capability, const char** why) {
  if (Self(self).profile().capabilities.count(capability) != 0) return SP_OK;
  if (why != nullptr) {
    switch (capability) {
      case SP_CAP_PROCESSES:
      case SP_CAP_HANDLE_EXPORT:
        *why = "its sockets live in one process";
        break;
      case SP_CAP_SIGNALS:
      case SP_CAP_CANCELLATION:
        *why = "its calls are not the system's: no signal and no cancellation ends them";
        break;
      default:
        *why = "its profile has nothing of this kind";
        break;
    }
  }
  return SP_NOT_SUPPORTED;
}

void Call(void* self, sp_call* call, sp_result* result) { CarryOut(&Self(self), call, result); }

int32_t Begin(void* self, sp_call* call, sp_operation* operation) { return BeginOperation(&Self(self), call, operation); }
int32_t Wait(void* self, sp_operation operation, int64_t timeout, sp_result* result) {
  return WaitForOperation(&Self(self), operation, timeout, result);
}
int32_t Cancel(void* self, sp_operation operation) { return CancelOperation(&Self(self), operation); }

// ---- The session

int32_t Startup(void* self, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  Stack& stack = Self(self);
  if (stack.profile().capabilities.count(SP_CAP_SESSION) == 0) return SP_NOT_SUPPORTED;
  const int32_t error = stack.session().Startup(version, stack.profile().lowest_version, given, highest);
  *native = error;
  return error;
}

int32_t Cleanup(void* self, int64_t* native) {
  Stack& stack = Self(self);
  if (stack.profile().capabilities.count(SP_CAP_SESSION) == 0) return SP_NOT_SUPPORTED;
  const int32_t error = stack.session().Cleanup(&stack);
  *native = error;
  return error;
}

const sp_session_group kSession = {sizeof(sp_session_group), Startup, Cleanup};

// ---- Threads and time

int64_t CurrentThread(void* self) { return Self(self).scheduler().Current(); }

int32_t ThreadBlocked(void* self, int64_t thread) { return Self(self).scheduler().Blocked(thread) ? SP_OK : SP_EAGAIN; }

const sp_thread_group kThreads = {sizeof(sp_thread_group), CurrentThread, ThreadBlocked, nullptr, nullptr, nullptr};

int64_t NowNs(void* self) { return Self(self).scheduler().Now(); }
int32_t IsVirtual(void*) { return 1; }
const sp_clock_group kClock = {sizeof(sp_clock_group), NowNs, IsVirtual};

int32_t Attach(void* self, const char* name) {
  Self(self).scheduler().Attach(name != nullptr ? name : "");
  return SP_OK;
}

int32_t Detach(void* self) {
  Self(self).scheduler().Detach();
  return SP_OK;
}

int32_t WaitUntil(void* self, int32_t (*ready)(void* context), void* context, int64_t timeout, const char* what) {
  Scheduler& scheduler = Self(self).scheduler();
  const int64_t deadline = timeout < 0 ? kNever : scheduler.Now() + timeout;
  switch (scheduler.WaitUntil([=] { return ready(context) != 0; }, deadline, what != nullptr ? what : "")) {
    case Scheduler::Woken::kReady:
      return SP_OK;
    case Scheduler::Woken::kTimedOut:
      return SP_ETIMEDOUT;
    default:
      return SP_EDEADLK;
  }
}

int32_t Seed(void* self, uint64_t seed) {
  Self(self).scheduler().Seed(seed);
  return SP_OK;
}

int32_t Expect(void* self) {
  Self(self).scheduler().Expect();
  return SP_OK;
}

const sp_scheduler_group kScheduler = {sizeof(sp_scheduler_group), Attach, Detach, WaitUntil, Seed, Expect};

// ---- Signals: none is raised, but those that a call would raise are counted

int32_t TakePipeSignals(void* self, uint64_t* count) {
  *count = Self(self).TakePipeSignals();
  return SP_OK;
}

int32_t TakeIoSignals(void* self, uint64_t* count) {
  *count = Self(self).TakeIoSignals();
  return SP_OK;
}

const sp_signal_group kSignals = {sizeof(sp_signal_group), TakePipeSignals, TakeIoSignals};

// ---- The network

int32_t Silence(void* self, sp_handle handle, int32_t on) {
  Hold file;
  if (const int32_t error = FindFile(&Self(self), handle, &file); error != SP_OK) return error;
  auto* socket = dynamic_cast<Socket*>(file.get());
  return socket != nullptr ? socket->Silence(on != 0) : static_cast<int32_t>(SP_ENOTSOCK);
}

int32_t BlackHole(void*, int32_t family, sp_address* address) {
  if (family != SP_INET && family != SP_INET6 && family != SP_CONNDATA) return SP_NOT_SUPPORTED;
  constexpr uint16_t kSomePort = 4242;
  *address = ToAddress({Network::BlackHole(family), kSomePort}, family);
  return SP_OK;
}

int32_t Impair(void* self, uint32_t drop_ppm, uint32_t duplicate_ppm, int64_t delay, int64_t jitter) {
  Self(self).network().Impair({drop_ppm, duplicate_ppm, delay, jitter});
  return SP_OK;
}

int32_t Inject(void* self, const uint8_t* packet, uint32_t size) {
  return Self(self).network().Inject(packet, size) ? SP_OK : SP_EINVAL;
}

int32_t CaptureTo(void* self, const char* path) {
  return Self(self).network().StartCapture(path != nullptr ? path : "") ? SP_OK : SP_EIO;
}

const sp_network_group kNetwork = {sizeof(sp_network_group), Silence, BlackHole, Impair, Inject, CaptureTo};

// ---- Limits, knobs, counters

int32_t SetLimit(void* self, int32_t limit, int64_t headroom) { return Self(self).SetLimit(limit, headroom); }

int32_t GetKnob(void* self, int32_t knob, int64_t* value) {
  if (!Self(self).HasKnob(knob)) return SP_NOT_SUPPORTED;
  *value = Self(self).KnobValue(knob);
  return SP_OK;
}

int32_t SetKnob(void* self, int32_t knob, int64_t value) { return Self(self).SetKnob(knob, value); }

const sp_limit_group kLimits = {sizeof(sp_limit_group), SetLimit, GetKnob, SetKnob};

int32_t OpenHandles(void* self, uint64_t* count) {
  *count = Self(self).handles().count();
  return SP_OK;
}

int32_t DescribeHandles(void* self, char* text, uint32_t* size) {
  const std::string all = Self(self).handles().Describe();
  const uint32_t room = *size;
  *size = 0;
  if (room == 0) return SP_OK;
  *size = std::min(static_cast<uint32_t>(all.size()), room - 1);
  std::memcpy(text, all.data(), *size);
  text[*size] = '\0';
  return SP_OK;
}

const sp_counter_group kCounters = {sizeof(sp_counter_group), OpenHandles, DescribeHandles};

const sp_provider kProvider = {
    sizeof(sp_provider),
    SP_API_VERSION,
    "reference",
    "sockets of sockproof's own, over its own network, on a virtual clock",
    Open,
    Close,
    Capability,
    Call,
    Begin,
    Wait,
    Cancel,
    &kSession,
    &kThreads,
    &kSignals,
    nullptr,  // processes
    nullptr,  // upcalls
    &kClock,
    &kScheduler,
    &kNetwork,
    &kLimits,
    &kCounters,
};

}  // namespace
}  // namespace sockproof::reference

extern "C" const sp_provider* sockproof_reference_provider(void) { return &sockproof::reference::kProvider; }
