// Faults of conditional acceptance (WSAAccept, WSPAccept): what the condition function is told, and what becomes of its answer.
#include <cstring>

#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kNoReport = "no report found: the Remarks of WSAAccept() and WSPAccept() say what the function is told";
constexpr const char* kAnswer = "no report found: the Remarks of WSAAccept() and WSPAccept() say what becomes of each answer";
constexpr const char* kWine =
    "wine-mirror/wine, dlls/ws2_32/socket.c, WSAAccept(): accepts, then asks, and closes what the function rejects";

constexpr int kFlag = 1;  // slots of a listener's memory
constexpr int kCount = 2;

struct Question {
  Wrapped* provider;
  const sp_call* call;
  sp_condition_function function;
  void* context;
};

// The listener's condition function is called through kAsk.
using Ask = int32_t (*)(const Question& question, sp_condition_request* request);
template <Ask kAsk>
void Asked(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_ACCEPT) && call->u.accept.condition != nullptr &&
                    call->u.accept.condition_kind == SP_POINTER_VALID;
  if (!ours) return provider.Pass(call, result);
  Question question{&provider, call, call->u.accept.condition, call->u.accept.condition_context};
  call->u.accept.condition = [](void* context, sp_condition_request* request) {
    return kAsk(*static_cast<const Question*>(context), request);
  };
  call->u.accept.condition_context = &question;
  provider.Pass(call, result);
  call->u.accept.condition = question.function;
  call->u.accept.condition_context = question.context;
}

int32_t Answer(const Question& question, sp_condition_request* request) { return question.function(question.context, request); }

// ---- What it is told

using Change = void (*)(sp_condition_request* request);
template <Change kChange>
int32_t Told(const Question& question, sp_condition_request* request) {
  kChange(request);
  return Answer(question, request);
}

void NoCallbackData(sp_condition_request* request) { request->callback_data = 0; }
void CalleeIsWildcard(sp_condition_request* request) { std::memset(request->callee.bytes, 0, sizeof request->callee.bytes); }
void CallerIsCallee(sp_condition_request* request) { request->caller = request->callee; }
void CallerLengthWrong(sp_condition_request* request) { request->caller_length = 128; }
void CalleeLengthWrong(sp_condition_request* request) { request->callee_length = 0; }
void CallerDataInvented(sp_condition_request* request) { request->caller_data.present = 1; }
void CallerDataLost(sp_condition_request* request) { request->caller_data.present = 0; }
void CallerDataCut(sp_condition_request* request) {
  if (request->caller_data.length > 0) --request->caller_data.length;
}
void QosInvented(sp_condition_request* request) { request->has_qos = 1; }
void QosLost(sp_condition_request* request) { request->has_qos = 0; }
void OtherThread(sp_condition_request* request) { request->same_thread = 0; }
void RoomWithoutStorage(sp_condition_request* request) {
  request->callee_data.present = 1;
  request->callee_data.length = 16;
}
void RoomOnlyPromised(sp_condition_request* request) {
  if (request->callee_data.length > 0) request->callee_data.capacity = request->callee_data.length / 2;
}

int32_t AskedTwice(const Question& question, sp_condition_request* request) {
  Answer(question, request);
  return Answer(question, request);
}

// Who asked the time before, from the second request on.
int32_t TheFormerCaller(const Question& question, sp_condition_request* request) {
  Wrapped& provider = *question.provider;
  const int64_t listener = question.call->handle.value;
  const int64_t before = provider.Get(listener, kFlag);
  provider.Put(listener, request->caller.port, kFlag);
  if (before != 0) request->caller.port = static_cast<uint16_t>(before);
  return Answer(question, request);
}

// Calls from within are refused.
thread_local bool in_condition = false;
int32_t NoCallsFromWithin(const Question& question, sp_condition_request* request) {
  in_condition = true;
  const int32_t answer = Answer(question, request);
  in_condition = false;
  return answer;
}
void InProgress(Wrapped& provider, sp_call* call, sp_result* result) {
  if (in_condition) return Fail(result, SP_EINPROGRESS);
  Asked<NoCallsFromWithin>(provider, call, result);
}

// ---- What becomes of the answer

