#include "worker/machine_record.h"

#include <algorithm>
#include <utility>

#include "model/checks.h"
#include "model/json.h"
#include "model/limits.h"
#include "model/signals.h"
#include "worker/limits.h"
#include "worker/machine_plan.h"
#include "worker/restart.h"

namespace perigee::worker {
namespace {

constexpr std::int64_t kNoOrderYet = 1;  // Machine::desired_sequence as it is made

using model::DesiredState;
using model::MachineState;

// Whose doing an event is: the worker's own, a user's, or that of whoever gave the newest order.
enum class Source { order, worker, user };

std::string name_of(Source source, const model::Machine& machine) {
  if (source == Source::order) return std::string(model::name(machine.origin));
  return source == Source::worker ? "worker" : "user";
}

void add_event(Record& record, std::string type, std::string status, Source source, WallTime now,
               std::optional<model::ExitEvent> exit = std::nullopt) {
  auto& events = record.status.events;
  if (events.size() >= model::kMaxMachineEvents) events.erase(events.begin());
  events.push_back({.type = std::move(type),
                    .status = std::move(status),
                    .source = name_of(source, record.machine),
                    .at = now,
                    .exit = std::move(exit)});
}

void move_to(Record& record, MachineState state, std::string type, Source source, WallTime now) {
  record.status.state = state;
  add_event(record, std::move(type), std::string(model::name(state)), source, now);
}

// What a boot is called, by why it happens.
std::string boot_type(const Record& record) {
  if (record.status.instance_id.empty()) return "launch";
  if (record.status.instance_id != record.machine.instance_id) return "update";
  if (may_resume(record)) return "resume";
  return is_fresh(record) || record.resume ? "start" : "restart";
}

model::ExitEvent exit_event(const vm::VmStatus& vm, bool requested, WallTime now) {
  const vm::VmExit exit = vm.exit.value_or(vm::VmExit{});
  return {.exit_code = exit.exit_code,
          .signal = exit.signal,
          .oom_killed = exit.oom_killed,
          .requested_stop = requested,
          .reason = exit.reason,
          .exited_at = vm.ended_at.value_or(now)};
}

// Nothing runs, or not for long: what was known of the app is out of date.
void stop_serving(Record& record) {
  record.status.listening = false;
  record.status.listens_on.clear();
  record.status.checks.clear();
}

bool was_asked_for(MachineState state) {
  return state == MachineState::stopping || state == MachineState::destroying ||
         state == MachineState::restarting;
}

// The state after an exit that nobody asked for, and the delay where policy starts it again. One
// that was to rest anyway (its VM died while it was saved) rests, and is woken like any other.
std::optional<Duration> after_own_exit(Record& record, const vm::VmExit& exit, WallTime now) {
  const bool lost = exit.vmm_died && record.machine.desired == DesiredState::started;
  record.status.state = lost ? MachineState::failed : MachineState::stopped;
  record.status.error = exit.vmm_died ? exit.reason : std::string();
  if (record.machine.desired != DesiredState::started || is_fresh(record)) return std::nullopt;
  RestartVerdict verdict =
      decide_restart(record.machine.config.restart, exit, record.restarts, now);
  if (!verdict.again) {
    if (!verdict.why.empty()) record.status.error = std::move(verdict.why);
    return std::nullopt;
  }
  record.restarts = within_window(record.restarts, now);
  record.restarts.push_back(now);
  ++record.status.restart_count;
  return verdict.delay;
}

}  // namespace

Record new_record(model::Machine machine) {
  Record record;
  record.status.id = machine.id;
  record.machine = std::move(machine);
  return record;
}

void order_boot(Record& record, WallTime now) {
  const Source source = is_fresh(record) ? Source::order : Source::worker;
  if (is_fresh(record)) {
    record.restarts.clear();
    record.status.restart_count = 0;
  }
  std::string type = boot_type(record);
  record.boot = BootPhase::ordered;
  record.resume = false;
  // The last exit is that of this version: a deploy that updates a machine must not take its
  // predecessor's for its own.
  if (record.status.instance_id != record.machine.instance_id) record.status.last_exit.reset();
  record.status.instance_id = record.machine.instance_id;
  record.status.acted_sequence = record.machine.desired_sequence;
  stop_serving(record);
  record.status.started_at.reset();
  const bool again = record.status.state == MachineState::starting;
  if (again && source == Source::worker) return;  // the same boot, tried again
  record.status.error.clear();
  move_to(record, MachineState::starting, std::move(type), source, now);
}

void accept_running(Record& record, const vm::VmStatus& vm, WallTime now) {
  record.boot = BootPhase::ordered;
  record.snapshot.clear();
  record.status.instance_id = vm.instance_id;
  record.status.started_at = vm.started_at.value_or(now);
  record.status.error.clear();
  move_to(record, MachineState::started, "start", Source::worker, now);
}

void note_listening(Record& record) {
  const bool gated =
      model::readiness(record.machine.config, record.status) != model::Readiness::unchecked;
  if (!gated) record.status.listening = true;
  record.status.listens_on.clear();
  record.status.error.clear();
}

void note_checks(Record& record, const std::vector<model::CheckStatus>& checks, WallTime now) {
  model::MachineStatus& status = record.status;
  for (const model::CheckStatus& check : checks) {
    const auto before = std::ranges::find(status.checks, check.name, &model::CheckStatus::name);
    const bool news = before == status.checks.end() ? check.status != model::CheckHealth::warning
                                                    : before->status != check.status;
    if (!news) continue;
    add_event(record, "check", fmt::format("{}: {}", check.name, model::name(check.status)),
              Source::worker, now);
  }
  status.checks = checks;
  const model::Readiness ready = model::readiness(record.machine.config, status);
  if (ready == model::Readiness::unchecked) return;
  if (ready == model::Readiness::failing) status.listening = false;
  if (status.listening || !model::gates_open(record.machine.config, status)) return;
  status.listening = true;
  status.listens_on.clear();
  status.error.clear();
}

void note_silence(Record& record, const Silence& silence) {
  record.status.error = silence.error;
  record.status.listens_on = silence.listens_on;
}

void acknowledge(Record& record) {
  record.status.acted_sequence = record.machine.desired_sequence;
}

void begin_suspend(Record& record, WallTime now) {
  acknowledge(record);
  stop_serving(record);
  move_to(record, MachineState::suspending, "suspend", Source::order, now);
}

void note_suspend_failure(Record& record, const Error& error, WallTime now) {
  move_to(record, MachineState::started, "suspend", Source::worker, now);
  record.status.error = "could not be suspended: " + error.context;
}

void note_discarded(Record& record) {
  record.snapshot.clear();
}

void begin_stop(Record& record, MachineState state, bool node_down, WallTime now) {
  const bool wanted = record.machine.desired == DesiredState::started;
  record.resume = node_down && wanted;
  if (!wanted) acknowledge(record);
  record.boot = BootPhase::ordered;
  stop_serving(record);
  const char* type = state == MachineState::destroying   ? "destroy"
                     : state == MachineState::restarting ? "update"
                                                         : "stop";
  move_to(record, state, type, node_down ? Source::worker : Source::order, now);
}

std::optional<Duration> note_exit(Record& record, const vm::VmStatus& vm, WallTime now) {
  const MachineState before = record.status.state;
  const bool requested = was_asked_for(before);
  const model::ExitEvent event = exit_event(vm, requested, now);
  record.boot = BootPhase::ended;
  stop_serving(record);
  record.status.started_at.reset();
  const bool suspended = vm.exit && vm.exit->suspended;
  if (suspended) {
    record.snapshot = vm.instance_id;
    // Told to go meanwhile, it goes: the snapshot is discarded.
    if (before == MachineState::stopping) record.status.state = MachineState::stopped;
    if (!requested) record.status.state = MachineState::suspended;
    const std::string_view saved_as = model::name(record.status.state);
    add_event(record, "suspend", std::string(saved_as), Source::worker, now);
    return std::nullopt;
  }
  record.status.last_exit = event;
  std::optional<Duration> delay;
  if (before == MachineState::stopping) {
    record.status.state = MachineState::stopped;
  } else if (!requested) {
    delay = after_own_exit(record, vm.exit.value_or(vm::VmExit{}), now);
  }
  const std::string_view ended_as = model::name(record.status.state);
  add_event(record, "exit", std::string(ended_as), Source::worker, now, event);
  if (delay) record.status.state = MachineState::restarting;
  return delay;
}

std::optional<Duration> note_loss(Record& record, WallTime now) {
  // It may have been saved before it vanished.
  if (record.status.state == MachineState::suspending) {
    record.snapshot = record.status.instance_id;
  }
  vm::VmStatus lost;
  lost.exit = vm::VmExit{.exit_code = 137,
                         .vmm_died = true,
                         .reason =
                             "its VM is gone and left no exit record (the host was restarted, "
                             "or monitor and VMM were killed together)"};
  return note_exit(record, lost, now);
}

void note_host_restart(Record& record, WallTime now) {
  const bool had_vm = record.boot == BootPhase::ordered;
  if (!had_vm || record.status.state == MachineState::starting) return;  // its boot is tried again
  const std::vector<WallTime> restarts = record.restarts;
  const int restart_count = record.status.restart_count;
  note_loss(record, now);
  note_forgotten(record);
  record.restarts = restarts;
  record.status.restart_count = restart_count;
  record.status.error.clear();
  record.resume = record.machine.desired == DesiredState::started;
}

std::optional<Duration> note_boot_failure(Record& record, const Error& error, int failures,
                                          WallTime now) {
  record.boot = BootPhase::none;
  record.status.error = error.context;
  if (error.retry == Retry::yes && failures < kMaxBootAttempts) {
    return boot_retry_delay(failures - 1);
  }
  move_to(record, MachineState::failed, "start", Source::worker, now);
  return std::nullopt;
}

void note_signal(Record& record, int number, WallTime now) {
  add_event(record, "signal", model::signal_name(number), Source::user, now);
}

void note_forgotten(Record& record) {
  record.boot = BootPhase::none;
}

void settle(Record& record, bool node_down, WallTime now) {
  record.boot = BootPhase::none;
  const bool wanted = record.machine.desired == DesiredState::started;
  if (wanted && !node_down) return;
  const MachineState state = record.status.state;
  const bool on_its_way = state == MachineState::starting || state == MachineState::restarting;
  if (node_down && wanted) record.resume = record.resume || on_its_way;
  if (!wanted) {
    acknowledge(record);
    record.resume = false;
    record.status.instance_id = record.machine.instance_id;
  }
  // Made to be started later. One that was ordered to stop before it ever ran is stopped.
  const bool unused = wanted || record.machine.desired_sequence == kNoOrderYet;
  if (state == MachineState::stopped || (state == MachineState::created && unused)) return;
  if (state == MachineState::suspended && !record.snapshot.empty()) return;
  if (state == MachineState::failed && node_down) return;
  record.status.error.clear();
  move_to(record, MachineState::stopped, "stop", wanted ? Source::worker : Source::order, now);
}

void begin_removal(Record& record) {
  record.status.state = MachineState::destroying;
  stop_serving(record);
}

void note_removed(Record& record, WallTime now) {
  acknowledge(record);
  record.boot = BootPhase::none;
  record.status.private_ip.clear();
  record.status.private_ip6.clear();
  move_to(record, MachineState::destroyed, "destroy", Source::worker, now);
}

}  // namespace perigee::worker
