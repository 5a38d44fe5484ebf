// One run of one scenario, from its directory and process to its judgement.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "battery_output.h"
#include "children.h"
#include "guardian.h"
#include "process.h"
#include "records.h"
#include "scheduler.h"
#include "stacks.h"
#include "stalls.h"

namespace sockproof::runner {

/// What all attempts of a run share. References stay valid until the last attempt is over.
struct Workshop {
  boost::asio::io_context& context;
  Children& children;
  Guardian& guardian;
  StackTaker& stacks;
  const RunFacts& facts;
  std::filesystem::path battery;
  std::filesystem::path temporary;  ///< each attempt makes a directory of its own below
  std::string mark;                 ///< NAME=value that every process of the run carries
  std::vector<std::string> environment;
  unsigned memory_limit_mib = 0;
  unsigned output_limit_mib = 0;
  std::vector<unsigned> in_job;  ///< how many are under way in each job's own surroundings, which `{job}` names
  std::size_t last_job = 0;      ///< whose turn it was last
  ForkServer* server = nullptr;  ///< forks for each scenario; null: each is a program of its own
  Stalls stalls;

  /// The job with the fewest under way, in turns; the caller takes it away from `in_job` at its end.
  std::size_t next_job();
};

/// The battery's program and the arguments that are the same for every scenario.
std::vector<std::string> battery_arguments(const RunFacts& facts, const std::filesystem::path& battery);

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  using Done = std::function<void(Attempt&)>;

  /// `number` is unique in the run; it names the directory.
  /// `fault` is put into the provider; empty: none.
  Attempt(Workshop& workshop, const Scenario& scenario, Task task, unsigned number, std::string fault = {});

  /// `done` is told once, later, when everything about it is known and nothing of it runs any more.
  void start(Done done);
  /// Ends it at once; nobody is told.
  void abandon();
  /// Ends it at once; `done` is told as ever.
  void cut_short();

  /// Looks at processor time and memory; called often. Returns whether it holds a core.
  ActivityMeter::State sample(std::chrono::steady_clock::time_point now);

  Task task() const { return task_; }
  bool parked() const { return meter_.state() == ActivityMeter::State::parked; }
  /// It waits, and has waited for so long that it can only be hanging.
  bool overdue(std::chrono::steady_clock::time_point now) const;
  const std::string& name() const { return scenario_.name; }
  Outcome& outcome() { return outcome_; }

 private:
  enum class Phase { running, stacks, ending, over };

  std::vector<std::string> arguments() const;
  void watch_the_time(std::chrono::steady_clock::duration not_run);
  std::chrono::steady_clock::duration limit() const;
  /// How long the machine ran neither the runner nor it, since it began.
  std::chrono::steady_clock::duration not_run() const;
  void time_is_up();
  void is_dying();
  void exceeded(Limit limit, std::int64_t value);
  void after_stacks(Stacks stacks);
  void end_by_force();
  void exited(Exit exit, ResourceUse use);
  void finish();
  void remove_directory();
  std::vector<pid_t> processes_to_look_at() const;

  Workshop& workshop_;
  const Scenario& scenario_;
  Task task_;
  std::size_t job_ = 0;
  std::string fault_;
  std::filesystem::path directory_;
  BatteryOutput output_;
  Outcome outcome_;
  Done done_;
  std::shared_ptr<Process> process_;
  boost::asio::steady_timer timer_;
  Phase phase_ = Phase::running;
  ActivityMeter meter_;
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::duration lost_before_{0};  // to stalls, when it began
  std::chrono::steady_clock::time_point last_sample_;
  std::chrono::steady_clock::time_point last_tree_;
  std::chrono::steady_clock::time_point last_memory_;
  std::chrono::steady_clock::time_point last_asked_;
  std::int64_t used_at_memory_ns_ = 0;
  std::int64_t most_resident_kib_ = 0;
  std::vector<pid_t> below_;  // descendants, looked up now and then
};

}  // namespace sockproof::runner
