// Faults of what comes late or second: connections that waited, attempts that went on, sends that blocked.
#include <algorithm>
#include <cstring>

#include "faulty/moves.h"
#include "faulty/readiness.h"
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kNoReport = "no report found: the DESCRIPTION of the call says it otherwise";
constexpr const char* kQueue =
    "hermit-os pull request 2218: a connection that came while accept was at work remained stuck; torokernel issue 77";

constexpr int kMark = 1;  // slots of a socket's memory
constexpr int kSince = 2;
constexpr int kState = 3;

bool IsConnect(const sp_call* call) { return IsSocketCall(call, SP_OP_CONNECT); }
bool GoesOn(const sp_result* result) {
  return result->error == SP_EINPROGRESS || result->error == SP_EAGAIN || result->error == SP_EALREADY;
}

void Abort(Wrapped& provider, sp_handle handle) {
  provider.SetLinger(handle, true, 0);
  provider.Close(handle);
}

// A connection whose client asked for it long ago is aborted in place of being accepted.
void OldIsDropped(Wrapped& provider, sp_call* call, sp_result* result) {
  constexpr int64_t kOld = 100'000'000;
  const bool ours = IsAccept(provider, call);
  const auto port = IsConnect(call) && provider.IsTcp(call->handle) ? provider.LocalName(call->handle) : std::nullopt;
  const int64_t begin = provider.Now();
  provider.Pass(call, result);
  if (port && provider.Get(call->handle.value, kSince) == 0) {
    provider.Put(call->handle.value, begin, kSince);
    if (const auto name = provider.LocalName(call->handle); name) provider.Put(kWorld, begin, 100'000 + name->port);
  }
  if (!ours || result->error != SP_OK) return;
  const auto peer = provider.PeerName(result->handle);
  const int64_t since = peer ? provider.Get(kWorld, 100'000 + peer->port) : 0;
  if (since == 0 || provider.Now() - since < kOld) return;
  Abort(provider, result->handle);
  Fail(result, SP_ECONNABORTED);
}

// The notice of a connection is good for the very next call alone.
void NoticeExpires(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsAccept(provider, call);
  const int64_t noticed = provider.Get(call->handle.value, kSince);
  if (ours && noticed != 0 && provider.Now() - noticed > 30'000'000) {
    for (const sp_handle one : TakeQueue(provider, call->handle, 1)) Abort(provider, one);
    provider.Put(call->handle.value, 0, kSince);
  }
  PassEdited(provider, call, result, [&](Report& report) {
    for (const Watched& one : report.entries) {
      if ((one.ready & SP_IN) != 0 && provider.Of(one.socket).listening && provider.Get(one.socket.value, kSince) == 0) {
        provider.Put(one.socket.value, provider.Now(), kSince);
      }
    }
  });
  if (ours) provider.Put(call->handle.value, 0, kSince);
}

// A connect that had to wait for its connection fails, though it has been made.
void LateConnectFails(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t begin = provider.Now();
  const bool ours = IsConnect(call) && provider.IsTcp(call->handle);
  provider.Pass(call, result);
  if (ours && result->error == SP_OK && provider.Now() - begin > 20'000'000) Fail(result, SP_ENETUNREACH);
}

// A connection that was made in the background is told of three seconds later.
void ToldLate(Wrapped& provider, sp_call* call, sp_result* result) {
  PassEdited(
      provider, call, result,
      [&](Report& report) {
        for (Watched& one : report.entries) {
          const Known known = provider.Of(one.socket);
          if ((one.ready & (SP_OUT | SP_WRNORM)) == 0 || !known.connecting || known.connected) continue;
          if (provider.Get(one.socket.value, kSince) == 0) provider.Put(one.socket.value, provider.Now(), kSince);
          if (provider.Now() - provider.Get(one.socket.value, kSince) < 3'000'000'000) one.ready = 0;
        }
      },
      Watch::closely);
}

void LocalConnectDoesNotWait(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConnect(call) && provider.IsLocal(call->handle) && !provider.IsNonblocking(call->handle);
  if (ours) provider.SetNonblocking(call->handle, true);
  provider.Pass(call, result);
  if (ours) provider.SetNonblocking(call->handle, false);
}

// Where waiting is what is asked for, and where a refusal is: neither comes.
void LocalConnectFails(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConnect(call) && provider.IsLocal(call->handle) && !provider.IsNonblocking(call->handle);
  LocalConnectDoesNotWait(provider, call, result);
  if (!ours) return;
  TellAs(result, SP_EAGAIN, SP_EINVAL);
  TellAs(result, SP_ECONNREFUSED, SP_EINVAL);
}

// A local connect that was sent back is made all the same, as soon as somebody accepts.
void LocalConnectGoesOn(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConnect(call) && provider.IsLocal(call->handle);
  provider.Pass(call, result);
  if (ours && result->error == SP_EAGAIN) {
    const auto* raw = reinterpret_cast<const uint8_t*>(&call->u.connect.address.address);
    const std::lock_guard<std::mutex> lock(provider.mutex());
    provider.handles[kWorld].push_back(call->handle);
    provider.bytes[kWorld].assign(raw, raw + sizeof(sp_address));
  }
  if (!IsAccept(provider, call) || result->error != SP_OK || !provider.IsLocal(call->handle)) return;
  std::vector<sp_handle> waiting;
  sp_address address{};
  {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    waiting.swap(provider.handles[kWorld]);
    if (!waiting.empty()) std::memcpy(&address, provider.bytes[kWorld].data(), sizeof address);
  }
  for (const sp_handle one : waiting) {
    if (provider.Of(one).family == SP_UNIX) Connect(provider, one, address);
  }
}

void LocalFullTimesOut(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConnect(call) && provider.IsLocal(call->handle) && provider.IsNonblocking(call->handle);
  provider.Pass(call, result);
  if (ours && (GoesOn(result) || result->error == SP_ECONNREFUSED)) Fail(result, SP_ETIMEDOUT);
}

void LocalConnectOnce(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConnect(call) && provider.IsLocal(call->handle);
  if (ours && provider.Get(call->handle.value, kMark) != 0) return Fail(result, SP_EINVAL);
  provider.Pass(call, result);
  if (ours && result->error == SP_EAGAIN) provider.Put(call->handle.value, 1, kMark);
}

void NegativeIsEight(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_LISTEN) && call->u.listen.backlog < 0;
  const int32_t asked = call->u.listen.backlog;
  if (ours) call->u.listen.backlog = 8;
  provider.Pass(call, result);
  if (ours) call->u.listen.backlog = asked;
}

// ---- Accept

void SettingListensToggles(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_ACCEPTCONN)) provider.Add(call->handle.value, 1, kMark);
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ACCEPTCONN) && provider.Get(call->handle.value, kMark) % 2 != 0) {
    call->u.get_option.integer = call->u.get_option.integer != 0 ? 0 : 1;
  }
}

