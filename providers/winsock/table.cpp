#include <cstdlib>
#include <memory>
#include <string>

#include "adapter.h"
#include "catalogue.h"
#include "overlapped.h"
#include "sockproof/winsock.h"
#include "windows/errors.h"
#include "windows/memory.h"

namespace sockproof::winsock {
namespace {

// Something open that is no socket, and that nobody finds afterwards.
HANDLE OpenFile() {
  wchar_t folder[MAX_PATH + 1];
  wchar_t path[MAX_PATH + 1];
  if (::GetTempPathW(MAX_PATH + 1, folder) == 0 || ::GetTempFileNameW(folder, L"spf", 0, path) == 0) return INVALID_HANDLE_VALUE;
  return ::CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS,
                       FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
}

// What the argument asks for; false if it cannot be read.
bool ParseArgument(std::string text, Choice* choice, bool* port) {
  while (!text.empty()) {
    const std::size_t end = text.find(',');
    const std::string word = text.substr(0, end);
    text = end == std::string::npos ? std::string() : text.substr(end + 1);
    GUID provider{};
    if (word == "port") {
      *port = true;
    } else if (word.rfind("id=", 0) == 0 && word.find_first_not_of("0123456789", 3) == std::string::npos && word.size() > 3) {
      choice->id = static_cast<DWORD>(std::strtoul(word.c_str() + 3, nullptr, 10));
    } else if (word.rfind("guid=", 0) == 0 && ParseGuid(word.substr(5), &provider)) {
      choice->provider = provider;
    } else {
      return false;
    }
  }
  return true;
}

std::int32_t Open(const char* argument, void** self, const char** why) {
  auto adapter = std::make_unique<Adapter>();
  bool port = false;
  if (!ParseArgument(argument != nullptr ? argument : "", &adapter->choice, &port)) {
    if (why != nullptr) {
      *why = "the winsock provider takes, separated by commas: port, id=N, guid={XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}";
    }
    return SP_EINVAL;
  }
  WSADATA data{};
  if (const int error = ::WSAStartup(MAKEWORD(2, 2), &data); error != 0) {
    if (why != nullptr) *why = "WSAStartup failed";
    return windows::ErrorOf(error);
  }
  if (Chosen(adapter->choice)) {
    static std::string missing;  // the reason is the caller's to read until the next one
    missing = WhyNoEntry(adapter->choice);
    if (!missing.empty()) {
      ::WSACleanup();
      if (why != nullptr) *why = missing.c_str();
      return SP_EINVAL;
    }
  }
  adapter->bad_page = windows::BadPage();
  adapter->not_socket = OpenFile();
  adapter->baseline = OpenSockets(*adapter);
  if (port) adapter->port = std::make_unique<CompletionPort>().release();
  *self = adapter.release();
  return SP_OK;
}

void Close(void* self) {
  const std::unique_ptr<Adapter> adapter(Self(self));
  EndChildren(*adapter);
  delete adapter->port;
  for (const std::uint64_t socket : adapter->own) ::closesocket(static_cast<SOCKET>(socket));
  ::CloseHandle(adapter->not_socket);
  ::WSACleanup();
}

const sp_provider kProvider = {
    sizeof(sp_provider),
    SP_API_VERSION,
    "winsock",
    "Windows Sockets 2 of this machine (ws2_32, mswsock)",
    Open,
    Close,
    Capability,
    Call,
    BeginOverlapped,
    WaitOverlapped,
    CancelOverlapped,
    &kSession,
    &kThreads,
    nullptr,  // no signals
    &kProcesses,
    nullptr,
    nullptr,  // the host's clock
    nullptr,
    &kNetwork,
    nullptr,  // no limits, no knobs
    &kCounters,
};

}  // namespace
}  // namespace sockproof::winsock

extern "C" const sp_provider* sockproof_winsock_provider(void) { return &sockproof::winsock::kProvider; }
