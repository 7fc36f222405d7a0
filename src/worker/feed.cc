#include "worker/feed.h"

#include "base/log.h"
#include "model/json.h"

namespace perigee::worker {
namespace {

constexpr std::string_view kMachines = "/machines/";
constexpr std::string_view kVolumes = "/volumes/";
constexpr std::string_view kRegistries = "/registries/";
constexpr std::string_view kNames = "/names/";

// The ids behind `prefix`. A value that could not be read counts as there: it is not cleaned away.
template <typename Id>
std::set<Id> named(const std::set<std::string>& keys, std::string_view prefix) {
  std::set<Id> out;
  for (const std::string& key : keys) {
    if (key.starts_with(prefix)) out.insert(Id(key.substr(prefix.size())));
  }
  return out;
}

}  // namespace

void FeedDecoder::changed(const std::string& key, const json::Value* value) {
  if (key.starts_with(kMachines)) machine_change(MachineId(key.substr(kMachines.size())), value);
  if (key.starts_with(kVolumes)) volume_change(VolumeId(key.substr(kVolumes.size())), value);
  if (key.starts_with(kRegistries)) registry_change(key.substr(kRegistries.size()), value);
  if (key.starts_with(kNames)) names_change(AppName(key.substr(kNames.size())), value);
}

// What machines need is told before they are.
void FeedDecoder::synced(const std::set<std::string>& keys) {
  sink_.registries_synced(named<std::string>(keys, kRegistries));
  sink_.volumes_synced(named<VolumeId>(keys, kVolumes));
  sink_.names_synced(named<AppName>(keys, kNames));
  sink_.synced(named<MachineId>(keys, kMachines));
}

// One bad entry must not stop the others.
void FeedDecoder::machine_change(MachineId id, const json::Value* content) {
  if (content == nullptr) return sink_.machine_gone(std::move(id));
  Result<model::Machine> machine = model::machine_from(*content);
  if (machine && machine->id == id) return sink_.machine_wanted(*std::move(machine));
  log_error("worker", "feed: machine {}: {}", id,
            machine ? "its id differs from its key" : machine.error().context);
}

void FeedDecoder::volume_change(VolumeId id, const json::Value* content) {
  if (content == nullptr) return sink_.volume_gone(std::move(id));
  Result<model::Volume> volume = model::volume_from(*content);
  if (volume && volume->id == id) return sink_.volume_wanted(*std::move(volume));
  log_error("worker", "feed: volume {}: {}", id,
            volume ? "its id differs from its key" : volume.error().context);
}

void FeedDecoder::registry_change(std::string registry, const json::Value* content) {
  if (content == nullptr) return sink_.registry_gone(std::move(registry));
  Result<model::RegistryLogin> login = model::registry_login_from(*content);
  if (login && login->registry == registry) return sink_.registry_wanted(*std::move(login));
  log_error("worker", "feed: registry {}: {}", registry,
            login ? "its name differs from its key" : login.error().context);
}

void FeedDecoder::names_change(AppName app, const json::Value* content) {
  if (content == nullptr) return sink_.names_gone(std::move(app));
  Result<model::AppNames> names = model::app_names_from(*content);
  if (names && names->app == app) return sink_.names_told(*std::move(names));
  log_error("worker", "feed: names of {}: {}", app,
            names ? "the app differs from the key" : names.error().context);
}

}  // namespace perigee::worker
