// Which limits and settings this process may change. Empty: it may; else what is missing.
#pragma once

#include <string>

namespace sockproof::posix {

std::string WhyNoKnobs();
std::string WhyNoHandleLimit();

}  // namespace sockproof::posix
