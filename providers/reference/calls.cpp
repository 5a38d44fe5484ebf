#include "reference/calls.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "reference/datagram_socket.h"
#include "reference/local_socket.h"
#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {
namespace {

constexpr int64_t kCost = kMicrosecond;  // of a call, in virtual time
constexpr uint32_t kCreationModes = SP_NONBLOCKING | SP_CLOSE_ON_EXEC;
constexpr int32_t kTcpNumber = 6, kUdpNumber = 17, kLocalNumber = 1, kMostProtocols = 256;

bool Offers(const Stack& stack, int32_t capability) { return stack.profile().capabilities.count(capability) != 0; }

int32_t CheckModes(uint32_t modes) {
  if ((modes & SP_ASYNC) != 0) return SP_NOT_SUPPORTED;
  return (modes & ~kCreationModes) != 0 ? SP_EINVAL : SP_OK;
}

int32_t MakeInternet(Stack* stack, const sp_socket_args& args, std::shared_ptr<Socket>* out) {
  if (args.protocol < 0 || args.protocol >= kMostProtocols) return stack->profile().no_protocol_number;
  switch (args.type) {
    case SP_STREAM:
      if (args.protocol != 0 && args.protocol != kTcpNumber) return SP_EPROTONOSUPPORT;
      *out = std::make_shared<StreamSocket>(stack, args.family);
      return SP_OK;
    case SP_DATAGRAM:
      if (args.protocol != 0 && args.protocol != kUdpNumber) return SP_EPROTONOSUPPORT;
      *out = std::make_shared<DatagramSocket>(stack, args.family);
      return SP_OK;
    case SP_RAW:
      return args.protocol == 0 ? SP_EPROTONOSUPPORT : SP_EPERM;
    default:
      return SP_ESOCKTNOSUPPORT;
  }
}

int32_t MakeLocal(Stack* stack, const sp_socket_args& args, std::shared_ptr<Socket>* out) {
  if (args.protocol != 0 && args.protocol != kLocalNumber) return SP_EPROTONOSUPPORT;
  const int32_t type = args.type == SP_RAW ? static_cast<int32_t>(SP_DATAGRAM) : args.type;  // as Linux takes it
  const bool offered = (type == SP_STREAM && Offers(*stack, SP_CAP_UNIX_STREAM)) ||
                       (type == SP_SEQPACKET && Offers(*stack, SP_CAP_UNIX_SEQPACKET)) ||
                       (type == SP_DATAGRAM && Offers(*stack, SP_CAP_UNIX_DATAGRAM));
  if (!offered) return SP_ESOCKTNOSUPPORT;
  *out = std::make_shared<LocalSocket>(stack, type);
  return SP_OK;
}

int32_t Make(Stack* stack, const sp_socket_args& args, std::shared_ptr<Socket>* out) {
  if (const int32_t error = CheckModes(args.modes); error != SP_OK) return error;
  if (args.family == SP_INET || args.family == SP_INET6) return MakeInternet(stack, args, out);
  if (args.family == SP_UNIX) return MakeLocal(stack, args, out);
  if (args.family == SP_CONNDATA) {
    if (!Offers(*stack, SP_CAP_CONNECT_DATA)) return SP_NOT_SUPPORTED;
    if (args.type != SP_STREAM) return SP_ESOCKTNOSUPPORT;
    if (args.protocol != 0) return SP_EPROTONOSUPPORT;
    *out = std::make_shared<StreamSocket>(stack, args.family);
    return SP_OK;
  }
  return SP_EAFNOSUPPORT;
}

sp_handle Install(Stack* stack, std::shared_ptr<File> file, uint32_t modes) {
  if ((modes & SP_NONBLOCKING) != 0) file->nonblocking = true;
  const int32_t kind = dynamic_cast<Epoll*>(file.get()) != nullptr ? SP_HANDLE_WATCHER : SP_HANDLE_SOCKET;
  return {kind, 0, stack->handles().Add(Hold(std::move(file)), (modes & SP_CLOSE_ON_EXEC) != 0)};
}

int32_t CallSocket(Stack* stack, const sp_socket_args& args, sp_result* result) {
  std::shared_ptr<Socket> socket;
  if (const int32_t error = Make(stack, args, &socket); error != SP_OK) return error;
  if (const int32_t error = stack->TakeBuffer(); error != SP_OK) return error;
  if (const int32_t error = stack->handles().Room(); error != SP_OK) return error;
  result->handle = Install(stack, socket, args.modes);
  result->value = result->handle.value;
  return SP_OK;
}

int32_t CallSocketpair(Stack* stack, sp_socketpair_args* args, sp_result* result) {
  std::shared_ptr<Socket> one, two;
  if (const int32_t error = Make(stack, args->of, &one); error != SP_OK) return error;
  if (args->of.family != SP_UNIX) return SP_EOPNOTSUPP;
  if (const int32_t error = stack->handles().Room(2); error != SP_OK) return error;
  static_cast<void>(Make(stack, args->of, &two));
  LocalSocket::Pair(std::static_pointer_cast<LocalSocket>(one), std::static_pointer_cast<LocalSocket>(two));
  result->handle = Install(stack, one, args->of.modes);
  args->second = Install(stack, two, args->of.modes);
  result->value = 0;
  return SP_OK;
}

// An overlapped call that came without an OVERLAPPED: AcceptEx and ConnectEx "cannot be NULL" there (Parameters).
int32_t WithoutOverlapped(const Stack& stack, int32_t extended) {
  return Offers(stack, SP_CAP_OVERLAPPED) && extended == SP_NO_OVERLAPPED ? SP_INVALID_PARAMETER : SP_NOT_SUPPORTED;
}

// Where too short a place for an address is a fault, it is one before a connection is taken.
int32_t CheckPlace(const sp_address_out& out, int32_t family) {
  if (out.length_kind != SP_POINTER_VALID || out.kind != SP_POINTER_VALID) return SP_EFAULT;
  const int32_t room = out.length == SP_NATURAL_LENGTH ? out.raw_size : out.length;
  const int32_t least = family == SP_UNIX ? kPathOffset : LengthOf(NoAddress(family));
  return room < least ? SP_EFAULT : SP_OK;
}

int32_t CallAccept(Stack* stack, const Hold& file, sp_accept_args* args, sp_result* result) {
  Prepare(&args->peer);
  if (args->extended != SP_PLAIN) return WithoutOverlapped(*stack, args->extended);
  const bool conditional = args->condition != nullptr || args->condition_kind != SP_POINTER_VALID;
  if (conditional && !Offers(*stack, SP_CAP_CONDITION)) return SP_NOT_SUPPORTED;
  const Profile& profile = stack->profile();
  if (args->modes != 0 && !profile.accept_takes_modes) return SP_NOT_SUPPORTED;  // form 1 is WSAAccept then
  if (const int32_t error = CheckModes(args->modes); error != SP_OK) return error;
  HandleTable& handles = stack->handles();
  const auto room = [&] {
    const int32_t error = handles.Room();
    return error != SP_OK ? error : stack->TakeBuffer();
  };
  if (profile.accept_needs_room_first) {
    if (const int32_t error = room(); error != SP_OK) return error;
  }
  auto* socket = dynamic_cast<Socket*>(file.get());
  if (socket == nullptr) return SP_ENOTSOCK;
  const bool asked =
      args->peer.kind != SP_POINTER_NULL && !(profile.null_length_is_no_address && args->peer.length_kind == SP_POINTER_NULL);
  if (asked && profile.short_is_fault) {
    if (const int32_t error = CheckPlace(args->peer, socket->family()); error != SP_OK) return error;
  }
  AcceptRequest request;
  request.nonblocking = file->nonblocking;
  request.args = args;
  if (!profile.accept_needs_room_first) request.room = room;
  if (profile.accept_needs_room_first) handles.Reserve();
  const int32_t error = socket->Accept(&request);
  if (profile.accept_needs_room_first) handles.Unreserve();
  if (asked && error != SP_OK && request.peer_known) {
    // "regardless of the return value of the condition function" (LPWSPACCEPT, Remarks); WSAAccept asks for less.
    static_cast<void>(Store(request.peer, profile.short_is_fault, &args->peer));
  }
  if (error != SP_OK) return error;
  Hold accepted(request.accepted);  // closed again if its address has no place to go
  if (asked) {
    const int32_t stored = Store(request.peer, profile.short_is_fault, &args->peer);
    if (stored != SP_OK) return stored;
  }
  result->handle = Install(stack, request.accepted, args->modes);
  result->value = result->handle.value;
  return SP_OK;
}

int32_t CallConnect(Stack* stack, const Hold& file, Socket* socket, sp_connect_args* args) {
  const bool extras =
      args->caller_data.present != 0 || args->callee_data.present != 0 || args->has_qos != 0 || args->has_group_qos != 0;
  if (args->extended != SP_PLAIN) return WithoutOverlapped(*stack, args->extended);
  if (extras && !Offers(*stack, SP_CAP_CONDITION)) return SP_NOT_SUPPORTED;  // the long forms come together
  ConnectRequest request;
  request.nonblocking = file->nonblocking;
  if (const int32_t error = ReadAddress(*stack, args->address, &request.to); error != SP_OK) return error;
  if (const int32_t error = ReadConnectData(*socket, *args, &request.data); error != SP_OK) return error;
  if (const int32_t error = stack->TakeBuffer(); error != SP_OK) return error;
  if (args->callee_data.present != 0) request.reply = &args->callee_data;
  // What carries no data brings none back.
  if (request.reply != nullptr && socket->family() != SP_CONNDATA) std::exchange(request.reply, nullptr)->length = 0;
  return socket->Connect(&request);
}

int32_t CallName(Stack* stack, Socket* socket, uint32_t op, sp_name_args* args) {
  Prepare(&args->name);
  if (args->name.length_kind != SP_POINTER_VALID) return SP_EFAULT;
  sp_address name{};
  const int32_t error = op == SP_OP_LOCAL_NAME ? socket->LocalName(&name) : socket->PeerName(&name);
  return error != SP_OK ? error : Store(name, stack->profile().short_is_fault, &args->name);
}

int32_t CallIoctl(const Profile& profile, const Hold& file, const sp_ioctl_args& args, int64_t* value) {
  auto* socket = dynamic_cast<Socket*>(file.get());
  switch (args.request) {
    case SP_IOCTL_NONBLOCKING:
      if (args.kind != SP_POINTER_VALID) return SP_EFAULT;
      // "any attempt to use ioctlsocket ... to set the socket back to blocking mode will fail" (WSAEventSelect, Remarks)
      if (args.argument == 0 && socket != nullptr && socket->events().active()) return SP_EINVAL;
      file->nonblocking = args.argument != 0;
      *value = 0;
      return SP_OK;
    case SP_IOCTL_READABLE:
    case SP_IOCTL_UNSENT:
    case SP_IOCTL_AT_MARK: {
      if (args.request == SP_IOCTL_AT_MARK && args.kind != SP_POINTER_VALID) return SP_NOT_SUPPORTED;
      if (socket == nullptr) return SP_ENOTTY;
      int64_t answer = 0;
      if (const int32_t error = socket->Ioctl(args.request, &answer); error != SP_OK) return error;
      if (args.kind != SP_POINTER_VALID) return SP_EFAULT;
      *value = answer;
      return SP_OK;
    }
    case SP_IOCTL_UNKNOWN:
      return SP_ENOTTY;
    case SP_IOCTL_FAST_PATH:
      return profile.fast_path;
    default:
      return SP_NOT_SUPPORTED;
  }
}

int32_t CallSetMode(HandleTable::Entry* entry, const sp_mode_args& args) {
  constexpr uint32_t kKnown = SP_NONBLOCKING | SP_CLOSE_ON_EXEC | SP_ASYNC;
  if (((args.set | args.clear) & ~kKnown) != 0) return SP_NOT_SUPPORTED;
  File& file = *entry->file.get();
  auto* socket = dynamic_cast<Socket*>(&file);
  if ((args.clear & SP_NONBLOCKING) != 0 && socket != nullptr && socket->events().active()) return SP_EINVAL;
  if ((args.clear & SP_NONBLOCKING) != 0) file.nonblocking = false;
  if ((args.set & SP_NONBLOCKING) != 0) file.nonblocking = true;
  if ((args.clear & SP_CLOSE_ON_EXEC) != 0) entry->close_on_exec = false;
  if ((args.set & SP_CLOSE_ON_EXEC) != 0) entry->close_on_exec = true;
  if ((args.clear & SP_ASYNC) != 0) file.async = false;
  if ((args.set & SP_ASYNC) != 0) file.async = true;
  return SP_OK;
}

int64_t Modes(const HandleTable::Entry& entry) {
  int64_t modes = 0;
  if (entry.file->nonblocking) modes |= SP_NONBLOCKING;
  if (entry.file->async) modes |= SP_ASYNC;
  if (entry.close_on_exec) modes |= SP_CLOSE_ON_EXEC;
  return modes;
}

int32_t CallDuplicate(Stack* stack, const sp_handle& handle, const Hold& file, const sp_duplicate_args& args, sp_result* result) {
  HandleTable& handles = stack->handles();
  const int32_t kind = handle.kind == SP_HANDLE_WATCHER ? SP_HANDLE_WATCHER : SP_HANDLE_SOCKET;
  if (args.onto == 0) {
    if ((args.modes & ~static_cast<uint32_t>(SP_CLOSE_ON_EXEC)) != 0) return SP_NOT_SUPPORTED;
    if (const int32_t error = handles.Room(); error != SP_OK) return error;
    result->value = handles.Add(file, (args.modes & SP_CLOSE_ON_EXEC) != 0);
  } else {
    if ((args.modes & ~static_cast<uint32_t>(SP_CLOSE_ON_EXEC)) != 0) return SP_EINVAL;
    const int64_t target = args.target.kind == SP_HANDLE_INVALID ? -1 : args.target.value;
    if (!handles.CanHave(target)) return SP_EBADF;
    if (target == handle.value) {
      if (args.modes != 0) return SP_EINVAL;
    } else {
      const Hold before = handles.Remove(target);
      handles.Put(target, file, (args.modes & SP_CLOSE_ON_EXEC) != 0);
    }
    result->value = target;
  }
  result->handle = {kind, 0, result->value};
  return SP_OK;
}

int32_t CallClose(Stack* stack, const sp_handle& handle) {
  if (handle.kind == SP_HANDLE_NOT_SOCKET || handle.kind == SP_HANDLE_PATH_ONLY) {
    return stack->profile().bad_handle == SP_EBADF ? SP_OK : SP_ENOTSOCK;
  }
  if (handle.kind == SP_HANDLE_INVALID) return stack->profile().bad_handle;
  const HandleTable::Entry* entry = stack->handles().Find(handle.value);
  if (entry == nullptr) return stack->profile().bad_handle;
  const auto* socket = dynamic_cast<const Socket*>(entry->file.get());
  if (socket != nullptr && entry->file.last() && socket->CloseWouldBlock()) return SP_EAGAIN;
  Hold file = stack->handles().Remove(handle.value);
  if (stack->profile().close_ends_calls && !stack->handles().Has(file.get())) file->cancelled = true;
  file.Drop();
  return SP_OK;
}

int32_t OnSocket(Stack* stack, sp_call* call, const Hold& file, sp_result* result) {
  auto* socket = dynamic_cast<Socket*>(file.get());
  if (socket == nullptr) return SP_ENOTSOCK;
  result->value = 0;
  switch (call->op) {
    case SP_OP_BIND: {
      AddressArgument address;
      const int32_t error = ReadAddress(*stack, call->u.bind.address, &address);
      return error != SP_OK ? error : socket->Bind(address);
    }
    case SP_OP_LISTEN:
      if (const int32_t error = socket->type() == SP_DATAGRAM ? static_cast<int32_t>(SP_OK) : stack->TakeBuffer(); error != SP_OK)
        return error;
      return socket->Listen(call->u.listen.backlog);
    case SP_OP_CONNECT:
      return CallConnect(stack, file, socket, &call->u.connect);
    case SP_OP_SHUTDOWN:
      return socket->Shutdown(call->u.shutdown.how);
    case SP_OP_GET_OPTION:
      return GetOption(socket, &call->u.get_option, &result->native);
    case SP_OP_SET_OPTION:
      return SetOption(socket, call->u.set_option);
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      return CallName(stack, socket, call->op, &call->u.local_name);
    default:
      return SP_NOT_SUPPORTED;
  }
}

// Calls that let network events be recorded again (Windows Sockets 2, WSAEventSelect function (winsock2.h), Return value),
// whether they succeed or fail. One that defers a request does not: it would be told of at once.
void EnableEvents(Stack* stack, uint32_t op, int32_t error, const Hold& file) {
  auto* socket = dynamic_cast<Socket*>(file.get());
  if (socket == nullptr) return;
  if (op == SP_OP_ACCEPT && error != SP_TRY_AGAIN) socket->events().Enable(SP_FD_ACCEPT);
  if (op == SP_OP_RECV) socket->events().Enable(SP_FD_READ | SP_FD_OOB);
  if (op == SP_OP_SEND && error == SP_EAGAIN) socket->events().Enable(SP_FD_WRITE);
  // Another attempt has begun.
  if (op == SP_OP_CONNECT && error == stack->profile().connecting) socket->events().Enable(SP_FD_CONNECT);
}

int32_t OnFile(Stack* stack, sp_call* call, const Hold& file, sp_result* result);

int32_t Dispatch(Stack* stack, sp_call* call, sp_result* result) {
  switch (call->op) {
    case SP_OP_SOCKET:
      return CallSocket(stack, call->u.socket, result);
    case SP_OP_SOCKETPAIR:
      return CallSocketpair(stack, &call->u.socketpair, result);
    case SP_OP_CLOSE:
      return CallClose(stack, call->handle);
    default:
      break;
  }
  if (Watchers::IsOne(call->handle)) return SP_NOT_SUPPORTED;
  Hold file;
  if (const int32_t error = FindFile(stack, call->handle, &file); error != SP_OK) return error;
  const int32_t error = OnFile(stack, call, file, result);
  EnableEvents(stack, call->op, error, file);
  return error;
}

int32_t OnFile(Stack* stack, sp_call* call, const Hold& file, sp_result* result) {
  switch (call->op) {
    case SP_OP_ACCEPT:
      return CallAccept(stack, file, &call->u.accept, result);
    case SP_OP_SEND:
      return SendCall(stack, file, &call->u.send, &result->value);
    case SP_OP_RECV:
      return RecvCall(stack, file, &call->u.recv, &result->value);
    case SP_OP_IOCTL:
      return CallIoctl(stack->profile(), file, call->u.ioctl, &result->value);
    case SP_OP_DUPLICATE:
      return CallDuplicate(stack, call->handle, file, call->u.duplicate, result);
    case SP_OP_SET_MODE:
    case SP_OP_GET_MODE: {
      HandleTable::Entry* entry = stack->handles().Find(call->handle.value);
      HandleTable::Entry plain{stack->plain_file(), true};
      if (entry == nullptr) entry = &plain;
      result->value = call->op == SP_OP_GET_MODE ? Modes(*entry) : 0;
      return call->op == SP_OP_GET_MODE ? static_cast<int32_t>(SP_OK) : CallSetMode(entry, call->u.set_mode);
    }
    case SP_OP_DISCONNECT:
      if (!Offers(*stack, SP_CAP_OVERLAPPED) || call->u.disconnect.extended != SP_NO_OVERLAPPED) return SP_NOT_SUPPORTED;
      result->value = 0;
      return DisconnectAndWait(stack, call);
    default:
      return OnSocket(stack, call, file, result);
  }
}

// Event objects are the system's own, and work without one.
bool NeedsSession(const sp_call& call) {
  switch (call.op) {
    case SP_OP_WATCH_CREATE:
    case SP_OP_WATCH_CLOSE:
      return false;
    case SP_OP_WATCH_WAIT:
      return call.u.watch_wait.step == SP_REPORT_ONLY;
    default:
      return true;
  }
}

}  // namespace

