// Names derived from other names, by a hash that is the same in every version and on every machine.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace perigee {

// FNV-1a, 64 bits.
constexpr std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

// Of a node's state directory: what sets a node's names on this host (control groups, nftables
// tables, interfaces) apart from another node's. 8 hexadecimal digits.
inline std::string node_hash(std::string_view state) {
  return fmt::format("{:08x}", static_cast<std::uint32_t>(stable_hash(state)));
}

}  // namespace perigee
