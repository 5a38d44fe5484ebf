// Time and threads of the reference provider.
//
// One attached thread runs at a time: it holds the baton, and everything in this provider is touched by its holder alone, so
// nothing else here is locked. Where several could run, a seeded choice is made, so the same seed and the same calls give the
// same run. When none can run, the clock moves to the next event; a time-out of 75 seconds takes microseconds.
//
// Times are nanoseconds on the virtual clock, which starts at kStart.
//
// Whoever puts this provider behind an interface without a virtual clock lets time be the machine's (UseRealTime): then nobody
// moves it, a thread of the scheduler's own waits for what is due, and nothing is ever a deadlock, as another thread may come.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sockproof::reference {

constexpr int64_t kNever = INT64_MAX;
constexpr int64_t kStart = 1'000'000'000;
constexpr int64_t kMicrosecond = 1'000;
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed) : random_(seed) {}
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // ---- Threads. Attach blocks until the calling thread is given the baton; Detach passes it on.
  void Attach(std::string name);
  void Detach();
  bool Attached() const;
  // A thread is about to be made that will attach itself: until it has, nobody else is chosen and time stands still. Without
  // this, whether a new thread takes part in the next choice would be a race. Waits until one that was announced before has
  // come, so that two of them do not race for their numbers either.
  void Expect();
  // Names the calling thread; 0 for one that is not attached.
  int64_t Current() const;
  // Whether that thread waits in a call, and what it waits for has not come.
  bool Blocked(int64_t thread) const;
  // A point at which another thread that can run may go first.
  void Yield();

  enum class Woken { kReady, kTimedOut, kDeadlock };
  // Gives the baton up until `ready` holds (kReady) or the clock reaches `deadline` (absolute; kNever for none). kDeadlock: no
  // thread can run, and no event is left that could change that; standard error says who waits for what. `ready` is asked by
  // other threads while they hold the baton; it must change nothing. `in_call`: it counts as blocked meanwhile.
  Woken WaitUntil(const std::function<bool()>& ready, int64_t deadline, std::string what, bool in_call = false);

  // ---- Time
  int64_t Now() const { return now_; }
  // Moves the clock on, by what a call costs, so that a loop that only looks comes to an end as well.
  void Spend(int64_t nanoseconds) {
    if (!real_) now_ += nanoseconds;
  }
  // The machine's time in place of a virtual one, or back. While no thread is attached.
  void UseRealTime(bool real);
  using Timer = uint64_t;  // 0 is none
  // Runs `action` when the clock gets to `when` (at the next RunDue, if that is over). Actions of one time run in the order in
  // which they were asked for.
  Timer At(int64_t when, std::function<void()> action);
  void Cancel(Timer* timer);  // sets it to 0; nothing if it is 0 or has run
  // Runs every action that is due, and what those ask for at the same time. Called at the beginning and end of every call.
  void RunDue();

  // ---- Chance: the one source of it (initial sequence numbers, ports, loss, who runs next)
  void Seed(uint64_t seed) { random_ = seed; }
  uint64_t Random();
  uint64_t Below(uint64_t bound) { return Random() % bound; }

 private:
  struct Thread {
    int64_t id = 0;
    std::string name;
    const std::function<bool()>* ready = nullptr;  // null: it can run
    int64_t deadline = kNever;
    std::string what;
    bool has_baton = false;
    bool in_call = false;
    bool stuck = false;  // woken because nothing could ever wake it
    std::condition_variable_any wake;
  };
  // Which thread of which scheduler the calling thread is. One that ends while it is attached is detached.
  struct Membership {
    std::weak_ptr<Scheduler*> scheduler;
    Thread* thread = nullptr;
    ~Membership();
  };
  static Membership& Mine();
  using Lock = std::unique_lock<std::recursive_mutex>;

  Thread* Self() const;  // null for a thread that is not attached
  bool CanRun(const Thread& thread) const;
  Thread* Choose(Lock* lock);
  void PassOn(Lock* lock);
  static void AwaitBaton(Thread* self, Lock* lock);
  std::string Describe() const;
  // Real time
  void Touch();                       // moves now_ to what it is
  Thread* ChooseAble(int64_t* next);  // null if none can run before *next
  void Pump();                        // the body of pump_

  // Guards the threads and the baton; everything else belongs to the baton's holder. Recursive, since what a thread waits for
  // may be whether another one is blocked.
  mutable std::recursive_mutex mutex_;
  std::condition_variable_any arrived_;
  std::map<int64_t, std::unique_ptr<Thread>> threads_;
  int64_t next_thread_ = 1;
  int expected_ = 0;
  std::shared_ptr<Scheduler*> alive_ = std::make_shared<Scheduler*>(this);

  int64_t now_ = kStart;
  bool real_ = false, ending_ = false;
  bool baton_free_ = false;  // real time: nobody can run, and nobody runs
  int64_t real_offset_ = 0;  // of the machine's clock to now_
  std::thread pump_;         // real time: hands the baton to whoever can run when something has become due
  std::condition_variable_any pump_wake_;
  std::map<std::pair<int64_t, Timer>, std::function<void()>> due_;
  std::map<Timer, int64_t> when_;
  Timer next_timer_ = 1;
  uint64_t random_;
};

}  // namespace sockproof::reference
