// send and recv, sendto and recvfrom, and the WSASend and WSARecv family, which has vectors.
#include <algorithm>
#include <climits>
#include <vector>

#include "adapter.h"
#include "addresses.h"
#include "perform.h"

namespace sockproof::winsock {
namespace {

struct FlagRow {
  std::uint32_t neutral;
  int native;
};
constexpr FlagRow kFlags[] = {
    {SP_MSG_PEEK, MSG_PEEK},
    {SP_MSG_OOB, MSG_OOB},
    {SP_MSG_WAITALL, MSG_WAITALL},
    {SP_MSG_DONTROUTE, MSG_DONTROUTE},
    {SP_MSG_TRUNC, MSG_TRUNC},
    {SP_MSG_CTRUNC, MSG_CTRUNC},
    {SP_MSG_NOSIGNAL, 0},              // nothing to keep away: no call raises a signal
    {SP_MSG_UNKNOWN_BIT, 0x00400000},  // a bit without a meaning
};

// False for a flag that there is none of here (MSG_DONTWAIT).
bool NativeFlags(std::uint32_t flags, int* out) {
  std::uint32_t known = 0;
  *out = 0;
  for (const FlagRow& row : kFlags) {
    known |= row.neutral;
    if ((flags & row.neutral) != 0) *out |= row.native;
  }
  return (flags & ~known) == 0;
}

std::uint32_t NeutralFlags(DWORD flags) {
  std::uint32_t out = 0;
  for (const FlagRow& row : kFlags) {
    if (row.native != 0 && (flags & static_cast<DWORD>(row.native)) != 0) out |= row.neutral;
  }
  return out;
}

std::vector<WSABUF> Buffers(const Adapter& adapter, const sp_transfer_args& args) {
  std::vector<WSABUF> out;
  for (std::uint32_t i = 0; i < args.buffer_count; ++i) {
    const sp_buffer& buffer = args.buffers[i];
    const auto length = static_cast<ULONG>(std::min<std::uint64_t>(buffer.length, ULONG_MAX));
    out.push_back({length, static_cast<char*>(Pointer(adapter, buffer.kind, buffer.data))});
  }
  return out;
}

// What a form has no argument for.
bool Expressible(const sp_transfer_args& args, int* flags) {
  const bool single = args.form == SP_FORM_DEFAULT || args.form == SP_FORM_FILE || args.form == SP_FORM_ADDRESS;
  if (single && args.buffer_count > 1) return false;
  const bool flagless = args.form == SP_FORM_FILE || args.form == SP_FORM_VECTOR;
  if (flagless && args.flags != 0) return false;
  return args.handle_count == 0 && NativeFlags(args.flags, flags);
}

int OneLength(const WSABUF& buffer) { return static_cast<int>(std::min<ULONG>(buffer.len, INT_MAX)); }

}  // namespace

// There is no write of files that knows sockets as they are (WriteFile knows no non-blocking mode): the one without flags is
// WSASend with a single buffer.
void CallSend(Adapter& adapter, SOCKET socket, sp_transfer_args& args, sp_result* result) {
  int flags = 0;
  NativeAddress to{};
  if (!Expressible(args, &flags)) return NotSupported(result);
  const bool addressed = (args.form == SP_FORM_ADDRESS || args.form == SP_FORM_MESSAGE) && args.to.kind != SP_POINTER_NULL;
  if (addressed && Encode(args.to, adapter.bad_page, &to) != SP_OK) return NotSupported(result);
  std::vector<WSABUF> buffers = Buffers(adapter, args);
  if (buffers.empty() && args.form != SP_FORM_MESSAGE && args.form != SP_FORM_VECTOR) buffers.push_back({0, nullptr});
  const auto count = static_cast<DWORD>(buffers.size());
  DWORD sent = 0;
  bool failed = false;
  switch (args.form) {
    case SP_FORM_DEFAULT:
      Perform(result, [&] { return ::send(socket, buffers[0].buf, OneLength(buffers[0]), flags); });
      return;
    case SP_FORM_ADDRESS:
      Perform(result, [&] { return ::sendto(socket, buffers[0].buf, OneLength(buffers[0]), flags, to.pointer, to.length); });
      return;
    case SP_FORM_FILE:
    case SP_FORM_VECTOR:
      failed = Perform(result, [&] { return ::WSASend(socket, buffers.data(), count, &sent, 0, nullptr, nullptr); });
      break;
    case SP_FORM_MESSAGE:
      failed = Perform(result, [&] {
        return ::WSASendTo(socket, buffers.data(), count, &sent, static_cast<DWORD>(flags), to.pointer, to.length, nullptr,
                           nullptr);
      });
      break;
    default:
      return NotSupported(result);
  }
  if (!failed) result->value = sent;
}

void CallRecv(Adapter& adapter, SOCKET socket, sp_transfer_args& args, sp_result* result) {
  int flags = 0;
  const std::uint32_t handle_room = args.handle_count;
  args.flags_out = 0;
  args.handle_count = 0;  // no handles travel here
  if (!Expressible(args, &flags) || handle_room != 0) return NotSupported(result);
  std::vector<WSABUF> buffers = Buffers(adapter, args);
  if (buffers.empty() && args.form != SP_FORM_MESSAGE && args.form != SP_FORM_VECTOR) buffers.push_back({0, nullptr});
  const auto count = static_cast<DWORD>(buffers.size());
  auto in_out = static_cast<DWORD>(flags);
  DWORD got = 0;
  bool failed = false;
  switch (args.form) {
    case SP_FORM_DEFAULT:
      Perform(result, [&] { return ::recv(socket, buffers[0].buf, OneLength(buffers[0]), flags); });
      return;
    case SP_FORM_ADDRESS: {
      NativeAddressOut from(&args.from, adapter.bad_page);
      from.Finish(Perform(result, [&] {
        return ::recvfrom(socket, buffers[0].buf, OneLength(buffers[0]), flags, from.address(), from.length());
      }));
      return;
    }
    case SP_FORM_FILE:
    case SP_FORM_VECTOR:
      failed = Perform(result, [&] { return ::WSARecv(socket, buffers.data(), count, &got, &in_out, nullptr, nullptr); });
      break;
    case SP_FORM_MESSAGE: {
      NativeAddressOut from(&args.from, adapter.bad_page);
      // "lpFrom [...] lpFromlen [...] Required only if lpFrom is specified" (WSARecvFrom, Parameters)
      int* const length = args.from.kind == SP_POINTER_NULL ? nullptr : from.length();
      failed = Perform(result, [&] {
        return ::WSARecvFrom(socket, buffers.data(), count, &got, &in_out, from.address(), length, nullptr, nullptr);
      });
      from.Finish(failed);
      args.flags_out = NeutralFlags(in_out);
      break;
    }
    default:
      return NotSupported(result);
  }
  if (!failed) result->value = got;
}

}  // namespace sockproof::winsock
