#include "attempt.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "failure.h"
#include "filter.h"
#include "fork_server.h"
#include "procfs.h"
#include "temporary.h"
#include "trace_ring.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr auto kParkedSampling = milliseconds(10);
constexpr auto kTreeSampling = milliseconds(250);
constexpr auto kAskAgain = milliseconds(4);
// Most are over by then. What is looked up of a process in /proc makes its end dearer, more than all else here together.
constexpr auto kAskFirst = milliseconds(6);
constexpr auto kMemorySampling = milliseconds(20);
constexpr std::int64_t kMemoryAfterNs = 20'000'000;  // memory cannot grow without processor time
// What a hanging process gets to write its trace after SIGTERM.
constexpr auto kLastWords = milliseconds(300);
// A process that even SIGKILL does not end (it waits in the kernel) is left behind.
constexpr auto kUnkillable = std::chrono::seconds(10);
// Beyond twice the wait that it declared.
constexpr auto kLateEnough = std::chrono::seconds(3);
// Time that its threads waited for a core is added to the limit, up to so many times the limit: on a machine with many times the
// load that it has cores, two threads that take turns wait for each turn. One that hangs waits for nothing, or spins.
constexpr int kMostWaits = 10;
constexpr std::size_t kTraceLines = 200;

// As fork_protocol.h has it.
std::string wish_of(Isolation isolation) {
  switch (isolation) {
    case Isolation::netns:
      return "netns";
    case Isolation::user_netns:
      return "user_netns";
    default:
      return "none";
  }
}