template <int32_t kFrom, int32_t kTo>
int32_t AnswerAs(const Question& question, sp_condition_request* request) {
  const int32_t answer = Answer(question, request);
  return answer == kFrom ? kTo : answer;
}

// The answer is carried out as another one, and accept says what it would have said.
template <int32_t kFrom, int32_t kTo>
int32_t NoteAndReplace(const Question& question, sp_condition_request* request) {
  const int32_t answer = Answer(question, request);
  question.provider->Put(question.call->handle.value, answer == kFrom ? 1 : 0, kFlag);
  return answer == kFrom ? kTo : answer;
}

template <int32_t kFrom, int32_t kTo, int32_t kError>
void CarriedOutAs(Wrapped& provider, sp_call* call, sp_result* result) {
  Asked<NoteAndReplace<kFrom, kTo>>(provider, call, result);
  if (!IsSocketCall(call, SP_OP_ACCEPT) || call->u.accept.condition == nullptr) return;
  if (provider.Get(call->handle.value, kFlag) == 0) return;
  provider.Put(call->handle.value, 0, kFlag);
  if (result->error == SP_OK) provider.Close(result->handle);
  Fail(result, kError);
}

int32_t SecondDeferRejects(const Question& question, sp_condition_request* request) {
  const int32_t answer = Answer(question, request);
  if (answer != SP_CONDITION_DEFER) return answer;
  return question.provider->Add(question.call->handle.value, 1, kCount) > 1 ? int32_t{SP_CONDITION_REJECT} : answer;
}

int32_t RejectAfterDeferAccepts(const Question& question, sp_condition_request* request) {
  const int32_t answer = Answer(question, request);
  if (answer == SP_CONDITION_DEFER) question.provider->Put(question.call->handle.value, 1, kCount);
  const bool deferred = question.provider->Get(question.call->handle.value, kCount) != 0;
  return deferred && answer == SP_CONDITION_REJECT ? int32_t{SP_CONDITION_ACCEPT} : answer;
}

bool IsConditional(const sp_call* call) { return IsSocketCall(call, SP_OP_ACCEPT) && call->u.accept.condition != nullptr; }

void Abort(Wrapped& provider, sp_handle handle) {
  provider.SetLinger(handle, true, 0);
  provider.Close(handle);
}

// After an accept that failed with this, the next request in the queue is lost.
template <int32_t kError>
void FailureTakesTheNext(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_ACCEPT);
  provider.Pass(call, result);
  if (!ours || result->error != kError) return;
  for (const sp_handle one : TakeQueue(provider, call->handle, 1)) Abort(provider, one);
}

// After an accept that failed with this, the listener accepts nothing more.
template <int32_t kError>
void FailureEndsTheListener(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsSocketCall(call, SP_OP_ACCEPT);
  if (ours && provider.Get(call->handle.value, kFlag) != 0) return Fail(result, SP_EINVAL);
  provider.Pass(call, result);
  if (ours && result->error == kError) provider.Put(call->handle.value, 1, kFlag);
}

void AskedAboutNothing(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsConditional(call) && call->u.accept.condition_kind == SP_POINTER_VALID &&
      (!provider.Of(call->handle).listening || (provider.IsNonblocking(call->handle) && !Waits(provider, call->handle)))) {
    sp_condition_request request{};
    request.size = sizeof request;
    request.same_thread = 1;
    call->u.accept.condition(call->u.accept.condition_context, &request);
  }
  provider.Pass(call, result);
}

void FunctionIsRequired(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsAccept(provider, call) && call->u.accept.condition == nullptr && call->u.accept.extended == SP_PLAIN)
    return Fail(result, SP_EFAULT);
  provider.Pass(call, result);
}

void DoesNotWait(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsConditional(call) && provider.Of(call->handle).listening && !Waits(provider, call->handle))
    return Fail(result, SP_EAGAIN);
  provider.Pass(call, result);
}

void WritesAround(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!IsConditional(call) || result->error == SP_OK || !AsksForAddress(call)) return;
  sp_address_out& peer = call->u.accept.peer;
  const int32_t room = peer.length == SP_NATURAL_LENGTH ? peer.raw_size : peer.length;
  for (int32_t i = 0; i < room && i < 8; ++i) peer.raw[i] = 0x5a;
  peer.decoded = 1;
  peer.address.family = SP_INET;
  peer.address.port = 0x5a5a;
}

