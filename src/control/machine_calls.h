// What the API's calls on one machine have in common: finding it, judging the call by its state,
// changing it by compare-and-swap.
#pragma once

#include <functional>

#include "api/types.h"
#include "control/context.h"
#include "control/machine_action.h"

namespace perigee::control {

using StoredMachine = Stored<model::Machine>;

// The machine that the path names, `{app}` and `{machine}`.
Result<StoredMachine> machine_of(const Context& context, const api::Call& call);

// As the API shows it now.
model::MachineState state_of(const Context& context, const model::Machine& machine);
json::Value view_of(const Context& context, const model::Machine& machine);

// Null: it has none. May have run out.
const LeaseRecord* lease_of(const Context& context, const MachineId& machine);

// A machine that a call may act upon, with what the action means for it; `conflict` where its state
// does not allow it, or a lease is another caller's.
struct Judged {
  StoredMachine machine;
  ActionEffect effect = ActionEffect::order;
};
Result<Judged> machine_for(const Context& context, const api::Call& call, MachineAction action);

json::Value ok();  // {"ok": true}

}  // namespace perigee::control
