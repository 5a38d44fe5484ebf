// Faults that harm somebody whom a call is not about: a failure that ruins its socket, a close that ruins others.
#include <algorithm>

#include "faulty/moves.h"
#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kNoReport = "no report found: POSIX.1 XSH 2.10 and each call's DESCRIPTION leave everything else alone";
constexpr const char* kFatal = "lwIP CHANGELOG 2007-11-27: sockets block most operations once they have seen a fatal error";

constexpr int kRuined = 1;  // slots of a socket's memory
constexpr int kMark = 2;

// A ruined socket: nothing can be done with it any more, and whoever is connected to it is cut off.
bool IsRuined(Wrapped& provider, const sp_call* call) {
  return call->op != SP_OP_CLOSE && call->handle.kind == SP_HANDLE_SOCKET && provider.Get(call->handle.value, kRuined) != 0;
}
void Ruin(Wrapped& provider, sp_handle handle) {
  provider.Put(handle.value, 1, kRuined);
  provider.Shutdown(handle, SP_SHUT_RDWR);
}

using Harms = bool (*)(Wrapped& provider, const sp_call* call, const Known& before, const sp_result* result);

// A call of which kHarms holds ruins its own socket.
template <Harms kHarms>
void RuinsItself(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsRuined(provider, call)) return Fail(result, SP_EINVAL);
  const Known before = provider.Of(call->handle);
  provider.Pass(call, result);
  if (call->handle.kind == SP_HANDLE_SOCKET && kHarms(provider, call, before, result)) Ruin(provider, call->handle);
}

// A call of which kHarms holds ruins all others that kVictim picks.
using Victim = bool (*)(const Known& known);
template <Harms kHarms, Victim kVictim>
void RuinsOthers(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsRuined(provider, call)) return Fail(result, SP_EINVAL);
  const Known before = provider.Of(call->handle);
  provider.Pass(call, result);
  if (result->error == SP_OK && (call->op == SP_OP_LISTEN || call->op == SP_OP_ACCEPT || call->op == SP_OP_DUPLICATE)) {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    provider.handles[kWorld].push_back(call->op == SP_OP_LISTEN ? call->handle : result->handle);
  }
  if (call->handle.kind != SP_HANDLE_SOCKET || !kHarms(provider, call, before, result)) return;
  std::vector<sp_handle> all;
  {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    all = provider.handles[kWorld];
  }
  for (const sp_handle one : all) {
    if (one.value != call->handle.value && kVictim(provider.Of(one))) Ruin(provider, one);
  }
}

// A call of which kHarms holds keeps its listener from accepting anything more.
template <Harms kHarms>
void EndsAccepting(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_ACCEPT) && provider.Get(call->handle.value, kRuined) != 0) return Fail(result, SP_ECONNABORTED);
  const Known before = provider.Of(call->handle);
  provider.Pass(call, result);
  if (call->handle.kind == SP_HANDLE_SOCKET && kHarms(provider, call, before, result))
    provider.Put(call->handle.value, 1, kRuined);
}

// A shutdown of a listener is the handle's own: a duplicate goes on.
void ShutdownOfOneHandle(Wrapped& provider, sp_call* call, sp_result* result) {
  const Known known = provider.Of(call->handle);
  if (IsSocketCall(call, SP_OP_ACCEPT) && provider.Get(call->handle.value, kRuined) != 0) return Fail(result, SP_EINVAL);
  if (IsSocketCall(call, SP_OP_SHUTDOWN) && known.listening) {
    provider.Put(call->handle.value, 1, kRuined);
    return Succeed(result);
  }
  provider.Pass(call, result);
}

bool Listening(const Known& known) { return known.listening; }
bool Accepted(const Known& known) { return known.accepted; }

