// Sockets that are open in this process, whoever made them.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "adapter.h"

namespace sockproof::winsock {
namespace {

// NtQuerySystemInformation, SystemExtendedHandleInformation: every handle of the system, with the kind of its object.
struct HandleEntry {
  PVOID object;
  ULONG_PTR process, handle;
  ULONG access;
  USHORT trace, kind;
  ULONG attributes, reserved;
};
struct HandleList {
  ULONG_PTR count, reserved;
  HandleEntry first[1];
};
constexpr ULONG kExtendedHandles = 64;
constexpr ULONG kTooShort = 0xC0000004;  // STATUS_INFO_LENGTH_MISMATCH
using QuerySystem = LONG(NTAPI*)(ULONG, PVOID, ULONG, PULONG);

// This process's handles of the kind that `like` is: sockets are files.
std::vector<std::uint64_t> HandlesLike(HANDLE like) {
  static const auto query = reinterpret_cast<QuerySystem>(
      reinterpret_cast<void*>(::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation")));
  std::vector<std::uint64_t> out;
  if (query == nullptr) return out;
  std::vector<ULONG64> room(1 << 16);
  LONG status = 0;
  ULONG length = 0;
  for (int i = 0; i < 10; ++i) {
    status = query(kExtendedHandles, room.data(), static_cast<ULONG>(room.size() * sizeof room[0]), &length);
    if (static_cast<ULONG>(status) != kTooShort) break;
    room.resize(std::max<std::size_t>(room.size() * 2, length / sizeof room[0] + 4096));
  }
  if (status < 0) return out;
  const auto* list = reinterpret_cast<const HandleList*>(room.data());
  const auto own = static_cast<ULONG_PTR>(::GetCurrentProcessId());
  int kind = -1;
  for (ULONG_PTR i = 0; i < list->count; ++i) {
    const HandleEntry& one = list->first[i];
    if (one.process == own && one.handle == reinterpret_cast<ULONG_PTR>(like)) kind = one.kind;
  }
  for (ULONG_PTR i = 0; i < list->count; ++i) {
    const HandleEntry& one = list->first[i];
    if (one.process == own && one.kind == kind) out.push_back(one.handle);
  }
  return out;
}

// What scenarios opened: neither there before them nor the adapter's own.
std::set<std::uint64_t> Theirs(Adapter& adapter) {
  std::set<std::uint64_t> open = OpenSockets(adapter);
  for (const std::uint64_t socket : adapter.baseline) open.erase(socket);
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  for (const std::uint64_t socket : adapter.own) open.erase(socket);
  return open;
}

std::int32_t OpenHandles(void* self, std::uint64_t* count) {
  Adapter& adapter = *Self(self);
  *count = Theirs(adapter).size() + adapter.watchers.Events().size();
  return SP_OK;
}

std::int32_t DescribeHandles(void* self, char* text, std::uint32_t* size) {
  Adapter& adapter = *Self(self);
  std::string all;
  for (const std::uint64_t socket : Theirs(adapter)) all += std::to_string(socket) + " socket\n";
  for (const std::int64_t event : adapter.watchers.Events()) all += std::to_string(event) + " event object\n";
  const std::uint32_t room = *size;
  *size = 0;
  if (room == 0) return SP_OK;
  *size = std::min<std::uint32_t>(static_cast<std::uint32_t>(all.size()), room - 1);
  std::memcpy(text, all.data(), *size);
  text[*size] = '\0';
  return SP_OK;
}

}  // namespace

std::set<std::uint64_t> OpenSockets(const Adapter& adapter) {
  std::set<std::uint64_t> out;
  for (const std::uint64_t handle : HandlesLike(adapter.not_socket)) {
    int type = 0;
    int length = sizeof type;
    if (::getsockopt(static_cast<SOCKET>(handle), SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &length) == 0) {
      out.insert(handle);
    }
  }
  return out;
}

const sp_counter_group kCounters = {sizeof(sp_counter_group), OpenHandles, DescribeHandles};

}  // namespace sockproof::winsock
