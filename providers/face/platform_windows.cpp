#include "face/platform.h"

#include <windows.h>

#include <algorithm>
#include <atomic>
#include <new>

#include <fmt/format.h>

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x2
#endif

namespace sockproof::platform {
namespace {

HANDLE ToHandle(Descriptor descriptor) { return reinterpret_cast<HANDLE>(static_cast<intptr_t>(descriptor)); }
Descriptor FromHandle(HANDLE handle) { return reinterpret_cast<intptr_t>(handle); }

}  // namespace

int64_t MonotonicNow() {
  static const int64_t per_second = [] {
    LARGE_INTEGER frequency;
    QueryPerformanceFrequency(&frequency);
    return static_cast<int64_t>(frequency.QuadPart);
  }();
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  // In two parts: a product of the whole would not fit after some days.
  return now.QuadPart / per_second * 1'000'000'000 + now.QuadPart % per_second * 1'000'000'000 / per_second;
}

void Sleep(int64_t nanoseconds) {
  // ::Sleep counts milliseconds, and where nobody asked for better, steps of 15.6 of them.
  HANDLE timer = CreateWaitableTimerExW(nullptr, nullptr, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS);
  if (timer == nullptr) timer = CreateWaitableTimerExW(nullptr, nullptr, 0, TIMER_ALL_ACCESS);
  LARGE_INTEGER due;
  due.QuadPart = -((nanoseconds + 99) / 100);
  if (timer != nullptr && SetWaitableTimer(timer, &due, 0, nullptr, nullptr, FALSE) != 0) {
    WaitForSingleObject(timer, INFINITE);
  } else {
    ::Sleep(static_cast<DWORD>((nanoseconds + 999'999) / 1'000'000));
  }
  if (timer != nullptr) CloseHandle(timer);
}

Bound* BindToProcessor() { return nullptr; }  // nothing there hangs on the order of packets over a loopback interface
void Unbind(Bound*) {}

void SleepForEver() {
  for (;;) ::Sleep(INFINITE);
}

int64_t ProcessId() { return GetCurrentProcessId(); }

std::string MakeScratchDirectory(bool* made) {
  char base[MAX_PATH + 1] = "";
  std::string common = GetTempPathA(sizeof base, base) != 0 ? base : ".\\";
  const std::string path = fmt::format("{}sp.{:x}.{:x}", common, GetCurrentProcessId(), GetTickCount64());
  *made = CreateDirectoryA(path.c_str(), nullptr) != 0;
  return *made ? path : common;
}

std::size_t PageSize() {
  static const std::size_t size = [] {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return static_cast<std::size_t>(info.dwPageSize);
  }();
  return size;
}

uint8_t* MapBeforeGuard(std::size_t body) {
  auto* base = static_cast<uint8_t*>(VirtualAlloc(nullptr, body + PageSize(), MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
  if (base == nullptr) throw std::bad_alloc();
  DWORD before = 0;
  VirtualProtect(base + body, PageSize(), PAGE_NOACCESS, &before);
  return base;
}

void UnmapBeforeGuard(uint8_t* base, std::size_t) { VirtualFree(base, 0, MEM_RELEASE); }

void* MapShared(const char* path, std::size_t size) {
  HANDLE file = INVALID_HANDLE_VALUE;  // the paging file
  if (path != nullptr) {
    file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                       OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr);
    if (file == INVALID_HANDLE_VALUE) return nullptr;
  }
  void* memory = nullptr;
  const HANDLE mapping = CreateFileMappingA(file, nullptr, PAGE_READWRITE, 0, static_cast<DWORD>(size), nullptr);
  if (mapping != nullptr) {
    memory = MapViewOfFile(mapping, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, size);
    CloseHandle(mapping);
  }
  if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
  return memory;
}

void* LoadSymbol(const std::string& path, const char* symbol, std::string* why) {
  // With a whole path, so that the libraries that this one needs are looked for beside it.
  char whole[4 * MAX_PATH];
  const DWORD length = GetFullPathNameA(path.c_str(), sizeof whole, whole, nullptr);
  const HMODULE library =
      LoadLibraryExA(length > 0 && length < sizeof whole ? whole : path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (library == nullptr) {
    const DWORD error = GetLastError();
    *why = fmt::format("{} cannot be loaded: error {}{}", path, error,
                       error == ERROR_BAD_EXE_FORMAT ? " (a library for another kind of machine?)" : "");
    return nullptr;
  }
  const FARPROC address = GetProcAddress(library, symbol);
  if (address == nullptr) *why = fmt::format("{} does not export {}()", path, symbol);
  return reinterpret_cast<void*>(address);
}

namespace {

// An anonymous pipe cannot be read with a time limit; a named one can, and only it says whose end is which.
bool MakePipe(DWORD access, DWORD others, Descriptor* mine, Descriptor* theirs) {
  static std::atomic<unsigned> next{0};
  const std::string name = fmt::format("\\\\.\\pipe\\sockproof-{}-{}", GetCurrentProcessId(), next++);
  const HANDLE server = CreateNamedPipeA(name.c_str(), access | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                         PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, 1 << 16,
                                         1 << 16, 0, nullptr);
  if (server == INVALID_HANDLE_VALUE) return false;
  SECURITY_ATTRIBUTES inheritable{sizeof inheritable, nullptr, TRUE};
  const HANDLE client = CreateFileA(name.c_str(), others, 0, &inheritable, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (client == INVALID_HANDLE_VALUE) {
    CloseHandle(server);
    return false;
  }
  *mine = FromHandle(server);
  *theirs = FromHandle(client);
  return true;
}

// The end of an operation on one of our own ends: the bytes, 0 if it failed, kLate if it was given up.
int64_t Finish(HANDLE pipe, OVERLAPPED* operation, int64_t limit) {
  const auto milliseconds = static_cast<DWORD>(std::min<int64_t>((limit + 999'999) / 1'000'000, 0x7fffffff));
  const bool late = limit >= 0 && WaitForSingleObject(operation->hEvent, milliseconds) == WAIT_TIMEOUT;
  if (late) CancelIoEx(pipe, operation);
  DWORD done = 0;
  if (GetOverlappedResult(pipe, operation, &done, TRUE) != 0) return done;  // perhaps at the last moment
  return late && GetLastError() == ERROR_OPERATION_ABORTED ? kLate : 0;
}

}  // namespace

bool PipeToAgent(Descriptor* mine, Descriptor* theirs) { return MakePipe(PIPE_ACCESS_OUTBOUND, GENERIC_READ, mine, theirs); }
bool PipeFromAgent(Descriptor* mine, Descriptor* theirs) { return MakePipe(PIPE_ACCESS_INBOUND, GENERIC_WRITE, mine, theirs); }

void Close(Descriptor descriptor) { CloseHandle(ToHandle(descriptor)); }

bool WriteAll(Descriptor descriptor, const char* data, std::size_t size) {
  while (size > 0) {
    OVERLAPPED operation{};
    operation.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    DWORD wrote = 0;
    if (WriteFile(ToHandle(descriptor), data, static_cast<DWORD>(size), &wrote, &operation) == 0) {
      wrote = GetLastError() == ERROR_IO_PENDING ? static_cast<DWORD>(Finish(ToHandle(descriptor), &operation, -1)) : 0;
    }
    CloseHandle(operation.hEvent);
    if (wrote == 0) return false;
    data += wrote;
    size -= wrote;
  }
  return true;
}

int64_t ReadSome(Descriptor descriptor, char* data, std::size_t size, int64_t limit) {
  OVERLAPPED operation{};
  operation.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  DWORD got = 0;
  int64_t count = 0;
  if (ReadFile(ToHandle(descriptor), data, static_cast<DWORD>(size), &got, &operation) != 0) {
    count = got;
  } else if (GetLastError() == ERROR_IO_PENDING) {
    count = Finish(ToHandle(descriptor), &operation, limit);
  }
  CloseHandle(operation.hEvent);
  return count;
}

}  // namespace sockproof::platform
