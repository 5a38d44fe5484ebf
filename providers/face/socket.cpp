#include "face/socket.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "face/address_slot.h"
#include "face/codec.h"
#include "face/condition.h"
#include "face/user_data.h"

namespace sockproof {
namespace {

void CheckCount(const sp_call& call, const sp_result& result, uint64_t room) {
  if (result.error != SP_OK) return;
  if (result.value >= 0 && static_cast<uint64_t>(result.value) <= room) return;
  Host::Get().reporter().ContractBroken("possible_result",
                                        fmt::format("{} returned {} for {} bytes", CallText(call), result.value, room));
}

uint64_t TotalLength(const std::vector<sp_buffer>& buffers) {
  uint64_t total = 0;
  for (const sp_buffer& buffer : buffers) total += buffer.length;
  return total;
}

// Cuts one run of bytes into the parts of a vector.
std::vector<sp_buffer> Cut(uint8_t* bytes, uint64_t length, const std::vector<uint64_t>& pieces) {
  if (pieces.empty()) return {sp_buffer{bytes, length, SP_POINTER_VALID, 0}};
  std::vector<sp_buffer> buffers;
  uint64_t used = 0;
  for (const uint64_t piece : pieces) {
    const uint64_t part = std::min(piece, length - used);
    buffers.push_back({bytes + used, part, SP_POINTER_VALID, 0});
    used += part;
  }
  if (used < length) buffers.push_back({bytes + used, length - used, SP_POINTER_VALID, 0});
  return buffers;
}

void Fill(const SendOptions& options, const std::vector<sp_buffer>& buffers, sp_transfer_args* args) {
  args->form = options.form;
  args->flags = options.form == SP_FORM_FILE || options.form == SP_FORM_VECTOR ? 0 : options.flags;
  args->buffers = buffers.data();
  args->buffer_count = static_cast<uint32_t>(buffers.size());
  args->to = options.to ? AddressWith(*options.to) : AddressOfKind(SP_POINTER_NULL);
  args->handle_count = static_cast<uint32_t>(std::min<std::size_t>(options.handles.size(), SP_MAX_HANDLES));
  std::copy_n(options.handles.begin(), args->handle_count, args->handles);
}

[[noreturn]] void Fail(Where where, const Result& result) {
  if (result.option() >= 0 && (result.error() == SP_ENOPROTOOPT || result.error() == SP_EOPNOTSUPP)) {
    Host::Get().reporter().NoSuchOption(where, result.option(), result.text(), result);
  }
  Host::Get().reporter().StepFailed(where, result.text(), result);
  std::abort();  // not reached; some compilers do not trust a virtual [[noreturn]]
}

}  // namespace

Result::Result(const sp_call& call, const sp_result& result)
    : error_(result.error), native_(result.native), value_(result.value) {
  if (call.op == SP_OP_GET_OPTION || call.op == SP_OP_SET_OPTION) option_ = call.u.get_option.option;
  TextOptions brief;
  brief.max_bytes = 8;
  text_ = fmt::format("{} -> {}", CallText(call, brief), ResultText(call, result, brief));
}

Result Must(Result result, Where where) {
  if (!result.ok()) Fail(where, result);
  return result;
}

Outcome OptionResult::PendingError() const {
  if (!ok()) return *this;
  return Outcome::OfError(static_cast<int32_t>(integer), native(), text());
}

Outcome RecvResult::Seen() const {
  if (!ok()) return *this;
  return value() == 0 ? Outcome(OutcomeName{"end_of_stream"}, text()) : Outcome(OutcomeName{"data"}, text());
}

Socket::~Socket() {
  if (open_) static_cast<void>(Close());
}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this == &other) return *this;
  if (open_) static_cast<void>(Close());
  handle_ = other.handle_;
  caller_ = other.caller_;
  open_ = std::exchange(other.open_, false);
  return *this;
}

Socket Socket::New(int32_t family, int32_t type, uint32_t modes, Where where) {
  Socket socket;
  const Result made = Make(family, type, 0, modes, &socket);
  if (!made.ok()) Fail(where, made);
  return socket;
}

Result Socket::Make(int32_t family, int32_t type, int32_t protocol, uint32_t modes, Socket* out) {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_SOCKET;
  call.u.socket = {family, type, protocol, modes};
  Host::Get().Call(&call, &result);
  if (result.error == SP_OK) *out = Socket(result.handle);
  return Result(call, result);
}

