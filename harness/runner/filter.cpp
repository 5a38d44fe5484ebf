#include "filter.h"

#include <algorithm>

#include "failure.h"

namespace sockproof::runner {
namespace {

// Linear in practice: on a mismatch only the last '*' can be given more to swallow.
bool glob(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t swallowed = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      swallowed = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++swallowed;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<std::string> split_patterns(std::string_view text) {
  std::vector<std::string> patterns;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (!part.empty()) patterns.emplace_back(part);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  return patterns;
}

}  // namespace

Filter::Filter(std::string_view text) {
  const std::size_t dash = text.find('-');
  positive_ = split_patterns(text.substr(0, dash));
  if (dash != std::string_view::npos) negative_ = split_patterns(text.substr(dash + 1));
  if (positive_.empty()) positive_.emplace_back("*");
}

bool Filter::matches(std::string_view name) const {
  const auto hit = [name](const std::string& pattern) { return glob(pattern, name); };
  return std::any_of(positive_.begin(), positive_.end(), hit) && std::none_of(negative_.begin(), negative_.end(), hit);
}

std::vector<std::string> split_command(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\'') {
      if (c == '\'')
        quote = '\0';
      else
        word += c;
    } else if (c == '\\') {
      if (i + 1 == text.size()) throw Failure("a command ends in a backslash: " + std::string(text));
      const char next = text[++i];
      // Within double quotes a backslash protects only what would be special there.
      if (quote == '"' && next != '"' && next != '\\' && next != '$' && next != '`') word += c;
      word += next;
      in_word = true;
    } else if (quote == '"') {
      if (c == '"')
        quote = '\0';
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != '\0') throw Failure("a quote is left open in the command: " + std::string(text));
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::vector<std::string> for_job(std::vector<std::string> words, unsigned job) {
  constexpr std::string_view kJob = "{job}";
  for (std::string& word : words)
    for (std::size_t at = 0; (at = word.find(kJob, at)) != std::string::npos;) word.replace(at, kJob.size(), std::to_string(job));
  return words;
}

std::string quote_word(std::string_view word) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:,=+@%").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'')
      quoted += "'\\''";
    else
      quoted += c;
  }
  return quoted + "'";
}

}  // namespace sockproof::runner
