// Loading a service provider DLL, and saying what is wrong with one that cannot be loaded or started.
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "windows/errors.h"
#include "wsp/adapter.h"
#include "wsp/upcalls.h"

namespace sockproof::wsp {
namespace {

constexpr GUID kProvider = {0x0a7be1c5, 0x6a6b, 0x4f0d, {0x8e, 0x2f, 0x1c, 0x33, 0x90, 0x5b, 0x7d, 0x11}};
constexpr WORD kHighestVersion = MAKEWORD(2, 2);

#if defined(_M_ARM64) || defined(__aarch64__)
constexpr WORD kThisMachine = IMAGE_FILE_MACHINE_ARM64;
#elif defined(_WIN64)
constexpr WORD kThisMachine = IMAGE_FILE_MACHINE_AMD64;
#else
constexpr WORD kThisMachine = IMAGE_FILE_MACHINE_I386;
#endif

const char* MachineName(WORD machine) {
  switch (machine) {
    case IMAGE_FILE_MACHINE_AMD64:
      return "x64";
    case IMAGE_FILE_MACHINE_I386:
      return "x86";
    case IMAGE_FILE_MACHINE_ARM64:
      return "ARM64";
    default:
      return "another machine";
  }
}

// What kind of file it is that LoadLibrary refuses.
std::string Diagnose(const char* path, DWORD error) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fmt::format("there is no file {}", path);
  const std::string head{std::istreambuf_iterator<char>(file), {}};
  IMAGE_DOS_HEADER dos{};
  IMAGE_FILE_HEADER image{};
  DWORD signature = 0;
  if (head.size() >= sizeof dos) std::memcpy(&dos, head.data(), sizeof dos);
  const auto at = static_cast<std::size_t>(dos.e_lfanew);
  if (dos.e_magic != IMAGE_DOS_SIGNATURE || head.size() < at + sizeof signature + sizeof image) {
    return fmt::format("{} is no DLL", path);
  }
  std::memcpy(&signature, head.data() + at, sizeof signature);
  std::memcpy(&image, head.data() + at + sizeof signature, sizeof image);
  if (signature != IMAGE_NT_SIGNATURE) return fmt::format("{} is no DLL", path);
  if (image.Machine != kThisMachine) {
    return fmt::format("{} is a DLL for {}, this program is one for {}", path, MachineName(image.Machine),
                       MachineName(kThisMachine));
  }
  return fmt::format("{} cannot be loaded: error {}{}", path, error,
                     error == ERROR_MOD_NOT_FOUND ? ", a DLL that it needs is missing" : "");
}

// A crash in DllMain or WSPStartup is not a scenario's, and nobody could say whose: it ends the program with the reason.
LONG WINAPI SayCrash(EXCEPTION_POINTERS* pointers) {
  const EXCEPTION_RECORD* record = pointers->ExceptionRecord;
  const std::string text =
      fmt::format("sockproof-battery: the provider crashed while it was loaded and started: exception {:#x} at {}\n",
                  record->ExceptionCode, fmt::ptr(record->ExceptionAddress));
  DWORD written = 0;
  WriteFile(GetStdHandle(STD_ERROR_HANDLE), text.data(), static_cast<DWORD>(text.size()), &written, nullptr);
  ExitProcess(2);
}

class CrashGuard {
 public:
  CrashGuard() : before_(SetUnhandledExceptionFilter(SayCrash)) {}
  ~CrashGuard() { SetUnhandledExceptionFilter(before_); }
  CrashGuard(const CrashGuard&) = delete;
  CrashGuard& operator=(const CrashGuard&) = delete;

 private:
  LPTOP_LEVEL_EXCEPTION_FILTER before_;
};

// The first entry of the table that nothing is in; empty if it is whole.
std::string Hole(const WSPPROC_TABLE& table) {
  const struct {
    const char* name;
    const void* entry;
  } entries[] = {
#define ENTRY(name) {#name, reinterpret_cast<const void*>(table.lp##name)}
      ENTRY(WSPAccept),
      ENTRY(WSPAddressToString),
      ENTRY(WSPAsyncSelect),
      ENTRY(WSPBind),
      ENTRY(WSPCancelBlockingCall),
      ENTRY(WSPCleanup),
      ENTRY(WSPCloseSocket),
      ENTRY(WSPConnect),
      ENTRY(WSPDuplicateSocket),
      ENTRY(WSPEnumNetworkEvents),
      ENTRY(WSPEventSelect),
      ENTRY(WSPGetOverlappedResult),
      ENTRY(WSPGetPeerName),
      ENTRY(WSPGetSockName),
      ENTRY(WSPGetSockOpt),
      ENTRY(WSPGetQOSByName),
      ENTRY(WSPIoctl),
      ENTRY(WSPJoinLeaf),
      ENTRY(WSPListen),
      ENTRY(WSPRecv),
      ENTRY(WSPRecvDisconnect),
      ENTRY(WSPRecvFrom),
      ENTRY(WSPSelect),
      ENTRY(WSPSend),
      ENTRY(WSPSendDisconnect),
      ENTRY(WSPSendTo),
      ENTRY(WSPSetSockOpt),
      ENTRY(WSPShutdown),
      ENTRY(WSPSocket),
      ENTRY(WSPStringToAddress),
#undef ENTRY
  };
  for (const auto& entry : entries) {
    if (entry.entry == nullptr) return entry.name;
  }
  return {};
}

}  // namespace

