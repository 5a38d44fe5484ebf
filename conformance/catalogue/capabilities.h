// Of which things the documents of a profile speak (profiles.toml).
#pragma once

#include <cstddef>
#include <string_view>

#include "catalogue/requirement.h"

namespace sockproof {

// By profile number, inheritance resolved: the capabilities that it names, of those that not every document knows.
extern const TextList* const kProfileCapabilities;

// False for a capability that only other profiles name.
bool ProfileKnows(int profile, std::string_view capability);

}  // namespace sockproof