template <uint32_t kOp>
bool FailsOnListener(Wrapped&, const sp_call* call, const Known& before, const sp_result* result) {
  return call->op == kOp && before.listening && result->error != SP_OK;
}
bool TransferOnListener(Wrapped&, const sp_call* call, const Known& before, const sp_result* result) {
  return (call->op == SP_OP_SEND || call->op == SP_OP_RECV) && before.listening && result->error != SP_OK;
}
bool FailsToListen(Wrapped&, const sp_call* call, const Known&, const sp_result* result) {
  return call->op == SP_OP_LISTEN && result->error != SP_OK;
}
bool FailsWhileConnecting(Wrapped&, const sp_call* call, const Known& before, const sp_result* result) {
  return call->op == SP_OP_LISTEN && before.connecting && !before.connected && result->error != SP_OK;
}
bool AddressTaken(Wrapped&, const sp_call* call, const Known&, const sp_result* result) {
  return (call->op == SP_OP_BIND || call->op == SP_OP_LISTEN) && result->error == SP_EADDRINUSE;
}
bool EndsAListener(Wrapped&, const sp_call* call, const Known& before, const sp_result*) {
  return (call->op == SP_OP_CLOSE || call->op == SP_OP_SHUTDOWN) && before.listening;
}
bool Listens(Wrapped&, const sp_call* call, const Known& before, const sp_result* result) {
  return call->op == SP_OP_LISTEN && result->error == SP_OK && !before.listening;
}
bool ThirdConnect(Wrapped& provider, const sp_call* call, const Known&, const sp_result*) {
  return call->op == SP_OP_CONNECT && provider.Add(kWorld, 1, kMark) >= 3;
}

void ListenAfterShutdown(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool again = call->op == SP_OP_LISTEN || call->op == SP_OP_BIND;
  if (again && provider.Get(call->handle.value, kMark) != 0) return Fail(result, SP_EOPNOTSUPP);
  const Known known = provider.Of(call->handle);
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_SHUTDOWN) && known.listening) provider.Put(call->handle.value, 1, kMark);
}

void ListenFailedOnce(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_LISTEN) || IsSocketCall(call, SP_OP_BIND);
  if (const int64_t error = provider.Get(call->handle.value, kMark); ours && error != 0)
    return Fail(result, static_cast<int32_t>(error));
  provider.Pass(call, result);
  if (IsSocketCall(call, SP_OP_LISTEN) && result->error != SP_OK) provider.Put(call->handle.value, result->error, kMark);
}

void ShutdownOfListenerFails(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_SHUTDOWN) && provider.Of(call->handle).listening) return Fail(result, SP_EOPNOTSUPP);
  provider.Pass(call, result);
}

// ---- Closes that fail

void CloseTellsTheError(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_CLOSE) && provider.IsTcp(call->handle);
  const Known known = provider.Of(call->handle);
  int32_t error = ours ? PendingError(provider, call->handle) : SP_OK;
  if (ours && known.connected && error == SP_OK && !provider.PeerName(call->handle)) error = SP_ECONNRESET;
  provider.Pass(call, result);
  if (error != SP_OK && result->error == SP_OK) Fail(result, error);
}

void CloseOfBusyFails(Wrapped& provider, sp_call* call, sp_result* result) {
  const Known known = provider.Of(call->handle);
  const bool busy = IsSocketCall(call, SP_OP_CLOSE) &&
                    ((known.connecting && !known.connected) || (known.listening && Waits(provider, call->handle)));
  provider.Pass(call, result);
  if (busy && result->error == SP_OK) Fail(result, SP_EBUSY);
}

void CloseIsAShutdown(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_CLOSE)) provider.Shutdown(call->handle, SP_SHUT_RDWR);
  provider.Pass(call, result);
}

int64_t LingerOf(Wrapped& provider, sp_handle handle) { return provider.Get(handle.value, kMark) - 1; }
void LearnLinger(Wrapped& provider, const sp_call* call, const sp_result* result) {
  if (!IsOption(call, SP_OP_SET_OPTION, SP_SO_LINGER) || result->error != SP_OK) return;
  provider.Put(call->handle.value, call->u.set_option.linger_on != 0 ? call->u.set_option.linger_seconds + 1 : 0, kMark);
}

void CloseAfterEndFails(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ended = IsSocketCall(call, SP_OP_CLOSE) && provider.Of(call->handle).connected &&
                     provider.Of(call->handle).type == SP_STREAM && AtEnd(provider, call->handle);
  provider.Pass(call, result);
  if (ended && result->error == SP_OK) Fail(result, SP_ENOTCONN);
}

void SendAfterEndFails(Wrapped& provider, sp_call* call, sp_result* result) {
  if (SendsStream(provider, call) && provider.IsTcp(call->handle) && AtEnd(provider, call->handle))
    return Fail(result, SP_ENOTCONN);
  provider.Pass(call, result);
}

