// gone_nodes: which nodes are given up, so that the machines there are replaced elsewhere. Pure.
//
// A silent node counts as lost after kNodeLease: it gets no requests and no machines. It is given
// up only after kLostAfter, since a replacement costs more than a short cut of its cable. Where
// more than half of the nodes are silent it is more likely control that is cut off: then it takes
// kMassLossFactor times as long. Silence counts from control's own start at the earliest.
#pragma once

#include <set>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "control/limits.h"

namespace perigee::control {

struct SilenceTimes {
  Duration lost = kNodeLease;      // silent for so long, a node is lost
  Duration given_up = kLostAfter;  // and then its machines are replaced
};

struct NodeSilence {
  NodeId node;
  Duration silent{};  // since its last report, or since control's start
};

std::set<NodeId> gone_nodes(const std::vector<NodeSilence>& nodes, const SilenceTimes& times);

}  // namespace perigee::control
