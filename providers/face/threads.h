// Threads of a scenario. They are made, joined and synchronised only through these, which tell the provider's scheduler where
// it has one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "face/host.h"
#include "face/time.h"

namespace sockproof {

// Waits until `ready` says so, looking again and again with short pauses; false when `limit` is over first.
bool WaitUntil(const std::function<bool()>& ready, Nanoseconds limit, const char* what = "a condition");

// The thread behind a Task.
class Worker {
 public:
  Worker(std::string name, std::function<void()> body);
  ~Worker();  // a thread that has not ended is left alone: the process ends with the scenario
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  bool Done() const;
  bool WaitDone(Nanoseconds limit);
  // Waits until the thread sleeps inside a call of the provider; false if it ended or Patience() went by. Where the provider
  // cannot tell, waits until the thread has had ample time to get there.
  bool WaitBlocked();
  bool Blocked() const;
  void Interrupt(bool restart);
  const std::string& name() const { return state_->name; }
  Nanoseconds Elapsed() const;  // from the start to the end (or to now)

 private:
  struct State {
    std::string name;
    int index = 0;
    mutable std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    std::atomic<int64_t> token{-1};
    int64_t started = 0;
    std::atomic<int64_t> ended{0};
  };
  std::shared_ptr<State> state_;
  std::thread thread_;
};

// Threads of Workers that have not ended, also of those that were given up.
int RunningWorkers();

// A call, or several, in a thread of its own: begin is Spawn, wait is Join.
template <typename Value>
class [[nodiscard]] Task {
 public:
  bool Done() const { return worker_->Done(); }
  bool DoneWithin(Nanoseconds limit) { return worker_->WaitDone(limit); }
  bool WaitBlocked() { return worker_->WaitBlocked(); }
  bool Blocked() const { return worker_->Blocked(); }
  // A signal whose handler does nothing; `restart`: installed with SA_RESTART.
  void Interrupt(bool restart = false) { worker_->Interrupt(restart); }
  Nanoseconds Elapsed() const { return worker_->Elapsed(); }

  // What it returned. A task that is not done within `limit` fails the scenario, named.
  Value Join(Nanoseconds limit = Patience(), Where where = SOCKPROOF_HERE) {
    if (!worker_->WaitDone(limit)) {
      Host::Get().reporter().StepFailed(where, worker_->name() + " did not come back", Outcome(OutcomeName{"still_blocked"}));
    }
    if constexpr (!std::is_void_v<Value>) {
      Value value = std::move(**slot_);
      slot_->reset();
      return value;
    }
  }

 private:
  template <typename Body>
  friend auto Spawn(std::string name, Body body) -> Task<std::invoke_result_t<Body>>;
  using Stored = std::conditional_t<std::is_void_v<Value>, char, Value>;
  std::shared_ptr<std::optional<Stored>> slot_ = std::make_shared<std::optional<Stored>>();
  std::unique_ptr<Worker> worker_;
};

// Runs `body()` in a thread called `name`. What the body refers to must live until it has ended: Join before leaving.
template <typename Body>
auto Spawn(std::string name, Body body) -> Task<std::invoke_result_t<Body>> {
  using Value = std::invoke_result_t<Body>;
  Task<Value> task;
  task.worker_ = std::make_unique<Worker>(std::move(name), [slot = task.slot_, body = std::move(body)]() mutable {
    if constexpr (std::is_void_v<Value>) {
      body();
    } else {
      slot->emplace(body());
    }
  });
  return task;
}

// A gate that opens once: threads wait before it, so that they start together.
class Latch {
 public:
  void Open();
  void Wait();  // ends the scenario after Patience()

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

}  // namespace sockproof
