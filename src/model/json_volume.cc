// JSON of volumes: as the store and the feed hold them, as workers report them, and as the public
// API shows them.
#include <algorithm>

#include "base/text.h"
#include "model/json.h"
#include "model/json_parts.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

constexpr std::int64_t kMibPerGib = 1024;
constexpr EnumNames<VolumeState, 7> kVolumeStates{{{VolumeState::creating, "creating"},
                                                   {VolumeState::created, "created"},
                                                   {VolumeState::extending, "extending"},
                                                   {VolumeState::restoring, "restoring"},
                                                   {VolumeState::destroying, "destroying"},
                                                   {VolumeState::destroyed, "destroyed"},
                                                   {VolumeState::failed, "failed"}}};

json::Value to_json(const Snapshot& snapshot) {
  return json::object({{"id", snapshot.id.str()}, {"created_at_ns", snapshot.created_at.ns}});
}

Result<Snapshot> snapshot_from(const json::Value& value) {
  Snapshot snapshot;
  TRY(const std::string id, value.require_string("id"));
  snapshot.id = SnapshotId(id);
  TRY(snapshot.created_at.ns, value.optional_int("created_at_ns", 0));
  return snapshot;
}

Result<SnapshotStatus> snapshot_status_from(const json::Value& value) {
  SnapshotStatus status;
  TRY(const std::string id, value.require_string("id"));
  status.id = SnapshotId(id);
  TRY(status.size_mib, value.optional_int("size_mib", 0));
  return status;
}

// The state as users see it: what is wanted counts before the worker has heard of it.
VolumeState public_state(const Volume& volume, const VolumeStatus* status) {
  if (volume.destroyed) return VolumeState::destroying;
  if (status == nullptr) {
    return volume.source_snapshot.empty() ? VolumeState::creating : VolumeState::restoring;
  }
  if (status->state == VolumeState::created && status->size_mib < volume.size_mib) {
    return VolumeState::extending;
  }
  return status->state;
}

const SnapshotStatus* find_snapshot(const VolumeStatus* status, const SnapshotId& id) {
  if (status == nullptr) return nullptr;
  for (const SnapshotStatus& each : status->snapshots) {
    if (each.id == id) return &each;
  }
  return nullptr;
}

}  // namespace

Result<std::int64_t> volume_size_in(const json::Value& value) {
  TRY(const std::int64_t gib, value.optional_int("size_gb", 0));
  if (gib < 0 || gib > kMaxVolumeMib / kMibPerGib) {
    return fail(Code::invalid_argument, "size_gb: {} is not from 1 to {}", gib,
                kMaxVolumeMib / kMibPerGib);
  }
  TRY(const std::int64_t mib, value.optional_int("size_mb", gib * kMibPerGib));
  if (mib != 0 && (mib < kMinVolumeMib || mib > kMaxVolumeMib)) {
    return fail(Code::invalid_argument, "size_mb: {} is not from {} to {}", mib, kMinVolumeMib,
                kMaxVolumeMib);
  }
  return mib;
}

Result<void> check_volume_name(std::string_view name) {
  constexpr std::size_t kMaxName = 30;
  const bool sound =
      !name.empty() && name.size() <= kMaxName && name[0] >= 'a' && name[0] <= 'z' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
  if (sound) return {};
  return fail(Code::invalid_argument,
              "volume name \"{}\": a-z, 0-9 and _, starting with a letter, at most {}", name,
              kMaxName);
}

json::Value to_json(const Mount& mount) {
  json::Value out =
      json::object({{"volume", mount.volume.str()}, {"name", mount.name}, {"path", mount.path}});
  if (mount.size_mib > 0) out.set("size_mb", mount.size_mib);
  if (mount.encrypted) out.set("encrypted", *mount.encrypted);
  return out;
}

Result<Mount> mount_from(const json::Value& value) {
  Mount mount;
  TRY(const std::string volume, value.optional_string("volume"));
  mount.volume = VolumeId(volume);
  TRY(mount.name, value.optional_string("name"));
  TRY(mount.path, value.require_string("path"));
  TRY(mount.size_mib, volume_size_in(value));
  const json::Value* encrypted = value.find("encrypted");
  if (encrypted == nullptr || encrypted->is_null()) return mount;
  TRY(mount.encrypted, value.optional_bool("encrypted", false));
  return mount;
}

// In the guest the path is made where it is missing; what would hide the machine's own parts is
// refused.
Result<void> validate_mount(const Mount& mount) {
  constexpr std::size_t kMaxPath = 255;
  const std::string& path = mount.path;
  const auto refuse = [&](std::string_view why) {
    return fail(Code::invalid_argument, "mounts: path \"{}\": {}", path, why);
  };
  if (!path.starts_with('/') || path.size() > kMaxPath) {
    return refuse("must be absolute, of at most 255 characters");
  }
  if (path.find_first_not_of('/') == std::string::npos) return refuse("the root can't be a volume");
  for (const std::string_view part : split(path, '/')) {
    if (part == "." || part == "..") return refuse("must not have . or .. in it");
  }
  if (std::ranges::any_of(path, [](char c) { return c < ' '; })) {
    return refuse("must not have control characters in it");
  }
  for (const std::string_view taken : {"/dev", "/proc", "/sys"}) {
    if (path == taken || path.starts_with(std::string(taken) + "/")) {
      return refuse("is taken by the system");
    }
  }
  if (mount.volume.empty() && mount.name.empty()) {
    return fail(Code::invalid_argument, "mounts: {}: needs the id of a volume, or a name", path);
  }
  return mount.name.empty() ? Result<void>() : check_volume_name(mount.name);
}

