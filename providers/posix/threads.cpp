#include "threads.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

#include "adapter.h"
#include "errors.h"
#include "processes.h"

namespace sockproof::posix {
namespace {

std::atomic<ThreadRecord*> g_threads{nullptr};
std::atomic<std::uint64_t> g_pipe_signals{0};
std::atomic<std::uint64_t> g_io_signals{0};

// Takes a free record, or adds one; records are never freed, so that an observer may hold on to one.
ThreadRecord* TakeRecord() {
  const auto self = static_cast<std::int64_t>(::gettid());
  for (ThreadRecord* record = g_threads.load(); record != nullptr; record = record->next) {
    std::int64_t free = 0;
    if (record->thread.compare_exchange_strong(free, self)) return record;
  }
  auto* record = new ThreadRecord;
  record->thread = self;
  record->next = g_threads.load();
  while (!g_threads.compare_exchange_weak(record->next, record)) {
  }
  return record;
}

struct RecordHolder {
  ThreadRecord* record = TakeRecord();
  ~RecordHolder() { record->thread = 0; }
};

RecordHolder& Holder() {
  thread_local RecordHolder holder;
  return holder;
}

ThreadRecord* FindThread(std::int64_t thread) {
  if (thread <= 0) return nullptr;
  for (ThreadRecord* record = g_threads.load(); record != nullptr; record = record->next) {
    if (record->thread.load() == thread) return record;
  }
  return nullptr;
}

// The scheduler's letter for a thread of this process (R, S, D ...); 0 if it is gone, -1 if it cannot be told.
int ThreadState(std::int64_t thread) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%lld/stat", static_cast<long long>(thread));
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno == ENOENT ? 0 : -1;
  char text[512];
  const ssize_t length = ::read(descriptor, text, sizeof text - 1);
  ::close(descriptor);
  if (length <= 0) return length < 0 && errno == ESRCH ? 0 : -1;
  text[length] = '\0';
  // "number (name) S ...": the name may hold anything, a parenthesis too.
  const char* end = std::strrchr(text, ')');
  return end != nullptr && end[1] == ' ' && end[2] != '\0' ? end[2] : -1;
}

std::int64_t Current(void*) { return ThisThread().thread.load(); }

std::int32_t Blocked(void*, std::int64_t thread) {
  const ThreadRecord* record = FindThread(thread);
  if (record == nullptr) return SP_EAGAIN;
  const std::uint64_t before = record->sequence.load();
  if ((before & 1) == 0) return SP_EAGAIN;
  const int state = ThreadState(thread);
  if (state < 0) return SP_NOT_SUPPORTED;
  // S: it sleeps and a signal could wake it. D (for a lock or a page) is over by itself and counts as running.
  if (state != 'S') return SP_EAGAIN;
  return record->sequence.load() == before && record->thread.load() == thread ? SP_OK : SP_EAGAIN;
}

std::int32_t Interrupt(void*, std::int64_t thread, std::int32_t restart) {
  if (FindThread(thread) == nullptr) return SP_EINVAL;
  const int signal = restart != 0 ? SIGUSR2 : SIGUSR1;
  // By number and process, so that a thread that has just ended is an error and not somebody else.
  if (::tgkill(::getpid(), static_cast<pid_t>(thread), signal) != 0) return ErrorFromErrno(errno);
  return SP_OK;
}

// Threads that may be cancelled, and those who wait for their end.
struct Cancellables {
  std::mutex mutex;
  std::condition_variable ended;
  std::map<std::int64_t, pthread_t> running;
};
Cancellables& TheCancellables() {
  static Cancellables* cancellables = new Cancellables;  // outlives every thread
  return *cancellables;
}

struct CancellableBody {
  void (*body)(void*);
  void* context;
  std::int64_t* thread_out;
  bool ended = false;
};

// On the list while it lives; leaves it when the thread ends, in whichever way.
class OnTheList {
 public:
  explicit OnTheList(CancellableBody* body) : body_(body), thread_(ThisThread().thread.load()) {
    Cancellables& all = TheCancellables();
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.running[thread_] = ::pthread_self();
    if (body_->thread_out != nullptr) *body_->thread_out = thread_;
  }
  ~OnTheList() {
    Cancellables& all = TheCancellables();
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.running.erase(thread_);
    body_->ended = true;
    all.ended.notify_all();
  }
  OnTheList(const OnTheList&) = delete;
  OnTheList& operator=(const OnTheList&) = delete;

 private:
  CancellableBody* body_;
  std::int64_t thread_;
};

extern "C" void* RunCancellableBody(void* argument) {
  auto* body = static_cast<CancellableBody*>(argument);
  const OnTheList listed(body);
  body->body(body->context);
  return nullptr;
}

std::int32_t Cancel(void*, std::int64_t thread) {
  Cancellables& all = TheCancellables();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.running.find(thread);
  if (found == all.running.end()) return SP_EINVAL;
  return ErrorFromErrno(::pthread_cancel(found->second));
}

std::int32_t RunCancellable(void*, void (*body)(void*), void* context, std::int64_t* thread_out, std::int32_t* cancelled) {
  CancellableBody argument{body, context, thread_out};
  pthread_t thread{};
  const int error = ::pthread_create(&thread, nullptr, RunCancellableBody, &argument);
  if (error != 0) return ErrorFromErrno(error);
  {
    // Not by pthread_join alone: a thread that was joined may not be cancelled any more.
    Cancellables& all = TheCancellables();
    std::unique_lock<std::mutex> lock(all.mutex);
    all.ended.wait(lock, [&] { return argument.ended; });
  }
  void* value = nullptr;
  const int joined = ::pthread_join(thread, &value);
  if (joined != 0) return ErrorFromErrno(joined);
  if (cancelled != nullptr) *cancelled = value == PTHREAD_CANCELED ? 1 : 0;
  return SP_OK;
}

extern "C" void OnPipeSignal(int) { g_pipe_signals.fetch_add(1); }
extern "C" void OnIoSignal(int) { g_io_signals.fetch_add(1); }
extern "C" void OnInterrupt(int) {}

void Install(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

std::int32_t TakePipeSignals(void*, std::uint64_t* count) {
  *count = g_pipe_signals.exchange(0);
  return SP_OK;
}

std::int32_t TakeIoSignals(void*, std::uint64_t* count) {
  *count = g_io_signals.exchange(0);
  return SP_OK;
}

}  // namespace

ThreadRecord& ThisThread() { return *Holder().record; }

void InstallSignalHandlers() {
  Install(SIGPIPE, OnPipeSignal, SA_RESTART);
  Install(SIGURG, OnIoSignal, SA_RESTART);
  Install(SIGIO, OnIoSignal, SA_RESTART);
  Install(SIGUSR1, OnInterrupt, 0);
  Install(SIGUSR2, OnInterrupt, SA_RESTART);
}

void ForgetOtherThreads() {
  ThreadRecord& own = ThisThread();
  for (ThreadRecord* record = g_threads.load(); record != nullptr; record = record->next) {
    if (record != &own) record->thread = 0;
  }
  own.thread = static_cast<std::int64_t>(::gettid());
  new (&TheCancellables()) Cancellables;  // its lock may have been held in the parent at the fork
  g_pipe_signals = 0;
  g_io_signals = 0;
}

const sp_thread_group kThreads = {sizeof(sp_thread_group), Current, Blocked, Interrupt, Cancel, RunCancellable};
const sp_signal_group kSignals = {sizeof(sp_signal_group), TakePipeSignals, TakeIoSignals};

}  // namespace sockproof::posix
