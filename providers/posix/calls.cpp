#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter.h"
#include "addresses.h"
#include "errors.h"
#include "perform.h"
#include "readiness.h"

namespace sockproof::posix {

std::int32_t Descriptor(const Adapter& adapter, const sp_handle& handle, int* descriptor) {
  switch (handle.kind) {
    case SP_HANDLE_INVALID:
      *descriptor = -1;
      return SP_OK;
    case SP_HANDLE_NOT_SOCKET:
      *descriptor = adapter.not_socket;
      break;
    case SP_HANDLE_PATH_ONLY:
      *descriptor = adapter.path_only;
      break;
    default:
      if (IsOwnWatcher(handle.value)) return SP_NOT_SUPPORTED;
      *descriptor = static_cast<int>(handle.value);
      return SP_OK;
  }
  return *descriptor < 0 ? SP_NOT_SUPPORTED : SP_OK;
}

bool Report(sp_result* result, std::int64_t returned, int error) {
  result->value = returned;
  if (returned >= 0) {
    result->error = SP_OK;
    return false;
  }
  result->native = error;
  result->error = error == 0 ? static_cast<std::int32_t>(SP_UNKNOWN_ERROR) : ErrorFromErrno(error);
  return true;
}

void NotSupported(sp_result* result) {
  result->error = SP_NOT_SUPPORTED;
  result->value = -1;
}

namespace {

// SOCK_NONBLOCK, SOCK_CLOEXEC and a bit that means nothing; false for modes that cannot be asked for at creation.
bool CreationFlags(std::uint32_t modes, int* flags) {
  if ((modes & ~static_cast<std::uint32_t>(SP_NONBLOCKING | SP_CLOSE_ON_EXEC | SP_MODE_UNKNOWN_BIT)) != 0) return false;
  *flags = 0;
  if ((modes & SP_NONBLOCKING) != 0) *flags |= SOCK_NONBLOCK;
  if ((modes & SP_CLOSE_ON_EXEC) != 0) *flags |= SOCK_CLOEXEC;
  if ((modes & SP_MODE_UNKNOWN_BIT) != 0) *flags |= static_cast<int>(SP_MODE_UNKNOWN_BIT);
  return true;
}

bool SocketArguments(const sp_socket_args& args, int* family, int* type) {
  int flags = 0;
  *family = NativeFamily(args.family);
  *type = NativeType(args.type);
  if (*family < 0 || *type < 0 || !CreationFlags(args.modes, &flags)) return false;
  *type |= flags;
  return true;
}

void CallSocket(const sp_socket_args& args, sp_result* result) {
  int family = 0;
  int type = 0;
  if (!SocketArguments(args, &family, &type)) return NotSupported(result);
  if (!Perform(result, [&] { return ::socket(family, type, args.protocol); })) {
    result->handle = {SP_HANDLE_SOCKET, 0, result->value};
  }
}

void CallSocketpair(sp_socketpair_args& args, sp_result* result) {
  int family = 0;
  int type = 0;
  if (!SocketArguments(args.of, &family, &type)) return NotSupported(result);
  int pair[2] = {-1, -1};
  if (!Perform(result, [&] { return ::socketpair(family, type, args.of.protocol, pair); })) {
    result->handle = {SP_HANDLE_SOCKET, 0, pair[0]};
    args.second = {SP_HANDLE_SOCKET, 0, pair[1]};
  }
}

void CallBind(Adapter& adapter, int descriptor, const sp_bind_args& args, sp_result* result) {
  NativeAddress address;
  if (Encode(args.address, adapter.bad_page, &address) != SP_OK) return NotSupported(result);
  Perform(result, [&] { return ::bind(descriptor, address.pointer, address.length); });
}

void CallConnect(Adapter& adapter, int descriptor, const sp_connect_args& args, sp_result* result) {
  if (args.caller_data.present != 0 || args.callee_data.present != 0 || args.has_qos != 0 || args.has_group_qos != 0 ||
      args.extended != 0) {
    return NotSupported(result);
  }
  NativeAddress address;
  if (Encode(args.address, adapter.bad_page, &address) != SP_OK) return NotSupported(result);
  Perform(result, [&] { return ::connect(descriptor, address.pointer, address.length); });
}

void CallAccept(Adapter& adapter, int descriptor, sp_accept_args& args, sp_result* result) {
  int flags = 0;
  if (args.condition != nullptr || args.extended != 0 || !CreationFlags(args.modes, &flags)) return NotSupported(result);
  NativeAddressOut peer(&args.peer, adapter.bad_page);
  bool failed = false;
  if (args.form == 0 && args.modes == 0) {
    failed = Perform(result, [&] { return ::accept(descriptor, peer.address(), peer.length()); });
  } else {
    failed = Perform(result, [&] { return ::accept4(descriptor, peer.address(), peer.length(), flags); });
  }
  peer.Finish(failed);
  if (!failed) result->handle = {SP_HANDLE_SOCKET, 0, result->value};
}

void CallName(Adapter& adapter, std::uint32_t op, int descriptor, sp_name_args& args, sp_result* result) {
  NativeAddressOut name(&args.name, adapter.bad_page);
  const bool failed = op == SP_OP_LOCAL_NAME
                          ? Perform(result, [&] { return ::getsockname(descriptor, name.address(), name.length()); })
                          : Perform(result, [&] { return ::getpeername(descriptor, name.address(), name.length()); });
  name.Finish(failed);
}

void CallShutdown(int descriptor, const sp_shutdown_args& args, sp_result* result) {
  int how = args.how;
  if (args.how == SP_SHUT_RD) how = SHUT_RD;
  if (args.how == SP_SHUT_WR) how = SHUT_WR;
  if (args.how == SP_SHUT_RDWR) how = SHUT_RDWR;
  Perform(result, [&] { return ::shutdown(descriptor, how); });
}

void CallIoctl(Adapter& adapter, int descriptor, const sp_ioctl_args& args, sp_result* result) {
  int value = static_cast<int>(args.argument);
  int* pointer = &value;
  if (args.kind == SP_POINTER_NULL) pointer = nullptr;
  if (args.kind == SP_POINTER_INVALID) pointer = static_cast<int*>(adapter.bad_page);
  unsigned long request = 0;
  switch (args.request) {
    case SP_IOCTL_READABLE:
      request = FIONREAD;
      break;
    case SP_IOCTL_UNSENT:
      request = SIOCOUTQ;
      break;
    case SP_IOCTL_NONBLOCKING:
      request = FIONBIO;
      break;
    case SP_IOCTL_UNKNOWN:
      request = 0x7ef1;
      break;
    case SP_IOCTL_AT_MARK:
      if (args.kind != SP_POINTER_VALID) return NotSupported(result);  // sockatmark has no such argument
      Perform(result, [&] { return ::sockatmark(descriptor); });
      return;
    default:
      return NotSupported(result);
  }
  const bool failed = Perform(result, [&] { return ::ioctl(descriptor, request, pointer); });
  const bool asks = args.request == SP_IOCTL_READABLE || args.request == SP_IOCTL_UNSENT;
  if (!failed && asks && args.kind == SP_POINTER_VALID) result->value = value;
}

void CallSetMode(int descriptor, const sp_mode_args& args, sp_result* result) {
  constexpr std::uint32_t kKnown = SP_NONBLOCKING | SP_CLOSE_ON_EXEC | SP_ASYNC;
  if (((args.set | args.clear) & ~kKnown) != 0) return NotSupported(result);
  result->value = 0;
  if (((args.set | args.clear) & SP_CLOSE_ON_EXEC) != 0) {
    if (Perform(result, [&] { return ::fcntl(descriptor, F_GETFD); })) return;
    const int old = static_cast<int>(result->value);
    const int flags = (args.set & SP_CLOSE_ON_EXEC) != 0 ? old | FD_CLOEXEC : old & ~FD_CLOEXEC;
    if (Perform(result, [&] { return ::fcntl(descriptor, F_SETFD, flags); })) return;
  }
  if ((args.set & SP_ASYNC) != 0) {
    // Whoever asks for SIGIO (and SIGURG) wants it in this process.
    if (Perform(result, [&] { return ::fcntl(descriptor, F_SETOWN, ::getpid()); })) return;
  }
  if (((args.set | args.clear) & (SP_NONBLOCKING | SP_ASYNC)) != 0) {
    if (Perform(result, [&] { return ::fcntl(descriptor, F_GETFL); })) return;
    int flags = static_cast<int>(result->value);
    if ((args.clear & SP_NONBLOCKING) != 0) flags &= ~O_NONBLOCK;
    if ((args.clear & SP_ASYNC) != 0) flags &= ~O_ASYNC;
    if ((args.set & SP_NONBLOCKING) != 0) flags |= O_NONBLOCK;
    if ((args.set & SP_ASYNC) != 0) flags |= O_ASYNC;
    Perform(result, [&] { return ::fcntl(descriptor, F_SETFL, flags); });
  }
}

void CallGetMode(int descriptor, sp_result* result) {
  if (Perform(result, [&] { return ::fcntl(descriptor, F_GETFL); })) return;
  const auto status = result->value;
  if (Perform(result, [&] { return ::fcntl(descriptor, F_GETFD); })) return;
  std::int64_t modes = 0;
  if ((status & O_NONBLOCK) != 0) modes |= SP_NONBLOCKING;
  if ((status & O_ASYNC) != 0) modes |= SP_ASYNC;
  if ((result->value & FD_CLOEXEC) != 0) modes |= SP_CLOSE_ON_EXEC;
  result->value = modes;
}

void CallDuplicate(Adapter& adapter, const sp_handle& handle, int descriptor, const sp_duplicate_args& args, sp_result* result) {
  bool failed = false;
  if (args.onto == 0) {
    if (args.modes == 0) {
      failed = Perform(result, [&] { return ::dup(descriptor); });
    } else if (args.modes == SP_CLOSE_ON_EXEC) {
      failed = Perform(result, [&] { return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0); });
    } else {
      return NotSupported(result);
    }
  } else {
    int target = -1;
    int flags = 0;
    if (Descriptor(adapter, args.target, &target) != SP_OK || !CreationFlags(args.modes, &flags)) {
      return NotSupported(result);
    }
    failed = args.modes == 0 ? Perform(result, [&] { return ::dup2(descriptor, target); })
                             : Perform(result, [&] { return ::dup3(descriptor, target, flags); });
  }
  if (!failed) {
    const std::int32_t kind = handle.kind == SP_HANDLE_WATCHER ? SP_HANDLE_WATCHER : SP_HANDLE_SOCKET;
    result->handle = {kind, 0, result->value};
  }
}

}  // namespace

