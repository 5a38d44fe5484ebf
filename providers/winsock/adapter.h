// What one open adapter keeps.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "catalogue.h"
#include "selections.h"
#include "sockproof/provider.h"
#include "system.h"
#include "watchers.h"

namespace sockproof::winsock {

class CompletionPort;

struct Child {
  HANDLE process = nullptr;
  bool killed = false;
};

// The room for callee data of a connect that goes on after the call has returned: Windows writes to it in the end.
struct LateData {
  WSABUF buffer{};
  sp_user_data* args = nullptr;
};

struct Adapter {
  void* bad_page = nullptr;                  // one page that may be neither read nor written
  HANDLE not_socket = INVALID_HANDLE_VALUE;  // a file
  Choice choice;
  CompletionPort* port = nullptr;  // NULL: an event for each operation

  Watchers watchers;
  Selections selections;

  std::set<std::uint64_t> baseline;  // sockets that were open before

  std::mutex mutex;  // guards what follows
  std::map<std::uint64_t, LateData> late;
  std::set<std::uint64_t> own;  // sockets of the adapter itself
  std::map<std::int64_t, Child> children;
  bool black_hole_known[2]{};  // IPv4, IPv6
  sp_address black_hole[2]{};
  std::string no_black_hole[2];                 // why there is none
  std::map<std::int32_t, std::string> reasons;  // of missing capabilities; their text is handed out
};

inline Adapter* Self(void* self) { return static_cast<Adapter*>(self); }

// The socket behind a handle. SP_NOT_SUPPORTED for what cannot be one.
std::int32_t ToSocket(const Adapter& adapter, const sp_handle& handle, SOCKET* socket);
sp_handle HandleOf(SOCKET socket);

inline void* Pointer(const Adapter& adapter, std::int32_t kind, void* valid) {
  return kind == SP_POINTER_NULL ? nullptr : kind == SP_POINTER_INVALID ? adapter.bad_page : valid;
}

// Puts the return value of a call and its error into a result; returns whether it failed.
bool Report(sp_result* result, std::int64_t returned, int error);
void NotSupported(sp_result* result);

// A socket of the chosen entry of the catalogue; INVALID_SOCKET and WSAGetLastError.
SOCKET MakeSocket(const Adapter& adapter, int family, int type, int protocol, DWORD flags);

// The parts of the data path (one function an operation or a family of them).
void Call(void* self, sp_call* call, sp_result* result);
void CallConnect(Adapter& adapter, SOCKET socket, sp_connect_args& args, sp_result* result);
void CallAccept(Adapter& adapter, SOCKET socket, sp_accept_args& args, sp_result* result);
void CallSend(Adapter& adapter, SOCKET socket, sp_transfer_args& args, sp_result* result);
void CallRecv(Adapter& adapter, SOCKET socket, sp_transfer_args& args, sp_result* result);
void CallGetOption(Adapter& adapter, SOCKET socket, sp_option_args& args, sp_result* result);
void CallSetOption(Adapter& adapter, SOCKET socket, sp_option_args& args, sp_result* result);

// What came back with a connect that has ended meanwhile is put where the suite looks for it.
void SettleLateData(Adapter& adapter, SOCKET socket);

std::int32_t BeginOverlapped(void* self, sp_call* call, sp_operation* operation);
std::int32_t WaitOverlapped(void* self, sp_operation operation, std::int64_t timeout_ns, sp_result* result);
std::int32_t CancelOverlapped(void* self, sp_operation operation);
// The forms without an OVERLAPPED, which begin nothing.
void CallWithoutOverlapped(Adapter& adapter, sp_call* call, sp_result* result);

void EndChildren(Adapter& adapter);
std::set<std::uint64_t> OpenSockets(const Adapter& adapter);
// Why there is no black hole of this family; empty if there is one.
std::string WhyNoBlackHole(Adapter& adapter, std::int32_t family);

extern const sp_session_group kSession;
extern const sp_thread_group kThreads;
extern const sp_process_group kProcesses;
extern const sp_network_group kNetwork;
extern const sp_counter_group kCounters;

std::int32_t Capability(void* self, std::int32_t capability, const char** why);

}  // namespace sockproof::winsock
