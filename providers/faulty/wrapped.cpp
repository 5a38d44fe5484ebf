#include "faulty/wrapped.h"

#include <chrono>
#include <cstring>
#include <thread>

namespace sockproof::faulty {

Wrapped::Wrapped(const Fault* fault, const sp_provider& table, void* self) : fault_(fault), inner_(table), self_(self) {}

void Wrapped::Pass(sp_call* call, sp_result* result) {
  if (call->op == SP_OP_CLOSE || call->op == SP_OP_WATCH_CLOSE) {
    // Before it is gone: the number may be another thread's a moment later.
    const std::lock_guard<std::mutex> lock(mutex_);
    known_.erase(call->handle.value);
    for (auto at = memory_.lower_bound({call->handle.value, INT32_MIN}); at != memory_.end();) {
      if (at->first.first != call->handle.value) break;
      at = memory_.erase(at);
    }
  }
  inner_.call(self_, call, result);
  Learn(*call, *result);
}

void Wrapped::Learn(const sp_call& call, const sp_result& result) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto made = [&](sp_handle handle) -> Known& { return known_[handle.value] = Known{}; };
  const bool ok = result.error == SP_OK;
  const auto find = [&] { return known_.find(call.handle.value); };
  switch (call.op) {
    case SP_OP_SOCKET:
    case SP_OP_SOCKETPAIR:
      if (!ok) return;
      for (const sp_handle handle : {result.handle, call.op == SP_OP_SOCKETPAIR ? call.u.socketpair.second : result.handle}) {
        const sp_socket_args& args = call.op == SP_OP_SOCKET ? call.u.socket : call.u.socketpair.of;
        Known& one = made(handle);
        one.family = args.family;
        one.type = args.type;
        one.nonblocking = (args.modes & SP_NONBLOCKING) != 0;
        one.connected = call.op == SP_OP_SOCKETPAIR;
      }
      return;
    case SP_OP_ACCEPT: {
      if (!ok) return;
      const auto parent = find();
      Known& one = made(result.handle);
      if (parent != known_.end()) one.family = parent->second.family, one.type = parent->second.type;
      one.nonblocking = (call.u.accept.modes & SP_NONBLOCKING) != 0;
      one.connected = one.accepted = true;
      one.listener = call.handle.value;
      return;
    }
    case SP_OP_DUPLICATE: {
      if (!ok) return;
      const auto original = find();
      if (original != known_.end()) known_[result.handle.value] = original->second;
      return;
    }
    case SP_OP_WATCH_CREATE:
      if (ok) made(result.handle).watcher_mechanism = call.u.watch_create.mechanism;
      return;
    default:
      break;
  }
  const auto at = find();
  if (at == known_.end()) return;
  Known& one = at->second;
  switch (call.op) {
    case SP_OP_LISTEN:
      if (ok) one.listening = true, one.backlog = call.u.listen.backlog;
      break;
    case SP_OP_CONNECT:
      one.connecting =
          result.error == SP_EINPROGRESS || result.error == SP_EAGAIN || result.error == SP_EINTR || result.error == SP_EALREADY;
      one.connected = one.connected || ok;
      break;
    case SP_OP_SET_MODE:
      if (ok && (call.u.set_mode.set & SP_NONBLOCKING) != 0) one.nonblocking = true;
      if (ok && (call.u.set_mode.clear & SP_NONBLOCKING) != 0) one.nonblocking = false;
      break;
    case SP_OP_IOCTL:
      if (ok && call.u.ioctl.request == SP_IOCTL_NONBLOCKING) one.nonblocking = call.u.ioctl.argument != 0;
      break;
    case SP_OP_SEND:
      if (ok) one.sent += static_cast<uint64_t>(result.value);
      break;
    case SP_OP_RECV:
      if (ok) one.received += static_cast<uint64_t>(result.value);
      break;
    default:
      break;
  }
}

sp_result Wrapped::Do(uint32_t op, sp_handle handle, sp_call* call) {
  call->size = sizeof *call;
  call->op = op;
  call->handle = handle;
  sp_result result{};
  result.size = sizeof result;
  inner_.call(self_, call, &result);
  return result;
}

sp_result Wrapped::Close(sp_handle handle) {
  sp_call call{};
  return Do(SP_OP_CLOSE, handle, &call);
}

