#include "errors.h"

#include <cerrno>

#include "sockproof/provider.h"

namespace sockproof::posix {
namespace {

struct Row {
  int code;
  std::int32_t error;
};

#define ROW(name) \
  { name, SP_##name }
// clang-format off
constexpr Row kTable[] = {
    ROW(EPERM),        ROW(ENOENT),          ROW(EINTR),        ROW(EIO),
    ROW(EBADF),        ROW(EAGAIN),          ROW(ENOMEM),       ROW(EACCES),
    ROW(EFAULT),       ROW(EBUSY),           ROW(EEXIST),       ROW(ENODEV),
    ROW(ENOTDIR),      ROW(EISDIR),          ROW(EINVAL),       ROW(ENFILE),
    ROW(EMFILE),       ROW(ENOTTY),          ROW(EFBIG),        ROW(ENOSPC),
    ROW(ESPIPE),       ROW(EROFS),           ROW(EPIPE),        ROW(EDOM),
    ROW(ERANGE),       ROW(EDEADLK),         ROW(ENAMETOOLONG), ROW(ENOSYS),
    ROW(ELOOP),        ROW(ENOMSG),          ROW(ENODATA),      ROW(EPROTO),
    ROW(EBADMSG),      ROW(EOVERFLOW),       ROW(ENOTSOCK),     ROW(EDESTADDRREQ),
    ROW(EMSGSIZE),     ROW(EPROTOTYPE),      ROW(ENOPROTOOPT),  ROW(EPROTONOSUPPORT),
    ROW(ESOCKTNOSUPPORT), ROW(EOPNOTSUPP),   ROW(EPFNOSUPPORT), ROW(EAFNOSUPPORT),
    ROW(EADDRINUSE),   ROW(EADDRNOTAVAIL),   ROW(ENETDOWN),     ROW(ENETUNREACH),
    ROW(ENETRESET),    ROW(ECONNABORTED),    ROW(ECONNRESET),   ROW(ENOBUFS),
    ROW(EISCONN),      ROW(ENOTCONN),        ROW(ESHUTDOWN),    ROW(ETOOMANYREFS),
    ROW(ETIMEDOUT),    ROW(ECONNREFUSED),    ROW(EHOSTDOWN),    ROW(EHOSTUNREACH),
    ROW(EALREADY),     ROW(EINPROGRESS),     ROW(ECANCELED),    ROW(ESTALE),
    ROW(EUSERS),
#if EWOULDBLOCK != EAGAIN
    {EWOULDBLOCK, SP_EAGAIN},
#endif
#if ENOTSUP != EOPNOTSUPP
    {ENOTSUP, SP_EOPNOTSUPP},
#endif
};
// clang-format on
#undef ROW

}  // namespace

std::int32_t ErrorFromErrno(int code) {
  if (code == 0) return SP_OK;
  for (const Row& row : kTable) {
    if (row.code == code) return row.error;
  }
  return SP_UNKNOWN_ERROR;
}

int ErrnoFromError(std::int32_t error) {
  if (error == SP_OK) return 0;
  for (const Row& row : kTable) {
    if (row.error == error) return row.code;
  }
  return -1;
}

}  // namespace sockproof::posix
