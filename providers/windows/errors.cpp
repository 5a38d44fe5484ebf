#include "windows/errors.h"

#include <winsock2.h>

#include "sockproof/provider.h"

namespace sockproof::windows {
namespace {

struct Row {
  int code;
  std::int32_t error;
};

#define ROW(name) \
  { WSA##name, SP_##name }
// The first row of an error is the code that stands for it. clang-format off
constexpr Row kRows[] = {
    ROW(EINTR),
    ROW(EBADF),
    ROW(EACCES),
    ROW(EFAULT),
    ROW(EINVAL),
    ROW(EMFILE),
    ROW(EINPROGRESS),
    ROW(EALREADY),
    ROW(ENOTSOCK),
    ROW(EDESTADDRREQ),
    ROW(EMSGSIZE),
    ROW(EPROTOTYPE),
    ROW(ENOPROTOOPT),
    ROW(EPROTONOSUPPORT),
    ROW(ESOCKTNOSUPPORT),
    ROW(EOPNOTSUPP),
    ROW(EPFNOSUPPORT),
    ROW(EAFNOSUPPORT),
    ROW(EADDRINUSE),
    ROW(EADDRNOTAVAIL),
    ROW(ENETDOWN),
    ROW(ENETUNREACH),
    ROW(ENETRESET),
    ROW(ECONNABORTED),
    ROW(ECONNRESET),
    ROW(ENOBUFS),
    ROW(EISCONN),
    ROW(ENOTCONN),
    ROW(ESHUTDOWN),
    ROW(ETOOMANYREFS),
    ROW(ETIMEDOUT),
    ROW(ECONNREFUSED),
    ROW(ELOOP),
    ROW(ENAMETOOLONG),
    ROW(EHOSTDOWN),
    ROW(EHOSTUNREACH),
    ROW(EPROCLIM),
    ROW(EUSERS),
    ROW(ESTALE),
    ROW(EDISCON),
    ROW(ENOMORE),
    ROW(EINVALIDPROCTABLE),
    ROW(EINVALIDPROVIDER),
    ROW(EPROVIDERFAILEDINIT),
    ROW(EREFUSED),
    ROW(NOTINITIALISED),
    ROW(VERNOTSUPPORTED),
    ROW(SYSNOTREADY),
    ROW(TRY_AGAIN),
    ROW(NO_DATA),
    {WSAEWOULDBLOCK, SP_EAGAIN},
    {WSAECANCELLED, SP_ECANCELED},
    {WSA_E_CANCELLED, SP_ECANCELED},
    {WSA_E_NO_MORE, SP_ENOMORE},
    {WSA_IO_PENDING, SP_IO_PENDING},
    {WSA_IO_INCOMPLETE, SP_IO_INCOMPLETE},
    {WSA_OPERATION_ABORTED, SP_OPERATION_ABORTED},
    {WSA_INVALID_PARAMETER, SP_INVALID_PARAMETER},
    {WSA_INVALID_HANDLE, SP_INVALID_HANDLE},
    {WSA_NOT_ENOUGH_MEMORY, SP_NOT_ENOUGH_MEMORY},
    {ERROR_NETNAME_DELETED, SP_NETNAME_DELETED},
    {ERROR_POSSIBLE_DEADLOCK, SP_EDEADLK},
    // Win32's names for what a system call under Windows Sockets found.
    {ERROR_CONNECTION_REFUSED, SP_ECONNREFUSED},
    {ERROR_CONNECTION_ABORTED, SP_ECONNABORTED},
    {ERROR_NETWORK_UNREACHABLE, SP_ENETUNREACH},
    {ERROR_HOST_UNREACHABLE, SP_EHOSTUNREACH},
    {ERROR_SEM_TIMEOUT, SP_ETIMEDOUT},
    {ERROR_NOACCESS, SP_EFAULT},
    {ERROR_ACCESS_DENIED, SP_EACCES},
    {ERROR_TOO_MANY_OPEN_FILES, SP_EMFILE},
    {ERROR_NO_SYSTEM_RESOURCES, SP_ENOBUFS},
    {ERROR_ADDRESS_ALREADY_ASSOCIATED, SP_EADDRINUSE},
    {ERROR_CONNECTION_INVALID, SP_ENOTCONN},
    {ERROR_CONNECTION_ACTIVE, SP_EISCONN},
    {ERROR_MORE_DATA, SP_EMSGSIZE},
    {ERROR_OUTOFMEMORY, SP_NOT_ENOUGH_MEMORY},
    {ERROR_INVALID_NETNAME, SP_EADDRNOTAVAIL},
    {ERROR_PORT_UNREACHABLE, SP_ECONNRESET},
    {ERROR_GRACEFUL_DISCONNECT, SP_EDISCON},
    {ERROR_TIMEOUT, SP_ETIMEDOUT},
};
// Errors that only others have; for CodeOf alone.
constexpr Row kNearest[] = {
    {WSAEACCES, SP_EPERM},      {WSAEMFILE, SP_ENFILE},        {WSAENOBUFS, SP_ENOMEM},
    {WSAESHUTDOWN, SP_EPIPE},   {WSAEADDRNOTAVAIL, SP_ENOENT}, {WSAEOPNOTSUPP, SP_NOT_SUPPORTED},
    {WSAEOPNOTSUPP, SP_ENOSYS}, {WSAENOBUFS, SP_ENOSPC},
};  // clang-format on
#undef ROW

}  // namespace

std::int32_t ErrorOf(std::int64_t code) {
  if (code == 0) return SP_OK;
  for (const Row& row : kRows) {
    if (row.code == code) return row.error;
  }
  return SP_UNKNOWN_ERROR;
}

int CodeOf(std::int32_t error) {
  if (error == SP_OK) return 0;
  for (const Row& row : kRows) {
    if (row.error == error) return row.code;
  }
  for (const Row& row : kNearest) {
    if (row.error == error) return row.code;
  }
  return WSAEINVAL;
}

}  // namespace sockproof::windows
