// The shortest script that still shows what a longer one shows.
#pragma once

#include <functional>

#include "fuzz/grammar.h"

namespace sockproof::fuzz {

// Takes operations out, in halves, quarters and so on down to single ones, until none can go; then gives every choice the first
// value of its list where that makes no difference. `shows` is asked at most `most` times.
Script Minimise(Script script, const std::function<bool(const Script&)>& shows, int most = 2000);

}  // namespace sockproof::fuzz
