#include "control/machine_action.h"

#include <array>

#include "model/json.h"

namespace perigee::control {
namespace {

using model::DesiredState;
using model::MachineState;
using enum ActionEffect;

constexpr std::size_t kStates = 11;
constexpr std::size_t kActions = 9;
using Row = std::array<ActionEffect, kStates>;

// Rows in the order of MachineAction; columns in that of MachineState:
//   created, starting, started, stopping, stopped, suspending, suspended, restarting,
//   destroying, destroyed, failed
// A start of a machine that is starting is carried out again: it ends the pause before a retry.
constexpr std::array<Row, kActions> kTable{{
    /* start         */
    {order, order, nothing, order, order, order, order, order, refuse, refuse, order},
    /* stop          */
    {order, order, order, order, order, order, order, order, refuse, refuse, order},
    /* suspend       */
    {refuse, refuse, order, refuse, refuse, nothing, nothing, refuse, refuse, refuse, refuse},
    /* restart       */
    {order, order, order, order, order, order, order, order, refuse, refuse, order},
    /* update        */
    {order, order, order, order, order, order, order, order, refuse, refuse, order},
    /* destroy       */
    {order, refuse, refuse, order, order, refuse, order, refuse, nothing, nothing, order},
    /* force_destroy */
    {order, order, order, order, order, order, order, order, nothing, nothing, order},
    /* edit          */
    {order, order, order, order, order, order, order, order, refuse, refuse, order},
    /* enter         */
    {refuse, refuse, order, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse},
}};

bool is_going(MachineState state) {
  return state == MachineState::destroying || state == MachineState::destroyed;
}

}  // namespace

ActionEffect effect_of(MachineAction action, MachineState state) {
  return kTable.at(static_cast<std::size_t>(action)).at(static_cast<std::size_t>(state));
}

Result<ActionEffect> judge_action(MachineAction action, const MachineId& machine,
                                  MachineState state) {
  const ActionEffect effect = effect_of(action, state);
  if (effect != refuse) return effect;
  if (is_going(state)) return fail(Code::conflict, "machine {} is being destroyed", machine);
  if (action == MachineAction::destroy)
    return fail(Code::conflict, "machine {} is {}; stop it first, or destroy it with force=true",
                machine, model::name(state));
  const std::string_view done = action == MachineAction::enter ? "entered" : "suspended";
  return fail(Code::conflict, "machine {} is {}: only one that is started can be {}", machine,
              model::name(state), done);
}

DesiredState desired_after(MachineAction action, DesiredState desired) {
  switch (action) {
    case MachineAction::start:
    case MachineAction::restart:
    case MachineAction::update:
      return DesiredState::started;
    case MachineAction::stop:
      return DesiredState::stopped;
    case MachineAction::suspend:
      return DesiredState::suspended;
    case MachineAction::destroy:
    case MachineAction::force_destroy:
      return DesiredState::destroyed;
    case MachineAction::edit:
    case MachineAction::enter:
      break;
  }
  return desired;
}

ActionEffect against_order(ActionEffect effect, MachineAction action, DesiredState desired) {
  const bool elsewhere = desired_after(action, desired) != desired;
  return effect == nothing && elsewhere ? order : effect;
}

std::string_view name(MachineAction action) {
  constexpr std::array<std::string_view, kActions> kNames{
      "start", "stop", "suspend", "restart", "update", "destroy", "force_destroy", "edit", "enter"};
  return kNames.at(static_cast<std::size_t>(action));
}

}  // namespace perigee::control
