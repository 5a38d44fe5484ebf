#include "run.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>

#include "attempt.h"
#include "failure.h"
#include "filter.h"
#include "fork_server.h"
#include "mutants.h"
#include "plan.h"
#include "progress.h"
#include "results_file.h"
#include "temporary.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;
using std::chrono::steady_clock;

// Two more than the cores that the run may have: until it is seen that a process waits, its core would stand idle.
unsigned started_at_once(unsigned jobs) { return jobs == 1 ? 1 : jobs + 2; }

// Waiting costs a process memory and a place, no core.
constexpr unsigned kWaitingForEachJob = 64;
constexpr std::size_t kRoomForDirectory = 255;
constexpr auto kSampling = std::chrono::milliseconds(1);

// Runs the tasks that are left, and hands each result to the sink.
class Engine {
 public:
  /// `mutants`: the faults that are tried; null: none.
  Engine(const Options& options, const Plan& plan, ResultSink& sink, Tally& tally, Progress& progress, Mutants* mutants)
      : plan_(plan),
        mutants_(mutants),
        sink_(sink),
        tally_(tally),
        progress_(progress),
        stop_at_first_(options.stop_at_first),
        temporary_(!plan.facts.launcher.empty() || !plan.facts.emulator.empty()),
        mark_(fmt::format("SOCKPROOF_RUN={}.{:x}", ::getpid(), steady_clock::now().time_since_epoch().count())),
        guardian_(mark_, temporary_.path()),
        children_(context_),
        stacks_(context_, children_, options.stacks && plan.facts.emulator.empty()),
        stop_signals_(context_, SIGINT, SIGTERM, SIGHUP),
        sampling_(context_),
        workshop_{context_,
                  children_,
                  guardian_,
                  stacks_,
                  plan.facts,
                  plan.battery,
                  temporary_.path(),
                  mark_,
                  {},
                  options.memory_limit_mib,
                  options.output_limit_mib,
                  std::vector<unsigned>(plan.facts.jobs),
                  0,
                  nullptr,
                  {}},
        scheduler_(started_at_once(plan.facts.jobs), options.max_processes.value_or(plan.facts.jobs * kWaitingForEachJob)) {
    children_.spare(guardian_.pid());
    std::map<std::string, std::string> environment = plan.facts.target.environment;
    environment["SOCKPROOF_RUN"] = mark_.substr(mark_.find('=') + 1);
    environment["SOCKPROOF_RUNNER"] = "1";  // somebody takes the stacks of a crash: the battery waits for that
    environment["SOCKPROOF_TIMEOUT_SCALE"] = fmt::format("{}", plan.facts.timeout_scale);
    environment["SOCKPROOF_ISOLATION"] = name_of(plan.facts.isolation.isolation);
    // A launcher may take a scenario back to where the runner is, whose settings belong to the machine.
    std::error_code no_link;
    if (const fs::path own = fs::read_symlink("/proc/self/ns/net", no_link); !no_link)
      environment["SOCKPROOF_HOST_NETNS"] = own.string();
    // Every attempt adds its own.
    environment["TMPDIR"] = "";
    workshop_.environment = child_environment(environment);
    workshop_.environment.erase(std::find(workshop_.environment.begin(), workshop_.environment.end(), "TMPDIR="));
  }

  /// Returns whether it came to its end.
  bool go(const std::vector<Task>& tasks) {
    std::vector<std::int64_t> waits;
    for (const Scenario& scenario : plan_.scenarios) waits.push_back(scenario.waits_ms);
    if (mutants_ != nullptr)
      scheduler_.fill_lanes(mutants_->lanes());
    else
      scheduler_.fill(waits, tasks);
    stop_signals_.async_wait([this](const boost::system::error_code& error, int number) {
      if (!error) stop(number);
    });
    // A launcher stands before a program, so each scenario has to be one; and what LD_PRELOAD puts into it may have started
    // threads before main, which a fork would lose.
    const RunFacts& facts = plan_.facts;
    const bool preloaded = std::any_of(workshop_.environment.begin(), workshop_.environment.end(),
                                       [](const std::string& entry) { return entry.rfind("LD_", 0) == 0; });
    if (facts.launcher.empty() && facts.emulator.empty() && !preloaded && facts.info.value("serves", false)) {
      std::vector<std::string> environment = workshop_.environment;
      environment.push_back("SOCKPROOF_TMPDIR=" + std::string(kRoomForDirectory, 'x'));  // each scenario writes its own here
      server_.emplace(context_, children_, battery_arguments(facts, plan_.battery), environment,
                      [this](const std::string& reason) {
                        failure_ = reason;
                        stop(0);
                      });
      workshop_.server = &*server_;
    }
    // Started from within the loop, as everything later is.
    boost::asio::post(context_, [this] { fill_up(); });
    workshop_.stalls = {};  // the clock begins to count here
    sample_later();
    context_.run();
    if (failure_) throw Failure(*failure_);
    return !stopped_ || enough_;
  }

