#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "reference/calls.h"
#include "reference/socket.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kMostBuffers = 1024;                                  // IOV_MAX
constexpr uint64_t kMostBytes = uint64_t{0x7fffffff} & ~uint64_t{4095};  // of one transfer

// What a form has no argument for.
bool Expressible(const sp_transfer_args& args, bool sending) {
  const bool single = args.form == SP_FORM_DEFAULT || args.form == SP_FORM_FILE || args.form == SP_FORM_ADDRESS;
  if (single && args.buffer_count > 1) return false;
  if ((args.form == SP_FORM_FILE || args.form == SP_FORM_VECTOR) && args.flags != 0) return false;
  if (sending && args.form != SP_FORM_MESSAGE && args.handle_count != 0) return false;
  return args.handle_count <= SP_MAX_HANDLES;
}

bool Addressed(const sp_transfer_args& args) { return args.form == SP_FORM_ADDRESS || args.form == SP_FORM_MESSAGE; }

int32_t CheckBuffers(const sp_transfer_args& args) {
  if (args.buffer_count > kMostBuffers) return args.form == SP_FORM_MESSAGE ? SP_EMSGSIZE : SP_EINVAL;
  if (args.form != SP_FORM_MESSAGE && args.form != SP_FORM_VECTOR) return SP_OK;
  uint64_t total = 0;
  for (uint32_t i = 0; i < args.buffer_count; ++i) {
    const uint64_t length = args.buffers[i].length;
    if (length > static_cast<uint64_t>(INT64_MAX)) return SP_EINVAL;
    total += length;
    if (total > static_cast<uint64_t>(INT64_MAX)) return SP_EINVAL;
  }
  return SP_OK;
}

void Gather(const sp_transfer_args& args, SendRequest* request) {
  for (uint32_t i = 0; i < args.buffer_count && !request->faults; ++i) {
    const sp_buffer& buffer = args.buffers[i];
    if (buffer.length == 0) continue;
    if (buffer.kind != SP_POINTER_VALID || request->bytes.size() + buffer.length > kMostBytes) {
      request->faults = true;
      break;
    }
    const auto* data = static_cast<const uint8_t*>(buffer.data);
    request->bytes.insert(request->bytes.end(), data, data + buffer.length);
  }
}

void MeasureRoom(const sp_transfer_args& args, RecvRequest* request) {
  uint64_t room = 0;
  for (uint32_t i = 0; i < args.buffer_count; ++i) {
    const sp_buffer& buffer = args.buffers[i];
    if (buffer.length != 0 && buffer.kind != SP_POINTER_VALID) {
      request->faults = true;
      break;
    }
    room = std::min(room + std::min(buffer.length, kMostBytes), kMostBytes);
  }
  request->room = static_cast<std::size_t>(room);
}

void Scatter(const std::vector<uint8_t>& bytes, const sp_transfer_args& args) {
  std::size_t done = 0;
  for (uint32_t i = 0; i < args.buffer_count && done < bytes.size(); ++i) {
    const std::size_t part = static_cast<std::size_t>(std::min<uint64_t>(args.buffers[i].length, bytes.size() - done));
    if (part > 0) std::memcpy(args.buffers[i].data, bytes.data() + done, part);
    done += part;
  }
}

// SCM_RIGHTS: each gets a handle of its own here, as far as there is room for them.
void TakeHandles(Stack* stack, std::vector<Hold> handles, uint32_t room, bool close_on_exec, sp_transfer_args* args) {
  args->handle_count = 0;
  for (Hold& file : handles) {
    if (args->handle_count >= room || stack->handles().Room() != SP_OK) {
      args->flags_out |= SP_MSG_CTRUNC;
      return;
    }
    const int64_t value = stack->handles().Add(std::move(file), close_on_exec);
    args->handles[args->handle_count++] = {SP_HANDLE_SOCKET, 0, value};
  }
}

}  // namespace

int32_t SendCall(Stack* stack, const Hold& file, sp_transfer_args* args, int64_t* value) {
  if (!Expressible(*args, true)) return SP_NOT_SUPPORTED;
  auto* socket = dynamic_cast<Socket*>(file.get());
  if (const int32_t error = CheckBuffers(*args); error != SP_OK) return error;
  if (socket == nullptr) return SP_ENOTSOCK;
  SendRequest request;
  request.flags = args->flags;
  request.nonblocking = file->nonblocking || (args->flags & SP_MSG_DONTWAIT) != 0;
  if (Addressed(*args) && args->to.kind != SP_POINTER_NULL) {
    AddressArgument to;
    if (const int32_t error = ReadAddress(*stack, args->to, &to); error != SP_OK) return error;
    if (to.length > 0) request.to = to;
  }
  for (uint32_t i = 0; i < args->handle_count; ++i) {
    Hold passed;
    if (FindFile(stack, args->handles[i], &passed) != SP_OK) return SP_EBADF;
    request.handles.push_back(std::move(passed));
  }
  Gather(*args, &request);
  if (const int32_t error = stack->TakeBuffer(); error != SP_OK) return error;
  const int32_t error = socket->Send(&request);
  *value = static_cast<int64_t>(request.taken);
  return error;
}

int32_t RecvCall(Stack* stack, const Hold& file, sp_transfer_args* args, int64_t* value) {
  if (!Expressible(*args, false)) return SP_NOT_SUPPORTED;
  args->flags_out = 0;
  const uint32_t handle_room = args->form == SP_FORM_MESSAGE ? args->handle_count : 0;
  args->handle_count = 0;
  const bool from = Addressed(*args) && args->from.kind != SP_POINTER_NULL;
  Prepare(&args->from);
  if (args->form == SP_FORM_MESSAGE && from) {
    // msg_namelen stands in the message itself: there is no pointer to be wrong, and it is looked at first.
    if (args->from.length_kind != SP_POINTER_VALID) return SP_NOT_SUPPORTED;
    if (args->from.length < 0 && args->from.length != SP_NATURAL_LENGTH) return SP_EINVAL;
  }
  if (const int32_t error = CheckBuffers(*args); error != SP_OK) return error;
  auto* socket = dynamic_cast<Socket*>(file.get());
  if (socket == nullptr) return SP_ENOTSOCK;
  RecvRequest request;
  request.flags = args->flags;
  request.nonblocking = file->nonblocking || (args->flags & SP_MSG_DONTWAIT) != 0;
  request.wants_handles = handle_room > 0;
  MeasureRoom(*args, &request);
  const int32_t error = socket->Recv(&request);
  if (error != SP_OK && error != stack->profile().datagram_too_long) return error;
  Scatter(request.bytes, *args);
  const bool whole = (args->flags & SP_MSG_TRUNC) != 0;
  *value = static_cast<int64_t>(whole ? request.full_length : request.bytes.size());
  if (from) {
    if (request.from.has_value()) {
      const int32_t stored = Store(*request.from, stack->profile().short_is_fault, &args->from);
      if (stored != SP_OK) return stored;
    } else if (args->from.length_kind != SP_POINTER_VALID) {
      return SP_EFAULT;
    } else {
      args->from.reported = 0;
    }
  }
  if (args->form == SP_FORM_MESSAGE) {
    args->flags_out = request.flags_out | (args->flags & SP_MSG_CLOSE_ON_EXEC);
    TakeHandles(stack, std::move(request.handles), handle_room, (args->flags & SP_MSG_CLOSE_ON_EXEC) != 0, args);
  }
  return error;
}

}  // namespace sockproof::reference
