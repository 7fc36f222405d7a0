// What a machine may take of its node: what its configuration says, or else what goes with its
// size. Pure.
#pragma once

#include "model/types.h"
#include "vm/driver.h"

namespace perigee::worker {

// Every bound filled in.
model::MachineLimits limits_of(const model::MachineConfig& config);
// Those that the VMM is held to; the network's is the firewall's.
vm::VmLimits vm_limits(const model::MachineConfig& config);

}  // namespace perigee::worker
