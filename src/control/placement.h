// place: on which node a new machine runs. Pure. For now: the node of the asked region that reports
// and has the most memory left; later this is schedule::place with demand and money.
#pragma once

#include <vector>

#include "base/result.h"
#include "model/types.h"

namespace perigee::control {

struct NodeRoom {
  NodeId node;
  RegionCode region;
  bool lost = false;
  std::int64_t memory_mib = 0;  // for machines, in all
  std::int64_t used_mib = 0;    // by machines that are to run there
};

// `resource_exhausted` names what is missing where; `unavailable` where no node reports.
Result<NodeRoom> place(const std::vector<NodeRoom>& nodes, const RegionCode& region,
                       const model::Guest& guest);

}  // namespace perigee::control
