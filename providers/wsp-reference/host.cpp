#include "wsp-reference/host.h"

#include <algorithm>
#include <cstring>

#include "reference/embedding.h"
#include "windows/errors.h"
#include "windows/memory.h"

extern "C" const struct sp_provider* sockproof_reference_provider(void);

namespace sockproof::wsp_reference {
namespace {

using windows::CanRead;
using windows::CanWrite;
using windows::CodeOf;

// The reference provider writes versions with the major one above.
uint32_t Neutral(WORD version) { return static_cast<uint32_t>(LOBYTE(version)) << 8 | HIBYTE(version); }
WORD Native(uint32_t version) { return MAKEWORD(version >> 8 & 0xff, version & 0xff); }

constexpr wchar_t kDescription[] = L"sockproof's reference provider: sockets of its own, over a network of its own";

}  // namespace

Host& Host::Get() {
  // Never destroyed: threads may still be in a call when the process ends.
  static Host* const host = new Host;
  return *host;
}

bool Host::Open(const char** why) {
  if (self_ != nullptr) return true;
  table_ = *sockproof_reference_provider();
  if (table_.open("winsock-spi", &self_, why) != SP_OK) return false;
  reference::UseRealTime(self_, true);
  // It has been started once; here that is for WSPStartup to do.
  int64_t native = 0;
  static_cast<void>(table_.session->cleanup(self_, &native));
  return true;
}

int Host::Startup(WORD version, WSPDATA* data, const WSAPROTOCOL_INFOW* info, const WSPUPCALLTABLE& upcalls) {
  const char* why = "";
  if (!Open(&why)) return WSASYSNOTREADY;
  const Entry entry;
  uint32_t given = 0, highest = 0;
  int64_t native = 0;
  const int32_t error = table_.session->startup(self_, Neutral(version), &given, &highest, &native);
  data->wVersion = Native(given);
  data->wHighVersion = Native(highest);
  std::copy(std::begin(kDescription), std::end(kDescription), data->szDescription);
  if (error != SP_OK) return CodeOf(error);
  ++count_;
  upcalls_ = upcalls;
  if (info != nullptr) info_ = *info;
  info_.dwServiceFlags1 &= ~static_cast<DWORD>(XP1_IFS_HANDLES);
  return 0;
}

int32_t Host::Cleanup() {
  if (count_ == 0) return SP_NOTINITIALISED;
  const bool last = count_ == 1;
  ending_ = last;  // "without posting any notification messages or without signaling any event objects" (LPWSPCLEANUP, Remarks)
  int64_t native = 0;
  const int32_t error = table_.session->cleanup(self_, &native);
  ending_ = false;
  if (error != SP_OK) return error;
  --count_;
  if (!last) return SP_OK;
  ReapOperations();
  const std::set<SocketContext*> open = sockets_;
  for (SocketContext* context : open) Remove(context);
  for (const auto& [event, watcher] : watchers_) {
    CallResult call;
    Call(SP_OP_WATCH_CLOSE, watcher, &call);
  }
  watchers_.clear();
  return SP_OK;
}

void Host::Call(uint32_t op, const sp_handle& handle, CallResult* call) {
  call->call.size = sizeof call->call;
  call->call.op = op;
  call->call.handle = handle;
  call->result.size = sizeof call->result;
  table_.call(self_, &call->call, &call->result);
}

int32_t Host::Find(SOCKET socket, SocketContext** context) {
  DWORD_PTR value = 0;
  int code = 0;
  if (upcalls_.lpWPUQuerySocketHandleContext(socket, &value, &code) != 0) return SP_ENOTSOCK;
  auto* found = reinterpret_cast<SocketContext*>(value);
  if (sockets_.count(found) == 0) return SP_ENOTSOCK;
  *context = found;
  return SP_OK;
}

int32_t Host::Install(const sp_handle& handle, const WSAPROTOCOL_INFOW& info, SocketContext** made) {
  auto context = std::make_unique<SocketContext>();
  context->handle = handle;
  context->info = info;
  context->info.dwProviderReserved = 0;
  int code = 0;
  const auto value = reinterpret_cast<DWORD_PTR>(context.get());
  context->socket = upcalls_.lpWPUCreateSocketHandle(info_.dwCatalogEntryId, value, &code);
  if (context->socket == INVALID_SOCKET) {
    CallResult close;
    Call(SP_OP_CLOSE, handle, &close);
    return windows::ErrorOf(code);
  }
  *made = context.release();
  sockets_.insert(*made);
  return SP_OK;
}

void Host::Remove(SocketContext* context) {
  EndMessages(context);
  sockets_.erase(context);
  int code = 0;
  static_cast<void>(upcalls_.lpWPUCloseSocketHandle(context->socket, &code));
  delete context;
}

SocketContext* Host::FromHandle(const sp_handle& handle) {
  for (SocketContext* context : sockets_) {
    if (context->handle.value == handle.value) return context;
  }
  return nullptr;
}

int32_t Host::WatcherOf(WSAEVENT event, sp_handle* watcher) {
  if (const auto known = watchers_.find(event); known != watchers_.end()) {
    *watcher = known->second;
    return SP_OK;
  }
  // An event object can be waited for; what else can be asked without changing it?
  if (event == nullptr || WaitForSingleObject(event, 0) == WAIT_FAILED) return SP_EINVAL;
  CallResult call;
  call.call.u.watch_create.mechanism = SP_EVENT_OBJECT;
  Call(SP_OP_WATCH_CREATE, {}, &call);
  if (call.error() != SP_OK) return call.error();
  *watcher = call.result.handle;
  watchers_[event] = *watcher;
  reference::OnEventObject(
      self_, *watcher,
      [this, event](bool set) {
        if (ending_) return;
        DeliverReplies();
        int code = 0;
        static_cast<void>(set ? upcalls_.lpWPUSetEvent(event, &code) : upcalls_.lpWPUResetEvent(event, &code));
      },
      nullptr);
  return SP_OK;
}

void Host::DeliverReplies() {
  for (SocketContext* context : sockets_) {
    if (context->reply == nullptr) continue;
    const ULONG length = context->reply->call.u.connect.callee_data.length;
    if (length == context->reply->room) continue;
    context->reply->out->len = length;
    context->reply.reset();  // the caller need not keep the place from now on
  }
}

Entry::Entry() {
  Host& host = Host::Get();
  const sp_provider& table = host.table();
  if (table.threads->current(host.self()) != 0) return;
  attached_ = true;
  table.scheduler->attach(host.self(), "a caller of the service provider interface");
}

Entry::~Entry() {
  Host& host = Host::Get();
  host.DeliverReplies();
  ReapOperations();
  if (attached_) host.table().scheduler->detach(host.self());
}

int32_t Entry::Find(SOCKET socket, SocketContext** context) {
  Host& host = Host::Get();
  return host.started() ? host.Find(socket, context) : static_cast<int32_t>(SP_NOTINITIALISED);
}

int Finish(int32_t error, LPINT code) {
  if (error == SP_OK) return 0;
  if (code != nullptr) *code = CodeOf(error);
  return SOCKET_ERROR;
}

sp_address_in AddressIn(const sockaddr* name, int length) {
  sp_address_in in{};
  in.length = length;
  if (name == nullptr) {
    in.kind = SP_POINTER_NULL;
  } else if (length > 0 && !CanRead(name, static_cast<std::size_t>(length))) {
    in.kind = SP_POINTER_INVALID;
  } else if (length > 0) {
    static_cast<void>(windows::Decode(name, length, &in.address));
  }
  return in;
}

AddressOut::AddressOut(sockaddr* name, LPINT length, sp_address_out* args) : name_(name), length_(length), args_(args) {
  args->raw = raw_;
  args->raw_size = sizeof raw_;
  args->length_kind = length == nullptr                   ? SP_POINTER_NULL
                      : !CanWrite(length, sizeof *length) ? SP_POINTER_INVALID
                                                          : SP_POINTER_VALID;
  args->length = args->length_kind == SP_POINTER_VALID ? *length : 0;
  args->kind = SP_POINTER_VALID;
  if (name == nullptr) {
    args->kind = SP_POINTER_NULL;
  } else {
    const auto touched = static_cast<std::size_t>(std::clamp<int>(args->length, 0, sizeof(sockaddr_in6)));
    if (!CanWrite(name, touched)) args->kind = SP_POINTER_INVALID;
  }
}

void AddressOut::Deliver() const {
  if (args_->decoded == 0 || args_->kind != SP_POINTER_VALID) return;
  windows::AnyAddress address;
  const int length = windows::Encode(args_->address, &address);
  std::memcpy(name_, &address, static_cast<std::size_t>(std::min(length, *length_)));
  *length_ = length;
}

bool CanCall(LPCONDITIONPROC function) { return CanRead(reinterpret_cast<const void*>(function), 1); }

sp_qos QosIn(const QOS& qos) {
  const FLOWSPEC& send = qos.SendingFlowspec;
  const FLOWSPEC& receive = qos.ReceivingFlowspec;
  return {send.TokenRate, send.PeakBandwidth, send.Latency, receive.TokenRate, receive.PeakBandwidth, receive.Latency};
}

void QosOut(const sp_qos& qos, QOS* out) {
  const auto flow = [](uint32_t rate, uint32_t peak, uint32_t latency) {
    FLOWSPEC spec{};
    spec.TokenRate = rate;
    spec.PeakBandwidth = peak;
    spec.Latency = latency;
    spec.TokenBucketSize = spec.DelayVariation = spec.MaxSduSize = spec.MinimumPolicedSize = QOS_NOT_SPECIFIED;
    spec.ServiceType = SERVICETYPE_BESTEFFORT;
    return spec;
  };
  *out = QOS{};
  out->SendingFlowspec = flow(qos.send_rate, qos.send_peak, qos.send_latency);
  out->ReceivingFlowspec = flow(qos.receive_rate, qos.receive_peak, qos.receive_latency);
}

}  // namespace sockproof::wsp_reference
