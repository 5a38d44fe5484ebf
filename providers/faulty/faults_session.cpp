// Faults of the session (WSAStartup, WSACleanup), of user data that travel with a connect, and of what a service provider owes.
#include <cstring>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kSession = "no report found: the Remarks of WSAStartup() and WSACleanup() say it otherwise";
constexpr const char* kUserData = "no report found: the Remarks of WSAConnect() say what becomes of user data";
constexpr const char* kSpi = "no report found: Windows Sockets 2 Service Provider Interface says it otherwise";

constexpr int kCount = 1;
constexpr int kError = 2;
constexpr int kEnded = 3;

void Pass(Wrapped& provider, sp_call* call, sp_result* result) { provider.Pass(call, result); }

int32_t PassStartup(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  return provider.table().session->startup(provider.self(), version, given, highest, native);
}
int32_t PassCleanup(Wrapped& provider, int64_t* native) { return provider.table().session->cleanup(provider.self(), native); }

// ---- The session

int32_t GivesTheHighest(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  const int32_t error = PassStartup(provider, version, given, highest, native);
  if (error == SP_OK) *given = *highest;
  return error;
}
int32_t HighestIsAsked(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  const int32_t error = PassStartup(provider, version, given, highest, native);
  if (error == SP_OK) *highest = *given;
  return error;
}
int32_t AnyVersion(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  const int32_t error = PassStartup(provider, version, given, highest, native);
  return error == SP_VERNOTSUPPORTED ? PassStartup(provider, 0x0202, given, highest, native) : error;
}
int32_t RefusedCounts(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  const int32_t error = PassStartup(provider, version, given, highest, native);
  uint32_t ignored = 0;
  if (error == SP_VERNOTSUPPORTED) PassStartup(provider, 0x0202, &ignored, &ignored, native);
  return error;
}
int32_t OnlyOnce(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  // The first was made when the provider was opened.
  if (provider.Get(kWorld, kEnded) == 0 && provider.Add(kWorld, 1, kCount) > 1) return SP_EINVAL;
  return PassStartup(provider, version, given, highest, native);
}
int32_t NeverAgain(Wrapped& provider, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native) {
  if (provider.Get(kWorld, kEnded) != 0) return SP_SYSNOTREADY;
  return PassStartup(provider, version, given, highest, native);
}
int32_t NoteTheEnd(Wrapped& provider, int64_t* native) {
  provider.Put(kWorld, 1, kEnded);
  return PassCleanup(provider, native);
}
int32_t FirstEndsAll(Wrapped& provider, int64_t* native) {
  const int32_t error = PassCleanup(provider, native);
  while (PassCleanup(provider, native) == SP_OK) {
  }
  return error;
}
int32_t AlwaysSucceeds(Wrapped& provider, int64_t* native) {
  PassCleanup(provider, native);
  return SP_OK;
}
int32_t EndsNothing(Wrapped&, int64_t*) { return SP_OK; }

// What was set before the last cleanup is set afterwards.
int32_t SetsEvents(Wrapped& provider, int64_t* native) {
  const int32_t error = PassCleanup(provider, native);
  provider.Put(kWorld, 1, kEnded);
  return error;
}
void EventsAreSet(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_WATCH_WAIT && call->u.watch_wait.step == SP_WAIT_ONLY && provider.Get(kWorld, kEnded) != 0 &&
      result->error == SP_OK) {
    result->value = 1;
  }
}

// ---- User data

bool HasRoom(const sp_call* call) {
  return IsSocketCall(call, SP_OP_CONNECT) && call->u.connect.callee_data.present != 0 && call->u.connect.callee_data.length > 0;
}

using Edit = void (*)(sp_user_data* data);
template <Edit kEdit>
void CalleeData(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = HasRoom(call);
  provider.Pass(call, result);
  if (ours && (result->error == SP_OK)) kEdit(&call->u.connect.callee_data);
}

