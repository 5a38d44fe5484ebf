#include "reference/overlapped.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "reference/calls.h"
#include "reference/connect_data.h"
#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {
namespace {

constexpr int64_t kCost = kMicrosecond;  // as any call

// The stream socket behind a handle.
int32_t FindStream(Stack* stack, const sp_handle& handle, std::shared_ptr<StreamSocket>* out) {
  Hold file;
  if (const int32_t error = FindFile(stack, handle, &file); error != SP_OK) return error;
  *out = std::dynamic_pointer_cast<StreamSocket>(file.file());
  if (*out != nullptr) return SP_OK;
  return dynamic_cast<Socket*>(file.get()) != nullptr ? SP_EOPNOTSUPP : SP_ENOTSOCK;
}

// Windows Sockets 2, AcceptEx function (mswsock.h)
class AcceptOperation final : public Operation {
 public:
  using Operation::Operation;

  int32_t Begin() override {
    sp_accept_args& args = call_->u.accept;
    Prepare(&args.local);
    Prepare(&args.peer);
    if (const int32_t error = FindStream(stack_, call_->handle, &listener_); error != SP_OK) return error;
    if (const int32_t error = FindStream(stack_, args.accept_on, &on_); error != SP_OK) return error;
    if (!listener_->Listening() || !on_->Fresh() || on_->family() != listener_->family()) return SP_EINVAL;
    if (args.output.kind != SP_POINTER_VALID) return SP_EFAULT;
    if (args.first_data_length < 0) return SP_EINVAL;
    if (!HasRoom(args.local) || !HasRoom(args.peer)) return SP_EINVAL;
    on_->Engage(true);
    Watch(listener_);
    Watch(on_);
    return SP_IO_PENDING;
  }

  void Step() override {
    if (!taken_) {
      if (!listener_->Listening()) return Abort();
      const int32_t error = listener_->TakeOverlapped(on_.get());
      if (error == SP_EAGAIN) return;
      if (error != SP_OK) return End(error, 0);
      taken_ = true;
    }
    if (on_->Handshaking()) return;
    if (!on_->Connected()) return End(SP_ECONNRESET, 0);
    sp_accept_args& args = call_->u.accept;
    RecvRequest first;
    first.room = static_cast<std::size_t>(args.first_data_length);
    first.nonblocking = true;
    if (first.room > 0) {
      const int32_t error = on_->Recv(&first);
      if (error == SP_EAGAIN) return;
      if (error != SP_OK) return End(error, 0);
      if (!first.bytes.empty()) std::memcpy(args.output.data, first.bytes.data(), first.bytes.size());
    }
    int32_t error = Store(on_->OwnEnd(), true, &args.local);
    if (error == SP_OK) error = Store(on_->OtherEnd(), true, &args.peer);
    End(error, static_cast<int64_t>(first.bytes.size()));
  }

  void Undo() override {
    if (taken_) on_->GiveUp();
    on_->Engage(false);
  }

 private:
  // "at least 16 bytes more than the maximum address length for the transport protocol in use" (Parameters)
  bool HasRoom(const sp_address_out& out) const {
    const int32_t least = LengthOf(NoAddress(listener_->family())) + 16;
    return out.length == SP_NATURAL_LENGTH || out.length >= least;
  }
  void End(int32_t error, int64_t value) {
    on_->Engage(false);
    if (error != SP_OK && taken_) on_->GiveUp();
    Finish(error, value, call_->u.accept.accept_on);
  }
  std::shared_ptr<StreamSocket> listener_, on_;
  bool taken_ = false;
};

// Windows Sockets 2, LPFN_CONNECTEX callback function (mswsock.h)
class ConnectOperation final : public Operation {
 public:
  using Operation::Operation;

  int32_t Begin() override {
    sp_connect_args& args = call_->u.connect;
    if (const int32_t error = FindStream(stack_, call_->handle, &socket_); error != SP_OK) return error;
    ConnectRequest request;
    request.nonblocking = true;
    request.by_events = false;
    if (const int32_t error = socket_->CheckConnectOverlapped(); error != SP_OK) return error;
    if (const int32_t error = ReadAddress(*stack_, args.address, &request.to); error != SP_OK) return error;
    if (const int32_t error = ReadConnectData(*socket_, args, &request.data); error != SP_OK) return error;
    if (args.first_data.length > 0) {
      if (args.first_data.kind != SP_POINTER_VALID) return SP_EFAULT;
      const auto* data = static_cast<const uint8_t*>(args.first_data.data);
      first_.bytes.assign(data, data + args.first_data.length);
      first_.nonblocking = true;
    }
    const int32_t error = socket_->Connect(&request);
    if (error != SP_OK && error != stack_->profile().connecting) return error;
    Watch(socket_);
    return SP_IO_PENDING;
  }

  void Step() override {
    if (!connected_) {
      const int32_t error = socket_->ConnectOutcome();
      if (error == SP_EAGAIN) return;
      if (error != SP_OK) return Finish(error);
      connected_ = true;
    }
    if (first_.taken < first_.bytes.size()) {
      const int32_t error = socket_->Send(&first_);
      if (error != SP_OK && error != SP_EAGAIN) return Finish(error);
      if (first_.taken < first_.bytes.size()) return;
    }
    Finish(SP_OK, static_cast<int64_t>(first_.taken));
  }

  void Undo() override { socket_->GiveUp(); }

 private:
  std::shared_ptr<StreamSocket> socket_;
  SendRequest first_;
  bool connected_ = false;
};

// Windows Sockets 2, LPFN_DISCONNECTEX callback function (mswsock.h)
class DisconnectOperation final : public Operation {
 public:
  using Operation::Operation;

