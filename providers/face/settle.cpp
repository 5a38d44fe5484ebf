#include "face/settle.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include "face/host.h"
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
  static_cast<void>(client.SetLinger(true, 0));
  const int64_t start = HostNow();
  const Result connecting = client.Connect(net.ToReach(local.address));
  if (!connecting.ok() && connecting.error() != SP_EINPROGRESS && connecting.error() != SP_EAGAIN) return true;
  return WaitReady(client, SP_OUT) && Nanoseconds(HostNow() - start) <= kPrompt;
}

}  // namespace

#if defined(__linux__)
struct OnOneProcessor::Before {
  cpu_set_t allowed;
};
OnOneProcessor::OnOneProcessor() {
  if (Host::Get().HasVirtualClock()) return;
  Before before{};
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof before.allowed, &before.allowed) != 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(here, &one);
  if (sched_setaffinity(0, sizeof one, &one) == 0) before_ = new Before(before);
}
OnOneProcessor::~OnOneProcessor() {
  if (before_ != nullptr) sched_setaffinity(0, sizeof before_->allowed, &before_->allowed);
  delete before_;
}
#else
struct OnOneProcessor::Before {};
OnOneProcessor::OnOneProcessor() = default;
OnOneProcessor::~OnOneProcessor() = default;
#endif

void LetNetworkSettle(const Flavor& net, Nanoseconds span) {
  for (int i = 0; i < kMostSpans; ++i) {
    LetQuietTimePass(span);
    if (!net.tcp() || Host::Get().HasVirtualClock() || ProbeIsPrompt(net)) return;
  }
}

}  // namespace sockproof
