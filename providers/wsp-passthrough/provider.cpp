// A service provider that passes every call on to ws2_32: what the author of a layered provider starts from.
//
// A layered provider stands between ws2_32 and a provider below it. It is a DLL with one exported function, WSPStartup, which
// says which version of the interface is to be used and fills in a table of thirty functions. This one does nothing in between;
// look for "Here" to see where yours would do something. It stands on ws2_32's functions, which any program may call, in place of
// the provider below, which only ws2_32 may load: a real layer gets the path of that from WSCGetProviderPath, loads it, calls its
// WSPStartup with the very upcall table that it was given itself, and then calls the functions of the table that it gets back.
// The bodies below stay the same, but for their names.
//
// Four rules of the interface shape the code:
//  - A function that fails returns SOCKET_ERROR (or INVALID_SOCKET, or FALSE) and writes the reason to *lpErrno. Nothing is kept
//  for
//    the thread: WSAGetLastError belongs to ws2_32.
//  - Sockets are handles. Those of ws2_32 are handles of the system ("IFS handles"), so each new one goes through
//    WPUModifyIFSHandle before the caller sees it, and the caller sees what that returns. A provider with handles of its own
//    takes them from WPUCreateSocketHandle, and gives each back with WPUCloseSocketHandle.
//  - WSPStartup may be called again, with another upcall table: the last one counts. Each start wants its WSPCleanup.
//  - What the caller passes is his and may be wrong. ws2_32 checks it here; a provider of its own has to check it itself.
//
// Source: Windows Sockets 2 SPI (ws2spi.h).
#include <winsock2.h>
// after winsock2.h
#include <mswsock.h>
#include <ws2spi.h>
#include <ws2tcpip.h>

#include <mutex>

namespace {

// ---- What is kept for the process

std::mutex the_mutex;
int the_starts = 0;
WSPUPCALLTABLE the_upcalls;
DWORD the_entry = 0;  // our entry in the catalogue of protocols

// ---- How calls end

// What ws2_32 left behind for the thread becomes *code.
int End(int result, LPINT code) {
  if (result == SOCKET_ERROR && code != nullptr) *code = WSAGetLastError();
  return result;
}

BOOL EndTrue(BOOL result, LPINT code) {
  if (result == FALSE && code != nullptr) *code = WSAGetLastError();
  return result;
}

// Every way in which a socket comes to be ends here.
SOCKET EndSocket(SOCKET socket, LPINT code) {
  if (socket == INVALID_SOCKET) {
    if (code != nullptr) *code = WSAGetLastError();
    return INVALID_SOCKET;
  }
  WSPUPCALLTABLE upcalls;
  DWORD entry = 0;
  {
    const std::lock_guard<std::mutex> lock(the_mutex);
    upcalls = the_upcalls;
    entry = the_entry;
  }
  const SOCKET modified = upcalls.lpWPUModifyIFSHandle(entry, socket, code);
  if (modified == INVALID_SOCKET) closesocket(socket);
  return modified;
}

// ---- Making and ending sockets

SOCKET WSPAPI Socket(int family, int type, int protocol, LPWSAPROTOCOL_INFOW info, GROUP group, DWORD flags, LPINT code) {
  // The entry that we were installed for is not one that ws2_32 could find the provider below by. A description that another
  // process was given by WSPDuplicateSocket is, and has to go on as it is.
  if (info != nullptr && info->dwProviderReserved != 0) {
    return EndSocket(WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info, group, flags), code);
  }
  if (info != nullptr) {
    if (family == 0 || family == FROM_PROTOCOL_INFO) family = info->iAddressFamily;
    if (type == 0 || type == FROM_PROTOCOL_INFO) type = info->iSocketType;
    if (protocol == 0 || protocol == FROM_PROTOCOL_INFO) protocol = info->iProtocol;
  }
  // Here: what your layer wants to remember of each socket begins.
  return EndSocket(WSASocketW(family, type, protocol, nullptr, group, flags), code);
}

