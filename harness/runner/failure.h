// What ends a run before it has a verdict: wrong options, a broken target file, a battery that cannot be read.
#pragma once

#include <stdexcept>
#include <string>

namespace sockproof::runner {

/// The harness itself failed; the message is for the user and stands alone. Ends the runner with exit code 2.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The exit codes of a run.
enum ExitCode : int {
  kAsExpected = 0,
  kUnexpected = 1,     ///< a new failure, an unexpected pass, a flake, a crash, a hang
  kHarnessFailed = 2,  ///< the run could not be made or was interrupted
  kNothingRan = 3,     ///< the filter matched nothing, or everything was not_supported
};

}  // namespace sockproof::runner
