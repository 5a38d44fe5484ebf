// epoll: who of several waiters is woken.
#include "battery/notify.h"
#include "catalogue/notify.h"

namespace sockproof {
namespace {

const Over kSet = kTcp4.Needs({SP_CAP_EPOLL});
const Over kSetOverAll = kConnections.Needs({SP_CAP_EPOLL});

// Sets that hold the same listener, each waited for by a thread.
class Crowd {
 public:
  Crowd(const Socket& listener, const std::vector<uint32_t>& flags) {
    for (const uint32_t flag : flags) {
      sets_.push_back(std::make_unique<Watcher>(SP_EPOLL));
      Step(sets_.back()->Add(listener, SP_IN, flag));
    }
    for (auto& set : sets_) tasks_.push_back(WaitInThread(*set));
    for (Task<WaitResult>& task : tasks_) task.WaitBlocked();
  }
  bool Woken(std::size_t index, Nanoseconds limit = Nanoseconds(0)) { return tasks_[index].DoneWithin(limit); }
  int64_t CountWoken() {
    int64_t count = 0;
    for (Task<WaitResult>& task : tasks_) count += task.Done() ? 1 : 0;
    return count;
  }
  std::size_t size() const { return tasks_.size(); }
  Task<WaitResult>& task(std::size_t index) { return tasks_[index]; }
  // Brings those who still wait to an end, a connection at a time.
  void Dismiss(const Listener& listener, const Flavor& net) {
    for (std::size_t i = 0; i < 4 * size() && CountWoken() < static_cast<int64_t>(size()); ++i) {
      const int64_t before = CountWoken();
      // What stands in the queue has woken whom it could.
      Socket same = Socket::Borrowed(listener.socket.handle());
      for (std::size_t n = 0; n < 4 * size() && WaitReady(same, SP_IN, Nanoseconds(0)); ++n) Step(same.Accept());
      clients_.push_back(ConnectTo(listener, net));
      WaitUntil([&] { return CountWoken() > before; }, milliseconds(500), "one more waiter to be woken");
    }
    for (Task<WaitResult>& task : tasks_) static_cast<void>(task.Join());
  }

