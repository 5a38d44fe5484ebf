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

void Scheduler::fill_lanes(const std::vector<std::vector<Task>>& lanes) {
  for (const std::vector<Task>& tasks : lanes) lanes_.emplace_back().tasks.assign(tasks.begin(), tasks.end());
}

void Scheduler::park(unsigned lane) {
  --active_, ++parked_;
  if (!lanes_.empty()) --lanes_[lane].active, ++lanes_[lane].parked;
}

void Scheduler::unpark(unsigned lane) {
  ++active_, --parked_;
  if (!lanes_.empty()) ++lanes_[lane].active, --lanes_[lane].parked;
}

void Scheduler::end(bool parked, unsigned lane) {
  --(parked ? parked_ : active_);
  if (!lanes_.empty()) --(parked ? lanes_[lane].parked : lanes_[lane].active);
}

std::size_t Scheduler::left() const {
  std::size_t left = waiting_.size() + working_.size();
  for (const Lane& lane : lanes_) left += lane.tasks.size();
  return left;
}

std::optional<Task> Scheduler::start_in_a_lane() {
  if (active_ + parked_ - std::min(parked_, overdue_) >= most_) return std::nullopt;
  while (first_lane_ < lanes_.size() && lanes_[first_lane_].tasks.empty()) ++first_lane_;
  for (std::size_t i = first_lane_; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    if (lane.tasks.empty() || lane.active > 0 || lane.parked >= kMostParkedInALane) continue;
    const Task task = lane.tasks.front();
    lane.tasks.pop_front();
    ++lane.active;
    ++active_;
    return task;
  }
  return std::nullopt;
}

std::optional<Task> Scheduler::start_next() {
  if (active_ >= jobs_) return std::nullopt;
  if (!lanes_.empty()) return start_in_a_lane();
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
  for (Lane& lane : lanes_) lane.tasks.clear();
}

}  // namespace sockproof::runner
