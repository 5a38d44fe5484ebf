#include "battery/last_words.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "battery/records.h"
#include "face/trace.h"

extern "C" __attribute__((weak)) void __gcov_dump();

namespace sockproof {
namespace {

constexpr int kFatalSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

int record_descriptor = STDOUT_FILENO;

// What follows must be fit for a signal handler: no allocation, no stdio.

// A record that is written at once: another thread may be ending the process at this moment.
class Line {
 public:
  Line& Text(const char* text) {
    for (; *text != '\0' && length_ < sizeof text_; ++text) text_[length_++] = *text;
    return *this;
  }
  Line& Number(long number) {
    char digits[24];
    char* at = digits + sizeof digits - 1;
    *at = '\0';
    do {
      *--at = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    return Text(at);
  }
  void Write() const { WriteRecordStream(text_, length_); }

 private:
  char text_[128];
  std::size_t length_ = 0;
};

void OnFatal(int number) {
  static std::atomic<pid_t> dying{0};
  static_assert(std::atomic<pid_t>::is_always_lock_free, "used in a signal handler");
  const pid_t self = static_cast<pid_t>(syscall(SYS_gettid));
  pid_t before = 0;
  if (!dying.compare_exchange_strong(before, self) && before != self) {
    // Another thread was first, and its stack is what is looked for: this one must not end the process under the debugger.
    timespec left{10, 0};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }
  if (before == 0) {
    Line line;
    line.Text("\n@sockproof {\"record\":\"signal\",\"signal\":")
        .Number(number)
        .Text(",\"pid\":")
        .Number(getpid())
        .Text("}\n")
        .Write();
    if (std::getenv("SOCKPROOF_RUNNER") != nullptr) {
      // The runner takes the stacks now, and ends this process when it has them.
      timespec left{5, 0};
      while (nanosleep(&left, &left) != 0 && errno == EINTR) {
      }
    }
  }
  signal(number, SIG_DFL);
  raise(number);
}

void OnTerminate(int) {
  // Time is over. Where the ring does not outlive this process (a launcher without the host's files) the trace goes out here;
  // this allocates, which a handler should not, but what could break is killed within the second anyhow.
  if (!Trace::Get().OutlivesProcess()) {
    const std::string text = "\n@sockproof " + TraceRecord() + "\n";
    WriteRecordStream(text.data(), text.size());
  }
  _exit(128 + SIGTERM);
}

}  // namespace

void WriteRecordStream(const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t wrote = write(record_descriptor, data, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    data += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
}

void EndProcess(int code) {
  if (__gcov_dump != nullptr) __gcov_dump();
  _exit(code);
}

void InstallFatalHandlers() {
  // The implementation under test may close descriptor 1, or hand it out again: records have a descriptor of their own.
  record_descriptor = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 700);
  if (record_descriptor < 0) record_descriptor = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (record_descriptor < 0) record_descriptor = STDOUT_FILENO;
#ifdef PR_SET_PTRACER
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
#endif
  static char stack[1 << 16];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = OnFatal;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  for (const int number : kFatalSignals) sigaction(number, &action, nullptr);
  action.sa_handler = OnTerminate;
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace sockproof