void NullAddressCounts(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_ACCEPT) && call->u.accept.peer.kind == SP_POINTER_NULL &&
      call->u.accept.peer.length_kind == SP_POINTER_VALID && result->error == SP_OK) {
    call->u.accept.peer.reported = 16;
  }
}

void NullLengthFails(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_ACCEPT) && call->u.accept.peer.kind == SP_POINTER_VALID &&
      call->u.accept.peer.length_kind == SP_POINTER_NULL) {
    return Fail(result, SP_EFAULT);
  }
  provider.Pass(call, result);
}

void ReceiveTimeEndsAccept(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsAccept(provider, call) && !provider.IsNonblocking(call->handle)) {
    const int64_t limit = provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0);
    if (limit > 0 && (provider.Ready(call->handle, SP_IN, limit) & SP_IN) == 0) return Fail(result, SP_ETIMEDOUT);
  }
  provider.Pass(call, result);
}

// ---- Data

void BlockedSendStays(Wrapped& provider, sp_call* call, sp_result* result) {
  if (SendsStream(provider, call) && MayWait(provider, call) && provider.Of(call->handle).connected &&
      provider.Ready(call->handle, SP_OUT, 0) == 0) {
    provider.Pause(30'000'000'000);
  }
  provider.Pass(call, result);
}

// The socket is closed all the same, as it may be.
void LingeringCloseFails(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_LINGER)) {
    provider.Put(call->handle.value, call->u.set_option.linger_on != 0 && call->u.set_option.linger_seconds > 0 ? 1 : 0, kMark);
  }
  const bool ours = Is(call, SP_OP_CLOSE) && provider.Get(call->handle.value, kMark) != 0;
  provider.Pass(call, result);
  if (ours && (result->error == SP_OK || result->error == SP_EINTR)) Fail(result, SP_EINVAL);
}

