#include "worker/volume_reconciler.h"

#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

async::Task<void> sleep_for(async::Loop& loop, Duration d) {
  co_await loop.sleep(d);
}

}  // namespace

VolumeReconciler::VolumeReconciler(VolumeTools& tools, model::Volume volume)
    : tools_(tools),
      volume_(volume),
      pending_(std::move(volume)),
      poked_(tools.host.loop),
      advanced_(tools.host.loop),
      runner_(tools.host.loop) {
  status_.id = volume_.id;
}

void VolumeReconciler::start() {
  runner_.spawn(run(*this));
}

void VolumeReconciler::want(model::Volume volume) {
  if (volume == (pending_ ? *pending_ : volume_)) return;
  pending_ = std::move(volume);
  dirty_ = true;
  poked_.notify_all();
}

InUse VolumeReconciler::in_use() const {
  return !volume_.machine.empty() && tools_.busy(volume_.machine) ? InUse::yes : InUse::no;
}

void VolumeReconciler::report() {
  model::VolumeStatus now = status_of(volume_, facts_, error_);
  if (now == status_) return;
  status_ = std::move(now);
  tools_.changed.raise();
}

async::Task<void> VolumeReconciler::wait_for_change(VolumeReconciler& self) {
  while (!self.dirty_) co_await self.poked_.wait();
}

// Looks at the disk every now and then as well, for how much of it is used.
async::Task<void> VolumeReconciler::run(VolumeReconciler& self) {
  async::Loop& loop = self.tools_.host.loop;
  for (;;) {
    self.dirty_ = false;
    const Result<void> done = co_await self.step();
    self.error_ = done ? "" : done.error().context;
    self.report();
    self.advanced_.notify_all();
    if (!done) log_warning("worker", "volume {}: {}", self.volume_.id, self.error_);
    co_await async::first_of(loop, wait_for_change(self),
                             sleep_for(loop, done ? kVolumeLook : kRetryAction));
  }
}

async::Task<Result<void>> VolumeReconciler::step() {
  for (;;) {
    if (pending_) {
      const model::Volume wanted = *pending_;
      CO_TRY(facts_, co_await tools_.store.look(wanted.id));
      const bool gone = wanted.destroyed && !facts_.directory;
      if (!gone) CO_TRY_VOID(co_await tools_.store.save(wanted));
      volume_ = wanted;
      if (pending_ == wanted) pending_.reset();
    }
    if (!looked_) CO_TRY_VOID(co_await tools_.store.clear_unfinished(volume_.id));
    CO_TRY(facts_, co_await tools_.store.look(volume_.id));
    looked_ = true;
    const VolumePlan next = plan_volume(volume_, facts_, in_use());
    report();
    advanced_.notify_all();
    if (next.action == VolumeAction::wait) co_return Result<void>();
    CO_TRY_VOID_AS(co_await perform(next), name(next.action));
    log_info("worker", "volume {} ({}): {} done", volume_.id, volume_.app, name(next.action));
  }
}

async::Task<Result<void>> VolumeReconciler::perform(VolumePlan plan) {
  const std::string disk = tools_.store.disk_of(volume_.id);
  switch (plan.action) {
    case VolumeAction::make:
      co_return co_await make(disk);
    case VolumeAction::restore:
      co_return co_await restore();
    case VolumeAction::extend:
      co_return co_await tools_.disks.grow(disk, volume_.size_mib);
    case VolumeAction::snapshot:
      co_return co_await snapshot(plan.snapshot);
    case VolumeAction::drop:
      co_return co_await tools_.host.disk.remove(
          tools_.store.snapshot_of(volume_.id, plan.snapshot));
    case VolumeAction::remove:
      co_return co_await tools_.store.remove(volume_.id);
    case VolumeAction::wait:
      break;
  }
  co_return Result<void>();
}

async::Task<Result<void>> VolumeReconciler::make(std::string disk) {
  CO_TRY(std::string key, co_await tools_.unsealer.volume_key(volume_));
  co_return co_await tools_.disks.make(std::move(disk), volume_.size_mib, std::move(key));
}

// An encrypted one has the key of what it is restored from.
async::Task<Result<void>> VolumeReconciler::restore() {
  const std::string source =
      tools_.store.snapshot_of(volume_.source_volume, volume_.source_snapshot);
  co_return co_await tools_.disks.copy(source, tools_.store.disk_of(volume_.id));
}

// Once for each snapshot: a VM must not be stopped again and again for a copy that can't be made.
async::Task<Result<void>> VolumeReconciler::copy_held(SnapshotId id, std::string disk,
                                                      std::string target) {
  if (given_up_.contains(id)) {
    co_return fail(Code::unavailable,
                   "snapshot {} could not be copied while machine {} runs; stop the machine, or "
                   "destroy the snapshot",
                   id, volume_.machine);
  }
  CO_TRY(const auto hold, co_await tools_.driver.hold(volume_.machine));
  Result<void> copied = co_await tools_.disks.copy(std::move(disk), std::move(target));
  if (copied) copied = co_await hold->release();  // it stood still all the time
  if (!copied) given_up_.insert(id);
  co_return copied;
}

// No VM gets the disk while it is copied; one that has it stands still: what is copied is what the
// guest would find after a power cut.
async::Task<Result<void>> VolumeReconciler::snapshot(SnapshotId id) {
  const std::string disk = tools_.store.disk_of(volume_.id);
  const std::string target = tools_.store.snapshot_of(volume_.id, id);
  const std::string unchecked = target + std::string(kPartialSuffix);
  if (in_use() == InUse::yes) {
    CO_TRY_VOID(co_await copy_held(id, disk, unchecked));
  } else {
    copying_ = true;
    const Result<void> copied = co_await tools_.disks.copy(disk, unchecked);
    copying_ = false;
    advanced_.notify_all();
    CO_TRY_VOID(copied);
  }
  co_return co_await tools_.disks.rename(unchecked, target);
}

async::Task<bool> VolumeReconciler::is_ready(MachineId machine) {
  for (;;) {
    if (volume_.destroyed) co_return false;
    const bool attached = volume_.machine == machine;
    const bool there = looked_ && facts_.disk && facts_.disk->size_mib >= volume_.size_mib;
    if (attached && there && !copying_) co_return true;
    if (attached && !there && !error_.empty()) co_return false;
    co_await advanced_.wait();
  }
}

async::Task<Result<void>> VolumeReconciler::ready_for(MachineId machine) {
  async::Loop& loop = tools_.host.loop;
  const auto ready = co_await async::until(loop, loop.now() + kVolumePatience, is_ready(machine));
  if (ready == true) co_return Result<void>();
  if (volume_.destroyed) co_return fail(Code::not_found, "it is being destroyed");
  if (ready == false) co_return fail(Code::unavailable, "{}", error_);
  if (volume_.machine != machine) {
    co_return fail(Code::conflict, "it is attached to {}, not to this machine",
                   volume_.machine.empty() ? "no machine" : volume_.machine.str());
  }
  co_return fail(Code::deadline_exceeded, "not ready after {} s", to_ms(kVolumePatience) / 1000);
}

}  // namespace perigee::worker
