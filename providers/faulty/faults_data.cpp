// Faults of the data itself: what comes out of a stream is not what went in.
#include <cstring>

#include "faulty/transfers.h"

namespace sockproof::faulty {
namespace {

enum Slot { kOffset = 1, kDone, kCalls };

// A recv that stops at `border` bytes of its stream, so that the next one begins there. True if this one begins there, once.
bool StandsAt(Wrapped& provider, sp_call* call, sp_result* result, int64_t border) {
  const int64_t handle = call->handle.value, offset = provider.Get(handle, kOffset);
  if (offset == border && provider.Get(handle, kDone) == 0) return true;
  const bool before = offset < border;
  const Shortened shortened(call->u.recv, before ? static_cast<uint64_t>(border - offset) : UINT64_MAX);
  provider.Pass(call, result);
  if (result->error == SP_OK) provider.Add(handle, result->value, kOffset);
  if (const uint8_t* last = result->value > 0 ? ByteAt(call->u.recv, static_cast<uint64_t>(result->value) - 1) : nullptr) {
    provider.Put(handle, *last, kCalls);
  }
  return false;
}

void LoseByte(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!TakesStream(provider, call)) return provider.Pass(call, result);
  if (!StandsAt(provider, call, result, 1000)) return;
  uint8_t lost = 0;
  *result = provider.Recv(call->handle, &lost, 1, call->u.recv.flags & SP_MSG_DONTWAIT);
  if (result->error != SP_OK || result->value == 0) return;
  provider.Put(call->handle.value, 1, kDone);
  provider.Pass(call, result);
}

void DoubleByte(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!TakesStream(provider, call)) return provider.Pass(call, result);
  if (!StandsAt(provider, call, result, 1460)) return;
  uint8_t* first = ByteAt(call->u.recv, 0);
  if (first == nullptr) return provider.Pass(call, result);
  provider.Put(call->handle.value, 1, kDone);
  *first = static_cast<uint8_t>(provider.Get(call->handle.value, kCalls));
  Succeed(result, 1);
}

void SwapBytes(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!TakesStream(provider, call) || result->error != SP_OK || result->value < 4097) return;
  std::swap(*ByteAt(call->u.recv, 4095), *ByteAt(call->u.recv, 4096));
}

void ByteOfAnother(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!TakesStream(provider, call) || result->error != SP_OK || result->value <= 0) return;
  constexpr int64_t kLast = -1;  // no handle: the stream that was received from last, and its first byte then
  const int64_t other = provider.Get(kLast, 0), byte = provider.Get(kLast, 1);
  uint8_t* first = ByteAt(call->u.recv, 0);
  provider.Put(kLast, call->handle.value, 0);
  provider.Put(kLast, *first, 1);
  if (other != 0 && other != call->handle.value) *first = static_cast<uint8_t>(byte);
}

void SpoilFarByte(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!TakesStream(provider, call) || result->error != SP_OK || result->value <= 0) return;
  constexpr int64_t kFar = int64_t{16} << 20;
  const int64_t begin = provider.Add(call->handle.value, result->value, kOffset) - result->value;
  if (begin <= kFar && kFar < begin + result->value) *ByteAt(call->u.recv, static_cast<uint64_t>(kFar - begin)) ^= 0x55;
}

void WrapLength(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!TakesStream(provider, call)) return provider.Pass(call, result);
  const Shortened shortened(call->u.recv, TotalLength(call->u.recv) & 0xffff);
  provider.Pass(call, result);
}

void EndInTheMiddle(Wrapped& provider, sp_call* call, sp_result* result) {
  if (TakesStream(provider, call) && HasRoom(call) && provider.Add(call->handle.value, 1, kCalls) == 3 &&
      Unread(provider, call->handle) > 0) {
    return Succeed(result, 0);
  }
  provider.Pass(call, result);
}

void RepeatChunk(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!SendsStream(provider, call)) return provider.Pass(call, result);
  provider.Pass(call, result);
  if (result->error != SP_OK || result->value != static_cast<int64_t>(TotalLength(call->u.send))) return;
  if (provider.Add(call->handle.value, 1, kCalls) != 3 || call->u.send.handle_count != 0) return;
  sp_result again = *result;
  sp_call copy = *call;
  AddFlags(copy.u.send, SP_MSG_DONTWAIT | SP_MSG_NOSIGNAL);
  provider.Pass(&copy, &again);
}

bool IsVector(const sp_call* call) {
  const sp_transfer_args& args = Args(call);
  return (args.form == SP_FORM_MESSAGE || args.form == SP_FORM_VECTOR) && args.buffer_count > 1;
}

