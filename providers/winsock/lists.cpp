// select and WSAPoll.
#include <algorithm>
#include <cstring>
#include <vector>

#include "adapter.h"
#include "perform.h"
#include "watchers.h"

namespace sockproof::winsock {
namespace {

// An fd_set of any size: a count and so many sockets.
class SocketSet {
 public:
  explicit SocketSet(std::size_t room) : memory_(room + 1) { static_assert(offsetof(fd_set, fd_array) == sizeof(SOCKET)); }
  // FD_SET takes a socket once.
  void Add(SOCKET socket) {
    if (Has(socket)) return;
    memory_[1 + Count()] = socket;
    const u_int count = Count() + 1;
    std::memcpy(memory_.data(), &count, sizeof count);
  }
  bool Has(SOCKET socket) const {
    const auto begin = memory_.begin() + 1;
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min<std::size_t>(Count(), memory_.size() - 1));
    return std::find(begin, end, socket) != end;
  }
  u_int Count() const {
    u_int count = 0;
    std::memcpy(&count, memory_.data(), sizeof count);
    return count;
  }
  fd_set* get() { return reinterpret_cast<fd_set*>(memory_.data()); }

 private:
  std::vector<SOCKET> memory_;
};

struct EventRow {
  std::uint32_t neutral;
  short native;
};
constexpr EventRow kEvents[] = {
    {SP_IN, POLLIN},     {SP_OUT, POLLOUT},       {SP_PRI, POLLPRI},       {SP_ERR, POLLERR},       {SP_HUP, POLLHUP},
    {SP_NVAL, POLLNVAL}, {SP_RDNORM, POLLRDNORM}, {SP_RDBAND, POLLRDBAND}, {SP_WRNORM, POLLWRNORM}, {SP_WRBAND, POLLWRBAND},
};

// POLLIN is two bits, and POLLOUT and POLLWRNORM are one. What was asked for by one name is reported by that name; what was not
// asked for by the names of its own.
std::uint32_t NeutralEvents(short revents, std::uint32_t asked) {
  std::uint32_t out = 0;
  short told = 0;
  for (const EventRow& row : kEvents) {
    if ((revents & row.native) == 0 || (asked & row.neutral) == 0) continue;
    out |= row.neutral;
    told = static_cast<short>(told | row.native);
  }
  for (const EventRow& row : kEvents) {
    if (row.neutral != SP_IN && (revents & row.native & ~told) != 0) out |= row.neutral;
  }
  return out;
}

}  // namespace

void WaitSelect(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result) {
  constexpr std::uint32_t kBits[3] = {SP_IN, SP_OUT, SP_PRI};
  std::vector<SocketSet> sets(3, SocketSet(watcher.entries.size()));
  fd_set* pointers[3] = {};
  for (int i = 0; i < 3; ++i) {
    for (const Watcher::Entry& entry : watcher.entries) {
      if ((entry.events & kBits[i]) != 0) sets[static_cast<std::size_t>(i)].Add(entry.socket);
    }
    fd_set* const used = sets[static_cast<std::size_t>(i)].Count() != 0 ? sets[static_cast<std::size_t>(i)].get() : nullptr;
    pointers[i] = static_cast<fd_set*>(Pointer(adapter, args.kind, used));
  }
  const bool unlimited = args.timeout_ns < 0 && args.timeout_kind == 0;
  const std::int64_t microseconds = std::max<std::int64_t>(args.timeout_ns, 0) / 1000 + (args.timeout_ns % 1000 > 0 ? 1 : 0);
  timeval limit{};
  limit.tv_sec = static_cast<long>(microseconds / 1000000);
  limit.tv_usec = static_cast<long>(microseconds % 1000000);
  if (args.timeout_kind != 0) limit.tv_sec = -1;
  const bool failed =
      Perform(result, [&] { return ::select(0, pointers[0], pointers[1], pointers[2], unlimited ? nullptr : &limit); });
  if (failed || args.kind != SP_POINTER_VALID || result->value == 0) return;
  for (const Watcher::Entry& entry : watcher.entries) {
    std::uint32_t events = 0;
    for (int i = 0; i < 3; ++i) {
      if ((entry.events & kBits[i]) != 0 && sets[static_cast<std::size_t>(i)].Has(entry.socket)) events |= kBits[i];
    }
    if (events != 0) Deliver(args, entry.cookie, events);
  }
}

void WaitPoll(Adapter& adapter, const Watcher& watcher, sp_watch_wait_args& args, sp_result* result) {
  if (args.timeout_kind != 0) return NotSupported(result);  // every time-out is a good one
  // WSAPoll has to clear what it does not report, so something stands there before.
  constexpr short kStale = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLNVAL;
  std::vector<WSAPOLLFD> list;
  for (const Watcher::Entry& entry : watcher.entries) {
    short asked = 0;
    for (const EventRow& row : kEvents) {
      if ((entry.events & row.neutral) != 0) asked = static_cast<short>(asked | row.native);
    }
    list.push_back({entry.socket, asked, kStale});
  }
  auto* pointer = static_cast<WSAPOLLFD*>(Pointer(adapter, args.kind, list.data()));
  const int timeout = args.timeout_ns < 0 ? -1 : static_cast<int>(WaitMilliseconds(args.timeout_ns));
  const bool failed = Perform(result, [&] { return ::WSAPoll(pointer, static_cast<ULONG>(list.size()), timeout); });
  if (failed || result->value == 0 || args.kind != SP_POINTER_VALID) return;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::uint32_t events = NeutralEvents(list[i].revents, watcher.entries[i].events);
    if (events != 0) Deliver(args, watcher.entries[i].cookie, events);
  }
}

}  // namespace sockproof::winsock
