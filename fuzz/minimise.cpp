#include "fuzz/minimise.h"

#include <algorithm>

namespace sockproof::fuzz {

Script Minimise(Script script, const std::function<bool(const Script&)>& shows, int most) {
  const auto asks = [&](const Script& candidate) { return most-- > 0 && shows(candidate); };
  bool shorter = true;
  while (shorter && most > 0) {
    shorter = false;
    for (std::size_t part = std::max<std::size_t>(script.size() / 2, 1); part > 0; part /= 2) {
      for (std::size_t at = 0; at < script.size() && script.size() > 1;) {
        Script candidate = script;
        const std::size_t end = std::min(at + part, script.size());
        candidate.erase(candidate.begin() + static_cast<int64_t>(at), candidate.begin() + static_cast<int64_t>(end));
        if (!candidate.empty() && asks(candidate)) {
          script = std::move(candidate);
          shorter = true;
        } else {
          at += part;
        }
      }
    }
  }
  for (std::size_t i = 0; i < script.size(); ++i) {
    const std::vector<Field>& fields = FormOf(script[i].kind).fields;
    for (std::size_t field = 0; field < fields.size(); ++field) {
      // Places stay as they are: who is meant is no matter of taste.
      if (script[i].choice[field] == 0 || *fields[field].key == '\0') continue;
      Script candidate = script;
      candidate[i].choice[field] = 0;
      if (asks(candidate)) script = std::move(candidate);
    }
  }
  return script;
}

}  // namespace sockproof::fuzz
