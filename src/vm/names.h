// Names derived from other names, by a hash that is the same in every version and on every machine.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace perigee::vm {

// FNV-1a, 64 bits.
constexpr std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

// The control group that holds those of a node's machines; `state` is the node's state directory.
inline std::string node_cgroup(std::string_view state) {
  return fmt::format("perigee-{:08x}", static_cast<std::uint32_t>(stable_hash(state)));
}

}  // namespace perigee::vm
