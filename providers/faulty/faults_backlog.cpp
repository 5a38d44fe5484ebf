// Faults of the queue behind listen: how long it is, what becomes of those that find it full.
#include <algorithm>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr int kFirstBacklog = 1;  // slots of a listener's memory
constexpr int kHandedOut = 2;

constexpr int64_t kSoon = 20'000'000;  // on loopback a connection that can be completed is, long before

void ListenWith(Wrapped& provider, sp_call* call, sp_result* result, int32_t (*backlog)(int32_t)) {
  if (call->op == SP_OP_LISTEN) call->u.listen.backlog = backlog(call->u.listen.backlog);
  provider.Pass(call, result);
}

// A second listen sees the backlog of the first: `choose` makes one of both.
void ListenAgainWith(Wrapped& provider, sp_call* call, sp_result* result, int32_t (*choose)(int32_t, int32_t)) {
  if (!IsSocketCall(call, SP_OP_LISTEN)) return provider.Pass(call, result);
  const Known known = provider.Of(call->handle);
  const auto first = static_cast<int32_t>(provider.Get(call->handle.value, kFirstBacklog));
  if (known.listening && first > 0) call->u.listen.backlog = choose(first - 1, call->u.listen.backlog);
  const int32_t used = std::max(0, call->u.listen.backlog);
  provider.Pass(call, result);
  if (result->error == SP_OK && used < INT32_MAX) provider.Put(call->handle.value, used + 1, kFirstBacklog);
}

// Begins a TCP connect without blocking, whatever the socket's mode. True: it is still under way after `kSoon`.
bool StaysPending(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool blocking = !provider.IsNonblocking(call->handle);
  if (blocking) provider.SetNonblocking(call->handle, true);
  provider.Pass(call, result);
  const bool under_way = result->error == SP_EINPROGRESS || result->error == SP_EAGAIN;
  const bool ended = under_way && provider.Ready(call->handle, SP_OUT, kSoon) != 0;
  if (blocking) provider.SetNonblocking(call->handle, false);
  if (ended && blocking) {
    const int32_t error = PendingError(provider, call->handle);
    if (error == SP_OK) {
      Succeed(result);
    } else {
      Fail(result, error);
    }
  }
  return under_way && !ended;
}

void Dissolve(Wrapped& provider, sp_handle handle) {
  sp_address nowhere{};
  nowhere.family = SP_UNSPEC;
  Connect(provider, handle, nowhere);
}

bool IsFirstTcpConnect(Wrapped& provider, const sp_call* call) {
  if (!IsSocketCall(call, SP_OP_CONNECT) || !provider.IsTcp(call->handle)) return false;
  const Known known = provider.Of(call->handle);
  return !known.connecting && !known.connected && !known.listening && call->u.connect.address.address.family != SP_UNSPEC;
}

bool IsLocalConnect(Wrapped& provider, const sp_call* call) {
  return IsSocketCall(call, SP_OP_CONNECT) && provider.IsLocal(call->handle) && provider.Of(call->handle).type != SP_DATAGRAM;
}

// Of two connections that an accept takes, the second is for the next accept.
void AcceptFreesTwo(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t listener = call->handle.value;
  const auto take_kept = [&]() -> std::optional<sp_handle> {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    std::vector<sp_handle>& kept = provider.handles[listener];
    if (kept.empty()) return std::nullopt;
    const sp_handle first = kept.front();
    kept.erase(kept.begin());
    return first;
  };
  if (IsSocketCall(call, SP_OP_CLOSE)) {
    while (const std::optional<sp_handle> one = take_kept()) provider.Close(*one);
  }
  if (!IsAccept(provider, call)) return provider.Pass(call, result);
  if (const std::optional<sp_handle> one = take_kept()) {
    Succeed(result);
    result->handle = *one;
    return StorePeer(provider, *one, call);
  }
  provider.Pass(call, result);
  if (result->error != SP_OK || !Waits(provider, call->handle)) return;
  const sp_result next = provider.Accept(call->handle);
  const std::lock_guard<std::mutex> lock(provider.mutex());
  if (next.error == SP_OK) provider.handles[listener].push_back(next.handle);
}

