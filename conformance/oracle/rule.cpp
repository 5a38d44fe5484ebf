#include "oracle/rule.h"

#include <cstring>

namespace sockproof::oracle {
namespace {

std::vector<const Rule*>& Registered() {
  static std::vector<const Rule*> rules;
  return rules;
}

}  // namespace

Rule::Rule(const char* name, const char* text, const char* requirement, const char* cite)
    : name_(name), text_(text), requirement_(requirement), cite_(cite), number_(Registered().size()) {
  Registered().push_back(this);
}

const std::vector<const Rule*>& Rule::All() { return Registered(); }

void Rule::Resolve() {
  for (const Rule* rule : All()) static_cast<void>(rule->requirement());
}

const Requirement* Rule::requirement() const {
  if (looked_ || *requirement_ == '\0') return found_;
  looked_ = true;
  const Catalogue& catalogue = TheCatalogue();
  for (std::size_t i = 0; i < catalogue.requirement_count; ++i) {
    if (std::strcmp(catalogue.requirements[i]->id, requirement_) == 0) found_ = catalogue.requirements[i];
  }
  return found_;
}

bool Rule::SpeaksOf(int profile) const {
  if (*requirement_ != '\0') return requirement() != nullptr && requirement()->For(profile) != nullptr;
  const Catalogue& catalogue = TheCatalogue();
  for (int at = profile; at >= 0;) {
    if (std::strcmp(catalogue.profiles[at].name, "posix") == 0) return true;
    at = catalogue.profiles[at].inherits != nullptr ? catalogue.ProfileNumber(catalogue.profiles[at].inherits) : -1;
  }
  return false;
}

std::string Rule::Citation(int profile) const {
  std::string text;
  if (const Requirement* of = requirement(); of != nullptr && of->For(profile) != nullptr) {
    for (const char* item : of->For(profile)->cite) text += (text.empty() ? "" : "; ") + std::string(item);
  } else if (cite_ != nullptr) {
    text = cite_;
  }
  return text;
}

}  // namespace sockproof::oracle
