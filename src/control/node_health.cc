#include "control/node_health.h"

#include <algorithm>

namespace perigee::control {

std::set<NodeId> gone_nodes(const std::vector<NodeSilence>& nodes, const SilenceTimes& times) {
  const auto lost = std::ranges::count_if(
      nodes, [&](const NodeSilence& each) { return each.silent >= times.lost; });
  const bool most = 2 * lost > std::ssize(nodes) && nodes.size() > 1;
  const Duration patience = most ? times.given_up * kMassLossFactor : times.given_up;
  std::set<NodeId> gone;
  for (const NodeSilence& each : nodes) {
    if (each.silent >= patience) gone.insert(each.node);
  }
  return gone;
}

}  // namespace perigee::control
