// Both directions of data: what a send may take, what a receive may deliver, when either may fail or wait no longer.
#include <fmt/format.h>

#include "face/payload.h"
#include "oracle/judge.h"

namespace sockproof::oracle {
namespace {

const Rule kIntact("data.intact", "What is received is what the peer sent, byte for byte and in order.", "data.intact");
const Rule kCount("data.count", "No more bytes are received than were sent.", "data.count_is_true");
const Rule kPossible("data.possible_count", "A call takes or delivers no more than it was given or offered.",
                     "contract.possible_result");
const Rule kNoEarlyEnd("data.no_early_end", "The stream does not end before the peer has ended it.", "shutdown.wr_no_early_end");
const Rule kBeforeEnd("data.before_end", "Everything that was sent is delivered before the end of the stream.",
                      "data.data_before_end");
const Rule kEndStays("data.end_repeats", "The end of a stream is reported again by every further receive.", "data.end_repeats");
const Rule kRecvWaits("data.recv_waits", "A blocking receive without a time-out does not say that there is nothing.", "",
                      "POSIX.1-2001 recv() DESCRIPTION");
const Rule kSendWaits("data.send_waits", "A blocking send without a time-out does not say that there is no room.", "",
                      "POSIX.1-2001 send() DESCRIPTION");
const Rule kRecvEarly("data.recv_time_out", "SO_RCVTIMEO does not end a receive before its time.", "message.recv_timeout_time");
const Rule kSendEarly("data.send_time_out", "SO_SNDTIMEO does not end a send before its time.", "message.send_timeout_time");
const Rule kReady("data.ready_is_true",
                  "A receive on a socket that was reported readable, and from which nobody has received since, does not wait.",
                  "", "POSIX.1-2001 poll() DESCRIPTION POLLIN");
const Rule kRecvSound("data.recv_sound", "A receive does not fail on a connection that nothing has ended or reset.", "",
                      "POSIX.1-2001 recv() ERRORS");
const Rule kSendSound("data.send_sound", "A send does not fail on a connection that nothing has ended or reset.", "",
                      "POSIX.1-2001 send() ERRORS");
const Rule kSendShut("data.send_shut", "After SHUT_WR a send fails.", "shutdown.wr_send");
const Rule kSendNothing("data.send_shut_nothing", "After SHUT_WR even a send of no bytes fails.", "shutdown.wr_send_nothing");
const Rule kSendNone("data.send_unconnected", "A send fails where there is no connection.", "message.send_unconnected");
const Rule kRecvNone("data.recv_unconnected", "A receive fails where there is no connection.", "message.recv_unconnected");
const Rule kRecvNoneLocal("data.recv_unconnected_local", "A receive fails on a local socket without a connection.",
                          "message.recv_unconnected_local");
const Rule kSendListener("data.send_listener", "Sending on a listener fails.", "listen.send");
const Rule kRecvListener("data.recv_listener", "Receiving on a listener fails, and does not wait.", "listen.receive");
const Rule kRecvListenerLocal("data.recv_listener_local", "Receiving on a local listener fails, and does not wait.",
                              "listen.receive_unix");

const Rule kShutReads("data.recv_shut", "After SHUT_RD a receive with nothing queued does not wait.", "shutdown.rd_receive");
const Rule kResetTold("data.reset_told", "The end of a connection by an abort is not reported as an orderly one.",
                      "close.reset_told");
const Rule kRecvPending("data.recv_pending", "A receive before the connection is established fails.", "progress.recv_pending");
const Rule kSendPending("data.send_pending", "A send before the connection is established fails, and takes nothing.",
                        "progress.send_pending");
const Rule kRecvEnds("data.recv_time_out_error", "A receive that SO_RCVTIMEO ends fails with EAGAIN.",
                     "message.recv_timeout_error");

constexpr int64_t kTick = 20000000;
constexpr uint64_t kMostCompared = 4096;

bool IsStream(const Socket& socket) { return socket.type == SP_STREAM; }

// Lengths in "pieces=3,4" or "room=64,bad:3"; false: one is wrong on purpose.
bool Lengths(std::string_view text, uint64_t* sum) {
  *sum = 0;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    uint64_t length = 0;
    for (const char digit : part) {
      if (digit < '0' || digit > '9') return false;
      length = length * 10 + static_cast<uint64_t>(digit - '0');
    }
    *sum += length;
  }
  return true;
}

struct Bytes {
  uint64_t length = 0;
  bool plain = true;                  // no pointer is wrong
  std::vector<Stream::Piece> pieces;  // `at` counts from 0
};

int Digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

// "3:616263", "30:6162...+".
bool ReadData(std::string_view text, Bytes* out) {
  const std::size_t colon = text.find(':');
  Stream::Piece piece;
  piece.at = out->length;
  if (colon == std::string_view::npos || !Lengths(text.substr(0, colon), &piece.length)) return false;
  const std::string_view hex = text.substr(colon + 1);
  if (hex == "bad" || hex == "null") return false;
  piece.known = true;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = Digit(hex[i]), low = Digit(hex[i + 1]);
    if (high < 0 || low < 0) break;
    piece.bytes += static_cast<char>(high * 16 + low);
  }
  out->length += piece.length;
  out->pieces.push_back(std::move(piece));
  return true;
}

