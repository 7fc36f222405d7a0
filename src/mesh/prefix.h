// Prefix: an IPv4 or IPv6 network ("fd12:3456:789a:5::/64"), as a value: two texts of the same
// network are equal.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::mesh {

struct Prefix {
  int family = 0;                           // AF_INET, AF_INET6
  std::array<std::uint8_t, 16> bytes = {};  // IPv4: the first four
  int length = 0;                           // bits

  // Bits behind the length must be zero; an address alone is a network of its own.
  static Result<Prefix> parse(std::string_view text);
  std::string address() const;
  std::string str() const;
  std::string_view raw() const;  // 4 or 16 bytes
  auto operator<=>(const Prefix&) const = default;
};

}  // namespace perigee::mesh