 private:
  std::vector<std::unique_ptr<Watcher>> sets_;
  std::vector<Task<WaitResult>> tasks_;
  std::vector<Socket> clients_;
};

}  // namespace

SCENARIO(Notify, AConnectionWakesEverySet, kSetOverAll, notify::all_sets_woken) {
  Listener listener = ListenOn(net, 32);
  Crowd crowd(listener.socket, {0, 0, 0, 0});
  Socket client = ConnectTo(listener, net);
  for (std::size_t i = 0; i < crowd.size(); ++i) {
    CHECK_REQUIREMENT(notify::all_sets_woken, Holds(crowd.Woken(i, Patience()), fmt::format("the waiter of set {}", i)));
  }
  crowd.Dismiss(listener, net);
}

SCENARIO(Notify, AnExclusiveWakeUpIsForOne, kSetOverAll.Waits(milliseconds(50)), notify::exclusive_wakes,
         notify::exclusive_wakes_one) {
  Listener listener = ListenOn(net, 32);
  Crowd crowd(listener.socket, {SP_EXCLUSIVE, SP_EXCLUSIVE, SP_EXCLUSIVE});
  Socket client = ConnectTo(listener, net);
  const bool woken = WaitUntil([&] { return crowd.CountWoken() > 0; }, Patience(), "a waiter to be woken");
  CHECK_REQUIREMENT(notify::exclusive_wakes, Readiness(woken, "the first of the waiters"));
  LetQuietTimePass(milliseconds(30));
  CHECK_REQUIREMENT(notify::exclusive_wakes_one, Outcome::OfNumber(crowd.CountWoken(), "waiters woken by one connection"));
  crowd.Dismiss(listener, net);
}

SCENARIO(Notify, ExclusiveWakeUpsTakeNothingFromOthers, kSetOverAll, notify::exclusive_mixed) {
  Listener listener = ListenOn(net, 32);
  Crowd crowd(listener.socket, {SP_EXCLUSIVE, 0, SP_EXCLUSIVE, 0});
  Socket client = ConnectTo(listener, net);
  CHECK_REQUIREMENT(notify::exclusive_mixed, Holds(crowd.Woken(1, Patience()), "the first set that did not ask"));
  CHECK_REQUIREMENT(notify::exclusive_mixed, Holds(crowd.Woken(3, Patience()), "the second set that did not ask"));
  CHECK_REQUIREMENT(notify::exclusive_mixed,
                    Becomes([&] { return crowd.Woken(0) || crowd.Woken(2); }, "one of those that asked"));
  crowd.Dismiss(listener, net);
}

SCENARIO(Notify, ExclusiveWakeUpsHaveTheirLimits, kSet, notify::exclusive_modify, notify::exclusive_events,
         notify::exclusive_set) {
  Listener listener = ListenOn(net);
  Socket other = net.NewConnecting();
  Watcher set(SP_EPOLL);
  Step(set.Add(listener.socket, SP_IN, SP_EXCLUSIVE));
  CHECK_REQUIREMENT(notify::exclusive_modify, set.Modify(listener.socket, SP_IN));
  CHECK_REQUIREMENT(notify::exclusive_modify, set.Modify(listener.socket, SP_IN, SP_EXCLUSIVE));
  CHECK_REQUIREMENT(notify::exclusive_events, set.Add(other, SP_IN, SP_EXCLUSIVE | SP_ONESHOT));
  CHECK_REQUIREMENT(notify::exclusive_events, set.Add(other, SP_IN | SP_PRI, SP_EXCLUSIVE));
  CHECK_REQUIREMENT(notify::exclusive_events, set.Add(other, SP_IN | SP_RDHUP, SP_EXCLUSIVE));
  Step(set.Add(other, SP_IN));
  CHECK_REQUIREMENT(notify::exclusive_modify, set.Modify(other, SP_IN, SP_EXCLUSIVE));
  Watcher inner(SP_EPOLL);
  CHECK_REQUIREMENT(notify::exclusive_set, set.Add(Socket::Borrowed(inner.handle()), SP_IN, SP_EXCLUSIVE));
}

SCENARIO(Notify, AnEdgeWakesOneThreadOfASet, kSetOverAll.Waits(milliseconds(50)), notify::edge_wakes_one) {
  constexpr std::size_t kThreads = 3;
  Pair pair = ConnectedPair(net);
  Watcher set(SP_EPOLL);
  Step(set.Add(pair.server, SP_IN, SP_EDGE));
  std::vector<Task<WaitResult>> tasks;
  for (std::size_t i = 0; i < kThreads; ++i) tasks.push_back(WaitInThread(set));
  for (Task<WaitResult>& task : tasks) task.WaitBlocked();
  const auto woken = [&] {
    int64_t count = 0;
    for (Task<WaitResult>& task : tasks) count += task.Done() ? 1 : 0;
    return count;
  };
  Step(pair.client.SendBytes("x"));
  WaitUntil([&] { return woken() > 0; }, Patience(), "a thread to be woken");
  LetQuietTimePass(milliseconds(30));
  CHECK_REQUIREMENT(notify::edge_wakes_one, Outcome::OfNumber(woken(), "threads woken by one edge"));
  for (std::size_t i = 0; i < 4 * kThreads && woken() < static_cast<int64_t>(kThreads); ++i) {
    const int64_t before = woken();
    Step(pair.client.SendBytes("x"));
    WaitUntil([&] { return woken() > before; }, milliseconds(500), "one more thread to be woken");
  }
  for (Task<WaitResult>& task : tasks) static_cast<void>(task.Join());
}

}  // namespace sockproof