bool ReadPayload(std::string_view text, uint64_t length, Bytes* out) {
  const std::size_t first = text.find(','), second = text.find(',', first + 1);
  uint64_t seed = 0, offset = 0;
  if (second == std::string_view::npos || !Lengths(text.substr(0, first), &seed) ||
      !Lengths(text.substr(first + 1, second - first - 1), &offset)) {
    return false;
  }
  out->pieces.push_back({out->length, length, true, seed, offset, {}});
  out->length += length;
  return true;
}

Bytes Sent(const Operation& call) {
  Bytes bytes;
  for (const auto& [key, text] : call.arguments.all()) {
    uint64_t length = 0;
    if (key == "data") bytes.plain = ReadData(text, &bytes) && bytes.plain;
    if (key == "payload") {
      bytes.plain = Lengths(call.arguments.Get("pieces"), &length) && ReadPayload(text, length, &bytes) && bytes.plain;
    }
  }
  return bytes;
}

// The length in "SEED,OFFSET,LENGTH".
uint64_t Last(std::string_view text) {
  uint64_t length = 0;
  const std::size_t comma = text.rfind(',');
  static_cast<void>(comma != std::string_view::npos && Lengths(text.substr(comma + 1), &length));
  return length;
}

Bytes Got(const Operation& call) {
  Bytes bytes;
  for (const auto& [key, text] : call.results.all()) {
    if (key == "data") bytes.plain = ReadData(text, &bytes) && bytes.plain;
    if (key == "payload") bytes.plain = ReadPayload(text, Last(text), &bytes) && bytes.plain;
  }
  return bytes;
}

// A byte of a piece, if the trace tells it.
std::optional<uint8_t> ByteOf(const Stream::Piece& piece, uint64_t index) {
  if (!piece.known) return std::nullopt;
  if (piece.seed) return Payload{*piece.seed, piece.offset, piece.length}.At(index);
  if (index < piece.bytes.size()) return static_cast<uint8_t>(piece.bytes[index]);
  return std::nullopt;
}

