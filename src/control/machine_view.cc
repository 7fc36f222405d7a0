#include "control/machine_view.h"

#include "model/json.h"

namespace perigee::control {

using model::DesiredState;
using model::MachineState;

namespace {

bool runs(MachineState state) {
  return state == MachineState::starting || state == MachineState::started ||
         state == MachineState::restarting;
}

}  // namespace

MachineState effective_state(const model::Machine& machine, const model::MachineStatus* status) {
  if (machine.desired == DesiredState::destroyed) {
    const bool done = status != nullptr && status->state == MachineState::destroyed;
    return done ? MachineState::destroyed : MachineState::destroying;
  }
  if (status == nullptr) return MachineState::created;
  const bool acted = status->acted_sequence >= machine.desired_sequence;
  if (machine.desired == DesiredState::stopped)
    return !acted && runs(status->state) ? MachineState::stopping : status->state;
  if (machine.desired == DesiredState::suspended)
    return !acted && status->state == MachineState::started ? MachineState::suspending
                                                            : status->state;
  if (runs(status->state) && status->instance_id != machine.instance_id)
    return MachineState::restarting;
  if (!acted && !runs(status->state)) return MachineState::starting;
  return status->state;
}

json::Value machine_view(const model::Machine& machine, const model::MachineStatus* status) {
  json::Value out = model::public_machine(machine, status);
  out.set("state", model::name(effective_state(machine, status)));
  return out;
}

}  // namespace perigee::control
