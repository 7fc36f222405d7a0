// What goes with a node that is removed from the fleet, as one transaction; and what stands in the
// way of it.
#pragma once

#include "control/context.h"

namespace perigee::control {

// `with_data`: its machines and volumes are known to be lost, and are forgotten.
enum class NodeRemoval { empty, with_data };

// `conflict` names what is still there, and the next step.
Result<store::Transaction> plan_node_removal(const Context& context, const NodeId& node,
                                             NodeRemoval removal);

}  // namespace perigee::control