void ReachesEverybody(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsConnect(call) || provider.Of(call->handle).type != SP_DATAGRAM) return;
  for (const int32_t refusal : {SP_EACCES, SP_EPERM, SP_ENETUNREACH}) Forgive(result, refusal);
}

void LostAfterFull(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = SendsStream(provider, call) && provider.Of(call->handle).connected && HasRoom(call);
  if (ours && MayWait(provider, call) && provider.Get(call->handle.value, kMark) != 0) {
    provider.Put(call->handle.value, 0, kMark);
    return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  }
  provider.Pass(call, result);
  if (ours && result->error == SP_EAGAIN) provider.Put(call->handle.value, 1, kMark);
}

void EmptySendFails(Wrapped& provider, sp_call* call, sp_result* result) {
  if (SendsStream(provider, call) && !HasRoom(call) && provider.Of(call->handle).connected) return Fail(result, SP_EINVAL);
  provider.Pass(call, result);
}

void DatagramToNobody(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_SEND) && provider.Of(call->handle).type == SP_DATAGRAM && call->u.send.to.kind == SP_POINTER_NULL &&
      provider.PeerName(call->handle)) {
    return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  }
  provider.Pass(call, result);
}

void TimeOutWithData(Wrapped& provider, sp_call* call, sp_result* result) {
  if (TakesStream(provider, call) && provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0) > 0 &&
      provider.Get(call->handle.value, kMark) == 0 && Unread(provider, call->handle) > 0) {
    provider.Put(call->handle.value, 1, kMark);
    return Fail(result, SP_EAGAIN);
  }
  provider.Pass(call, result);
}

void RestartsNever(Wrapped& provider, sp_call* call, sp_result* result) {
  // As a stack that waits by poll, which is never restarted, would.
  if (TakesStream(provider, call) && MayWait(provider, call) && provider.Of(call->handle).connected &&
      provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0) == 0 && provider.Ready(call->handle, SP_IN, -1) == 0) {
    return Fail(result, SP_EINTR);
  }
  provider.Pass(call, result);
}

void FirstSendIsLost(Wrapped& provider, sp_call* call, sp_result* result) {
  if (SendsStream(provider, call) && provider.Get(call->handle.value, kState) == 1) {
    provider.Put(call->handle.value, 0, kState);
    return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  }
  provider.Pass(call, result);
  if (IsConnect(call) && provider.IsTcp(call->handle) && GoesOn(result)) provider.Put(call->handle.value, 1, kState);
}

void FastPathLoses(Wrapped& provider, sp_call* call, sp_result* result) {
  if (SendsStream(provider, call) && provider.Get(call->handle.value, kState) != 0)
    return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_IOCTL) && call->u.ioctl.request == SP_IOCTL_FAST_PATH) provider.Put(call->handle.value, 1, kState);
}

void BytesWhileConnecting(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const Known known = provider.Of(call->handle);
  if (IsSocketCall(call, SP_OP_IOCTL) && call->u.ioctl.request == SP_IOCTL_READABLE && result->error == SP_OK &&
      known.connecting && !known.connected) {
    result->value = 1;
  }
}

void ClosedRecvStays(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = (TakesStream(provider, call) && provider.Of(call->handle).connected) || IsAccept(provider, call);
  if (ours && !provider.IsNonblocking(call->handle)) {
    const sp_handle handle = call->handle;
    for (int i = 0; i < 4000 && (provider.Ready(handle, SP_IN, 0) & SP_IN) == 0; ++i) provider.Pause(5'000'000);
  }
  provider.Pass(call, result);
}

// ---- Connecting

void TimeOutIsAnAnswer(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsConnect(call) && result->error == SP_OK && provider.GetDuration(call->handle, SP_SO_SNDTIMEO).value_or(0) > 0) {
    Fail(result, SP_EINPROGRESS);
  }
}