WSAPROTOCOL_INFOW ProtocolOf(int32_t family, int32_t type, int32_t protocol) {
  WSAPROTOCOL_INFOW info{};
  const bool stream = type == SP_STREAM;
  info.dwServiceFlags1 = stream ? XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER | XP1_GRACEFUL_CLOSE | XP1_EXPEDITED_DATA
                                : XP1_CONNECTIONLESS | XP1_MESSAGE_ORIENTED;
  if (family == SP_CONNDATA) info.dwServiceFlags1 |= XP1_CONNECT_DATA;
  info.dwProviderFlags = PFL_MATCHES_PROTOCOL_ZERO;
  info.ProviderId = kProvider;
  info.dwCatalogEntryId = kCatalogEntry;
  info.ProtocolChain.ChainLen = BASE_PROTOCOL;
  info.iVersion = 2;
  info.iAddressFamily = windows::FamilyNumber(family);
  info.iMaxSockAddr = info.iMinSockAddr = windows::LengthOf(family);
  info.iSocketType = type == SP_STREAM     ? SOCK_STREAM
                     : type == SP_DATAGRAM ? SOCK_DGRAM
                     : type == SP_RAW      ? SOCK_RAW
                                           : SOCK_SEQPACKET;
  const bool internet = family == SP_INET || family == SP_INET6;
  if (internet && stream) info.iProtocol = IPPROTO_TCP;
  if (internet && type == SP_DATAGRAM) info.iProtocol = IPPROTO_UDP;
  if (protocol != 0) info.iProtocol = protocol;
  info.dwMessageSize = stream ? 0 : 0xffff;
  std::wmemcpy(info.szProtocol, L"sockproof", 10);
  return info;
}

int Startup(Adapter* adapter, WORD version, WSPDATA* data, bool next_table) {
  static WSPUPCALLTABLE upcalls = Ledger::Get().NextTable();
  if (next_table) upcalls = Ledger::Get().NextTable();
  WSAPROTOCOL_INFOW info = ProtocolOf(SP_INET, SP_STREAM, 0);
  WSPPROC_TABLE table{};
  const int code = adapter->start(version, data, &info, upcalls, &table);
  // The entries are the same each time; threads may be about to read them.
  if (code == 0 && adapter->table.lpWSPSocket == nullptr) adapter->table = table;
  return code;
}

bool Load(Adapter* adapter, const char* path, std::string* why) {
  if (path == nullptr || *path == '\0') {
    *why = "needs the path of a DLL, as in wsp:path\\to\\provider.dll";
    return false;
  }
  const CrashGuard guard;
  adapter->library = LoadLibraryA(path);
  if (adapter->library == nullptr) {
    *why = Diagnose(path, GetLastError());
    return false;
  }
  const FARPROC entry = GetProcAddress(adapter->library, "WSPStartup");
  if (entry == nullptr) {
    *why = fmt::format("{} does not export WSPStartup, by which a service provider is started", path);
    return false;
  }
  adapter->start = reinterpret_cast<LPWSPSTARTUP>(reinterpret_cast<void*>(entry));
  wchar_t full[MAX_PATH] = {};
  GetModuleFileNameW(adapter->library, full, MAX_PATH - 1);
  adapter->path = full;
  Ledger::Get().SetPath(adapter->path, kProvider);
  WSPDATA data{};
  int code = 0;
  try {
    code = Startup(adapter, kHighestVersion, &data, false);
  } catch (const std::exception& error) {
    *why = fmt::format("WSPStartup of {} threw: {}", path, error.what());
    return false;
  } catch (...) {
    *why = fmt::format("WSPStartup of {} threw", path);
    return false;
  }
  if (code == WSAVERNOTSUPPORTED) {
    *why =
        fmt::format("{} does not have version 2.2 of the interface: WSPStartup returned WSAVERNOTSUPPORTED, its highest is {}.{}",
                    path, LOBYTE(data.wHighVersion), HIBYTE(data.wHighVersion));
    return false;
  }
  if (code != 0) {
    *why = fmt::format("WSPStartup of {} returned {}", path, code);
    return false;
  }
  if (const std::string hole = Hole(adapter->table); !hole.empty()) {
    *why = fmt::format("WSPStartup of {} left {} out of its table", path, hole);
    return false;
  }
  return true;
}

std::vector<std::string> ExportedNames(HMODULE library) {
  std::vector<std::string> names;
  const auto* base = reinterpret_cast<const unsigned char*>(library);
  const auto* dos = reinterpret_cast<const IMAGE_DOS_HEADER*>(base);
  const auto* headers = reinterpret_cast<const IMAGE_NT_HEADERS*>(base + dos->e_lfanew);
  const IMAGE_DATA_DIRECTORY& directory = headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT];
  if (directory.VirtualAddress == 0) return names;
  const auto* exported = reinterpret_cast<const IMAGE_EXPORT_DIRECTORY*>(base + directory.VirtualAddress);
  const auto* offsets = reinterpret_cast<const DWORD*>(base + exported->AddressOfNames);
  for (DWORD i = 0; i < exported->NumberOfNames; ++i) names.emplace_back(reinterpret_cast<const char*>(base + offsets[i]));
  return names;
}

}  // namespace sockproof::wsp