sp_result Wrapped::Shutdown(sp_handle handle, int32_t how) {
  sp_call call{};
  call.u.shutdown.how = how;
  return Do(SP_OP_SHUTDOWN, handle, &call);
}

sp_result Wrapped::Accept(sp_handle handle, uint32_t modes) {
  sp_call call{};
  call.u.accept.modes = modes;
  call.u.accept.peer.kind = call.u.accept.peer.length_kind = SP_POINTER_NULL;
  call.u.accept.peer.length = SP_NATURAL_LENGTH;
  const sp_result result = Do(SP_OP_ACCEPT, handle, &call);
  Learn(call, result);
  return result;
}

sp_result Wrapped::Recv(sp_handle handle, void* data, uint64_t length, uint32_t flags) {
  sp_call call{};
  const sp_buffer buffer{data, length, SP_POINTER_VALID, 0};
  call.u.recv.flags = flags;
  call.u.recv.buffers = &buffer;
  call.u.recv.buffer_count = 1;
  call.u.recv.from.kind = call.u.recv.from.length_kind = SP_POINTER_NULL;
  call.u.recv.from.length = SP_NATURAL_LENGTH;
  return Do(SP_OP_RECV, handle, &call);
}

sp_result Wrapped::Send(sp_handle handle, const void* data, uint64_t length, uint32_t flags) {
  sp_call call{};
  const sp_buffer buffer{const_cast<void*>(data), length, SP_POINTER_VALID, 0};
  call.u.send.flags = flags;
  call.u.send.buffers = &buffer;
  call.u.send.buffer_count = 1;
  call.u.send.to.kind = SP_POINTER_NULL;
  return Do(SP_OP_SEND, handle, &call);
}

sp_call Wrapped::GetOption(sp_handle handle, int32_t option, int32_t value_type, bool* ok) {
  sp_call call{};
  call.u.get_option.option = option;
  call.u.get_option.value_type = value_type;
  call.u.get_option.length = SP_NATURAL_LENGTH;
  *ok = Do(SP_OP_GET_OPTION, handle, &call).error == SP_OK;
  return call;
}

sp_result Wrapped::SetOption(sp_handle handle, int32_t option, int32_t value_type, sp_option_args value) {
  sp_call call{};
  call.u.set_option = value;
  call.u.set_option.option = option;
  call.u.set_option.value_type = value_type;
  call.u.set_option.length = SP_NATURAL_LENGTH;
  return Do(SP_OP_SET_OPTION, handle, &call);
}

std::optional<int64_t> Wrapped::GetInteger(sp_handle handle, int32_t option) {
  bool ok = false;
  const sp_call call = GetOption(handle, option, SP_VALUE_INTEGER, &ok);
  return ok ? std::optional<int64_t>(call.u.get_option.integer) : std::nullopt;
}

std::optional<int64_t> Wrapped::GetDuration(sp_handle handle, int32_t option) {
  bool ok = false;
  const sp_call call = GetOption(handle, option, SP_VALUE_DURATION, &ok);
  return ok ? std::optional<int64_t>(call.u.get_option.duration_ns) : std::nullopt;
}

sp_result Wrapped::SetInteger(sp_handle handle, int32_t option, int64_t value) {
  sp_option_args args{};
  args.integer = value;
  return SetOption(handle, option, SP_VALUE_INTEGER, args);
}

sp_result Wrapped::SetDuration(sp_handle handle, int32_t option, int64_t nanoseconds) {
  sp_option_args args{};
  args.duration_ns = nanoseconds;
  return SetOption(handle, option, SP_VALUE_DURATION, args);
}

sp_result Wrapped::SetLinger(sp_handle handle, bool on, int32_t seconds) {
  sp_option_args args{};
  args.linger_on = on ? 1 : 0;
  args.linger_seconds = seconds;
  return SetOption(handle, SP_SO_LINGER, SP_VALUE_LINGER, args);
}

sp_result Wrapped::SetNonblocking(sp_handle handle, bool on) {
  sp_call call{};
  (on ? call.u.set_mode.set : call.u.set_mode.clear) = SP_NONBLOCKING;
  return Do(SP_OP_SET_MODE, handle, &call);
}

bool Wrapped::IsNonblocking(sp_handle handle) {
  sp_call call{};
  const sp_result result = Do(SP_OP_GET_MODE, handle, &call);
  // Not every interface can tell (ioctlsocket cannot).
  if (result.error != SP_OK) return Of(handle).nonblocking;
  return (result.value & SP_NONBLOCKING) != 0;
}

