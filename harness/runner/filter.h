// Which scenarios a run takes: GoogleTest's filter syntax, and shell words for launchers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sockproof::runner {

/// A filter as GoogleTest writes it: patterns separated by ':', '*' for any text, '?' for any one character; everything
/// after the first '-' says what is left out. No positive pattern means everything.
class Filter {
 public:
  explicit Filter(std::string_view text);
  bool matches(std::string_view name) const;

 private:
  std::vector<std::string> positive_;
  std::vector<std::string> negative_;
};

/// Splits a command as a POSIX shell would: blanks, single and double quotes, backslashes; expands nothing.
/// Throws Failure when a quote is left open.
std::vector<std::string> split_command(std::string_view text);

/// The words of a command with each `{job}` in them replaced by the number.
std::vector<std::string> for_job(std::vector<std::string> words, unsigned job);

/// Quotes one word so that a shell gives it back unchanged.
std::string quote_word(std::string_view word);

}  // namespace sockproof::runner
