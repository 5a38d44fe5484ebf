// A battery that misbehaves in every way that the runner must survive. It speaks the battery's language and touches no
// socket.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "battery/fork_server.h"

namespace {

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

void say(const std::string& record) {
  const std::string line = "@sockproof " + record + "\n";
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t written = ::write(STDOUT_FILENO, line.data() + at, line.size() - at);
    if (written <= 0) ::_exit(99);
    at += static_cast<std::size_t>(written);
  }
}

std::string scenario_name;
std::vector<std::string> arguments;  // as the program was called

void begin() {
  say("{\"record\":\"begin\",\"scenario\":" + quoted(scenario_name) + ",\"pid\":" + std::to_string(::getpid()) + "}");
}

void check(const std::string& requirement, const std::string& outcome, const std::string& verdict,
           const std::string& level = "MUST") {
  say("{\"record\":\"check\",\"requirement\":" + quoted(requirement) + ",\"outcome\":" + quoted(outcome) +
      ",\"native\":null,\"allowed\":[\"ok\"],\"level\":" + quoted(level) + ",\"verdict\":" + quoted(verdict) +
      ",\"citation\":[\"A text, section 1\"],\"where\":\"fake.cpp:1\",\"detail\":\"\"}");
}

void end(const std::string& verdict, const std::string& level = "", const std::string& checked = "\"fake.one\"") {
  say("{\"record\":\"end\",\"scenario\":" + quoted(scenario_name) + ",\"verdict\":" + quoted(verdict) + ",\"level\":" +
      (level.empty() ? "null" : quoted(level)) + ",\"declared\":[\"fake.one\"],\"checked\":[" + checked + "],\"detail\":\"\"}");
}

void pass() {
  check("fake.one", "ok", "passed");
  end("passed");
}

void fail(const std::string& outcome, const std::string& level = "MUST") {
  check("fake.one", outcome, "failed", level);
  end("failed", level);
}

// Until a signal ends it, without using a core.
[[noreturn]] void wait_for_ever() {
  for (;;) ::pause();
}

void wait_ms(long ms) {
  timespec time{ms / 1000, ms % 1000 * 1'000'000};
  while (::nanosleep(&time, &time) != 0) {
  }
}

void burn_ms(long ms) {
  timespec now{};
  do ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  while (now.tv_sec * 1000 + now.tv_nsec / 1'000'000 < ms);
}

void write_ring(const std::string& text, std::uint64_t capacity) {
  const char* path = std::getenv("SOCKPROOF_TRACE_FILE");
  if (path == nullptr) return;
  std::string file(64 + capacity, '\0');
  std::memcpy(file.data(), "SPTRACE1", 8);
  const std::uint64_t written = text.size();
  std::memcpy(file.data() + 8, &written, 8);
  std::memcpy(file.data() + 16, &capacity, 8);
  for (std::size_t i = 0; i < text.size(); ++i) file[64 + i % capacity] = text[i];
  std::ofstream(path, std::ios::binary) << file;
}

