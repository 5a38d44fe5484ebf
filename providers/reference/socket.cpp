#include "reference/socket.h"

#include <utility>

#include "reference/stack.h"

namespace sockproof::reference {

Socket::Socket(Stack* stack, int32_t family, int32_t type)
    : stack_(stack), family_(family), type_(type), options_(stack->profile()) {}

bool Socket::short_is_fault() const { return stack_->profile().short_is_fault; }

int32_t Socket::TakeError() { return std::exchange(error_, static_cast<int32_t>(SP_OK)); }

int32_t Socket::Silence(bool) { return SP_NOT_SUPPORTED; }

NetworkState Socket::NetworkStateNow() const {
  NetworkState state;
  const uint32_t ready = Ready();
  if ((ready & SP_IN) != 0) state.bits |= SP_FD_READ;
  if ((ready & SP_OUT) != 0) state.bits |= SP_FD_WRITE;
  return state;
}

int32_t Socket::ReadOption(int32_t option, OptionValue* value) const {
  switch (option) {
    case SP_SO_TYPE:
      value->integer = type_;
      return SP_OK;
    case SP_SO_DOMAIN:
      value->integer = family_;
      return SP_OK;
    case SP_SO_PROTOCOL:
      value->integer = protocol();
      return SP_OK;
    case SP_SO_ACCEPTCONN:
      value->integer = Listening() ? 1 : 0;
      return SP_OK;
    case SP_SO_ERROR:
      value->integer = const_cast<Socket*>(this)->TakeError();
      return SP_OK;
    default:
      return options_.Read(option, value);
  }
}

int32_t Socket::WriteOption(int32_t option, const OptionValue& value) { return options_.Write(option, value); }

int32_t Socket::Await(const std::function<bool()>& ready, bool nonblocking, int64_t limit, int32_t late, const char* what) const {
  if (ready()) return SP_OK;
  if (nonblocking) return SP_EAGAIN;
  const int32_t error = stack_->Block([&] { return ready() || cancelled; }, limit, late, what);
  if (error == SP_OK && (cancelled || !ready())) return stack_->profile().closed_while_waiting;
  return error;
}

}  // namespace sockproof::reference
