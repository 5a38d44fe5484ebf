#include "stacks.h"

#include <fmt/format.h>
#include <signal.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "battery_output.h"
#include "failure.h"
#include "procfs.h"

namespace sockproof::runner {
namespace {

constexpr int kMostInARun = 20;
constexpr std::size_t kMostProcesses = 3;
constexpr std::size_t kMostStacks = 64;
constexpr std::size_t kMostFrames = 64;
// A run in which everything hangs must not stand still for its debugger.
constexpr auto kPatience = std::chrono::seconds(8);
constexpr auto kDebuggerLimit = std::chrono::seconds(10);

std::string why_nothing(const std::string& output) {
  for (const std::string_view sign : {"ptrace: ", "Could not attach", "No such file", "No such process"}) {
    const std::size_t at = output.find(sign);
    if (at == std::string::npos) continue;
    const std::size_t from = output.rfind('\n', at);
    const std::size_t begin = from == std::string::npos ? 0 : from + 1;
    return "gdb: " + printable(output.substr(begin, std::min<std::size_t>(output.find('\n', at) - begin, 300)));
  }
  return "gdb printed no stack";
}

}  // namespace

struct StackTaker::Request {
  explicit Request(boost::asio::io_context& context) : timer(context) {}
  std::vector<pid_t> pids;
  std::size_t next = 0;
  std::chrono::steady_clock::time_point asked = std::chrono::steady_clock::now();
  Done done;
  Stacks result;
  std::string output;
  std::shared_ptr<Process> process;
  boost::asio::steady_timer timer;
  bool timed_out = false;
};

std::vector<Stack> parse_stacks(pid_t pid, std::string_view text) {
  std::vector<Stack> stacks;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.rfind("Thread ", 0) == 0) {
      if (stacks.size() == kMostStacks) break;
      Stack stack;
      stack.pid = pid;
      stack.thread = printable(line);
      if (!stack.thread.empty() && stack.thread.back() == ':') stack.thread.pop_back();
      stacks.push_back(std::move(stack));
    } else if (!stacks.empty() && line.rfind('#', 0) == 0 && stacks.back().frames.size() < kMostFrames) {
      stacks.back().frames.push_back(printable(line.substr(0, 500)));
    }
  }
  return stacks;
}

StackTaker::StackTaker(boost::asio::io_context& context, Children& children, bool enabled)
    : context_(context), children_(children), left_(kMostInARun) {
  debugger_ = enabled ? find_program("gdb") : "";
  if (!enabled)
    unavailable_ = "switched off by --no-stacks";
  else if (debugger_.empty())
    unavailable_ = "gdb is not installed";
}

void StackTaker::take(std::vector<pid_t> pids, Done done) {
  auto request = std::make_shared<Request>(context_);
  request->done = std::move(done);
  request->pids = std::move(pids);
  if (request->pids.size() > kMostProcesses) request->pids.resize(kMostProcesses);
  if (!unavailable_.empty() || left_ == 0) {
    request->result.missing =
        !unavailable_.empty() ? unavailable_ : fmt::format("stacks were taken {} times in this run already", kMostInARun);
    boost::asio::post(context_, [request] { request->done(std::move(request->result)); });
    return;
  }
  --left_;
  waiting_.push_back(std::move(request));
  boost::asio::post(context_, [this] { next(); });
}

void StackTaker::next() {
  if (current_ || waiting_.empty()) return;
  current_ = waiting_.front();
  waiting_.pop_front();
  if (std::chrono::steady_clock::now() - current_->asked < kPatience) return attach(current_);
  current_->result.missing = "gdb was busy with other processes";
  boost::asio::post(context_, [this, request = current_] { answer(request); });
}

void StackTaker::attach(const std::shared_ptr<Request>& request) {
  if (request->next == request->pids.size()) return answer(request);
  const pid_t pid = request->pids[request->next++];
  request->output.clear();
  request->timed_out = false;
  ProcessOptions options;
  options.arguments = {debugger_,
                       "-nx",
                       "-batch",
                       "-iex",
                       "set debuginfod enabled off",
                       "-iex",
                       "set auto-load off",
                       "-p",
                       std::to_string(pid),
                       "-ex",
                       "thread apply all bt"};
  // What a launcher or target preloads is for the program under test, not for its debugger.
  options.environment = child_environment({{"LD_PRELOAD", ""}, {"DEBUGINFOD_URLS", ""}});
  try {
    request->process = Process::start(
        context_, children_, options,
        [request](Stream, std::string_view text) {
          if (request->output.size() < (1 << 20)) request->output += text;
        },
        [this, request, pid](Exit, ResourceUse) {
          request->timer.cancel();
          request->process.reset();
          for (Stack& stack : parse_stacks(pid, request->output)) request->result.stacks.push_back(std::move(stack));
          if (request->result.missing.empty())
            request->result.missing = request->timed_out ? "gdb took longer than 10 s" : why_nothing(request->output);
          attach(request);
        });
  } catch (const Failure& failure) {
    request->result.missing = failure.what();
    boost::asio::post(context_, [this, request] { answer(request); });
    return;
  }
  request->timer.expires_after(kDebuggerLimit);
  request->timer.async_wait([request](const boost::system::error_code& error) {
    if (error || !request->process) return;
    request->timed_out = true;
    request->process->kill_group();
  });
}

void StackTaker::answer(const std::shared_ptr<Request>& request) {
  if (!request->result.stacks.empty()) request->result.missing.clear();
  current_.reset();
  if (request->done) request->done(std::move(request->result));
  next();
}

void StackTaker::stop() {
  for (const auto& request : waiting_) request->done = nullptr;
  waiting_.clear();
  if (!current_) return;
  current_->done = nullptr;
  current_->next = current_->pids.size();
  if (current_->process) current_->process->kill_group();
}

}  // namespace sockproof::runner
