// WSPEventSelect, WSPEnumNetworkEvents, WSPAsyncSelect and WSPSelect.
#include <algorithm>
#include <cstring>
#include <vector>

#include "reference/embedding.h"
#include "windows/errors.h"
#include "windows/memory.h"
#include "wsp-reference/host.h"

namespace sockproof::wsp_reference {
namespace {

struct EventNumber {
  long native;
  uint32_t neutral;
  int bit;  // the place of its error
};
constexpr EventNumber kEvents[] = {
    {FD_READ, SP_FD_READ, FD_READ_BIT},       {FD_WRITE, SP_FD_WRITE, FD_WRITE_BIT},       {FD_OOB, SP_FD_OOB, FD_OOB_BIT},
    {FD_ACCEPT, SP_FD_ACCEPT, FD_ACCEPT_BIT}, {FD_CONNECT, SP_FD_CONNECT, FD_CONNECT_BIT}, {FD_CLOSE, SP_FD_CLOSE, FD_CLOSE_BIT},
};
// Of which no socket here has any: FD_QOS, FD_GROUP_QOS and changes of routes and addresses.
constexpr long kNeverHappen = FD_QOS | FD_GROUP_QOS | FD_ROUTING_INTERFACE_CHANGE | FD_ADDRESS_LIST_CHANGE;
constexpr uint32_t kNobodys = 1;  // a bit that is no network event's, so that it is refused as such

uint32_t EventsIn(long events) {
  uint32_t neutral = 0;
  for (const EventNumber& event : kEvents) {
    if ((events & event.native) != 0) neutral |= event.neutral;
    events &= ~event.native;
  }
  return (events & ~kNeverHappen) != 0 ? neutral | kNobodys : neutral;
}

int32_t SelectOn(const SocketContext& context, const sp_handle& watcher, uint32_t events) {
  CallResult call;
  call.call.u.watch_set = {watcher, events, 0, 0};
  Host::Get().Call(events != 0 ? SP_OP_WATCH_ADD : SP_OP_WATCH_REMOVE, context.handle, &call);
  return call.error();
}

// Posts what is recorded for this socket from now on.
int32_t BeginMessages(SocketContext* context, HWND window, unsigned int message, long events) {
  Host& host = Host::Get();
  CallResult made;
  made.call.u.watch_create.mechanism = SP_EVENT_OBJECT;
  host.Call(SP_OP_WATCH_CREATE, {}, &made);
  if (made.error() != SP_OK) return made.error();
  const SOCKET socket = context->socket;
  reference::OnEventObject(host.self(), made.result.handle, nullptr, [socket, window, message](const sp_event& event) {
    Host& told = Host::Get();
    if (told.ending()) return;
    told.DeliverReplies();
    for (const EventNumber& number : kEvents) {
      if (number.neutral != event.events) continue;
      static_cast<void>(told.upcalls().lpWPUPostMessage(window, message, socket,
                                                        WSAMAKESELECTREPLY(number.native, windows::CodeOf(event.error))));
    }
  });
  EndMessages(context);
  context->messenger = made.result.handle;
  context->window = window;
  context->message = message;
  context->events = events;
  const int32_t error = SelectOn(*context, made.result.handle, EventsIn(events));
  if (error != SP_OK) EndMessages(context);
  return error;
}

// One wait of select's, over handles of the portable provider.
class SelectWait {
 public:
  SelectWait() {
    CallResult made;
    made.call.u.watch_create.mechanism = SP_SELECT;
    Host::Get().Call(SP_OP_WATCH_CREATE, {}, &made);
    error_ = made.error();
    watcher_ = made.result.handle;
  }
  ~SelectWait() {
    CallResult closed;
    if (error_ == SP_OK) Host::Get().Call(SP_OP_WATCH_CLOSE, watcher_, &closed);
  }
  SelectWait(const SelectWait&) = delete;
  SelectWait& operator=(const SelectWait&) = delete;

  int32_t Add(const sp_handle& handle, uint32_t events) {
    if (error_ != SP_OK) return error_;
    CallResult added;
    added.call.u.watch_set = {watcher_, events, 0, found_.size()};
    Host::Get().Call(SP_OP_WATCH_ADD, handle, &added);
    found_.push_back(0);
    return added.error();
  }
  int32_t Wait(int64_t timeout, int* count) {
    std::vector<sp_event> events(found_.size());
    CallResult waited;
    sp_watch_wait_args& args = waited.call.u.watch_wait;
    args.timeout_ns = timeout;
    args.events = events.data();
    args.capacity = static_cast<int32_t>(events.size());
    Host::Get().Call(SP_OP_WATCH_WAIT, watcher_, &waited);
    *count = static_cast<int>(waited.result.value);
    for (int32_t i = 0; waited.error() == SP_OK && i < args.count; ++i)
      found_[events[static_cast<std::size_t>(i)].cookie] = events[static_cast<std::size_t>(i)].events;
    return waited.error();
  }
  uint32_t Found(std::size_t index) const { return found_[index]; }

