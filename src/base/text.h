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
// "a=b=c" by '=' → {"a", "b=c"}; nullopt without the separator.
std::optional<std::pair<std::string_view, std::string_view>> split_once(std::string_view text,
                                                                        char separator);
bool iequals(std::string_view a, std::string_view b);  // ASCII case-insensitive
std::string to_lower(std::string_view text);
std::string to_hex(std::span<const std::uint8_t> bytes);
std::string join(std::span<const std::string> parts, std::string_view separator);
// A whole decimal number in [min, max]; nullopt for anything else, signs and blanks included.
std::optional<std::uint64_t> parse_uint(std::string_view text, std::uint64_t max);

}  // namespace perigee