int32_t FindFile(Stack* stack, const sp_handle& handle, Hold* file) {
  switch (handle.kind) {
    case SP_HANDLE_NOT_SOCKET:
      *file = stack->plain_file();
      return SP_OK;
    case SP_HANDLE_PATH_ONLY:
      return stack->profile().path_handle;
    case SP_HANDLE_INVALID:
      return stack->profile().bad_handle;
    default:
      break;
  }
  const HandleTable::Entry* entry = stack->handles().Find(handle.value);
  if (entry == nullptr) return stack->profile().bad_handle;
  *file = entry->file;
  return SP_OK;
}

int32_t ReadAddress(const Stack& stack, const sp_address_in& in, AddressArgument* out) {
  if (in.address.family == SP_CONNDATA && !Offers(stack, SP_CAP_CONNECT_DATA)) return SP_NOT_SUPPORTED;
  out->address = in.address;
  // A whole sun_path has no room for a NUL behind it.
  out->length = in.length != SP_NATURAL_LENGTH ? in.length
                : in.address.family == SP_UNIX ? std::min(LengthOf(in.address), kUnixLength)
                                               : LengthOf(in.address);
  const int32_t wrong_length = stack.profile().address_lengths_are_faults ? SP_EFAULT : SP_EINVAL;
  if (out->length < 0 || out->length > kLongestAddress) return wrong_length;
  if (out->length > 0 && in.kind != SP_POINTER_VALID) return SP_EFAULT;
  return SP_OK;
}

