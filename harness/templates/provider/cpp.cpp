// @NAME@ as a provider of sockproof, in C++. Everything is 'not supported' until a function below does something else; from top
// to bottom is a good order. providers/include/sockproof/provider.h is the whole contract.
//
//     ./sockproof run @NAME@.toml      compiles this, and says what is right, wrong and missing, area by area
#include <cstdint>

#include "sockproof/provider.h"

namespace {

// One stack a process. Its functions are called by many threads at once; one that blocks, blocks.
class Stack {
 public:
  // In result: `handle` (of kind SP_HANDLE_SOCKET, the number is yours) or `value`, or `error` with your own code in `native`.
  void Socket(sp_socket_args&, sp_result& result) { NotYet(result); }
  void Bind(int64_t, sp_bind_args&, sp_result& result) { NotYet(result); }       // args.address.address: bytes, port
  void Listen(int64_t, sp_listen_args&, sp_result& result) { NotYet(result); }   // args.backlog
  void LocalName(int64_t, sp_name_args&, sp_result& result) { NotYet(result); }  // args.name: address, decoded, reported
  void Connect(int64_t, sp_connect_args&, sp_result& result) { NotYet(result); }
  void Accept(int64_t, sp_accept_args&, sp_result& result) { NotYet(result); }      // a handle, and args.peer if it is asked for
  void Send(int64_t, sp_transfer_args&, sp_result& result) { NotYet(result); }      // args.buffers[0]; value: bytes taken
  void Recv(int64_t, sp_transfer_args&, sp_result& result) { NotYet(result); }      // value 0: the end of the stream
  void Shutdown(int64_t, sp_shutdown_args&, sp_result& result) { NotYet(result); }  // args.how: SP_SHUT_RD ...
  void Close(int64_t, sp_result& result) { NotYet(result); }
  void PeerName(int64_t, sp_name_args&, sp_result& result) { NotYet(result); }
  void SetMode(int64_t, sp_mode_args&, sp_result& result) { NotYet(result); }      // args.set, args.clear: SP_NONBLOCKING
  void GetOption(int64_t, sp_option_args&, sp_result& result) { NotYet(result); }  // SP_SO_ERROR first: an enum sp_error
  void SetOption(int64_t, sp_option_args&, sp_result& result) { NotYet(result); }
  // Next: SP_OP_WATCH_CREATE and its five companions, mechanism SP_POLL. Most of the rest stands on them.

  static void NotYet(sp_result& result) { result.error = SP_NOT_SUPPORTED; }
};

void Call(void* self, sp_call* call, sp_result* result) {
  Stack& stack = *static_cast<Stack*>(self);
  const int64_t socket = call->handle.value;
  auto& u = call->u;
  // Handles that are wrong on purpose: pass -1 on if your stack takes one, then this can go.
  if (call->op != SP_OP_SOCKET && call->handle.kind != SP_HANDLE_SOCKET) return Stack::NotYet(*result);
  switch (call->op) {
    case SP_OP_SOCKET:
      return stack.Socket(u.socket, *result);
    case SP_OP_BIND:
      return stack.Bind(socket, u.bind, *result);
    case SP_OP_LISTEN:
      return stack.Listen(socket, u.listen, *result);
    case SP_OP_LOCAL_NAME:
      return stack.LocalName(socket, u.local_name, *result);
    case SP_OP_CONNECT:
      return stack.Connect(socket, u.connect, *result);
    case SP_OP_ACCEPT:
      return stack.Accept(socket, u.accept, *result);
    case SP_OP_SEND:
      return stack.Send(socket, u.send, *result);
    case SP_OP_RECV:
      return stack.Recv(socket, u.recv, *result);
    case SP_OP_SHUTDOWN:
      return stack.Shutdown(socket, u.shutdown, *result);
    case SP_OP_CLOSE:
      return stack.Close(socket, *result);
    case SP_OP_PEER_NAME:
      return stack.PeerName(socket, u.peer_name, *result);
    case SP_OP_SET_MODE:
      return stack.SetMode(socket, u.set_mode, *result);
    case SP_OP_GET_OPTION:
      return stack.GetOption(socket, u.get_option, *result);
    case SP_OP_SET_OPTION:
      return stack.SetOption(socket, u.set_option, *result);
    default:
      return Stack::NotYet(*result);
  }
}

int32_t Open(const char*, void** self, const char**) {
  *self = new Stack;
  return SP_OK;
}

void Close(void* self) { delete static_cast<Stack*>(self); }

// What it can do beyond plain calls: SP_CAP_INET6, SP_CAP_POLL, ... Say why something is missing: people read it.
int32_t Capability(void*, int32_t capability, const char** why) {
  if (capability == SP_CAP_INET || capability == SP_CAP_THREADS) return SP_OK;
  *why = "not written yet";
  return SP_NOT_SUPPORTED;
}

}  // namespace

extern "C" const sp_provider* sockproof_provider(void) {
  static const sp_provider provider = [] {
    sp_provider table{};
    table.size = sizeof table;
    table.version = SP_API_VERSION;
    table.name = table.text = "@NAME@";
    table.open = Open;
    table.close = Close;
    table.capability = Capability;
    table.call = Call;
    return table;
  }();
  return &provider;
}
