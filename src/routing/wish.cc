#include "routing/wish.h"

#include <algorithm>
#include <cstdint>

#include "routing/choose.h"

namespace perigee::routing {
namespace {

// FNV-1a, and the finishing steps of MurmurHash3, without which the low bits of similar ids differ
// little.
std::uint64_t hash(std::string_view key, std::string_view machine) {
  std::uint64_t value = 0xcbf29ce484222325;
  const auto take = [&](std::string_view text) {
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  };
  take(key);
  take(std::string_view("\0", 1));
  take(machine);
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccd;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53;
  return value ^ (value >> 33);
}

// Rendezvous hashing: each key has an order of its own of all machines. One that goes takes only
// its own keys along, each to the next in that key's order.
int order_by(const std::string& key, const MachineId& machine) {
  return static_cast<int>(hash(key, machine.str()) % static_cast<std::uint64_t>(kNotWished));
}

int region_rank(const Wish& wish, const RegionCode& region) {
  const auto found = std::ranges::find(wish.regions, region);
  if (found == wish.regions.end()) {
    return wish.regions_only ? kNotWished : 1 + static_cast<int>(wish.regions.size());
  }
  return wish.regions_alike ? 1 : 1 + static_cast<int>(found - wish.regions.begin());
}

}  // namespace

// The machine named first, then the regions in their order, then everything else.
int fit(const Wish& wish, const model::RouteTarget& target) {
  if (wish.empty()) return 0;
  if (!wish.avoided.empty() && target.machine == wish.avoided) return kNotWished;
  if (!wish.machine.empty()) {
    if (target.machine == wish.machine) return 0;
    if (wish.machine_only) return kNotWished;
  }
  if (!wish.key.empty() && wish.machine.empty() && wish.regions.empty()) {
    return order_by(wish.key, target.machine);
  }
  return region_rank(wish, target.region);
}

}  // namespace perigee::routing
