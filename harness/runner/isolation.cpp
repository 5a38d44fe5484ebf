#include "isolation.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "procfs.h"

namespace sockproof::runner {
namespace {

void read_sysctls_below(const std::string& directory, const std::string& prefix, const char* start,
                        std::map<std::string, std::string>& into) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(start, 0) != 0 || !entry.is_regular_file(error)) continue;
    // Keys are secrets of the machine, and tell nothing.
    if (name.find("key") != std::string::npos) continue;
    std::string value = read_text(entry.path().string(), 4096);
    while (!value.empty() && (value.back() == '\n' || value.back() == ' ')) value.pop_back();
    if (!value.empty()) into[prefix + name] = value;
  }
}

std::map<std::string, std::string> read_sysctls() {
  std::map<std::string, std::string> sysctls;
  read_sysctls_below("/proc/sys/net/ipv4", "net.ipv4.", "tcp_", sysctls);
  read_sysctls_below("/proc/sys/net/ipv4", "net.ipv4.", "ip_local_", sysctls);
  read_sysctls_below("/proc/sys/net/ipv4", "net.ipv4.", "ip_unprivileged_port_start", sysctls);
  read_sysctls_below("/proc/sys/net/ipv6", "net.ipv6.", "bindv6only", sysctls);
  read_sysctls_below("/proc/sys/net/ipv6/conf/all", "net.ipv6.conf.all.", "disable_ipv6", sysctls);
  read_sysctls_below("/proc/sys/net/core", "net.core.", "somaxconn", sysctls);
  read_sysctls_below("/proc/sys/net/core", "net.core.", "rmem_", sysctls);
  read_sysctls_below("/proc/sys/net/core", "net.core.", "wmem_", sysctls);
  read_sysctls_below("/proc/sys/net/unix", "net.unix.", "max_dgram_qlen", sysctls);
  return sysctls;
}

// Enters the namespaces in a child, and reads the sysctls as they are there.
std::string probe(Isolation isolation, std::map<std::string, std::string>& sysctls) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return fmt::format("pipe: {}", std::strerror(errno));
  const unsigned uid = ::geteuid();
  const unsigned gid = ::getegid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe_ends[0]);
    const char* step = "";
    const int error = EnterNamespaces(isolation, uid, gid, &step);
    std::string answer = error == 0 ? "" : fmt::format("{}: {}", step, std::strerror(error));
    answer += '\0';
    if (error == 0)
      for (const auto& [name, value] : read_sysctls()) answer += fmt::format("{}={}", name, value) + '\0';
    for (std::size_t at = 0; at < answer.size();) {
      const ssize_t written = ::write(pipe_ends[1], answer.data() + at, answer.size() - at);
      if (written <= 0) break;
      at += static_cast<std::size_t>(written);
    }
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  if (child < 0) {
    ::close(pipe_ends[0]);
    return fmt::format("fork: {}", std::strerror(errno));
  }
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(got));
  ::close(pipe_ends[0]);
  ::waitpid(child, nullptr, 0);
  if (answer.empty()) return "the probe process died";
  const std::string reason = answer.c_str();
  if (!reason.empty()) return reason;
  for (std::size_t at = 1; at < answer.size();) {
    const std::string line = answer.c_str() + at;
    at += line.size() + 1;
    if (const std::size_t equals = line.find('='); equals != std::string::npos)
      sysctls[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return {};
}

}  // namespace

std::string name_of(Isolation isolation) { return isolation == Isolation::none ? "none" : "netns"; }

IsolationFinding find_isolation(bool wanted) {
  IsolationFinding finding;
  if (!wanted) {
    finding.reason = "asked for";
    finding.sysctls = read_sysctls();
    return finding;
  }
  const std::string with_privilege = probe(Isolation::netns, finding.sysctls);
  if (with_privilege.empty()) {
    finding.isolation = Isolation::netns;
    return finding;
  }
  const std::string with_user = probe(Isolation::user_netns, finding.sysctls);
  if (with_user.empty()) {
    finding.isolation = Isolation::user_netns;
    return finding;
  }
  finding.reason = fmt::format("network namespace: {}; user and network namespace: {}", with_privilege, with_user);
  finding.sysctls = read_sysctls();
  return finding;
}

}  // namespace sockproof::runner
