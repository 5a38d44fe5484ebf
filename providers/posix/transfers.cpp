#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "adapter.h"
#include "addresses.h"
#include "perform.h"

namespace sockproof::posix {
namespace {

struct FlagRow {
  std::uint32_t neutral;
  int native;
};
constexpr FlagRow kFlags[] = {
    {SP_MSG_PEEK, MSG_PEEK},
    {SP_MSG_OOB, MSG_OOB},
    {SP_MSG_DONTWAIT, MSG_DONTWAIT},
    {SP_MSG_WAITALL, MSG_WAITALL},
    {SP_MSG_NOSIGNAL, MSG_NOSIGNAL},
    {SP_MSG_TRUNC, MSG_TRUNC},
    {SP_MSG_CTRUNC, MSG_CTRUNC},
    {SP_MSG_MORE, MSG_MORE},
    {SP_MSG_EOR, MSG_EOR},
    {SP_MSG_DONTROUTE, MSG_DONTROUTE},
    {SP_MSG_CLOSE_ON_EXEC, MSG_CMSG_CLOEXEC},
    {SP_MSG_UNKNOWN_BIT, 0x00800000},  // a bit without a meaning on Linux
};

int NativeFlags(std::uint32_t flags) {
  int out = 0;
  for (const FlagRow& row : kFlags) {
    if ((flags & row.neutral) != 0) out |= row.native;
  }
  return out;
}

std::uint32_t NeutralFlags(int flags) {
  std::uint32_t out = 0;
  for (const FlagRow& row : kFlags) {
    if ((flags & row.native) != 0) out |= row.neutral;
  }
  return out;
}

void* Pointer(const Adapter& adapter, std::int32_t kind, void* valid) {
  if (kind == SP_POINTER_NULL) return nullptr;
  if (kind == SP_POINTER_INVALID) return adapter.bad_page;
  return valid;
}

struct OneBuffer {
  void* data;
  std::size_t length;
};

OneBuffer TheBuffer(const Adapter& adapter, const sp_transfer_args& args) {
  if (args.buffer_count == 0) return {nullptr, 0};
  const sp_buffer& buffer = args.buffers[0];
  return {Pointer(adapter, buffer.kind, buffer.data), static_cast<std::size_t>(buffer.length)};
}

std::vector<iovec> Vectors(const Adapter& adapter, const sp_transfer_args& args) {
  std::vector<iovec> out(args.buffer_count);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const sp_buffer& buffer = args.buffers[i];
    out[i] = {Pointer(adapter, buffer.kind, buffer.data), static_cast<std::size_t>(buffer.length)};
  }
  return out;
}

// What a form has no argument for.
bool Expressible(const sp_transfer_args& args, bool sending) {
  const bool single = args.form == SP_FORM_DEFAULT || args.form == SP_FORM_FILE || args.form == SP_FORM_ADDRESS;
  if (single && args.buffer_count > 1) return false;
  if ((args.form == SP_FORM_FILE || args.form == SP_FORM_VECTOR) && args.flags != 0) return false;
  if (sending && args.form != SP_FORM_MESSAGE && args.handle_count != 0) return false;
  return args.handle_count <= SP_MAX_HANDLES;
}

// Room for the ancillary data that carries descriptors, aligned as cmsghdr asks.
struct Control {
  alignas(cmsghdr) unsigned char bytes[CMSG_SPACE(sizeof(int) * SP_MAX_HANDLES)];
};

void SendMessage(Adapter& adapter, int descriptor, sp_transfer_args& args, const NativeAddress& to, sp_result* result) {
  std::vector<iovec> vectors = Vectors(adapter, args);
  Control control{};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  if (args.to.kind != SP_POINTER_NULL) {
    message.msg_name = const_cast<sockaddr*>(to.pointer);
    message.msg_namelen = to.length;
  }
  if (args.handle_count != 0) {
    int descriptors[SP_MAX_HANDLES];
    for (std::uint32_t i = 0; i < args.handle_count; ++i) {
      if (Descriptor(adapter, args.handles[i], &descriptors[i]) != SP_OK) return NotSupported(result);
    }
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * args.handle_count);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * args.handle_count);
    std::memcpy(CMSG_DATA(header), descriptors, sizeof(int) * args.handle_count);
  }
  const int flags = NativeFlags(args.flags);
  Perform(result, [&] { return ::sendmsg(descriptor, &message, flags); });
}

