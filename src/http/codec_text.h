// Character classes of RFC 9110 section 5.6 as tables. Private to the codec.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace perigee::http {

enum CharClass : std::uint8_t {
  kTokenChar = 1,   // tchar
  kFieldChar = 2,   // VCHAR, obs-text, SP, HTAB
  kTargetChar = 4,  // VCHAR without '#'
  kHostChar = 8,    // uri-host [ ":" port ]
  kHexChar = 16,
};

constexpr std::array<std::uint8_t, 256> make_char_classes() {
  constexpr std::string_view kAlnum =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&table](std::string_view characters, CharClass as) {
    for (const char c : characters) table[static_cast<std::uint8_t>(c)] |= as;
  };
  for (std::size_t c = 0x21; c < 0x7f; ++c) table[c] |= kFieldChar | kTargetChar;
  for (std::size_t c = 0x80; c < 0x100; ++c) table[c] |= kFieldChar;
  table['#'] &= static_cast<std::uint8_t>(~kTargetChar);
  mark(" \t", kFieldChar);
  mark(kAlnum, kTokenChar);
  mark("!#$%&'*+-.^_`|~", kTokenChar);
  mark(kAlnum, kHostChar);
  mark("-._~%!$&'()*+;=:[]", kHostChar);
  mark("0123456789abcdefABCDEF", kHexChar);
  return table;
}
inline constexpr std::array<std::uint8_t, 256> kCharClasses = make_char_classes();

inline bool all_of_class(std::string_view text, CharClass wanted) {
  for (const char c : text) {
    if ((kCharClasses[static_cast<std::uint8_t>(c)] & wanted) == 0) return false;
  }
  return true;
}

}  // namespace perigee::http
