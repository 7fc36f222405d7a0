// The commands on volumes, as parts of a compare-and-swap transaction on desired state. A volume is
// attached to at most one machine: whoever attaches it expects the revision at which it was free,
// so of two one loses with `conflict`. Used by the public API, by the machines' commands and by
// deploys.
#pragma once

#include <string>
#include <vector>

#include "control/context.h"

namespace perigee::control {

struct NewVolume {
  AppName app{};
  std::string name{};
  RegionCode region{};
  NodeId node{};
  std::int64_t size_mib = 0;
  bool encrypted = false;
  VolumeId source_volume{};
  SnapshotId source_snapshot{};
  int snapshot_retention_days = 5;
};

secrets::Place place_of_key(const VolumeId& volume);
// An encrypted one is made with a key of its own, or with that of the volume it is restored from.
// `resource_exhausted` where the node has no room for it, or the app too many. `planned`: volumes
// that the same transaction creates already.
Result<model::Volume> make_volume(const Context& context, NewVolume wanted,
                                  const std::vector<model::Volume>& planned);
// The node can hold `more_mib`, with every volume there grown to its full size.
Result<void> check_room(const Context& context, const NodeId& node, std::int64_t more_mib,
                        const std::vector<model::Volume>& planned);
SnapshotId make_snapshot_id(sys::Host& host);

// `conflict` while a volume is being restored from what `source` has: all its snapshots, or that
// one.
Result<void> check_no_restore(const Context& context, const model::Volume& source,
                              const SnapshotId& snapshot);
// The volume without the snapshots that are older than it keeps them.
model::Volume without_expired_snapshots(model::Volume volume, WallTime now);

// Where a machine with these mounts has to run; empty: anywhere. `not_found` and `conflict` name
// the volume that is not there or not free.
Result<NodeId> node_of(const Context& context, const AppName& app,
                       const std::vector<model::Mount>& mounts);
// Attaches the volumes that `machine` mounts and does not have yet, all of which exist in the
// store.
Result<void> attach(const Context& context, store::Transaction& t, const model::Machine& machine);
// The volumes of a machine that is gone for good.
void detach(const Context& context, store::Transaction& t, const model::Machine& machine);
// A machine keeps the volumes that it has.
Result<void> check_update(const model::Machine& machine, const model::MachineConfig& next);

// A free volume of that name, unless `taken` has it; null: none.
const Stored<model::Volume>* free_volume(const Context& context, const AppName& app,
                                         const std::string& name, const RegionCode& region,
                                         const std::vector<VolumeId>& taken);

}  // namespace perigee::control
