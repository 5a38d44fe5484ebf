// WSPConnect and WSPAccept: user data, quality of service, condition functions.
#include <algorithm>
#include <utility>

#include "windows/memory.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

using windows::CanRead;
using windows::CanWrite;

sp_user_data DataIn(const WSABUF* buffer, bool writable) {
  sp_user_data data{};
  if (buffer == nullptr) return data;
  data.present = 1;
  if (!CanRead(buffer, sizeof *buffer)) {
    data.kind = SP_POINTER_INVALID;
    data.length = data.capacity = 1;
    return data;
  }
  data.length = data.capacity = buffer->len;
  data.data = reinterpret_cast<uint8_t*>(buffer->buf);
  const bool usable = writable ? CanWrite(buffer->buf, buffer->len) : CanRead(buffer->buf, buffer->len);
  data.kind = buffer->buf == nullptr ? SP_POINTER_NULL : usable ? SP_POINTER_VALID : SP_POINTER_INVALID;
  return data;
}

// The caller's condition function, asked by the portable provider.
struct Condition {
  LPCONDITIONPROC function;
  DWORD_PTR data;

  static int32_t Ask(void* context, sp_condition_request* request) {
    const auto* self = static_cast<const Condition*>(context);
    windows::AnyAddress caller, callee;
    WSABUF caller_id{static_cast<ULONG>(windows::Encode(request->caller, &caller)), reinterpret_cast<char*>(&caller)};
    WSABUF callee_id{static_cast<ULONG>(windows::Encode(request->callee, &callee)), reinterpret_cast<char*>(&callee)};
    WSABUF caller_data{request->caller_data.length, reinterpret_cast<char*>(request->caller_data.data)};
    WSABUF callee_data{request->callee_data.length, reinterpret_cast<char*>(request->callee_data.data)};
    QOS qos{};
    if (request->has_qos != 0) QosOut(request->qos, &qos);
    GROUP group = 0;
    const int answer =
        self->function(&caller_id, request->caller_data.present != 0 ? &caller_data : nullptr,
                       request->has_qos != 0 ? &qos : nullptr, nullptr, &callee_id, &callee_data, &group, self->data);
    request->callee_data.length = std::min<ULONG>(callee_data.len, request->callee_data.capacity);
    if (request->has_qos != 0) request->qos = QosIn(qos);
    request->group = group;
    return answer;
  }
};

}  // namespace

SOCKET WSPAPI Accept(SOCKET s, sockaddr* name, LPINT length, LPCONDITIONPROC condition, DWORD_PTR data, LPINT code) {
  const Entry entry;
  Host& host = Host::Get();
  SocketContext* context = nullptr;
  int32_t error = Entry::Find(s, &context);
  if (error == SP_OK) error = RunBlockingHook(*context, SP_IN);
  if (error != SP_OK) {
    static_cast<void>(Finish(error, code));
    return INVALID_SOCKET;
  }
  CallResult call;
  sp_accept_args& args = call.call.u.accept;
  const AddressOut peer(name, length, &args.peer);
  Condition asked{condition, data};
  if (condition != nullptr) {
    args.condition = Condition::Ask;
    args.condition_context = &asked;
    if (!CanCall(condition)) args.condition_kind = SP_POINTER_INVALID;
  }
  const sp_handle listener = context->handle;
  const WSAPROTOCOL_INFOW info = context->info;
  host.Call(SP_OP_ACCEPT, listener, &call);
  peer.Deliver();
  error = call.error();
  SocketContext* made = nullptr;
  if (error == SP_OK) error = host.Install(call.result.handle, info, &made);
  if (error != SP_OK) {
    static_cast<void>(Finish(error, code));
    return INVALID_SOCKET;
  }
  if (const SocketContext* still = host.FromHandle(listener); still != nullptr) InheritMessages(*still, made);
  return made->socket;
}

int WSPAPI Connect(SOCKET s, const sockaddr* name, int length, LPWSABUF caller, LPWSABUF callee, LPQOS qos, LPQOS group_qos,
                   LPINT code) {
  const Entry entry;
  Host& host = Host::Get();
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  if (qos != nullptr && !CanRead(qos, sizeof *qos)) return Finish(SP_EFAULT, code);
  const auto attempt = std::make_shared<PendingReply>();  // lives as long as the attempt may go on
  sp_connect_args& args = attempt->call.u.connect;
  args.address = AddressIn(name, length);
  args.caller_data = DataIn(caller, false);
  args.callee_data = DataIn(callee, true);
  if (qos != nullptr) {
    args.has_qos = 1;
    args.qos = QosIn(*qos);
  }
  args.has_group_qos = group_qos != nullptr ? 1 : 0;
  attempt->call.size = sizeof attempt->call;
  attempt->call.op = SP_OP_CONNECT;
  attempt->call.handle = context->handle;
  attempt->out = callee;
  const bool answers = callee != nullptr && CanWrite(callee, sizeof *callee);
  sp_result result{};
  result.size = sizeof result;
  const sp_handle handle = context->handle;
  host.table().call(host.self(), &attempt->call, &result);
  if (answers) {
    callee->len = attempt->room = args.callee_data.length;
    SocketContext* const still = host.FromHandle(handle);
    if (result.error == SP_EAGAIN && still != nullptr) still->reply = attempt;
  }
  return Finish(result.error, code);
}

// There is no multipoint protocol here.
SOCKET WSPAPI JoinLeaf(SOCKET s, const sockaddr*, int, LPWSABUF, LPWSABUF, LPQOS, LPQOS, DWORD, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  const int32_t error = Entry::Find(s, &context);
  static_cast<void>(Finish(error != SP_OK ? error : static_cast<int32_t>(SP_EOPNOTSUPP), code));
  return INVALID_SOCKET;
}

// Nor are there templates of quality of service.
BOOL WSPAPI GetQosByName(SOCKET s, LPWSABUF name, LPQOS qos, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  int32_t error = Entry::Find(s, &context);
  if (error == SP_OK && (!CanRead(name, sizeof *name) || !CanWrite(qos, sizeof *qos))) error = SP_EFAULT;
  static_cast<void>(Finish(error != SP_OK ? error : static_cast<int32_t>(SP_EINVAL), code));
  return FALSE;
}

}  // namespace sockproof::wsp_reference
