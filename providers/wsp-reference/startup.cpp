// The one entry point of the DLL, and the table that it fills in.
#include <mutex>

#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

std::mutex& StartupMutex() {
  static std::mutex* const mutex = new std::mutex;
  return *mutex;
}

int WSPAPI Cleanup(LPINT code) {
  const std::lock_guard<std::mutex> lock(StartupMutex());
  const Entry entry;
  return Finish(Host::Get().Cleanup(), code);
}

constexpr WSPPROC_TABLE kTable = {
    Accept,
    AddressToText,
    AsyncSelect,
    Bind,
    CancelBlockingCall,
    Cleanup,
    CloseSocket,
    Connect,
    DuplicateSocketTo,
    EnumNetworkEvents,
    EventSelect,
    GetOverlappedResult,
    GetPeerName,
    GetSockName,
    GetSockOpt,
    GetQosByName,
    Ioctl,
    JoinLeaf,
    Listen,
    Recv,
    RecvDisconnect,
    RecvFrom,
    Select,
    Send,
    SendDisconnect,
    SendTo,
    SetSockOpt,
    Shutdown,
    Socket,
    TextToAddress,
};

}  // namespace
}  // namespace sockproof::wsp_reference

extern "C" int WSPAPI WSPStartup(WORD version, LPWSPDATA data, LPWSAPROTOCOL_INFOW info, WSPUPCALLTABLE upcalls,
                                 LPWSPPROC_TABLE table) {
  using namespace sockproof;
  if (!windows::CanWrite(data, sizeof *data) || !windows::CanWrite(table, sizeof *table)) return WSAEFAULT;
  if (info != nullptr && !windows::CanRead(info, sizeof *info)) return WSAEFAULT;
  const std::lock_guard<std::mutex> lock(wsp_reference::StartupMutex());
  const int code = wsp_reference::Host::Get().Startup(version, data, info, upcalls);
  if (code == 0) *table = wsp_reference::kTable;
  return code;
}
