#include "control/scheduler.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"
#include "control/machine_calls.h"
#include "control/machine_frontend.h"
#include "model/schedule.h"

namespace perigee::control {
namespace {

async::Task<bool> one_change(async::Notify& changed) {
  co_await changed.wait();
  co_return true;
}

std::optional<WallTime> due_slot(const model::Machine& machine, WallTime now) {
  if (machine.desired == model::DesiredState::destroyed) return std::nullopt;
  return model::due_slot(machine.config.schedule, machine.created_at, machine.scheduled_at, now);
}

}  // namespace

async::Task<void> Scheduler::run() {
  async::Loop& loop = context_.host.loop;
  // A machine must have reported before its state says whether it runs.
  co_await context_.publisher.settled();
  for (;;) {
    const WallTime now = context_.host.clock.wall();
    std::vector<std::pair<MachineId, WallTime>> due;
    for (const MachineId& id : context_.desired.scheduled_machines()) {
      const model::Machine& machine = context_.desired.machines().at(id).value;
      if (const auto slot = due_slot(machine, now)) due.emplace_back(id, *slot);
    }
    for (const auto& [id, slot] : due) {
      const Result<void> done = co_await start(id, slot);
      if (!done && done.error().code != Code::conflict)
        log_warning("control", "machine {}: its schedule: {}", id, done.error().context);
    }
    const Duration pause = due.empty() ? until_next(now) : kScheduleAgain;
    co_await async::until(loop, loop.now() + pause, one_change(context_.changed));
  }
}

async::Task<Result<void>> Scheduler::start(MachineId machine, WallTime slot) {
  const auto found = context_.desired.machines().find(machine);
  if (found == context_.desired.machines().end()) co_return Result<void>();
  const StoredMachine stored = found->second;
  model::Machine next = stored.value;
  const model::MachineState state = state_of(context_, stored.value);
  const bool rests = state == model::MachineState::stopped ||
                     state == model::MachineState::suspended ||
                     state == model::MachineState::failed || state == model::MachineState::created;
  if (rests) {
    CO_TRY([[maybe_unused]] const ActionEffect effect,
           judge_action(MachineAction::start, machine, state));
    next = ordered(std::move(next), model::DesiredState::started, model::Origin::schedule,
                   context_.host.clock.wall());
    log_info("control", "machine {} ({}): started by its schedule", machine, next.app);
  }
  next.scheduled_at = slot;
  co_return co_await replace(context_, stored, std::move(next));
}

// At most kScheduleLook: the wall clock may be set.
Duration Scheduler::until_next(WallTime now) const {
  Duration pause = kScheduleLook;
  for (const MachineId& id : context_.desired.scheduled_machines()) {
    const model::Machine& machine = context_.desired.machines().at(id).value;
    const auto next = model::next_slot(machine.config.schedule, machine.created_at, now);
    if (next) pause = std::min(pause, *next - now);
  }
  return std::max(pause, kScheduleAgain);
}

}  // namespace perigee::control