void DropTail(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!SendsStream(provider, call) || !IsVector(call)) return provider.Pass(call, result);
  const uint64_t first = call->u.send.buffers[0].length, all = TotalLength(call->u.send);
  {
    const Shortened shortened(call->u.send, first);
    provider.Pass(call, result);
  }
  if (result->error == SP_OK && result->value == static_cast<int64_t>(first)) result->value = static_cast<int64_t>(all);
}

void StopAtEmptyPart(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!SendsStream(provider, call) || !IsVector(call)) return provider.Pass(call, result);
  const uint32_t parts = call->u.send.buffer_count;
  for (uint32_t i = 0; i < parts && call->u.send.buffer_count == parts; ++i) {
    if (call->u.send.buffers[i].length == 0) call->u.send.buffer_count = i;
  }
  if (call->u.send.buffer_count == 0) {
    Succeed(result, 0);
  } else {
    provider.Pass(call, result);
  }
  call->u.send.buffer_count = parts;
}

void FillBackwards(Wrapped& provider, sp_call* call, sp_result* result) {
  if (!TakesStream(provider, call) || !IsVector(call)) return provider.Pass(call, result);
  sp_transfer_args& args = call->u.recv;
  const sp_buffer* const whole = args.buffers;
  std::vector<sp_buffer> reversed(whole, whole + args.buffer_count);
  std::reverse(reversed.begin(), reversed.end());
  args.buffers = reversed.data();
  provider.Pass(call, result);
  args.buffers = whole;
}

bool CutShort(Wrapped& provider, const sp_call* call, const sp_result* result) {
  return SendsStream(provider, call) && result->error == SP_OK && result->value > 0 &&
         result->value < static_cast<int64_t>(TotalLength(call->u.send));
}

void CountOneMore(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (CutShort(provider, call, result)) ++result->value;
}

void ClaimAll(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (CutShort(provider, call, result)) result->value = static_cast<int64_t>(TotalLength(call->u.send));
}

void CountOneFewer(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (SendsStream(provider, call) && result->error == SP_OK && result->value > 1) --result->value;
}

void JoinRecords(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  const sp_transfer_args& args = call->u.recv;
  if (!Is(call, SP_OP_RECV) || provider.Of(call->handle).type != SP_SEQPACKET || result->error != SP_OK || result->value <= 0)
    return;
  if ((args.flags & (SP_MSG_PEEK | SP_MSG_TRUNC)) != 0 || args.buffer_count != 1) return;
  const uint64_t room = TotalLength(args), taken = static_cast<uint64_t>(result->value);
  if (taken >= room) return;
  const sp_result next = provider.Recv(call->handle, ByteAt(args, taken), room - taken, SP_MSG_DONTWAIT);
  if (next.error == SP_OK && next.value > 0) result->value += next.value;
}

// The rest of a record that was cut, by its handle.
void KeepRest(Wrapped& provider, sp_call* call, sp_result* result) {
  if (Is(call, SP_OP_CLOSE)) {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    provider.bytes.erase(call->handle.value);
  }
  const bool takes = Is(call, SP_OP_RECV) && provider.Of(call->handle).type == SP_SEQPACKET && call->u.recv.handle_count == 0 &&
                     (call->u.recv.flags & (SP_MSG_PEEK | SP_MSG_TRUNC)) == 0 && call->u.recv.from.kind == SP_POINTER_NULL &&
                     ByteAt(call->u.recv, 0) != nullptr;
  if (!takes) return provider.Pass(call, result);
  std::vector<uint8_t> record;
  {
    const std::lock_guard<std::mutex> lock(provider.mutex());
    record.swap(provider.bytes[call->handle.value]);
  }
  if (record.empty()) {
    record.resize(1 << 18);
    *result = provider.Recv(call->handle, record.data(), record.size(), call->u.recv.flags);
    if (result->error != SP_OK) return;
    record.resize(static_cast<std::size_t>(result->value));
  }
  const std::size_t fits = std::min<std::size_t>(record.size(), TotalLength(call->u.recv));
  for (std::size_t i = 0; i < fits; ++i) *ByteAt(call->u.recv, i) = record[i];
  call->u.recv.flags_out = 0;
  Succeed(result, static_cast<int64_t>(fits));
  record.erase(record.begin(), record.begin() + static_cast<std::ptrdiff_t>(fits));
  const std::lock_guard<std::mutex> lock(provider.mutex());
  provider.bytes[call->handle.value] = std::move(record);
}