void Cut(sp_user_data* data) {
  if (data->length > 0) --data->length;
}
void Damaged(sp_user_data* data) {
  if (data->length > 0 && data->data != nullptr) data->data[data->length - 1] ^= 1;
}
void LengthIsRoom(sp_user_data* data) { data->length = data->capacity; }

// Of a connect that goes on in the background: gone when its end is told.
void LateIsLost(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = HasRoom(call);
  provider.Pass(call, result);
  if (ours && result->error == SP_EAGAIN) provider.Put(kWorld, reinterpret_cast<int64_t>(call), kCount);
  if (call->op != SP_OP_WATCH_WAIT || result->error != SP_OK || result->value <= 0) return;
  auto* connect = reinterpret_cast<sp_call*>(provider.Get(kWorld, kCount));
  if (connect == nullptr) return;
  for (int32_t i = 0; i < call->u.watch_wait.count; ++i) {
    if (call->u.watch_wait.events[i].events != SP_FD_CONNECT) continue;
    connect->u.connect.callee_data.length = 0;
    provider.Put(kWorld, 0, kCount);
    return;
  }
}

template <int32_t kFrom>
void ConnectForgives(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_CONNECT) &&
                    (call->u.connect.caller_data.present != 0 || call->u.connect.callee_data.present != 0 ||
                     call->u.connect.has_qos != 0 || call->u.connect.has_group_qos != 0);
  provider.Pass(call, result);
  if (ours) Forgive(result, kFrom);
}

void DatagramRefuses(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool data = call->u.connect.caller_data.present != 0 || call->u.connect.callee_data.present != 0;
  if (IsSocketCall(call, SP_OP_CONNECT) && provider.Of(call->handle).type == SP_DATAGRAM && data) return Fail(result, SP_EINVAL);
  provider.Pass(call, result);
}

// ---- Service providers

void CreatedNonblocking(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_SOCKET && result->error == SP_OK) provider.SetNonblocking(result->handle, true);
}

int32_t BeginMakesNonblocking(Wrapped& provider, sp_call* call, sp_operation* operation) {
  const int32_t error = provider.table().begin(provider.self(), call, operation);
  provider.SetNonblocking(call->handle, true);
  return error;
}

// One place for the error of all threads: a call that fails says what the one before it said.
void ErrorOfTheFormer(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (result->error == SP_OK || result->error == SP_NOT_SUPPORTED) return;
  const int64_t before = provider.Get(kWorld, kError);
  provider.Put(kWorld, result->error, kError);
  if (before != 0) Fail(result, static_cast<int32_t>(before));
}

void PendingErrorOfAll(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_CONNECT && (result->error == SP_EAGAIN || result->error == SP_EINPROGRESS)) {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    provider.handles[kWorld].push_back(call->handle);
  }
  if (!IsOption(call, SP_OP_GET_OPTION, SP_SO_ERROR) || result->error != SP_OK || call->u.get_option.integer != SP_OK) return;
  std::vector<sp_handle> all;
  {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    all = provider.handles[kWorld];
  }
  for (const sp_handle other : all) {
    if (other.value == call->handle.value) continue;
    if (const int32_t error = PendingError(provider, other); error != SP_OK) {
      call->u.get_option.integer = error;
      return;
    }
  }
}