Result Socket::MakePair(int32_t type, uint32_t modes, Socket* first, Socket* second) {
  sp_call call{};
  sp_result result{};
  call.op = SP_OP_SOCKETPAIR;
  call.u.socketpair.of = {SP_UNIX, type, 0, modes};
  Host::Get().Call(&call, &result);
  if (result.error == SP_OK) {
    *first = Socket(result.handle);
    *second = Socket(call.u.socketpair.second);
  }
  return Result(call, result);
}

Socket Socket::Wrong(int32_t handle_kind) { return Borrowed(sp_handle{handle_kind, 0, -1}); }

Socket Socket::Borrowed(sp_handle handle, Caller* caller) {
  Socket socket;
  socket.handle_ = handle;
  socket.caller_ = caller;
  return socket;
}

Caller& Socket::caller() const { return caller_ != nullptr ? *caller_ : Host::Get(); }

sp_handle Socket::Release() {
  open_ = false;
  return handle_;
}

sp_call Socket::Begin(uint32_t op) const {
  sp_call call{};
  call.size = sizeof call;
  call.op = op;
  call.handle = handle_;
  return call;
}

Result Socket::Perform(sp_call* call) const {
  sp_result result;
  caller().Call(call, &result);
  return Result(*call, result);
}

Result Socket::Bind(const Address& address) { return Bind(AddressWith(address)); }

Result Socket::Bind(const sp_address_in& address) {
  sp_call call = Begin(SP_OP_BIND);
  call.u.bind.address = address;
  return Perform(&call);
}

Result Socket::Listen(int32_t backlog) {
  sp_call call = Begin(SP_OP_LISTEN);
  call.u.listen.backlog = backlog;
  return Perform(&call);
}

Result Socket::Connect(const Address& address) { return Connect(AddressWith(address)); }

Result Socket::Connect(const sp_address_in& address) {
  sp_call call = Begin(SP_OP_CONNECT);
  call.u.connect.address = address;
  return Perform(&call);
}

ConnectResult Socket::Connect(const Address& address, const ConnectOptions& options) {
  sp_call of_its_own;
  sp_result result;
  sp_call& call = options.callee_data != nullptr ? options.callee_data->call_ : of_its_own;
  call = Begin(SP_OP_CONNECT);
  sp_connect_args& args = call.u.connect;
  args.address = AddressWith(address);
  std::string sent = options.caller_data.value_or("");
  if (options.caller_data) {
    const auto length = static_cast<uint32_t>(sent.size());
    args.caller_data = {1, SP_POINTER_VALID, length, length, reinterpret_cast<uint8_t*>(sent.data())};
  }
  if (options.callee_data != nullptr) options.callee_data->Offer(&args.callee_data);
  args.has_qos = options.qos ? 1 : 0;
  args.qos = options.qos.value_or(sp_qos{});
  args.has_group_qos = options.group_qos ? 1 : 0;
  caller().Call(&call, &result);
  return ConnectResult(call, result);
}

AcceptResult Socket::Accept(const AcceptOptions& options) {
  sp_call call = Begin(SP_OP_ACCEPT);
  sp_result result;
  call.u.accept.modes = options.modes;
  call.u.accept.form = options.form;
  AddressSlot slot(options.peer, &call.u.accept.peer);
  const Asked asked(options, &call.u.accept);
  if (options.condition && &caller() != &Host::Get()) {
    Host::Get().reporter().NotSupported("condition", "a condition function does not cross to another process");
  }
  caller().Call(&call, &result);
  AcceptResult accepted(call, result);
  accepted.asked = asked.times();
  slot.Check("accept");
  accepted.peer = NameResult(call, result);
  slot.Take(&accepted.peer);
  if (result.error == SP_OK) accepted.socket = Socket(result.handle, caller_);
  return accepted;
}

Result Socket::Send(const Payload& payload, const SendOptions& options) {
  std::vector<uint8_t> bytes = payload.Bytes();
  const std::vector<sp_buffer> buffers = Cut(bytes.data(), bytes.size(), options.pieces);
  sp_call call = Begin(SP_OP_SEND);
  sp_result result;
  Fill(options, buffers, &call.u.send);
  caller().Call(&call, &result, &payload);
  CheckCount(call, result, payload.length);
  return Result(call, result);
}

Result Socket::SendBytes(const std::string& bytes, const SendOptions& options) {
  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  return SendBuffers(Cut(copy.data(), copy.size(), options.pieces), options);
}