void SynCountAnything(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_SET_OPTION, SP_TCP_SYNCNT)) Forgive(result, SP_EINVAL);
  if (IsOption(call, SP_OP_SET_OPTION, SP_TCP_SYNCNT)) provider.Put(call->handle.value, call->u.set_option.integer, kMark);
  if (IsOption(call, SP_OP_GET_OPTION, SP_TCP_SYNCNT) && provider.Get(call->handle.value, kMark) != 0) {
    call->u.get_option.integer = provider.Get(call->handle.value, kMark);
  }
}

void GivesUpAfterASecond(Wrapped& provider, sp_call* call, sp_result* result) {
  PassSpoilt(provider, call, result, [](Wrapped& at, sp_handle socket, uint32_t asked, uint32_t ready) {
    const int64_t since = at.Get(socket.value, kSince);
    return since != 0 && at.Now() - since > 1'000'000'000 ? ready | (asked & SP_OUT) : ready;
  });
  if (IsConnect(call) && provider.IsTcp(call->handle) && GoesOn(result)) provider.Put(call->handle.value, provider.Now(), kSince);
}

void EmptyIsReset(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (Is(call, SP_OP_RECV) && provider.IsTcp(call->handle)) TellAs(result, SP_EAGAIN, SP_ECONNRESET);
}

// As accept would that looks at a number again and again, whoever has it meanwhile.
void AcceptByNumber(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsAccept(provider, call) && !provider.IsNonblocking(call->handle) &&
      provider.GetDuration(call->handle, SP_SO_RCVTIMEO).value_or(0) == 0) {
    const sp_handle handle = call->handle;
    for (int i = 0; i < 4000 && (provider.Ready(handle, SP_IN, 0) & SP_IN) == 0; ++i) provider.Pause(5'000'000);
  }
  provider.Pass(call, result);
}

void NonblockingSucceeds(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConnect(call) && provider.IsTcp(call->handle) && provider.IsNonblocking(call->handle) &&
                    !provider.Of(call->handle).connecting;
  provider.Pass(call, result);
  if (ours && (GoesOn(result) || result->error == SP_ECONNREFUSED)) Succeed(result);
}

void ErrorAtBirth(Wrapped& provider, sp_call* call, sp_result* result) {
  const Known known = provider.Of(call->handle);
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ERROR) && !known.connected && !known.connecting) {
    call->u.get_option.integer = SP_ECONNRESET;
  }
}

template <int32_t kOption>
void ReadsZero(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_GET_OPTION, kOption)) call->u.get_option.integer = 0;
}

void TruncationIgnored(Wrapped& provider, sp_call* call, sp_result* result) {
  const int32_t asked = call->u.get_option.length;
  const bool ours = call->op == SP_OP_GET_OPTION && asked >= 0 && asked < 4 && call->u.get_option.kind == SP_POINTER_VALID;
  if (ours) call->u.get_option.length = SP_NATURAL_LENGTH;
  provider.Pass(call, result);
  if (ours) call->u.get_option.length = asked;
}

// ---- Deferring

template <uint32_t kOp, int32_t kError>
void FailsIfDeferring(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, SP_TCP_DEFER_ACCEPT)) provider.Put(kWorld, call->u.set_option.integer, kMark);
  if (IsSocketCall(call, kOp) && provider.IsTcp(call->handle) && provider.Get(kWorld, kMark) != 0 &&
      !(kOp == SP_OP_ACCEPT && Waits(provider, call->handle))) {
    return Fail(result, kError);
  }
  provider.Pass(call, result);
}

void DeferredCannotSend(Wrapped& provider, sp_call* call, sp_result* result) {
  const Known known = provider.Of(call->handle);
  const bool deferred = SendsStream(provider, call) && known.accepted &&
                        provider.GetInteger({SP_HANDLE_SOCKET, 0, known.listener}, SP_TCP_DEFER_ACCEPT).value_or(0) != 0;
  if (deferred) return Succeed(result, static_cast<int64_t>(TotalLength(call->u.send)));
  provider.Pass(call, result);
}

// ---- Pausing

void PauseNeverEnds(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_PAUSE_ACCEPT) && call->u.set_option.integer == 0) return Succeed(result);
  provider.Pass(call, result);
}

