// ObservedTable: what the nodes have reported, in memory, each under a lease. Lost at a restart of
// control; the reports bring it back within seconds.
#pragma once

#include <map>
#include <set>

#include "control/changes.h"
#include "model/types.h"

namespace perigee::control {

class ObservedTable {
 public:
  struct Node {
    model::NodeReport report;
    MonotonicTime at;
    bool lost = false;  // its lease has run out
  };

  ObservedTable(async::Loop& loop, Changes& changes, Duration lease);
  // `age`: how long ago the node said so, to whoever tells. What is older than what is known counts
  // for nothing.
  void report(model::NodeReport report, Duration age = {});
  // Marks the nodes whose lease has run out, for ever.
  async::Task<void> expire();

  // Null: nothing known. A lost node's machines stay known as they were.
  const model::MachineStatus* status(const MachineId& id) const;
  const model::VolumeStatus* status(const VolumeId& id) const;
  // Whose nodes report them as destroyed.
  const std::set<MachineId>& destroyed_machines() const { return destroyed_; }
  const std::map<NodeId, Node>& nodes() const { return nodes_; }
  const Node* node(const NodeId& id) const;
  bool reported(const NodeId& id) const { return nodes_.contains(id); }
  // Without a report within the lease, or never heard of since a start longer ago than that.
  bool lost(const NodeId& id) const;
  // Since its last report, or since our start where there was none.
  Duration silence(const NodeId& id) const;
  // A node that was removed from the fleet.
  void forget(const NodeId& id);

 private:
  void take_machines(const model::NodeReport& before, const model::NodeReport& after);
  void set_machine(const model::MachineStatus& status);
  void erase_machine(const MachineId& id);

  async::Loop& loop_;
  Changes& changes_;
  Duration lease_;
  MonotonicTime start_;
  std::map<NodeId, Node> nodes_;
  std::map<MachineId, model::MachineStatus> machines_;
  std::set<MachineId> destroyed_;
  std::map<VolumeId, model::VolumeStatus> volumes_;
};

}  // namespace perigee::control
