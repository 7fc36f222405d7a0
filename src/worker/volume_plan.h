// plan_volume: the next thing to do for one volume, from what is wanted and what is on disk. Pure;
// volume_reconciler.h carries it out, one step at a time, and looks again. There is no record of
// progress: a disk or a snapshot is there whole under its name, or not at all.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "model/volume.h"

namespace perigee::worker {

struct DiskFacts {
  std::int64_t size_mib = 0;
  std::int64_t used_mib = 0;  // holes left out
  bool operator==(const DiskFacts&) const = default;
};

// What is in the volume's directory.
struct VolumeFacts {
  std::optional<DiskFacts> disk;
  std::map<SnapshotId, DiskFacts> snapshots;
  bool directory = false;
  bool operator==(const VolumeFacts&) const = default;
};

enum class VolumeAction {
  wait,      // until something changes
  make,      // an empty file system
  restore,   // the source snapshot, as this volume's disk
  extend,    // the disk; its file system grows in the guest
  snapshot,  // `VolumePlan::snapshot`
  drop,      // that snapshot is not wanted any more
  remove,    // the whole directory
};

struct VolumePlan {
  VolumeAction action = VolumeAction::wait;
  SnapshotId snapshot{};
  bool operator==(const VolumePlan&) const = default;
};

// `in_use`: a machine has the disk, or is about to.
enum class InUse { no, yes };
VolumePlan plan_volume(const model::Volume& volume, const VolumeFacts& facts, InUse in_use);

// How the volume is reported. `error`: of the last action; empty: it went well.
model::VolumeStatus status_of(const model::Volume& volume, const VolumeFacts& facts,
                              std::string_view error);

std::string_view name(VolumeAction action);

}  // namespace perigee::worker
