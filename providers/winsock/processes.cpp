// The session, and other processes.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "adapter.h"
#include "perform.h"
#include "windows/errors.h"

namespace sockproof::winsock {
namespace {

std::uint32_t NeutralVersion(WORD version) { return static_cast<std::uint32_t>(LOBYTE(version)) << 8 | HIBYTE(version); }

std::int32_t Startup(void*, std::uint32_t version, std::uint32_t* given, std::uint32_t* highest, std::int64_t* native) {
  WSADATA data{};
  const int error = ::WSAStartup(MAKEWORD(version >> 8 & 0xff, version & 0xff), &data);
  *given = NeutralVersion(data.wVersion);
  *highest = NeutralVersion(data.wHighVersion);
  *native = error;
  return windows::ErrorOf(error);
}

std::int32_t Cleanup(void*, std::int64_t* native) {
  *native = ::WSACleanup() == 0 ? 0 : ::WSAGetLastError();
  return windows::ErrorOf(*native);
}

std::wstring Wide(const char* text) {
  const int length = ::MultiByteToWideChar(CP_UTF8, 0, text, -1, nullptr, 0);
  std::wstring out(static_cast<std::size_t>(std::max(length, 1)), L'\0');
  ::MultiByteToWideChar(CP_UTF8, 0, text, -1, out.data(), length);
  out.resize(std::wcslen(out.c_str()));
  return out;
}

// One argument as CommandLineToArgvW takes it apart again.
void AppendQuoted(const std::wstring& argument, std::wstring* line) {
  if (!line->empty()) *line += L' ';
  if (!argument.empty() && argument.find_first_of(L" \t\"") == std::wstring::npos) {
    *line += argument;
    return;
  }
  *line += L'"';
  std::size_t backslashes = 0;
  for (const wchar_t letter : argument) {
    if (letter == L'"') line->append(backslashes + 1, L'\\');
    backslashes = letter == L'\\' ? backslashes + 1 : 0;
    *line += letter;
  }
  line->append(backslashes, L'\\');
  *line += L'"';
}

std::wstring ThisProgram() {
  std::wstring path(32768, L'\0');
  path.resize(::GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size())));
  return path;
}

std::int32_t LastError() { return windows::ErrorOf(static_cast<std::int64_t>(::GetLastError())); }

std::int32_t Exec(void* self, const char* const* argv, const std::int32_t* keep, std::uint32_t keep_count,
                  std::int64_t* process) {
  Adapter& adapter = *Self(self);
  const std::wstring program = ThisProgram();
  std::wstring line;
  AppendQuoted(program, &line);
  for (const char* const* argument = argv + (*argv != nullptr ? 1 : 0); *argument != nullptr; ++argument) {
    AppendQuoted(Wide(*argument), &line);
  }
  // What is to stay open is inherited, as sockets are unless they were made otherwise.
  for (std::uint32_t i = 0; i < keep_count; ++i) {
    ::SetHandleInformation(reinterpret_cast<HANDLE>(static_cast<LONG_PTR>(keep[i])), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  }
  STARTUPINFOW start{};
  start.cb = sizeof start;
  PROCESS_INFORMATION made{};
  if (::CreateProcessW(program.c_str(), line.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &start, &made) == FALSE) {
    return LastError();
  }
  ::CloseHandle(made.hThread);
  *process = static_cast<std::int64_t>(made.dwProcessId);
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  adapter.children[*process] = {made.hProcess, false};
  return SP_OK;
}

bool FindChild(Adapter& adapter, std::int64_t process, Child* out) {
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  const auto found = adapter.children.find(process);
  if (found == adapter.children.end()) return false;
  *out = found->second;
  return true;
}

// The numbers of signals as POSIX has them, which the interface speaks of.
std::int32_t ExitCode(DWORD code, bool killed) {
  constexpr std::int32_t kSignal = 256, kAbort = 6, kKill = 9, kSegmentation = 11;
  if (killed) return kSignal + kKill;
  if (code == STATUS_ACCESS_VIOLATION) return kSignal + kSegmentation;
  if (code >= 0xC0000000) return kSignal + kAbort;
  return static_cast<std::int32_t>(code & 0xff);
}

std::int32_t Wait(void* self, std::int64_t process, std::int64_t timeout_ns, std::int32_t* exit_code) {
  Adapter& adapter = *Self(self);
  Child child;
  if (!FindChild(adapter, process, &child)) return SP_EINVAL;
  if (::WaitForSingleObject(child.process, WaitMilliseconds(timeout_ns)) != WAIT_OBJECT_0) return SP_EAGAIN;
  DWORD code = 0;
  ::GetExitCodeProcess(child.process, &code);
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  const auto found = adapter.children.find(process);
  if (found == adapter.children.end()) return SP_EINVAL;  // another thread has waited for it
  *exit_code = ExitCode(code, found->second.killed);
  ::CloseHandle(found->second.process);
  adapter.children.erase(found);
  return SP_OK;
}

std::int32_t Kill(void* self, std::int64_t process) {
  Adapter& adapter = *Self(self);
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  const auto found = adapter.children.find(process);
  if (found == adapter.children.end()) return SP_EINVAL;
  if (::TerminateProcess(found->second.process, 1) == FALSE) {
    // One that is ending already cannot be ended.
    return ::WaitForSingleObject(found->second.process, 0) == WAIT_OBJECT_0 ? static_cast<std::int32_t>(SP_OK) : LastError();
  }
  found->second.killed = true;
  return SP_OK;
}

std::int32_t Export(void* self, sp_handle handle, std::int64_t process, std::uint8_t* blob, std::uint32_t* size) {
  Adapter& adapter = *Self(self);
  SOCKET socket = INVALID_SOCKET;
  if (ToSocket(adapter, handle, &socket) != SP_OK) return SP_NOT_SUPPORTED;
  WSAPROTOCOL_INFOW info{};
  if (*size < sizeof info) return SP_EINVAL;
  if (::WSADuplicateSocketW(socket, static_cast<DWORD>(process), &info) != 0) return windows::ErrorOf(::WSAGetLastError());
  std::memcpy(blob, &info, sizeof info);
  *size = sizeof info;
  return SP_OK;
}

std::int32_t Import(void*, const std::uint8_t* blob, std::uint32_t size, sp_handle* handle) {
  WSAPROTOCOL_INFOW info{};
  if (size != sizeof info) return SP_EINVAL;
  std::memcpy(&info, blob, sizeof info);
  const SOCKET made = ::WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED);
  if (made == INVALID_SOCKET) return windows::ErrorOf(::WSAGetLastError());
  *handle = HandleOf(made);
  return SP_OK;
}

}  // namespace

void EndChildren(Adapter& adapter) {
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  for (auto& [process, child] : adapter.children) {
    ::TerminateProcess(child.process, 1);
    ::CloseHandle(child.process);
  }
  adapter.children.clear();
}

const sp_session_group kSession = {sizeof(sp_session_group), Startup, Cleanup};
const sp_process_group kProcesses = {sizeof(sp_process_group), nullptr, Exec, Wait, Kill, Export, Import};

}  // namespace sockproof::winsock