std::int64_t nanoseconds_since_epoch(steady_clock::time_point time) {
  return duration_cast<nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

std::vector<std::string> battery_arguments(const RunFacts& facts, const std::filesystem::path& battery) {
  std::vector<std::string> arguments{battery.string(), "--provider=" + facts.target.provider, "--profile=" + facts.target.profile,
                                     "--seed=" + std::to_string(facts.seed)};
  if (facts.selftest) arguments.push_back("--selftest");
  return arguments;
}

std::size_t Workshop::next_job() {
  std::size_t best = last_job;
  for (std::size_t i = 1; i <= in_job.size(); ++i) {
    const std::size_t job = (last_job + i) % in_job.size();
    if (i == 1 || in_job[job] < in_job[best]) best = job;
  }
  ++in_job[best];
  return last_job = best;
}

Attempt::Attempt(Workshop& workshop, const Scenario& scenario, Task task, unsigned number, std::string fault)
    : workshop_(workshop),
      scenario_(scenario),
      task_(task),
      fault_(std::move(fault)),
      directory_(workshop.temporary / fmt::format("{:06}", number)),  // as long a name for each: a trace tells lengths
      output_(scenario.name),
      timer_(workshop.context) {
  outcome_.scenario = &scenario;
  outcome_.repeat = task.repeat;
}

std::vector<std::string> Attempt::arguments() const {
  std::vector<std::string> arguments = workshop_.facts.launcher;
  arguments.insert(arguments.end(), workshop_.facts.emulator.begin(), workshop_.facts.emulator.end());
  arguments = for_job(std::move(arguments), static_cast<unsigned>(job_));
  for (std::string& word : battery_arguments(workshop_.facts, workshop_.battery)) arguments.push_back(std::move(word));
  if (!fault_.empty()) arguments.push_back("--fault=" + fault_);
  arguments.push_back("--gtest_filter=" + scenario_.name);
  return arguments;
}

void Attempt::start(Done done) {
  done_ = std::move(done);
  job_ = workshop_.next_job();
  began_ = last_sample_ = last_tree_ = last_memory_ = steady_clock::now();
  ProcessOptions options;
  options.arguments = arguments();
  options.isolation = workshop_.facts.isolation.isolation;
  options.environment = workshop_.environment;
  options.variable = "SOCKPROOF_TMPDIR=" + directory_.string();
  options.environment.push_back(options.variable);
  options.environment.push_back("TMPDIR=" + directory_.string());
  options.environment.push_back("SOCKPROOF_TRACE_FILE=" + (directory_ / "trace").string());
  try {
    if (::mkdir(directory_.c_str(), 0700) != 0)
      throw Failure(fmt::format("cannot make {}: {}", directory_.string(), std::strerror(errno)));
    auto on_output = [self = shared_from_this()](Stream stream, std::string_view text) {
      if (self->phase_ != Phase::over && self->outcome_.evidence.limit != Limit::output) {
        if (stream == Stream::output)
          self->output_.take_output(text);
        else
          self->output_.take_error(text);
      }
      if (self->phase_ != Phase::running) return;
      if (self->output_.bytes() > std::size_t{self->workshop_.output_limit_mib} << 20U)
        self->exceeded(Limit::output, self->workshop_.output_limit_mib);
      else if (self->output_.records().signal)
        self->is_dying();
    };
    auto on_exit = [self = shared_from_this()](Exit exit, ResourceUse use) { self->exited(exit, use); };
    if (workshop_.server != nullptr) {
      const std::vector<std::string> request{wish_of(options.isolation),
                                             scenario_.name,
                                             options.variable,
                                             "TMPDIR=" + directory_.string(),
                                             "SOCKPROOF_TRACE_FILE=" + (directory_ / "trace").string(),
                                             "SOCKPROOF_FAULT=" + fault_};
      process_ = Process::start_in(*workshop_.server, workshop_.context, workshop_.children, request, options.variable,
                                   std::move(on_output), std::move(on_exit));
    } else {
      process_ = Process::start(workshop_.context, workshop_.children, options, std::move(on_output), std::move(on_exit));
    }
  } catch (const Failure& failure) {
    outcome_.evidence.not_started = failure.what();
    boost::asio::post(workshop_.context, [self = shared_from_this()] { self->finish(); });
    return;
  }
  workshop_.guardian.started(process_->pid());
  lost_before_ = workshop_.stalls.lost();
  watch_the_time(steady_clock::duration::zero());
}

steady_clock::duration Attempt::limit() const {
  const double limit_ms = static_cast<double>(scenario_.limit_ms) * workshop_.facts.timeout_scale;
  return microseconds(static_cast<std::int64_t>(limit_ms * 1000));
}

steady_clock::duration Attempt::not_run() const {
  std::int64_t kept = 0;
  for (const pid_t pid : tree_of(process_->pid())) kept += kept_waiting(pid);
  return std::max(workshop_.stalls.lost() - lost_before_,
                  std::min<steady_clock::duration>(nanoseconds(kept), kMostWaits * limit()));
}

void Attempt::watch_the_time(steady_clock::duration not_run) {
  timer_.expires_at(began_ + limit() + not_run);
  timer_.async_wait([self = shared_from_this(), not_run](const boost::system::error_code& error) {
    if (error || self->phase_ != Phase::running) return;
    self->workshop_.stalls.look(steady_clock::now());
    if (const auto by_now = self->not_run(); by_now > not_run) return self->watch_the_time(by_now);
    self->time_is_up();
  });
}

std::vector<pid_t> Attempt::processes_to_look_at() const {
  std::vector<pid_t> tree = tree_of(process_->pid());
  // The one that reported its death comes first; behind a launcher its number may mean nothing here.
  const auto& dying = output_.records().signal_pid;
  if (dying)
    for (std::size_t i = 1; i < tree.size(); ++i)
      if (tree[i] == *dying) std::swap(tree[0], tree[i]);
  return tree;
}

void Attempt::time_is_up() {
  phase_ = Phase::stacks;
  outcome_.evidence.limit = Limit::time;
  outcome_.evidence.limit_value =
      static_cast<std::int64_t>(static_cast<double>(scenario_.limit_ms) * workshop_.facts.timeout_scale);
  workshop_.stacks.take(processes_to_look_at(),
                        [self = shared_from_this()](Stacks stacks) { self->after_stacks(std::move(stacks)); });
}

void Attempt::is_dying() {
  phase_ = Phase::stacks;
  // It waits a few seconds for a debugger, which may be busy with others for longer.
  process_->signal(SIGSTOP);
  workshop_.stacks.take(processes_to_look_at(),
                        [self = shared_from_this()](Stacks stacks) { self->after_stacks(std::move(stacks)); });
}

void Attempt::exceeded(Limit limit, std::int64_t value) {
  outcome_.evidence.limit = limit;
  outcome_.evidence.limit_value = value;
  outcome_.stacks.missing = fmt::format("killed at once: it was over its {} limit", name_of(limit));
  end_by_force();
}

void Attempt::after_stacks(Stacks stacks) {
  outcome_.stacks = std::move(stacks);
  if (phase_ != Phase::stacks) return;  // it ended meanwhile
  if (outcome_.evidence.limit != Limit::time) return end_by_force();
  // A process that hangs may still say what it was doing.
  phase_ = Phase::ending;
  process_->signal(SIGTERM);
  timer_.expires_after(kLastWords);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->phase_ == Phase::ending) self->end_by_force();
  });
}

void Attempt::end_by_force() {
  phase_ = Phase::ending;
  process_->kill_group();
  timer_.expires_after(kUnkillable);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->phase_ == Phase::over) return;
    self->process_->forget();
    self->exited(Exit{0, SIGKILL}, ResourceUse{});
  });
}

void Attempt::exited(Exit exit, ResourceUse use) {
  timer_.cancel();
  outcome_.duration_us = duration_cast<microseconds>(steady_clock::now() - began_).count();
  outcome_.evidence.exit = exit;
  if (process_) outcome_.evidence.not_started = process_->not_started();
  outcome_.use = use;
  outcome_.use.most_resident_kib = std::max(use.most_resident_kib, most_resident_kib_);
  finish();
}

