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

void count_machine(const model::Machine& machine, const AppName& app, NodeRoom& room) {
  if (machine.desired == model::DesiredState::destroyed) return;
  room.of_app += machine.app == app ? 1 : 0;
  if (machine.desired != model::DesiredState::started) return;
  ++room.machines;
  room.used_mib += machine.config.guest.memory_mib;
  if (machine.config.guest.cpu_kind == "performance")
    room.performance_cpus += machine.config.guest.cpus;
}

// As it is without machines.
NodeRoom empty_room(const Context& context, const NodeId& id, const NodeRecord& record,
                    const std::vector<model::Volume>& planned) {
  NodeRoom room{.node = id,
                .region = record.region,
                .state = state_of(context, id, record),
                .disk_mib = disk_left(context, id, planned)};
  if (const ObservedTable::Node* seen = context.observed.node(id)) {
    room.memory_mib = seen->report.memory_mib;
    room.cpus = seen->report.cpus;
  }
  return room;
}

}  // namespace

std::optional<NodeRoom> node_room(const Context& context, const NodeId& node) {
  const auto found = context.desired.nodes().find(node);
  if (found == context.desired.nodes().end()) return std::nullopt;
  NodeRoom room = empty_room(context, node, found->second.value, {});
  for (const MachineId& id : context.desired.machines_on(node))
    count_machine(context.desired.machines().at(id).value, {}, room);
  return room;
}

std::vector<NodeRoom> node_rooms(const Context& context, const AppName& app,
                                 const Planned& planned) {
  std::map<NodeId, NodeRoom> rooms;
  for (const auto& [id, stored] : context.desired.nodes()) {
    if (!stored.value.runs_machines()) continue;
    rooms.emplace(id, empty_room(context, id, stored.value, planned.volumes));
  }
  const auto count = [&](const model::Machine& machine) {
    const auto room = rooms.find(machine.node);
    if (room != rooms.end()) count_machine(machine, app, room->second);
  };
  for (const auto& [id, stored] : context.desired.machines()) count(stored.value);
  for (const model::Machine& machine : planned.machines) count(machine);
  std::vector<NodeRoom> out;
  for (auto& [id, room] : rooms) out.push_back(std::move(room));
  return out;
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
