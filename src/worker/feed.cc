#include "worker/feed.h"

#include "base/log.h"
#include "model/json.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::string_view kMachines = "/machines/";
constexpr std::string_view kVolumes = "/volumes/";
constexpr std::string_view kRegistries = "/registries/";
constexpr std::string_view kNames = "/names/";

}  // namespace

std::string FeedReader::position() const {
  return epoch_.empty() ? std::string() : fmt::format("{}-{}", epoch_, revision_);
}

void FeedReader::restart() {
  buffer_.clear();
  opened_ = false;
  snapshot_.reset();
}

Result<void> FeedReader::feed(std::string_view bytes) {
  buffer_.append(bytes);
  std::size_t start = 0;
  for (std::size_t end = buffer_.find('\n'); end != std::string::npos;
       end = buffer_.find('\n', start)) {
    TRY_VOID_AS(line(std::string_view(buffer_).substr(start, end - start)), "feed");
    start = end + 1;
  }
  buffer_.erase(0, start);
  if (buffer_.size() > kMaxFeedLine) {
    return fail(Code::resource_exhausted, "feed: a line is longer than {} bytes", kMaxFeedLine);
  }
  return {};
}

Result<void> FeedReader::line(std::string_view text) {
  if (text.empty()) return {};
  TRY(const json::Value value, json::parse(text));
  if (!value.is_object()) return fail(Code::data_loss, "a line is not an object");
  if (!opened_) return opening(value);
  if (value.members().empty()) return {};  // keep-alive
  return change(value);
}

Result<void> FeedReader::opening(const json::Value& value) {
  TRY(const std::int64_t version, value.require_int("version"));
  if (version != kVersion) {
    return fail(Code::unsupported, "version {}: this worker knows {}", version, kVersion);
  }
  TRY(const std::string epoch, value.require_string("epoch"));
  TRY(const std::int64_t revision, value.require_int("revision"));
  TRY(const bool snapshot, value.optional_bool("snapshot", false));
  if (!snapshot && (epoch != epoch_ || revision < revision_)) {
    epoch_.clear();  // ask for everything next time
    return fail(Code::data_loss, "changes of another history than ours, without a snapshot");
  }
  opened_ = true;
  if (snapshot) {
    snapshot_.emplace();
    epoch_.clear();  // until it is complete
    revision_ = 0;
    pending_epoch_ = epoch;
  }
  return {};
}

Result<void> FeedReader::change(const json::Value& value) {
  TRY(const std::int64_t revision, value.require_int("revision"));
  TRY(const bool synced, value.optional_bool("synced", false));
  if (synced) {
    if (!snapshot_) return {};
    const Snapshot all = *std::move(snapshot_);
    snapshot_.reset();
    epoch_ = pending_epoch_;
    revision_ = revision;
    sink_.registries_synced(all.registries);
    sink_.volumes_synced(all.volumes);
    sink_.names_synced(all.apps);
    sink_.synced(all.machines);
    return {};
  }
  TRY(const std::string key, value.require_string("key"));
  if (!snapshot_) revision_ = revision;
  const json::Value* content = value.find("value");
  if (content != nullptr && content->is_null()) content = nullptr;
  if (key.starts_with(kMachines)) machine_change(MachineId(key.substr(kMachines.size())), content);
  if (key.starts_with(kVolumes)) volume_change(VolumeId(key.substr(kVolumes.size())), content);
  if (key.starts_with(kRegistries)) registry_change(key.substr(kRegistries.size()), content);
  if (key.starts_with(kNames)) names_change(AppName(key.substr(kNames.size())), content);
  return {};
}

// One bad entry must not stop the others.
void FeedReader::machine_change(MachineId id, const json::Value* content) {
  if (content == nullptr) return sink_.machine_gone(std::move(id));
  Result<model::Machine> machine = model::machine_from(*content);
  if (snapshot_) snapshot_->machines.insert(id);
  if (machine && machine->id == id) return sink_.machine_wanted(*std::move(machine));
  log_error("worker", "feed: machine {}: {}", id,
            machine ? "its id differs from its key" : machine.error().context);
}

void FeedReader::volume_change(VolumeId id, const json::Value* content) {
  if (content == nullptr) return sink_.volume_gone(std::move(id));
  Result<model::Volume> volume = model::volume_from(*content);
  if (snapshot_) snapshot_->volumes.insert(id);
  if (volume && volume->id == id) return sink_.volume_wanted(*std::move(volume));
  log_error("worker", "feed: volume {}: {}", id,
            volume ? "its id differs from its key" : volume.error().context);
}

void FeedReader::registry_change(std::string registry, const json::Value* content) {
  if (content == nullptr) return sink_.registry_gone(std::move(registry));
  Result<model::RegistryLogin> login = model::registry_login_from(*content);
  if (snapshot_) snapshot_->registries.insert(registry);
  if (login && login->registry == registry) return sink_.registry_wanted(*std::move(login));
  log_error("worker", "feed: registry {}: {}", registry,
            login ? "its name differs from its key" : login.error().context);
}

void FeedReader::names_change(AppName app, const json::Value* content) {
  if (content == nullptr) return sink_.names_gone(std::move(app));
  Result<model::AppNames> names = model::app_names_from(*content);
  if (snapshot_) snapshot_->apps.insert(app);
  if (names && names->app == app) return sink_.names_told(*std::move(names));
  log_error("worker", "feed: names of {}: {}", app,
            names ? "the app differs from the key" : names.error().context);
}

}  // namespace perigee::worker