Result Socket::SendBuffers(const std::vector<sp_buffer>& buffers, const SendOptions& options) {
  sp_call call = Begin(SP_OP_SEND);
  sp_result result;
  Fill(options, buffers, &call.u.send);
  caller().Call(&call, &result);
  CheckCount(call, result, TotalLength(buffers));
  return Result(call, result);
}

RecvResult Socket::Recv(std::size_t room, const RecvOptions& options) {
  GuardedBuffer buffer(room);
  const std::vector<sp_buffer> buffers = Cut(buffer.data(), room, options.pieces);
  sp_call call = Begin(SP_OP_RECV);
  sp_result result;
  sp_transfer_args& args = call.u.recv;
  args.form = options.form;
  args.flags = options.flags;
  args.buffers = buffers.data();
  args.buffer_count = static_cast<uint32_t>(buffers.size());
  args.handle_count = std::min<uint32_t>(options.handle_room, SP_MAX_HANDLES);
  AddressSlot slot(options.from, &args.from);
  caller().Call(&call, &result, options.expected);
  const bool datagram_cut = (options.flags & SP_MSG_TRUNC) != 0;  // then the value is the datagram's own length
  if (!datagram_cut) CheckCount(call, result, room);
  const auto got =
      result.error == SP_OK ? std::min<uint64_t>(room, static_cast<uint64_t>(std::max<int64_t>(result.value, 0))) : 0;
  buffer.CheckUntouchedFrom(static_cast<std::size_t>(got), "recv");
  slot.Check("recv");
  RecvResult received(call, result);
  received.data.assign(buffer.data(), buffer.data() + got);
  received.flags = args.flags_out;
  received.from = Address(args.from.address);
  received.has_from = args.from.decoded != 0;
  received.from_length = args.from.reported;
  if (result.error == SP_OK) received.handles.assign(args.handles, args.handles + args.handle_count);
  return received;
}

Result Socket::RecvBuffers(const std::vector<sp_buffer>& buffers, const RecvOptions& options) {
  sp_call call = Begin(SP_OP_RECV);
  sp_transfer_args& args = call.u.recv;
  args.form = options.form;
  args.flags = options.flags;
  args.buffers = buffers.data();
  args.buffer_count = static_cast<uint32_t>(buffers.size());
  AddressSlot slot(options.from, &args.from);
  return Perform(&call);
}

Result Socket::Shutdown(int32_t how) {
  sp_call call = Begin(SP_OP_SHUTDOWN);
  call.u.shutdown.how = how;
  return Perform(&call);
}

Result Socket::Close() {
  sp_call call = Begin(SP_OP_CLOSE);
  open_ = false;
  return Perform(&call);
}

Result Socket::Set(int32_t option, int64_t integer) {
  sp_option_args args{};
  args.option = option;
  args.value_type = SP_VALUE_INTEGER;
  args.length = SP_NATURAL_LENGTH;
  args.integer = integer;
  return SetOption(args);
}

Result Socket::SetLinger(bool on, int32_t seconds) {
  sp_option_args args{};
  args.option = SP_SO_LINGER;
  args.value_type = SP_VALUE_LINGER;
  args.length = SP_NATURAL_LENGTH;
  args.linger_on = on ? 1 : 0;
  args.linger_seconds = seconds;
  return SetOption(args);
}

Result Socket::SetDuration(int32_t option, Nanoseconds duration) {
  sp_option_args args{};
  args.option = option;
  args.value_type = SP_VALUE_DURATION;
  args.length = SP_NATURAL_LENGTH;
  args.duration_ns = duration.count();
  return SetOption(args);
}

Result Socket::SetBytes(int32_t option, const std::string& bytes) {
  sp_option_args args{};
  args.option = option;
  args.value_type = SP_VALUE_BYTES;
  args.length = SP_NATURAL_LENGTH;
  args.byte_count = static_cast<uint32_t>(std::min(bytes.size(), sizeof args.bytes));
  std::memcpy(args.bytes, bytes.data(), args.byte_count);
  return SetOption(args);
}

Result Socket::SetAddress(int32_t option, const Address& group) {
  sp_option_args args{};
  args.option = option;
  args.value_type = SP_VALUE_ADDRESS;
  args.length = SP_NATURAL_LENGTH;
  args.address = group.raw();
  return SetOption(args);
}

