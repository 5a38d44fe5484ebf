#include "face/threads.h"

#include <algorithm>

#include "face/trace.h"

namespace sockproof {
namespace {

std::atomic<int> next_index{1};
std::atomic<int> running{0};

struct ReadyCall {
  static int32_t Ask(void* context) { return (*static_cast<const std::function<bool()>*>(context))() ? 1 : 0; }
};

bool Scheduled() { return Host::Get().HasVirtualClock() && Host::Get().scheduler.wait_until != nullptr; }

// Waits for a state of this program alone: the provider's scheduler asks `ready` itself, so it must not call the provider.
bool WaitInScheduler(const std::function<bool()>& ready, Nanoseconds limit, const char* what) {
  Host& host = Host::Get();
  return host.scheduler.wait_until(host.self(), ReadyCall::Ask, const_cast<std::function<bool()>*>(&ready), limit.count(),
                                   what) == SP_OK;
}

}  // namespace

bool WaitUntil(const std::function<bool()>& ready, Nanoseconds limit, const char*) {
  const bool scheduled = Scheduled();
  const auto now = [scheduled] { return scheduled ? Now() : HostNow(); };
  const int64_t end = now() + limit.count();
  // The first looks come fast, as what is waited for mostly comes at once; then they cost next to nothing.
  for (int64_t pause = 50'000;; pause = std::min<int64_t>(pause * 2, 2'000'000)) {
    if (ready()) return true;
    if (now() >= end) return ready();
    if (scheduled) {
      Host::Get().SleepVirtual(Nanoseconds(pause));
    } else {
      std::this_thread::sleep_for(Nanoseconds(pause));
    }
  }
}

int RunningWorkers() { return running; }

Worker::Worker(std::string name, std::function<void()> body) : state_(std::make_shared<State>()) {
  state_->name = std::move(name);
  state_->index = next_index++;
  state_->started = Now();
  ++running;
  Host& host = Host::Get();
  if (host.scheduler.expect != nullptr) host.scheduler.expect(host.self());
  // The shared state outlives a Worker that is given up while its thread is still blocked.
  thread_ = std::thread([state = state_, body = std::move(body)]() mutable {
    Host& host = Host::Get();
    if (host.scheduler.attach != nullptr) host.scheduler.attach(host.self(), state->name.c_str());
    SetThreadIndex(state->index);
    if (host.threads.current != nullptr) state->token = host.threads.current(host.self());
    body();
    state->ended = Now();
    body = nullptr;  // what it holds, an accepted socket perhaps, is given up before anybody hears of the end
    {
      const std::lock_guard<std::mutex> lock(state->mutex);
      state->done = true;
      --running;
      state->changed.notify_all();
    }
    // Last: whoever is chosen now, and asks, finds this thread done.
    if (host.scheduler.detach != nullptr) host.scheduler.detach(host.self());
  });
}

Worker::~Worker() {
  if (Done()) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

bool Worker::Done() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->done;
}

bool Worker::WaitDone(Nanoseconds limit) {
  if (Scheduled()) return WaitInScheduler([this] { return Done(); }, limit, state_->name.c_str());
  std::unique_lock<std::mutex> lock(state_->mutex);
  return state_->changed.wait_for(lock, limit, [this] { return state_->done; });
}

bool Worker::Blocked() const {
  Host& host = Host::Get();
  const int64_t token = state_->token;
  if (token < 0 || host.threads.blocked == nullptr || Done()) return false;
  return host.threads.blocked(host.self(), token) == SP_OK;
}

bool Worker::WaitBlocked() {
  Host& host = Host::Get();
  const bool can_tell =
      host.threads.blocked != nullptr && host.threads.blocked(host.self(), host.threads.current(host.self())) != SP_NOT_SUPPORTED;
  if (!can_tell) {
    LetQuietTimePass(Patience() / 50);
    return !Done();
  }
  return WaitUntil([this] { return Blocked() || Done(); }, Patience(), "a blocked call") && !Done();
}

void Worker::Interrupt(bool restart) {
  Host& host = Host::Get();
  if (host.threads.interrupt == nullptr) host.reporter().NotSupported("signals", "the provider cannot interrupt a thread");
  host.Expect(host.threads.interrupt(host.self(), state_->token, restart ? 1 : 0), "signals", "interrupt " + state_->name);
}

Nanoseconds Worker::Elapsed() const {
  const int64_t end = state_->ended != 0 ? state_->ended.load() : Now();
  return Nanoseconds(end - state_->started);
}

void Latch::Open() {
  const std::lock_guard<std::mutex> lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

void Latch::Wait() {
  bool open = false;
  if (Scheduled()) {
    const auto is_open = [this] {
      const std::lock_guard<std::mutex> lock(mutex_);
      return open_;
    };
    open = WaitInScheduler(is_open, Patience(), "a latch");
  } else {
    std::unique_lock<std::mutex> lock(mutex_);
    open = changed_.wait_for(lock, Patience(), [this] { return open_; });
  }
  if (!open) {
    Host::Get().reporter().StepFailed(SOCKPROOF_HERE, "a latch was never opened", Outcome(OutcomeName{"still_blocked"}));
  }
}

}  // namespace sockproof
