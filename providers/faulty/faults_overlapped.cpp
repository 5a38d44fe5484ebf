// Faults of AcceptEx, ConnectEx and DisconnectEx: operations that end too early, twice, never, or as something else.
#include <map>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kAcceptEx = "no report found: the Remarks of AcceptEx() say it otherwise";
constexpr const char* kConnectEx = "no report found: the Remarks of ConnectEx() say it otherwise";
constexpr const char* kDisconnectEx = "no report found: the Remarks of DisconnectEx() say it otherwise";
constexpr const char* kContext =
    "tokio-rs/mio issue 397 and pjsip/pjproject issue 1001: no names without SO_UPDATE_ACCEPT_CONTEXT; reactos/reactos pull "
    "request "
    "9187 has to implement it";

constexpr int kFlag = 1;  // a slot of a socket's memory

// Which call an operation carries out. Never destroyed: threads may still be in a call at the end.
struct Operations {
  std::mutex mutex;
  std::map<sp_operation, sp_call*> calls;
};
Operations& TheOperations() {
  static auto* operations = new Operations;
  return *operations;
}

int32_t PassBegin(Wrapped& provider, sp_call* call, sp_operation* operation) {
  const int32_t error = provider.table().begin(provider.self(), call, operation);
  if (error == SP_OK || error == SP_IO_PENDING) {
    const std::lock_guard<std::mutex> lock(TheOperations().mutex);
    TheOperations().calls[*operation] = call;
  }
  return error;
}

int32_t DoneAtOnce(Wrapped& provider, sp_call* call, sp_operation* operation) {
  const int32_t error = PassBegin(provider, call, operation);
  return error == SP_IO_PENDING ? int32_t{SP_OK} : error;
}

int32_t PassWait(Wrapped& provider, sp_operation operation, int64_t timeout_ns, sp_result* result) {
  return provider.table().wait(provider.self(), operation, timeout_ns, result);
}

// The end of an operation goes through kEdit.
using Edit = void (*)(Wrapped& provider, sp_call* call, sp_result* result);
template <Edit kEdit>
int32_t EditEnd(Wrapped& provider, sp_operation operation, int64_t timeout_ns, sp_result* result) {
  const int32_t error = PassWait(provider, operation, timeout_ns, result);
  if (error != SP_OK) return error;
  sp_call* call = nullptr;
  {
    const std::lock_guard<std::mutex> lock(TheOperations().mutex);
    call = TheOperations().calls[operation];
    TheOperations().calls.erase(operation);
  }
  if (call != nullptr) kEdit(provider, call, result);
  return error;
}

// A call is begun with other arguments than it has.
using Arguments = void (*)(sp_call* call);
template <Arguments kMend>
int32_t BeginMended(Wrapped& provider, sp_call* call, sp_operation* operation) {
  kMend(call);
  return PassBegin(provider, call, operation);
}

void Pass(Wrapped& provider, sp_call* call, sp_result* result) { provider.Pass(call, result); }

bool Accepted(const sp_call* call, const sp_result* result) { return call->op == SP_OP_ACCEPT && result->error == SP_OK; }

// ---- How operations end

void NoAddresses(Wrapped&, sp_call* call, sp_result* result) {
  if (!Accepted(call, result)) return;
  call->u.accept.local.address = sp_address{};
  call->u.accept.peer.address = sp_address{};
}

void SwapsAddresses(Wrapped&, sp_call* call, sp_result* result) {
  if (Accepted(call, result)) std::swap(call->u.accept.local.address, call->u.accept.peer.address);
}

void TakesOneMore(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Accepted(call, result)) provider.Put(call->handle.value, 1, kFlag);
}

void ForgetsFirstByte(Wrapped&, sp_call* call, sp_result* result) {
  if (!Accepted(call, result) || result->value <= 0 || call->u.accept.output.kind != SP_POINTER_VALID) return;
  static_cast<uint8_t*>(call->u.accept.output.data)[0] ^= 0x20;
}

void HasTheContext(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Accepted(call, result)) {
    provider.SetInteger(call->u.accept.accept_on, SP_SO_UPDATE_ACCEPT_CONTEXT, call->handle.value);
  }
}

