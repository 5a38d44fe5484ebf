// What this DLL keeps of the process that has started it: the portable provider, the upcalls of the caller, the sockets.
//
// The provider lets one thread run at a time (reference/scheduler.h). Whoever enters this DLL attaches himself for the time of
// the call (Entry), so that nothing here is touched by two threads either, and no lock is needed.
#pragma once

#include <winsock2.h>
// after winsock2.h
#include <mswsock.h>
#include <ws2spi.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "sockproof/provider.h"
#include "windows/addresses.h"

namespace sockproof::wsp_reference {

// Where the answer to a connect is to go, while the attempt goes on after the call.
struct PendingReply {
  sp_call call{};
  WSABUF* out = nullptr;
  ULONG room = 0;  // the length that it has until the answer is there
};

// One socket, which the caller knows by the handle that WPUCreateSocketHandle gave.
struct SocketContext {
  sp_handle handle{};
  SOCKET socket = INVALID_SOCKET;
  WSAPROTOCOL_INFOW info{};
  std::shared_ptr<PendingReply> reply;
  // WSPAsyncSelect
  HWND window = nullptr;
  unsigned int message = 0;
  long events = 0;
  sp_handle messenger{};
};

struct CallResult {
  sp_call call{};
  sp_result result{};
  int32_t error() const { return result.error; }
};

class Host {
 public:
  static Host& Get();

  // ---- The session. Versions as Windows Sockets writes them: the major one in the low byte.
  int Startup(WORD version, WSPDATA* data, const WSAPROTOCOL_INFOW* info, const WSPUPCALLTABLE& upcalls);
  int32_t Cleanup();
  bool started() const { return count_ > 0; }
  bool ending() const { return ending_; }

  // ---- The portable provider
  const sp_provider& table() const { return table_; }
  void* self() const { return self_; }
  void Call(uint32_t op, const sp_handle& handle, CallResult* call);
  // True once threads attach themselves (windows/controls.h).
  bool attended() const { return attended_; }
  const sp_provider* Controls(void** self);

  const WSPUPCALLTABLE& upcalls() const { return upcalls_; }
  const WSAPROTOCOL_INFOW& info() const { return info_; }

  // ---- Sockets. An SP_ENOTSOCK without one.
  int32_t Find(SOCKET socket, SocketContext** context);
  // Takes a handle for what the provider has made; closes it again where there is none.
  int32_t Install(const sp_handle& handle, const WSAPROTOCOL_INFOW& info, SocketContext** made);
  void Remove(SocketContext* context);
  SocketContext* FromHandle(const sp_handle& handle);

  // ---- Event objects: the watcher that stands for one of the caller's. SP_EINVAL if the handle is no event's.
  int32_t WatcherOf(WSAEVENT event, sp_handle* watcher);
  // What comes back from connects that have ended goes to where it belongs.
  void DeliverReplies();

 private:
  bool Open(const char** why);

  sp_provider table_{};
  void* self_ = nullptr;
  bool attended_ = false, ending_ = false;
  int count_ = 0;
  WSPUPCALLTABLE upcalls_{};
  WSAPROTOCOL_INFOW info_{};
  std::set<SocketContext*> sockets_;
  std::map<WSAEVENT, sp_handle> watchers_;
};

// The calling thread inside the provider. It is there already in a call from a condition function, and where threads attach
// themselves.
class Entry {
 public:
  Entry();
  ~Entry();
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  // The socket that the call is about; SP_NOTINITIALISED or SP_ENOTSOCK.
  static int32_t Find(SOCKET socket, SocketContext** context);

 private:
  bool attached_ = false;
};

// How a call of the interface ends: 0, or SOCKET_ERROR and *code.
int Finish(int32_t error, LPINT code);

// ---- Arguments
sp_address_in AddressIn(const sockaddr* name, int length);
// An address that comes out: `args` is what the portable call gets; Deliver lays the address out where the caller wants it.
class AddressOut {
 public:
  AddressOut(sockaddr* name, LPINT length, sp_address_out* args);
  void Deliver() const;