constexpr Fault kFaults[] = {
    {"backlog-ignored", "listen takes every backlog for 1", "backlog.capacity", "linux",
     "zephyr issue 10200: listen() ignores its backlog; lwIP before CHANGELOG 2007-12-21 (task #7252: Implement TCP listen "
     "backlog)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t backlog) { return std::min(backlog, 1); });
     }},
    {"backlog-unlimited", "listen takes every backlog for the largest", "backlog.capacity backlog.zero backlog.maximum",
     "linux winsock",
     "microsoft/demikernel issue 697: catloop never read the backlog; mewz issue 109: backlog stored, and pending connections "
     "not limited",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t) { return 4096; });
     }},
    {"backlog-one-short", "the queue has room for one connection less than the backlog", "backlog.capacity", "linux",
     "microsoft/demikernel pull request 1314 (inetstack: correctly compute backlog)",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t backlog) { return backlog >= 2 ? backlog - 2 : backlog; });
     }},
    {"backlog-two-more", "the queue has room for two connections more than the backlog", "backlog.capacity backlog.maximum",
     "linux winsock", "gVisor issue 5637: a listening endpoint could reply to more SYNs than its backlog allows",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t backlog) { return backlog > 0 && backlog < 4095 ? backlog + 1 : backlog; });
     }},
    {"backlog-at-most-five", "a backlog above 5 counts as 5", "backlog.capacity", "linux",
     "zephyr pull request 96092: a backlog above CONFIG_NET_MAX_CONN, a handful, is cut to that",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t backlog) { return std::min(backlog, 5); });
     }},
    {"backlog-at-most-128", "a backlog above 128 counts as 128, whatever the system's limit is", "backlog.capacity", "linux",
     "listen(2): 128 was the fixed limit before Linux 2.4.25; Xilinx-CNS/onload pull request 182 had to learn somaxconn",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t backlog) { return std::min(backlog, 128); });
     }},
    {"backlog-is-a-byte", "of the backlog only the lowest eight bits count", "backlog.capacity_grows_with_backlog", "linux",
     "lwIP CHANGELOG 2008-01-04: the backlog parameter is an u8_t; apache/nuttx pull request 5926: local_listen asserted that it "
     "is below 256",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenWith(provider, call, result, [](int32_t backlog) { return backlog & 0xFF; });
     }},
    {"backlog-not-grown", "a second listen with a larger backlog leaves the queue as short as it was",
     "backlog.grow_admits backlog.grow_admits_waiter backlog.local_grow_wakes", "linux",
     "Windows Sockets 2 listen(): a second call changes nothing; what a stack modelled on it does",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenAgainWith(provider, call, result, [](int32_t first, int32_t now) { return std::min(first, now); });
     }},
    {"backlog-not-shrunk", "a second listen with a smaller backlog leaves the queue as long as it was",
     "backlog.shrink_applies backlog.shrink_leaves", "linux winsock-spi",
     "Windows Sockets 2 listen(): a second call changes nothing; what a stack modelled on it does",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenAgainWith(provider, call, result, [](int32_t first, int32_t now) { return std::max(first, now); });
     }},
    {"backlog-shrunk-keeps-all", "a second listen with a smaller backlog drops nobody who waits", "backlog.shrink_keeps_queued",
     "winsock-spi", "Windows Sockets 2 listen(): a second call changes nothing; what a provider modelled on the API does",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       ListenAgainWith(provider, call, result, [](int32_t first, int32_t now) { return std::max(first, now); });
     }},
    {"backlog-queue-lost-at-listen", "a second listen throws away the connections that wait",
     "listen.again_keeps backlog.change_keeps_queued backlog.again_zero_keeps backlog.shrink_keeps_queued", "linux winsock posix",
     "lwIP CHANGELOG 2007-12-02, bug #21656: listen freed the mailbox of the socket and allocated another one",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_LISTEN) && provider.Of(call->handle).listening) {
         for (const sp_handle one : TakeQueue(provider, call->handle)) {
           provider.SetLinger(one, true, 0);
           provider.Close(one);
         }
       }
       provider.Pass(call, result);
     }},
    {"backlog-place-freed-late",
     "the place of an accepted connection is free for the second client that comes, not for the first", "backlog.frees_one_place",
     "linux winsock", "torokernel issue 77: the count of the queue was not decremented, until every other connection was ignored",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (IsSocketCall(call, SP_OP_CONNECT) && provider.IsStream(call->handle) && provider.Get(kWorld, kHandedOut) > 0) {
         provider.Add(kWorld, -1, kHandedOut);
         return Fail(result, SP_ECONNREFUSED);
       }
       const bool ours = IsAccept(provider, call);
       provider.Pass(call, result);
       if (ours && result->error == SP_OK) provider.Add(kWorld, 1, kHandedOut);
     }},
    {"backlog-place-not-freed", "an accepted connection goes on taking a place in the queue",
     "backlog.frees_one_place backlog.capacity_returns", "linux winsock-spi",
     "torokernel issue 77: the count of the queue was not decremented, until every other connection was ignored; nanos pull "
     "request 823: the backlog of lwIP was not used properly",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       const bool ours = IsAccept(provider, call);
       if (IsSocketCall(call, SP_OP_LISTEN)) provider.Put(call->handle.value, 0, kHandedOut);
       provider.Pass(call, result);
       if (!ours || result->error != SP_OK) return;
       const int64_t taken = provider.Add(call->handle.value, 1, kHandedOut);
       Listen(provider, call->handle, static_cast<int32_t>(std::max<int64_t>(0, provider.Of(call->handle).backlog - taken)));
     }},
    {"backlog-accept-frees-two", "an accept takes two connections out of the queue, and keeps one for the next accept",
     "backlog.frees_one_place", "linux winsock",
     "no report found: listen(2) and listen of Windows Sockets 2 give the backlog to connections that wait for accept",
     AcceptFreesTwo},
    {"backlog-full-refuses", "a TCP client that finds the queue full is refused",
     "backlog.overflow_client backlog.blocking_connect_waits rejection.overflow_silence backlog.overflow_lasts "
     "backlog.withdrawn_waiter_no_harm",
     "linux", "asterinas pull request 1734 (Send RST if backlog is full), turned down because Linux drops the SYN",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsFirstTcpConnect(provider, call)) return provider.Pass(call, result);
       if (!StaysPending(provider, call, result)) return;
       Dissolve(provider, call->handle);
       Fail(result, SP_ECONNREFUSED);
     }},
    {"backlog-full-connects", "a blocking connect to a full TCP queue returns success at once",
     "backlog.blocking_connect_blocked progress.blocking_waits", "linux winsock posix",
     "Xilinx-CNS/onload pull request 182: a SYN was answered although the queue was full, and the client's acknowledgement "
     "dropped",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsFirstTcpConnect(provider, call) || provider.IsNonblocking(call->handle)) return provider.Pass(call, result);
       if (StaysPending(provider, call, result)) Succeed(result);
     }},
    {"backlog-full-times-out-at-once", "a TCP client that finds the queue full is told at once that the time is over",
     "backlog.overflow_client backlog.blocking_connect_waits backlog.blocking_connect_blocked", "linux",
     "FreeRTOS-Plus-TCP pull request 1355: a connect whose SYN is not answered was given up in the wrong state",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsFirstTcpConnect(provider, call)) return provider.Pass(call, result);
       if (!StaysPending(provider, call, result)) return;
       Dissolve(provider, call->handle);
       Fail(result, SP_ETIMEDOUT);
     }},
    {"backlog-local-full-waits", "a non-blocking connect to a full AF_UNIX listener blocks", "backlog.local_full_nonblocking",
     "linux", "nanos pull request 1593: connect() on a UNIX socket waited for accept(), whatever room the queue had",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       if (!IsLocalConnect(provider, call) || !provider.IsNonblocking(call->handle)) return provider.Pass(call, result);
       provider.SetNonblocking(call->handle, false);
       provider.Pass(call, result);
       provider.SetNonblocking(call->handle, true);
     }},
    {"backlog-local-full-refuses", "a connect to a full AF_UNIX listener is refused",
     "backlog.local_full_nonblocking refused.unix_full_backlog", "linux",
     "asterinas before pull request 1196: push_incoming answered ECONNREFUSED when incoming_endpoints was full",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsLocalConnect(provider, call)) TellAs(result, SP_EAGAIN, SP_ECONNREFUSED);
     }},
    {"backlog-local-full-in-progress", "a non-blocking connect to a full AF_UNIX listener says that it is under way, and is not",
     "backlog.local_full_nonblocking refused.unix_full_backlog", "linux",
     "connect(2), EINPROGRESS: UNIX domain sockets failed with EAGAIN instead; what a stack with one connect for all families "
     "does",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (IsLocalConnect(provider, call)) TellAs(result, SP_EAGAIN, SP_EINPROGRESS);
     }},
    {"backlog-local-timeout-ignored", "SO_SNDTIMEO does not end a connect that waits at a full AF_UNIX listener",
     "backlog.local_timeout backlog.local_timeout_time progress.unix_send_timeout", "linux",
     "espressif/esp-idf issue 5004: the stack does not respect SO_SNDTIMEO in connect",
     [](Wrapped& provider, sp_call* call, sp_result* result) {
       provider.Pass(call, result);
       if (!IsLocalConnect(provider, call) || provider.IsNonblocking(call->handle)) return;
       while (result->error == SP_EAGAIN) provider.Pass(call, result);
     }},
};

}  // namespace

const FaultList kBacklogFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
