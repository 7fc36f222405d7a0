#include "worker/machine_plan.h"

#include <algorithm>
#include <array>

#include "model/checks.h"
#include "model/limits.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

using model::DesiredState;
using model::MachineState;

bool is_going(MachineState state) {
  return state == MachineState::stopping || state == MachineState::destroying ||
         state == MachineState::restarting;
}

bool wants_vm(const Record& record, const Observed& observed) {
  return record.machine.desired == DesiredState::started && !observed.node_down;
}

Plan do_now(Action action) {
  return {.action = action, .wake_at = std::nullopt};
}

Plan wait_until(MonotonicTime at) {
  return {.action = Action::wait, .wake_at = at};
}

Duration stop_timeout(const Record& record, const Observed& observed) {
  const Duration timeout = stop_config(record, observed).timeout;
  return std::clamp(timeout, Duration::zero(), model::kMaxStopTimeout);
}

// A VM that has to go: recorded, signalled, and killed when its time is up.
Plan plan_stop(const Record& record, const Observed& observed, MonotonicTime now) {
  if (record.status.state != stop_state(record, observed)) return do_now(Action::begin_stop);
  if (observed.killed_at) {
    const MonotonicTime again = *observed.killed_at + kKillAgain;
    return now < again ? wait_until(again) : do_now(Action::kill);
  }
  if (observed.vm->state == vm::VmState::booting) return do_now(Action::kill);  // nobody hears yet
  if (!observed.signalled_at) return do_now(Action::signal);
  const MonotonicTime patience_ends = *observed.signalled_at + stop_timeout(record, observed);
  return now < patience_ends ? wait_until(patience_ends) : do_now(Action::kill);
}

bool wants_suspended(const Record& record, const Observed& observed) {
  return record.machine.desired == DesiredState::suspended && !observed.node_down;
}

// One try for each order: a VM that could not be saved runs on, and its machine says why.
Plan plan_suspend(const Record& record, const Observed& observed) {
  if (observed.vm->state != vm::VmState::running) return {};  // nothing to save yet
  switch (record.status.state) {
    case MachineState::suspending:
      return observed.suspended ? Plan{} : do_now(Action::suspend);
    case MachineState::started:
      return is_fresh(record) ? do_now(Action::begin_suspend) : Plan{};
    default:
      return do_now(Action::accept);
  }
}

// What is known of a running app: how its checks stand, whether its port answers.
Plan plan_health(const Record& record, const Observed& observed) {
  const model::MachineStatus& status = record.status;
  if (!observed.checks.empty() && observed.checks != status.checks) {
    return do_now(Action::note_checks);
  }
  const bool gated = model::readiness(record.machine.config, status) != model::Readiness::unchecked;
  if (observed.listening && (gated ? observed.silence.has_value() : !status.listening)) {
    return do_now(Action::note_listening);
  }
  const bool silent = observed.silence && !observed.listening && !status.listening;
  if (silent && status.error != observed.silence->error) return do_now(Action::note_silence);
  return {};
}

Plan plan_running(const Record& record, const Observed& observed, MonotonicTime now) {
  const bool stale = observed.vm->instance_id != record.machine.instance_id;
  const bool going = stale || is_going(record.status.state);
  if (observed.suspended && !going) return {};  // saved: its exit is about to be told
  if (wants_suspended(record, observed) && !going) return plan_suspend(record, observed);
  if (!wants_vm(record, observed) || going) return plan_stop(record, observed, now);
  const bool runs = observed.vm->state == vm::VmState::running;
  if (runs && record.status.state != MachineState::started) return do_now(Action::accept);
  if (record.status.acted_sequence != record.machine.desired_sequence) {
    return do_now(Action::acknowledge);
  }
  return runs ? plan_health(record, observed) : Plan{};
}

// Whether a machine that is wanted and has no VM gets one; not when it ended by itself or failed,
// until somebody asks again.
bool boot_is_due(const Record& record) {
  const MachineState state = record.status.state;
  return is_fresh(record) || record.resume || state == MachineState::starting ||
         state == MachineState::restarting;
}

Plan plan_absent(const Record& record, const Observed& observed, MonotonicTime now) {
  if (record.machine.desired == DesiredState::destroyed) {
    return record.status.state == MachineState::destroyed ? Plan{} : do_now(Action::remove);
  }
  if (!record.snapshot.empty() && !may_resume(record)) return do_now(Action::discard);
  if (!wants_vm(record, observed)) {
    const bool rests = record.status.state == MachineState::stopped || !record.snapshot.empty() ||
                       record.status.state == MachineState::failed ||
                       record.status.state == MachineState::created;
    const bool seen = observed.node_down || !is_fresh(record);
    return rests && seen && record.boot == BootPhase::none ? Plan{} : do_now(Action::settle);
  }
  if (!boot_is_due(record)) {
    return record.boot == BootPhase::none ? Plan{} : do_now(Action::settle);
  }
  if (observed.retry_at && now < *observed.retry_at) return wait_until(*observed.retry_at);
  return do_now(Action::boot);
}

}  // namespace

bool may_resume(const Record& record) {
  const DesiredState desired = record.machine.desired;
  return !record.snapshot.empty() && record.snapshot == record.machine.instance_id &&
         (desired == DesiredState::started || desired == DesiredState::suspended);
}

bool is_fresh(const Record& record) {
  return record.status.acted_sequence < record.machine.desired_sequence ||
         record.status.instance_id != record.machine.instance_id;
}

const model::StopConfig& stop_config(const Record& record, const Observed& observed) {
  const auto& override = record.machine.stop_override;
  return override && !observed.node_down ? *override : record.machine.config.stop;
}

MachineState stop_state(const Record& record, const Observed& observed) {
  const MachineState state = record.status.state;
  if (record.machine.desired == DesiredState::destroyed) return MachineState::destroying;
  if (!wants_vm(record, observed)) return MachineState::stopping;
  // Wanted again, or in a new version: what has begun is finished first.
  return is_going(state) ? state : MachineState::restarting;
}

Plan plan(const Record& record, const Observed& observed, MonotonicTime now) {
  if (observed.vm && observed.vm->state == vm::VmState::exited) {
    return do_now(record.boot == BootPhase::ordered ? Action::note_exit : Action::forget);
  }
  if (observed.vm) return plan_running(record, observed, now);
  const bool was_up =
      record.boot == BootPhase::ordered && record.status.state != MachineState::starting;
  if (was_up) return do_now(Action::note_loss);
  return plan_absent(record, observed, now);
}

std::string_view name(Action action) {
  constexpr std::array<std::string_view, 18> kNames{
      "wait",        "boot",          "accept",    "note_listening", "note_checks", "note_silence",
      "acknowledge", "begin_suspend", "suspend",   "discard",        "begin_stop",  "signal",
      "kill",        "note_exit",     "note_loss", "forget",         "settle",      "remove"};
  return kNames.at(static_cast<std::size_t>(action));
}

}  // namespace perigee::worker