int WSPAPI CloseSocket(SOCKET s, LPINT code) {
  // Here: and ends.
  return End(closesocket(s), code);
}

int WSPAPI DuplicateSocketTo(SOCKET s, DWORD process, LPWSAPROTOCOL_INFOW info, LPINT code) {
  return End(WSADuplicateSocketW(s, process, info), code);
}

int WSPAPI Shutdown(SOCKET s, int how, LPINT code) { return End(shutdown(s, how), code); }

int WSPAPI SendDisconnect(SOCKET s, LPWSABUF data, LPINT code) { return End(WSASendDisconnect(s, data), code); }

int WSPAPI RecvDisconnect(SOCKET s, LPWSABUF data, LPINT code) { return End(WSARecvDisconnect(s, data), code); }

// ---- Names

int WSPAPI Bind(SOCKET s, const sockaddr* name, int length, LPINT code) { return End(bind(s, name, length), code); }

int WSPAPI GetSockName(SOCKET s, sockaddr* name, LPINT length, LPINT code) { return End(getsockname(s, name, length), code); }

int WSPAPI GetPeerName(SOCKET s, sockaddr* name, LPINT length, LPINT code) { return End(getpeername(s, name, length), code); }

INT WSPAPI AddressToText(LPSOCKADDR address, DWORD length, LPWSAPROTOCOL_INFOW, LPWSTR text, LPDWORD text_length, LPINT code) {
  return End(WSAAddressToStringW(address, length, nullptr, text, text_length), code);
}

INT WSPAPI TextToAddress(LPWSTR text, INT family, LPWSAPROTOCOL_INFOW, LPSOCKADDR address, LPINT length, LPINT code) {
  return End(WSAStringToAddressW(text, family, nullptr, address, length), code);
}

// ---- Connections

int WSPAPI Listen(SOCKET s, int backlog, LPINT code) { return End(listen(s, backlog), code); }

// Here: look at who asks, in a condition function of your own that goes on to the caller's.
SOCKET WSPAPI Accept(SOCKET s, sockaddr* name, LPINT length, LPCONDITIONPROC condition, DWORD_PTR data, LPINT code) {
  return EndSocket(WSAAccept(s, name, length, condition, data), code);
}

// Here: send the caller somewhere else.
int WSPAPI Connect(SOCKET s, const sockaddr* name, int length, LPWSABUF caller, LPWSABUF callee, LPQOS qos, LPQOS group_qos,
                   LPINT code) {
  return End(WSAConnect(s, name, length, caller, callee, qos, group_qos), code);
}

SOCKET WSPAPI JoinLeaf(SOCKET s, const sockaddr* name, int length, LPWSABUF caller, LPWSABUF callee, LPQOS qos, LPQOS group_qos,
                       DWORD flags, LPINT code) {
  return EndSocket(WSAJoinLeaf(s, name, length, caller, callee, qos, group_qos, flags), code);
}

BOOL WSPAPI GetQosByName(SOCKET s, LPWSABUF name, LPQOS qos, LPINT code) { return EndTrue(WSAGetQOSByName(s, name, qos), code); }

// ---- Data. A layer that changes the bytes needs buffers of its own, and, for overlapped transfers, a completion of its own.

int WSPAPI Send(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags, LPWSAOVERLAPPED overlapped,
                LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID, LPINT code) {
  return End(WSASend(s, buffers, count, sent, flags, overlapped, routine), code);
}

int WSPAPI SendTo(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags, const sockaddr* to, int to_length,
                  LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID, LPINT code) {
  return End(WSASendTo(s, buffers, count, sent, flags, to, to_length, overlapped, routine), code);
}

int WSPAPI Recv(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags, LPWSAOVERLAPPED overlapped,
                LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID, LPINT code) {
  return End(WSARecv(s, buffers, count, received, flags, overlapped, routine), code);
}

