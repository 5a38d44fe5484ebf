// The part of ws2_32 that a service provider calls: an upcall table, whole, and a ledger of what came through it.
//
// Source: Windows Sockets 2 SPI, Upcalls Exposed by Windows Sockets 2 DLL, and the pages of the WPU functions (ws2spi.h).
#pragma once

#include <winsock2.h>
// after winsock2.h
#include <ws2spi.h>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>

namespace sockproof::wsp {

constexpr DWORD kCatalogEntry = 1001;
// Calls that are kept for whoever takes the log; of more than these the oldest are forgotten.
constexpr std::size_t kLongestLog = 20'000;

class Ledger {
 public:
  static Ledger& Get();

  // Two tables that do the same: a provider is to use the one that it was given last.
  WSPUPCALLTABLE NextTable();
  WSPUPCALLTABLE CurrentTable();  // the one that was handed out last

  struct Handle {
    bool created = false;   // by WPUCreateSocketHandle
    bool modified = false;  // by WPUModifyIFSHandle
    bool open = false;
    DWORD_PTR context = 0;
  };
  Handle Of(SOCKET socket);
  std::size_t open_handles();
  std::string Describe();
  // A handle that is the system's, not the ledger's: what its provider has closed with success.
  void Closed(SOCKET socket);
  void ClosedAll();

  // Whole lines of the log, as many as fit, taken out.
  std::string Take(std::size_t room);
  void SetPath(std::wstring path, const GUID& provider);

  struct Hook {
    int32_t (*function)(void* context) = nullptr;
    void* context = nullptr;
  };
  void SetHook(const Hook& hook);  // of the calling thread

 private:
  friend struct Upcalls;
  void Log(int table, std::string text);

  std::mutex mutex_;
  int tables_ = 0;
  SOCKET next_ = 0;
  std::map<SOCKET, Handle> handles_;
  std::deque<std::string> log_;
  std::wstring path_;
  GUID provider_{};
  std::map<DWORD, Hook> hooks_;
};

}  // namespace sockproof::wsp
