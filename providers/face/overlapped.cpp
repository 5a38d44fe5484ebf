#include "face/overlapped.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "face/address_slot.h"
#include "face/codec.h"
#include "face/trace.h"

namespace sockproof {
namespace {

AskAddress Reserved(int32_t length) {
  AskAddress ask;
  ask.length = length;
  return ask;
}

sp_accept_args AcceptArguments(const Socket& on) {
  sp_accept_args args{};
  args.accept_on = on.handle();
  args.peer.reported = args.local.reported = -1;
  return args;
}

sp_disconnect_args DisconnectArguments(const DisconnectOptions& options, int32_t extended) {
  return {options.reuse ? 1u : 0u, options.reserved, options.extra_flags, extended};
}

Result CallAtOnce(const Socket& socket, sp_call* call) {
  sp_result result{};
  call->handle = socket.handle();
  Host::Get().Call(call, &result);
  return Result(*call, result);
}

}  // namespace

// Everything that the provider may look at until the operation has ended.
struct Pending::State {
  sp_call call{};
  sp_result result{};
  int32_t began = SP_NOT_SUPPORTED;
  sp_operation operation = nullptr;
  uint64_t traced = 0;
  bool done = false;
  std::string data;                     // of a connect
  std::optional<GuardedBuffer> output;  // of an accept
  std::optional<AddressSlot> peer, local;
};

Pending::Pending(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pending::Pending(Pending&& other) noexcept = default;

Pending& Pending::operator=(Pending&& other) noexcept {
  if (this != &other) {
    GiveUp();
    state_ = std::move(other.state_);
  }
  return *this;
}

Pending::~Pending() { GiveUp(); }

void Pending::GiveUp() {
  if (state_ == nullptr || !begun() || state_->done) return;
  static_cast<void>(Cancel());
  // One that does not end even so still owns the memory: the process ends with the scenario.
  if (!Done(Patience())) static_cast<void>(state_.release());
}

void Pending::Begin() {
  Host& host = Host::Get();
  const sp_provider& table = host.table();
  if (table.begin == nullptr || table.wait == nullptr || table.cancel == nullptr) {
    host.reporter().NotSupported("overlapped", "the provider cannot begin a call");
  }
  state_->call.size = sizeof state_->call;
  const std::string text = CallText(state_->call);
  state_->traced = Trace::Get().Begin("begin " + text);
  state_->began = table.begin(host.self(), &state_->call, &state_->operation);
  if (state_->began == SP_NOT_SUPPORTED) host.reporter().NotSupported("overlapped", "the provider cannot begin: " + text);
  if (begun()) {
    Trace::Get().Note(fmt::format("operation {:06} {}", state_->traced, ErrorName(state_->began)));
  } else {
    Trace::Get().End(state_->traced, fmt::format("refused {}", ErrorName(state_->began)));
  }
}

Outcome Pending::Began() const { return Outcome::OfError(state_->began, 0, "begin " + CallText(state_->call)); }

bool Pending::begun() const { return state_->began == SP_OK || state_->began == SP_IO_PENDING; }

bool Pending::Done(Nanoseconds limit) {
  if (!begun() || state_->done) return true;
  Host& host = Host::Get();
  state_->result = sp_result{};
  state_->result.size = sizeof state_->result;
  const int32_t waited = host.table().wait(host.self(), state_->operation, limit.count(), &state_->result);
  if (waited == SP_EAGAIN) return false;
  if (waited != SP_OK) {
    host.reporter().StepFailed(SOCKPROOF_HERE, "wait for " + CallText(state_->call), Outcome::OfError(waited, 0));
  }
  state_->done = true;
  Trace::Get().End(state_->traced, ResultText(state_->call, state_->result));
  const char* name = state_->call.op == SP_OP_ACCEPT ? "accept" : "connect";
  if (state_->peer) state_->peer->Check(name);
  if (state_->local) state_->local->Check(name);
  if (state_->output) {
    const int64_t used = state_->result.error == SP_OK ? state_->result.value : 0;
    if (used < 0 || static_cast<uint64_t>(used) > state_->output->size()) {
      host.reporter().ContractBroken("possible_result",
                                     fmt::format("accept received {} bytes into {}", used, state_->output->size()));
    } else {
      state_->output->CheckUntouchedFrom(static_cast<std::size_t>(used), name);
    }
  }
  return true;
}

Result Pending::Wait(Nanoseconds limit, Where where) {
  Host& host = Host::Get();
  if (!begun()) host.reporter().StepFailed(where, "begin " + CallText(state_->call), Began());
  if (!Done(limit)) {
    host.reporter().StepFailed(where, CallText(state_->call) + " did not end", Outcome(OutcomeName{"still_blocked"}));
  }
  return Result(state_->call, state_->result);
}

Outcome Pending::Settle(Nanoseconds limit) {
  if (!begun()) return Began();
  if (!Done(limit)) return Outcome(OutcomeName{"still_blocked"}, CallText(state_->call));
  return Result(state_->call, state_->result);
}

Outcome Pending::Cancel() {
  if (!begun()) return Began();
  if (state_->done) return Outcome::OfError(SP_OK, 0, "had ended");
  Host& host = Host::Get();
  const uint64_t traced = Trace::Get().Begin(fmt::format("cancel operation {:06}", state_->traced));
  const int32_t error = host.table().cancel(host.self(), state_->operation);
  Trace::Get().End(traced, ErrorName(error));
  return Outcome::OfError(error, 0, "cancel " + CallText(state_->call));
}

NameResult Pending::Peer() const {
  NameResult name(state_->call, state_->result);
  if (state_->peer) state_->peer->Take(&name);
  return name;
}

NameResult Pending::Local() const {
  NameResult name(state_->call, state_->result);
  if (state_->local) state_->local->Take(&name);
  return name;
}

std::string Pending::Data() const {
  if (!state_->output || !state_->done || state_->result.error != SP_OK) return {};
  const auto count =
      std::min(static_cast<uint64_t>(std::max<int64_t>(state_->result.value, 0)), uint64_t{state_->output->size()});
  return std::string(state_->output->data(), state_->output->data() + count);
}

Pending BeginAccept(Socket& listener, Socket& on, const BeginAcceptOptions& options) {
  auto state = std::make_unique<Pending::State>();
  state->call.op = SP_OP_ACCEPT;
  state->call.handle = listener.handle();
  sp_accept_args& args = state->call.u.accept;
  args = AcceptArguments(on);
  args.extended = SP_OVERLAPPED;
  args.first_data_length = static_cast<int32_t>(options.first_data);
  state->output.emplace(options.first_data);
  args.output = {state->output->data(), options.first_data, options.output_kind, 0};
  state->peer.emplace(Reserved(options.remote_length), &args.peer);
  state->local.emplace(Reserved(options.local_length), &args.local);
  Pending pending(std::move(state));
  pending.Begin();
  return pending;
}

Result AcceptWithoutOverlapped(Socket& listener, Socket& on) {
  sp_call call{};
  call.op = SP_OP_ACCEPT;
  call.u.accept = AcceptArguments(on);
  call.u.accept.extended = SP_NO_OVERLAPPED;
  const AddressSlot peer({}, &call.u.accept.peer), local({}, &call.u.accept.local);
  return CallAtOnce(listener, &call);
}

Pending BeginConnect(Socket& socket, const Address& address, const BeginConnectOptions& options) {
  auto state = std::make_unique<Pending::State>();
  state->call.op = SP_OP_CONNECT;
  state->call.handle = socket.handle();
  state->data = options.first_data;
  sp_connect_args& args = state->call.u.connect;
  args.address = AddressWith(address);
  args.extended = SP_OVERLAPPED;
  args.first_data = {state->data.data(), state->data.size(), SP_POINTER_VALID, 0};
  Pending pending(std::move(state));
  pending.Begin();
  return pending;
}

Result ConnectWithoutOverlapped(Socket& socket, const Address& address) {
  sp_call call{};
  call.op = SP_OP_CONNECT;
  call.u.connect.address = AddressWith(address);
  call.u.connect.extended = SP_NO_OVERLAPPED;
  return CallAtOnce(socket, &call);
}

Pending BeginDisconnect(Socket& socket, const DisconnectOptions& options) {
  auto state = std::make_unique<Pending::State>();
  state->call.op = SP_OP_DISCONNECT;
  state->call.handle = socket.handle();
  state->call.u.disconnect = DisconnectArguments(options, SP_OVERLAPPED);
  Pending pending(std::move(state));
  pending.Begin();
  return pending;
}

Result Disconnect(Socket& socket, const DisconnectOptions& options) {
  sp_call call{};
  call.op = SP_OP_DISCONNECT;
  call.u.disconnect = DisconnectArguments(options, SP_NO_OVERLAPPED);
  return CallAtOnce(socket, &call);
}

}  // namespace sockproof
