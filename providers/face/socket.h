// Sockets as scenarios use them: move-only owners whose every call returns a result that must be looked at.
//
// Nothing here decides what is right. A Result turns into an Outcome, which a scenario compares with the catalogue
// (CHECK_REQUIREMENT) or, for a step it merely stands on, demands to be a success (Must).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "face/address.h"
#include "face/buffer.h"
#include "face/host.h"
#include "face/outcome.h"
#include "face/payload.h"

namespace sockproof {

// What a call came to.
class [[nodiscard]] Result {
 public:
  Result() = default;
  Result(const sp_call& call, const sp_result& result);

  bool ok() const { return error_ == SP_OK; }
  int32_t error() const { return error_; }           // enum sp_error
  int64_t native() const { return native_; }         // the implementation's own code
  int64_t value() const { return value_; }           // what the call returned: bytes, events, an option's integer
  int32_t option() const { return option_; }         // enum sp_option that was read or set, -1 for any other call
  const std::string& text() const { return text_; }  // "listen s5 backlog=3 -> EINVAL native=22"

  // NOLINTNEXTLINE(google-explicit-constructor): a result is looked at as an outcome everywhere
  operator Outcome() const { return Outcome::OfError(error_, native_, text_); }
  // "=N" for the value of a success, the error otherwise.
  Outcome Counted() const { return ok() ? Outcome::OfNumber(value_, text_) : Outcome(*this); }

 private:
  int32_t error_ = SP_UNKNOWN_ERROR;
  int64_t native_ = 0;
  int64_t value_ = -1;
  int32_t option_ = -1;
  std::string text_;
};

// Ends the scenario, naming the step, unless it succeeded.
Result Must(Result result, Where where = SOCKPROOF_HERE);

struct NameResult : Result {
  using Result::Result;
  Address address;  // valid if `decoded`
  bool decoded = false;
  int32_t reported = -1;     // the length that came back
  std::vector<uint8_t> raw;  // what stands in the buffer, as far as it was asked for
};

struct OptionResult : Result {
  using Result::Result;
  int64_t integer = 0;
  bool linger_on = false;
  int32_t linger_seconds = 0;
  Nanoseconds duration{0};
  std::string bytes;
  int32_t reported = -1;
  // SO_ERROR's value as an outcome: "ok" when nothing was pending.
  Outcome PendingError() const;
};

// How an address is asked for; the default is a buffer that is large enough.
struct AskAddress {
  int32_t length = SP_NATURAL_LENGTH;  // what the length argument says
  int32_t room = 256;                  // how large the buffer really is (its end is guarded)
  int32_t kind = SP_POINTER_VALID;
  int32_t length_kind = SP_POINTER_VALID;
  static AskAddress None() { return {SP_NATURAL_LENGTH, 0, SP_POINTER_NULL, SP_POINTER_NULL}; }
};

class ConditionRequest;
struct ConnectOptions;
struct ConnectResult;

struct AcceptOptions {
  uint32_t modes = 0;  // enum sp_mode
  int32_t form = 0;    // 1: accept4 even without modes
  AskAddress peer;
  // The condition function (face/condition.h): answers with an enum sp_condition, or with what is none.
  std::function<int32_t(ConditionRequest&)> condition;
  uint64_t callback_data = 0;
  int32_t condition_kind = SP_POINTER_VALID;  // INVALID: a condition function that cannot be called
};

struct SendOptions {
  int32_t form = SP_FORM_DEFAULT;
  uint32_t flags = SP_MSG_NOSIGNAL;  // FILE and VECTOR have none and ignore it
  std::vector<uint64_t> pieces;      // MESSAGE and VECTOR: lengths of the vector's parts; empty: one
  std::vector<sp_handle> handles;    // MESSAGE: handles to pass
  std::optional<Address> to;         // ADDRESS and MESSAGE
};

struct RecvOptions {
  int32_t form = SP_FORM_DEFAULT;
  uint32_t flags = 0;
  std::vector<uint64_t> pieces;
  uint32_t handle_room = 0;
  AskAddress from = AskAddress::None();
  const Payload* expected = nullptr;  // for the trace alone
};

class Socket;

struct RecvResult : Result {
  using Result::Result;
  std::vector<uint8_t> data;
  uint32_t flags = 0;
  Address from;
  bool has_from = false;
  int32_t from_length = -1;
  std::vector<sp_handle> handles;
  // "end_of_stream" when it succeeded with nothing though something was asked for, "data" with data, else the error.
  Outcome Seen() const;
};

struct AcceptResult;

class Socket {
 public:
  Socket() = default;
  // Owns a handle; `caller` is who carries its calls out (this process unless told).
  explicit Socket(sp_handle handle, Caller* caller = nullptr) : handle_(handle), caller_(caller), open_(true) {}
  ~Socket();
  Socket(Socket&& other) noexcept { *this = std::move(other); }
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // A fresh one. New() must succeed; Make() shows what came.
  static Socket New(int32_t family, int32_t type = SP_STREAM, uint32_t modes = 0, Where where = SOCKPROOF_HERE);
  static Result Make(int32_t family, int32_t type, int32_t protocol, uint32_t modes, Socket* out);
  static Result MakePair(int32_t type, uint32_t modes, Socket* first, Socket* second);
  // Something that is no open socket, for wrong arguments. Never closed.
  static Socket Wrong(int32_t handle_kind);
  // The value of a handle that another socket owns, for use after close and the like. Never closed.
  static Socket Borrowed(sp_handle handle, Caller* caller = nullptr);

