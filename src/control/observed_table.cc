#include "control/observed_table.h"

#include "base/log.h"

namespace perigee::control {

ObservedTable::ObservedTable(async::Loop& loop, async::Notify& changed, Duration lease)
    : loop_(loop), changed_(changed), lease_(lease), start_(loop.now()) {}

void ObservedTable::report(model::NodeReport report, Duration age) {
  const MonotonicTime at = loop_.now() + -age;
  const auto known = nodes_.find(report.node);
  if (known != nodes_.end() && known->second.at > at) return;
  Node& node = nodes_[report.node];
  if (node.lost || node.report.node.empty())
    log_info("control", "node {} reports {} machines", report.node, report.machines.size());
  const bool same = !node.lost && node.report == report;
  node.at = at;
  node.lost = age >= lease_;
  if (same && !node.lost) return;
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
      if (node.lost || loop_.now() - node.at < lease_) continue;
      log_warning("control", "node {} has not reported for {} s: lost", id, to_ms(lease_) / 1000);
      node.lost = any = true;
    }
    // Nodes of the store that were never heard of become lost at this moment, too.
    const Duration age = loop_.now() - start_;
    if (any || (age >= lease_ && age < lease_ + 1s)) changed_.notify_all();
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
  for (const auto& status : found->second.report.machines) machines_.erase(status.id);
  for (const auto& status : found->second.report.volumes) volumes_.erase(status.id);
  nodes_.erase(found);
  changed_.notify_all();
}

bool ObservedTable::lost(const NodeId& id) const {
  if (const Node* known = node(id)) return known->lost;
  return loop_.now() - start_ >= lease_;
}

}  // namespace perigee::control
