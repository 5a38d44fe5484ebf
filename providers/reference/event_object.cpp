#include "reference/event_object.h"

#include <algorithm>
#include <utility>

#include "reference/calls.h"
#include "reference/socket.h"
#include "reference/stack.h"

namespace sockproof::reference {
namespace {

constexpr uint32_t kBits[] = {SP_FD_READ, SP_FD_WRITE, SP_FD_OOB, SP_FD_ACCEPT, SP_FD_CONNECT, SP_FD_CLOSE};
constexpr uint32_t kAllBits = SP_FD_READ | SP_FD_WRITE | SP_FD_OOB | SP_FD_ACCEPT | SP_FD_CONNECT | SP_FD_CLOSE;

}  // namespace

NetworkEvents::~NetworkEvents() {
  if (event_ == nullptr) return;
  auto& all = event_->selections;
  all.erase(std::remove(all.begin(), all.end(), this), all.end());
}

void NetworkEvents::Select(std::shared_ptr<EventObject> event, uint32_t mask, uint64_t cookie) {
  if (event_ != nullptr) {
    auto& all = event_->selections;
    all.erase(std::remove(all.begin(), all.end(), this), all.end());
    socket_->RemoveObserver(this);
  }
  event_ = mask != 0 ? std::move(event) : nullptr;
  mask_ = mask;
  cookie_ = cookie;
  recorded_ = 0;
  // A connect is told of once, whatever is selected later: only another connect enables that again.
  enabled_ |= kAllBits & ~static_cast<uint32_t>(SP_FD_CONNECT);
  if (event_ == nullptr) return;
  event_->selections.push_back(this);
  socket_->AddObserver(this);
  Look();
}

void NetworkEvents::Enable(uint32_t bits) {
  enabled_ |= bits;
  Look();
}

void NetworkEvents::Look() {
  if (event_ == nullptr) return;
  const NetworkState now = socket_->NetworkStateNow();
  const uint32_t fresh = now.bits & enabled_ & mask_;
  if (fresh == 0) return;
  if ((fresh & SP_FD_CONNECT) != 0) connect_error_ = now.connect_error;
  if ((fresh & SP_FD_CLOSE) != 0) close_error_ = now.close_error;
  enabled_ &= ~fresh;
  recorded_ |= fresh;
  if (event_->records) {
    for (const uint32_t bit : kBits) {
      if ((fresh & bit) != 0) event_->records({cookie_, bit, ErrorOf(bit)});
    }
  }
  event_->Set(true);
}

int32_t NetworkEvents::ErrorOf(uint32_t bit) const {
  if (bit == SP_FD_CONNECT) return connect_error_;
  return bit == SP_FD_CLOSE ? close_error_ : static_cast<int32_t>(SP_OK);
}

int32_t NetworkEvents::Report(sp_event* events, int32_t room) {
  int32_t count = 0;
  for (const uint32_t bit : kBits) {
    if ((recorded_ & bit) == 0 || count >= room) continue;
    events[count++] = {cookie_, bit, ErrorOf(bit)};
  }
  recorded_ = 0;
  return count;
}

void SelectEvents(Stack* stack, const sp_handle& handle, const std::shared_ptr<EventObject>& event, uint32_t mask,
                  uint64_t cookie, sp_result* result) {
  Hold file;
  result->error = FindFile(stack, handle, &file);
  if (result->error != SP_OK) return;
  auto* socket = dynamic_cast<Socket*>(file.get());
  if (socket == nullptr) {
    result->error = SP_ENOTSOCK;
  } else if ((mask & ~kAllBits) != 0 || (mask != 0 && event == nullptr)) {
    result->error = SP_EINVAL;
  } else {
    // "regardless of the value of lNetworkEvents" (WSAEventSelect, Remarks)
    socket->nonblocking = true;
    socket->events().Select(event, mask, cookie);
    result->value = 0;
  }
}

void WaitForEvents(Stack* stack, const std::shared_ptr<EventObject>& event, sp_watch_wait_args* args, sp_result* result) {
  args->strays = 0;
  if (args->step == SP_REPORT_ONLY) {
    Hold file;
    result->error = FindFile(stack, args->socket, &file);
    if (result->error != SP_OK) return;
    auto* socket = dynamic_cast<Socket*>(file.get());
    if (socket == nullptr) {
      result->error = SP_ENOTSOCK;
    } else if (args->kind != SP_POINTER_VALID) {
      result->error = SP_EFAULT;
    } else {
      args->count = socket->events().Report(args->events, args->capacity);
      if (args->keep_event == 0) event->Set(false);
      result->value = args->count;
    }
    return;
  }
  if (args->timeout_kind != 0) {
    result->error = SP_NOT_SUPPORTED;  // its argument is an unsigned number of milliseconds
    return;
  }
  if (!event->set && args->timeout_ns != 0) {
    result->error = stack->Block([&event] { return event->set; }, args->timeout_ns, SP_OK, "an event object");
    if (result->error != SP_OK) return;
  }
  result->value = event->set ? 1 : 0;
  if (args->step == SP_WAIT_ONLY || !event->set) return;
  if (args->kind != SP_POINTER_VALID) {
    result->error = SP_EFAULT;
    return;
  }
  for (NetworkEvents* selection : event->selections) {
    args->count += selection->Report(args->events + args->count, args->capacity - args->count);
  }
  event->Set(false);
  result->value = args->count;
}

}  // namespace sockproof::reference
