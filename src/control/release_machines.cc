#include "control/release_machines.h"

#include <algorithm>

#include "control/machine_frontend.h"
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

std::vector<model::Volume> new_volumes(const PlannedMachines& planned) {
  std::vector<model::Volume> volumes;
  for (const auto& [volume, revision] : planned.volumes) {
    if (revision == 0) volumes.push_back(volume);
  }
  return volumes;
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
                     .size_mib = mount.size_mib > 0 ? mount.size_mib : model::kUsualVolumeMib,
                     .encrypted = mount.encrypted.value_or(model::kVolumesAreEncrypted)};
    TRY(model::Volume volume, make_volume(context, std::move(wanted), new_volumes(planned)));
    mount.volume = volume.id;
    planned.volumes.emplace_back(std::move(volume), 0);
  }
  return {};
}

Result<void> add_machine(const Context& context, const ReleaseRecord& record,
                         PlannedMachines& planned) {
  NewMachine wanted{.app = record.release.app,
                    .region = record.region,
                    .config = record.release.config,
                    .image = record.release.image,
                    .release = record.release.version,
                    .cordoned = true};
  claim_free_volumes(context, wanted, planned);
  TRY(model::Machine machine, make_machine(context, std::move(wanted), planned.machines));
  TRY_VOID(make_missing_volumes(context, machine, planned));
  for (auto& [volume, revision] : planned.volumes) {
    if (volume.machine.empty()) volume.machine = machine.id;
  }
  planned.machines.push_back(std::move(machine));
  return {};
}

}  // namespace

Result<PlannedMachines> plan_machines(const Context& context, const ReleaseRecord& record,
                                      int count) {
  PlannedMachines planned;
  for (int i = 0; i < count; ++i) TRY_VOID(add_machine(context, record, planned));
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
