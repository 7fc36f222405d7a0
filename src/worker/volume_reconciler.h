// VolumeReconciler: one volume on this node, one coroutine. It asks plan_volume() what comes next,
// does it, looks at the disk and asks again; so it can be killed anywhere. Owned by Volumes.
//
// Data is removed on control's explicit word alone (`destroyed`), never because control does not
// know a volume.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "async/event.h"
#include "async/task_group.h"
#include "sys/host.h"
#include "vm/driver.h"
#include "worker/change_signal.h"
#include "worker/unsealer.h"
#include "worker/volume_plan.h"
#include "worker/volume_store.h"

namespace perigee::worker {

// What the volumes of a node share.
struct VolumeTools {
  sys::Host& host;
  VolumeStore& store;
  VolumeDisks& disks;
  vm::Driver& driver;
  ChangeSignal& changed;                       // raised when a status did
  std::function<bool(const MachineId&)> busy;  // it has a VM, or is about to
  Unsealer& unsealer;
};

class VolumeReconciler {
 public:
  VolumeReconciler(VolumeTools& tools, model::Volume volume);
  VolumeReconciler(const VolumeReconciler&) = delete;
  VolumeReconciler& operator=(const VolumeReconciler&) = delete;

  void start();  // once
  void want(model::Volume volume);

  const model::Volume& volume() const { return volume_; }
  const model::VolumeStatus& status() const { return status_; }
  bool removed() const { return status_.state == model::VolumeState::destroyed; }

  // Returns when `machine` may have the disk: it is there, as large as wanted, and nobody copies
  // it.
  async::Task<Result<void>> ready_for(MachineId machine);

 private:
  static async::Task<void> run(VolumeReconciler& self);
  static async::Task<void> wait_for_change(VolumeReconciler& self);
  async::Task<bool> is_ready(MachineId machine);
  async::Task<Result<void>> step();
  async::Task<Result<void>> perform(VolumePlan plan);
  async::Task<Result<void>> make(std::string disk);
  async::Task<Result<void>> restore();
  async::Task<Result<void>> snapshot(SnapshotId id);
  async::Task<Result<void>> copy_held(SnapshotId id, std::string disk, std::string target);
  InUse in_use() const;
  void report();

  VolumeTools& tools_;
  model::Volume volume_;  // as it is on disk
  std::optional<model::Volume> pending_;
  VolumeFacts facts_;
  model::VolumeStatus status_;
  std::string error_;              // of the last step
  std::set<SnapshotId> given_up_;  // while a machine runs
  bool copying_ = false;
  bool looked_ = false;  // the facts are known
  bool dirty_ = true;
  async::Notify poked_;
  async::Notify advanced_;  // facts_, error_ or copying_ are others
  async::TaskGroup runner_;
};

}  // namespace perigee::worker
