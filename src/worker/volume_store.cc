#include "worker/volume_store.h"

#include <algorithm>
#include <string_view>

#include "base/log.h"
#include "model/json.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

constexpr std::string_view kSuffix = ".ext4";

bool is_safe_name(std::string_view name) {
  constexpr std::size_t kMaxLength = 40;
  return !name.empty() && name.size() <= kMaxLength && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_';
  });
}

}  // namespace

bool is_safe_id(const VolumeId& id) {
  return is_safe_name(id.str());
}

bool is_safe_id(const SnapshotId& id) {
  return is_safe_name(id.str());
}

std::string VolumeStore::directory_of(const VolumeId& id) const {
  return fmt::format("{}/{}", directory_, id);
}

std::string VolumeStore::disk_of(const VolumeId& id) const {
  return fmt::format("{}/disk{}", directory_of(id), kSuffix);
}

std::string VolumeStore::snapshots_of(const VolumeId& id) const {
  return directory_of(id) + "/snapshots";
}

std::string VolumeStore::snapshot_of(const VolumeId& id, const SnapshotId& snapshot) const {
  return fmt::format("{}/{}{}", snapshots_of(id), snapshot, kSuffix);
}

async::Task<Result<std::vector<model::Volume>>> VolumeStore::load() {
  constexpr unsigned kMode = 0700;
  CO_TRY_VOID(co_await disk_.make_directories(directory_, kMode));
  CO_TRY(const std::vector<std::string> names, co_await disk_.list(directory_));
  std::vector<model::Volume> volumes;
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}/volume.json", directory_, name);
    const auto text = co_await disk_.read_file(path, kMaxRecordBytes);
    const auto value = text ? json::parse(*text) : Result<json::Value>(fail(text.error()));
    auto volume = value ? model::volume_from(*value) : Result<model::Volume>(fail(value.error()));
    if (volume && volume->id.str() == name) {
      volumes.push_back(*std::move(volume));
    } else {
      log_error("worker", "{}: not a volume's record; what is beside it is left alone", path);
    }
  }
  co_return volumes;
}

async::Task<Result<void>> VolumeStore::save(model::Volume volume) {
  constexpr unsigned kDirectoryMode = 0700;
  constexpr unsigned kFileMode = 0600;
  CO_TRY_VOID(co_await disk_.make_directories(snapshots_of(volume.id), kDirectoryMode));
  co_return co_await disk_.write_file(directory_of(volume.id) + "/volume.json",
                                      model::to_json(volume).dump(), kFileMode,
                                      sys::Durability::synced);
}

async::Task<Result<void>> VolumeStore::remove(VolumeId id) {
  co_return co_await disk_.remove_tree(directory_of(id));
}

async::Task<Result<void>> VolumeStore::clear_unfinished(VolumeId id) {
  for (const std::string& directory : {directory_of(id), snapshots_of(id)}) {
    CO_TRY(const bool there, co_await disk_.exists(directory));
    if (!there) co_return Result<void>();
    CO_TRY(const std::vector<std::string> names, co_await disk_.list(directory));
    for (const std::string& name : names) {
      if (!name.ends_with(kPartialSuffix)) continue;
      CO_TRY_VOID(co_await disk_.remove(fmt::format("{}/{}", directory, name)));
    }
  }
  co_return Result<void>();
}

async::Task<Result<VolumeFacts>> VolumeStore::look(VolumeId id) {
  VolumeFacts facts;
  CO_TRY(facts.directory, co_await disk_.exists(directory_of(id)));
  if (!facts.directory) co_return facts;
  CO_TRY(facts.disk, co_await disks_.look(disk_of(id)));
  CO_TRY(facts.snapshots, co_await look_at_snapshots(id));
  co_return facts;
}

async::Task<Result<std::map<SnapshotId, DiskFacts>>> VolumeStore::look_at_snapshots(VolumeId id) {
  std::map<SnapshotId, DiskFacts> snapshots;
  CO_TRY(const bool there, co_await disk_.exists(snapshots_of(id)));
  if (!there) co_return snapshots;
  CO_TRY(const std::vector<std::string> names, co_await disk_.list(snapshots_of(id)));
  for (const std::string& name : names) {
    if (!name.ends_with(kSuffix)) continue;
    const SnapshotId snapshot(name.substr(0, name.size() - kSuffix.size()));
    CO_TRY(const auto facts, co_await disks_.look(snapshot_of(id, snapshot)));
    if (facts && is_safe_id(snapshot)) snapshots[snapshot] = *facts;
  }
  co_return snapshots;
}

}  // namespace perigee::worker
