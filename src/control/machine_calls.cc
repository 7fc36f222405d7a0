#include "control/machine_calls.h"

#include "control/app_api.h"
#include "control/lease_api.h"
#include "control/machine_view.h"

namespace perigee::control {

Result<StoredMachine> machine_of(const Context& context, const api::Call& call) {
  TRY(const AppName app, app_of(call));
  // Machines outlive their app by the time that their removal takes.
  const MachineId id(call.param("machine"));
  if (!context.desired.machines().contains(id)) {
    TRY([[maybe_unused]] const auto known, context.desired.app(app));
  }
  return context.desired.machine(app, id);
}

model::MachineState state_of(const Context& context, const model::Machine& machine) {
  return effective_state(machine, context.observed.status(machine.id));
}

// With what its volumes are.
json::Value view_of(const Context& context, const model::Machine& machine) {
  model::Machine shown = machine;
  for (model::Mount& mount : shown.config.mounts) {
    const auto volume = context.desired.volumes().find(mount.volume);
    if (volume != context.desired.volumes().end()) mount.encrypted = volume->second.value.encrypted;
  }
  const model::MachineStatus* const seen = context.observed.status(machine.id);
  if (seen == nullptr) return machine_view(shown, seen);
  model::MachineStatus status = *seen;
  context.refusals.add_to(status.events, machine.id);
  return machine_view(shown, &status);
}

const LeaseRecord* lease_of(const Context& context, const MachineId& machine) {
  const auto found = context.desired.leases().find(machine);
  return found == context.desired.leases().end() ? nullptr : &found->second.value;
}

Result<Judged> machine_for(const Context& context, const api::Call& call, MachineAction action) {
  Judged judged;
  TRY(judged.machine, machine_of(context, call));
  const model::Machine& machine = judged.machine.value;
  TRY_VOID(check_lease(lease_of(context, machine.id), machine.id, lease_nonce(call),
                       context.host.clock.wall()));
  TRY(const ActionEffect effect, judge_action(action, machine.id, state_of(context, machine)));
  judged.effect = against_order(effect, action, machine.desired);
  return judged;
}

json::Value ok() {
  return json::object({{"ok", true}});
}

}  // namespace perigee::control
