// socket and socketpair: which sockets there are, and how anything that was made becomes a handle.
#include <memory>
#include <utility>

#include "reference/calls.h"
#include "reference/datagram_socket.h"
#include "reference/local_socket.h"
#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kCreationModes = SP_NONBLOCKING | SP_CLOSE_ON_EXEC;
constexpr int32_t kTcpNumber = 6, kUdpNumber = 17, kLocalNumber = 1, kMostProtocols = 256;

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

}  // namespace

int32_t CheckModes(uint32_t modes) {
  if ((modes & SP_ASYNC) != 0) return SP_NOT_SUPPORTED;
  return (modes & ~kCreationModes) != 0 ? SP_EINVAL : SP_OK;
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

}  // namespace sockproof::reference