// Where what was received differs from what stands at `from` of the stream; empty when nothing shows a difference.
std::string Difference(const Stream& sent, uint64_t from, const Bytes& got) {
  auto piece = std::upper_bound(sent.pieces.begin(), sent.pieces.end(), from,
                                [](uint64_t at, const Stream::Piece& of) { return at < of.at + of.length; });
  for (const Stream::Piece& part : got.pieces) {
    uint64_t compared = 0;
    for (uint64_t i = 0; i < part.length && piece != sent.pieces.end() && compared < kMostCompared;) {
      const uint64_t at = from + part.at + i;
      while (piece != sent.pieces.end() && at >= piece->at + piece->length) ++piece;
      if (piece == sent.pieces.end() || at < piece->at) break;
      const uint64_t here = at - piece->at;
      const uint64_t run = std::min(part.length - i, piece->length - here);
      // Two pieces of the same payload agree, or do not, without a look at the bytes.
      if (part.seed && piece->seed && part.seed == piece->seed && part.offset + i == piece->offset + here) {
        i += run;
        continue;
      }
      const auto want = ByteOf(*piece, here), have = ByteOf(part, i);
      if (want && have && *want != *have) return fmt::format("byte {} of the stream is {:#04x}, not {:#04x}", at, *have, *want);
      // A long piece without bytes in the trace is passed over.
      const bool blind = (!part.seed && i >= part.bytes.size()) || (!piece->seed && here >= piece->bytes.size());
      i += blind ? run : 1;
      ++compared;
    }
  }
  return {};
}

uint32_t Flags(const Operation& call) { return MessageFlagsByName(call.arguments.Get("flags")).value_or(0); }

constexpr uint32_t kOrdinarySend = SP_MSG_NOSIGNAL | SP_MSG_DONTWAIT | SP_MSG_MORE;
constexpr uint32_t kOrdinaryRecv = SP_MSG_DONTWAIT | SP_MSG_PEEK | SP_MSG_WAITALL | SP_MSG_NOSIGNAL;

void SendFailed(Court& court, const Operation& call, Socket& socket, uint32_t flags) {
  const std::string_view seen = NameOf(call);
  if (Is(call, SP_EAGAIN)) {
    const auto nonblocking = socket.nonblocking.For(call);
    const auto limit = socket.send_limit.For(call);
    if ((flags & SP_MSG_DONTWAIT) != 0 || nonblocking != false || !limit) return;
    if (*limit == 0) {
      court.Holds(kSendWaits, call, false, "the socket is blocking, and has no time-out for sending");
    } else {
      court.Allows(kSendEarly, call, call.elapsed_ns() + kTick < *limit ? "early" : "on_time");
    }
    return;
  }
  socket.told = true;
  if (!Is(call, SP_EPIPE) && !Is(call, SP_ECONNRESET) && !Is(call, SP_ENOTCONN) && !Is(call, SP_ESHUTDOWN) &&
      !Is(call, SP_ECONNABORTED) && !Is(call, SP_ECONNREFUSED)) {
    return;
  }
  const Socket* peer = court.PeerOf(socket);
  const bool sound = court.Alone(socket) && !socket.write_shut.Possible() && !court.EndPossible(socket) &&
                     !socket.error_possible && !(peer != nullptr && peer->read_shut.Possible());
  if (sound) court.Holds(kSendSound, call, false, std::string(seen) + ", and neither end was shut down, closed or reset");
}

