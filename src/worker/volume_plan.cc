#include "worker/volume_plan.h"

#include <algorithm>
#include <array>

namespace perigee::worker {
namespace {

using model::VolumeState;

model::VolumeState state_of(const model::Volume& volume, const VolumeFacts& facts,
                            std::string_view error) {
  if (volume.destroyed) {
    return facts.directory ? VolumeState::destroying : VolumeState::destroyed;
  }
  if (!facts.disk) {
    if (!error.empty()) return VolumeState::failed;
    return volume.source_snapshot.empty() ? VolumeState::creating : VolumeState::restoring;
  }
  return facts.disk->size_mib < volume.size_mib ? VolumeState::extending : VolumeState::created;
}

}  // namespace

VolumePlan plan_volume(const model::Volume& volume, const VolumeFacts& facts, InUse in_use) {
  if (volume.destroyed) {
    const bool there = facts.directory && in_use == InUse::no;
    return {.action = there ? VolumeAction::remove : VolumeAction::wait};
  }
  if (!facts.disk) {
    const bool fresh = volume.source_snapshot.empty();
    return {.action = fresh ? VolumeAction::make : VolumeAction::restore};
  }
  if (facts.disk->size_mib < volume.size_mib) return {.action = VolumeAction::extend};
  for (const model::Snapshot& wanted : volume.snapshots) {
    if (!facts.snapshots.contains(wanted.id))
      return {.action = VolumeAction::snapshot, .snapshot = wanted.id};
  }
  for (const auto& [id, snapshot] : facts.snapshots) {
    if (std::ranges::find(volume.snapshots, id, &model::Snapshot::id) == volume.snapshots.end())
      return {.action = VolumeAction::drop, .snapshot = id};
  }
  return {};
}

model::VolumeStatus status_of(const model::Volume& volume, const VolumeFacts& facts,
                              std::string_view error) {
  model::VolumeStatus status;
  status.id = volume.id;
  status.state = state_of(volume, facts, error);
  status.error = error;
  if (facts.disk) {
    status.size_mib = facts.disk->size_mib;
    status.used_mib = facts.disk->used_mib;
  }
  for (const auto& [id, snapshot] : facts.snapshots) {
    status.snapshots.push_back({.id = id, .size_mib = snapshot.used_mib});
  }
  return status;
}

std::string_view name(VolumeAction action) {
  constexpr std::array<std::string_view, 7> kNames{"wait",     "make", "restore", "extend",
                                                   "snapshot", "drop", "remove"};
  return kNames.at(static_cast<std::size_t>(action));
}

}  // namespace perigee::worker
