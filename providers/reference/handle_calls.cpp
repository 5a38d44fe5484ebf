// Calls about a handle, whatever it stands for: its modes, duplicates of it, and its end.
#include "reference/calls.h"
#include "reference/socket.h"
#include "reference/stack.h"

namespace sockproof::reference {

int32_t CallSetMode(HandleTable::Entry* entry, const sp_mode_args& args) {
  constexpr uint32_t kKnown = SP_NONBLOCKING | SP_CLOSE_ON_EXEC | SP_ASYNC;
  if (((args.set | args.clear) & ~kKnown) != 0) return SP_NOT_SUPPORTED;
  File& file = *entry->file.get();
  auto* socket = dynamic_cast<Socket*>(&file);
  if ((args.clear & SP_NONBLOCKING) != 0 && socket != nullptr && socket->events().active()) return SP_EINVAL;
  if ((args.clear & SP_NONBLOCKING) != 0) file.nonblocking = false;
  if ((args.set & SP_NONBLOCKING) != 0) file.nonblocking = true;
  if ((args.clear & SP_CLOSE_ON_EXEC) != 0) entry->close_on_exec = false;
  if ((args.set & SP_CLOSE_ON_EXEC) != 0) entry->close_on_exec = true;
  if ((args.clear & SP_ASYNC) != 0) file.async = false;
  if ((args.set & SP_ASYNC) != 0) file.async = true;
  return SP_OK;
}

int64_t Modes(const HandleTable::Entry& entry) {
  int64_t modes = 0;
  if (entry.file->nonblocking) modes |= SP_NONBLOCKING;
  if (entry.file->async) modes |= SP_ASYNC;
  if (entry.close_on_exec) modes |= SP_CLOSE_ON_EXEC;
  return modes;
}

int32_t CallDuplicate(Stack* stack, const sp_handle& handle, const Hold& file, const sp_duplicate_args& args, sp_result* result) {
  HandleTable& handles = stack->handles();
  const int32_t kind = handle.kind == SP_HANDLE_WATCHER ? SP_HANDLE_WATCHER : SP_HANDLE_SOCKET;
  if (args.onto == 0) {
    if ((args.modes & ~static_cast<uint32_t>(SP_CLOSE_ON_EXEC)) != 0) return SP_NOT_SUPPORTED;
    if (const int32_t error = handles.Room(); error != SP_OK) return error;
    result->value = handles.Add(file, (args.modes & SP_CLOSE_ON_EXEC) != 0);
  } else {
    if ((args.modes & ~static_cast<uint32_t>(SP_CLOSE_ON_EXEC)) != 0) return SP_EINVAL;
    const int64_t target = args.target.kind == SP_HANDLE_INVALID ? -1 : args.target.value;
    if (!handles.CanHave(target)) return SP_EBADF;
    if (target == handle.value) {
      if (args.modes != 0) return SP_EINVAL;
    } else {
      const Hold before = handles.Remove(target);
      handles.Put(target, file, (args.modes & SP_CLOSE_ON_EXEC) != 0);
    }
    result->value = target;
  }
  result->handle = {kind, 0, result->value};
  return SP_OK;
}

int32_t CallClose(Stack* stack, const sp_handle& handle) {
  if (handle.kind == SP_HANDLE_NOT_SOCKET || handle.kind == SP_HANDLE_PATH_ONLY) {
    return stack->profile().bad_handle == SP_EBADF ? SP_OK : SP_ENOTSOCK;
  }
  if (handle.kind == SP_HANDLE_INVALID) return stack->profile().bad_handle;
  const HandleTable::Entry* entry = stack->handles().Find(handle.value);
  if (entry == nullptr) return stack->profile().bad_handle;
  const auto* socket = dynamic_cast<const Socket*>(entry->file.get());
  if (socket != nullptr && entry->file.last() && socket->CloseWouldBlock()) return SP_EAGAIN;
  Hold file = stack->handles().Remove(handle.value);
  if (stack->profile().close_ends_calls && !stack->handles().Has(file.get())) file->cancelled = true;
  file.Drop();
  return SP_OK;
}

}  // namespace sockproof::reference