void RecvFailed(Court& court, const Operation& call, Socket& socket, uint32_t flags) {
  if (socket.read_shut.Certain(call) && Is(call, SP_EAGAIN) && IsStream(socket)) {
    court.Allows(kShutReads, call, NameOf(call));
    return;
  }
  if (Is(call, SP_ETIMEDOUT) && socket.nonblocking.For(call) == false && socket.receive_limit.For(call).value_or(0) > 0 &&
      court.Alone(socket) && !court.ResetPossible(socket)) {
    court.Allows(kRecvEnds, call, NameOf(call));
    return;
  }
  if (Is(call, SP_ECONNRESET) && court.PeerOf(socket) != nullptr && court.PeerOf(socket)->aborted.Possible())
    court.Fired(kResetTold);
  if (!Is(call, SP_EAGAIN) && !Is(call, SP_EINTR)) socket.told = true;
  if (Is(call, SP_EAGAIN)) {
    const auto nonblocking = socket.nonblocking.For(call);
    const auto limit = socket.receive_limit.For(call);
    if (nonblocking == false && limit.value_or(0) > 0) court.Fired(kRecvEnds);
    const bool waits = (flags & SP_MSG_DONTWAIT) == 0 && nonblocking == false;
    if (waits && limit == 0) {
      court.Holds(kRecvWaits, call, false, "the socket is blocking, and has no time-out for receiving");
    } else if (call.was_ready && Court::TakesAlone(socket, call) && !socket.shared && !socket.out.urgent) {
      court.Holds(kReady, call, false, "it was reported readable, and nobody has received since");
    } else if (waits && limit && *limit > 0) {
      court.Allows(kRecvEarly, call, call.elapsed_ns() + kTick < *limit ? "early" : "on_time");
    }
    return;
  }
  const bool of_connection = Is(call, SP_ECONNRESET) || Is(call, SP_ENOTCONN) || Is(call, SP_ECONNABORTED) ||
                             Is(call, SP_EPIPE) || Is(call, SP_ETIMEDOUT) || Is(call, SP_ECONNREFUSED) || Is(call, SP_ESHUTDOWN);
  if (!of_connection) return;
  const bool sound = court.Alone(socket) && !court.ResetPossible(socket) && !socket.read_shut.Possible() &&
                     !socket.error_possible && !(socket.write_shut.Possible() && court.EndPossible(socket));
  if (sound) {
    court.Holds(kRecvSound, call, false, std::string(NameOf(call)) + ", and neither end was shut down, closed or reset");
    return;
  }
  socket.broken.End(call.end);
}

void Delivered(Court& court, const Operation& call, Socket& socket, uint32_t flags, uint64_t room) {
  const auto count = static_cast<uint64_t>(call.value);
  Socket* peer = court.PeerOf(socket);
  if (socket.nonblocking.For(call) == false && (flags & SP_MSG_DONTWAIT) == 0) court.Holds(kRecvWaits, call, true);
  if (call.was_ready) court.Holds(kReady, call, true);
  if (socket.phases == kConnected) court.Holds(kRecvSound, call, true);
  if (room > 0 &&
      !court.Holds(kPossible, call, count <= room || (flags & SP_MSG_TRUNC) != 0, fmt::format("{} into {}", count, room)))
    return;
  const bool peek = (flags & SP_MSG_PEEK) != 0;
  if (peer == nullptr || peer->unknown) {
    if (!peek) socket.read += count;
    return;
  }
  const bool follows =
      IsStream(socket) && !socket.jumbled && !peer->out.urgent && (flags & ~kOrdinaryRecv) == 0 && socket.reading == 0;
  if (follows) {
    const uint64_t there = peer->out.taken + peer->out.under_way;
    if (!court.Holds(kCount, call, socket.read + count <= there,
                     fmt::format("{} bytes after {}, of {} that were sent", count, socket.read, there))) {
      return;
    }
    if (peer->out.orderly) {
      const std::string difference = Difference(peer->out, socket.read, Got(call));
      if (!court.Holds(kIntact, call, difference.empty(), difference)) return;
    }
    if (socket.end_seen && !socket.read_shut.Possible()) {
      court.Allows(kEndStays, call, "ok", "the end of the stream had been reported");
      return;
    }
  }
  if (!peek) socket.read += count;
}