 private:
  void fill_up() {
    filling_ = false;
    if (stopped_) return;
    // One at a time, so that what others have to say is heard in between.
    const auto task = next_wanted();
    if (!task) return finish_when_idle();
    auto attempt = std::make_shared<Attempt>(workshop_, plan_.scenarios[task->scenario], *task, ++number_,
                                             mutants_ != nullptr ? mutants_->fault(task->lane) : std::string());
    running_.insert(attempt);
    attempt->start([this](Attempt& done) { over(done); });
    fill_up_later();
  }

  std::optional<Task> next_wanted() {
    for (;;) {
      const auto task = scheduler_.start_next();
      if (!task || mutants_ == nullptr || mutants_->wanted(*task)) return task;
      scheduler_.end(false, task->lane);
    }
  }

  void fill_up_later() {
    if (filling_) return;
    filling_ = true;
    boost::asio::post(context_, [this] { fill_up(); });
  }

  void over(Attempt& attempt) {
    scheduler_.end(attempt.parked(), attempt.task().lane);
    if (mutants_ != nullptr) return tried(attempt);
    const auto records = scenario_records(plan_.facts, attempt.outcome());
    try {
      sink_.write(records);
    } catch (const Failure& failure) {
      failure_ = failure.what();
      stop(0);
    }
    if (!stopped_) {
      tally_.add(records.back());
      progress_.scenario(records.back());
      if (stop_at_first_ && records.back().at("unexpected").get<bool>()) enough();
    }
    running_.erase(attempt.shared_from_this());
    if (!stopped_) fill_up_later();
  }

  void tried(Attempt& attempt) {
    const Task task = attempt.task();
    if (!stopped_ && mutants_->wanted(task)) {
      try {
        sink_.write({mutants_->tried(attempt.outcome(), task.lane)});
      } catch (const Failure& failure) {
        failure_ = failure.what();
        stop(0);
      }
      if (mutants_->settled(task.lane)) scheduler_.drop(task.lane);
    }
    running_.erase(attempt.shared_from_this());
    // A copy: what ends may be told at once. Those that could only say what has been said are waited for no longer.
    for (const auto& other : std::vector<std::shared_ptr<Attempt>>(running_.begin(), running_.end()))
      if (other->task().lane == task.lane && !mutants_->wanted(other->task())) other->cut_short();
    if (!stopped_) fill_up_later();
  }

  // What is under way has no say any more.
  void enough() {
    enough_ = true;
    stop(0);
  }

  void finish_when_idle() {
    if (scheduler_.left() != 0 || !scheduler_.idle()) return;
    boost::system::error_code ignored;
    sampling_.cancel();
    stop_signals_.cancel(ignored);
    sweep_all();
    context_.stop();
  }

  void sweep_all() {
    // What was below a process that is killed comes up only then.
    for (int round = 0; round < 20 && children_.sweep(0, true) > 0; ++round) {
    }
  }

  void sample_later() {
    sampling_.expires_after(kSampling);
    sampling_.async_wait([this](const boost::system::error_code& error) {
      if (error || stopped_) return;
      const auto now = steady_clock::now();
      workshop_.stalls.look(now);
      bool room = false;
      unsigned overdue = 0;
      // A copy: a sample may find a limit exceeded, which ends an attempt.
      for (const auto& attempt : std::vector<std::shared_ptr<Attempt>>(running_.begin(), running_.end())) {
        const bool was_parked = attempt->parked();
        const bool is_parked = attempt->sample(now) == ActivityMeter::State::parked;
        if (!was_parked && is_parked) scheduler_.park(attempt->task().lane), room = true;
        if (was_parked && !is_parked) scheduler_.unpark(attempt->task().lane);
        if (attempt->overdue(now)) ++overdue;
      }
      scheduler_.set_overdue(overdue);
      if (room || overdue > 0) fill_up_later();
      progress_.tick(running_.size());
      sample_later();
    });
  }

