#include "catalogue/requirement.h"

#include "catalogue/capabilities.h"

namespace sockproof {

const char* LevelName(Level level) {
  switch (level) {
    case Level::kMust:
      return "MUST";
    case Level::kShould:
      return "SHOULD";
    case Level::kMay:
      return "MAY";
    default:
      return "OBSERVED";
  }
}

int Catalogue::ProfileNumber(std::string_view name) const {
  for (std::size_t i = 0; i < profile_count; ++i) {
    if (name == profiles[i].name) return static_cast<int>(i);
  }
  return -1;
}

bool ProfileKnows(int profile, std::string_view capability) {
  if (kProfileCapabilities[profile].Contains(capability)) return true;
  for (std::size_t i = 0; i < TheCatalogue().profile_count; ++i) {
    if (kProfileCapabilities[i].Contains(capability)) return false;
  }
  return true;
}

}  // namespace sockproof