void NoPeer(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!IsConditional(call) || !AsksForAddress(call)) return provider.Pass(call, result);
  const int32_t kind = call->u.accept.peer.kind;
  call->u.accept.peer.kind = call->u.accept.peer.length_kind = SP_POINTER_NULL;
  provider.Pass(call, result);
  call->u.accept.peer.kind = call->u.accept.peer.length_kind = kind;
}

// The new socket is one end of a connection that carries nothing any more.
void AcceptedIsShut(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConditional(call);
  provider.Pass(call, result);
  if (ours && result->error == SP_OK) provider.Shutdown(result->handle, SP_SHUT_RDWR);
}

// ---- SO_CONDITIONAL_ACCEPT

bool WithOption(Wrapped& provider, const sp_call* call) {
  return provider.Of(call->handle).listening && provider.GetInteger(call->handle, SP_SO_CONDITIONAL_ACCEPT).value_or(0) != 0;
}

void NotAskedWithOption(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!IsConditional(call) || !WithOption(provider, call)) return provider.Pass(call, result);
  const sp_condition_function function = call->u.accept.condition;
  call->u.accept.condition = nullptr;
  provider.Pass(call, result);
  call->u.accept.condition = function;
}

void OnByDefault(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (call->op == SP_OP_SOCKET && result->error == SP_OK) provider.SetInteger(result->handle, SP_SO_CONDITIONAL_ACCEPT, 1);
}

template <int32_t kError>
void OptionForgives(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_CONDITIONAL_ACCEPT)) Forgive(result, kError);
}

void OptionReadsZero(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_CONDITIONAL_ACCEPT)) call->u.get_option.integer = 0;
}

void RefusesUnanswered(Wrapped& provider, sp_call* call, sp_result* result) {
  if (IsOption(call, SP_OP_SET_OPTION, SP_SO_CONDITIONAL_ACCEPT)) provider.Put(kWorld, call->u.set_option.integer, kFlag);
  if (IsSocketCall(call, SP_OP_CONNECT) && provider.Get(kWorld, kFlag) != 0) return Fail(result, SP_ECONNREFUSED);
  provider.Pass(call, result);
}

void AcceptedIsReset(Wrapped& provider, sp_call* call, sp_result* result) {
  const bool ours = IsConditional(call) && WithOption(provider, call);
  provider.Pass(call, result);
  if (!ours || result->error != SP_OK) return;
  const sp_result other = Duplicate(provider, result->handle);
  if (other.error != SP_OK) return;
  provider.SetLinger(other.handle, true, 0);
  provider.Close(result->handle);
  Abort(provider, other.handle);
  Fail(result, SP_ECONNABORTED);
}