void CarryOut(Stack* stack, sp_call* call, sp_result* result) {
  Scheduler& scheduler = stack->scheduler();
  scheduler.RunDue();
  scheduler.Yield();
  scheduler.Spend(kCost);
  result->error = SP_OK;
  result->native = 0;
  result->value = -1;
  result->handle = {SP_HANDLE_INVALID, 0, -1};
  if (!stack->session().started() && NeedsSession(*call)) {
    result->error = result->native = SP_NOTINITIALISED;
    return;
  }
  switch (call->op) {
    case SP_OP_WATCH_CREATE:
      WatchCreate(stack, call->u.watch_create, result);
      break;
    case SP_OP_WATCH_ADD:
    case SP_OP_WATCH_MODIFY:
    case SP_OP_WATCH_REMOVE:
      WatchSet(stack, call->op, call->handle, call->u.watch_set, result);
      break;
    case SP_OP_WATCH_WAIT:
      WatchWait(stack, call->handle, &call->u.watch_wait, result);
      break;
    case SP_OP_WATCH_CLOSE:
      WatchClose(stack, call->handle, result);
      break;
    default:
      result->error = Dispatch(stack, call, result);
      if (result->error == SP_OK && call->op == SP_OP_CLOSE) result->value = 0;
      break;
  }
  if (result->error != SP_OK) {
    result->value = -1;
    result->handle = {SP_HANDLE_INVALID, 0, -1};
    if (result->native == 0) result->native = result->error;
  }
  scheduler.RunDue();
}

}  // namespace sockproof::reference