 private:
  sockaddr* name_;
  LPINT length_;
  sp_address_out* args_;
  uint8_t raw_[256] = {};
};
bool CanCall(LPCONDITIONPROC function);
sp_qos QosIn(const QOS& qos);
void QosOut(const sp_qos& qos, QOS* out);

// ---- The table (WSPPROC_TABLE), by file
// sockets.cpp
SOCKET WSPAPI Socket(int family, int type, int protocol, LPWSAPROTOCOL_INFOW info, GROUP group, DWORD flags, LPINT code);
int WSPAPI Bind(SOCKET s, const sockaddr* name, int length, LPINT code);
int WSPAPI Listen(SOCKET s, int backlog, LPINT code);
int WSPAPI CloseSocket(SOCKET s, LPINT code);
int WSPAPI Shutdown(SOCKET s, int how, LPINT code);
int WSPAPI GetSockName(SOCKET s, sockaddr* name, LPINT length, LPINT code);
int WSPAPI GetPeerName(SOCKET s, sockaddr* name, LPINT length, LPINT code);
int WSPAPI DuplicateSocketTo(SOCKET s, DWORD process, LPWSAPROTOCOL_INFOW info, LPINT code);
int WSPAPI SendDisconnect(SOCKET s, LPWSABUF data, LPINT code);
int WSPAPI RecvDisconnect(SOCKET s, LPWSABUF data, LPINT code);
// connections.cpp
SOCKET WSPAPI Accept(SOCKET s, sockaddr* name, LPINT length, LPCONDITIONPROC condition, DWORD_PTR data, LPINT code);
int WSPAPI Connect(SOCKET s, const sockaddr* name, int length, LPWSABUF caller, LPWSABUF callee, LPQOS qos, LPQOS group_qos,
                   LPINT code);
SOCKET WSPAPI JoinLeaf(SOCKET s, const sockaddr* name, int length, LPWSABUF caller, LPWSABUF callee, LPQOS qos, LPQOS group_qos,
                       DWORD flags, LPINT code);
BOOL WSPAPI GetQosByName(SOCKET s, LPWSABUF name, LPQOS qos, LPINT code);
// options.cpp
int WSPAPI GetSockOpt(SOCKET s, int level, int name, char* value, LPINT length, LPINT code);
int WSPAPI SetSockOpt(SOCKET s, int level, int name, const char* value, int length, LPINT code);
int WSPAPI Ioctl(SOCKET s, DWORD request, LPVOID in, DWORD in_size, LPVOID out, DWORD out_size, LPDWORD returned,
                 LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code);
// transfers.cpp
int WSPAPI Send(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags, LPWSAOVERLAPPED overlapped,
                LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code);
int WSPAPI SendTo(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags, const sockaddr* to, int to_length,
                  LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code);
int WSPAPI Recv(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags, LPWSAOVERLAPPED overlapped,
                LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code);
int WSPAPI RecvFrom(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags, sockaddr* from, LPINT from_length,
                    LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID thread, LPINT code);
// events.cpp
int WSPAPI EventSelect(SOCKET s, WSAEVENT event, long events, LPINT code);
int WSPAPI EnumNetworkEvents(SOCKET s, WSAEVENT event, LPWSANETWORKEVENTS events, LPINT code);
int WSPAPI AsyncSelect(SOCKET s, HWND window, unsigned int message, long events, LPINT code);
int WSPAPI Select(int count, fd_set* reading, fd_set* writing, fd_set* exceptions, const PTIMEVAL timeout, LPINT code);
void EndMessages(SocketContext* context);
void InheritMessages(const SocketContext& listener, SocketContext* accepted);
// Whether it becomes ready for one of `events` (SP_IN, SP_OUT, SP_PRI) within `limit` nanoseconds. An error if the socket is
// gone.
int32_t IsReady(const sp_handle& handle, uint32_t events, int64_t limit, bool* ready);
// overlapped.cpp
BOOL WSPAPI GetOverlappedResult(SOCKET s, LPWSAOVERLAPPED overlapped, LPDWORD count, BOOL wait, LPDWORD flags, LPINT code);
// The extension function of this identifier; null if there is none.
void* FindExtension(const GUID& id);
int32_t CancelOverlapped(LPWSAOVERLAPPED overlapped);
void Started(LPWSAOVERLAPPED overlapped);  // it is under way
struct Completion {
  LPWSAOVERLAPPED overlapped = nullptr;
  LPWSAOVERLAPPED_COMPLETION_ROUTINE routine = nullptr;
  WSATHREADID thread{};
};
void Complete(const Completion& completion, int32_t error, DWORD count, DWORD flags);
void ReapOperations();
// hook.cpp: while a call waits, the blocking hook that the caller's thread may have
// SP_OK when the call may go on as it is; SP_EINTR when WSPCancelBlockingCall has ended it.
int32_t RunBlockingHook(const SocketContext& context, uint32_t events);
int WSPAPI CancelBlockingCall(LPINT code);
// names.cpp
INT WSPAPI AddressToText(LPSOCKADDR address, DWORD length, LPWSAPROTOCOL_INFOW info, LPWSTR text, LPDWORD text_length,
                         LPINT code);
INT WSPAPI TextToAddress(LPWSTR text, INT family, LPWSAPROTOCOL_INFOW info, LPSOCKADDR address, LPINT length, LPINT code);

}  // namespace sockproof::wsp_reference
