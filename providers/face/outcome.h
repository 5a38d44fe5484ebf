// What was seen: the word that is compared with the catalogue's allowed set.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "face/names.h"

namespace sockproof {

// A name declared as [[outcome]] in the catalogue. Only the generated headers make these, so a misspelt one does not compile.
struct OutcomeName {
  const char* text;
};

class Outcome {
 public:
  // An error, or "ok". `native` is the implementation's own code, for people.
  static Outcome OfError(int32_t error, int64_t native, std::string detail = {}) {
    return Outcome(std::string(ErrorName(error)), native, std::move(detail));
  }
  // A number: "=3".
  static Outcome OfNumber(int64_t number, std::string detail = {}) {
    std::string name = std::to_string(number);
    name.insert(name.begin(), '=');
    return Outcome(std::move(name), 0, std::move(detail));
  }
  // NOLINTNEXTLINE(google-explicit-constructor): a declared name is an outcome
  Outcome(OutcomeName name, std::string detail = {}) : Outcome(std::string(name.text), 0, std::move(detail)) {}

  const std::string& name() const { return name_; }
  int64_t native() const { return native_; }
  const std::string& detail() const { return detail_; }
  Outcome With(std::string detail) const { return Outcome(name_, native_, std::move(detail)); }

 private:
  Outcome(std::string name, int64_t native, std::string detail)
      : name_(std::move(name)), native_(native), detail_(std::move(detail)) {}

  std::string name_;
  int64_t native_;
  std::string detail_;
};

}  // namespace sockproof
