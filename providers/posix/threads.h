// Which thread is in which state, signals, and the end of threads.
#pragma once

#include <atomic>
#include <cstdint>

namespace sockproof::posix {

// What is known of a thread that has called into the adapter. The sequence is odd while it is in a call of the C library on
// behalf of a scenario, and never the same for two such calls: an observer who reads the same odd number before and after
// looking at the scheduler's state of the thread knows that the sleep which it saw was in that call.
struct ThreadRecord {
  std::atomic<std::int64_t> thread{0};  // its number; 0: free
  std::atomic<std::uint64_t> sequence{0};
  ThreadRecord* next = nullptr;
};

ThreadRecord& ThisThread();

// Stands around the call itself and nothing else: no memory is allocated and no lock taken while it lives. It also ends
// when the thread is cancelled in the call.
class InCall {
 public:
  InCall() : record_(ThisThread()), outer_((record_.sequence.load(std::memory_order_relaxed) & 1) != 0) {
    record_.sequence.fetch_add(outer_ ? 2 : 1);
  }
  ~InCall() { record_.sequence.fetch_add(outer_ ? 2 : 1); }
  InCall(const InCall&) = delete;
  InCall& operator=(const InCall&) = delete;

 private:
  ThreadRecord& record_;
  bool outer_;  // a call made by a signal handler that interrupted another
};

// Installs the handlers: SIGPIPE, SIGURG and SIGIO are counted, SIGUSR1 and SIGUSR2 interrupt.
void InstallSignalHandlers();

// In a child of fork: only the calling thread is left.
void ForgetOtherThreads();

}  // namespace sockproof::posix
