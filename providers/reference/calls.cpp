#include "reference/calls.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "reference/socket.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

constexpr int64_t kCost = kMicrosecond;  // of a call, in virtual time

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

bool Offers(const Stack& stack, int32_t capability) { return stack.profile().capabilities.count(capability) != 0; }

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
