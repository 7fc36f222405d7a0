#include "control/observed_table.h"

#include "base/log.h"

namespace perigee::control {

ObservedTable::ObservedTable(async::Loop& loop, Changes& changes, Duration lease)
    : loop_(loop), changes_(changes), lease_(lease), start_(loop.now()) {}

void ObservedTable::report(model::NodeReport report, Duration age) {
  const MonotonicTime at = loop_.now() + -age;
  const auto known = nodes_.find(report.node);
  if (known != nodes_.end() && known->second.at > at) return;
  Node& node = nodes_[report.node];
  const bool back = node.lost || node.report.node.empty();
  if (back) log_info("control", "node {} reports {} machines", report.node, report.machines.size());
  const bool same = !node.lost && node.report == report;
  node.at = at;
  node.lost = age >= lease_;
  if (same && !node.lost) return;
  if (back || node.lost) changes_.node(report.node);
  take_machines(node.report, report);
  for (const auto& status : node.report.volumes) volumes_.erase(status.id);
  for (const auto& status : report.volumes) volumes_[status.id] = status;
  node.report = std::move(report);
  changes_.notify_all();
}

// Most of a node's machines are as they were.
void ObservedTable::take_machines(const model::NodeReport& before, const model::NodeReport& after) {
  std::map<MachineId, const model::MachineStatus*> former;
  for (const auto& status : before.machines) former[status.id] = &status;
  for (const auto& status : after.machines) {
    const auto was = former.extract(status.id);
    if (!was.empty() && *was.mapped() == status) continue;
    set_machine(status);
  }
  for (const auto& [id, status] : former) erase_machine(id);
}

void ObservedTable::set_machine(const model::MachineStatus& status) {
  changes_.machine(status.id);
  machines_[status.id] = status;
  if (status.state == model::MachineState::destroyed) {
    destroyed_.insert(status.id);
  } else {
    destroyed_.erase(status.id);
  }
}

void ObservedTable::erase_machine(const MachineId& id) {
  changes_.machine(id);
  machines_.erase(id);
  destroyed_.erase(id);
}

async::Task<void> ObservedTable::expire() {
  for (;;) {
    co_await loop_.sleep(500ms);
    bool any = false;
    for (auto& [id, node] : nodes_) {
      if (node.lost || loop_.now() - node.at < lease_) continue;
      log_warning("control", "node {} has not reported for {} s: lost", id, to_ms(lease_) / 1000);
      node.lost = any = true;
      changes_.node(id);
    }
    // Nodes of the store that were never heard of become lost at this moment, too.
    const Duration age = loop_.now() - start_;
    const bool unheard = age >= lease_ && age < lease_ + 1s;
    if (unheard) changes_.everything();
    if (any || unheard) changes_.notify_all();
  }
}

const model::MachineStatus* ObservedTable::status(const MachineId& id) const {
  const auto found = machines_.find(id);
  return found == machines_.end() ? nullptr : &found->second;
}

const model::VolumeStatus* ObservedTable::status(const VolumeId& id) const {
  const auto found = volumes_.find(id);
  return found == volumes_.end() ? nullptr : &found->second;
}

const ObservedTable::Node* ObservedTable::node(const NodeId& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

Duration ObservedTable::silence(const NodeId& id) const {
  const Node* known = node(id);
  return loop_.now() - (known == nullptr ? start_ : known->at);
}

void ObservedTable::forget(const NodeId& id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  for (const auto& status : found->second.report.machines) erase_machine(status.id);
  for (const auto& status : found->second.report.volumes) volumes_.erase(status.id);
  nodes_.erase(found);
  changes_.node(id);
  changes_.notify_all();
}

bool ObservedTable::lost(const NodeId& id) const {
  if (const Node* known = node(id)) return known->lost;
  return loop_.now() - start_ >= lease_;
}

}  // namespace perigee::control
