#include "control/observed_table.h"

#include "base/log.h"
#include "control/limits.h"

namespace perigee::control {

ObservedTable::ObservedTable(async::Loop& loop, async::Notify& changed)
    : loop_(loop), changed_(changed), start_(loop.now()) {}

void ObservedTable::report(model::NodeReport report) {
  Node& node = nodes_[report.node];
  if (node.lost || node.report.node.empty())
    log_info("control", "node {} reports {} machines", report.node, report.machines.size());
  const bool same = !node.lost && node.report == report;
  node.at = loop_.now();
  node.lost = false;
  if (same) return;
  for (const auto& status : node.report.machines) machines_.erase(status.id);
  for (const auto& status : report.machines) machines_[status.id] = status;
  for (const auto& status : node.report.volumes) volumes_.erase(status.id);
  for (const auto& status : report.volumes) volumes_[status.id] = status;
  node.report = std::move(report);
  changed_.notify_all();
}

async::Task<void> ObservedTable::expire() {
  for (;;) {
    co_await loop_.sleep(500ms);
    bool any = false;
    for (auto& [id, node] : nodes_) {
      if (node.lost || loop_.now() - node.at < kNodeLease) continue;
      log_warning("control", "node {} has not reported for {} s: lost", id,
                  to_ms(kNodeLease) / 1000);
      node.lost = any = true;
    }
    // Nodes of the store that were never heard of become lost at this moment, too.
    const Duration age = loop_.now() - start_;
    if (any || (age >= kNodeLease && age < kNodeLease + 1s)) changed_.notify_all();
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

bool ObservedTable::lost(const NodeId& id) const {
  if (const Node* known = node(id)) return known->lost;
  return loop_.now() - start_ >= kNodeLease;
}

}  // namespace perigee::control
