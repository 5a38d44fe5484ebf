#include "reference/scheduler.h"

#ifdef __MINGW32__
#include <pthread.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>

#include <fmt/format.h>

namespace sockproof::reference {

namespace {

int64_t MachineNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Scheduler::Membership::~Membership() {
  const std::shared_ptr<Scheduler*> alive = scheduler.lock();
  if (alive != nullptr && thread != nullptr) (*alive)->Detach();
}

#ifdef __MINGW32__

// There thread-local storage is emulated, and its memory may be gone when its destructors run at the end of a thread.
Scheduler::Membership& Scheduler::Mine() {
  static pthread_key_t key;
  static const int made = pthread_key_create(&key, [](void* mine) {
    pthread_setspecific(key, mine);  // what is called now still asks for it
    delete static_cast<Membership*>(mine);
    pthread_setspecific(key, nullptr);
  });
  static_cast<void>(made);
  auto* mine = static_cast<Membership*>(pthread_getspecific(key));
  if (mine == nullptr) {
    mine = new Membership;
    pthread_setspecific(key, mine);
  }
  return *mine;
}

#else

Scheduler::Membership& Scheduler::Mine() {
  thread_local Membership mine;
  return mine;
}

#endif

Scheduler::~Scheduler() { UseRealTime(false); }

Scheduler::Thread* Scheduler::Self() const {
  const std::shared_ptr<Scheduler*> mine = Mine().scheduler.lock();
  return mine != nullptr && *mine == this ? Mine().thread : nullptr;
}

bool Scheduler::Attached() const { return Self() != nullptr; }

int64_t Scheduler::Current() const {
  const Thread* self = Self();
  return self != nullptr ? self->id : 0;
}

void Scheduler::Attach(std::string name) {
  if (Attached()) return;
  Lock lock(mutex_);
  auto thread = std::make_unique<Thread>();
  thread->id = next_thread_++;
  thread->name = std::move(name);
  Thread* self = thread.get();
  const bool first = threads_.empty();
  threads_.emplace(self->id, std::move(thread));
  Mine().scheduler = alive_;
  Mine().thread = self;
  if (first || baton_free_) {
    baton_free_ = false;
    self->has_baton = true;
    return;
  }
  if (expected_ > 0 && --expected_ == 0) arrived_.notify_all();
  AwaitBaton(self, &lock);
}

void Scheduler::Detach() {
  Thread* self = Self();
  if (self == nullptr) return;
  Lock lock(mutex_);
  Mine().thread = nullptr;
  threads_.erase(self->id);
  if (real_ || !threads_.empty() || expected_ > 0) PassOn(&lock);
}

void Scheduler::Expect() {
  Lock lock(mutex_);
  arrived_.wait(lock, [this] { return expected_ == 0; });
  ++expected_;
}

bool Scheduler::Blocked(int64_t thread) const {
  const Lock lock(mutex_);
  const auto found = threads_.find(thread);
  return found != threads_.end() && found->second->in_call && !CanRun(*found->second);
}

void Scheduler::Yield() {
  Thread* self = Self();
  if (self == nullptr) return;
  Lock lock(mutex_);
  if (threads_.size() == 1 && expected_ == 0) return;
  self->has_baton = false;
  PassOn(&lock);
  AwaitBaton(self, &lock);
}

Scheduler::Woken Scheduler::WaitUntil(const std::function<bool()>& ready, int64_t deadline, std::string what, bool in_call) {
  RunDue();
  if (ready()) return Woken::kReady;
  if (deadline <= now_) return Woken::kTimedOut;
  Thread* self = Self();
  if (self == nullptr) return Woken::kDeadlock;  // nobody could pass the baton back
  Lock lock(mutex_);
  self->ready = &ready;
  self->deadline = deadline;
  self->what = std::move(what);
  self->in_call = in_call;
  self->has_baton = false;
  PassOn(&lock);
  AwaitBaton(self, &lock);
  self->in_call = false;
  self->ready = nullptr;
  self->deadline = kNever;
  const bool stuck = self->stuck;
  self->stuck = false;
  lock.unlock();
  if (ready()) return Woken::kReady;
  return stuck ? Woken::kDeadlock : Woken::kTimedOut;
}

bool Scheduler::CanRun(const Thread& thread) const {
  return thread.ready == nullptr || thread.stuck || (*thread.ready)() || thread.deadline <= now_;
}

// Who runs next. Moves time on until somebody can; null if nobody is left.
Scheduler::Thread* Scheduler::Choose(Lock* lock) {
  for (;;) {
    arrived_.wait(*lock, [this] { return expected_ == 0; });
    if (threads_.empty()) return nullptr;
    int64_t next = kNever;
    if (Thread* able = ChooseAble(&next); able != nullptr) return able;
    if (next == kNever) {
      std::fputs(Describe().c_str(), stderr);
      Thread* oldest = threads_.begin()->second.get();
      oldest->stuck = true;
      return oldest;
    }
    now_ = std::max(now_, next);
  }
}

Scheduler::Thread* Scheduler::ChooseAble(int64_t* next) {
  RunDue();
  std::vector<Thread*> able;
  *next = due_.empty() ? kNever : due_.begin()->first.first;
  for (const auto& [id, thread] : threads_) {
    if (CanRun(*thread)) able.push_back(thread.get());
    *next = std::min(*next, thread->deadline);
  }
  if (able.empty()) return nullptr;
  return able.size() == 1 ? able.front() : able[Below(able.size())];
}

void Scheduler::Touch() {
  if (real_) now_ = std::max(now_, MachineNow() + real_offset_);
}

void Scheduler::UseRealTime(bool real) {
  if (real == real_) return;
  if (real) {
    real_ = true;
    real_offset_ = now_ - MachineNow();
    baton_free_ = true;
    pump_ = std::thread([this] { Pump(); });
    return;
  }
  {
    const Lock lock(mutex_);
    ending_ = true;
    pump_wake_.notify_all();
  }
  pump_.join();
  real_ = ending_ = baton_free_ = false;
}

void Scheduler::Pump() {
  Lock lock(mutex_);
  while (!ending_) {
    if (!baton_free_) {
      pump_wake_.wait(lock);
      continue;
    }
    int64_t next = kNever;
    if (Thread* able = ChooseAble(&next); able != nullptr) {
      baton_free_ = false;
      able->has_baton = true;
      able->wake.notify_one();
    } else if (next == kNever) {
      pump_wake_.wait(lock);
    } else {
      pump_wake_.wait_for(lock, std::chrono::nanoseconds(next - now_));
    }
  }
}

void Scheduler::PassOn(Lock* lock) {
  int64_t due = kNever;
  Thread* next = real_ ? ChooseAble(&due) : Choose(lock);
  if (real_ && next == nullptr) {
    baton_free_ = true;
    pump_wake_.notify_all();
  }
  if (next == nullptr) return;
  next->has_baton = true;
  next->wake.notify_one();
}

void Scheduler::AwaitBaton(Thread* self, Lock* lock) {
  self->wake.wait(*lock, [self] { return self->has_baton; });
}

std::string Scheduler::Describe() const {
  std::string text = "reference: deadlock, nothing can wake anybody\n";
  for (const auto& [id, thread] : threads_) text += fmt::format("  {} waits for {}\n", thread->name, thread->what);
  return text;
}

Scheduler::Timer Scheduler::At(int64_t when, std::function<void()> action) {
  const Timer timer = next_timer_++;
  const int64_t at = std::max(when, now_);
  due_.emplace(std::make_pair(at, timer), std::move(action));
  when_.emplace(timer, at);
  return timer;
}

void Scheduler::Cancel(Timer* timer) {
  const auto found = when_.find(*timer);
  if (found != when_.end()) {
    due_.erase({found->second, *timer});
    when_.erase(found);
  }
  *timer = 0;
}

void Scheduler::RunDue() {
  Touch();
  while (!due_.empty() && due_.begin()->first.first <= now_) {
    const std::function<void()> action = std::move(due_.begin()->second);
    when_.erase(due_.begin()->first.second);
    due_.erase(due_.begin());
    action();
  }
}

// SplitMix64: small, and the same on every machine, which the distributions of the standard library are not.
uint64_t Scheduler::Random() {
  random_ += 0x9e3779b97f4a7c15u;
  uint64_t mixed = random_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

}  // namespace sockproof::reference