void UnboundLocalListenFails(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_LISTEN) && provider.IsLocal(call->handle)) {
    if (const auto name = provider.LocalName(call->handle); name && name->path_length == 0) return Fail(result, SP_EPERM);
  }
  provider.Pass(call, result);
}

void AbortTakesTime(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_CLOSE) && LingerOf(provider, call->handle) == 0) provider.Pause(1'000'000'000);
  provider.Pass(call, result);
  LearnLinger(provider, call, result);
}

void LingerSitsOut(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t seconds = LingerOf(provider, call->handle);
  if (IsSocketCall(call, SP_OP_CLOSE) && seconds > 0) provider.Pause(std::min<int64_t>(seconds, 3) * 1'000'000'000);
  provider.Pass(call, result);
  LearnLinger(provider, call, result);
}

void ShutdownLingers(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t seconds = LingerOf(provider, call->handle);
  if (IsSocketCall(call, SP_OP_SHUTDOWN) && seconds > 0) provider.Pause(std::min<int64_t>(seconds, 3) * 1'000'000'000);
  provider.Pass(call, result);
  LearnLinger(provider, call, result);
}

void LingerAborts(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_CLOSE) && LingerOf(provider, call->handle) > 0) provider.SetLinger(call->handle, true, 0);
  provider.Pass(call, result);
  LearnLinger(provider, call, result);
}

void VainLingerFails(Wrapped& provider, sp_call* call, sp_result* result) {
  const int64_t seconds = LingerOf(provider, call->handle), begin = provider.Now();
  provider.Pass(call, result);
  LearnLinger(provider, call, result);
  const bool vain = IsSocketCall(call, SP_OP_CLOSE) && seconds > 0 && provider.Now() - begin >= seconds * 1'000'000'000;
  if (vain && result->error == SP_OK) Fail(result, SP_EAGAIN);
}

void RefusedCloseCloses(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!IsSocketCall(call, SP_OP_CLOSE)) return provider.Pass(call, result);
  const sp_handle handle = call->handle;
  provider.Pass(call, result);
  if (result->error != SP_EAGAIN) return;
  provider.SetLinger(handle, true, 0);
  provider.Close(handle);
}

void LingersFromTheStart(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_SOCKET && result->error == SP_OK && call->u.socket.type == SP_STREAM)
    provider.SetLinger(result->handle, true, 1);
}

void TimesOutFromTheStart(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_SOCKET && result->error == SP_OK) provider.SetDuration(result->handle, SP_SO_RCVTIMEO, 30'000'000'000);
}

// A connection on which nothing went for this long is gone.
void IdleIsLost(Wrapped& provider, sp_call* call, sp_result* result) {
  constexpr int64_t kLongEnough = 1'500'000'000;
  const bool transfer = Is(call, SP_OP_SEND) || Is(call, SP_OP_RECV);
  const int64_t last = provider.Get(call->handle.value, kMark);
  if (transfer && last != 0 && provider.IsTcp(call->handle) && provider.Now() - last > kLongEnough)
    return Fail(result, SP_ETIMEDOUT);
  provider.Pass(call, result);
  if (transfer && result->error == SP_OK) provider.Put(call->handle.value, provider.Now(), kMark);
  const bool made = result->error == SP_OK && (call->op == SP_OP_CONNECT || call->op == SP_OP_ACCEPT);
  if (made) provider.Put((call->op == SP_OP_ACCEPT ? result->handle : call->handle).value, provider.Now(), kMark);
}

// What was told of a pending error after an orderly end.
void EndIsAnError(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ERROR) && result->error == SP_OK && call->u.get_option.integer == SP_OK &&
      provider.Of(call->handle).type == SP_STREAM && AtEnd(provider, call->handle)) {
    call->u.get_option.integer = SP_ECONNRESET;
  }
}

void ShutdownAfterEndFails(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_SHUTDOWN) && provider.IsTcp(call->handle) && AtEnd(provider, call->handle))
    return Fail(result, SP_EPIPE);
  provider.Pass(call, result);
}

void StateStays(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_GET_OPTION, SP_TCP_STATE) && call->u.get_option.integer > SP_TCP_ESTABLISHED) {
    call->u.get_option.integer = SP_TCP_ESTABLISHED;
  }
}

void Damage(const sp_call* call, const sp_result* result) {
  if (result->error != SP_OK || result->value <= 0) return;
  if (uint8_t* first = ByteAt(call->u.recv, 0); first != nullptr) *first ^= 0x20;
}

