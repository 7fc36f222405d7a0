#include "control/volume_frontend.h"

#include <algorithm>
#include <array>

#include "control/limits.h"
#include "control/node_rooms.h"
#include "crypto/aead.h"
#include "crypto/xts.h"
#include "model/json.h"

namespace perigee::control {
namespace {

constexpr std::size_t kIdDigits = 16;

std::string random_id(sys::Host& host, std::string_view prefix) {
  constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
  std::array<std::uint8_t, kIdDigits> random{};
  host.entropy.fill(random);
  std::string out(prefix);
  for (const std::uint8_t byte : random) out.push_back(kDigits[byte & 31U]);
  return out;
}

bool is_free(const model::Volume& volume) {
  return volume.machine.empty() && !volume.destroyed;
}

Result<Stored<model::Volume>> find(const Context& context, const AppName& app,
                                   const model::Mount& mount) {
  if (mount.volume.empty())
    return fail(Code::invalid_argument, "mounts: {}: the volume's id is missing (\"volume\")",
                mount.path);
  TRY_AS(auto stored, context.desired.volume(app, mount.volume), "mounts");
  if (stored.value.destroyed)
    return fail(Code::conflict, "mounts: volume {} is being destroyed", mount.volume);
  return stored;
}

Result<std::string> key_of(const Context& context, const VolumeId& volume) {
  const auto stored = context.desired.volumes().find(volume);
  if (stored == context.desired.volumes().end())
    return fail(Code::not_found, "volume {} is gone", volume);
  return context.keys.ring().open(place_of_key(volume), stored->second.value.sealed_key);
}

Result<std::string> sealed_key_for(const Context& context, const model::Volume& volume) {
  std::string key;
  if (volume.source_volume.empty()) {
    key = secrets::random_key(context.host.entropy, crypto::kXtsKeyBytes);
  } else {
    TRY_AS(key, key_of(context, volume.source_volume), "the key of the snapshot");
  }
  auto sealed = context.keys.ring().seal(place_of_key(volume.id), key, context.host.entropy);
  crypto::wipe(key);
  return sealed;
}

}  // namespace

secrets::Place place_of_key(const VolumeId& volume) {
  return {secrets::Kind::volume_key, volume.str()};
}

Result<void> check_room(const Context& context, const NodeId& node, std::int64_t more_mib,
                        const std::vector<model::Volume>& planned) {
  const ObservedTable::Node* known = context.observed.node(node);
  if (known == nullptr || known->lost)
    return fail(Code::unavailable, "node {} does not report at the moment", node);
  const std::int64_t room = disk_left(context, node, planned);
  if (more_mib <= room) return {};
  return fail(Code::resource_exhausted,
              "node {} has {} MiB of disk left for volumes, not {}; destroy volumes or snapshots "
              "there, or ask for less",
              node, std::max<std::int64_t>(room, 0), more_mib);
}

Result<model::Volume> make_volume(const Context& context, NewVolume wanted,
                                  const std::vector<model::Volume>& planned) {
  TRY_VOID(model::check_volume_name(wanted.name));
  const std::size_t have = context.desired.volumes_of(wanted.app).size() + planned.size();
  if (have >= kMaxVolumesPerApp)
    return fail(Code::resource_exhausted, "app \"{}\" has {} volumes: that is the most", wanted.app,
                have);
  TRY_VOID(check_room(context, wanted.node, wanted.size_mib, planned));
  model::Volume volume;
  volume.id = VolumeId(random_id(context.host, "vol_"));
  volume.name = std::move(wanted.name);
  volume.app = std::move(wanted.app);
  volume.region = std::move(wanted.region);
  volume.node = std::move(wanted.node);
  volume.size_mib = wanted.size_mib;
  volume.encrypted = wanted.encrypted;
  volume.source_volume = std::move(wanted.source_volume);
  volume.source_snapshot = std::move(wanted.source_snapshot);
  volume.snapshot_retention_days = wanted.snapshot_retention_days;
  volume.created_at = context.host.clock.wall();
  if (volume.encrypted) {
    TRY(volume.sealed_key, sealed_key_for(context, volume));
  }
  return volume;
}

SnapshotId make_snapshot_id(sys::Host& host) {
  return SnapshotId(random_id(host, "vs_"));
}

Result<void> check_no_restore(const Context& context, const model::Volume& source,
                              const SnapshotId& snapshot) {
  for (const auto& [id, stored] : context.desired.volumes()) {
    const model::Volume& volume = stored.value;
    if (volume.source_volume != source.id || volume.destroyed) continue;
    if (!snapshot.empty() && volume.source_snapshot != snapshot) continue;
    const model::VolumeStatus* status = context.observed.status(id);
    const bool made = status != nullptr && status->size_mib > 0;
    if (!made)
      return fail(Code::conflict, "volume {} is just being restored from snapshot {}", id,
                  volume.source_snapshot);
  }
  return {};
}

model::Volume without_expired_snapshots(model::Volume volume, WallTime now) {
  const Duration kept = volume.snapshot_retention_days * Duration(24h);
  std::erase_if(volume.snapshots, [&](const auto& each) { return each.created_at + kept <= now; });
  return volume;
}

Result<NodeId> node_of(const Context& context, const AppName& app,
                       const std::vector<model::Mount>& mounts) {
  NodeId node;
  for (const model::Mount& mount : mounts) {
    TRY(const auto stored, find(context, app, mount));
    if (!is_free(stored.value))
      return fail(
          Code::conflict,
          "mounts: volume {} is attached to machine {}; a volume is of one machine at a time",
          mount.volume, stored.value.machine);
    if (!node.empty() && node != stored.value.node)
      return fail(Code::invalid_argument, "mounts: the volumes are on different nodes, {} and {}",
                  node, stored.value.node);
    node = stored.value.node;
  }
  return node;
}

Result<void> attach(const Context& context, store::Transaction& t, const model::Machine& machine) {
  for (const model::Mount& mount : machine.config.mounts) {
    TRY(Stored<model::Volume> stored, find(context, machine.app, mount));
    if (stored.value.machine == machine.id) continue;
    if (!is_free(stored.value))
      return fail(Code::conflict, "volume {} was attached to machine {} meanwhile", mount.volume,
                  stored.value.machine);
    stored.value.machine = machine.id;
    put(t, stored.value, stored.revision);
  }
  return {};
}

void detach(const Context& context, store::Transaction& t, const model::Machine& machine) {
  for (const VolumeId& id : context.desired.volumes_on(machine.node)) {
    const Stored<model::Volume>& stored = context.desired.volumes().at(id);
    if (stored.value.machine != machine.id) continue;
    model::Volume volume = stored.value;
    volume.machine = MachineId();
    put(t, volume, stored.revision);
  }
}

Result<void> check_update(const model::Machine& machine, const model::MachineConfig& next) {
  const auto volumes = [](const model::MachineConfig& config) {
    std::vector<VolumeId> ids;
    for (const model::Mount& mount : config.mounts) ids.push_back(mount.volume);
    std::ranges::sort(ids);
    return ids;
  };
  if (volumes(machine.config) == volumes(next)) return {};
  return fail(Code::unsupported,
              "mounts: machine {} keeps the volumes that it has; make another machine with the "
              "volume, or destroy this one to set its volume free",
              machine.id);
}

const Stored<model::Volume>* free_volume(const Context& context, const AppName& app,
                                         const std::string& name, const RegionCode& region,
                                         const std::vector<VolumeId>& taken) {
  const Stored<model::Volume>* best = nullptr;
  for (const auto& [id, stored] : context.desired.volumes()) {
    const model::Volume& volume = stored.value;
    const bool fits = volume.app == app && volume.name == name && is_free(volume) &&
                      (region.empty() || volume.region == region) &&
                      std::ranges::find(taken, id) == taken.end();
    if (!fits) continue;
    if (best == nullptr || volume.created_at < best->value.created_at) best = &stored;
  }
  return best;
}

}  // namespace perigee::control
