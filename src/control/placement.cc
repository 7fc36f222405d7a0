#include "control/placement.h"

namespace perigee::control {

Result<NodeRoom> place(const std::vector<NodeRoom>& nodes, const RegionCode& region,
                       const model::Guest& guest) {
  const NodeRoom* best = nullptr;
  bool region_known = false;
  for (const NodeRoom& node : nodes) {
    if (!region.empty() && node.region != region) continue;
    region_known = true;
    if (node.lost) continue;
    const auto free = [](const NodeRoom& n) { return n.memory_mib - n.used_mib; };
    if (best == nullptr || free(node) > free(*best)) best = &node;
  }
  if (!region.empty() && !region_known)
    return fail(Code::invalid_argument, "region {}: no node is there; see `GET /v1/nodes`", region);
  if (best == nullptr)
    return fail(Code::unavailable, "no node reports at the moment; is a worker running?");
  const std::int64_t left = best->memory_mib - best->used_mib;
  if (left < guest.memory_mib)
    return fail(Code::resource_exhausted,
                "no room for a machine of {} MiB: node {} has {} of {} MiB left; stop or destroy "
                "machines, or ask for less memory",
                guest.memory_mib, best->node, left, best->memory_mib);
  return *best;
}

}  // namespace perigee::control
