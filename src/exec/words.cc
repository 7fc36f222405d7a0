#include "exec/words.h"

#include <optional>

#include "exec/limits.h"

namespace perigee::exec {
namespace {

constexpr char kNone = '\0';

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// POSIX 2.2.3: between double quotes a backslash escapes only these.
bool escapes(char quote, char next) {
  return quote == kNone || next == '"' || next == '\\' || next == '$' || next == '`';
}

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::optional<std::string> word;  // empty optional: between words
  char quote = kNone;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == kNone && is_blank(c)) {
      if (word) words.push_back(*std::exchange(word, std::nullopt));
      continue;
    }
    if (!word) word.emplace();
    const bool last = i + 1 == text.size();
    if (c == quote) {
      quote = kNone;
    } else if (quote == kNone && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '\\' && quote != '\'' && !last && escapes(quote, text[i + 1])) {
      *word += text[++i];
    } else {
      *word += c;
    }
  }
  if (quote != kNone) return fail(Code::invalid_argument, "command: a {} is not closed", quote);
  if (word) words.push_back(*std::move(word));
  if (words.size() > kMaxWords)
    return fail(Code::invalid_argument, "command: at most {} words", kMaxWords);
  return words;
}

}  // namespace perigee::exec