  int32_t Begin() override {
    const sp_disconnect_args& args = call_->u.disconnect;
    if (const int32_t error = FindStream(stack_, call_->handle, &socket_); error != SP_OK) return error;
    if (args.reserved != 0 || args.extra_flags != 0) return SP_EINVAL;
    if (!socket_->Connected()) return SP_ENOTCONN;
    socket_->EndSending();
    Watch(socket_);
    return SP_IO_PENDING;
  }

  // "a TCP socket may be subject to the TCP TIME_WAIT state, causing the DisconnectEx call to be delayed" (Parameters)
  void Step() override {
    const bool reuse = call_->u.disconnect.reuse != 0;
    if (!socket_->Disconnected(reuse)) return;
    if (reuse) socket_->BecomeFresh();
    Finish(SP_OK);
  }

  void Undo() override { socket_->GiveUp(); }

 private:
  std::shared_ptr<StreamSocket> socket_;
};

std::unique_ptr<Operation> Make(Stack* stack, sp_call* call) {
  switch (call->op) {
    case SP_OP_ACCEPT:
      return call->u.accept.extended != SP_PLAIN ? std::make_unique<AcceptOperation>(stack, call) : nullptr;
    case SP_OP_CONNECT:
      return call->u.connect.extended != SP_PLAIN ? std::make_unique<ConnectOperation>(stack, call) : nullptr;
    case SP_OP_DISCONNECT:
      return std::make_unique<DisconnectOperation>(stack, call);
    default:
      return nullptr;
  }
}

Operation* ToOperation(sp_operation operation) { return reinterpret_cast<Operation*>(operation); }

}  // namespace

Operation::~Operation() { Unwatch(); }

void Operation::Watch(const std::shared_ptr<File>& file) {
  files_.push_back(file);
  file->AddObserver(this);
}

void Operation::Unwatch() {
  for (const auto& file : files_) file->RemoveObserver(this);
  files_.clear();
}

bool Operation::Changed(uint32_t) {
  stack_->operations().Kick();
  return false;
}

void Operation::Finish(int32_t error, int64_t value, sp_handle handle) {
  result_.size = sizeof result_;
  result_.error = result_.native = error;
  result_.value = error == SP_OK ? value : -1;
  if (error == SP_OK) result_.handle = handle;
  if (error != SP_OK) result_.handle = {SP_HANDLE_INVALID, 0, -1};
  done_ = true;
  Unwatch();
  if (ended_) ended_(result_);
}

void Operation::Abort() {
  if (done_) return;
  Undo();
  Finish(SP_OPERATION_ABORTED);
}

Operations::~Operations() { scheduler_->Cancel(&timer_); }

Operation* Operations::Begin(Stack* stack, sp_call* call, int32_t* error) {
  std::unique_ptr<Operation> operation = Make(stack, call);
  *error = operation == nullptr ? static_cast<int32_t>(SP_NOT_SUPPORTED) : operation->Begin();
  if (*error != SP_IO_PENDING) return nullptr;
  operations_.push_back(std::move(operation));
  Kick();
  return operations_.back().get();
}

void Operations::Remove(Operation* operation) {
  operations_.remove_if([&](const std::unique_ptr<Operation>& one) { return one.get() == operation; });
}

void Operations::AbortAll() {
  for (const auto& operation : operations_) operation->Abort();
}

void Operations::Kick() {
  if (timer_ != 0) return;
  timer_ = scheduler_->At(scheduler_->Now(), [this] {
    timer_ = 0;
    StepAll();
  });
}

void Operations::StepAll() {
  for (const auto& operation : operations_) {
    if (!operation->done()) operation->Step();
  }
}

int32_t BeginOperation(Stack* stack, sp_call* call, sp_operation* operation) {
  if (stack->profile().capabilities.count(SP_CAP_OVERLAPPED) == 0) return SP_NOT_SUPPORTED;
  Scheduler& scheduler = stack->scheduler();
  scheduler.RunDue();
  scheduler.Yield();
  scheduler.Spend(kCost);
  if (!stack->session().started()) return SP_NOTINITIALISED;
  int32_t error = SP_OK;
  Operation* begun = stack->operations().Begin(stack, call, &error);
  *operation = reinterpret_cast<sp_operation>(begun);
  scheduler.RunDue();
  return begun != nullptr && begun->done() && begun->result().error == SP_OK ? static_cast<int32_t>(SP_OK) : error;
}

int32_t WaitForOperation(Stack* stack, sp_operation operation, int64_t timeout, sp_result* result) {
  Scheduler& scheduler = stack->scheduler();
  scheduler.RunDue();
  scheduler.Yield();
  scheduler.Spend(kCost);
  Operation* waited = ToOperation(operation);
  if (!waited->done() && timeout != 0) {
    const int32_t error = stack->Block([waited] { return waited->done(); }, timeout, SP_EAGAIN, "an overlapped operation");
    if (error != SP_OK) return error;
  }
  if (!waited->done()) return SP_EAGAIN;
  *result = waited->result();
  stack->operations().Remove(waited);
  return SP_OK;
}

int32_t CancelOperation(Stack* stack, sp_operation operation) {
  stack->scheduler().RunDue();
  ToOperation(operation)->Abort();
  stack->scheduler().RunDue();
  return SP_OK;
}

int32_t DisconnectAndWait(Stack* stack, sp_call* call) {
  int32_t error = SP_OK;
  Operation* operation = stack->operations().Begin(stack, call, &error);
  if (operation == nullptr) return error;
  error = stack->Block([operation] { return operation->done(); }, -1, SP_ETIMEDOUT, "disconnect");
  if (error == SP_OK) error = operation->result().error;
  stack->operations().Remove(operation);
  return error;
}

}  // namespace sockproof::reference