void AbortedTakesOne(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op != SP_OP_ACCEPT) return;
  if (result->error == SP_OPERATION_ABORTED) return provider.Put(call->handle.value, 1, kFlag);
  if (result->error != SP_OK || provider.Get(call->handle.value, kFlag) == 0) return;
  provider.Put(call->handle.value, 0, kFlag);
  Fail(result, SP_ECONNABORTED);
}

void IsShut(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!Accepted(call, result)) return;
  provider.SetInteger(call->u.accept.accept_on, SP_SO_UPDATE_ACCEPT_CONTEXT, call->handle.value);
  provider.Shutdown(call->u.accept.accept_on, SP_SHUT_RDWR);
}

void EndsWell(Wrapped&, sp_call*, sp_result* result) {
  if (result->error != SP_OK) Succeed(result);
}

void ConnectTellsHalf(Wrapped&, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_CONNECT && result->error == SP_OK) result->value /= 2;
}

template <uint32_t kOp, int32_t kError>
void EndsWith(Wrapped&, sp_call* call, sp_result* result) {
  if (call->op == kOp && result->error == SP_OK) Fail(result, kError);
}

void RefusedSticks(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_CONNECT && result->error != SP_OK) provider.Put(call->handle.value, 1, kFlag);
}
int32_t BeginUnlessStuck(Wrapped& provider, sp_call* call, sp_operation* operation) {
  if (call->op == SP_OP_CONNECT && provider.Get(call->handle.value, kFlag) != 0) return SP_EINVAL;
  return PassBegin(provider, call, operation);
}
void CallUnlessStuck(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_CONNECT && provider.Get(call->handle.value, kFlag) != 0) return Fail(result, SP_EINVAL);
  provider.Pass(call, result);
  if (call->op == SP_OP_CONNECT && result->error == SP_ECONNREFUSED) provider.Put(call->handle.value, 1, kFlag);
}

// A listener that owes somebody a connection: the next accept finds the one after it.
void LoseOne(Wrapped& provider, sp_handle listener) {
  if (provider.Get(listener.value, kFlag) == 0 || !Waits(provider, listener)) return;
  provider.Put(listener.value, 0, kFlag);
  for (const sp_handle one : TakeQueue(provider, listener, 1)) provider.Close(one);
}
void CallLosesOne(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsSocketCall(call, SP_OP_ACCEPT)) LoseOne(provider, call->handle);
  provider.Pass(call, result);
}
int32_t BeginLosesOne(Wrapped& provider, sp_call* call, sp_operation* operation) {
  if (call->op == SP_OP_ACCEPT) LoseOne(provider, call->handle);
  const int32_t error = PassBegin(provider, call, operation);
  const bool refused = error != SP_OK && error != SP_IO_PENDING;
  if (call->op == SP_OP_ACCEPT && refused) provider.Put(call->handle.value, 1, kFlag);
  return error;
}
int32_t BeginLosesOwed(Wrapped& provider, sp_call* call, sp_operation* operation) {
  if (call->op == SP_OP_ACCEPT) LoseOne(provider, call->handle);
  return PassBegin(provider, call, operation);
}

