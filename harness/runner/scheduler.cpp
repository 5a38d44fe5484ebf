#include "scheduler.h"

#include <algorithm>

namespace sockproof::runner {

Scheduler::Scheduler(unsigned jobs, unsigned most) : jobs_(jobs), most_(std::max(jobs, most)) {}

void Scheduler::fill(const std::vector<std::int64_t>& waits_ms, const std::vector<Task>& tasks) {
  std::vector<Task> sorted = tasks;
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Task& a, const Task& b) {
    if (a.repeat != b.repeat) return a.repeat < b.repeat;
    return waits_ms[a.scenario] > waits_ms[b.scenario];
  });
  for (const Task& task : sorted) (waits_ms[task.scenario] > 0 ? waiting_ : working_).push_back(task);
}

std::optional<Task> Scheduler::start_next() {
  if (active_ >= jobs_) return std::nullopt;
  const unsigned all = active_ + parked_ - std::min(parked_, overdue_);
  std::deque<Task>* queue = nullptr;
  if (all < most_ && !waiting_.empty()) queue = &waiting_;
  // Waits that fill all places leave the cores idle, which those that declare none may have.
  else if (all < 2 * most_ && !working_.empty())
    queue = &working_;
  if (queue == nullptr) return std::nullopt;
  const Task task = queue->front();
  queue->pop_front();
  ++active_;
  return task;
}

void Scheduler::stop() {
  waiting_.clear();
  working_.clear();
}

}  // namespace sockproof::runner
