#include "face/agent.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "face/codec.h"
#include "face/platform.h"
#include "face/threads.h"
#include "face/trace.h"

namespace sockproof {
namespace {

constexpr TextOptions kWholePayload{nullptr, std::size_t{1} << 20};

using platform::Descriptor;

bool WriteLine(Descriptor descriptor, std::string line) {
  line += '\n';
  return platform::WriteAll(descriptor, line.data(), line.size());
}

// This process's ends of the pipes to its agents. A copy of this process holds them too and must give them up: otherwise an
// agent would not see the end of its input before all agents that began after it have ended.
struct OwnEnds {
  std::mutex mutex;
  std::set<Descriptor> ends;
};
OwnEnds& TheOwnEnds() {
  static OwnEnds* own = new OwnEnds;  // outlives every thread
  return *own;
}

void CloseOwnEnd(Descriptor* descriptor) {
  if (*descriptor == platform::kNoDescriptor) return;
  OwnEnds& own = TheOwnEnds();
  const std::lock_guard<std::mutex> lock(own.mutex);
  own.ends.erase(*descriptor);
  platform::Close(*descriptor);
  *descriptor = platform::kNoDescriptor;
}

// The processes of the agents that run.
struct Running {
  std::mutex mutex;
  std::set<int64_t> processes;
};
Running& TheRunning() {
  static Running* running = new Running;  // outlives every thread
  return *running;
}
void HasBegun(int64_t process) {
  Running& running = TheRunning();
  const std::lock_guard<std::mutex> lock(running.mutex);
  running.processes.insert(process);
}
void HasEnded(int64_t process) {
  Running& running = TheRunning();
  const std::lock_guard<std::mutex> lock(running.mutex);
  running.processes.erase(process);
}

}  // namespace

struct Agent::Channel {
  Descriptor to = platform::kNoDescriptor;
  Descriptor from = platform::kNoDescriptor;
  std::string pending;
  std::timed_mutex mutex;  // held while a call is under way

