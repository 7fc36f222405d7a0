#include "fleet_sim/census.h"

#include "fleet_sim/layout.h"

namespace perigee::fleet_sim {
namespace {

constexpr std::size_t kMostNoted = 10;

}  // namespace

void Census::comes(const MachineId& machine, int node) {
  const auto other = there_.lower_bound({machine, 0});
  const bool is_double = other != there_.end() && other->first == machine && other->second != node;
  if (is_double && doubles_.size() < kMostNoted)
    doubles_.push_back(fmt::format("machine {} is on {} and on {}", machine, node_at(other->second),
                                   node_at(node)));
  if (there_.emplace(machine, node).second) ++arrivals_;
}

}  // namespace perigee::fleet_sim