constexpr Fault kFaults[] = {
    {"condition-without-callback-data", "the condition function is not given the callback data of the accept call",
     "condition.callback_data", "winsock", kNoReport, Asked<Told<NoCallbackData>>},
    {"condition-callee-is-wildcard", "the condition function is told the wildcard as the callee's address",
     "condition.callee_address", "winsock", kNoReport, Asked<Told<CalleeIsWildcard>>},
    {"condition-caller-is-callee", "the condition function is told the callee's address for the caller's",
     "condition.caller_address", "winsock", kNoReport, Asked<Told<CallerIsCallee>>},
    {"condition-caller-of-before", "the condition function is told who asked the time before",
     "condition.caller_address condition.first_request", "winsock", kNoReport, Asked<TheFormerCaller>},
    {"condition-caller-length", "the length of the caller's address is that of the largest one there is",
     "condition.caller_length", "winsock", kNoReport, Asked<Told<CallerLengthWrong>>},
    {"condition-callee-length", "the length of the callee's address is 0", "condition.callee_length", "winsock", kNoReport,
     Asked<Told<CalleeLengthWrong>>},
    {"condition-caller-data-invented", "without user data the condition function is given a place for it all the same",
     "condition.no_caller_data user_data.caller_data_absent", "winsock", kNoReport, Asked<Told<CallerDataInvented>>},
    {"condition-caller-data-lost", "user data of connect do not reach the condition function",
     "user_data.caller_data_delivered user_data.caller_data_kept", "winsock", kNoReport, Asked<Told<CallerDataLost>>},
    {"condition-caller-data-cut", "the last byte of the user data of connect is missing", "user_data.caller_data_delivered",
     "winsock", kNoReport, Asked<Told<CallerDataCut>>},
    {"condition-qos-invented", "the condition function is told a quality of service that nobody asked for", "condition.no_qos",
     "winsock", kNoReport, Asked<Told<QosInvented>>},
    {"condition-qos-lost", "the condition function is not told the quality of service that connect asks for",
     "user_data.qos_told", "winsock", kNoReport, Asked<Told<QosLost>>},
    {"condition-in-another-thread", "the condition function is called in another thread", "condition.same_thread", "winsock",
     "no report found: WSAAccept(), Remarks: the function is called in the same thread as this function is in",
     Asked<Told<OtherThread>>},
    {"condition-room-without-storage", "the condition function is told of room for data to the caller that is not there",
     "condition.no_callee_room_over_tcp condition.callee_room", "winsock", kNoReport, Asked<Told<RoomWithoutStorage>>},
    {"condition-room-half-there", "of the room for data to the caller only half is there",
     "user_data.callee_storage condition.callee_room", "winsock", kNoReport, Asked<Told<RoomOnlyPromised>>},
    {"condition-asked-twice", "the condition function is called twice for one accept", "condition.asked_once", "winsock",
     kNoReport, Asked<AskedTwice>},
    {"condition-no-calls-from-within", "socket calls from within a condition function fail with EINPROGRESS",
     "condition.nested_calls", "winsock", kNoReport, InProgress},
    {"condition-asked-about-nothing", "the condition function is called though there is no request",
     "condition.not_asked_without_request condition.not_asked_about_nothing", "winsock", kNoReport, AskedAboutNothing},
    {"condition-required", "accept without a condition function fails", "condition.optional conditional.deferred_taken_unasked",
     "winsock", kNoReport, FunctionIsRequired},
    {"condition-does-not-wait", "a blocking accept with a condition function does not wait for a request",
     "condition.waits_for_request", "winsock", kNoReport, DoesNotWait},
    {"condition-failed-overwrites-the-peer", "an accept that its condition function ends writes rubbish for the peer's address",
     "condition.peer_if_rejected condition.peer_if_deferred", "winsock", kNoReport, WritesAround},
    {"condition-no-peer", "an accept with a condition function does not report the peer's address", "condition.peer_if_accepted",
     "winsock", kNoReport, NoPeer},
    {"condition-accepted-is-shut", "the socket that CF_ACCEPT makes carries nothing", "condition.accepted_connection", "winsock",
     kNoReport, AcceptedIsShut},
    {"condition-accept-rejects", "CF_ACCEPT is taken for CF_REJECT",
     "condition.accepts conditional.accept_completes conditional.still_asked conditional.deferred_accepted", "winsock", kAnswer,
     Asked<AnswerAs<SP_CONDITION_ACCEPT, SP_CONDITION_REJECT>>},
    {"condition-accept-defers", "CF_ACCEPT is taken for CF_DEFER", "condition.accepts conditional.still_asked", "winsock",
     kAnswer, Asked<AnswerAs<SP_CONDITION_ACCEPT, SP_CONDITION_DEFER>>},
    {"condition-reject-accepts", "CF_REJECT is taken for CF_ACCEPT", "conditional.reject_error conditional.reject_told",
     "winsock", kAnswer, Asked<AnswerAs<SP_CONDITION_REJECT, SP_CONDITION_ACCEPT>>},
    {"condition-reject-defers", "CF_REJECT leaves the request in the queue, as CF_DEFER does",
     "conditional.reject_removes conditional.reject_told conditional.reject_refuses_connect conditional.reject_error", "winsock",
     kAnswer, Asked<AnswerAs<SP_CONDITION_REJECT, SP_CONDITION_DEFER>>},
    {"condition-reject-is-a-close", "a client that CF_REJECT turns down sees an orderly end",
     "conditional.reject_told conditional.reject_refuses_connect", "winsock", kWine,
     CarriedOutAs<SP_CONDITION_REJECT, SP_CONDITION_ACCEPT, SP_ECONNREFUSED>},
    {"condition-defer-accepts", "CF_DEFER is taken for CF_ACCEPT", "conditional.defer_error conditional.defer_again", "winsock",
     kAnswer, Asked<AnswerAs<SP_CONDITION_DEFER, SP_CONDITION_ACCEPT>>},
    {"condition-defer-rejects", "CF_DEFER rejects the request, and says that it is deferred",
     "conditional.defer_no_action conditional.defer_stays_first conditional.deferred_accepted conditional.deferred_connection "
     "conditional.deferred_taken_unasked",
     "winsock", kAnswer, CarriedOutAs<SP_CONDITION_DEFER, SP_CONDITION_REJECT, SP_TRY_AGAIN>},
    {"condition-defer-closes", "CF_DEFER accepts the request and closes it, and says that it is deferred",
     "conditional.defer_no_action conditional.defer_stays_first conditional.deferred_accepted conditional.deferred_connection "
     "conditional.deferred_taken_unasked user_data.caller_data_kept",
     "winsock", kWine, CarriedOutAs<SP_CONDITION_DEFER, SP_CONDITION_ACCEPT, SP_TRY_AGAIN>},
    {"condition-defer-once", "a request that is deferred a second time is rejected", "conditional.defer_again", "winsock",
     kAnswer, Asked<SecondDeferRejects>},
    {"condition-deferred-cannot-be-rejected", "CF_REJECT for a request that was deferred accepts it",
     "conditional.deferred_rejected", "winsock", kAnswer, Asked<RejectAfterDeferAccepts>},
    {"condition-bad-answer-accepts", "an answer that is none of the three is taken for CF_ACCEPT", "condition.invalid_answer",
     "winsock", kAnswer, Asked<AnswerAs<SP_CONDITION_BAD, SP_CONDITION_ACCEPT>>},
    {"condition-reject-takes-the-next", "a rejection takes the next request out of the queue as well",
     "conditional.reject_spares_others conditional.reject_keeps_listener", "winsock", kAnswer,
     FailureTakesTheNext<SP_ECONNREFUSED>},
    {"condition-reject-ends-the-listener", "after a rejection the listener accepts nothing any more",
     "conditional.reject_keeps_listener conditional.reject_spares_others", "winsock", kAnswer,
     FailureEndsTheListener<SP_ECONNREFUSED>},
    {"condition-withdrawn-takes-the-next", "a request that was withdrawn takes the one behind it along",
     "conditional.withdrawn_leaves_others accept.reset_spares_others", "winsock", kAnswer, FailureTakesTheNext<SP_ECONNRESET>},
    {"condition-bad-function-ends-the-listener",
     "after an accept with a condition function that cannot be called nothing is accepted",
     "condition.unusable_function_keeps_listener", "winsock", kNoReport, FailureEndsTheListener<SP_EFAULT>},
    {"conditional-never-asks", "with SO_CONDITIONAL_ACCEPT on, the condition function is not called", "conditional.still_asked",
     "winsock", kNoReport, NotAskedWithOption},
    {"conditional-on-by-default", "SO_CONDITIONAL_ACCEPT is on without being set", "conditional.option_off", "winsock", kNoReport,
     OnByDefault},
    {"conditional-reads-zero", "SO_CONDITIONAL_ACCEPT reads as 0 whatever was set", "conditional.option_reads_back", "winsock",
     kNoReport, OptionReadsZero},
    {"conditional-set-on-a-listener", "setting SO_CONDITIONAL_ACCEPT on a listener succeeds", "conditional.option_on_listener",
     "winsock", kNoReport, OptionForgives<SP_EINVAL>},
    {"conditional-any-memory", "setting SO_CONDITIONAL_ACCEPT from memory that cannot be read succeeds",
     "conditional.option_bad_pointer conditional.option_short_value", "winsock", kNoReport, OptionForgives<SP_EFAULT>},
    {"conditional-refuses-the-unanswered", "with SO_CONDITIONAL_ACCEPT on, a request that nobody has answered is refused",
     "conditional.state_before_answer", "winsock", kNoReport, RefusesUnanswered},
    {"conditional-accept-resets", "with SO_CONDITIONAL_ACCEPT on, CF_ACCEPT resets the connection",
     "conditional.accept_completes", "winsock", kNoReport, AcceptedIsReset},
};

}  // namespace

const FaultList kConditionFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
