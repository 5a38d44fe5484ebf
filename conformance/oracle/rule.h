// Rules: what a call may bring about, one sentence each, with where it stands.
//
// A rule that speaks of the same thing as a requirement of the catalogue takes level, allowed outcomes and citation from
// there, for the profile that is judged; where the catalogue says nothing for a profile, the rule is silent. Only what holds
// whatever the profile, and what no requirement speaks of by itself, carries a citation of its own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "catalogue/requirement.h"

namespace sockproof::oracle {

class Rule {
 public:
  // `requirement` is the id of one, or empty: then `cite` says where the rule stands, and it is a MUST.
  Rule(const char* name, const char* text, const char* requirement, const char* cite = nullptr);
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;

  const char* name() const { return name_; }
  const char* text() const { return text_; }
  const char* requirement_id() const { return requirement_; }
  std::size_t number() const { return number_; }
  // The catalogue's requirement, looked up once; nullptr if it has none of that id.
  const Requirement* requirement() const;
  std::string Citation(int profile) const;
  bool SpeaksOf(int profile) const;  // it can decide for that profile

  static const std::vector<const Rule*>& All();  // in the order of their numbers
  // Looks up what all of them name: a process that forks for each scenario does so once.
  static void Resolve();

 private:
  const char* name_;
  const char* text_;
  const char* requirement_;
  const char* cite_;
  std::size_t number_;
  mutable const Requirement* found_ = nullptr;
  mutable bool looked_ = false;
};

}  // namespace sockproof::oracle
