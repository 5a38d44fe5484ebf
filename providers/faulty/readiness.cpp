#include "faulty/readiness.h"

#include <algorithm>

namespace sockproof::faulty {
namespace {

// A provider is opened once a process, and so is this. Never destroyed: threads may still be in a call at the end.
struct Book {
  std::mutex mutex;
  std::map<int64_t, Report> watchers;
};
Book& TheBook() {
  static Book* book = new Book;
  return *book;
}

void Note(const sp_call& call, const sp_result& result) {
  if (result.error != SP_OK) return;
  Book& book = TheBook();
  const std::lock_guard<std::mutex> lock(book.mutex);
  const sp_watch_set_args& args = call.u.watch_set;
  const auto same = [&](const Watched& one) { return one.socket.value == call.handle.value; };
  switch (call.op) {
    case SP_OP_WATCH_CREATE:
      book.watchers[result.handle.value] = Report{result.handle.value, call.u.watch_create.mechanism, {}};
      return;
    case SP_OP_WATCH_ADD:
      book.watchers[args.watcher.value].entries.push_back({call.handle, args.events, args.flags, args.cookie, 0});
      return;
    case SP_OP_WATCH_MODIFY:
      for (Watched& one : book.watchers[args.watcher.value].entries) {
        if (same(one)) one = {call.handle, args.events, args.flags, args.cookie, 0};
      }
      return;
    case SP_OP_WATCH_REMOVE: {
      std::vector<Watched>& entries = book.watchers[args.watcher.value].entries;
      entries.erase(std::remove_if(entries.begin(), entries.end(), same), entries.end());
      return;
    }
    default:
      return;
  }
}

Report ReportOf(int64_t watcher) {
  Book& book = TheBook();
  const std::lock_guard<std::mutex> lock(book.mutex);
  const auto found = book.watchers.find(watcher);
  return found != book.watchers.end() ? found->second : Report{watcher, -1, {}};
}

int64_t BitsOf(uint32_t events) {
  int64_t bits = 0;
  for (const uint32_t event : {SP_IN, SP_OUT, SP_PRI}) bits += (events & event) != 0 ? 1 : 0;
  return bits;
}

// Reads what was reported into the entries, has it changed, and writes it back.
void Apply(sp_watch_wait_args& args, sp_result* result, Report report, const Edit& edit) {
  for (Watched& one : report.entries) {
    for (int32_t i = 0; i < args.count; ++i) {
      if (args.events[i].cookie == one.cookie) one.ready = args.events[i].events;
    }
  }
  const std::vector<Watched> before = report.entries;
  edit(report);
  const auto same = [](const Watched& a, const Watched& b) { return a.ready == b.ready && a.cookie == b.cookie; };
  if (std::equal(before.begin(), before.end(), report.entries.begin(), report.entries.end(), same)) return;
  args.count = 0;
  result->value = 0;
  for (const Watched& one : report.entries) {
    if (one.ready == 0 || args.count >= args.capacity) continue;
    args.events[args.count++] = sp_event{one.cookie, one.ready, SP_OK};
    result->value += IsSelect(report.mechanism) ? BitsOf(one.ready) : 1;
  }
}

}  // namespace

int32_t MechanismOf(int64_t watcher) { return ReportOf(watcher).mechanism; }
std::vector<Watched> EntriesOf(int64_t watcher) { return ReportOf(watcher).entries; }

void PassNoted(Wrapped& provider, sp_call* call, sp_result* result) {
  if (call->op == SP_OP_WATCH_CLOSE) {  // before the number is somebody else's
    Book& book = TheBook();
    const std::lock_guard<std::mutex> lock(book.mutex);
    book.watchers.erase(call->handle.value);
  }
  if (call->op == SP_OP_CLOSE && call->handle.kind == SP_HANDLE_SOCKET) {
    Book& book = TheBook();
    const std::lock_guard<std::mutex> lock(book.mutex);
    for (auto& [value, report] : book.watchers) {
      if (report.mechanism != SP_EPOLL) continue;  // the arguments of poll and select name whatever has the number
      auto& entries = report.entries;
      const auto gone = [&](const Watched& one) { return one.socket.value == call->handle.value; };
      entries.erase(std::remove_if(entries.begin(), entries.end(), gone), entries.end());
    }
  }
  provider.Pass(call, result);
  Note(*call, *result);
}

void PassEdited(Wrapped& provider, sp_call* call, sp_result* result, const Edit& edit, Watch watch) {
  if (call->op != SP_OP_WATCH_WAIT) return PassNoted(provider, call, result);
  sp_watch_wait_args& args = call->u.watch_wait;
  const bool plain =
      args.step == SP_WAIT_AND_REPORT && args.timeout_kind == 0 && args.kind == SP_POINTER_VALID && args.capacity > 0;
  const Report report = ReportOf(call->handle.value);
  if (!plain || report.mechanism < 0) return provider.Pass(call, result);
  const int64_t asked = args.timeout_ns, begin = provider.Now();
  constexpr int64_t kBreath = 2'000'000;  // what is kept quiet would be reported again at once
  constexpr int64_t kSlice = 5'000'000;
  args.timeout_ns = 0;
  for (bool first = true;; first = false) {
    provider.Pass(call, result);
    const bool quiet = result->error == SP_OK && result->value == 0;
    if (result->error == SP_OK) Apply(args, result, ReportOf(call->handle.value), edit);
    const int64_t gone = provider.Now() - begin;
    if (result->error != SP_OK || result->value > 0 || (asked >= 0 && gone >= asked)) break;
    if (!first && !quiet) provider.Pause(kBreath);
    const int64_t left = asked < 0 ? -1 : std::max<int64_t>(0, asked - (provider.Now() - begin));
    args.timeout_ns = watch == Watch::closely && (left < 0 || left > kSlice) ? kSlice : left;
  }
  args.timeout_ns = asked;
}

void PassSpoilt(Wrapped& provider, sp_call* call, sp_result* result, Spoil spoil) {
  const Edit edit = [&](Report& report) {
    for (Watched& one : report.entries) one.ready = spoil(provider, one.socket, one.asked, one.ready);
  };
  PassEdited(provider, call, result, edit, Watch::closely);
}

}  // namespace sockproof::faulty
