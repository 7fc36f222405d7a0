// A machine as desired and observed state together show it. Pure.
#pragma once

#include "json/json.h"
#include "model/types.h"

namespace perigee::control {

// The observed state, or, while the worker has yet to act on what is wanted, the state on the way
// there: a machine that was just told to stop is `stopping` though its last report says started.
// `status` may be null.
model::MachineState effective_state(const model::Machine& machine,
                                    const model::MachineStatus* status);

// The public API's object.
json::Value machine_view(const model::Machine& machine, const model::MachineStatus* status);

}  // namespace perigee::control
