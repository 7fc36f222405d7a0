#include "control/node_rooms.h"

#include <algorithm>

namespace perigee::control {
namespace {

// What a volume can still grow on disk.
std::int64_t promised(const model::Volume& volume, const model::VolumeStatus* status) {
  const std::int64_t used = status == nullptr ? 0 : status->used_mib;
  return std::max<std::int64_t>(volume.size_mib - used, 0);
}

NodeRoom::State state_of(const Context& context, const NodeId& node, const NodeRecord& record) {
  if (!context.observed.reported(node) || context.observed.lost(node)) return NodeRoom::State::lost;
  if (record.draining) return NodeRoom::State::draining;
  return record.cordoned ? NodeRoom::State::cordoned : NodeRoom::State::ready;
}

void add(NodeRoom& room, const NodeUse& use) {
  room.machines += use.machines;
  room.used_mib += use.memory_mib;
  room.performance_cpus += use.performance_cpus;
}

// `rooms` are by name.
NodeRoom* room_of(std::vector<NodeRoom>& rooms, const NodeId& node) {
  const auto found = std::ranges::lower_bound(rooms, node, {}, &NodeRoom::node);
  return found == rooms.end() || found->node != node ? nullptr : &*found;
}

// Without the machines that are only planned.
NodeRoom room_now(const Context& context, const NodeId& id, const NodeRecord& record,
                  const std::vector<model::Volume>& planned) {
  NodeRoom room{.node = id,
                .region = record.region,
                .state = state_of(context, id, record),
                .disk_mib = disk_left(context, id, planned)};
  if (const ObservedTable::Node* seen = context.observed.node(id)) {
    room.memory_mib = seen->report.memory_mib;
    room.cpus = seen->report.cpus;
  }
  add(room, context.desired.use_of_node(id));
  return room;
}

}  // namespace

std::optional<NodeRoom> node_room(const Context& context, const NodeId& node) {
  const auto found = context.desired.nodes().find(node);
  if (found == context.desired.nodes().end()) return std::nullopt;
  return room_now(context, node, found->second.value, {});
}

std::vector<NodeRoom> node_rooms(const Context& context, const RegionCode& region,
                                 const AppName& app, const Planned& planned) {
  std::vector<NodeRoom> rooms;
  for (const auto& [id, stored] : context.desired.nodes()) {
    const NodeRecord& record = stored.value;
    if (!record.runs_machines() || (!region.empty() && record.region != region)) continue;
    rooms.push_back(room_now(context, id, record, planned.volumes));
  }
  const auto count_of_app = [&](const model::Machine& machine) {
    if (machine.app != app || machine.desired == model::DesiredState::destroyed) return;
    if (NodeRoom* room = room_of(rooms, machine.node)) ++room->of_app;
  };
  for (const MachineId& id : context.desired.machine_ids_of(app))
    count_of_app(context.desired.machines().at(id).value);
  for (const model::Machine& machine : planned.machines) {
    count_of_app(machine);
    if (NodeRoom* room = room_of(rooms, machine.node)) add(*room, use_of(machine));
  }
  return rooms;
}

std::int64_t disk_left(const Context& context, const NodeId& node,
                       const std::vector<model::Volume>& planned) {
  const ObservedTable::Node* known = context.observed.node(node);
  if (known == nullptr) return 0;
  std::int64_t room = known->report.disk_free_mib;
  for (const VolumeId& id : context.desired.volumes_on(node))
    room -= promised(context.desired.volumes().at(id).value, context.observed.status(id));
  for (const model::Volume& volume : planned) {
    if (volume.node == node) room -= volume.size_mib;
  }
  return room;
}

}  // namespace perigee::control