void report_signal_and_die(int number) {
  say("{\"record\":\"signal\",\"signal\":" + std::to_string(number) + ",\"pid\":" + std::to_string(::getpid()) + "}");
  wait_ms(5000);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

// A process that leaves the session and outlives its parent.
void leave_a_daemon(const char* pid_file) {
  if (::fork() == 0) {
    ::setsid();
    if (::fork() == 0) {
      if (pid_file != nullptr) std::ofstream(pid_file) << ::getpid() << '\n';
      wait_for_ever();
    }
    ::_exit(0);
  }
  ::wait(nullptr);
}

// Until the file is there and has a whole line in it.
void wait_for_file(const std::string& path) {
  for (;;) {
    std::string line;
    std::ifstream file(path);
    if (std::getline(file, line) && !file.eof()) return;
    wait_ms(1);
  }
}

std::string count_file() {
  const char* directory = std::getenv("FAKE_STATE");
  return std::string(directory != nullptr ? directory : "/nonexistent") + "/count";
}

struct Fake {
  const char* name;
  int waits_ms;
  int limit_ms;
  bool hidden;
  std::function<void()> body;  // after the begin record
};

const std::vector<Fake>& fakes() {
  static const std::vector<Fake> all{
      {"Good.Passes", 0, 5000, false, pass},
      {"Good.Observes", 0, 5000, false,
       [] {
         check("fake.one", "anything", "observed", "OBSERVED");
         end("observed");
       }},
      {"Good.IsNotSupported", 0, 5000, false,
       [] {
         say("{\"record\":\"not_supported\",\"capability\":\"signals\",\"detail\":\"there are none\"}");
         end("not_supported", "", "");
       }},
      {"Good.TalksInBetween", 0, 5000, false,
       [] {
         std::fputs("a line of the provider\nand half of one", stdout);
         std::fflush(stdout);
         std::fputs("noise \x01\xff on stderr\n", stderr);
         pass();
       }},
      {"Bad.Must", 0, 5000, false, [] { fail("ECONNRESET"); }},
      {"Bad.Should", 0, 5000, false, [] { fail("ECONNRESET", "SHOULD"); }},
      {"Bad.Step", 0, 5000, false,
       [] {
         say("{\"record\":\"step\",\"call\":\"listen\",\"outcome\":\"EINVAL\",\"detail\":\"no\",\"where\":\"fake.cpp:2\"}");
         end("failed", "MUST", "");
       }},
      {"Crash.Segfault", 0, 5000, false,
       [] {
         write_ring("1 connect begin\n1 connect end ok\n", 1024);
         // The kernel's own signal; a sanitizer of this build must not turn it into an exit.
         ::signal(SIGSEGV, SIG_DFL);
         ::raise(SIGSEGV);
       }},
      {"Crash.Abort", 0, 5000, false,
       [] {
         ::signal(SIGABRT, SIG_DFL);
         std::abort();
       }},
      {"Crash.WaitsForADebugger", 0, 20000, false,
       [] {
         std::thread other(wait_for_ever);
         report_signal_and_die(SIGBUS);
       }},
      {"Crash.ExitsWithoutResult", 0, 5000, false, [] { ::_exit(7); }},
      {"Crash.ExitsAfterPassing", 0, 5000, false,
       [] {
         pass();
         ::_exit(23);
       }},
      {"Crash.Floods", 0, 60000, false,
       [] {
         const std::string line(4095, 'x');
         for (;;) std::puts(line.c_str());
       }},
      {"Crash.FloodsOneLineOfError", 0, 60000, false,
       [] {
         const std::string piece(4096, 'y');
         for (;;) std::fputs(piece.c_str(), stderr);
       }},
      {"Crash.Balloons", 0, 60000, false,
       [] {
         const std::size_t piece = 8 << 20;
         for (std::size_t i = 0; i < 4096; ++i) {
           void* memory = ::mmap(nullptr, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
           if (memory == MAP_FAILED) ::_exit(8);
           std::memset(memory, 1, piece);
         }
         wait_for_ever();
       }},
      {"Hang.Sleeps", 0, 300, false,
       [] {
         write_ring("1 accept begin\n2 poll begin\n", 1024);
         wait_for_ever();
       }},
      {"Hang.IgnoresSigterm", 0, 300, false,
       [] {
         ::signal(SIGTERM, SIG_IGN);
         wait_for_ever();
       }},
      {"Hang.Stops", 0, 300, false, [] { ::raise(SIGSTOP); }},
      {"Hang.Spins", 0, 300, false, [] { burn_ms(60'000); }},
      {"Hang.HasAChild", 0, 300, false,
       [] {
         if (::fork() == 0) wait_for_ever();
         wait_for_ever();
       }},
      {"Lie.BrokenJson", 0, 5000, false,
       [] {
         say("{\"record\":\"check\",");
         pass();
       }},
      {"Lie.WrongScenario", 0, 5000, false,
       [] {
         scenario_name = "Good.Passes/inet";
         pass();
       }},
      {"Lie.UndeclaredRequirement", 0, 5000, false,
       [] {
         check("fake.two", "ok", "passed");
         pass();
       }},
      {"Lie.NothingChecked", 0, 5000, false, [] { end("passed", "", ""); }},
      {"Lie.PassesAfterFailing", 0, 5000, false,
       [] {
         check("fake.one", "ECONNRESET", "failed");
         end("passed");
       }},
      {"Lie.EndsTwice", 0, 5000, false,
       [] {
         pass();
         end("passed");
       }},
      {"Lie.UnknownRecord", 0, 5000, false,
       [] {
         say("{\"record\":\"surprise\"}");
         pass();
       }},
      {"Lie.CheckWithoutOutcome", 0, 5000, false,
       [] {
         say("{\"record\":\"check\",\"requirement\":\"fake.one\",\"verdict\":\"passed\"}");
         pass();
       }},
      {"Leave.Daemon", 0, 5000, false,
       [] {
         const std::string file = std::string(std::getenv("SOCKPROOF_TMPDIR")) + "/pid";
         leave_a_daemon(file.c_str());
         wait_for_file(file);
         pass();
       }},
      {"Leave.ClosedDirectory", 0, 5000, false,
       [] {
         const std::string directory = std::string(std::getenv("SOCKPROOF_TMPDIR")) + "/d";
         ::mkdir(directory.c_str(), 0700);
         std::ofstream(directory + "/file") << "text";
         ::chmod(directory.c_str(), 0400);
         pass();
       }},
      {"Leave.ChildHoldsTheOutput", 0, 5000, false,
       [] {
         if (::fork() == 0) wait_for_ever();
         pass();
       }},
      {"Env.Tells", 0, 5000, false,
       [] {
         for (const char* name : {"SOCKPROOF_ISOLATION", "SOCKPROOF_TMPDIR", "TMPDIR", "GTEST_SHARD_INDEX", "FAKE_VARIABLE"}) {
           const char* value = std::getenv(name);
           std::printf("%s=%s\n", name, value != nullptr ? value : "(unset)");
         }
         for (const std::string& argument : arguments) std::puts(argument.c_str());
         struct stat status {};
         const bool there = ::stat(std::getenv("SOCKPROOF_TMPDIR"), &status) == 0 && S_ISDIR(status.st_mode);
         std::printf("directory=%s\n", there ? "yes" : "no");
         int open = 0;
         for (int fd = 3; fd < 256; ++fd)
           if (::fcntl(fd, F_GETFD) >= 0) ++open;
         std::printf("descriptors=%d\n", open);
         struct sigaction action {};
         ::sigaction(SIGPIPE, nullptr, &action);
         std::printf("sigpipe=%s\n", action.sa_handler == SIG_DFL ? "default" : "other");
         std::fflush(stdout);
         pass();
       }},
      {"Slow.Waits", 400, 10000, false,
       [] {
         wait_ms(400);
         pass();
       }},
      {"Slow.WaitsUndeclared", 0, 10000, false,
       [] {
         wait_ms(400);
         pass();
       }},
      {"Slow.Burns", 0, 20000, false,
       [] {
         burn_ms(40);
         pass();
       }},
      // Passes and fails in turn, by a file that the test provides.
      {"Flaky.InTurn", 0, 5000, false,
       [] {
         const int fd = ::open(count_file().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
         if (fd < 0 || ::write(fd, "x", 1) != 1) ::_exit(9);
         struct stat status {};
         ::fstat(fd, &status);
         if (status.st_size % 2 == 1)
           pass();
         else
           fail("ECONNRESET");
       }},
      {"Leave.DaemonAndHang", 0, 300, true,
       [] {
         leave_a_daemon(nullptr);
         wait_for_ever();
       }},
      {"Selftest.Empty", 0, 5000, true, pass},
  };
  return all;
}

std::string argument(int argc, char** argv, const std::string& name) {
  for (int i = 1; i < argc; ++i)
    if (std::strncmp(argv[i], name.c_str(), name.size()) == 0) return argv[i] + name.size();
  return {};
}

bool flag(int argc, char** argv, const char* name) {
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], name) == 0) return true;
  return false;
}

// How many families each scenario has: a test that wants many scenarios asks for many.
std::vector<std::string> families() {
  const char* many = std::getenv("FAKE_FAMILIES");
  std::vector<std::string> names{"inet"};
  for (int i = 1; many != nullptr && i < std::atoi(many); ++i) names.push_back("f" + std::to_string(i));
  return names;
}

void list_scenarios(bool selftest) {
  std::string out = "[";
  for (const Fake& fake : fakes()) {
    if (fake.hidden && !selftest) continue;
    for (const std::string& family : families()) {
      const std::string name = fake.name;
      out += (out.size() > 1 ? ",\n" : "") + std::string("{\"name\":") + quoted(name + "/" + family) +
             ",\"area\":\"fake\",\"suite\":" + quoted(name.substr(0, name.find('.'))) + ",\"family\":" + quoted(family) +
             ",\"requirements\":[\"fake.one\"],\"waits_ms\":" + std::to_string(fake.waits_ms) +
             ",\"limit_ms\":" + std::to_string(fake.limit_ms) + "}";
    }
  }
  std::puts((out + "]").c_str());
}

}  // namespace

// FAKE_SERVES: whether it offers to fork for each scenario.
bool serves() { return std::getenv("FAKE_SERVES") != nullptr; }

int main(int argc, char** argv) {
  const std::string list = argument(argc, argv, "--list=");
  if (list == "scenarios") {
    list_scenarios(flag(argc, argv, "--selftest"));
    return 0;
  }
  if (list == "requirements") {
    std::puts(
        "[{\"id\":\"fake.one\",\"area\":\"fake\",\"text\":\"It is one.\",\"needs\":[],\"level\":\"MUST\",\"allow\":[\"ok\"],"
        "\"cite\":[\"A text, section 1\"],\"entry_of\":\"posix\"},"
        "{\"id\":\"fake.two\",\"area\":\"fake\",\"text\":\"It is two.\",\"needs\":[],\"level\":\"MAY\",\"allow\":[\"ok\"],"
        "\"cite\":[\"A text, section 2\"],\"entry_of\":\"posix\"}]");
    return 0;
  }
  if (flag(argc, argv, "--info")) {
    std::printf("{\"serves\":%s,", serves() ? "true" : "false");
    std::puts(
        "\"catalogue_digest\":\"abc\",\"build\":{\"compiler\":\"c\",\"type\":\"t\",\"flags\":\"f\",\"sanitizers\":\"\"},"
        "\"provider\":{\"name\":\"fake\",\"version\":\"1\"},\"capabilities\":[\"ipv6\"]}");
    return 0;
  }
  arguments.assign(argv + 1, argv + argc);
  std::string wanted = argument(argc, argv, "--gtest_filter=");
  if (const std::string channel = argument(argc, argv, "--serve="); !channel.empty())
    wanted = sockproof::ServeScenarios(std::atoi(channel.c_str()));
  for (const Fake& fake : fakes())
    for (const std::string& family : families())
      if (std::string(fake.name) + "/" + family == wanted) {
        scenario_name = wanted;
        begin();
        fake.body();
        return 0;
      }
  std::fprintf(stderr, "no scenario %s\n", wanted.c_str());
  return 3;
}
