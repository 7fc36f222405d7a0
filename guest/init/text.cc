#include "init/text.h"

namespace perigee::init {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> words(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r";
  std::vector<std::string_view> found;
  std::size_t start = text.find_first_not_of(kSpace);
  while (start != std::string_view::npos) {
    const std::size_t end = text.find_first_of(kSpace, start);
    found.push_back(text.substr(start, end - start));
    start = end == std::string_view::npos ? end : text.find_first_not_of(kSpace, end);
  }
  return found;
}

std::optional<std::uint32_t> parse_number(std::string_view text) {
  constexpr std::uint64_t kMax = 0xfffffffe;
  if (text.empty() || text.size() > 10) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') {
      return std::nullopt;
    }
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return value <= kMax ? std::optional(static_cast<std::uint32_t>(value)) : std::nullopt;
}

std::optional<std::string_view> boot_parameter(std::string_view cmdline, std::string_view key) {
  for (const std::string_view word : words(cmdline)) {
    if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=') {
      return word.substr(key.size() + 1);
    }
  }
  return std::nullopt;
}

}  // namespace perigee::init
