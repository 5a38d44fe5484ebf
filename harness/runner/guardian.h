// Nothing that a run started outlives it, even when the runner is killed with SIGKILL.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace sockproof::runner {

/// A small process beside the runner that knows the sessions it has started. When the runner goes away without having
/// said goodbye, it kills them, whatever carries the run's mark in its environment, and removes the run's directory for
/// temporary files. PR_SET_PDEATHSIG alone reaches only the runner's own children, not theirs.
class Guardian {
 public:
  /// Forks; call it while the process has one thread. `mark` is the NAME=value that every process of the run carries.
  Guardian(const std::string& mark, const std::filesystem::path& temporary);
  /// Says goodbye and waits for the guardian to end.
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  void started(pid_t session);
  void ended(pid_t session);
  pid_t pid() const { return pid_; }

 private:
  void tell(char what, pid_t session);

  pid_t pid_ = -1;
  int pipe_ = -1;
};

}  // namespace sockproof::runner
