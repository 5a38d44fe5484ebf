// connect and WSAConnect, accept and WSAAccept with its condition function.
#include <algorithm>
#include <cstring>

#include "adapter.h"
#include "addresses.h"
#include "perform.h"

namespace sockproof::winsock {
namespace {

constexpr std::uint32_t kUnspecified = UINT32_MAX;

FLOWSPEC Flow(std::uint32_t rate, std::uint32_t peak, std::uint32_t latency) {
  FLOWSPEC flow;
  std::memset(&flow, 0xff, sizeof flow);  // QOS_NOT_SPECIFIED
  flow.TokenRate = rate;
  flow.PeakBandwidth = peak;
  flow.Latency = latency;
  const bool specified = rate != kUnspecified || peak != kUnspecified || latency != kUnspecified;
  flow.ServiceType = specified ? SERVICETYPE_GUARANTEED : SERVICETYPE_BESTEFFORT;
  return flow;
}

QOS NativeQos(const sp_qos& qos) {
  QOS out{};
  out.SendingFlowspec = Flow(qos.send_rate, qos.send_peak, qos.send_latency);
  out.ReceivingFlowspec = Flow(qos.receive_rate, qos.receive_peak, qos.receive_latency);
  return out;
}

sp_qos NeutralQos(const QOS& qos) {
  return {static_cast<std::uint32_t>(qos.SendingFlowspec.TokenRate),
          static_cast<std::uint32_t>(qos.SendingFlowspec.PeakBandwidth),
          static_cast<std::uint32_t>(qos.SendingFlowspec.Latency),
          static_cast<std::uint32_t>(qos.ReceivingFlowspec.TokenRate),
          static_cast<std::uint32_t>(qos.ReceivingFlowspec.PeakBandwidth),
          static_cast<std::uint32_t>(qos.ReceivingFlowspec.Latency)};
}

WSABUF Buffer(const Adapter& adapter, const sp_user_data& data) {
  return {data.length, static_cast<char*>(Pointer(adapter, data.kind, data.data))};
}

// What one WSAAccept asks its condition function, found by the thread that is in the call: dwCallbackData is the scenario's.
struct Accepting {
  sp_condition_function function;
  void* context;
  DWORD thread;
  Accepting* outer;
};
thread_local Accepting* t_accepting = nullptr;
std::mutex g_accepting_mutex;
Accepting* g_accepting = nullptr;  // the call that began last, for a provider that asks in a thread of its own

sp_user_data UserData(const WSABUF* buffer) {
  if (buffer == nullptr) return {0, SP_POINTER_NULL, 0, 0, nullptr};
  auto* data = reinterpret_cast<std::uint8_t*>(buffer->buf);
  const std::uint32_t room = data != nullptr ? static_cast<std::uint32_t>(buffer->len) : 0;
  return {1, data != nullptr ? SP_POINTER_VALID : SP_POINTER_NULL, room, static_cast<std::uint32_t>(buffer->len), data};
}

void TakeAddress(const WSABUF* buffer, std::int32_t* has, sp_address* address, std::int32_t* length) {
  *has = buffer != nullptr ? 1 : 0;
  if (buffer == nullptr) return;
  *length = static_cast<std::int32_t>(buffer->len);
  if (buffer->buf != nullptr) windows::Decode(buffer->buf, static_cast<int>(buffer->len), address);
}

int NativeAnswer(std::int32_t answer) {
  switch (answer) {
    case SP_CONDITION_ACCEPT:
      return CF_ACCEPT;
    case SP_CONDITION_REJECT:
      return CF_REJECT;
    case SP_CONDITION_DEFER:
      return CF_DEFER;
    default:
      return answer;
  }
}

int CALLBACK Condition(LPWSABUF caller, LPWSABUF caller_data, LPQOS qos, LPQOS group_qos, LPWSABUF callee, LPWSABUF callee_data,
                       GROUP* group, DWORD_PTR callback_data) {
  const OutOfCall out_of_call;
  const Accepting* asked = t_accepting;
  if (asked == nullptr) {
    const std::lock_guard<std::mutex> lock(g_accepting_mutex);
    asked = g_accepting;
  }
  if (asked == nullptr) return CF_REJECT;  // asked by nobody's accept
  sp_condition_request request{};
  request.size = sizeof request;
  request.same_thread = asked->thread == ::GetCurrentThreadId() ? 1 : 0;
  TakeAddress(caller, &request.has_caller, &request.caller, &request.caller_length);
  TakeAddress(callee, &request.has_callee, &request.callee, &request.callee_length);
  request.caller_data = UserData(caller_data);
  request.callee_data = UserData(callee_data);
  request.has_qos = qos != nullptr ? 1 : 0;
  if (qos != nullptr) request.qos = NeutralQos(*qos);
  request.has_group_qos = group_qos != nullptr ? 1 : 0;
  request.callback_data = callback_data;
  const std::int32_t answer = asked->function(asked->context, &request);
  if (callee_data != nullptr) callee_data->len = request.callee_data.length;
  if (qos != nullptr) {
    const QOS wanted = NativeQos(request.qos);
    qos->SendingFlowspec = wanted.SendingFlowspec;
    qos->ReceivingFlowspec = wanted.ReceivingFlowspec;
  }
  if (group != nullptr) *group = static_cast<GROUP>(request.group);
  return NativeAnswer(answer);
}

// Makes an accept known to its condition function for as long as it lasts.
class Known {
 public:
  explicit Known(const sp_accept_args& args)
      : accepting_{args.condition, args.condition_context, ::GetCurrentThreadId(), t_accepting} {
    t_accepting = &accepting_;
    const std::lock_guard<std::mutex> lock(g_accepting_mutex);
    before_ = g_accepting;
    g_accepting = &accepting_;
  }
  ~Known() {
    t_accepting = accepting_.outer;
    const std::lock_guard<std::mutex> lock(g_accepting_mutex);
    if (g_accepting == &accepting_) g_accepting = before_ == accepting_.outer ? before_ : nullptr;
  }
  Known(const Known&) = delete;
  Known& operator=(const Known&) = delete;

