// The catalogue at run time: what conformance/catalogue/*.toml says, compiled in. The generated headers
// (catalogue/AREA.h) declare one constant a requirement and one a declared outcome, so an id that does not exist does not
// compile.
#pragma once

#include <cstddef>
#include <string_view>

#include "face/outcome.h"

namespace sockproof {

enum class Level { kObserved, kMay, kShould, kMust };
const char* LevelName(Level level);

// A list in constant memory.
struct TextList {
  const char* const* items;
  std::size_t size;
  const char* const* begin() const { return items; }
  const char* const* end() const { return items + size; }
  bool Contains(std::string_view text) const {
    for (const char* item : *this) {
      if (text == item) return true;
    }
    return false;
  }
};

// What one profile asks.
struct Entry {
  const char* profile;
  Level level;
  TextList allow;
  TextList cite;
};

struct Requirement {
  const char* id;    // "backlog.capacity"
  const char* area;  // "backlog"
  const char* text;
  TextList needs;               // capabilities without which no scenario can exist
  const Entry* const* entries;  // by profile number, inheritance resolved; nullptr: says nothing about that profile

  const Entry* For(int profile) const { return entries[profile]; }
};

struct Profile {
  const char* name;
  const char* text;
  const char* inherits;  // nullptr at the root
  TextList options;      // the socket options that it knows, its own and those that it inherits
};

struct Area {
  const char* name;
  const char* suite;
  const char* title;
};

struct Catalogue {
  const Profile* profiles;
  std::size_t profile_count;
  const Area* areas;
  std::size_t area_count;
  const Requirement* const* requirements;
  std::size_t requirement_count;
  const char* digest;  // of the sources, in hexadecimal

  int ProfileNumber(std::string_view name) const;  // -1: there is none
};
const Catalogue& TheCatalogue();

}  // namespace sockproof