  Result Bind(const Address& address);
  Result Bind(const sp_address_in& address);
  Result Listen(int32_t backlog);
  Result Connect(const Address& address);
  Result Connect(const sp_address_in& address);
  ConnectResult Connect(const Address& address, const ConnectOptions& options);  // face/user_data.h
  AcceptResult Accept(const AcceptOptions& options = {});
  Result Send(const Payload& payload, const SendOptions& options = {});
  Result SendBytes(const std::string& bytes, const SendOptions& options = {});
  Result SendBuffers(const std::vector<sp_buffer>& buffers, const SendOptions& options = {});  // wrong ones on purpose
  RecvResult Recv(std::size_t room, const RecvOptions& options = {});
  Result RecvBuffers(const std::vector<sp_buffer>& buffers, const RecvOptions& options = {});
  Result Shutdown(int32_t how);
  Result Close();  // gives the handle up whatever the result
  Result Set(int32_t option, int64_t integer);
  Result SetLinger(bool on, int32_t seconds);
  Result SetDuration(int32_t option, Nanoseconds duration);
  Result SetBytes(int32_t option, const std::string& bytes);
  Result SetAddress(int32_t option, const Address& group);
  Result SetOption(const sp_option_args& args);  // every argument by hand
  OptionResult Get(int32_t option);
  OptionResult GetOption(const sp_option_args& args);
  Result Ioctl(int32_t request, int64_t argument = 0, int32_t kind = SP_POINTER_VALID);
  NameResult LocalName(const AskAddress& ask = {});
  NameResult PeerName(const AskAddress& ask = {});
  Result SetModes(uint32_t set, uint32_t clear = 0);
  Result GetModes();  // value(): enum sp_mode
  Result Duplicate(Socket* out, uint32_t modes = 0);
  Result DuplicateOnto(Socket& target, uint32_t modes = 0);  // dup2

  // The error that is pending, taken (SO_ERROR).
  Outcome TakeError();
  // Its own address, which it must have.
  Address LocalAddress(Where where = SOCKPROOF_HERE);

  bool open() const { return open_; }
  sp_handle handle() const { return handle_; }
  Caller& caller() const;
  // Gives the handle up without closing it (another process or a descriptor message owns it now).
  sp_handle Release();

 private:
  sp_call Begin(uint32_t op) const;     // a call of this socket, without arguments
  Result Perform(sp_call* call) const;  // where nothing of it is wanted but the result
  NameResult Name(uint32_t op, const AskAddress& ask);

  sp_handle handle_{SP_HANDLE_INVALID, 0, -1};
  Caller* caller_ = nullptr;
  bool open_ = false;
};

struct AcceptResult : Result {
  using Result::Result;
  Socket socket;    // open if ok()
  NameResult peer;  // its address as accept reported it
  int asked = 0;    // how often the condition function was called
};

// The value of a successful step; ends the scenario otherwise.
Socket Must(AcceptResult result, Where where = SOCKPROOF_HERE);
Address Must(NameResult result, Where where = SOCKPROOF_HERE);
RecvResult Must(RecvResult result, Where where = SOCKPROOF_HERE);
OptionResult Must(OptionResult result, Where where = SOCKPROOF_HERE);

// An address argument with something wrong about it.
sp_address_in AddressWith(const Address& address, int32_t length = SP_NATURAL_LENGTH);
sp_address_in AddressOfKind(int32_t pointer_kind, int32_t length = SP_NATURAL_LENGTH);

}  // namespace sockproof