// One accept that ends takes those along that are still under way.
int32_t OneEndsAll(Wrapped& provider, sp_operation operation, int64_t timeout_ns, sp_result* result) {
  const int32_t error = PassWait(provider, operation, timeout_ns, result);
  if (error == SP_OK && result->error == SP_OK) provider.Put(kWorld, 1, kFlag);
  if (error != SP_EAGAIN || provider.Get(kWorld, kFlag) == 0) return error;
  provider.table().cancel(provider.self(), operation);
  if (PassWait(provider, operation, 1'000'000'000, result) != SP_OK) return SP_EAGAIN;
  Succeed(result);
  return SP_OK;
}

// ---- Operations that are not there: what should have been refused is under way for ever

struct Imagined {
  std::mutex mutex;
  std::map<sp_operation, bool> cancelled;
};
Imagined& TheImagined() {
  static auto* imagined = new Imagined;
  return *imagined;
}

int32_t BeginAnything(Wrapped& provider, sp_call* call, sp_operation* operation) {
  const int32_t error = provider.table().begin(provider.self(), call, operation);
  if (error == SP_OK || error == SP_IO_PENDING || error == SP_NOT_SUPPORTED) return error;
  *operation = reinterpret_cast<sp_operation>(new char);
  const std::lock_guard<std::mutex> lock(TheImagined().mutex);
  TheImagined().cancelled[*operation] = false;
  return SP_IO_PENDING;
}

int32_t WaitForImagined(Wrapped& provider, sp_operation operation, int64_t timeout_ns, sp_result* result) {
  bool cancelled = false;
  {
    const std::lock_guard<std::mutex> lock(TheImagined().mutex);
    const auto found = TheImagined().cancelled.find(operation);
    if (found == TheImagined().cancelled.end()) return PassWait(provider, operation, timeout_ns, result);
    cancelled = found->second;
    if (cancelled) TheImagined().cancelled.erase(found);
  }
  if (!cancelled) {
    if (timeout_ns > 0) provider.Pause(timeout_ns);
    return SP_EAGAIN;
  }
  Fail(result, SP_OPERATION_ABORTED);
  return SP_OK;
}

int32_t CancelImagined(Wrapped& provider, sp_operation operation) {
  const std::lock_guard<std::mutex> lock(TheImagined().mutex);
  const auto found = TheImagined().cancelled.find(operation);
  if (found == TheImagined().cancelled.end()) return provider.table().cancel(provider.self(), operation);
  found->second = true;
  return SP_OK;
}

void WithoutOverlapped(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const bool extended = (call->op == SP_OP_ACCEPT && call->u.accept.extended == SP_NO_OVERLAPPED) ||
                        (call->op == SP_OP_CONNECT && call->u.connect.extended == SP_NO_OVERLAPPED);
  if (extended && result->error != SP_OK) Succeed(result);
}

// ---- Arguments

void WaitsForNoData(sp_call* call) {
  if (call->op == SP_OP_ACCEPT) call->u.accept.first_data_length = 0;
}
void WithoutFirstData(sp_call* call) {
  if (call->op == SP_OP_CONNECT && call->u.connect.first_data.length > 0) --call->u.connect.first_data.length;
}
void NotForReuse(sp_call* call) {
  if (call->op == SP_OP_DISCONNECT) call->u.disconnect.reuse = 0;
}
void AnyFlags(sp_call* call) {
  if (call->op == SP_OP_DISCONNECT) call->u.disconnect.extra_flags = 0;
}
void AnyReserved(sp_call* call) {
  if (call->op == SP_OP_DISCONNECT) call->u.disconnect.reserved = 0;
}
template <Arguments kMend>
void CallMended(Wrapped& provider, sp_call* call, sp_result* result) {
  kMend(call);
  provider.Pass(call, result);
}

// DisconnectEx that says it is done, and does nothing.
void DisconnectIsNothing(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_DISCONNECT && call->u.disconnect.extra_flags == 0 && call->u.disconnect.reserved == 0 &&
      provider.PeerName(call->handle)) {
    return Succeed(result);
  }
  provider.Pass(call, result);
}
void DisconnectForgives(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_DISCONNECT) Forgive(result, SP_ENOTCONN);
}
int32_t BeginDisconnectForgives(Wrapped& provider, sp_call* call, sp_operation* operation) {
  const int32_t error = PassBegin(provider, call, operation);
  return call->op == SP_OP_DISCONNECT && error == SP_ENOTCONN ? int32_t{SP_EINVAL} : error;
}

// ---- Options

template <int32_t kOption>
void OptionIsNothing(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, kOption)) return Succeed(result);
  provider.Pass(call, result);
}

void ConnectTimeIsMilliseconds(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsOption(call, SP_OP_GET_OPTION, SP_SO_CONNECT_TIME) || result->error != SP_OK) return;
  int64_t& seconds = call->u.get_option.integer;
  if (seconds != 0xffffffff) seconds = seconds * 1000 + 500;
}
void ConnectTimeIsZero(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_CONNECT_TIME) && call->u.get_option.integer == 0xffffffff) {
    call->u.get_option.integer = 0;
  }
}