void EndOfStream(Court& court, const Operation& call, Socket& socket, uint64_t room) {
  if (room == 0 || !IsStream(socket)) return;
  if (court.Alone(socket) && !socket.error_possible &&
      !court.Allows(kNoEarlyEnd, call, court.EndPossible(socket) ? "EAGAIN" : "end_of_stream",
                    "neither end has shut anything down, closed or been reset")) {
    return;
  }
  const Socket* peer = court.PeerOf(socket);
  if (socket.read_shut.Certain(call)) court.Fired(kShutReads);
  const bool untold = court.Alone(socket) && !socket.told && !socket.read_shut.Possible() && !socket.broken.Possible() &&
                      !socket.odd && !socket.shared && !court.model.impaired;
  if (untold && peer != nullptr && !peer->unknown && peer->aborted.Possible() && !peer->write_shut.Possible() &&
      !socket.write_shut.Possible()) {
    court.Allows(kResetTold, call, "end_of_stream", "the peer had told the connection to end by a reset");
    return;
  }
  if (peer == nullptr || peer->unknown || court.ResetPossible(socket) || socket.read_shut.Possible()) return;
  if (!socket.jumbled && socket.reading == 0 && !peer->out.urgent) {
    if (!court.Holds(kBeforeEnd, call, socket.read >= peer->out.taken,
                     fmt::format("{} of {} bytes had been delivered", socket.read, peer->out.taken))) {
      return;
    }
    if (socket.end_seen) court.Allows(kEndStays, call, "end_of_stream");
    socket.end_seen = true;
  }
}

}  // namespace

void BeginSend(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  Socket& socket = court.At(call.subject);
  if (call.arguments.Has("passes")) {
    for (const auto& [key, text] : call.arguments.all()) {
      if (key == "passes") court.Forget(court.model.Find(call.process, ReadHandle(text).value));
    }
  }
  if ((Flags(call) & ~kOrdinarySend) != 0) socket.out.urgent = true;
  if (!call.done() || (call.ok() && call.value < 0)) socket.out.orderly = false;
  const auto length = static_cast<uint64_t>(call.ok() ? std::max<int64_t>(call.value, 0) : 0);
  if (length == 0) return;
  if (socket.out.under_way > 0) socket.out.orderly = false;
  if (socket.out.orderly) {
    Bytes bytes = Sent(call);
    uint64_t left = length;
    for (Stream::Piece& piece : bytes.pieces) {
      if (left == 0) break;
      piece.at += socket.out.taken + socket.out.under_way;
      piece.length = std::min(piece.length, left);
      left -= piece.length;
      socket.out.pieces.push_back(std::move(piece));
    }
  }
  socket.out.under_way += length;
}

void EndSend(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  if (call.ok() && call.value > 0) {
    Stream& out = court.At(call.subject).out;
    out.under_way -= static_cast<uint64_t>(call.value);
    out.taken += static_cast<uint64_t>(call.value);
  }
  Socket* socket = court.Of(call);
  if (socket == nullptr || !ConnectionMode(*socket) || !Court::Stable(*socket, call)) return;
  const uint32_t flags = Flags(call);
  const Bytes bytes = Sent(call);
  const bool plain = bytes.plain && (flags & ~kOrdinarySend) == 0 && !call.arguments.Has("to") && !call.arguments.Has("passes");
  if (!plain) return;
  // What write and writev make of no bytes at all, POSIX leaves open but for regular files.
  const int64_t form = call.arguments.Number("form", SP_FORM_DEFAULT);
  if (bytes.length == 0 && (form == SP_FORM_FILE || form == SP_FORM_VECTOR)) return;
  const std::string_view seen = NameOf(call);
  if (socket->phases == kFresh && socket->attempt_begin == 0 && !socket->odd && !socket->write_shut.Possible()) {
    court.Allows(kSendNone, call, seen);
    return;
  }
  if (socket->phases == kListening && !socket->odd && !socket->read_shut.Possible()) {
    court.Allows(kSendListener, call, seen);
    return;
  }
  if (socket->phases == kConnecting && bytes.length > 0 && court.Alone(*socket)) {
    court.Allows(kSendPending, call, seen);
    return;
  }
  if (socket->phases != kConnected) {
    if (call.ok() && (socket->phases & kConnected) != 0) {
      if (bytes.length > 0) socket->phases = kConnected;
    } else if (!Is(call, SP_EAGAIN) && !call.ok()) {
      socket->error_possible = true;
    }
    return;
  }
  if (socket->write_shut.Certain(call) && court.Alone(*socket)) {
    const bool other_reason = (Is(call, SP_ECONNRESET) || Is(call, SP_ENOTCONN)) && court.ResetPossible(*socket);
    if (!other_reason && (IsStream(*socket) || bytes.length > 0)) {
      court.Allows(bytes.length == 0 ? kSendNothing : kSendShut, call, seen);
    }
    return;
  }
  if (call.ok()) {
    if (socket->nonblocking.For(call) == false && (flags & SP_MSG_DONTWAIT) == 0) court.Holds(kSendWaits, call, true);
    court.Holds(kSendSound, call, true);
    court.Holds(kPossible, call, call.value >= 0 && static_cast<uint64_t>(call.value) <= bytes.length,
                fmt::format("{} of {}", call.value, bytes.length));
    return;
  }
  SendFailed(court, call, *socket, flags);
}

