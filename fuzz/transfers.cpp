// Data: what is sent says by itself where it belongs, and what is received is asked for that.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "face/names.h"
#include "fuzz/world.h"

namespace sockproof::fuzz {
namespace {

constexpr std::size_t kLargest = 1u << 16;
constexpr uint8_t kPoison = 0xd5;
constexpr std::size_t kMargin = 32;  // behind every buffer, where nothing may be written

// Data going out and coming in lies here: nothing else is under way in this thread.
std::array<uint8_t, kLargest + kMargin> out_bytes, in_bytes;

std::vector<sp_buffer> Cut(uint8_t* data, uint64_t length, int64_t pieces) {
  std::vector<uint64_t> lengths;
  if (pieces == 4) {
    lengths = {length / 2, 0, length - length / 2, 0};
  } else {
    const auto count = static_cast<uint64_t>(pieces);
    for (uint64_t i = 0; i < count; ++i)
      lengths.push_back(i + 1 < count ? length / count : length - (count - 1) * (length / count));
  }
  std::vector<sp_buffer> buffers;
  for (const uint64_t each : lengths) {
    buffers.push_back({data, each, SP_POINTER_VALID, 0});
    data += each;
  }
  return buffers;
}

bool ManyBuffers(int64_t form) { return form == SP_FORM_MESSAGE || form == SP_FORM_VECTOR; }

}  // namespace

void World::Send(const Op& op) {
  Held& held = At(op, 0);
  if (!Usable(held)) return;
  const int64_t form = op.Number(3);
  const auto length = static_cast<uint64_t>(op.Number(1));
  const Payload payload{held.end ? streams_.Seed(*held.end) : 9999, held.end ? streams_.Sent(*held.end) : 0, length};
  payload.Fill(out_bytes.data());
  std::vector<sp_buffer> buffers = Cut(out_bytes.data(), length, ManyBuffers(form) ? op.Number(4) : 1);
  const bool wrong = op.Number(6) != SP_POINTER_VALID;
  if (wrong) buffers.back().kind = static_cast<int32_t>(op.Number(6));
  sp_call call = On(SP_OP_SEND, held);
  sp_transfer_args& args = call.u.send;
  args.form = static_cast<int32_t>(form);
  args.flags = static_cast<uint32_t>(op.Number(2));
  const bool flags = form != SP_FORM_FILE && form != SP_FORM_VECTOR;
  if (!flags) args.flags = 0;
  if (flags) args.flags |= SP_MSG_NOSIGNAL;
  args.buffers = buffers.data();
  args.buffer_count = static_cast<uint32_t>(buffers.size());
  args.to.kind = SP_POINTER_NULL;
  args.to.length = SP_NATURAL_LENGTH;
  const bool datagrams = held.flavor == kUdp || held.flavor == kUdp6 || held.flavor == kUnixDatagram;
  if (datagrams && (form == SP_FORM_ADDRESS || form == SP_FORM_MESSAGE)) args.to = AddressFor(held, op.Of(5));
  const sp_result result = Make(&call, wrong ? nullptr : &payload);
  // A message that no address goes with is sent nowhere but to the peer; all the same whose it is.
  if (result.error != SP_OK || !held.end) return;
  if (result.value < 0 || static_cast<uint64_t>(result.value) > length) {
    return Breached("contract.possible_result", call, fmt::format("{} of {} bytes", result.value, length));
  }
  if ((args.flags & (SP_MSG_OOB | SP_MSG_UNKNOWN_BIT)) != 0) streams_.Blur(*held.end);
  streams_.Took(*held.end, static_cast<uint64_t>(result.value));
  if (wrong) return;
  static std::array<uint8_t, kLargest> before;
  payload.Fill(before.data());
  if (std::memcmp(before.data(), out_bytes.data(), length) != 0)
    Breached("contract.input_untouched", call, "the data have changed");
}

// False: no address is asked for.
bool World::Room(int64_t kind, int64_t length, sp_address_out* out) {
  *out = {};
  out->length = SP_NATURAL_LENGTH;
  out->raw = name_.data();
  name_.fill(kPoison);
  out->raw_size = 128;
  out->reported = -1;
  switch (kind) {
    case kWholePeer:
      return true;
    case kCutPeer:
      out->length = static_cast<int32_t>(length);
      out->raw_size = std::max(out->length, 0);
      return true;
    case kBadPeer:
      out->kind = SP_POINTER_INVALID;
      return true;
    case kNoLengthPeer:
      out->length_kind = SP_POINTER_NULL;
      return true;
    default:
      out->kind = out->length_kind = SP_POINTER_NULL;
      out->raw = nullptr;
      out->raw_size = 0;
      return false;
  }
}

void World::CheckRoom(const sp_call& call, const sp_address_out& out) {
  if (out.raw == nullptr) return;
  const auto room = static_cast<std::size_t>(std::clamp(out.raw_size, 0, 128));
  const bool touched =
      std::any_of(name_.begin() + static_cast<int64_t>(room), name_.end(), [](uint8_t byte) { return byte != kPoison; });
  if (touched) Breached("contract.output_within_length", call, fmt::format("an address was written behind {} bytes", room));
}

sp_result World::Receive(Held* held, const Op& op) {
  const int64_t form = op.Number(3);
  const auto room = static_cast<std::size_t>(op.Number(1));
  std::memset(in_bytes.data(), kPoison, room + kMargin);
  std::vector<sp_buffer> buffers = Cut(in_bytes.data(), room, ManyBuffers(form) ? op.Number(4) : 1);
  const bool wrong = op.Number(6) != SP_POINTER_VALID;
  if (wrong) buffers.back().kind = static_cast<int32_t>(op.Number(6));
  sp_call call = On(SP_OP_RECV, *held);
  sp_transfer_args& args = call.u.recv;
  args.form = static_cast<int32_t>(form);
  args.flags = form == SP_FORM_FILE || form == SP_FORM_VECTOR ? 0 : static_cast<uint32_t>(op.Number(2));
  args.buffers = buffers.data();
  args.buffer_count = static_cast<uint32_t>(buffers.size());
  args.from.kind = args.from.length_kind = SP_POINTER_NULL;
  args.from.length = SP_NATURAL_LENGTH;
  args.from.reported = -1;
  const bool named = (form == SP_FORM_ADDRESS || form == SP_FORM_MESSAGE) && Room(op.Number(5), op.Of(5).more, &args.from);
  // As far as it is known whose bytes come next, the trace names them.
  std::optional<Payload> expected;
  if (held->end) {
    if (const auto peer = streams_.PeerOf(*held->end))
      expected = Payload{streams_.Seed(*peer), streams_.Received(*held->end), room};
  }
  const bool taken_unseen = (args.flags & SP_MSG_TRUNC) != 0;
  const sp_result result = Make(&call, expected && !wrong && !taken_unseen ? &*expected : nullptr);
  if (named) CheckRoom(call, args.from);
  if (result.error == SP_NOT_SUPPORTED) return result;
  const std::size_t got =
      result.error == SP_OK ? static_cast<std::size_t>(std::clamp<int64_t>(result.value, 0, static_cast<int64_t>(room))) : 0;
  if (result.error == SP_OK && !taken_unseen && (result.value < 0 || static_cast<uint64_t>(result.value) > room)) {
    Breached("contract.possible_result", call, fmt::format("{} bytes into {}", result.value, room));
  }
  // What lies behind the count is nobody's business, but for what a failed call has left there.
  const std::size_t from = result.error == SP_OK && !wrong ? got : room;
  if (std::any_of(in_bytes.begin() + static_cast<int64_t>(from), in_bytes.begin() + static_cast<int64_t>(room + kMargin),
                  [](uint8_t byte) { return byte != kPoison; })) {
    Breached("contract.output_within_length", call, fmt::format("{} bytes came, and there is more", got));
  }
  if (!held->end) return result;
  // A place for the address that is wrong may be noticed when what was received is gone.
  if (result.error != SP_OK && named && op.Number(5) != kWholePeer) streams_.Forgive(*held->end);
  if (result.error != SP_OK) return result;
  if (wrong || taken_unseen || (args.flags & (SP_MSG_OOB | SP_MSG_UNKNOWN_BIT)) != 0) {
    streams_.Forgive(*held->end);
    return result;
  }
  std::string detail;
  if (const auto what = streams_.Got(*held->end, in_bytes.data(), got, (args.flags & SP_MSG_PEEK) != 0, &detail)) {
    Breached(("data." + *what).c_str(), call, detail);
  }
  return result;
}

void World::Recv(const Op& op) {
  Held& held = At(op, 0);
  if (Usable(held)) static_cast<void>(Receive(&held, op));
}

// Everything that was sent comes out in the end, but where an end was closed or shut down before.
void World::Drain() {
  constexpr int64_t kAWhile = 3'000'000'000;
  constexpr int kMostCalls = 12;
  if (done_.impaired) return;
  provider_->Advance(kAWhile);
  Op op;
  op.kind = Kind::kRecv;
  std::vector<bool> dry(kSockets);
  Script largest;
  std::string why;
  static_cast<void>(Parse("recv s0 room=65536", &largest, &why));
  op = largest.front();
  for (std::size_t i = 0; i < places_.size() && !stuck_; ++i) {
    Held& held = places_[i];
    if (!held.open || !held.end || !streams_.Sure(*held.end)) continue;
    for (int calls = 0; calls < kMostCalls && !stuck_; ++calls) {
      const sp_result result = Receive(&held, op);
      if (result.error == SP_OK && result.value > 0) {
        provider_->Advance(1'000'000);
        continue;
      }
      dry[i] = result.error == SP_EAGAIN || result.error == SP_OK;
      break;
    }
  }
  if (!provider_->VirtualClock()) return;  // elsewhere it may be under way still
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Held& held = places_[i];
    if (!dry[i] || !held.end || !streams_.Sure(*held.end)) continue;
    const auto peer = streams_.PeerOf(*held.end);
    if (!peer || !streams_.Sure(*peer) || streams_.Received(*held.end) >= streams_.Sent(*peer)) continue;
    const bool ends_well =
        std::none_of(places_.begin(), places_.end(), [&](const Held& other) { return other.end == peer && other.reset; });
    if (!ends_well || held.reset) continue;
    done_.breaches.push_back(
        {"data.missing recv", fmt::format("{} of {} bytes came", streams_.Received(*held.end), streams_.Sent(*peer))});
  }
}

}  // namespace sockproof::fuzz
