// A hash that is the same in every version and on every machine, for names derived from other
// names.
#pragma once

#include <cstdint>
#include <string_view>

namespace perigee::vm {

// FNV-1a, 64 bits.
constexpr std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

}  // namespace perigee::vm
