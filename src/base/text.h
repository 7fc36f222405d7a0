// Small helpers on text: splitting, trimming, hex. ASCII only, no locale.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perigee {

std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
// `fn` gets each of these parts in turn, until it returns true. Returns whether it did.
template <typename Fn>
bool any_part(std::string_view text, char separator, Fn&& fn) {
  for (;;) {
    const auto at = text.find(separator);
    if (fn(text.substr(0, at))) return true;
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + 1);
  }
}
// "a=b=c" by '=' → {"a", "b=c"}; nullopt without the separator.
std::optional<std::pair<std::string_view, std::string_view>> split_once(std::string_view text,
                                                                        char separator);
constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
// ASCII case-insensitive. Inline: most comparisons end at the size.
inline bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}
std::string to_lower(std::string_view text);
std::string to_hex(std::span<const std::uint8_t> bytes);
std::string join(std::span<const std::string> parts, std::string_view separator);
// A whole decimal number in [min, max]; nullopt for anything else, signs and blanks included.
std::optional<std::uint64_t> parse_uint(std::string_view text, std::uint64_t max);

}  // namespace perigee