namespace {

std::optional<sp_address> Name(Wrapped& provider, uint32_t op, sp_handle handle) {
  uint8_t raw[256];
  sp_call call{};
  sp_address_out& name = call.u.local_name.name;
  name.length = SP_NATURAL_LENGTH;
  name.raw = raw;
  name.raw_size = sizeof raw;
  if (provider.Do(op, handle, &call).error != SP_OK || name.decoded == 0) return std::nullopt;
  return name.address;
}

}  // namespace

std::optional<sp_address> Wrapped::LocalName(sp_handle handle) { return Name(*this, SP_OP_LOCAL_NAME, handle); }
std::optional<sp_address> Wrapped::PeerName(sp_handle handle) { return Name(*this, SP_OP_PEER_NAME, handle); }

uint32_t Wrapped::Ready(sp_handle handle, uint32_t events, int64_t timeout_ns) {
  for (const int32_t mechanism : {SP_POLL, SP_WSAPOLL, SP_SELECT}) {
    sp_call make{};
    make.u.watch_create.mechanism = mechanism;
    const sp_result made = Do(SP_OP_WATCH_CREATE, sp_handle{}, &make);
    if (made.error != SP_OK) continue;
    sp_call add{};
    add.u.watch_set.watcher = made.handle;
    add.u.watch_set.events = events;
    uint32_t ready = 0;
    if (Do(SP_OP_WATCH_ADD, handle, &add).error == SP_OK) {
      sp_event event{};
      sp_call wait{};
      wait.u.watch_wait.timeout_ns = timeout_ns;
      wait.u.watch_wait.capacity = 1;
      wait.u.watch_wait.events = &event;
      if (Do(SP_OP_WATCH_WAIT, made.handle, &wait).error == SP_OK && wait.u.watch_wait.count > 0) ready = event.events;
    }
    sp_call close{};
    Do(SP_OP_WATCH_CLOSE, made.handle, &close);
    return ready;
  }
  return 0;
}

void Wrapped::Pause(int64_t nanoseconds) {
  if (inner_.scheduler != nullptr && inner_.scheduler->wait_until != nullptr) {
    inner_.scheduler->wait_until(
        self_, [](void*) -> int32_t { return 0; }, nullptr, nanoseconds, "a pause of a fault");
    return;
  }
  std::this_thread::sleep_for(std::chrono::nanoseconds(nanoseconds));
}

int64_t Wrapped::Now() {
  if (inner_.clock != nullptr && inner_.clock->now_ns != nullptr) return inner_.clock->now_ns(self_);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Known Wrapped::Of(sp_handle handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = known_.find(handle.value);
  return found != known_.end() && handle.kind == SP_HANDLE_SOCKET ? found->second : Known{};
}

bool Wrapped::IsTcp(sp_handle handle) {
  const Known known = Of(handle);
  return known.type == SP_STREAM && known.family != SP_UNIX;
}

int64_t Wrapped::Get(int64_t key, int slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = memory_.find({key, slot});
  return found != memory_.end() ? found->second : 0;
}

void Wrapped::Put(int64_t key, int64_t value, int slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  memory_[{key, slot}] = value;
}

int64_t Wrapped::Add(int64_t key, int64_t value, int slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return memory_[{key, slot}] += value;
}

void Fail(sp_result* result, int32_t error) {
  result->error = error;
  result->native = 0;
  result->value = -1;
  result->handle = sp_handle{SP_HANDLE_INVALID, 0, -1};
}

void Succeed(sp_result* result, int64_t value) {
  result->error = SP_OK;
  result->native = 0;
  result->value = value;
}

uint64_t TotalLength(const sp_transfer_args& args) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < args.buffer_count; ++i) total += args.buffers[i].length;
  return total;
}

uint8_t* ByteAt(const sp_transfer_args& args, uint64_t offset) {
  for (uint32_t i = 0; i < args.buffer_count; ++i) {
    const sp_buffer& buffer = args.buffers[i];
    if (offset < buffer.length) return buffer.kind == SP_POINTER_VALID ? static_cast<uint8_t*>(buffer.data) + offset : nullptr;
    offset -= buffer.length;
  }
  return nullptr;
}

}  // namespace sockproof::faulty
