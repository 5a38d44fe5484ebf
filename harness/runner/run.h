// A whole run: from the options to the exit code.
#pragma once

#include "options.h"

namespace sockproof::runner {

/// Returns one of the exit codes; throws Failure when the run could not be made.
int run(const Options& options);

}  // namespace sockproof::runner
