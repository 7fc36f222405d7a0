// The life of a machine as a table: which state may follow which. Worker and control move a machine
// only along it; anything else is a conflict that names both states.
#pragma once

#include <span>

#include "base/result.h"
#include "model/types.h"

namespace perigee::model {

// The states that may follow `from` directly.
std::span<const MachineState> successors(MachineState from);
bool may_follow(MachineState from, MachineState to);
// `to`, or `conflict` naming both.
Result<MachineState> transition(MachineState from, MachineState to);
// A state that lasts until somebody asks for another (not on the way to one).
bool is_stable(MachineState state);

}  // namespace perigee::model
