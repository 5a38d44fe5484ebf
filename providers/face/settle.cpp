#include "face/settle.h"

#include "face/host.h"
#include "face/platform.h"
#include "face/watcher.h"

namespace sockproof {
namespace {

// On an idle machine the probe takes a tenth of a millisecond, with every core busy two or three.
constexpr Nanoseconds kPrompt = std::chrono::milliseconds(10);
constexpr int kMostSpans = 20;

// Makes a connection and takes it back without a trace in the network. False: it was made, and took long.
bool ProbeIsPrompt(const Flavor& net) {
  Socket listener, client;
  if (!Socket::Make(net.listen_family, net.type, 0, SP_NONBLOCKING, &listener).ok()) return true;
  if (!Socket::Make(net.connect_family, net.type, 0, SP_NONBLOCKING, &client).ok()) return true;
  if (net.dual() && !listener.Set(SP_IPV6_V6ONLY, 0).ok()) return true;
  if (!listener.Bind(net.ToBind()).ok() || !listener.Listen(1).ok()) return true;
  const NameResult local = listener.LocalName();
  if (!local.ok()) return true;
  ResetOnClose(client);
  const int64_t start = HostNow();
  const Result connecting = client.Connect(net.ToReach(local.address));
  if (!connecting.ok() && connecting.error() != SP_EINPROGRESS && connecting.error() != SP_EAGAIN) return true;
  return WaitReady(client, SP_OUT) && Nanoseconds(HostNow() - start) <= kPrompt;
}

bool TrySet(const Socket& socket, sp_option_args args) {
  if (&socket.caller() != &Host::Get()) return false;
  args.length = SP_NATURAL_LENGTH;
  sp_call call{};
  sp_result result{};
  call.size = sizeof call;
  result.size = sizeof result;
  call.op = SP_OP_SET_OPTION;
  call.handle = socket.handle();
  call.u.set_option = args;
  Host::Get().CallRaw(&call, &result);
  return result.error == SP_OK;
}

}  // namespace

OnOneProcessor::OnOneProcessor() : bound_(Host::Get().HasVirtualClock() ? nullptr : platform::BindToProcessor()) {}
OnOneProcessor::~OnOneProcessor() { platform::Unbind(bound_); }

void LetNetworkSettle(const Flavor& net, Nanoseconds span) {
  for (int i = 0; i < kMostSpans; ++i) {
    LetQuietTimePass(span);
    if (!net.tcp() || Host::Get().HasVirtualClock() || ProbeIsPrompt(net)) return;
  }
}

bool TrySet(Socket& socket, int32_t option, int64_t integer) {
  sp_option_args args{};
  args.option = option;
  args.value_type = SP_VALUE_INTEGER;
  args.integer = integer;
  return TrySet(socket, args);
}

void ResetOnClose(Socket& socket) {
  if (!socket.open()) return;
  sp_option_args args{};
  args.option = SP_SO_LINGER;
  args.value_type = SP_VALUE_LINGER;
  args.linger_on = 1;
  static_cast<void>(TrySet(socket, args));
}

}  // namespace sockproof
