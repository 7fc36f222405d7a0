// VolumeStore: where a volume's things are on disk, and what control wanted of it last:
//
//   volumes/<id>/volume.json             model::Volume, written whole and synced before it is acted
//   on volumes/<id>/disk.ext4               the disk, sparse volumes/<id>/snapshots/<id>.ext4
//
// A name with ".partial" behind is of something that was not finished.
#pragma once

#include <string>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "model/volume.h"
#include "sys/disk.h"
#include "worker/volume_disks.h"

namespace perigee::worker {

// Ids become file names: 1 to 40 of 0-9 a-z _.
bool is_safe_id(const VolumeId& id);
bool is_safe_id(const SnapshotId& id);

class VolumeStore {
 public:
  VolumeStore(sys::Disk& disk, VolumeDisks& disks, std::string directory)
      : disk_(disk), disks_(disks), directory_(std::move(directory)) {}

  // Those with a readable record; others are left alone, and told to the log.
  async::Task<Result<std::vector<model::Volume>>> load();
  async::Task<Result<void>> save(model::Volume volume);
  async::Task<Result<void>> remove(VolumeId id);  // all of it
  async::Task<Result<VolumeFacts>> look(VolumeId id);
  // What an earlier worker did not finish.
  async::Task<Result<void>> clear_unfinished(VolumeId id);

  const std::string& directory() const { return directory_; }
  std::string directory_of(const VolumeId& id) const;
  std::string disk_of(const VolumeId& id) const;
  std::string snapshot_of(const VolumeId& id, const SnapshotId& snapshot) const;

 private:
  std::string snapshots_of(const VolumeId& id) const;
  async::Task<Result<std::map<SnapshotId, DiskFacts>>> look_at_snapshots(VolumeId id);

  sys::Disk& disk_;
  VolumeDisks& disks_;
  std::string directory_;
};

}  // namespace perigee::worker