constexpr Fault kFaults[] = {
    {"late-old-connection-dropped",
     "a connection whose client has waited for a tenth of a second is aborted in place of being accepted",
     "backlog.drain_admits backlog.burst_recovers backlog.withdrawn_waiter_no_harm backlog.lost_ack_data backlog.lost_ack_fin",
     "posix linux", kQueue, OldIsDropped},
    {"late-notice-expires", "a connection that is not accepted soon after its notice is lost", "accept.accept_long_after_notice",
     "posix linux winsock", kQueue, NoticeExpires},
    {"late-connect-fails", "a connect that had to wait fails with ENETUNREACH though the connection is made",
     "progress.blocking_completes backlog.blocking_connect_waits", "posix linux winsock",
     "FreeRTOS-Plus-TCP pull request 1355: a connect was given up in the wrong state", LateConnectFails},
    {"late-told-of-connection", "that a connection was made in the background is told three seconds later",
     "backlog.drain_admits_in_time progress.writable", "linux", kQueue, ToldLate},
    {"late-local-connect-does-not-wait", "a blocking connect to a full AF_UNIX listener does not wait",
     "progress.unix_waits progress.unix_waits_for_room backlog.local_listener_gone backlog.local_one_room_one_in", "linux",
     "asterinas before pull request 1196: push_incoming answered at once when incoming_endpoints was full",
     LocalConnectDoesNotWait},
    {"late-local-connect-fails", "a blocking connect of a local socket that cannot be made at once fails with EINVAL",
     "progress.unix_waits progress.unix_waits_for_room", "posix",
     "asterinas pull request 1168 fixes incorrect error codes of UNIX sockets", LocalConnectFails},
    {"late-local-connect-goes-on", "a local connect that was sent back is made all the same when there is room",
     "backlog.local_full_leaves_nothing", "linux", kNoReport, LocalConnectGoesOn},
    {"late-local-full-times-out", "a non-blocking connect to a full AF_UNIX listener says that the time is over",
     "refused.unix_full_backlog backlog.local_full_nonblocking", "linux winsock",
     "asterinas pull request 1168 fixes incorrect error codes of UNIX sockets", LocalFullTimesOut},
    {"late-local-connect-once", "a local socket whose connect was sent back cannot connect any more", "backlog.local_full_again",
     "linux", kNoReport, LocalConnectOnce},
    {"late-negative-backlog-is-eight", "a negative backlog counts as 8", "backlog.negative", "posix winsock",
     "SerenityOS pull request 21772: what a negative backlog is to be", NegativeIsEight},
    {"late-acceptconn-set-toggles", "an attempt to set SO_ACCEPTCONN fails, and changes it",
     "accept.acceptconn_set_changes_nothing", "linux", kNoReport, SettingListensToggles},
    {"late-null-address-counts", "accept without an address writes its length", "accept.null_address_length_untouched", "linux",
     kNoReport, NullAddressCounts},
    {"late-null-length-fails", "accept with an address but without a length fails", "accept.null_length", "winsock", kNoReport,
     NullLengthFails},
    {"late-receive-time-ends-accept", "SO_RCVTIMEO of a listener ends an accept that waits", "accept.timeout_ends_accept",
     "winsock", "no report found: it does on Linux, socket(7); not in Windows Sockets 2", ReceiveTimeEndsAccept},
    {"late-blocked-send-stays", "a send that waits for room does not notice for half a minute that there is some",
     "data.blocked_send_goes_on data.pressure_both_ways", "posix linux winsock",
     "lwIP CHANGELOG, bug #41495: a threading issue between a waiter and what wakes it", BlockedSendStays},
    {"late-send-lost-after-full", "the first blocking send on a socket whose path was full is lost", "data.pressure_both_ways",
     "posix", kNoReport, LostAfterFull},
    {"late-lingering-close-fails", "a close with a linger time fails with EINVAL when it is over", "close.interrupted", "posix",
     kNoReport, LingeringCloseFails},
    {"late-datagram-to-everybody", "a datagram socket can be connected to the broadcast address without SO_BROADCAST",
     "connect.datagram_broadcast", "linux winsock", kNoReport, ReachesEverybody},
    {"late-empty-send-fails", "a send of no bytes fails with EINVAL", "data.zero_send", "winsock", kNoReport, EmptySendFails},
    {"late-datagram-to-nobody", "what is sent on a connected datagram socket without an address goes nowhere",
     "connect.datagram_destination", "posix linux winsock",
     "phoenix-rtos issue 1669: what a connected datagram socket sends, and whom to", DatagramToNobody},
    {"late-timeout-despite-data", "with SO_RCVTIMEO set a recv fails once with EAGAIN though its data is there",
     "message.recv_timeout_data", "posix linux winsock",
     "Zephyr issue 4565: net_context_recv returns ETIMEDOUT, with data there too", TimeOutWithData},
    {"late-recv-never-restarted", "a signal ends recv with EINTR although its handler asks for a restart",
     "message.recv_restarted", "linux", "no report found: signal(7), Interruption of system calls", RestartsNever},
    {"late-first-send-lost", "what is sent first on a connection that was made in the background is lost",
     "progress.carries_data", "posix linux winsock", kNoReport, FirstSendIsLost},
    {"late-fast-path-loses", "with the fast path over loopback what is sent is lost", "options.fast_path_carries", "winsock",
     kNoReport, FastPathLoses},
    {"late-bytes-while-connecting", "FIONREAD counts a byte while the connection is under way", "progress.readable_bytes_pending",
     "linux", kNoReport, BytesWhileConnecting},
    {"late-close-leaves-waiters", "a close leaves those waiting who wait on the same socket",
     "close.waiting_receive_ends closing.close_ends_accept", "winsock-spi",
     "rust-lang/socket2 issue 377: a pending accept() blocks for ever; there after shutdown()", ClosedRecvStays},
    {"late-timeout-is-an-answer", "with SO_SNDTIMEO set a connect says EINPROGRESS though it has succeeded",
     "progress.send_timeout_unused", "linux", "espressif/esp-idf issue 5004 is about SO_SNDTIMEO and connect", TimeOutIsAnAnswer},
    {"late-syncnt-anything", "TCP_SYNCNT takes any number", "refused.syn_count_limit", "linux",
     "no report found: tcp(7), TCP_SYNCNT: cannot exceed 255", SynCountAnything},
    {"late-syncnt-reads-zero", "TCP_SYNCNT reads as 0", "refused.syn_count_default", "linux", kNoReport,
     ReadsZero<SP_TCP_SYNCNT>},
    {"late-linger2-reads-zero", "TCP_LINGER2 reads as 0", "close.linger2_default close.linger2_option", "linux", kNoReport,
     ReadsZero<SP_TCP_LINGER2>},
    {"late-gives-up-after-a-second", "a connect that nobody answers is given up after a second", "refused.syn_count_time",
     "linux", "FreeRTOS-Plus-TCP pull request 1355: a connect whose SYN is not answered was given up in the wrong state",
     GivesUpAfterASecond},
    {"late-nonblocking-connect-succeeds", "a non-blocking connect always says that it has succeeded",
     "refused.nonblocking_call backlog.overflow_client progress.call", "posix linux winsock",
     "Spirent/openperf pull request 64: connect returned success before there was a connection", NonblockingSucceeds},
    {"late-error-at-birth", "SO_ERROR of a socket that was never connected says ECONNRESET", "options.error_zero",
     "posix linux winsock", kNoReport, ErrorAtBirth},
    {"late-empty-recv-is-reset", "a recv that finds nothing says ECONNRESET", "message.nonblocking_empty", "posix linux winsock",
     kNoReport, EmptyIsReset},
    {"late-accept-by-number", "an accept that waits goes on with whoever gets the number of its listener",
     "accept.reused_descriptor", "linux", kNoReport, AcceptByNumber},
    {"late-option-not-cut", "an option is stored whole, however little room there is", "options.get_truncates", "posix linux",
     kNoReport, TruncationIgnored},
    {"late-deferring-refuses", "clients of a deferring listener are refused", "deferred.connect_completes", "linux", kNoReport,
     FailsIfDeferring<SP_OP_CONNECT, SP_ECONNREFUSED>},
    {"late-deferring-does-not-wait", "accept on a deferring listener does not wait", "deferred.blocked_accept_wakes", "linux",
     kNoReport, FailsIfDeferring<SP_OP_ACCEPT, SP_EAGAIN>},
    {"late-deferred-cannot-send", "what is sent on a connection that was deferred is lost", "deferred.reply_works", "linux",
     kNoReport, DeferredCannotSend},
    {"late-pause-never-ends", "SO_PAUSE_ACCEPT cannot be switched off", "listen.paused_ends", "winsock", kNoReport,
     PauseNeverEnds},
};

}  // namespace

const FaultList kLateFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
