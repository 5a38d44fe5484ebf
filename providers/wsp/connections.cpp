// WSPConnect and WSPAccept, with user data, quality of service and condition functions.
#include <atomic>
#include <utility>

#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp/adapter.h"

namespace sockproof::wsp {
namespace {

WSABUF BufferOf(const sp_user_data& data) {
  return {data.length, static_cast<char*>(const_cast<void*>(PointerFor(data.kind, data.data)))};
}

QOS QosOf(const sp_qos& qos) {
  const auto flow = [](uint32_t rate, uint32_t peak, uint32_t latency) {
    FLOWSPEC spec{};
    spec.TokenRate = rate;
    spec.PeakBandwidth = peak;
    spec.Latency = latency;
    spec.TokenBucketSize = spec.DelayVariation = spec.MaxSduSize = spec.MinimumPolicedSize = QOS_NOT_SPECIFIED;
    spec.ServiceType = SERVICETYPE_GUARANTEED;
    return spec;
  };
  QOS out{};
  out.SendingFlowspec = flow(qos.send_rate, qos.send_peak, qos.send_latency);
  out.ReceivingFlowspec = flow(qos.receive_rate, qos.receive_peak, qos.receive_latency);
  return out;
}

sp_qos QosFrom(const QOS& qos) {
  const FLOWSPEC& send = qos.SendingFlowspec;
  const FLOWSPEC& receive = qos.ReceivingFlowspec;
  return {send.TokenRate, send.PeakBandwidth, send.Latency, receive.TokenRate, receive.PeakBandwidth, receive.Latency};
}

// The accept that is asking. A provider is to ask in the thread that called it; one that does not finds the last accept.
thread_local sp_accept_args* asking = nullptr;
std::atomic<sp_accept_args*> last_asking{nullptr};

int CALLBACK Ask(LPWSABUF caller, LPWSABUF caller_data, LPQOS qos, LPQOS group_qos, LPWSABUF callee, LPWSABUF callee_data,
                 GROUP* group, DWORD_PTR data) {
  sp_accept_args* const args = asking != nullptr ? asking : last_asking.load();
  if (args == nullptr) return CF_REJECT;
  sp_condition_request request{};
  request.size = sizeof request;
  request.same_thread = asking != nullptr ? 1 : 0;
  const auto address = [](const WSABUF* id, int32_t* has, int32_t* length, sp_address* out) {
    if (id == nullptr) return;
    *has = 1;
    *length = static_cast<int32_t>(id->len);
    static_cast<void>(windows::CanRead(id->buf, id->len) && windows::Decode(id->buf, *length, out));
  };
  address(caller, &request.has_caller, &request.caller_length, &request.caller);
  address(callee, &request.has_callee, &request.callee_length, &request.callee);
  if (caller_data != nullptr) {
    const bool usable = caller_data->buf != nullptr && windows::CanRead(caller_data->buf, caller_data->len);
    request.caller_data = {1, usable ? SP_POINTER_VALID : SP_POINTER_NULL, caller_data->len, caller_data->len,
                           usable ? reinterpret_cast<uint8_t*>(caller_data->buf) : nullptr};
  }
  if (callee_data != nullptr) {
    const bool usable = callee_data->buf != nullptr && windows::CanWrite(callee_data->buf, callee_data->len);
    request.callee_data = {1, usable ? SP_POINTER_VALID : SP_POINTER_NULL, usable ? callee_data->len : 0, callee_data->len,
                           usable ? reinterpret_cast<uint8_t*>(callee_data->buf) : nullptr};
  }
  if (qos != nullptr) {
    request.has_qos = 1;
    request.qos = QosFrom(*qos);
  }
  request.has_group_qos = group_qos != nullptr ? 1 : 0;
  request.callback_data = data;
  request.group = group != nullptr ? static_cast<int64_t>(*group) : 0;
  const int32_t answer = args->condition != nullptr ? args->condition(args->condition_context, &request) : CF_REJECT;
  if (callee_data != nullptr) callee_data->len = request.callee_data.length;
  if (qos != nullptr) {
    const QOS back = QosOf(request.qos);
    qos->SendingFlowspec = back.SendingFlowspec;
    qos->ReceivingFlowspec = back.ReceivingFlowspec;
  }
  if (group != nullptr) *group = static_cast<GROUP>(request.group);
  return answer;
}

}  // namespace

void CallAccept(Adapter* adapter, SOCKET socket, sp_accept_args* args, sp_result* result) {
  if (args->modes != 0) {
    result->error = SP_NOT_SUPPORTED;
    return;
  }
  NameOut peer(&args->peer);
  const bool conditional = args->condition != nullptr || args->condition_kind != SP_POINTER_VALID;
  LPCONDITIONPROC condition = conditional ? Ask : nullptr;
  if (args->condition_kind == SP_POINTER_INVALID) condition = reinterpret_cast<LPCONDITIONPROC>(windows::BadPage());
  if (args->condition_kind == SP_POINTER_NULL) condition = nullptr;
  // A condition function may call accept in turn.
  sp_accept_args* const outer = std::exchange(asking, args);
  if (conditional) last_asking = args;
  // No address is asked for by NULL in both places.
  const bool unasked =
      args->peer.kind == SP_POINTER_NULL && args->peer.length_kind == SP_POINTER_VALID && args->peer.raw == nullptr;
  int code = 0;
  const SOCKET accepted = adapter->table.lpWSPAccept(socket, peer.name(), unasked ? nullptr : peer.length(), condition,
                                                     static_cast<DWORD_PTR>(args->callback_data), &code);
  asking = outer;
  peer.Finish();
  Report(result, accepted == INVALID_SOCKET, static_cast<int64_t>(accepted), code);
  if (accepted == INVALID_SOCKET) return;
  result->handle = {SP_HANDLE_SOCKET, 0, static_cast<int64_t>(accepted)};
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  if (const auto selected = adapter->selections.find(socket); selected != adapter->selections.end()) {
    adapter->selections[accepted] = selected->second;  // it has the listener's
  }
}

void CallConnect(Adapter* adapter, SOCKET socket, sp_connect_args* args, sp_result* result) {
  const NameIn name(args->address);
  WSABUF caller = BufferOf(args->caller_data);
  auto reply = std::make_unique<Reply>();
  reply->buffer = BufferOf(args->callee_data);
  reply->room = reply->buffer.len;
  reply->out = &args->callee_data;
  QOS qos = QosOf(args->qos), group_qos = QosOf(args->qos);
  const bool answers = args->callee_data.present != 0;
  int code = 0;
  const int failed = adapter->table.lpWSPConnect(
      socket, name.name, name.length, args->caller_data.present != 0 ? &caller : nullptr, answers ? &reply->buffer : nullptr,
      args->has_qos != 0 ? &qos : nullptr, args->has_group_qos != 0 ? &group_qos : nullptr, &code);
  Report(result, failed != 0, 0, code);
  if (!answers) return;
  args->callee_data.length = reply->buffer.len;
  if (failed == 0 || code != WSAEWOULDBLOCK) return;
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  adapter->replies[socket] = std::move(reply);
}

// `over`: attempts are known to have ended.
void DeliverReplies(Adapter* adapter, bool over) {
  const std::lock_guard<std::mutex> lock(adapter->mutex);
  for (auto at = adapter->replies.begin(); at != adapter->replies.end();) {
    const Reply& reply = *at->second;
    if (!over && reply.buffer.len == reply.room) {
      ++at;
      continue;
    }
    reply.out->length = reply.buffer.len;
    at = adapter->replies.erase(at);
  }
}

}  // namespace sockproof::wsp
