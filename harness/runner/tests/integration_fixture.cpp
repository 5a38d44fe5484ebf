#include "integration_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "process.h"
#include "procfs.h"

namespace sockproof::runner {
namespace {

using nlohmann::json;

std::string slurp(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

bool eventually(const std::function<bool()>& holds, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

void RunnerTest::SetUp() {
  // Short, because the runner's own directories go below it.
  std::string name = "/tmp/spt.XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  directory_ = name;
  std::filesystem::create_directory(temporary());
}

void RunnerTest::TearDown() {
  for (const pid_t pid : survivors()) {
    ADD_FAILURE() << "process " << pid << " outlived its run";
    ::kill(pid, SIGKILL);
  }
  for (const std::string& left : left_directories()) ADD_FAILURE() << left << " was not removed";
  std::filesystem::remove_all(directory_);
}

pid_t RunnerTest::start(const Words& arguments, const Variables& environment) const {
  Words words{RUNNER_PROGRAM, "--battery", FAKE_BATTERY};
  if (!target_given_) words.insert(words.end(), {"--provider", "fake", "--profile", "linux"});
  words.insert(words.end(), arguments.begin(), arguments.end());
  Variables variables = environment;
  variables["FAKE_MARK"] = directory_.string();
  variables["FAKE_STATE"] = directory_.string();
  variables["TMPDIR"] = temporary().string();
  std::vector<std::string> entries = child_environment(variables);

  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // A directory of its own, where it may make its own results.
  if (::chdir(directory_.c_str()) != 0) ::_exit(126);
  ::dup2(::open("/dev/null", O_RDONLY), 0);
  ::dup2(::open((directory_ / "stdout").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
  ::dup2(::open((directory_ / "stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& entry : entries) envp.push_back(entry.data());
  envp.push_back(nullptr);
  ::execve(argv[0], argv.data(), envp.data());
  ::_exit(127);
}

RunResult RunnerTest::finish(pid_t pid) const {
  int status = 0;
  RunResult result;
  if (::waitpid(pid, &status, 0) != pid) return result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = slurp(directory_ / "stdout");
  result.err = slurp(directory_ / "stderr");
  return result;
}

RunResult RunnerTest::run(const Words& arguments, const Variables& environment) const {
  return finish(start(arguments, environment));
}

RunResult RunnerTest::run_recorded(Words arguments, const Variables& environment) {
  arguments.insert(arguments.end(), {"--output", output().string()});
  return run(arguments, environment);
}

std::vector<json> RunnerTest::records(const std::string& kind) const {
  std::vector<json> found;
  std::istringstream lines(slurp(results()));
  for (std::string line; std::getline(lines, line);) {
    json record = json::parse(line, nullptr, false);
    if (record.is_object() && record.value("record", "") == kind) found.push_back(std::move(record));
  }
  return found;
}

json RunnerTest::scenario(const std::string& name) const {
  for (const json& record : records("scenario"))
    if (record["name"] == name) return record;
  ADD_FAILURE() << "no record of " << name;
  return json::object();
}

json RunnerTest::summary() const {
  const auto all = records("summary");
  EXPECT_EQ(all.size(), 1U);
  return all.empty() ? json::object() : all.back();
}

std::vector<pid_t> RunnerTest::survivors() const {
  std::vector<pid_t> pids;
  for (const pid_t pid : all_processes()) {
    if (pid == ::getpid() || !started_with(pid, "FAKE_MARK=" + directory_.string())) continue;
    const auto stat = read_stat(pid);
    if (stat && stat->state != 'Z' && stat->state != 'X') pids.push_back(pid);
  }
  return pids;
}

std::vector<std::string> RunnerTest::left_directories() const {
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(temporary())) left.push_back(entry.path().string());
  return left;
}

}  // namespace sockproof::runner