void Call(void* self, sp_call* call, sp_result* result) {
  Adapter& adapter = *Self(self);
  result->error = SP_OK;
  result->native = 0;
  result->value = -1;
  result->handle = {SP_HANDLE_INVALID, 0, -1};

  // Those that have no descriptor, or a watcher in its place.
  switch (call->op) {
    case SP_OP_SOCKET:
      return CallSocket(call->u.socket, result);
    case SP_OP_SOCKETPAIR:
      return CallSocketpair(call->u.socketpair, result);
    case SP_OP_WATCH_CREATE:
      return CallWatchCreate(adapter, call->u.watch_create, result);
    case SP_OP_WATCH_ADD:
    case SP_OP_WATCH_MODIFY:
    case SP_OP_WATCH_REMOVE:
      return CallWatchSet(adapter, call->op, call->handle, call->u.watch_set, result);
    case SP_OP_WATCH_WAIT:
      return CallWatchWait(adapter, call->handle, call->u.watch_wait, result);
    case SP_OP_WATCH_CLOSE:
      return CallWatchClose(adapter, call->handle, result);
    default:
      break;
  }

  int descriptor = -1;
  if (Descriptor(adapter, call->handle, &descriptor) != SP_OK) return NotSupported(result);
  switch (call->op) {
    case SP_OP_BIND:
      return CallBind(adapter, descriptor, call->u.bind, result);
    case SP_OP_LISTEN:
      Perform(result, [&] { return ::listen(descriptor, call->u.listen.backlog); });
      return;
    case SP_OP_CONNECT:
      return CallConnect(adapter, descriptor, call->u.connect, result);
    case SP_OP_ACCEPT:
      return CallAccept(adapter, descriptor, call->u.accept, result);
    case SP_OP_SEND:
      return CallSend(adapter, descriptor, call->u.send, result);
    case SP_OP_RECV:
      return CallRecv(adapter, descriptor, call->u.recv, result);
    case SP_OP_SHUTDOWN:
      return CallShutdown(descriptor, call->u.shutdown, result);
    case SP_OP_CLOSE:
      Perform(result, [&] { return ::close(descriptor); });
      return;
    case SP_OP_GET_OPTION:
      return CallGetOption(adapter, descriptor, call->u.get_option, result);
    case SP_OP_SET_OPTION:
      return CallSetOption(adapter, descriptor, call->u.set_option, result);
    case SP_OP_IOCTL:
      return CallIoctl(adapter, descriptor, call->u.ioctl, result);
    case SP_OP_LOCAL_NAME:
      return CallName(adapter, call->op, descriptor, call->u.local_name, result);
    case SP_OP_PEER_NAME:
      return CallName(adapter, call->op, descriptor, call->u.peer_name, result);
    case SP_OP_SET_MODE:
      return CallSetMode(descriptor, call->u.set_mode, result);
    case SP_OP_GET_MODE:
      return CallGetMode(descriptor, result);
    case SP_OP_DUPLICATE:
      return CallDuplicate(adapter, call->handle, descriptor, call->u.duplicate, result);
    default:
      return NotSupported(result);  // SP_OP_DISCONNECT, and what a newer interface may have
  }
}

}  // namespace sockproof::posix