void Attempt::finish() {
  if (phase_ == Phase::over) return;
  phase_ = Phase::over;
  Evidence& evidence = outcome_.evidence;
  // A record of a last signal that the runner itself sent says nothing about the scenario.
  output_.finish();
  evidence.records = output_.take_records();
  if (evidence.limit != Limit::none) evidence.records.signal.reset(), evidence.records.exception.reset();
  if (process_) {
    outcome_.stragglers = workshop_.children.sweep(process_->pid());
    workshop_.guardian.ended(process_->pid());
  }
  outcome_.judgement = judge(scenario_, evidence, workshop_.facts.target.deviations, workshop_.facts.strict);
  outcome_.output_tail = output_.tail();
  const bool went_well = outcome_.judgement.verdict == Verdict::passed || outcome_.judgement.verdict == Verdict::observed;
  if (went_well && task_.repeat > 0) {
    // One trace of a scenario that went well shows what it does; hundreds of repeats would only fill the disk.
  } else if (evidence.records.trace) {
    for (json& line : (*evidence.records.trace)["lines"]) outcome_.trace.push_back(std::move(line.get_ref<std::string&>()));
    outcome_.trace_dropped = (*evidence.records.trace)["dropped"].get<std::int64_t>();
  } else if (!went_well) {
    outcome_.trace = read_trace_ring((directory_ / "trace").string(), kTraceLines, &outcome_.trace_dropped);
  }
  const auto& exception = evidence.records.exception;
  const bool died = evidence.limit != Limit::none || evidence.records.signal || exception || evidence.exit.signal != 0;
  if (exception && !exception->stack.empty()) outcome_.stacks = {{{exception->pid, "at the exception", exception->stack}}, ""};
  if (died && outcome_.stacks.stacks.empty() && outcome_.stacks.missing.empty())
    outcome_.stacks.missing = "it was gone before a debugger could attach";
  if (!died) outcome_.stacks = {};
  remove_directory();
  --workshop_.in_job[job_];
  const Done done = std::move(done_);
  done_ = nullptr;
  process_.reset();
  if (done) done(*this);
}

void Attempt::remove_directory() {
  // As a rule there is the trace and nothing else.
  ::unlink((directory_ / "trace").c_str());
  if (::rmdir(directory_.c_str()) == 0) return;
  remove_tree(directory_);
}

void Attempt::cut_short() {
  if (process_ && (phase_ == Phase::running || phase_ == Phase::stacks)) end_by_force();
}

void Attempt::abandon() {
  done_ = nullptr;
  timer_.cancel();
  phase_ = Phase::over;
  if (process_) process_->kill_group();
}

bool Attempt::overdue(steady_clock::time_point now) const {
  return parked() && now - began_ > kLateEnough + milliseconds(2 * scenario_.waits_ms);
}

ActivityMeter::State Attempt::sample(steady_clock::time_point now) {
  if (!process_ || phase_ == Phase::over) return meter_.state();
  // A process under a debugger, or one that is being ended, holds no core for itself.
  if (phase_ != Phase::running) return meter_.sample(nanoseconds_since_epoch(now), 0, [] { return false; });
  if (parked() && now - last_sample_ < kParkedSampling) return meter_.state();
  last_sample_ = now;
  if (now - last_tree_ >= kTreeSampling) {
    last_tree_ = now;
    below_ = tree_of(process_->pid());
    below_.erase(below_.begin());
  }
  std::int64_t used = processor_time(process_->pid()).value_or(0);
  for (const pid_t pid : below_) used += processor_time(pid).value_or(0);
  if (now - last_memory_ >= kMemorySampling && used - used_at_memory_ns_ >= kMemoryAfterNs) {
    last_memory_ = now;
    used_at_memory_ns_ = used;
    std::int64_t resident = resident_kib(process_->pid());
    for (const pid_t pid : below_) resident += resident_kib(pid);
    most_resident_kib_ = std::max(most_resident_kib_, resident);
    if (resident > std::int64_t{workshop_.memory_limit_mib} * 1024) {
      exceeded(Limit::memory, workshop_.memory_limit_mib);
      return meter_.state();
    }
  }
  return meter_.sample(nanoseconds_since_epoch(now), used, [this, now] {
    // On a busy machine it may be a while before it gets its core; asking costs more than the answer changes.
    if (now - last_asked_ < kAskAgain || now - began_ < kAskFirst) return true;
    int threads = 0;
    bool wants = wants_processor(process_->pid(), &threads);
    if (!wants) {
      below_ = tree_of(process_->pid(), threads);
      below_.erase(below_.begin());
      for (const pid_t pid : below_) wants = wants || wants_processor(pid);
    }
    if (wants) last_asked_ = now;
    return wants;
  });
}

}  // namespace sockproof::runner