  ~Channel() {
    CloseOwnEnd(&to);
    CloseOwnEnd(&from);
  }
  // "late" if nothing has come for longer than `limit`.
  enum class Read { line, end, late };
  Read ReadLine(std::string* line, Nanoseconds limit) {
    for (const int64_t until = HostNow() + limit.count();;) {
      if (const std::size_t end = pending.find('\n'); end != std::string::npos) {
        *line = pending.substr(0, end);
        pending.erase(0, end + 1);
        return Read::line;
      }
      char buffer[65536];
      const int64_t got = platform::ReadSome(from, buffer, sizeof buffer, std::max<int64_t>(until - HostNow(), 0));
      if (got <= 0) return got == platform::kLate ? Read::late : Read::end;
      pending.append(buffer, static_cast<std::size_t>(got));
    }
  }
};

std::unique_ptr<Agent> Agent::Fork(Where where) { return Start(false, where); }
std::unique_ptr<Agent> Agent::Exec(Where where) { return Start(true, where); }

std::unique_ptr<Agent> Agent::Start(bool exec, Where where) {
  Host& host = Host::Get();
  const bool can_start = exec ? host.processes.exec != nullptr : host.processes.fork != nullptr;
  if (!can_start || host.processes.wait == nullptr || host.processes.kill == nullptr) {
    host.reporter().NotSupported("processes", "the provider cannot start another process");
  }
  std::unique_ptr<Agent> agent(new Agent);
  agent->channel_ = std::make_unique<Channel>();
  struct Ends {
    Descriptor in, out;
  } ends{};
  if (!platform::PipeToAgent(&agent->channel_->to, &ends.in) || !platform::PipeFromAgent(&agent->channel_->from, &ends.out)) {
    host.reporter().StepFailed(where, "a pipe to another process", Outcome(OutcomeName{"no_pipe"}));
  }
  std::unique_lock<std::mutex> own_ends(TheOwnEnds().mutex);  // no thread changes them while they are copied
  TheOwnEnds().ends.insert({agent->channel_->to, agent->channel_->from});
  const uint64_t operation = Trace::Get().Begin(exec ? "exec" : "fork");
  int32_t error;
  if (exec) {
    const std::string in = fmt::format("--agent-in={}", ends.in), out = fmt::format("--agent-out={}", ends.out);
    const std::string provider = fmt::format("--provider={}", host.spec());
    const char* argv[] = {"sockproof-battery", "--agent", in.c_str(), out.c_str(), provider.c_str(), nullptr};
    const int32_t keep[] = {static_cast<int32_t>(ends.in), static_cast<int32_t>(ends.out)};
    error = host.processes.exec(host.self(), argv, keep, 2, &agent->process_);
  } else {
    error = host.processes.fork(
        host.self(),
        [](void* context) -> int32_t {
          const Ends& mine = *static_cast<Ends*>(context);
          for (const Descriptor end : TheOwnEnds().ends) platform::Close(end);
          TheOwnEnds().ends.clear();
          TheRunning().processes.clear();  // those are not its own
          return ServeAgent(mine.in, mine.out);
        },
        &ends, &agent->process_);
  }
  own_ends.unlock();
  Trace::Get().End(operation, fmt::format("{} process={}", ErrorName(error), agent->process_));
  platform::Close(ends.in);
  platform::Close(ends.out);
  host.Expect(error, "processes", exec ? "exec" : "fork", where);
  agent->running_ = true;
  HasBegun(agent->process_);
  return agent;
}

Agent::~Agent() {
  if (!running_) return;
  CloseEnds();
  Host& host = Host::Get();
  int32_t code = 0;
  // It ends when its input does; if it is blocked in a call it has to be killed.
  if (host.processes.wait(host.self(), process_, 20'000'000, &code) != SP_OK) {
    host.processes.kill(host.self(), process_);
    host.processes.wait(host.self(), process_, Patience().count(), &code);
  }
  HasEnded(process_);
  // A thread of ours that was waiting for the answer sees the end of it now, and must be out of here before the channel goes.
  if (channel_->mutex.try_lock_for(Patience())) {
    channel_->mutex.unlock();
  } else {
    static_cast<void>(channel_.release());
  }
}

void Agent::CloseEnds() { CloseOwnEnd(&channel_->to); }

void Agent::Call(sp_call* call, sp_result* result, const Payload* payload) {
  TextOptions options = kWholePayload;
  options.payload = payload;
  // A payload that is received is compared here, so its bytes have to come over.
  if (call->op == SP_OP_RECV) options.payload = nullptr;
  const std::string text = CallText(*call, options);
  const uint64_t operation = Trace::Get().Begin(fmt::format("p{}: {}", process_, CallText(*call)));
  std::string line, why;
  OwnedCall answer;
  answer.call = *call;
  Channel::Read read = Channel::Read::end;
  {
    std::unique_lock<std::timed_mutex> lock(channel_->mutex, std::defer_lock);
    // Whatever is closed in a process that hangs in a call goes with that process: at the end of a scenario nobody else ends it.
    const bool closes = call->op == SP_OP_CLOSE || call->op == SP_OP_WATCH_CLOSE;
    if (!closes) {
      lock.lock();
    } else if (!lock.try_lock_for(std::chrono::milliseconds(500))) {
      Trace::Get().Note(fmt::format("process {} hangs in a call and is killed", process_));
      Host& host = Host::Get();
      host.processes.kill(host.self(), process_);
      lock.lock();
    }
    if (channel_->to >= 0 && WriteLine(channel_->to, text)) read = channel_->ReadLine(&line, 2 * Patience());
  }
  if (read == Channel::Read::late) {
    Trace::Get().End(operation, "it does not come back");
    Host::Get().reporter().StepFailed(SOCKPROOF_HERE, fmt::format("process {}: {}", process_, CallText(*call)),
                                      Outcome(OutcomeName{"still_blocked"}));
  }
  if (read != Channel::Read::line) {
    Trace::Get().End(operation, "the process is gone");
    *result = sp_result{sizeof *result, SP_UNKNOWN_ERROR, 0, -1, {}};
    return;
  }
  if (!ParseResult(line, &answer, &why)) {
    Host::Get().reporter().StepFailed(SOCKPROOF_HERE,
                                      "an answer of process " + std::to_string(process_) + ": " + why + ": " + line,
                                      Outcome(OutcomeName{"unreadable"}));
  }
  *call = answer.call;
  *result = answer.result;
  Trace::Get().End(operation, ResultText(*call, *result));
  if (result->error == SP_NOT_SUPPORTED) Host::Get().reporter().NotSupported(OpName(call->op), text);
}

void Agent::Kill(Where where) {
  Host& host = Host::Get();
  host.Expect(host.processes.kill(host.self(), process_), "processes", "kill", where);
  int32_t code = 0;
  host.Expect(host.processes.wait(host.self(), process_, Patience().count(), &code), "processes", "wait for a killed process",
              where);
  running_ = false;
  HasEnded(process_);
}

int32_t Agent::Finish(Where where) {
  Host& host = Host::Get();
  CloseEnds();
  int32_t code = 0;
  host.Expect(host.processes.wait(host.self(), process_, Patience().count(), &code), "processes", "wait for a process", where);
  running_ = false;
  HasEnded(process_);
  return code;
}

void KillAgents() {
  Host& host = Host::Get();
  Running& running = TheRunning();
  // Whoever holds it does so for a moment only, unless it is a copy of a process whose thread held it: then there is nothing to
  // end.
  const std::unique_lock<std::mutex> lock(running.mutex, std::try_to_lock);
  if (!lock.owns_lock() || host.processes.kill == nullptr) return;
  for (const int64_t process : running.processes) host.processes.kill(host.self(), process);
}

int ServeAgent(int in, int out) {
  std::string pending;
  char buffer[65536];
  for (;;) {
    const std::size_t end = pending.find('\n');
    if (end == std::string::npos) {
      const int64_t got = platform::ReadSome(in, buffer, sizeof buffer, -1);
      if (got <= 0) return 0;
      pending.append(buffer, static_cast<std::size_t>(got));
      continue;
    }
    OwnedCall owned;
    std::string why;
    const std::string line = pending.substr(0, end);
    pending.erase(0, end + 1);
    if (!ParseCall(line, &owned, &why)) {
      if (!WriteLine(out, "unreadable " + why)) return 1;
      continue;
    }
    Host::Get().CallRaw(&owned.call, &owned.result);
    if (!WriteLine(out, ResultText(owned.call, owned.result, kWholePayload))) return 1;
  }
}

}  // namespace sockproof