constexpr Fault kFaults[] = {
    {"overlapped-accept-no-addresses", "a begun accept yields addresses that are all zero", "overlapped.accept_addresses",
     "winsock",
     "twisted/twisted issue 1798 and microsoftarchive/redis pull request 224: names of accepted sockets all zero, or cut; "
     "GetAcceptExSockaddrs had them",
     Pass, PassBegin, EditEnd<NoAddresses>},
    {"overlapped-accept-swaps-addresses", "a begun accept yields the local address for the remote one and the other way round",
     "overlapped.accept_addresses", "winsock", kAcceptEx, Pass, PassBegin, EditEnd<SwapsAddresses>},
    {"overlapped-accept-takes-two", "a begun accept takes two connections out of the queue, and yields one",
     "overlapped.accept_ends_once", "winsock", kAcceptEx, CallLosesOne, BeginLosesOwed, EditEnd<TakesOneMore>},
    {"overlapped-one-ends-all", "a begun accept that ends ends all others that are under way", "overlapped.one_accept_each",
     "winsock", kAcceptEx, Pass, PassBegin, OneEndsAll},
    {"overlapped-accept-damages-data", "a bit of the first data of a begun accept is wrong", "overlapped.accept_first_data",
     "winsock", kAcceptEx, Pass, PassBegin, EditEnd<ForgetsFirstByte>},
    {"overlapped-accept-waits-for-nothing", "a begun accept does not wait for first data though it has room for them",
     "overlapped.accept_waits_for_data overlapped.accept_first_data overlapped.connect_time", "winsock", kAcceptEx, Pass,
     BeginMended<WaitsForNoData>, PassWait},
    {"overlapped-accept-has-context", "the accepted socket has the listener's properties without SO_UPDATE_ACCEPT_CONTEXT",
     "overlapped.accept_context_before", "winsock", kAcceptEx, Pass, PassBegin, EditEnd<HasTheContext>},
    {"overlapped-accept-context-ignored", "SO_UPDATE_ACCEPT_CONTEXT succeeds and does nothing",
     "overlapped.accept_context_after overlapped.accept_names", "winsock", kContext,
     OptionIsNothing<SP_SO_UPDATE_ACCEPT_CONTEXT>},
    {"overlapped-connect-context-ignored", "SO_UPDATE_CONNECT_CONTEXT succeeds and does nothing", "overlapped.connect_context",
     "winsock", "jart/cosmopolitan pull request 1164: getpeername and shutdown did not work without SO_UPDATE_CONNECT_CONTEXT",
     OptionIsNothing<SP_SO_UPDATE_CONNECT_CONTEXT>},
    {"overlapped-cancelled-takes-one", "an accept that ended as aborted takes the next connection along",
     "overlapped.accept_cancelled_takes_nothing", "winsock", kAcceptEx, Pass, PassBegin, EditEnd<AbortedTakesOne>},
    {"overlapped-accept-is-shut", "the connection of a begun accept carries nothing", "overlapped.accept_connection", "winsock",
     kAcceptEx, Pass, PassBegin, EditEnd<IsShut>},
    {"overlapped-all-end-well", "operations that fail are reported as done",
     "overlapped.accept_cancelled overlapped.accept_closed overlapped.listener_closed overlapped.connect_refused "
     "overlapped.connect_cancelled session.pending_operation_cancelled",
     "winsock", kAcceptEx, Pass, PassBegin, EditEnd<EndsWell>},
    {"overlapped-accept-ends-badly", "a begun accept ends with an error when a connection comes", "overlapped.accept_completes",
     "winsock", kAcceptEx, Pass, PassBegin, EditEnd<EndsWith<SP_OP_ACCEPT, SP_ECONNABORTED>>},
    {"overlapped-connect-ends-badly", "a begun connect ends with an error when it is connected", "overlapped.connect_completes",
     "winsock", kConnectEx, Pass, PassBegin, EditEnd<EndsWith<SP_OP_CONNECT, SP_ECONNABORTED>>},
    {"overlapped-disconnect-ends-badly", "a begun disconnect ends with an error when it is done",
     "overlapped.disconnect_completes", "winsock", kDisconnectEx, Pass, PassBegin,
     EditEnd<EndsWith<SP_OP_DISCONNECT, SP_ENOTCONN>>},
    {"overlapped-refusal-sticks", "after a ConnectEx that was refused the socket cannot connect any more",
     "overlapped.connect_again refused.retry_same_socket", "winsock", kConnectEx, CallUnlessStuck, BeginUnlessStuck,
     EditEnd<RefusedSticks>},
    {"overlapped-refused-takes-one", "a begun accept that was refused takes the next connection",
     "overlapped.refused_leaves_nothing", "winsock", kAcceptEx, CallLosesOne, BeginLosesOne, PassWait},
    {"overlapped-done-at-once", "a begun accept says that it is done while nobody has come", "overlapped.accept_pending",
     "winsock", kAcceptEx, Pass, DoneAtOnce, PassWait},
    {"overlapped-wrong-calls-begin", "calls that should be refused at once are under way for ever",
     "overlapped.accept_on_bound overlapped.accept_on_connected overlapped.accept_not_listening overlapped.accept_address_room "
     "overlapped.accept_no_output overlapped.accept_no_remote_room overlapped.connect_unbound overlapped.connect_listening "
     "overlapped.connect_connected",
     "winsock", kAcceptEx, Pass, BeginAnything, WaitForImagined, CancelImagined},
    {"overlapped-without-structure", "AcceptEx and ConnectEx succeed without an OVERLAPPED structure",
     "overlapped.accept_no_overlapped overlapped.connect_no_overlapped", "winsock", kAcceptEx, WithoutOverlapped},
    {"overlapped-connect-sends-less", "the last byte of the first data of ConnectEx is not sent", "overlapped.connect_first_data",
     "winsock", kConnectEx, Pass, BeginMended<WithoutFirstData>, PassWait},
    {"overlapped-connect-counts-half", "ConnectEx says that half of the first data were sent", "overlapped.connect_first_data",
     "winsock", kConnectEx, Pass, PassBegin, EditEnd<ConnectTellsHalf>},
    {"overlapped-disconnect-not-reusable", "DisconnectEx ignores TF_REUSE_SOCKET",
     "overlapped.disconnect_reused_accept overlapped.disconnect_reused_connect", "winsock", kDisconnectEx,
     CallMended<NotForReuse>, BeginMended<NotForReuse>, PassWait},
    {"overlapped-disconnect-any-flag", "DisconnectEx takes flags that do not exist", "overlapped.disconnect_flags", "winsock",
     kDisconnectEx, CallMended<AnyFlags>, BeginMended<AnyFlags>, PassWait},
    {"overlapped-disconnect-any-reserved", "DisconnectEx takes any value of its reserved parameter",
     "overlapped.disconnect_reserved", "winsock", kDisconnectEx, CallMended<AnyReserved>, BeginMended<AnyReserved>, PassWait},
    {"overlapped-disconnect-does-nothing", "the blocking form of DisconnectEx succeeds and does nothing",
     "overlapped.disconnect_ends", "winsock", kDisconnectEx, DisconnectIsNothing},
    {"overlapped-disconnect-unconnected",
     "DisconnectEx of a socket without a connection succeeds, or is told to be wrongly called",
     "overlapped.disconnect_unconnected", "winsock", kDisconnectEx, DisconnectForgives, BeginDisconnectForgives, PassWait},
    {"overlapped-connect-time-in-ms", "SO_CONNECT_TIME counts milliseconds", "overlapped.connect_time", "winsock",
     "no report found: SOL_SOCKET Socket Options, SO_CONNECT_TIME: in seconds", ConnectTimeIsMilliseconds},
    {"overlapped-connect-time-zero", "SO_CONNECT_TIME of a socket that is not connected is 0",
     "overlapped.connect_time_unconnected", "winsock",
     "reactos/reactos pull request 9187: a socket without a connection had no -1 there", ConnectTimeIsZero},
};

}  // namespace

const FaultList kOverlappedFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
