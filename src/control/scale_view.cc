#include "control/scale_view.h"

#include <algorithm>

#include "control/lease_api.h"
#include "control/machine_view.h"
#include "control/node_health.h"
#include "model/checks.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

using model::MachineState;
using MachineNode = ScaleMachine::Node;

Demand demand_of(const model::MachineConfig& config) {
  Demand demand{.region = {}, .guest = config.guest};
  for (const model::Mount& mount : config.mounts)
    demand.disk_mib += mount.size_mib > 0 ? mount.size_mib : model::kUsualVolumeMib;
  return demand;
}

MachineNode node_of(const Context& context, const FleetView& fleet, const NodeId& node) {
  if (fleet.gone.contains(node)) return MachineNode::lost;
  const auto record = context.desired.nodes().find(node);
  const bool drains = record != context.desired.nodes().end() && record->second.value.draining;
  return drains ? MachineNode::drains : MachineNode::stays;
}

// A machine that is destroyed at its end is one piece of work: done twice it might do harm.
bool stays_whatever_comes(const model::Machine& machine) {
  return !machine.config.mounts.empty() || machine.config.auto_destroy;
}

ScaleMachine machine_of(const Context& context, const FleetView& fleet,
                        const model::Machine& machine) {
  // One of an app's that somebody has taken out of routing serves nobody.
  const bool kept_out = machine.cordoned && machine.release != 0;
  return {.id = machine.id,
          .region = machine.region,
          .node_id = machine.node,
          .node = node_of(context, fleet, machine.node),
          .replaces = machine.replaces,
          .pinned = stays_whatever_comes(machine),
          .ready = !kept_out && is_ready(context, machine),
          .resting = machine.desired != model::DesiredState::started,
          .lease = lease_in_the_way(context, machine.id),
          .created_at = machine.created_at};
}

bool rests_as_it_should(const model::Machine& machine, MachineState state) {
  return machine.desired != model::DesiredState::started &&
         (state == MachineState::stopped || state == MachineState::suspended ||
          state == MachineState::created);
}

// The oldest of those in whose place this one was made, as far as they are still there.
MachineId root_of(const MachineId& id, const std::map<MachineId, MachineId>& replaces) {
  MachineId root = id;
  for (std::size_t steps = 0; steps < replaces.size(); ++steps) {
    const auto found = replaces.find(root);
    if (found == replaces.end() || !replaces.contains(found->second)) break;
    root = found->second;
  }
  return root;
}

std::vector<ScaleRegion> scale_regions(const std::vector<NodeRoom>& rooms, const Demand& demand) {
  std::map<RegionCode, ScaleRegion> regions;
  for (const NodeRoom& room : rooms) {
    ScaleRegion& region = regions[room.region];
    region.region = room.region;
    region.nodes += room.state == NodeRoom::State::ready ? 1 : 0;
    region.room = std::min(model::kMaxScale, region.room + fits(room, demand, model::kMaxScale));
    if (region.lack.empty()) region.lack = lack_of(room, demand);
  }
  std::vector<ScaleRegion> out;
  for (auto& [code, region] : regions) {
    if (region.room > 0) region.lack = "no more than these fit there";
    out.push_back(std::move(region));
  }
  return out;
}

}  // namespace

bool is_ready(const Context& context, const model::Machine& machine) {
  const model::MachineStatus* status = context.observed.status(machine.id);
  if (status == nullptr || context.observed.lost(machine.node)) return false;
  const MachineState state = effective_state(machine, status);
  if (rests_as_it_should(machine, state)) return true;
  if (state != MachineState::started || status->instance_id != machine.instance_id) return false;
  const bool serves = machine.config.services.empty() || status->listening;
  return serves && model::gates_open(machine.config, *status);
}

FleetView fleet_view(const Context& context) {
  std::vector<NodeSilence> silences;
  FleetView out;
  out.rooms = node_rooms(context, {}, {}, {});
  for (const NodeRoom& room : out.rooms) {
    // Of one that no control has heard since all of them started nobody knows how long it is
    // silent.
    if (context.observed.reported(room.node))
      silences.push_back({room.node, context.observed.silence(room.node)});
  }
  out.gone = gone_nodes(silences, context.silence);
  return out;
}

const std::vector<ScaleRegion>& FleetView::regions(const Demand& demand) const {
  const auto known =
      std::ranges::find(regions_, demand, [](const auto& each) { return each.first; });
  if (known != regions_.end()) return known->second;
  return regions_.emplace_back(demand, scale_regions(rooms, demand)).second;
}

ScaleView scale_view(const Context& context, const FleetView& fleet, const model::App& app,
                     const ReleaseRecord& release, const StoredMachines& machines) {
  ScaleView view{.scale = app.scale,
                 .primary = release.region,
                 .regions = fleet.regions(demand_of(release.release.config)),
                 .machines = {}};
  for (const auto& each : machines) {
    if (each.value.release == release.release.version)
      view.machines.push_back(machine_of(context, fleet, each.value));
  }
  return view;
}

std::vector<HandMade> hand_made_views(const Context& context, const FleetView& fleet,
                                      const StoredMachines& machines) {
  std::map<MachineId, MachineId> replaces;
  for (const auto& each : machines) {
    if (each.value.release == 0) replaces[each.value.id] = each.value.replaces;
  }
  std::map<MachineId, HandMade> groups;
  for (const auto& each : machines) {
    if (each.value.release != 0) continue;
    HandMade& group = groups[root_of(each.value.id, replaces)];
    group.machines.push_back(each);
    group.view.machines.push_back(machine_of(context, fleet, each.value));
  }
  std::vector<HandMade> out;
  for (auto& [root, group] : groups) {
    const bool all_stay = std::ranges::all_of(group.view.machines, [](const ScaleMachine& each) {
      return each.node == MachineNode::stays;
    });
    if (all_stay && group.machines.size() == 1) continue;
    group.view.regions = fleet.regions(demand_of(group.machines.front().value.config));
    out.push_back(std::move(group));
  }
  return out;
}

}  // namespace perigee::control
