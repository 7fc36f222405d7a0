// What a call on a machine means in each of its states: one table. Pure. The public API, the wake
// and the autostop decide by it, so that none of them can order what the state does not allow.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/types.h"

namespace perigee::control {

enum class MachineAction {
  start,
  stop,
  suspend,
  restart,
  update,
  destroy,
  force_destroy,
  edit,   // cordon, lease, metadata: what changes no state
  enter,  // exec, signal: what needs the app to run
};

enum class ActionEffect {
  order,    // it becomes what the machine is to be
  nothing,  // it is so already
  refuse,
};

ActionEffect effect_of(MachineAction action, model::MachineState state);

// `refuse` as a `conflict` that names machine, state and next step.
Result<ActionEffect> judge_action(MachineAction action, const MachineId& machine,
                                  model::MachineState state);

// What the machine is to be after `order`; an edit leaves `desired` as it is.
model::DesiredState desired_after(MachineAction action, model::DesiredState desired);

// An effect, given what the machine is already meant to be: where an order is under way that leads
// elsewhere, the state that is seen does not last, and what would change nothing is an order.
ActionEffect against_order(ActionEffect effect, MachineAction action, model::DesiredState desired);

std::string_view name(MachineAction action);

}  // namespace perigee::control
