// What one open adapter keeps: the DLL, its table, and what is known of its sockets.
#pragma once

#include <winsock2.h>
// after winsock2.h
#include <mswsock.h>
#include <ws2spi.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sockproof/provider.h"
#include "windows/addresses.h"

namespace sockproof::wsp {

// User data that is to come back when a connect that went on after its call has ended.
struct Reply {
  WSABUF buffer{};
  ULONG room = 0;
  sp_user_data* out = nullptr;
};

struct Watcher {
  int32_t mechanism = SP_SELECT;
  HANDLE event = nullptr;  // SP_EVENT_OBJECT
  struct Entry {
    SOCKET socket;
    uint32_t events;
    uint64_t cookie;
  };
  std::vector<Entry> entries;
};

struct Selection {
  int64_t watcher = 0;
  uint32_t events = 0;
  uint64_t cookie = 0;
};

struct Extensions {
  LPFN_ACCEPTEX accept = nullptr;
  LPFN_CONNECTEX connect = nullptr;
  LPFN_DISCONNECTEX disconnect = nullptr;
  LPFN_GETACCEPTEXSOCKADDRS addresses = nullptr;
};

struct Adapter {
  std::wstring path;
  HMODULE library = nullptr;
  LPWSPSTARTUP start = nullptr;
  WSPPROC_TABLE table{};
  Extensions extensions;
  // windows/controls.h; null for a provider without them
  const sp_provider* controls = nullptr;
  void* controls_self = nullptr;

  HANDLE not_socket = nullptr;
  std::array<bool, SP_CAP_COUNT> has{};
  std::array<std::string, SP_CAP_COUNT> why;

  std::mutex mutex;  // guards what follows
  std::map<int64_t, std::shared_ptr<Watcher>> watchers;
  int64_t next_watcher = int64_t{1} << 40;
  std::map<SOCKET, Selection> selections;  // of event objects
  std::map<SOCKET, std::unique_ptr<Reply>> replies;
};

inline Adapter* Self(void* self) { return static_cast<Adapter*>(self); }

// ---- library.cpp: false and the reason, for people
bool Load(Adapter* adapter, const char* path, std::string* why);
// The names that the DLL exports.
std::vector<std::string> ExportedNames(HMODULE library);

// ---- What is passed to WSPStartup and WSPSocket for a family and a type of the C interface.
WSAPROTOCOL_INFOW ProtocolOf(int32_t family, int32_t type, int32_t protocol);
// WSPStartup with the next upcall table; what it returns.
int Startup(Adapter* adapter, WORD version, WSPDATA* data, bool next_table);
SOCKET MakeSocket(Adapter* adapter, const sp_socket_args& args, int32_t family, int32_t type, bool overlapped, int* code);

// ---- Arguments
bool SocketOf(const Adapter& adapter, const sp_handle& handle, SOCKET* socket);
const void* PointerFor(int32_t kind, const void* valid);
struct NameIn {
  explicit NameIn(const sp_address_in& in);
  const sockaddr* name;
  int length;
  alignas(sockaddr_storage) unsigned char bytes[512] = {};
};
// The two arguments by which an address comes out, and what they say afterwards.
class NameOut {
 public:
  explicit NameOut(sp_address_out* out);
  sockaddr* name() const { return name_; }
  LPINT length() const { return length_pointer_; }
  void Finish();

 private:
  sp_address_out* out_;
  sockaddr* name_;
  LPINT length_pointer_;
  int length_ = 0;
  std::vector<uint8_t> before_;
};
// How a call that returns SOCKET_ERROR on failure ended.
void Report(sp_result* result, bool failed, int64_t value, int code);

// ---- The parts of the data path
void Call(void* self, sp_call* call, sp_result* result);
void CallConnect(Adapter* adapter, SOCKET socket, sp_connect_args* args, sp_result* result);
void CallAccept(Adapter* adapter, SOCKET socket, sp_accept_args* args, sp_result* result);
void CallSend(Adapter* adapter, SOCKET socket, sp_transfer_args* args, sp_result* result);
void CallRecv(Adapter* adapter, SOCKET socket, sp_transfer_args* args, sp_result* result);
void CallGetOption(Adapter* adapter, SOCKET socket, sp_option_args* args, sp_result* result);
void CallSetOption(Adapter* adapter, SOCKET socket, const sp_option_args& args, sp_result* result);
void CallIoctl(Adapter* adapter, SOCKET socket, const sp_ioctl_args& args, sp_result* result);
void CallWatcher(Adapter* adapter, sp_call* call, sp_result* result);
void DeliverReplies(Adapter* adapter, bool over);
void WithoutOverlapped(Adapter* adapter, SOCKET socket, sp_call* call, sp_result* result);
void FindExtensions(Adapter* adapter, SOCKET socket);
int32_t Begin(void* self, sp_call* call, sp_operation* operation);
int32_t Wait(void* self, sp_operation operation, int64_t timeout, sp_result* result);
int32_t Cancel(void* self, sp_operation operation);
// Waits for something that the system is asked for: by the provider's clock, where it has one.
bool WaitFor(Adapter* adapter, HANDLE event, const WSAOVERLAPPED* overlapped, int64_t timeout);

}  // namespace sockproof::wsp
