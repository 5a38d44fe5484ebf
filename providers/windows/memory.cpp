#include "windows/memory.h"

#include <windows.h>

#include <cstdint>

namespace sockproof::windows {
namespace {

constexpr DWORD kReadable =
    PAGE_READONLY | PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
constexpr DWORD kWritable = PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;

// IsBadReadPtr would touch the pages, and take guard pages away that stacks grow by; this only asks.
bool Allows(const void* data, std::size_t length, DWORD protection) {
  if (length == 0) return true;
  auto at = reinterpret_cast<std::uintptr_t>(data);
  if (at + length < at) return false;
  for (const std::uintptr_t end = at + length; at < end;) {
    MEMORY_BASIC_INFORMATION info;
    if (VirtualQuery(reinterpret_cast<const void*>(at), &info, sizeof info) == 0) return false;
    if (info.State != MEM_COMMIT || (info.Protect & protection) == 0 || (info.Protect & PAGE_GUARD) != 0) return false;
    at = reinterpret_cast<std::uintptr_t>(info.BaseAddress) + info.RegionSize;
  }
  return true;
}

}  // namespace

bool CanRead(const void* data, std::size_t length) { return Allows(data, length, kReadable); }

bool CanWrite(void* data, std::size_t length) { return Allows(data, length, kWritable); }

void* BadPage() {
  static void* const page = VirtualAlloc(nullptr, 4096, MEM_RESERVE, PAGE_NOACCESS);
  return page;
}

}  // namespace sockproof::windows
