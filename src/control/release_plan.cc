#include "control/release_plan.h"

#include <algorithm>

#include "model/checks.h"

namespace perigee::control {
namespace {

using Kind = ReleaseStep::Kind;
using model::MachineState;

bool is_current(const ReleaseMachine& each) {
  return each.status && each.status->instance_id == each.machine.instance_id;
}

int port_of(const model::Machine& machine) {
  return model::listening_port(machine.config);
}

std::string exit_sentence(const model::ExitEvent& exit) {
  if (exit.oom_killed) return "was killed for want of memory (raise memory_mb)";
  if (!exit.reason.empty()) return "ended: " + exit.reason;
  return fmt::format("exited with code {}", exit.exit_code);
}

std::optional<std::string> failure_of(const ReleaseMachine& each) {
  if (!is_current(each)) return std::nullopt;
  const model::MachineStatus& status = *each.status;
  const std::string& id = each.machine.id.str();
  if (status.last_exit)
    return fmt::format("machine {}: the app {}", id, exit_sentence(*status.last_exit));
  if (status.state == MachineState::failed || status.state == MachineState::stopped)
    return fmt::format(
        "machine {}: {}", id,
        status.error.empty()
            ? std::string(status.state == MachineState::failed ? "failed" : "was stopped")
            : status.error);
  return std::nullopt;
}

// Until when a machine may take for its next stage; nullopt: it is ready.
std::optional<WallTime> ready_by(const ReleaseMachine& each, WallTime now,
                                 const DeployTimes& times) {
  if (!is_current(each) || each.status->state != MachineState::started || !each.status->started_at)
    return std::max(each.machine.created_at, each.machine.updated_at) + times.start;
  const WallTime started = *each.status->started_at;
  const bool quiet = port_of(each.machine) == 0;  // nothing says that it serves
  if (quiet && now < started + times.stable) return started + times.stable;
  const model::MachineConfig& config = each.machine.config;
  const bool checked = model::all_checks_pass(config, *each.status);
  if (checked && (quiet || each.status->listening)) return std::nullopt;
  const bool elsewhere = !each.status->listening && !each.status->listens_on.empty();
  return started + model::longest_grace(config) + (elsewhere ? times.elsewhere : times.listen);
}

// Why a machine that runs does not get ready.
std::string silence_of(const ReleaseMachine& each, const DeployTimes& times) {
  if (!each.status->error.empty()) return each.status->error;
  const std::string complaint = model::check_complaint(each.machine.config, *each.status);
  if (!complaint.empty()) return complaint;
  const int port = port_of(each.machine);
  return fmt::format(
      "nothing listens on port {} after {} s; let the app listen on 0.0.0.0:{}, or set "
      "internal_port to the port that it uses",
      port, to_ms(times.listen) / 1000, port);
}

ReleaseStep too_late(const ReleaseMachine& each, const DeployTimes& times) {
  ReleaseStep step{.kind = Kind::fail, .culprit = each.machine.id};
  const bool runs = is_current(each) && each.status->state == MachineState::started;
  if (runs) {
    step.reason = fmt::format("machine {}: {}", each.machine.id, silence_of(each, times));
    return step;
  }
  step.reason =
      fmt::format("machine {}: not started after {} s", each.machine.id, to_ms(times.start) / 1000);
  if (each.status && !each.status->error.empty()) step.reason += ": " + each.status->error;
  return step;
}

ReleaseStep await_machines(const ReleaseView& view, WallTime now, const DeployTimes& times) {
  std::optional<WallTime> wake_at;
  for (const ReleaseMachine& each : view.ours) {
    const std::optional<WallTime> by = ready_by(each, now, times);
    if (!by) continue;
    if (now >= *by) return too_late(each, times);
    if (!wake_at || *by < *wake_at) wake_at = by;
  }
  if (wake_at) return {.kind = Kind::wait, .wake_at = wake_at};
  return {.kind = Kind::activate};
}

ReleaseStep plan_switched(const ReleaseView& view) {
  if (view.others == 0) return {.kind = Kind::succeed};
  return {.kind = view.drained ? Kind::retire : Kind::drain};
}

}  // namespace

ReleaseStep plan_release(const ReleaseView& view, WallTime now, const DeployTimes& times) {
  const model::Release& release = view.release.release;
  if (view.app.current_release == release.version) return plan_switched(view);
  if (view.app.last_release > release.version)
    return {.kind = Kind::fail,
            .reason = fmt::format("a newer deploy (v{}) took over", view.app.last_release)};
  if (release.image.digest.empty()) return {.kind = Kind::resolve};
  for (const ReleaseMachine& each : view.ours) {
    if (auto reason = failure_of(each))
      return {.kind = Kind::fail, .reason = *std::move(reason), .culprit = each.machine.id};
  }
  const int missing = view.release.count - static_cast<int>(view.ours.size());
  if (missing > 0 && !view.holders.empty()) {
    ReleaseStep before = await_machines(view, now, times);
    if (before.kind != Kind::activate) return before;
    return {.kind = Kind::take_over, .machine = view.holders.front()};
  }
  if (missing > 0) return {.kind = Kind::create, .missing = missing};
  return await_machines(view, now, times);
}

std::vector<std::string> progress_of(const ReleaseView& view) {
  std::vector<std::string> out;
  for (const ReleaseMachine& each : view.ours) {
    if (!is_current(each) || each.status->state != MachineState::started) continue;
    out.push_back(fmt::format("machine {} runs", each.machine.id));
    const bool checked = !model::checks_of(each.machine.config).empty();
    if (checked && model::all_checks_pass(each.machine.config, *each.status))
      out.push_back(fmt::format("machine {} passes its checks", each.machine.id));
    if (each.status->listening && port_of(each.machine) != 0)
      out.push_back(
          fmt::format("machine {} listens on port {}", each.machine.id, port_of(each.machine)));
  }
  return out;
}

}  // namespace perigee::control