  // What has a result keeps it; what runs is ended without one, and a resumed run does it again.
  void stop(int number) {
    if (stopped_) return;
    stopped_ = true;
    if (number != 0) progress_.message(fmt::format("stopped by SIG{}", sigabbrev_np(number)));
    scheduler_.stop();
    stacks_.stop();
    for (const auto& attempt : running_) attempt->abandon();
    sampling_.expires_after(std::chrono::milliseconds(100));
    sampling_.async_wait([this](const boost::system::error_code&) {
      sweep_all();
      context_.stop();
    });
  }

  const Plan& plan_;
  Mutants* mutants_;
  ResultSink& sink_;
  Tally& tally_;
  Progress& progress_;
  bool stop_at_first_;
  TemporaryDirectory temporary_;
  std::string mark_;
  Guardian guardian_;
  boost::asio::io_context context_;
  Children children_;
  StackTaker stacks_;
  boost::asio::signal_set stop_signals_;
  boost::asio::steady_timer sampling_;
  Workshop workshop_;
  Scheduler scheduler_;
  std::optional<ForkServer> server_;
  std::set<std::shared_ptr<Attempt>> running_;
  unsigned number_ = 0;
  bool filling_ = false;
  bool stopped_ = false;
  bool enough_ = false;  // stopped at the first unexpected result
  std::optional<std::string> failure_;
};

}  // namespace

namespace {

std::int64_t own_processor_us() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return (std::int64_t{use.ru_utime.tv_sec} + use.ru_stime.tv_sec) * 1'000'000 + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
}

}  // namespace

int run(const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);
  Plan plan = make_plan(options);
  if (options.list) {
    for (const Scenario& scenario : plan.scenarios) std::cout << scenario.name << '\n';
    return plan.scenarios.empty() ? kNothingRan : kAsExpected;
  }

  ResultSink sink;
  Tally tally(plan.facts);
  fs::path directory;
  std::set<std::pair<std::string, unsigned>> done;
  unsigned resumed = 0;
  if (plan.earlier) {
    directory = *options.resume;
    const fs::path file = directory / "results.jsonl";
    std::error_code error;
    fs::resize_file(file, plan.earlier->good_bytes, error);
    if (error) throw Failure(fmt::format("cannot write {}: {}", file.string(), error.message()));
    for (const json& record : plan.earlier->scenarios) {
      tally.add(record);
      done.emplace(record.at("name").get<std::string>(), record.at("repeat").get<unsigned>());
    }
    resumed = 1;
  } else if (!options.stream_only) {
    if (options.output) {
      directory = *options.output;
      std::error_code error;
      fs::create_directories(directory, error);
      if (error) throw Failure(fmt::format("cannot make {}: {}", directory.string(), error.message()));
      fs::remove(directory / "results.jsonl", error);
    } else {
      directory = make_run_directory(plan.facts.target.name);
    }
  }
  if (!directory.empty()) sink.open(directory / "results.jsonl");
  if (options.stream) sink.stream();

  std::vector<Task> tasks;
  for (unsigned repeat = 0; repeat < plan.facts.repeat; ++repeat)
    for (std::size_t i = 0; i < plan.scenarios.size(); ++i)
      if (done.count({plan.scenarios[i].name, repeat}) == 0) tasks.push_back({i, repeat});

  std::optional<Mutants> mutants;
  if (!options.faults.empty()) mutants.emplace(options.faults, plan.scenarios, options.stop_at_first);

  if (!plan.earlier) sink.write({run_record(plan.facts)});
  if (!plan.earlier || !plan.earlier->requirements) sink.write(requirement_records(plan.requirements));

  Progress progress(options.stream, tasks.size());
  const auto began = steady_clock::now();
  const std::int64_t own_before_us = own_processor_us();
  bool whole = true;
  if (!tasks.empty()) {
    Engine engine(options, plan, sink, tally, progress, mutants ? &*mutants : nullptr);
    whole = engine.go(tasks);
  }
  const std::int64_t own_us = own_processor_us() - own_before_us;
  const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began).count();
  progress.end();
  // There is no verdict over a run of many faults: that is for whoever knows what each of them is expected to break.
  if (mutants) return whole ? kAsExpected : kHarnessFailed;

  const json summary = tally.summary(wall, own_us, plan.scenarios.size() * plan.facts.repeat, !whole, resumed);
  const bool already_there = plan.earlier && plan.earlier->complete && tasks.empty();
  if (!already_there) sink.write({summary});
  if (options.format == Format::failures) {
    for (const json& name : summary["unexpected"]) std::cout << name.get<std::string>() << '\n';
  } else if (!options.stream) {
    std::cout << final_table(tally, summary, directory.empty() ? "" : (directory / "results.jsonl").string());
  }
  std::cout.flush();
  return summary["exit_code"].get<int>();
}

}  // namespace sockproof::runner
