#include "threads.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "adapter.h"
#include "system.h"

namespace sockproof::winsock {
namespace {

std::atomic<ThreadRecord*> g_threads{nullptr};
std::mutex g_looks;

// Takes the record that a thread of this number had before, or adds one; records are never freed, so that an observer may hold on
// to one. Numbers of threads are used again, so there are not more of them than threads at a time.
ThreadRecord* TakeRecord() {
  const auto self = static_cast<std::int64_t>(::GetCurrentThreadId());
  for (ThreadRecord* record = g_threads.load(); record != nullptr; record = record->next) {
    if (record->thread == self) return record;
  }
  auto* record = new ThreadRecord;
  record->thread = self;
  record->next = g_threads.load();
  while (!g_threads.compare_exchange_weak(record->next, record)) {
  }
  return record;
}

ThreadRecord* FindThread(std::int64_t thread) {
  if (thread <= 0) return nullptr;
  for (ThreadRecord* record = g_threads.load(); record != nullptr; record = record->next) {
    if (record->thread == thread) return record;
  }
  return nullptr;
}

// NtQuerySystemInformation (winternl.h): SYSTEM_PROCESS_INFORMATION, each followed by its SYSTEM_THREAD_INFORMATION.
struct ThreadInformation {
  LARGE_INTEGER times[3];
  ULONG wait_time;
  PVOID start;
  HANDLE process, thread;
  LONG priority, base_priority;
  ULONG switches, state, wait_reason;
};
struct ProcessInformation {
  ULONG next, threads;
  LARGE_INTEGER reserved[3], times[3];
  USHORT name_length, name_room;
  PVOID name;
  LONG base_priority;
  HANDLE process, parent;
  ULONG handles, session;
  ULONG_PTR unique_key;
  SIZE_T memory[12];
  LARGE_INTEGER transfers[6];
  ThreadInformation first[1];
};
static_assert(sizeof(ThreadInformation) == (sizeof(void*) == 8 ? 80 : 64), "as the system lays it out");
static_assert(offsetof(ProcessInformation, first) == (sizeof(void*) == 8 ? 256 : 184), "as the system lays it out");

enum State : ULONG { kRunning = 2, kWaiting = 5 };  // KTHREAD_STATE
constexpr ULONG kTooShort = 0xC0000004;             // STATUS_INFO_LENGTH_MISMATCH
using QuerySystem = LONG(NTAPI*)(ULONG, PVOID, ULONG, PULONG);

// The scheduler's state of two threads of this process, as seen at one time; false if it cannot be had.
bool ThreadStates(std::int64_t first, std::int64_t second, ULONG* first_state, ULONG* second_state) {
  static const auto query = reinterpret_cast<QuerySystem>(
      reinterpret_cast<void*>(::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation")));
  if (query == nullptr) return false;
  constexpr ULONG kProcessInformation = 5;
  std::vector<ULONG64> room(1 << 15);
  ULONG length = 0;
  LONG status = 0;
  for (int i = 0; i < 8; ++i) {
    status = query(kProcessInformation, room.data(), static_cast<ULONG>(room.size() * sizeof room[0]), &length);
    if (static_cast<ULONG>(status) != kTooShort) break;
    room.resize(std::max<std::size_t>(room.size() * 2, length / sizeof room[0] + 4096));
  }
  if (status < 0) return false;
  *first_state = *second_state = ~0UL;
  const auto own = static_cast<ULONG_PTR>(::GetCurrentProcessId());
  for (const auto* at = reinterpret_cast<const unsigned char*>(room.data());;) {
    const auto* process = reinterpret_cast<const ProcessInformation*>(at);
    if (reinterpret_cast<ULONG_PTR>(process->process) == own) {
      for (ULONG i = 0; i < process->threads; ++i) {
        const ThreadInformation& thread = process->first[i];
        const auto number = static_cast<std::int64_t>(reinterpret_cast<ULONG_PTR>(thread.thread));
        if (number == first) *first_state = thread.state;
        if (number == second) *second_state = thread.state;
      }
      return *first_state != ~0UL && *second_state != ~0UL;
    }
    if (process->next == 0) return false;
    at += process->next;
  }
}

std::int64_t NowNs() {
  LARGE_INTEGER now{}, frequency{};
  ::QueryPerformanceCounter(&now);
  ::QueryPerformanceFrequency(&frequency);
  return now.QuadPart / frequency.QuadPart * 1000000000 + now.QuadPart % frequency.QuadPart * 1000000000 / frequency.QuadPart;
}

// Where no state is shown: a thread that was seen in one and the same call many times, over a time in which the observer itself
// was given the processor as many times, has had its turn to go to sleep.
bool SeenOften(ThreadRecord* record, std::uint64_t sequence) {
  constexpr int kLooks = 12;
  constexpr std::int64_t kSpan = 25'000'000;
  ::Sleep(0);
  const std::lock_guard<std::mutex> lock(g_looks);
  if (record->looked_sequence != sequence) {
    record->looked_sequence = sequence;
    record->looked_since_ns = NowNs();
    record->looks = 0;
  }
  ++record->looks;
  return record->looks >= kLooks && NowNs() - record->looked_since_ns >= kSpan;
}

std::int64_t Current(void*) { return ThisThread().thread; }

std::int32_t Blocked(void*, std::int64_t thread) {
  ThreadRecord* record = FindThread(thread);
  if (record == nullptr) return SP_EAGAIN;
  const std::uint64_t before = record->sequence.load();
  if ((before & 1) == 0) return SP_EAGAIN;
  ULONG own = 0, other = 0;
  // A system that does not say of this very thread that it runs (Wine) says nothing of the other one either.
  const bool told = ThreadStates(static_cast<std::int64_t>(::GetCurrentThreadId()), thread, &own, &other) && own == kRunning;
  const bool asleep = told ? other == kWaiting : SeenOften(record, before);
  if (!asleep) return SP_EAGAIN;
  return record->sequence.load() == before ? SP_OK : SP_EAGAIN;
}

}  // namespace

// A slot of the system's, not a thread_local with a destructor: MinGW runs those after it has freed what they destroy.
ThreadRecord& ThisThread() {
  static const DWORD slot = ::TlsAlloc();
  auto* record = static_cast<ThreadRecord*>(::TlsGetValue(slot));
  if (record == nullptr) {
    record = TakeRecord();
    ::TlsSetValue(slot, record);
  }
  return *record;
}

// Nothing interrupts a call here but WSACancelBlockingCall of version 1.1, and no thread can be asked to end.
const sp_thread_group kThreads = {sizeof(sp_thread_group), Current, Blocked, nullptr, nullptr, nullptr};

}  // namespace sockproof::winsock