constexpr Fault kFaults[] = {
    {"session-gives-the-highest", "the version to use is the highest that there is, whatever was asked for",
     "session.version_given", "winsock", kSession, Pass, nullptr, nullptr, nullptr, GivesTheHighest},
    {"session-highest-is-what-was-asked", "the highest version that there is is told as the one that was asked for",
     "session.version_highest", "winsock", kSession, Pass, nullptr, nullptr, nullptr, HighestIsAsked},
    {"session-any-version", "a version that is too low is taken", "session.version_too_low", "winsock", kSession, Pass, nullptr,
     nullptr, nullptr, AnyVersion},
    {"session-refused-counts", "a startup that was refused wants a cleanup", "session.refused_startup_not_counted", "winsock",
     kSession, Pass, nullptr, nullptr, nullptr, RefusedCounts},
    {"session-startup-once", "a second startup fails", "session.startup_again", "winsock", kSession, Pass, nullptr, nullptr,
     nullptr, OnlyOnce, NoteTheEnd},
    {"session-never-again", "after a cleanup no startup works", "session.started_again", "winsock", kSession, Pass, nullptr,
     nullptr, nullptr, NeverAgain, NoteTheEnd},
    {"session-first-cleanup-ends-all", "the first cleanup ends the session, however many startups there were", "session.counted",
     "winsock", kSession, Pass, nullptr, nullptr, nullptr, PassStartup, FirstEndsAll},
    {"session-cleanup-always-succeeds", "a cleanup without a startup succeeds", "session.cleanup_too_often", "winsock", kSession,
     Pass, nullptr, nullptr, nullptr, PassStartup, AlwaysSucceeds},
    {"session-cleanup-ends-nothing", "cleanups succeed and end nothing",
     "session.no_socket_without_session session.old_socket session.old_address_free session.pending_call_cancelled "
     "session.pending_operation_cancelled",
     "winsock", kSession, Pass, nullptr, nullptr, nullptr, PassStartup, EndsNothing},
    {"session-cleanup-sets-events", "the last cleanup sets every event object", "session.cleanup_signals_nothing", "winsock",
     kSession, EventsAreSet, nullptr, nullptr, nullptr, PassStartup, SetsEvents},
    {"user-data-cut", "the last byte of the data that come back to connect is missing",
     "user_data.callee_data_length user_data.callee_data_delivered", "winsock", kUserData, CalleeData<Cut>},
    {"user-data-damaged", "the last byte of the data that come back to connect is another one", "user_data.callee_data_delivered",
     "winsock", kUserData, CalleeData<Damaged>},
    {"user-data-length-is-room", "the length of the data that come back to connect is the room that there was",
     "user_data.callee_data_length user_data.callee_data_none", "winsock", kUserData, CalleeData<LengthIsRoom>},
    {"user-data-late-is-lost", "data that come back to a non-blocking connect are lost", "user_data.callee_data_nonblocking",
     "winsock", kUserData, LateIsLost},
    {"user-data-any-length", "data that do not fit, on either side, are no error",
     "user_data.callee_room_too_small "
     "user_data.caller_data_too_long",
     "winsock", kUserData, ConnectForgives<SP_EFAULT>},
    {"user-data-over-tcp", "user data over a protocol that carries none are no error", "user_data.caller_data_unsupported",
     "winsock", kUserData, ConnectForgives<SP_EPROTONOSUPPORT>},
    {"user-data-any-quality", "a quality of service that cannot be had is no error", "user_data.qos_unsatisfied", "winsock",
     kUserData, ConnectForgives<SP_EOPNOTSUPP>},
    {"user-data-group-quality", "a quality of service of a group is no error", "user_data.group_qos", "winsock", kUserData,
     ConnectForgives<SP_EINVAL>},
    {"user-data-datagram-refuses", "connect of a datagram socket fails with user data", "user_data.datagram_ignores", "winsock",
     kUserData, DatagramRefuses},
    {"spi-created-nonblocking", "sockets are created in non-blocking mode", "spi.created_blocking", "winsock", kSpi,
     CreatedNonblocking},
    {"spi-begun-makes-nonblocking", "an operation that is begun makes its socket non-blocking", "spi.overlapped_leaves_mode",
     "winsock-spi", kSpi, Pass, BeginMakesNonblocking},
    {"spi-error-of-the-former", "a call that fails reports the error of the one that failed before it", "spi.error_per_call",
     "winsock-spi", kSpi, ErrorOfTheFormer},
    {"spi-pending-error-of-all", "SO_ERROR takes the pending error of another socket", "spi.error_per_socket", "winsock-spi",
     kSpi, PendingErrorOfAll},
};

}  // namespace

const FaultList kSessionFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
