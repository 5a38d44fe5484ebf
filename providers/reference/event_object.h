// Event objects and the network events of a socket: WSAEventSelect, WSAEnumNetworkEvents.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "reference/file.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

class NetworkEvents;
class Socket;
class Stack;

// Manual reset.
struct EventObject {
  void Set(bool to) {
    set = to;
    if (was_set) was_set(to);
  }
  bool set = false;
  std::vector<NetworkEvents*> selections;  // of the sockets that name it, in the order in which they were made
  // For whoever carries this provider into another interface (embedding.h). They may be called in any thread, and call nothing
  // here.
  std::function<void(bool set)> was_set;  // each time that it is set or reset, be it so already
  std::function<void(const sp_event& event)>
      records;  // each network event, when it is recorded; accepted sockets do not inherit it
};

// What is the case at a socket now: SP_FD_* bits, each with the error that belongs to it.
struct NetworkState {
  uint32_t bits = 0;
  int32_t connect_error = SP_OK, close_error = SP_OK;
};

// The record of one socket. An event that is the case is recorded once, and not again before a call that enables it again
// (Windows Sockets 2, WSAEventSelect function (winsock2.h), Return value); what is recorded sets the event object.
class NetworkEvents final : public Observer {
 public:
  explicit NetworkEvents(Socket* socket) : socket_(socket) {}
  ~NetworkEvents() override;

  // Ends the selection before, and clears the record. What is the case already is recorded at once. `mask` 0 selects nothing.
  void Select(std::shared_ptr<EventObject> event, uint32_t mask, uint64_t cookie);
  void InheritFrom(const NetworkEvents& listener) {
    if (listener.event_ != nullptr && !listener.event_->records) Select(listener.event_, listener.mask_, listener.cookie_);
  }
  void End() { Select(nullptr, 0, 0); }
  bool active() const { return mask_ != 0; }
  // A call that lets these be recorded again has been made: if they are the case, they are.
  void Enable(uint32_t bits);
  // Copies the record, as far as there is room, and clears it; how many there were.
  int32_t Report(sp_event* events, int32_t room);

  bool Changed(uint32_t) override {
    Look();
    return false;
  }
  void Gone() override { End(); }

 private:
  void Look();
  int32_t ErrorOf(uint32_t bit) const;  // of one that is recorded

  Socket* socket_;
  std::shared_ptr<EventObject> event_;
  uint32_t mask_ = 0, recorded_ = 0, enabled_ = ~uint32_t{0};
  uint64_t cookie_ = 0;
  int32_t connect_error_ = SP_OK, close_error_ = SP_OK;
};

void SelectEvents(Stack* stack, const sp_handle& handle, const std::shared_ptr<EventObject>& event, uint32_t mask,
                  uint64_t cookie, sp_result* result);
void WaitForEvents(Stack* stack, const std::shared_ptr<EventObject>& event, sp_watch_wait_args* args, sp_result* result);

}  // namespace sockproof::reference