void BeginRecv(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  Socket& socket = court.At(call.subject);
  if (socket.reading > 0) socket.jumbled = true;
  ++socket.reading;
}

void EndRecv(Court& court, const Operation& call) {
  if (call.subject == kNobody) return;
  --court.At(call.subject).reading;
  for (const auto& [key, text] : call.results.all()) {
    if (key != "passes") continue;
    const Handle made = ReadHandle(text);
    const Id id = court.Make(call, SP_OTHER_FAMILY, SP_OTHER_TYPE);
    court.At(id).unknown = true;
    if (made.valid) court.Open(call.process, made.value, id, call.end);
  }
  Socket* socket = court.Of(call);
  if (socket == nullptr) return;
  // A wrong place for the peer's address is looked at before anything else, or after what was received is gone.
  const std::string_view from = call.arguments.Get("from");
  if (!from.empty() && (from.substr(0, 12) != "valid,valid," || from.substr(12, 1) == "-")) {
    if (!call.ok()) return court.Forget(call.subject);
  }
  const uint32_t flags = Flags(call);
  uint64_t room = 0;
  const bool plain = Lengths(call.arguments.Get("room"), &room);
  if ((flags & SP_MSG_OOB) != 0 || !ConnectionMode(*socket)) return;
  const bool ordinary = plain && (flags & ~(kOrdinaryRecv | SP_MSG_TRUNC)) == 0;
  if (call.ok() && call.value > 0 && (socket->phases & kConnected) != 0) {
    if (socket->phases != kConnected && Court::Stable(*socket, call)) socket->phases = kConnected;
    Delivered(court, call, *socket, flags, plain ? room : 0);
    return;
  }
  if (!ordinary || !Court::Stable(*socket, call)) return;
  const bool local = socket->family == SP_UNIX;
  if (socket->phases == kFresh && socket->attempt_begin == 0 && !socket->odd && room > 0 && !socket->read_shut.Possible()) {
    court.Allows(local ? kRecvNoneLocal : kRecvNone, call, NameOf(call));
    return;
  }
  if (socket->phases == kListening && !socket->odd && room > 0 && !socket->read_shut.Possible()) {
    if (!local || IsStream(*socket)) court.Allows(local ? kRecvListenerLocal : kRecvListener, call, NameOf(call));
    return;
  }
  if (socket->phases == kConnecting && room > 0 && court.Alone(*socket)) {
    court.Allows(kRecvPending, call, call.ok() ? "end_of_stream" : NameOf(call));
    return;
  }
  if (socket->phases != kConnected) {
    if (!call.ok() && !Is(call, SP_EAGAIN)) socket->error_possible = true;
    return;
  }
  if (call.ok()) return EndOfStream(court, call, *socket, room);
  if (room > 0) RecvFailed(court, call, *socket, flags);
}

}  // namespace sockproof::oracle