 private:
  sp_handle watcher_{};
  int32_t error_ = SP_OK;
  std::vector<uint32_t> found_;
};

struct Set {
  fd_set* set;
  uint32_t event;
};

}  // namespace

int WSPAPI EventSelect(SOCKET s, WSAEVENT event, long events, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  sp_handle watcher{SP_HANDLE_INVALID, 0, -1};
  if (events != 0) {
    if (const int32_t error = Host::Get().WatcherOf(event, &watcher); error != SP_OK) return Finish(error, code);
  }
  const int32_t error = SelectOn(*context, watcher, EventsIn(events));
  if (error == SP_OK) EndMessages(context);
  return Finish(error, code);
}

int WSPAPI EnumNetworkEvents(SOCKET s, WSAEVENT event, LPWSANETWORKEVENTS events, LPINT code) {
  const Entry entry;
  Host& host = Host::Get();
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  sp_event found[FD_MAX_EVENTS];
  CallResult call;
  sp_watch_wait_args& args = call.call.u.watch_wait;
  args.step = SP_REPORT_ONLY;
  args.socket = context->handle;
  args.events = found;
  args.capacity = FD_MAX_EVENTS;
  args.keep_event = event == nullptr ? 1 : 0;
  if (!windows::CanWrite(events, sizeof *events)) args.kind = SP_POINTER_INVALID;
  sp_handle watcher{};
  if (event != nullptr) {
    if (const int32_t error = host.WatcherOf(event, &watcher); error != SP_OK) return Finish(error, code);
  }
  CallResult spare;
  if (event == nullptr) {
    spare.call.u.watch_create.mechanism = SP_EVENT_OBJECT;
    host.Call(SP_OP_WATCH_CREATE, {}, &spare);
    watcher = spare.result.handle;
  }
  host.Call(SP_OP_WATCH_WAIT, watcher, &call);
  if (event == nullptr) {
    CallResult closed;
    host.Call(SP_OP_WATCH_CLOSE, watcher, &closed);
  }
  if (call.error() != SP_OK) return Finish(call.error(), code);
  events->lNetworkEvents = 0;
  for (int32_t i = 0; i < args.count; ++i) {
    for (const EventNumber& number : kEvents) {
      if (number.neutral != found[i].events) continue;
      events->lNetworkEvents |= number.native;
      events->iErrorCode[number.bit] = windows::CodeOf(found[i].error);
    }
  }
  return 0;
}

int WSPAPI AsyncSelect(SOCKET s, HWND window, unsigned int message, long events, LPINT code) {
  const Entry entry;
  SocketContext* context = nullptr;
  if (const int32_t error = Entry::Find(s, &context); error != SP_OK) return Finish(error, code);
  if (IsWindow(window) == 0) return Finish(SP_EINVAL, code);
  if (events == 0) {
    const int32_t error = SelectOn(*context, {SP_HANDLE_INVALID, 0, -1}, 0);
    if (error == SP_OK) EndMessages(context);
    return Finish(error, code);
  }
  return Finish(BeginMessages(context, window, message, events), code);
}

void EndMessages(SocketContext* context) {
  if (context->events == 0) return;
  CallResult closed;
  Host::Get().Call(SP_OP_WATCH_CLOSE, context->messenger, &closed);
  context->events = 0;
}

void InheritMessages(const SocketContext& listener, SocketContext* accepted) {
  if (listener.events == 0) return;
  static_cast<void>(BeginMessages(accepted, listener.window, listener.message, listener.events));
}

int32_t IsReady(const sp_handle& handle, uint32_t events, int64_t limit, bool* ready) {
  SelectWait wait;
  if (const int32_t error = wait.Add(handle, events); error != SP_OK) return error;
  int count = 0;
  const int32_t error = wait.Wait(limit, &count);
  *ready = count > 0;
  return error;
}

int WSPAPI Select(int, fd_set* reading, fd_set* writing, fd_set* exceptions, const PTIMEVAL timeout, LPINT code) {
  const Entry entry;
  Host& host = Host::Get();
  if (!host.started()) return Finish(SP_NOTINITIALISED, code);
  const Set sets[] = {{reading, SP_IN}, {writing, SP_OUT}, {exceptions, SP_PRI}};
  int64_t limit = -1;
  if (timeout != nullptr) {
    if (!windows::CanRead(timeout, sizeof *timeout)) return Finish(SP_EFAULT, code);
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0 || timeout->tv_usec > 999'999) return Finish(SP_EINVAL, code);
    limit = timeout->tv_sec * int64_t{1'000'000'000} + timeout->tv_usec * int64_t{1'000};
  }
  SelectWait wait;
  std::vector<SOCKET> places[3];
  std::vector<std::size_t> indices[3];
  std::size_t next = 0;
  for (int i = 0; i < 3; ++i) {
    fd_set* const set = sets[i].set;
    if (set == nullptr) continue;
    if (!windows::CanWrite(set, sizeof *set)) return Finish(SP_EFAULT, code);
    places[i].assign(set->fd_array, set->fd_array + std::min<u_int>(set->fd_count, FD_SETSIZE));
    for (const SOCKET socket : places[i]) {
      SocketContext* context = nullptr;
      if (const int32_t error = host.Find(socket, &context); error != SP_OK) return Finish(error, code);
      if (const int32_t error = wait.Add(context->handle, sets[i].event); error != SP_OK) return Finish(error, code);
      indices[i].push_back(next++);
    }
  }
  int count = 0;
  if (const int32_t error = wait.Wait(limit, &count); error != SP_OK) return Finish(error, code);
  int total = 0;
  for (int i = 0; i < 3; ++i) {
    if (sets[i].set == nullptr) continue;
    FD_ZERO(sets[i].set);
    for (std::size_t k = 0; k < places[i].size(); ++k) {
      if ((wait.Found(indices[i][k]) & sets[i].event) == 0) continue;
      sets[i].set->fd_array[sets[i].set->fd_count++] = places[i][k];
      ++total;
    }
  }
  return total;
}

}  // namespace sockproof::wsp_reference