void ReceiveMessage(Adapter& adapter, int descriptor, sp_transfer_args& args, NativeAddressOut& from, sp_result* result) {
  std::vector<iovec> vectors = Vectors(adapter, args);
  Control control{};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  if (args.from.kind != SP_POINTER_NULL) {
    message.msg_name = from.address();
    message.msg_namelen = from.initial_length();
  }
  if (args.handle_count != 0) {
    // CMSG_LEN, not CMSG_SPACE: the padding would be room for one more.
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_LEN(sizeof(int) * args.handle_count);
  }
  args.handle_count = 0;
  const int flags = NativeFlags(args.flags);
  const bool failed = Perform(result, [&] { return ::recvmsg(descriptor, &message, flags); });
  from.FinishWith(failed, message.msg_namelen);
  if (failed) return;
  args.flags_out = NeutralFlags(message.msg_flags);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && args.handle_count < SP_MAX_HANDLES; ++i) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof received);
      args.handles[args.handle_count++] = {SP_HANDLE_SOCKET, 0, received};
    }
  }
}

}  // namespace

void CallSend(Adapter& adapter, int descriptor, sp_transfer_args& args, sp_result* result) {
  if (!Expressible(args, true)) return NotSupported(result);
  NativeAddress to{};
  const bool addressed = args.form == SP_FORM_ADDRESS || args.form == SP_FORM_MESSAGE;
  if (addressed && args.to.kind == SP_POINTER_NULL) {
    to.length = args.to.length == SP_NATURAL_LENGTH ? 0 : static_cast<socklen_t>(args.to.length);
  } else if (addressed && Encode(args.to, adapter.bad_page, &to) != SP_OK) {
    return NotSupported(result);
  }
  const OneBuffer one = TheBuffer(adapter, args);
  const int flags = NativeFlags(args.flags);
  switch (args.form) {
    case SP_FORM_DEFAULT:
      Perform(result, [&] { return ::send(descriptor, one.data, one.length, flags); });
      return;
    case SP_FORM_FILE:
      Perform(result, [&] { return ::write(descriptor, one.data, one.length); });
      return;
    case SP_FORM_ADDRESS:
      Perform(result, [&] { return ::sendto(descriptor, one.data, one.length, flags, to.pointer, to.length); });
      return;
    case SP_FORM_MESSAGE:
      return SendMessage(adapter, descriptor, args, to, result);
    case SP_FORM_VECTOR: {
      const std::vector<iovec> vectors = Vectors(adapter, args);
      Perform(result, [&] { return ::writev(descriptor, vectors.data(), static_cast<int>(vectors.size())); });
      return;
    }
    default:
      return NotSupported(result);
  }
}

void CallRecv(Adapter& adapter, int descriptor, sp_transfer_args& args, sp_result* result) {
  if (!Expressible(args, false)) return NotSupported(result);
  args.flags_out = 0;
  const OneBuffer one = TheBuffer(adapter, args);
  const int flags = NativeFlags(args.flags);
  switch (args.form) {
    case SP_FORM_DEFAULT:
      Perform(result, [&] { return ::recv(descriptor, one.data, one.length, flags); });
      break;
    case SP_FORM_FILE:
      Perform(result, [&] { return ::read(descriptor, one.data, one.length); });
      break;
    case SP_FORM_ADDRESS: {
      NativeAddressOut from(&args.from, adapter.bad_page);
      from.Finish(
          Perform(result, [&] { return ::recvfrom(descriptor, one.data, one.length, flags, from.address(), from.length()); }));
      break;
    }
    case SP_FORM_MESSAGE: {
      // msg_namelen stands in the message itself: there is no pointer to be wrong.
      if (args.from.kind != SP_POINTER_NULL && args.from.length_kind != SP_POINTER_VALID) return NotSupported(result);
      NativeAddressOut from(&args.from, adapter.bad_page);
      return ReceiveMessage(adapter, descriptor, args, from, result);
    }
    case SP_FORM_VECTOR: {
      const std::vector<iovec> vectors = Vectors(adapter, args);
      Perform(result, [&] { return ::readv(descriptor, vectors.data(), static_cast<int>(vectors.size())); });
      break;
    }
    default:
      return NotSupported(result);
  }
  if (args.form != SP_FORM_MESSAGE) args.handle_count = 0;
}

}  // namespace sockproof::posix
