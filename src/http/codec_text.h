// Character classes of RFC 9110 section 5.6 as tables. Private to the codec.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
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

// Without a branch for each character: a head is nearly always right.
inline bool all_of_class(std::string_view text, CharClass wanted) {
  std::uint8_t all = wanted;
  for (const char c : text) all &= kCharClasses[static_cast<std::uint8_t>(c)];
  return all != 0;
}

// Whether one of eight characters may be none of kFieldChar: is below SP (a tab is, and is one), or
// DEL. The borrow of each byte goes no further (Hacker's Delight, section 6-1).
constexpr bool may_hold_control(std::uint64_t eight) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x80 * kOnes;
  const std::uint64_t no_del = eight ^ (0x7f * kOnes);
  const std::uint64_t below_space = (eight - 0x20 * kOnes) & ~eight;
  return ((below_space | ((no_del - kOnes) & ~no_del)) & kHigh) != 0;
}

// As all_of_class(text, kFieldChar), eight at a time.
inline bool all_field_chars(std::string_view text) {
  std::uint64_t eight = 0;
  while (text.size() >= sizeof(eight)) {
    std::memcpy(&eight, text.data(), sizeof(eight));
    if (may_hold_control(eight)) break;
    text.remove_prefix(sizeof(eight));
  }
  return all_of_class(text, kFieldChar);
}

}  // namespace perigee::http
