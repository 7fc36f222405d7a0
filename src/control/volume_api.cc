#include "control/volume_api.h"

#include <algorithm>
#include <limits>

#include "control/app_api.h"
#include "control/limits.h"
#include "control/machine_view.h"
#include "control/node_rooms.h"
#include "control/volume_frontend.h"
#include "model/json.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

constexpr int kMaxRetentionDays = 60;

Result<int> retention_in(const json::Value& body, int fallback) {
  TRY(const std::int64_t days, body.optional_int("snapshot_retention", fallback));
  if (days < 1 || days > kMaxRetentionDays)
    return fail(Code::invalid_argument, "snapshot_retention: from 1 to {} days", kMaxRetentionDays);
  return static_cast<int>(days);
}

Result<void> check_plain(const json::Value& body) {
  TRY(const std::string fstype, body.optional_string("fstype", "ext4"));
  if (fstype != "ext4")
    return fail(Code::unsupported, "fstype: \"{}\" is not supported, only ext4", fstype);
  TRY(const std::string source, body.optional_string("source_volume_id"));
  if (!source.empty())
    return fail(Code::unsupported,
                "source_volume_id: make a snapshot of the volume, and give snapshot_id");
  return {};
}

struct Source {
  model::Volume volume;
  SnapshotId snapshot;
};

Result<Source> source_of(const Context& context, const AppName& app, const SnapshotId& id) {
  for (const auto& [volume_id, stored] : context.desired.volumes()) {
    const auto& snapshots = stored.value.snapshots;
    if (stored.value.app == app && !stored.value.destroyed &&
        std::ranges::find(snapshots, id, &model::Snapshot::id) != snapshots.end())
      return Source{stored.value, id};
  }
  return fail(Code::not_found, "snapshot_id: app \"{}\" has no snapshot \"{}\"", app, id);
}

// The node of the region that takes machines and has the most room.
Result<NodeId> node_with_room(const Context& context, const AppName& app, const RegionCode& region,
                              std::int64_t size_mib) {
  Result<NodeId> best = fail(Code::unavailable, "no node{}{} takes volumes at the moment",
                             region.empty() ? "" : " of region ", region);
  std::int64_t most = std::numeric_limits<std::int64_t>::min();
  for (const NodeRoom& node : node_rooms(context, region, app, {})) {
    if (node.state != NodeRoom::State::ready || node.disk_mib <= most) continue;
    most = node.disk_mib;
    best = node.node;
  }
  if (best) TRY_VOID(check_room(context, *best, size_mib, {}));
  return best;
}

}  // namespace

void VolumeApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/volumes";
  const std::string one = all + "/{volume}";
  table.answer("GET", all, guard, [this](Call& call) { return list(call); });
  table.answer("POST", all, guard, [this](Call& call) { return create(call); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("PUT", one, guard, [this](Call& call) { return update(call); });
  table.answer("DELETE", one, guard, [this](Call& call) { return destroy(call); });
  table.answer("PUT", one + "/extend", guard, [this](Call& call) { return extend(call); });
  table.answer("GET", one + "/snapshots", guard,
               [this](Call& call) { return list_snapshots(call); });
  table.answer("POST", one + "/snapshots", guard,
               [this](Call& call) { return create_snapshot(call); });
  table.answer("DELETE", one + "/snapshots/{snapshot}", guard,
               [this](Call& call) { return destroy_snapshot(call); });
}

Result<VolumeApi::Volume> VolumeApi::find(const Call& call) const {
  TRY(const AppName app, app_of(call));
  return context_.desired.volume(app, VolumeId(call.param("volume")));
}

Result<VolumeApi::Volume> VolumeApi::find_present(const Call& call) const {
  TRY(Volume volume, find(call));
  if (volume.value.destroyed)
    return fail(Code::conflict, "volume {} is being destroyed", volume.value.id);
  return volume;
}

json::Value VolumeApi::view(const model::Volume& volume) const {
  return model::public_volume(volume, context_.observed.status(volume.id));
}

async::Task<Result<void>> VolumeApi::replace(Volume stored, model::Volume next) {
  store::Transaction transaction;
  put(transaction, next, stored.revision);
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<Reply>> VolumeApi::list(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  json::Value out = json::array();
  for (const Volume& each : context_.desired.volumes_of(app)) out.push(view(each.value));
  co_return Reply{200, std::move(out)};
}

async::Task<Result<Reply>> VolumeApi::create(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY(const auto known, context_.desired.app(app));
  CO_TRY_VOID(check_plain(call.body));
  NewVolume wanted{.app = app};
  CO_TRY(wanted.name, call.body.require_string("name"));
  CO_TRY(wanted.size_mib, model::volume_size_in(call.body));
  CO_TRY(wanted.snapshot_retention_days, retention_in(call.body, wanted.snapshot_retention_days));
  CO_TRY(const std::string region, call.body.optional_string("region"));
  if (!region.empty()) {
    CO_TRY_AS(wanted.region, model::parse_region(region), "region");
  }
  CO_TRY(const std::string snapshot, call.body.optional_string("snapshot_id"));
  if (snapshot.empty()) {
    if (wanted.size_mib == 0) wanted.size_mib = model::kUsualVolumeMib;
    CO_TRY(wanted.encrypted, call.body.optional_bool("encrypted", model::kVolumesAreEncrypted));
    CO_TRY(wanted.node, node_with_room(context_, app, wanted.region, wanted.size_mib));
  } else {  // where the snapshot is, and at least as large
    CO_TRY(const Source source, source_of(context_, app, SnapshotId(snapshot)));
    wanted.node = source.volume.node;
    wanted.source_volume = source.volume.id;
    wanted.source_snapshot = source.snapshot;
    wanted.encrypted = source.volume.encrypted;  // what is copied is not encrypted anew
    CO_TRY(const bool encrypted, call.body.optional_bool("encrypted", wanted.encrypted));
    if (encrypted != wanted.encrypted)
      co_return fail(Code::unsupported,
                     "encrypted: the snapshot's volume is {}encrypted, and so is a copy of it",
                     wanted.encrypted ? "" : "not ");
    if (wanted.size_mib == 0) wanted.size_mib = source.volume.size_mib;
    if (wanted.size_mib < source.volume.size_mib)
      co_return fail(Code::invalid_argument, "size_mb: the snapshot's volume has {}; give as much",
                     source.volume.size_mib);
  }
  const ObservedTable::Node* node = context_.observed.node(wanted.node);
  if (node != nullptr) wanted.region = node->report.region;
  CO_TRY(const model::Volume volume, make_volume(context_, std::move(wanted), {}));
  store::Transaction transaction;
  transaction.expect(app_key(app), known.revision);
  put(transaction, volume, 0);
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return Reply{200, view(volume)};
}

async::Task<Result<Reply>> VolumeApi::show(Call& call) {
  CO_TRY(const Volume volume, find(call));
  co_return Reply{200, view(volume.value)};
}

async::Task<Result<Reply>> VolumeApi::update(Call& call) {
  CO_TRY(const Volume volume, find_present(call));
  model::Volume next = volume.value;
  CO_TRY(next.snapshot_retention_days, retention_in(call.body, next.snapshot_retention_days));
  CO_TRY_VOID(co_await replace(volume, next));
  co_return Reply{200, view(next)};
}

async::Task<Result<Reply>> VolumeApi::destroy(Call& call) {
  CO_TRY(const Volume volume, find(call));
  if (!volume.value.machine.empty())
    co_return fail(Code::conflict, "volume {} is attached to machine {}; destroy the machine first",
                   volume.value.id, volume.value.machine);
  CO_TRY_VOID(check_no_restore(context_, volume.value, {}));
  model::Volume next = volume.value;
  next.destroyed = true;
  if (!volume.value.destroyed) CO_TRY_VOID(co_await replace(volume, next));
  co_return Reply{200, view(next)};
}

async::Task<Result<Reply>> VolumeApi::extend(Call& call) {
  CO_TRY(const Volume volume, find_present(call));
  CO_TRY(const std::int64_t size, model::volume_size_in(call.body));
  if (size == 0) co_return fail(Code::invalid_argument, "size_gb: missing");
  if (size <= volume.value.size_mib)
    co_return fail(Code::invalid_argument,
                   "size_gb: volume {} has {} MiB; it can only become larger", volume.value.id,
                   volume.value.size_mib);
  CO_TRY_VOID(check_room(context_, volume.value.node, size - volume.value.size_mib, {}));
  model::Volume next = volume.value;
  next.size_mib = size;
  CO_TRY_VOID(co_await replace(volume, next));
  // The file system grows when the machine boots.
  const auto machine = context_.desired.machines().find(next.machine);
  const bool runs = machine != context_.desired.machines().end() &&
                    machine->second.value.desired != model::DesiredState::stopped;
  co_return Reply{200, json::object({{"volume", view(next)}, {"needs_restart", runs}})};
}

async::Task<Result<Reply>> VolumeApi::list_snapshots(Call& call) {
  CO_TRY(const Volume volume, find(call));
  co_return Reply{200,
                  model::public_snapshots(volume.value, context_.observed.status(volume.value.id))};
}

async::Task<Result<Reply>> VolumeApi::create_snapshot(Call& call) {
  CO_TRY(const Volume volume, find_present(call));
  model::Volume next = volume.value;
  if (next.snapshots.size() >= model::kMaxSnapshots)
    co_return fail(Code::resource_exhausted,
                   "volume {} has {} snapshots: that is the most; destroy one first", next.id,
                   next.snapshots.size());
  const model::VolumeStatus* status = context_.observed.status(next.id);
  const std::int64_t used = status == nullptr ? next.size_mib : status->used_mib;
  CO_TRY_VOID(check_room(context_, next.node, used, {}));
  next.snapshots.push_back(
      {.id = make_snapshot_id(context_.host), .created_at = context_.host.clock.wall()});
  CO_TRY_VOID(co_await replace(volume, next));
  const json::Value all = model::public_snapshots(next, context_.observed.status(next.id));
  co_return Reply{200, all.items().back()};
}

async::Task<Result<Reply>> VolumeApi::destroy_snapshot(Call& call) {
  CO_TRY(const Volume volume, find_present(call));
  const SnapshotId id(call.param("snapshot"));
  model::Volume next = volume.value;
  if (std::erase_if(next.snapshots, [&](const auto& each) { return each.id == id; }) == 0)
    co_return fail(Code::not_found, "volume {} has no snapshot \"{}\"", next.id, id);
  CO_TRY_VOID(check_no_restore(context_, volume.value, id));
  CO_TRY_VOID(co_await replace(volume, next));
  co_return Reply{200, json::object({{"ok", true}})};
}

}  // namespace perigee::control
