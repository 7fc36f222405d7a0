#include "worker/volumes.h"

#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "worker/limits.h"

namespace perigee::worker {

Volumes::Volumes(sys::Host& host, std::string directory, VolumeDisks& disks, vm::Driver& driver,
                 ChangeSignal& changed, std::function<bool(const MachineId&)> busy,
                 Unsealer& unsealer)
    : host_(host),
      store_(host.disk, disks, std::move(directory)),
      tools_{host_, store_, disks, driver, changed, std::move(busy), unsealer},
      added_(host.loop),
      tasks_(host.loop) {}

async::Task<Result<void>> Volumes::load() {
  CO_TRY(std::vector<model::Volume> volumes, co_await store_.load());
  CO_TRY(free_mib_, co_await tools_.disks.free_mib(store_.directory()));
  for (model::Volume& volume : volumes) want(std::move(volume));
  tasks_.spawn(watch_free_space(*this));
  co_return Result<void>();
}

async::Task<void> Volumes::watch_free_space(Volumes& self) {
  for (;;) {
    co_await self.host_.loop.sleep(kVolumeLook);
    const auto free = co_await self.tools_.disks.free_mib(self.store_.directory());
    if (free) self.free_mib_ = *free;
  }
}

void Volumes::want(model::Volume volume) {
  if (!is_safe_id(volume.id)) {
    return log_error("worker", "volume '{}': not an id; ignored", volume.id);
  }
  if (const auto found = volumes_.find(volume.id); found != volumes_.end()) {
    return found->second->want(std::move(volume));
  }
  if (volumes_.size() >= kMaxVolumes) {
    return log_error("worker", "volume {}: this node has {} already; ignored", volume.id,
                     kMaxVolumes);
  }
  const VolumeId id = volume.id;
  auto& slot = volumes_[id];
  slot = std::make_unique<VolumeReconciler>(tools_, std::move(volume));
  slot->start();
  added_.notify_all();
}

void Volumes::gone(const VolumeId& id) {
  const auto found = volumes_.find(id);
  if (found == volumes_.end()) return;
  if (found->second->removed()) {
    volumes_.erase(found);
  } else {
    log_warning("worker", "volume {}: unknown to control; its data is left alone", id);
  }
}

void Volumes::synced(const std::set<VolumeId>& known) {
  std::vector<VolumeId> unknown;
  for (const auto& [id, volume] : volumes_) {
    if (!known.contains(id)) unknown.push_back(id);
  }
  for (const VolumeId& id : unknown) gone(id);
}

async::Task<VolumeReconciler*> Volumes::known(VolumeId id) {
  while (!volumes_.contains(id)) co_await added_.wait();
  co_return volumes_.at(id).get();
}

async::Task<Result<AttachedVolume>> Volumes::attach(VolumeId id, MachineId machine) {
  async::Loop& loop = host_.loop;
  const auto found = co_await async::until(loop, loop.now() + kVolumePatience, known(id));
  if (!found) co_return fail(Code::not_found, "volume {}: not on this node", id);
  CO_TRY_VOID_AS(co_await (*found)->ready_for(std::move(machine)), fmt::format("volume {}", id));
  co_return AttachedVolume{store_.disk_of(id), (*found)->volume()};
}

std::vector<model::VolumeStatus> Volumes::report() const {
  std::vector<model::VolumeStatus> out;
  for (const auto& [id, volume] : volumes_) out.push_back(volume->status());
  return out;
}

void Volumes::add_sealing_keys(std::set<std::string>& keys) const {
  for (const auto& [id, volume] : volumes_) worker::add_sealing_keys(volume->volume(), keys);
}

}  // namespace perigee::worker
