// What the suite itself asks of its host, and what differs between operating systems there. None of it goes through the sockets
// under test. platform_posix.cpp and platform_windows.cpp are its two halves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sockproof::platform {

int64_t MonotonicNow();           // nanoseconds since some fixed moment, the same for all processes of this machine
void Sleep(int64_t nanoseconds);  // at least that long
[[noreturn]] void SleepForEver();
int64_t ProcessId();

// Keeps the calling thread on the processor that it runs on. NULL where that cannot be had; what comes back is given to Unbind,
// which undoes it and frees it.
struct Bound;
Bound* BindToProcessor();
void Unbind(Bound* bound);

// A new directory of this process's own, with a short name; the common one for temporary files if none can be made.
std::string MakeScratchDirectory(bool* made);

// Memory of `body` bytes, a multiple of the page size, before a page that cannot be touched. Throws std::bad_alloc.
std::size_t PageSize();
uint8_t* MapBeforeGuard(std::size_t body);
void UnmapBeforeGuard(uint8_t* base, std::size_t body);

// Memory that other processes of the scenario see: with whoever maps the same file (which is made, and made as long), or, without
// a path, with copies of this process. NULL if it cannot be had.
void* MapShared(const char* path, std::size_t size);

// The address of what the shared library `path` exports as `symbol`; NULL, and why, if it cannot be loaded or exports none.
void* LoadSymbol(const std::string& path, const char* symbol, std::string* why);

// Pipes to and from the other processes of a scenario: file descriptors, or the values of Windows' handles. This process's ends
// go to no other program; the other ends are what `keep` of sp_process_group's exec takes.
using Descriptor = int64_t;
constexpr Descriptor kNoDescriptor = -1;
bool PipeToAgent(Descriptor* mine, Descriptor* theirs);
bool PipeFromAgent(Descriptor* mine, Descriptor* theirs);
void Close(Descriptor descriptor);
bool WriteAll(Descriptor descriptor, const char* data, std::size_t size);
// How many bytes came; 0 at the end, kLate if none came for as long as `limit` nanoseconds (below 0: no limit; only that is for
// ends that another process handed over).
constexpr int64_t kLate = -1;
int64_t ReadSome(Descriptor descriptor, char* data, std::size_t size, int64_t limit);

}  // namespace sockproof::platform
