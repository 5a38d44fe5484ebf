#include "faulty/readiness.h"

#include <algorithm>

namespace sockproof::faulty {
namespace {

constexpr int64_t kSlice = 5'000'000;  // how long an event that only the fault sees may go unnoticed

struct Watched {
  sp_handle socket;
  uint32_t events;
  uint64_t cookie;
};

// By the watcher's value. Never destroyed: threads may still be in a call at the end.
struct Sets {
  std::mutex mutex;
  std::map<int64_t, std::vector<Watched>> sets;
};
Sets& TheSets() {
  static auto* sets = new Sets;
  return *sets;
}

void Learn(const sp_call& call) {
  Sets& all = TheSets();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto forget = [](std::vector<Watched>& set, int64_t value) {
    set.erase(std::remove_if(set.begin(), set.end(), [&](const Watched& one) { return one.socket.value == value; }), set.end());
  };
  const sp_watch_set_args& args = call.u.watch_set;
  switch (call.op) {
    case SP_OP_WATCH_ADD:
      all.sets[args.watcher.value].push_back({call.handle, args.events, args.cookie});
      break;
    case SP_OP_WATCH_MODIFY:
      forget(all.sets[args.watcher.value], call.handle.value);
      all.sets[args.watcher.value].push_back({call.handle, args.events, args.cookie});
      break;
    case SP_OP_WATCH_REMOVE:
      forget(all.sets[args.watcher.value], call.handle.value);
      break;
    case SP_OP_WATCH_CLOSE:
      all.sets.erase(call.handle.value);
      break;
    case SP_OP_CLOSE:
      for (auto& [watcher, set] : all.sets) forget(set, call.handle.value);
      break;
    default:
      break;
  }
}

std::vector<Watched> SetOf(int64_t watcher) {
  Sets& all = TheSets();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.sets.find(watcher);
  return found != all.sets.end() ? found->second : std::vector<Watched>{};
}

// What is to be reported; true if that is not what the provider said.
bool Change(Wrapped& provider, const std::vector<Watched>& set, const sp_watch_wait_args& args, Spoil spoil,
            std::vector<sp_event>* events) {
  bool changed = false;
  events->clear();
  for (const Watched& one : set) {
    uint32_t ready = 0;
    for (int32_t i = 0; i < args.count; ++i) {
      if (args.events[i].cookie == one.cookie) ready = args.events[i].events;
    }
    const uint32_t told = spoil(provider, one.socket, one.events, ready);
    changed = changed || told != ready;
    if (told != 0) events->push_back({one.cookie, told, SP_OK});
  }
  return changed;
}

void Wait(Wrapped& provider, sp_call* call, sp_result* result, Spoil spoil) {
  sp_watch_wait_args& args = call->u.watch_wait;
  const std::vector<Watched> set = SetOf(call->handle.value);
  const bool plain = args.step == SP_WAIT_AND_REPORT && args.timeout_kind == 0 && args.kind == SP_POINTER_VALID;
  if (set.empty() || !plain || args.capacity <= 0) return provider.Pass(call, result);
  const int64_t asked = args.timeout_ns, begin = provider.Now();
  for (;;) {
    const int64_t left = asked < 0 ? kSlice : std::max<int64_t>(0, asked - (provider.Now() - begin));
    args.timeout_ns = std::min(left, kSlice);
    provider.Pass(call, result);
    args.timeout_ns = asked;
    if (result->error != SP_OK) return;
    std::vector<sp_event> events;
    const bool changed = Change(provider, set, args, spoil, &events);
    const bool over = asked >= 0 && provider.Now() - begin >= asked;
    if (!changed && (args.count > 0 || over)) return;  // as the provider told it
    if (!changed) continue;
    if (events.empty() && !over) {
      provider.Pause(std::min(left, kSlice));  // what the provider reports, it reports again at once
      continue;
    }
    args.count = static_cast<int32_t>(std::min(events.size(), static_cast<std::size_t>(args.capacity)));
    std::copy_n(events.begin(), args.count, args.events);
    return Succeed(result, args.count);
  }
}

}  // namespace

void PassSpoilt(Wrapped& provider, sp_call* call, sp_result* result, Spoil spoil) {
  if (call->op == SP_OP_WATCH_WAIT) return Wait(provider, call, result, spoil);
  if (call->op == SP_OP_WATCH_CLOSE || call->op == SP_OP_CLOSE) Learn(*call);  // before the number is somebody else's
  provider.Pass(call, result);
  if (call->op >= SP_OP_WATCH_ADD && call->op <= SP_OP_WATCH_REMOVE && result->error == SP_OK) Learn(*call);
}

}  // namespace sockproof::faulty
