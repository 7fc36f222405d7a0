#include "control/release_machines.h"

#include <algorithm>

#include "control/machine_frontend.h"
#include "control/scale_view.h"
#include "control/volume_frontend.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

const model::Mount* mount_named(const model::MachineConfig& config, const std::string& name) {
  const auto found = std::ranges::find(config.mounts, name, &model::Mount::name);
  return found == config.mounts.end() ? nullptr : &*found;
}

std::vector<VolumeId> ids_of(const PlannedMachines& planned) {
  std::vector<VolumeId> ids;
  for (const auto& [volume, revision] : planned.volumes) ids.push_back(volume.id);
  return ids;
}

// What the nodes have to have room for beside what the store holds.
Planned made_so_far(const PlannedMachines& planned) {
  Planned out{.machines = planned.machines};
  for (const auto& [volume, revision] : planned.volumes) {
    if (revision == 0) out.volumes.push_back(volume);
  }
  return out;
}

std::int64_t size_of(const model::Mount& mount) {
  return mount.size_mib > 0 ? mount.size_mib : model::kUsualVolumeMib;
}

// Of the mounts that no volume was found for.
std::int64_t new_volumes_mib(const model::MachineConfig& config) {
  std::int64_t out = 0;
  for (const model::Mount& mount : config.mounts) out += mount.volume.empty() ? size_of(mount) : 0;
  return out;
}

// Free volumes for the mounts, as far as there are any; the machine goes where they are.
void claim_free_volumes(const Context& context, NewMachine& wanted, PlannedMachines& planned) {
  for (model::Mount& mount : wanted.config.mounts) {
    const auto* free = free_volume(context, wanted.app, mount.name, wanted.region, ids_of(planned));
    if (free == nullptr || (!wanted.node.empty() && free->value.node != wanted.node)) continue;
    mount.volume = free->value.id;
    wanted.node = free->value.node;
    planned.volumes.emplace_back(free->value, free->revision);
  }
}

Result<void> make_missing_volumes(const Context& context, model::Machine& machine,
                                  PlannedMachines& planned) {
  for (model::Mount& mount : machine.config.mounts) {
    if (!mount.volume.empty()) continue;
    NewVolume wanted{.app = machine.app,
                     .name = mount.name,
                     .region = machine.region,
                     .node = machine.node,
                     .size_mib = size_of(mount),
                     .encrypted = mount.encrypted.value_or(model::kVolumesAreEncrypted)};
    TRY(model::Volume volume,
        make_volume(context, std::move(wanted), made_so_far(planned).volumes));
    mount.volume = volume.id;
    planned.volumes.emplace_back(std::move(volume), 0);
  }
  return {};
}

Result<void> add_machine(const Context& context, const ReleaseRecord& record, Entry entry,
                         const Addition& addition, PlannedMachines& planned) {
  const bool deploy = entry == Entry::at_switch;
  NewMachine wanted{.app = record.release.app,
                    .region = addition.region,
                    .config = record.release.config,
                    .image = record.release.image,
                    .release = record.release.version,
                    .replaces = addition.replaces,
                    .cordoned = deploy,
                    .origin = deploy ? model::Origin::deploy : model::Origin::scale};
  claim_free_volumes(context, wanted, planned);
  wanted.disk_mib = new_volumes_mib(wanted.config);
  TRY(model::Machine machine, make_machine(context, std::move(wanted), made_so_far(planned)));
  TRY_VOID(make_missing_volumes(context, machine, planned));
  for (auto& [volume, revision] : planned.volumes) {
    if (volume.machine.empty()) volume.machine = machine.id;
  }
  planned.machines.push_back(std::move(machine));
  return {};
}

// The app's machines as they will be when `record` runs.
ScaleView view_for(const Context& context, const model::App& app, const ReleaseRecord& record,
                   std::int64_t version) {
  ReleaseRecord release = record;
  release.release.version = version;
  return scale_view(context, fleet_view(context), app, release,
                    context.desired.machines_of(app.name));
}

std::string joined(const std::vector<std::string>& notes) {
  std::string out;
  for (const std::string& note : notes) out += (out.empty() ? "" : "; ") + note;
  return out;
}

}  // namespace

Result<Places> places_for(const Context& context, const model::App& app,
                          const ReleaseRecord& record, int missing) {
  const auto all = static_cast<std::size_t>(missing);
  if (!app.scale.has_regions()) return Places{{all, Addition{record.region}}, {}};
  const ScaleView view = view_for(context, app, record, record.release.version);
  ScalePlan plan = plan_scale(view);
  if (plan.add.size() > all) plan.add.resize(all);
  if (plan.add.size() == all) return Places{std::move(plan.add), {}};
  const bool any_node =
      std::ranges::any_of(view.regions, [&](const ScaleRegion& each) { return each.nodes > 0; });
  if (!any_node) return fail(Code::unavailable, "no node takes machines at the moment");
  const std::vector<RegionCode> wanted = regions_of(view);
  const bool full = std::ranges::any_of(view.regions, [&](const ScaleRegion& each) {
    const bool listed = std::ranges::find(wanted, each.region) != wanted.end();
    return listed && each.nodes > 0 && each.room == 0;
  });
  if (full || app.scale.count || plan.add.empty())
    return fail(full ? Code::resource_exhausted : Code::unavailable, "{}", joined(plan.notes));
  return Places{std::move(plan.add), joined(plan.notes)};
}

int usual_count(const Context& context, const model::App& app, const ReleaseRecord& record) {
  const auto have = [&](auto of_release) {
    const auto machines = context.desired.machines_of(app.name);
    return static_cast<int>(std::ranges::count_if(
        machines, [&](const auto& each) { return of_release(each.value.release); }));
  };
  if (!app.scale.is_set()) return std::max(1, have([](std::int64_t of) { return of != 0; }));
  return std::max(1, plan_scale(view_for(context, app, record, app.current_release)).total);
}

Result<PlannedMachines> plan_machines(const Context& context, const ReleaseRecord& record,
                                      Entry entry, const std::vector<Addition>& additions) {
  PlannedMachines planned;
  for (const Addition& each : additions)
    TRY_VOID(add_machine(context, record, entry, each, planned));
  return planned;
}

bool holds_volumes_of(const model::Machine& machine, const model::MachineConfig& release) {
  const auto& wanted = release.mounts;
  return !wanted.empty() && wanted.size() == machine.config.mounts.size() &&
         std::ranges::all_of(wanted, [&](const model::Mount& mount) {
           return mount_named(machine.config, mount.name) != nullptr;
         });
}

model::Machine taken_over(const Context& context, const model::Machine& machine,
                          const model::Release& release) {
  model::MachineConfig config = release.config;
  for (model::Mount& mount : config.mounts) {
    if (const model::Mount* held = mount_named(machine.config, mount.name))
      mount.volume = held->volume;
  }
  model::Machine next = updated(machine, std::move(config), release.image, context.host);
  next.secrets = sealed_secrets(context, next.app);
  next.release = release.version;
  next.desired = model::DesiredState::started;
  next.origin = model::Origin::deploy;
  return next;
}

}  // namespace perigee::control
