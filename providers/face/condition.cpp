#include "face/condition.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "face/trace.h"

namespace sockproof {
namespace {

std::string AnswerName(int32_t answer) {
  switch (answer) {
    case SP_CONDITION_ACCEPT:
      return "accept";
    case SP_CONDITION_REJECT:
      return "reject";
    case SP_CONDITION_DEFER:
      return "defer";
    default:
      return std::to_string(answer);
  }
}

std::string NameOf(const std::optional<Address>& address) { return address ? address->ToString() : "null"; }

}  // namespace

ConditionRequest::ConditionRequest(sp_condition_request* raw) : raw_(raw) {
  if (raw->has_caller != 0) caller = Address(raw->caller);
  if (raw->has_callee != 0) callee = Address(raw->callee);
  caller_length = raw->caller_length;
  callee_length = raw->callee_length;
  const sp_user_data& sent = raw->caller_data;
  if (sent.present != 0)
    caller_data = std::string(reinterpret_cast<const char*>(sent.data), sent.data != nullptr ? sent.length : 0);
  takes_callee_data = raw->callee_data.present != 0;
  callee_room = takes_callee_data ? raw->callee_data.length : 0;
  callee_storage = takes_callee_data && raw->callee_data.data != nullptr;
  if (raw->has_qos != 0) qos = raw->qos;
  group_qos = raw->has_group_qos != 0;
  callback_data = raw->callback_data;
  // A condition function that says nothing gives nothing back.
  if (takes_callee_data) raw->callee_data.length = 0;
}

void ConditionRequest::Reply(const std::string& data) {
  sp_user_data& out = raw_->callee_data;
  if (out.present == 0 || out.data == nullptr) return;
  out.length = std::min({static_cast<uint32_t>(data.size()), out.capacity, callee_room});
  std::memcpy(out.data, data.data(), out.length);
}

void ConditionRequest::SetQos(const sp_qos& wanted) { raw_->qos = wanted; }

void ConditionRequest::SetGroup(int64_t group) { raw_->group = group; }

Asked::Asked(const AcceptOptions& options, sp_accept_args* args) : options_(options) {
  args->callback_data = options.callback_data;
  args->condition_kind = options.condition_kind;
  if (!options.condition && options.condition_kind == SP_POINTER_VALID) return;
  args->condition = &Asked::Ask;
  args->condition_context = this;
}

int32_t Asked::Ask(void* context, sp_condition_request* raw) {
  auto* self = static_cast<Asked*>(context);
  ++self->times_;
  ConditionRequest request(raw);
  request.same_thread = raw->same_thread != 0 && std::this_thread::get_id() == self->thread_;
  const uint64_t operation = Trace::Get().Begin(fmt::format(
      "condition caller={} callee={} caller_data={} callee_room={} callback_data={} same_thread={}", NameOf(request.caller),
      NameOf(request.callee), request.caller_data ? std::to_string(request.caller_data->size()) : "null",
      request.takes_callee_data ? std::to_string(request.callee_room) : "null", request.callback_data,
      request.same_thread ? 1 : 0));
  const int32_t answer = self->options_.condition ? self->options_.condition(request) : SP_CONDITION_BAD;
  Trace::Get().End(operation, AnswerName(answer));
  return answer;
}

}  // namespace sockproof