 private:
  Accepting accepting_;
  Accepting* before_ = nullptr;
};

}  // namespace

void CallConnect(Adapter& adapter, SOCKET socket, sp_connect_args& args, sp_result* result) {
  NativeAddress address;
  if (Encode(args.address, adapter.bad_page, &address) != SP_OK) return NotSupported(result);
  const bool plain =
      args.caller_data.present == 0 && args.callee_data.present == 0 && args.has_qos == 0 && args.has_group_qos == 0;
  if (plain) {
    Perform(result, [&] { return ::connect(socket, address.pointer, address.length); });
    return;
  }
  WSABUF caller = Buffer(adapter, args.caller_data);
  QOS qos = NativeQos(args.qos);
  QOS group_qos = NativeQos(args.qos);
  WSABUF own = Buffer(adapter, args.callee_data);
  WSABUF* callee = &own;
  const auto number = static_cast<std::uint64_t>(socket);
  if (args.callee_data.present != 0) {
    // Windows may write to it long after the call has returned.
    const std::lock_guard<std::mutex> lock(adapter.mutex);
    LateData& late = adapter.late[number];
    late = {own, &args.callee_data};
    callee = &late.buffer;
  }
  const bool failed = Perform(result, [&] {
    return ::WSAConnect(socket, address.pointer, address.length, args.caller_data.present != 0 ? &caller : nullptr,
                        args.callee_data.present != 0 ? callee : nullptr, args.has_qos != 0 ? &qos : nullptr,
                        args.has_group_qos != 0 ? &group_qos : nullptr);
  });
  if (args.callee_data.present == 0) return;
  SettleLateData(adapter, socket);
  if (failed && result->native == WSAEWOULDBLOCK) return;
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  adapter.late.erase(number);
}

void SettleLateData(Adapter& adapter, SOCKET socket) {
  const std::lock_guard<std::mutex> lock(adapter.mutex);
  const auto found = adapter.late.find(static_cast<std::uint64_t>(socket));
  if (found != adapter.late.end()) found->second.args->length = static_cast<std::uint32_t>(found->second.buffer.len);
}

void CallAccept(Adapter& adapter, SOCKET socket, sp_accept_args& args, sp_result* result) {
  if (args.modes != 0) return NotSupported(result);
  NativeAddressOut peer(&args.peer, adapter.bad_page);
  SOCKET made = INVALID_SOCKET;
  bool failed = false;
  if (args.condition == nullptr && args.condition_kind != SP_POINTER_INVALID) {
    // The other form takes no modes here: it is WSAAccept, without a condition function.
    failed = Perform(result, [&] {
      made = args.form == 0 ? ::accept(socket, peer.address(), peer.length())
                            : ::WSAAccept(socket, peer.address(), peer.length(), nullptr, 0);
      return made;
    });
  } else {
    const Known known(args);
    LPCONDITIONPROC condition = &Condition;
    if (args.condition_kind == SP_POINTER_NULL) condition = nullptr;
    if (args.condition_kind == SP_POINTER_INVALID) condition = reinterpret_cast<LPCONDITIONPROC>(adapter.bad_page);
    const auto data = static_cast<DWORD_PTR>(args.callback_data);
    failed = Perform(result, [&] { return made = ::WSAAccept(socket, peer.address(), peer.length(), condition, data); });
  }
  peer.Finish(failed);
  if (failed) return;
  result->handle = HandleOf(made);
  adapter.selections.Inherit(static_cast<std::uint64_t>(socket), static_cast<std::uint64_t>(made));
}

}  // namespace sockproof::winsock
