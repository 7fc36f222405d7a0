// node_rooms: the nodes as placement sees them, from what is wanted of them and what they report.
// The one place where control adds up what a node has left.
#pragma once

#include <optional>
#include <vector>

#include "control/context.h"
#include "control/placement.h"

namespace perigee::control {

// What the same transaction makes already.
struct Planned {
  std::vector<model::Machine> machines = {};
  std::vector<model::Volume> volumes = {};
};

// The nodes that run machines, by name, as far as they are known: those that have never reported
// since control started are lost. Of one region alone, unless that is empty. `app` counts as the
// one that asks.
std::vector<NodeRoom> node_rooms(const Context& context, const RegionCode& region,
                                 const AppName& app, const Planned& planned);

// One node's; nullopt: there is none of that name.
std::optional<NodeRoom> node_room(const Context& context, const NodeId& node);

// Disk for more volumes; 0 where the node is not known.
std::int64_t disk_left(const Context& context, const NodeId& node,
                       const std::vector<model::Volume>& planned);

}  // namespace perigee::control