Result Socket::SetOption(const sp_option_args& args) {
  sp_call call = Begin(SP_OP_SET_OPTION);
  call.u.set_option = args;
  return Perform(&call);
}

namespace {

int32_t ValueTypeOf(int32_t option) {
  switch (option) {
    case SP_SO_LINGER:
      return SP_VALUE_LINGER;
    case SP_SO_SNDTIMEO:
    case SP_SO_RCVTIMEO:
      return SP_VALUE_DURATION;
    case SP_TCP_CONGESTION:
    case SP_SO_BINDTODEVICE:
      return SP_VALUE_BYTES;
    default:
      return SP_VALUE_INTEGER;
  }
}

}  // namespace

OptionResult Socket::Get(int32_t option) {
  sp_option_args args{};
  args.option = option;
  args.value_type = ValueTypeOf(option);
  args.length = SP_NATURAL_LENGTH;
  return GetOption(args);
}

OptionResult Socket::GetOption(const sp_option_args& args) {
  sp_call call = Begin(SP_OP_GET_OPTION);
  sp_result result;
  call.u.get_option = args;
  call.u.get_option.reported = -1;
  caller().Call(&call, &result);
  OptionResult got(call, result);
  const sp_option_args& out = call.u.get_option;
  got.integer = out.integer;
  got.linger_on = out.linger_on != 0;
  got.linger_seconds = out.linger_seconds;
  got.duration = Nanoseconds(out.duration_ns);
  got.bytes.assign(reinterpret_cast<const char*>(out.bytes), std::min<std::size_t>(out.byte_count, sizeof out.bytes));
  got.reported = out.reported;
  return got;
}

Result Socket::Ioctl(int32_t request, int64_t argument, int32_t kind) {
  sp_call call = Begin(SP_OP_IOCTL);
  call.u.ioctl = {request, kind, argument};
  return Perform(&call);
}

NameResult Socket::Name(uint32_t op, const AskAddress& ask) {
  sp_call call = Begin(op);
  sp_result result;
  AddressSlot slot(ask, &call.u.local_name.name);
  caller().Call(&call, &result);
  NameResult name(call, result);
  slot.Check(OpName(op));
  slot.Take(&name);
  return name;
}

NameResult Socket::LocalName(const AskAddress& ask) { return Name(SP_OP_LOCAL_NAME, ask); }
NameResult Socket::PeerName(const AskAddress& ask) { return Name(SP_OP_PEER_NAME, ask); }

Result Socket::SetModes(uint32_t set, uint32_t clear) {
  sp_call call = Begin(SP_OP_SET_MODE);
  call.u.set_mode = {set, clear};
  return Perform(&call);
}

Result Socket::GetModes() {
  sp_call call = Begin(SP_OP_GET_MODE);
  return Perform(&call);
}

Result Socket::Duplicate(Socket* out, uint32_t modes) {
  sp_call call = Begin(SP_OP_DUPLICATE);
  sp_result result;
  call.u.duplicate.modes = modes;
  caller().Call(&call, &result);
  if (result.error == SP_OK) *out = Socket(result.handle, caller_);
  return Result(call, result);
}

Result Socket::DuplicateOnto(Socket& target, uint32_t modes) {
  sp_call call = Begin(SP_OP_DUPLICATE);
  call.u.duplicate = {1, modes, target.handle_};
  return Perform(&call);
}

Outcome Socket::TakeError() { return Get(SP_SO_ERROR).PendingError(); }

Address Socket::LocalAddress(Where where) { return Must(LocalName(), where); }

Socket Must(AcceptResult result, Where where) {
  if (!result.ok()) Fail(where, result);
  return std::move(result.socket);
}

Address Must(NameResult result, Where where) {
  if (!result.ok()) Fail(where, result);
  if (!result.decoded) {
    Host::Get().reporter().StepFailed(where, result.text() + ": no address in it", Outcome(OutcomeName{"no_address"}));
  }
  return result.address;
}

RecvResult Must(RecvResult result, Where where) {
  if (!result.ok()) Fail(where, result);
  return result;
}

OptionResult Must(OptionResult result, Where where) {
  if (!result.ok()) Fail(where, result);
  return result;
}

sp_address_in AddressWith(const Address& address, int32_t length) { return {SP_POINTER_VALID, length, address.raw()}; }

sp_address_in AddressOfKind(int32_t pointer_kind, int32_t length) { return {pointer_kind, length, {}}; }

}  // namespace sockproof
