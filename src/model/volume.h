// Volumes: disks that outlive their machine, one file each on the node where they were made.
// Desired state (Volume) is in the store and written by control alone; observed state
// (VolumeStatus) is reported by the node's worker. Plain values; their JSON is in model/json.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"

namespace perigee::model {

struct Snapshot {
  SnapshotId id;  // "vs_…"
  WallTime created_at;
  bool operator==(const Snapshot&) const = default;
};

struct Volume {
  VolumeId id;  // "vol_…"
  std::string name;
  AppName app;
  RegionCode region;
  NodeId node;
  std::int64_t size_mib = 0;
  bool encrypted = false;
  std::string sealed_key;  // of an encrypted one (docs/formats/sealed.md); never shown
  MachineId machine;  // attached to; empty: to none. A machine is attached until its worker has
                      // removed it, so that two VMs never have one disk
  // What it begins with; empty: an empty file system. Both are of the same node.
  VolumeId source_volume;
  SnapshotId source_snapshot;
  std::vector<Snapshot> snapshots;  // wanted, oldest first
  int snapshot_retention_days = 5;
  bool destroyed = false;  // wanted gone
  WallTime created_at;
  bool operator==(const Volume&) const = default;
};

// What there is of a volume on its node.
enum class VolumeState { creating, created, extending, restoring, destroying, destroyed, failed };

struct SnapshotStatus {
  SnapshotId id;
  std::int64_t size_mib = 0;  // on disk, holes left out
  bool operator==(const SnapshotStatus&) const = default;
};

struct VolumeStatus {
  VolumeId id;
  VolumeState state = VolumeState::creating;
  std::int64_t size_mib = 0;  // of the disk as it is
  std::int64_t used_mib = 0;  // on the node's disk, holes and snapshots left out
  std::string error;          // why it is not as wanted
  std::vector<SnapshotStatus> snapshots;
  bool operator==(const VolumeStatus&) const = default;
};

}  // namespace perigee::model