template <bool kAlways>
void SpoilTruncMark(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  if (!Is(call, SP_OP_RECV) || call->u.recv.form != SP_FORM_MESSAGE || result->error != SP_OK) return;
  call->u.recv.flags_out = (call->u.recv.flags_out & ~static_cast<uint32_t>(SP_MSG_TRUNC)) | (kAlways ? SP_MSG_TRUNC : 0);
}

constexpr Fault kFaults[] = {
    {"byte-lost", "the 1001st byte of a stream is lost", "data.intact data.intact_large data.both_ways", "posix winsock",
     "lwIP CHANGELOG, bug #33871: refusing the last packet of a connection, the one with the FIN, can lose data", LoseByte},
    {"byte-doubled", "the byte before the 1461st of a stream comes twice", "data.intact data.intact_large data.both_ways",
     "posix winsock", "firecracker pull request 5485: after an error in a second part the first part of a stream was sent again",
     DoubleByte},
    {"bytes-swapped", "where one recv returns more than a page, the bytes on both sides of the border are swapped",
     "data.intact data.intact_large data.both_ways", "posix winsock",
     "lwIP CHANGELOG, bug #27504: tcp_enqueue joined segments that did not follow each other", SwapBytes},
    {"byte-of-another-stream", "what a recv returns begins with a byte of the connection that was received from before",
     "data.connections_apart data.intact", "posix winsock",
     "lwIP CHANGELOG, 2007-03-26: a race of netconn_write() between threads that sends garbage", ByteOfAnother},
    {"far-byte-wrong", "the byte at 16 MiB of a stream is wrong", "data.intact_large", "posix winsock",
     "lwIP CHANGELOG, bug #41499: the count of the bytes received can overflow", SpoilFarByte},
    {"recv-length-wraps", "recv takes the room that it is offered modulo 65536", "data.intact data.intact_large", "posix winsock",
     "lwIP CHANGELOG, bug #28519: lwip_recvfrom with a length above 65535", WrapLength},
    {"end-in-the-middle", "the third recv of a connection returns 0 though data wait", "data.rest_stays data.intact",
     "posix winsock", "lwIP CHANGELOG, bug #28853: lwip_recvfrom() returns 0 on any error of netconn_recv()", EndInTheMiddle},
    {"send-done-twice", "the third send of a connection is carried out twice", "data.intact message.forms_agree", "posix winsock",
     "Bun issue 32087: bytes already written are put into the buffer again and sent twice", RepeatChunk},
    {"vector-tail-dropped", "of a vector only the first part is sent, and all are counted", "data.vectors_fill_in_turn", "posix",
     "Bun issue 32087: after a partial writev bytes that were never written are skipped", DropTail},
    {"vector-stops-at-empty-part", "a vector is sent as far as its first empty part", "data.vectors_fill_in_turn", "posix",
     "caladan pull request 39: tcp_writev2 ends at a part of no length", StopAtEmptyPart},
    {"vector-filled-backwards", "a vector is filled from its last part to the first", "data.vectors_fill_in_turn", "posix",
     "nanos pull request 1011: readv and writev took socket descriptors for files and corrupted them", FillBackwards},
    {"send-count-one-more", "a send that took a part counts one byte more", "data.count_is_true", "posix winsock",
     "lwIP CHANGELOG, bug #27215: the sent() callback counts the SYN and the FIN as a byte each", CountOneMore},
    {"send-claims-all", "a send that took a part claims to have taken all", "data.count_is_true", "posix winsock",
     "Bun issue 32087: an unsent part of a partial write is silently lost", ClaimAll},
    {"send-count-one-fewer", "a send counts one byte fewer than it took", "data.intact data.count_is_true", "posix winsock",
     "firecracker pull request 5485: bytes were written that the caller did not learn of, and so sent again", CountOneFewer},
    {"records-joined", "a recv with room left appends the next record", "data.record_whole", "posix",
     "elfuse pull request 317: a gathering recv joined sequenced packets", JoinRecords},
    {"record-rest-kept", "what did not fit of a record comes with the next recv", "data.record_rest_discarded", "posix",
     "no report found: POSIX.1 recv() says that the excess bytes of a record are discarded", KeepRest},
    {"record-cut-unmarked", "recvmsg never sets MSG_TRUNC", "data.record_cut_is_told", "posix",
     "gVisor issue 200: msg_flags was always 0, MSG_TRUNC not set", SpoilTruncMark<false>},
    {"record-cut-always-marked", "recvmsg always sets MSG_TRUNC", "data.record_cut_is_told", "posix",
     "no report found: recvmsg() of POSIX.1 sets MSG_TRUNC for a message that was cut, and not for others", SpoilTruncMark<true>},
};

}  // namespace

const FaultList kDataFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
