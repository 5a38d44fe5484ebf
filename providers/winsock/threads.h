// Which thread is in which state.
#pragma once

#include <atomic>
#include <cstdint>

namespace sockproof::winsock {

// What is known of a thread that has called into the adapter. The sequence is odd while it is in a call of Windows on behalf of a
// scenario, and never the same for two such calls: an observer who reads the same odd number before and after looking at the
// thread's state knows that the sleep which it saw was in that call.
struct ThreadRecord {
  std::int64_t thread = 0;  // its number
  std::atomic<std::uint64_t> sequence{0};
  // Of those who look: the call that they saw, since when, and how often. Guarded by the lock in threads.cpp.
  std::uint64_t looked_sequence = 0;
  std::int64_t looked_since_ns = 0;
  int looks = 0;
  ThreadRecord* next = nullptr;
};

ThreadRecord& ThisThread();

// Stands around the call itself and nothing else: no memory is allocated and no lock taken while it lives.
class InCall {
 public:
  InCall() : record_(ThisThread()) { record_.sequence.fetch_add(1); }
  ~InCall() { record_.sequence.fetch_add(1); }
  InCall(const InCall&) = delete;
  InCall& operator=(const InCall&) = delete;

 private:
  ThreadRecord& record_;
};

// Stands around what the suite does inside a call: a condition function, which may make calls of its own.
class OutOfCall {
 public:
  OutOfCall() : record_(ThisThread()), inside_((record_.sequence.load(std::memory_order_relaxed) & 1) != 0) {
    if (inside_) record_.sequence.fetch_add(1);
  }
  ~OutOfCall() {
    if (inside_) record_.sequence.fetch_add(1);
  }
  OutOfCall(const OutOfCall&) = delete;
  OutOfCall& operator=(const OutOfCall&) = delete;

 private:
  ThreadRecord& record_;
  bool inside_;  // no, if a thread of the implementation's own asks
};

}  // namespace sockproof::winsock