void ShutDamagesData(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool shut = TakesStream(provider, call) && provider.Get(call->handle.value, kMark) != 0;
  provider.Pass(call, result);
  if (shut) Damage(call, result);
  if (IsSocketCall(call, SP_OP_SHUTDOWN) && call->u.shutdown.how != SP_SHUT_WR && result->error == SP_OK) {
    provider.Put(call->handle.value, 1, kMark);
  }
}

void ResetDamagesData(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool broken = TakesStream(provider, call) && provider.Of(call->handle).connected &&
                      (provider.Ready(call->handle, SP_IN, 0) & (SP_ERR | SP_HUP)) != 0;
  provider.Pass(call, result);
  if (broken) Damage(call, result);
}

constexpr Fault kFaults[] = {
    {"harm-shut-damages-data", "what is received after SHUT_RD is damaged", "shutdown.rd_buffered shutdown.rd_later_data",
     "posix linux", kNoReport, ShutDamagesData},
    {"harm-reset-damages-data", "what is received once the connection was reset is damaged", "close.data_before_reset",
     "posix linux", kNoReport, ResetDamagesData},
    {"harm-connect-ruins-listener", "a connect that fails on a listener ends its listening", "listen.connect_harmless",
     "posix linux", kFatal, EndsAccepting<FailsOnListener<SP_OP_CONNECT>>},
    {"harm-bind-ruins-listener", "a bind that fails on a listener ends its listening", "listen.bind_harmless", "posix linux",
     kFatal, RuinsItself<FailsOnListener<SP_OP_BIND>>},
    {"harm-shutdown-ruins-listener", "a shutdown that fails on a listener ends its listening", "closing.shutdown_how_harmless",
     "posix linux", kFatal, RuinsItself<FailsOnListener<SP_OP_SHUTDOWN>>},
    {"harm-transfer-ruins-listener", "a send or recv that fails on a listener ends its listening", "listen.transfer_harmless",
     "posix linux", kFatal, RuinsItself<TransferOnListener>},
    {"harm-listen-ruins-its-socket", "a socket on which listen has failed is good for nothing any more",
     "listen.unbound_unix_later listen.taken_later listen.connecting_unharmed listen.connected_unharmed", "posix linux", kFatal,
     RuinsItself<FailsToListen>},
    {"harm-listen-fails-again", "where listen has failed once, listen and bind fail with the same error again",
     "listen.unbound_unix_later listen.taken_later", "posix linux", kFatal, ListenFailedOnce},
    {"harm-listen-ends-the-attempt", "a listen on a socket that is connecting ends the attempt", "listen.connecting_unharmed",
     "posix linux", "lwIP CHANGELOG 2007-07-24, bug #20480: tcp_listen() did not look at the state of the socket",
     RuinsItself<FailsWhileConnecting>},
    {"harm-conflict-ruins-the-owner", "who asks for an address in vain ends the listening of the one who has it",
     "bind.in_use_harmless listen.taken_unharmed", "posix linux", kNoReport, RuinsOthers<AddressTaken, Listening>},
    {"harm-closed-listener-ruins-others", "closing a listener or shutting it down ends the listening of all others",
     "closing.others closing.group_order closing.group_queue_others rejection.listener_last_descriptor", "posix linux winsock",
     kNoReport, RuinsOthers<EndsAListener, Listening>},
    {"harm-listen-ruins-connections", "a new listener ends the connections that earlier ones have accepted",
     "listen.beside_connections", "posix linux", kNoReport, RuinsOthers<Listens, Accepted>},
    {"harm-third-connect-ruins-connections", "from the third connect on, each ends the connections that were accepted before",
     "backlog.accepted_survive backlog.half_open_leaves_established", "posix linux", kNoReport,
     RuinsOthers<ThirdConnect, Accepted>},
    {"harm-no-way-back-from-shutdown", "a listener that was shut down can neither be bound nor made to listen",
     "listen.again_after_shutdown listen.bind_after_shutdown_ephemeral listen.bind_after_shutdown_explicit", "posix linux",
     kNoReport, ListenAfterShutdown},
    {"harm-listener-cannot-be-shut", "shutdown of a listener fails with EOPNOTSUPP", "closing.shutdown", "posix linux winsock",
     kNoReport, ShutdownOfListenerFails},
    {"harm-shutdown-of-one-handle", "a shutdown of a listener concerns the handle that it is called with, not its duplicates",
     "closing.duplicate_shut", "posix linux", kNoReport, ShutdownOfOneHandle},
    {"harm-close-tells-the-error", "close fails with the error that its connection ended with", "close.succeeds close.reset_race",
     "posix linux winsock", "no report found: close() has no ECONNRESET in POSIX.1", CloseTellsTheError},
    {"harm-close-of-busy-fails", "closing a socket that is connecting, or has clients in its queue, fails with EBUSY",
     "progress.close_pending closing.close", "posix linux winsock", kNoReport, CloseOfBusyFails},
    {"harm-close-is-a-shutdown", "each close shuts its connection down first, whoever else has it",
     "close.duplicate_keeps rejection.close_last_descriptor rejection.listener_last_descriptor "
     "process.connection_outlives_one_copy process.listener_outlives_parents_copy "
     "process.abortive_close_of_one_copy process.duplicate_of_listener close.waiting_receive_completes close.waiting_send_stays "
     "process.passed_listener_in_flight",
     "linux posix winsock", "no report found: close(2) ends a connection with its last descriptor", CloseIsAShutdown},
    {"harm-close-after-end-fails", "close fails with ENOTCONN once the peer has ended its stream",
     "close.simultaneous close.succeeds", "posix linux", kNoReport, CloseAfterEndFails},
    {"harm-send-after-end-fails", "send fails with ENOTCONN once the peer has ended its stream",
     "close.first_send_after rejection.shutdown_write_half", "posix linux",
     "lwIP CHANGELOG, bug #28853: the end of a stream was told as an error, and errors as its end", SendAfterEndFails},
    {"harm-unbound-local-listen-fails", "listen on a local socket that is not bound fails with EPERM", "listen.unbound_unix",
     "posix linux winsock", kNoReport, UnboundLocalListenFails},
    {"harm-abort-takes-time", "a close with a linger time of 0 takes a second", "close.abort_at_once", "posix linux winsock",
     kNoReport, AbortTakesTime},
    {"harm-linger-sits-out", "a close with a linger time waits the whole time, whether anything is to be sent or not",
     "close.linger_nothing close.linger_duplicate process.linger_not_for_one_copy", "posix linux winsock",
     "no report found: SO_LINGER, until transmitted or timed out", LingerSitsOut},
    {"harm-shutdown-lingers", "a shutdown waits for the linger time", "close.linger_shutdown", "winsock", kNoReport,
     ShutdownLingers},
    {"harm-linger-aborts", "a close with a linger time aborts the connection", "close.linger_delivers close.linger_goes_on",
     "posix linux winsock", "no report found: SO_LINGER, the close is an abort with a time of 0 alone", LingerAborts},
    {"harm-vain-linger-fails", "a close that lingered in vain fails", "close.linger_limit_result", "winsock", kNoReport,
     VainLingerFails},
    {"harm-refused-close-closes", "a close that is refused because it would have to linger closes all the same",
     "close.linger_nonblocking_keeps", "winsock", kNoReport, RefusedCloseCloses},
    {"harm-lingers-by-default", "a new socket lingers", "options.linger_default close.linger_default", "winsock", kNoReport,
     LingersFromTheStart},
    {"harm-times-out-by-default", "a new socket has a time-out for receiving", "options.timeouts_default", "posix linux",
     "no report found: SO_RCVTIMEO, the default is no time-out", TimesOutFromTheStart},
    {"harm-idle-is-lost", "a connection that was idle for a second and a half is lost",
     "close.keepalive_live close.keepalive_off", "posix linux",
     "no report found: RFC 1122 4.2.3.6, an idle connection stays; address translators forget it", IdleIsLost},
    {"harm-end-is-an-error", "SO_ERROR after an orderly end says ECONNRESET",
     "close.no_error rejection.close_no_error shutdown.wr_no_error progress.peer_closed_at_once", "posix linux", kNoReport,
     EndIsAnError},
    {"harm-shutdown-after-end-fails", "shutdown fails with EPIPE once the peer has ended its stream",
     "shutdown.in_close_wait shutdown.in_last_ack", "posix linux", kNoReport, ShutdownAfterEndFails},
    {"harm-state-stays", "TCP_INFO says ESTABLISHED of a connection whose sending half has ended", "shutdown.wr_states",
     "posix linux", kNoReport, StateStays},
};

}  // namespace

const FaultList kHarmFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
