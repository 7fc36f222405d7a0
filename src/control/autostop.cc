#include "control/autostop.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "control/machine_view.h"

namespace perigee::control {
namespace {

using model::Autostop;
using model::MachineState;

std::optional<MachineId> idlest(const std::vector<RunningMachine>& machines) {
  const auto found = std::ranges::min_element(machines, {}, [](const RunningMachine& each) {
    return std::tuple(each.peak, each.in_flight, -each.idle, each.id);
  });
  return found == machines.end() ? std::nullopt : std::optional(found->id);
}

// Of the machines of one region, the one that may go.
std::optional<MachineId> plan_region(const std::vector<RunningMachine>& machines,
                                     const AutostopPolicy& policy, int min_running,
                                     Duration idle_time) {
  const auto count = static_cast<int>(machines.size());
  if (count <= min_running) return std::nullopt;
  // A machine that was just started may be about to take over from one that is busy.
  if (!std::ranges::all_of(machines, [&](const auto& each) { return each.up >= idle_time; }))
    return std::nullopt;
  if (count == 1) {
    const RunningMachine& last = machines.front();
    const bool idle = last.in_flight == 0 && last.idle >= idle_time;
    return idle ? std::optional(last.id) : std::nullopt;
  }
  const auto busy = std::ranges::count_if(
      machines, [&](const auto& each) { return each.peak >= policy.soft_limit; });
  return count > busy + 1 ? idlest(machines) : std::nullopt;
}

int preference(MachineState state) {
  if (state == MachineState::suspended) return 0;
  return state == MachineState::stopped || state == MachineState::created ? 1 : 2;
}

}  // namespace

AutostopPolicy autostop_policy(const model::MachineConfig& config) {
  AutostopPolicy policy;
  for (const model::Service& service : config.services) {
    if (service.autostop == Autostop::off) return {};
    const bool first = policy.autostop == Autostop::off;
    const bool stop = service.autostop == Autostop::stop || policy.autostop == Autostop::stop;
    policy.autostop = stop ? Autostop::stop : Autostop::suspend;
    policy.min_running = std::max(policy.min_running, service.min_machines_running);
    const int soft = service.concurrency.soft_limit;
    policy.soft_limit = first ? soft : std::min(policy.soft_limit, soft);
  }
  return policy;
}

std::vector<MachineId> plan_autostop(const std::vector<RunningMachine>& running,
                                     const AutostopPolicy& policy, const RegionCode& primary,
                                     Duration idle_time) {
  std::vector<MachineId> out;
  if (policy.autostop == Autostop::off) return out;
  std::map<RegionCode, std::vector<RunningMachine>> regions;
  for (const RunningMachine& each : running) {
    regions[primary.empty() ? RegionCode() : each.region].push_back(each);
  }
  for (const auto& [region, machines] : regions) {
    const int min_running = primary.empty() || region == primary ? policy.min_running : 0;
    if (auto one = plan_region(machines, policy, min_running, idle_time))
      out.push_back(*std::move(one));
  }
  return out;
}

bool is_wakeable(const model::Machine& machine, const model::MachineStatus* status) {
  const bool autostart =
      std::ranges::any_of(machine.config.services, [](const auto& each) { return each.autostart; });
  if (!autostart || machine.cordoned || status == nullptr || !status->error.empty()) return false;
  switch (effective_state(machine, status)) {
    case MachineState::stopped:
    case MachineState::stopping:
    case MachineState::suspended:
    case MachineState::suspending:
      return true;
    case MachineState::created:
      return machine.desired != model::DesiredState::started;
    default:
      return false;
  }
}

std::optional<MachineId> choose_to_wake(const std::vector<SleepingMachine>& sleeping,
                                        const RegionCode& region) {
  const auto best = std::ranges::min_element(sleeping, {}, [&](const SleepingMachine& each) {
    return std::tuple(!each.lack.empty(), each.region != region, preference(each.state), each.id);
  });
  if (best == sleeping.end() || !best->lack.empty()) return std::nullopt;
  return best->id;
}

}  // namespace perigee::control
