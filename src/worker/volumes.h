// Volumes: all volumes of this node: what control wants of them, who may have their disks, and what
// is reported. Owned by Worker.
//
//   CO_TRY_VOID(co_await volumes.load());            // first
//   CO_TRY(AttachedVolume disk, co_await volumes.attach(volume, machine));   // at each boot
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "worker/volume_reconciler.h"

namespace perigee::worker {

struct AttachedVolume {
  std::string disk;  // its path
  model::Volume volume;
};

class Volumes {
 public:
  Volumes(sys::Host& host, std::string directory, VolumeDisks& disks, vm::Driver& driver,
          ChangeSignal& changed, std::function<bool(const MachineId&)> busy, Unsealer& unsealer);

  async::Task<Result<void>> load();
  // What control says.
  void want(model::Volume volume);
  void gone(const VolumeId& id);
  void synced(const std::set<VolumeId>& known);

  // Returns when the machine may have the disk.
  async::Task<Result<AttachedVolume>> attach(VolumeId id, MachineId machine);

  std::vector<model::VolumeStatus> report() const;
  void add_sealing_keys(std::set<std::string>& keys) const;
  std::int64_t free_mib() const { return free_mib_; }

 private:
  static async::Task<void> watch_free_space(Volumes& self);
  async::Task<VolumeReconciler*> known(VolumeId id);

  sys::Host& host_;
  VolumeStore store_;
  VolumeTools tools_;
  async::Notify added_;
  std::map<VolumeId, std::unique_ptr<VolumeReconciler>> volumes_;
  std::int64_t free_mib_ = 0;
  async::TaskGroup tasks_;
};

}  // namespace perigee::worker
