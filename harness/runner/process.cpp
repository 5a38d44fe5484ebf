// The library asks an old version of POSIX whether there is vfork; Linux has it.
#define BOOST_POSIX_HAS_VFORK 1

#include "process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/process/args.hpp>
#include <boost/process/async.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/posix.hpp>
#include <boost/process/search_path.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include "failure.h"
#include "fork_server.h"

namespace sockproof::runner {
namespace {

namespace bp = boost::process;

// What is read from a process after its end at most: a pipe holds less, and whoever still writes is to be killed.
constexpr std::size_t kMostAfterEnd = 1 << 20;

struct Pipe {
  int read_end = -1;
  int write_end = -1;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Failure(std::string("pipe: ") + std::strerror(errno));
    read_end = ends[0];
    write_end = ends[1];
    ::fcntl(read_end, F_SETFL, O_NONBLOCK);
  }
  ~Pipe() {
    if (read_end >= 0) ::close(read_end);
    if (write_end >= 0) ::close(write_end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
};

// Runs in the child between fork and exec.
struct ChildSetup : bp::extend::handler {
  int output = -1;
  int error = -1;
  int null = -1;
  char** environment = nullptr;
  Isolation isolation = Isolation::none;
  pid_t parent = 0;
  int keep = -1;
  unsigned uid = 0;
  unsigned gid = 0;

  template <typename Executor>
  void on_setup(Executor& executor) const {
    executor.env = environment;
  }

  template <typename Executor>
  void on_exec_setup(Executor& executor) const {
    ::setsid();
    ::dup2(null, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(error, STDERR_FILENO);
    // A scenario starts as from a shell, whatever the runner ignores, handles or blocks.
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    const char* step = "";
    if (const int failed = EnterNamespaces(isolation, uid, gid, &step); failed != 0) {
      executor.set_error(std::error_code(failed, std::system_category()), step);
      ::_exit(127);
    }
    // After the namespaces, since new credentials clear it; then look whether the parent had gone before.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    if (keep >= 0) ::fcntl(keep, F_SETFD, 0);
  }
};

}  // namespace

std::string find_program(const std::string& word) {
  if (word.find('/') != std::string::npos) return ::access(word.c_str(), X_OK) == 0 ? word : std::string();
  return bp::search_path(word).string();
}

std::vector<std::string> child_environment(const std::map<std::string, std::string>& extra) {
  std::vector<std::string> environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    // A shard, a filter or a repeat meant for the runner would be applied a second time by the battery.
    if (name.rfind("GTEST_", 0) == 0 || name.rfind("SOCKPROOF_", 0) == 0 || extra.count(name) != 0) continue;
    environment.emplace_back(text);
  }
  for (const auto& [name, value] : extra) environment.push_back(name + "=" + value);
  return environment;
}

Process::Process(boost::asio::io_context& context, Children& children, OnOutput on_output, OnExit on_exit)
    : context_(context),
      children_(children),
      on_output_(std::move(on_output)),
      on_exit_(std::move(on_exit)),
      output_(context),
      error_(context) {}

std::shared_ptr<Process> Process::start(boost::asio::io_context& context, Children& children, const ProcessOptions& options,
                                        OnOutput on_output, OnExit on_exit) {
  const std::string program = find_program(options.arguments.front());
  if (program.empty()) throw Failure(fmt::format("there is no program '{}'", options.arguments.front()));
  std::shared_ptr<Process> self(new Process(context, children, std::move(on_output), std::move(on_exit)));
  Pipe output;
  Pipe error;
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

  std::vector<char*> environment;
  environment.reserve(options.environment.size() + 1);
  for (const std::string& entry : options.environment) environment.push_back(const_cast<char*>(entry.c_str()));
  environment.push_back(nullptr);

  ChildSetup setup;
  setup.output = output.write_end;
  setup.error = error.write_end;
  setup.null = null;
  setup.environment = environment.data();
  setup.isolation = options.isolation;
  setup.parent = ::getpid();
  setup.keep = options.keep;
  setup.uid = ::geteuid();
  setup.gid = ::getegid();
  std::error_code failed;
  const std::vector<std::string> rest(options.arguments.begin() + 1, options.arguments.end());
  const auto launch = [&](const auto&... how) {
    // The handler runs inside the loop that reaps, where no other child may be started: it only notes, and posts the rest.
    return bp::child(
        bp::exe = program, bp::args = rest, setup, context,
        bp::on_exit =
            [self](int, const std::error_code&) {
              const ResourceUse use = self->children_.take(self->pid_);
              self->ended(self->child_.native_exit_code(), use);
            },
        failed, how...);
  };
  // A new user namespace wants memory of its own; everybody else is spared the copy of ours.
  self->child_ = options.isolation == Isolation::user_netns ? launch() : launch(bp::posix::use_vfork);
  if (null >= 0) ::close(null);
  if (failed) {
    self->child_.detach();
    throw Failure(fmt::format("{}: {}", options.arguments.front(), failed.message()));
  }
  self->pid_ = self->child_.id();
  children.add(self->pid_, options.variable);
  self->listen(std::exchange(output.read_end, -1), std::exchange(error.read_end, -1));
  return self;
}

std::shared_ptr<Process> Process::start_in(ForkServer& server, boost::asio::io_context& context, Children& children,
                                           const std::vector<std::string>& request, const std::string& variable,
                                           OnOutput on_output, OnExit on_exit) {
  std::shared_ptr<Process> self(new Process(context, children, std::move(on_output), std::move(on_exit)));
  Pipe output;
  Pipe error;
  self->pid_ = server.fork(request, output.write_end, error.write_end,
                           [self](int status, ResourceUse use, const std::string& not_started) {
                             self->not_started_ = not_started;
                             self->ended(status, use);
                           });
  children.add(self->pid_, variable);
  self->listen(std::exchange(output.read_end, -1), std::exchange(error.read_end, -1));
  return self;
}

void Process::listen(int output, int error) {
  output_.assign(output);
  error_.assign(error);
  read_when_ready(Stream::output);
  read_when_ready(Stream::error);
}

void Process::read_when_ready(Stream stream) {
  descriptor(stream).async_wait(boost::asio::posix::descriptor_base::wait_read,
                                [self = shared_from_this(), stream](const boost::system::error_code& error) {
                                  if (error || self->gone_) return;
                                  if (self->read_once(stream)) self->read_when_ready(stream);
                                });
}

bool Process::read_once(Stream stream) {
  static char buffer[64 * 1024];  // one thread
  if (!descriptor(stream).is_open()) return false;
  const ssize_t got = ::read(descriptor(stream).native_handle(), buffer, sizeof buffer);
  if (got > 0) {
    if (on_output_) on_output_(stream, std::string_view(buffer, static_cast<std::size_t>(got)));
    return true;
  }
  return got < 0 && (errno == EINTR || errno == EAGAIN);
}

void Process::ended(int status, ResourceUse use) {
  if (WIFSIGNALED(status))
    exit_.signal = WTERMSIG(status);
  else
    exit_.status = WEXITSTATUS(status);
  gone_ = true;  // from here on the number may be somebody else's
  use_ = use;
  boost::asio::post(context_, [self = shared_from_this()] { self->finish(); });
}

void Process::finish() {
  if (child_.valid()) child_.detach();
  // The rest of its group first: what they would still write must not keep the runner reading.
  ::kill(-pid_, SIGKILL);
  for (const Stream stream : {Stream::output, Stream::error}) {
    if (!descriptor(stream).is_open()) continue;
    char buffer[16 * 1024];
    std::size_t total = 0;
    while (total < kMostAfterEnd) {
      const ssize_t got = ::read(descriptor(stream).native_handle(), buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      total += static_cast<std::size_t>(got);
      if (on_output_) on_output_(stream, std::string_view(buffer, static_cast<std::size_t>(got)));
    }
    boost::system::error_code ignored;
    descriptor(stream).close(ignored);
  }
  const OnExit on_exit = std::move(on_exit_);
  forget();
  if (on_exit) on_exit(exit_, use_);
}

void Process::signal(int number) {
  if (!gone_) ::kill(pid_, number);
}

void Process::kill_group() {
  if (gone_) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
}

void Process::forget() {
  on_output_ = nullptr;
  on_exit_ = nullptr;
}

Captured capture(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int limit_ms) {
  boost::asio::io_context context;
  Children children(context);
  Captured captured;
  boost::asio::steady_timer timer(context);
  ProcessOptions options;
  options.arguments = arguments;
  options.environment = environment;
  const auto process = Process::start(
      context, children, options,
      [&](Stream stream, std::string_view text) { (stream == Stream::output ? captured.output : captured.error) += text; },
      [&](Exit exit, ResourceUse) {
        captured.exit = exit;
        context.stop();
      });
  timer.expires_after(std::chrono::milliseconds(limit_ms));
  timer.async_wait([&](const boost::system::error_code& error) {
    if (error) return;
    captured.timed_out = true;
    process->kill_group();
  });
  context.run();
  return captured;
}

}  // namespace sockproof::runner