int WSPAPI RecvFrom(SOCKET s, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags, sockaddr* from, LPINT from_length,
                    LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID, LPINT code) {
  return End(WSARecvFrom(s, buffers, count, received, flags, from, from_length, overlapped, routine), code);
}

BOOL WSPAPI GetOverlappedResult(SOCKET s, LPWSAOVERLAPPED overlapped, LPDWORD count, BOOL wait, LPDWORD flags, LPINT code) {
  return EndTrue(WSAGetOverlappedResult(s, overlapped, count, wait, flags), code);
}

// ---- Options, ioctls, and what has become of a socket

int WSPAPI GetSockOpt(SOCKET s, int level, int name, char* value, LPINT length, LPINT code) {
  return End(getsockopt(s, level, name, value, length), code);
}

int WSPAPI SetSockOpt(SOCKET s, int level, int name, const char* value, int length, LPINT code) {
  return End(setsockopt(s, level, name, value, length), code);
}

// Here: SIO_GET_EXTENSION_FUNCTION_POINTER asks for AcceptEx and its kin. What is handed out goes past this layer: a layer that
// wants to see those calls hands out functions of its own.
int WSPAPI Ioctl(SOCKET s, DWORD request, LPVOID in, DWORD in_size, LPVOID out, DWORD out_size, LPDWORD returned,
                 LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine, LPWSATHREADID, LPINT code) {
  return End(WSAIoctl(s, request, in, in_size, out, out_size, returned, overlapped, routine), code);
}

int WSPAPI Select(int count, fd_set* reading, fd_set* writing, fd_set* exceptions, const PTIMEVAL timeout, LPINT code) {
  return End(select(count, reading, writing, exceptions, timeout), code);
}

int WSPAPI EventSelect(SOCKET s, WSAEVENT event, long events, LPINT code) { return End(WSAEventSelect(s, event, events), code); }

int WSPAPI EnumNetworkEvents(SOCKET s, WSAEVENT event, LPWSANETWORKEVENTS events, LPINT code) {
  return End(WSAEnumNetworkEvents(s, event, events), code);
}

// A provider of its own posts its messages through WPUPostMessage; here ws2_32 does it.
int WSPAPI AsyncSelect(SOCKET s, HWND window, unsigned int message, long events, LPINT code) {
  return End(WSAAsyncSelect(s, window, message, events), code);
}

// ---- The session

int WSPAPI CancelBlockingCall(LPINT code) {
  if (code != nullptr) *code = WSAEOPNOTSUPP;  // version 2.2 has no such calls
  return SOCKET_ERROR;
}

int WSPAPI Cleanup(LPINT code) {
  const std::lock_guard<std::mutex> lock(the_mutex);
  if (the_starts == 0) {
    if (code != nullptr) *code = WSANOTINITIALISED;
    return SOCKET_ERROR;
  }
  if (WSACleanup() != 0) return End(SOCKET_ERROR, code);
  --the_starts;
  return 0;
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

extern "C" int WSPAPI WSPStartup(WORD version, LPWSPDATA data, LPWSAPROTOCOL_INFOW info, WSPUPCALLTABLE upcalls,
                                 LPWSPPROC_TABLE table) {
  if (data == nullptr || table == nullptr) return WSAEFAULT;
  // ws2_32 agrees on the version for us: the lower one of what is asked for and what it has.
  WSADATA started{};
  const int error = WSAStartup(version, &started);
  data->wVersion = started.wVersion;
  data->wHighVersion = started.wHighVersion;
  if (error != 0) return error;
  constexpr wchar_t kDescription[] = L"passes every call on to ws2_32";
  for (int i = 0; i <= WSPDESCRIPTION_LEN; ++i)
    data->szDescription[i] = i < static_cast<int>(sizeof kDescription / sizeof *kDescription) ? kDescription[i] : L'\0';
  const std::lock_guard<std::mutex> lock(the_mutex);
  ++the_starts;
  the_upcalls = upcalls;
  if (info != nullptr) the_entry = info->dwCatalogEntryId;
  *table = kTable;
  return 0;
}