json::Value to_json(const Volume& volume) {
  json::Value snapshots = json::array();
  for (const Snapshot& snapshot : volume.snapshots) snapshots.push(to_json(snapshot));
  return json::object({{"id", volume.id.str()},
                       {"name", volume.name},
                       {"app", volume.app.str()},
                       {"region", volume.region.str()},
                       {"node", volume.node.str()},
                       {"size_mib", volume.size_mib},
                       {"encrypted", volume.encrypted},
                       {"sealed_key", volume.sealed_key},
                       {"machine", volume.machine.str()},
                       {"source_volume", volume.source_volume.str()},
                       {"source_snapshot", volume.source_snapshot.str()},
                       {"snapshots", std::move(snapshots)},
                       {"snapshot_retention_days", volume.snapshot_retention_days},
                       {"destroyed", volume.destroyed},
                       {"created_at_ns", volume.created_at.ns}});
}

Result<Volume> volume_from(const json::Value& value) {
  constexpr int kMaxDays = 36500;
  Volume volume;
  TRY(const std::string id, value.require_string("id"));
  TRY(const std::string app, value.require_string("app"));
  TRY(const std::string region, value.optional_string("region"));
  TRY(const std::string node, value.optional_string("node"));
  TRY(const std::string machine, value.optional_string("machine"));
  TRY(const std::string source_volume, value.optional_string("source_volume"));
  TRY(const std::string source_snapshot, value.optional_string("source_snapshot"));
  volume.id = VolumeId(id);
  volume.app = AppName(app);
  volume.region = RegionCode(region);
  volume.node = NodeId(node);
  volume.machine = MachineId(machine);
  volume.source_volume = VolumeId(source_volume);
  volume.source_snapshot = SnapshotId(source_snapshot);
  TRY(volume.name, value.optional_string("name"));
  TRY(volume.size_mib, value.require_int("size_mib"));
  if (volume.size_mib < kMinVolumeMib || volume.size_mib > kMaxVolumeMib) {
    return fail(Code::data_loss, "size_mib: {}", volume.size_mib);
  }
  TRY(volume.encrypted, value.optional_bool("encrypted", false));
  TRY(volume.sealed_key, value.optional_string("sealed_key"));
  TRY(volume.snapshots, list_of<Snapshot>(value, "snapshots", kMaxSnapshots, snapshot_from));
  TRY(volume.snapshot_retention_days, int_in(value, "snapshot_retention_days", 5, 0, kMaxDays));
  TRY(volume.destroyed, value.optional_bool("destroyed", false));
  TRY(volume.created_at.ns, value.optional_int("created_at_ns", 0));
  return volume;
}

json::Value to_json(const VolumeStatus& status) {
  json::Value snapshots = json::array();
  for (const SnapshotStatus& each : status.snapshots) {
    snapshots.push(json::object({{"id", each.id.str()}, {"size_mib", each.size_mib}}));
  }
  return json::object({{"id", status.id.str()},
                       {"state", name_of(kVolumeStates, status.state)},
                       {"size_mib", status.size_mib},
                       {"used_mib", status.used_mib},
                       {"error", status.error},
                       {"snapshots", std::move(snapshots)}});
}

Result<VolumeStatus> volume_status_from(const json::Value& value) {
  VolumeStatus status;
  TRY(const std::string id, value.require_string("id"));
  status.id = VolumeId(id);
  TRY(status.state, enum_in(kVolumeStates, value, "state", VolumeState::creating));
  TRY(status.size_mib, value.optional_int("size_mib", 0));
  TRY(status.used_mib, value.optional_int("used_mib", 0));
  TRY(status.error, value.optional_string("error"));
  TRY(status.snapshots,
      list_of<SnapshotStatus>(value, "snapshots", kMaxSnapshots, snapshot_status_from));
  return status;
}

json::Value public_volume(const Volume& volume, const VolumeStatus* status) {
  json::Value attached;
  if (!volume.machine.empty()) attached = json::Value(volume.machine.str());
  json::Value out = json::object({{"id", volume.id.str()},
                                  {"name", volume.name},
                                  {"state", name_of(kVolumeStates, public_state(volume, status))},
                                  {"size_gb", (volume.size_mib + kMibPerGib - 1) / kMibPerGib},
                                  {"size_mb", volume.size_mib},
                                  {"region", volume.region.str()},
                                  {"zone", volume.node.str()},
                                  {"encrypted", volume.encrypted},
                                  {"fstype", "ext4"},
                                  {"attached_machine_id", std::move(attached)},
                                  {"created_at", to_rfc3339(volume.created_at)},
                                  {"snapshot_retention", volume.snapshot_retention_days},
                                  {"auto_backup_enabled", false},
                                  {"host_status", status == nullptr ? "unknown" : "ok"}});
  if (status != nullptr) out.set("used_mb", status->used_mib);
  if (status != nullptr && !status->error.empty()) out.set("error", status->error);
  return out;
}

json::Value public_snapshots(const Volume& volume, const VolumeStatus* status) {
  json::Value out = json::array();
  for (const Snapshot& snapshot : volume.snapshots) {
    const SnapshotStatus* made = find_snapshot(status, snapshot.id);
    out.push(json::object({{"id", snapshot.id.str()},
                           {"status", made == nullptr ? "creating" : "created"},
                           {"size", made == nullptr ? 0 : made->size_mib * 1024 * 1024},
                           {"created_at", to_rfc3339(snapshot.created_at)},
                           {"retention_days", volume.snapshot_retention_days}}));
  }
  return out;
}

}  // namespace perigee::model
