#include "control/desired_table.h"

#include <algorithm>
#include <limits>

#include "async/combine.h"
#include "base/log.h"
#include "base/text.h"
#include "control/autostop.h"
#include "model/json.h"

namespace perigee::control {
namespace {

// Puts the parsed value under `id`, or erases it where the key was deleted.
template <typename Map, typename Parse>
Result<void> store_in(Map& map, typename Map::key_type id, const std::optional<std::string>& text,
                      store::Revision revision, Parse parse) {
  if (!text) {
    map.erase(id);
    return {};
  }
  TRY(const json::Value document, json::parse(*text));
  TRY(auto value, parse(document));
  map[std::move(id)] = {std::move(value), revision};
  return {};
}

// The same for what there is one of.
template <typename T, typename Parse>
Result<void> store_in(std::optional<Stored<T>>& place, const std::optional<std::string>& text,
                      store::Revision revision, Parse parse) {
  if (!text) {
    place.reset();
    return {};
  }
  TRY(const json::Value document, json::parse(*text));
  TRY(T value, parse(document));
  place = Stored<T>{std::move(value), revision};
  return {};
}

std::optional<DesiredTable::ReleaseId> release_id(std::string_view rest) {
  const auto parts = split_once(rest, '/');
  if (!parts) return std::nullopt;
  const auto version = parse_uint(parts->second, std::numeric_limits<std::int64_t>::max());
  if (!version) return std::nullopt;
  return DesiredTable::ReleaseId(AppName(std::string(parts->first)),
                                 static_cast<std::int64_t>(*version));
}

std::optional<DesiredTable::SecretId> secret_id(std::string_view rest) {
  const auto parts = split_once(rest, '/');
  if (!parts) return std::nullopt;
  return DesiredTable::SecretId(AppName(std::string(parts->first)), std::string(parts->second));
}

// Written every few seconds by each control (leadership.h), and nothing to anybody here.
bool is_leadership(std::string_view key) {
  return key.starts_with("/leaders/") || key.starts_with("/controls/");
}

}  // namespace

DesiredTable::DesiredTable(async::Loop& loop, store::Store& store, Changes& changes)
    : loop_(loop), store_(store), changes_(changes), advanced_(loop) {}

void DesiredTable::clear() {
  apps_.clear();
  machines_.clear();
  of_app_.clear();
  on_node_.clear();
  auto_destroy_.clear();
  scheduled_.clear();
  autostop_.clear();
  use_of_node_.clear();
  volumes_.clear();
  volumes_on_.clear();
  destroyed_volumes_.clear();
  releases_.clear();
  unfinished_.clear();
  certificates_.clear();
  hosts_.clear();
  hosts_of_.clear();
  acme_account_.reset();
  secrets_.clear();
  registries_.clear();
  tokens_.clear();
  nodes_.clear();
  fleet_.reset();
  join_tokens_.clear();
  leases_.clear();
  versions_.clear();
}

async::Task<Result<void>> DesiredTable::load() {
  CO_TRY(const store::Listing listing, co_await store_.list("/"));
  clear();
  for (const store::Entry& entry : listing.entries) apply(entry.key, entry.value, entry.revision);
  revision_ = listing.revision;
  advanced_.notify_all();
  changes_.everything();
  changes_.notify_all();
  co_return Result<void>();
}

async::Task<void> DesiredTable::follow() {
  for (;;) {
    Result<void> ended = co_await follow_once();
    log_warning("control", "watch of the store: {}; reading it again", ended.error().context);
    co_await loop_.sleep(100ms);
    ended = co_await load();
    if (!ended) log_error("control", "read of the store: {}", ended.error().context);
  }
}

async::Task<Result<void>> DesiredTable::follow_once() {
  CO_TRY(const auto watch, store_.watch("/", revision_));
  for (;;) {
    CO_TRY(const std::vector<store::Change> changes, co_await watch->next());
    bool changed = false;
    for (const store::Change& change : changes) {
      apply(change.key, change.value, change.revision);
      changed = changed || !is_leadership(change.key);
    }
    revision_ = std::max(revision_, changes.back().revision);
    advanced_.notify_all();
    if (changed) changes_.notify_all();
  }
}

async::Task<Result<void>> DesiredTable::commit(store::Transaction transaction) {
  CO_TRY(const store::Revision revision, co_await store_.commit(std::move(transaction)));
  while (revision_ < revision) co_await advanced_.wait();
  co_return Result<void>();
}

async::Task<bool> DesiredTable::advance_to(store::Revision revision) const {
  while (revision_ < revision) co_await advanced_.wait();
  co_return true;
}

async::Task<void> DesiredTable::reached(store::Revision revision, MonotonicTime at) const {
  co_await async::until(loop_, at, advance_to(revision));
}

// Its machines' records hold its egress policy and its network.
Result<void> DesiredTable::apply_app(const AppName& name, const std::optional<std::string>& text,
                                     store::Revision revision) {
  changes_.app(name);
  for (const MachineId& id : of_app_.of(name)) changes_.feed(machines_.at(id).value.node);
  return store_in(apps_, name, text, revision, model::app_from);
}

Result<void> DesiredTable::apply_machine(const MachineId& id,
                                         const std::optional<std::string>& text,
                                         store::Revision revision) {
  strike(id);
  Result<void> done = store_in(machines_, id, text, revision, model::machine_from);
  enlist(id);
  return done;
}

// Into the indexes, and out of them.
void DesiredTable::enlist(const MachineId& id) {
  const auto found = machines_.find(id);
  if (found == machines_.end()) return;
  const model::Machine& machine = found->second.value;
  const model::MachineConfig& config = machine.config;
  of_app_.add(machine.app, id);
  on_node_.add(machine.node, id);
  use_of_node_[machine.node] += use_of(machine);
  if (config.auto_destroy) auto_destroy_.insert(id);
  if (config.schedule != model::Schedule::none) scheduled_.insert(id);
  if (autostop_policy(config).autostop != model::Autostop::off) autostop_.insert(id);
  changes_.app(machine.app);
  changes_.feed(machine.node);
}

void DesiredTable::strike(const MachineId& id) {
  const auto found = machines_.find(id);
  if (found == machines_.end()) return;
  const model::Machine& machine = found->second.value;
  of_app_.remove(machine.app, id);
  on_node_.remove(machine.node, id);
  use_of_node_[machine.node] -= use_of(machine);
  if (on_node_.of(machine.node).empty()) use_of_node_.erase(machine.node);
  auto_destroy_.erase(id);
  scheduled_.erase(id);
  autostop_.erase(id);
  changes_.app(machine.app);
  changes_.feed(machine.node);
}

NodeUse DesiredTable::use_of_node(const NodeId& node) const {
  const auto found = use_of_node_.find(node);
  return found == use_of_node_.end() ? NodeUse{} : found->second;
}

Result<void> DesiredTable::apply_volume(const VolumeId& id, const std::optional<std::string>& text,
                                        store::Revision revision) {
  const auto note = [&](auto change) {
    const auto found = volumes_.find(id);
    if (found == volumes_.end()) return;
    change(found->second.value);
    changes_.feed(found->second.value.node);
  };
  note([&](const model::Volume& volume) { volumes_on_.remove(volume.node, id); });
  destroyed_volumes_.erase(id);
  Result<void> done = store_in(volumes_, id, text, revision, model::volume_from);
  note([&](const model::Volume& volume) {
    volumes_on_.add(volume.node, id);
    if (volume.destroyed) destroyed_volumes_.insert(id);
  });
  return done;
}

Result<void> DesiredTable::apply_release(ReleaseId id, const std::optional<std::string>& text,
                                         store::Revision revision) {
  changes_.app(id.first);
  Result<void> done = store_in(releases_, id, text, revision, release_record_from);
  const auto now = releases_.find(id);
  if (now == releases_.end() || is_finished(now->second.value.release)) {
    unfinished_.erase(id);
  } else {
    unfinished_.insert(std::move(id));
  }
  return done;
}

// Its routes are its app's, and those of the app that had it before.
Result<void> DesiredTable::apply_host(const std::string& host,
                                      const std::optional<std::string>& text,
                                      store::Revision revision) {
  if (const auto former = hosts_.find(host); former != hosts_.end()) {
    changes_.app(former->second.value.app);
    hosts_of_.remove(former->second.value.app, host);
  }
  Result<void> done = store_in(hosts_, host, text, revision, host_record_from);
  if (const auto now = hosts_.find(host); now != hosts_.end()) {
    changes_.app(now->second.value.app);
    hosts_of_.add(now->second.value.app, host);
  }
  return done;
}

void DesiredTable::apply(const std::string& key, const std::optional<std::string>& text,
                         store::Revision revision) {
  const auto slash = key.find('/', 1);
  if (slash == std::string::npos) return;
  const std::string_view kind = std::string_view(key).substr(1, slash - 1);
  std::string name = key.substr(slash + 1);
  Result<void> done;
  if (kind == "apps") {
    done = apply_app(AppName(std::move(name)), text, revision);
  } else if (kind == "machines") {
    done = apply_machine(MachineId(std::move(name)), text, revision);
  } else if (kind == "volumes") {
    done = apply_volume(VolumeId(std::move(name)), text, revision);
  } else if (kind == "releases") {
    if (auto id = release_id(name)) done = apply_release(*std::move(id), text, revision);
  } else if (kind == "certs") {
    changes_.host(name);
    done = store_in(certificates_, std::move(name), text, revision, certificate_record_from);
  } else if (kind == "hosts") {
    done = apply_host(name, text, revision);
  } else if (key == kAcmeAccountKey) {
    done = store_in(acme_account_, text, revision, acme_account_record_from);
  } else if (kind == "registries") {
    changes_.everything();
    done = store_in(registries_, std::move(name), text, revision, model::registry_login_from);
  } else if (kind == "secrets") {
    if (auto id = secret_id(name))
      done = store_in(secrets_, *std::move(id), text, revision, secret_record_from);
  } else if (kind == "tokens") {
    done = store_in(tokens_, std::move(name), text, revision, token_record_from);
  } else if (kind == "nodes") {
    changes_.node(NodeId(name));
    done = store_in(nodes_, NodeId(std::move(name)), text, revision, node_record_from);
  } else if (key == kFleetKey) {
    changes_.everything();
    done = store_in(fleet_, text, revision, fleet_record_from);
  } else if (kind == "join-tokens") {
    done = store_in(join_tokens_, std::move(name), text, revision, join_token_record_from);
  } else if (kind == "leases") {
    done = store_in(leases_, MachineId(std::move(name)), text, revision, lease_record_from);
  } else if (kind == "versions") {
    done = store_in(versions_, MachineId(std::move(name)), text, revision, versions_record_from);
  }
  if (!done) log_error("control", "store key {}: {}", key, done.error().context);
}

Result<Stored<model::App>> DesiredTable::app(const AppName& name) const {
  const auto found = apps_.find(name);
  if (found == apps_.end())
    return fail(Code::not_found, "app \"{}\" does not exist; create it first", name);
  return found->second;
}

Result<Stored<model::Machine>> DesiredTable::machine(const AppName& app,
                                                     const MachineId& id) const {
  const auto found = machines_.find(id);
  if (found == machines_.end() || found->second.value.app != app)
    return fail(Code::not_found, "app \"{}\" has no machine \"{}\"", app, id);
  return found->second;
}

Result<Stored<model::Volume>> DesiredTable::volume(const AppName& app, const VolumeId& id) const {
  const auto found = volumes_.find(id);
  if (found == volumes_.end() || found->second.value.app != app)
    return fail(Code::not_found,
                "app \"{}\" has no volume \"{}\"; see `perigee volumes list -a {}`", app, id, app);
  return found->second;
}

std::vector<Stored<model::Volume>> DesiredTable::volumes_of(const AppName& app) const {
  std::vector<Stored<model::Volume>> out;
  for (const auto& [id, stored] : volumes_) {
    if (stored.value.app == app && !stored.value.destroyed) out.push_back(stored);
  }
  std::ranges::sort(out, {},
                    [](const auto& s) { return std::pair(s.value.created_at.ns, s.value.id); });
  return out;
}

Result<Stored<ReleaseRecord>> DesiredTable::release(const AppName& app,
                                                    std::int64_t version) const {
  const auto found = releases_.find({app, version});
  if (found == releases_.end())
    return fail(Code::not_found, "app \"{}\" has no release {}", app, version);
  return found->second;
}

std::vector<Stored<model::Machine>> DesiredTable::machines_of(const AppName& app) const {
  std::vector<Stored<model::Machine>> out;
  for (const MachineId& id : of_app_.of(app)) {
    const Stored<model::Machine>& stored = machines_.at(id);
    if (stored.value.desired != model::DesiredState::destroyed) out.push_back(stored);
  }
  std::ranges::sort(out, {},
                    [](const auto& s) { return std::pair(s.value.created_at.ns, s.value.id); });
  return out;
}

std::vector<std::pair<std::string, Stored<SecretRecord>>> DesiredTable::secrets_of(
    const AppName& app) const {
  std::vector<std::pair<std::string, Stored<SecretRecord>>> out;
  for (auto at = secrets_.lower_bound({app, ""}); at != secrets_.end() && at->first.first == app;
       ++at)
    out.emplace_back(at->first.second, at->second);
  return out;
}

void put(store::Transaction& t, const model::App& app, store::Revision expected) {
  t.expect(app_key(app.name), expected);
  t.put(app_key(app.name), model::to_json(app).dump());
}

void put(store::Transaction& t, const model::Machine& machine, store::Revision expected) {
  t.expect(machine_key(machine.id), expected);
  t.put(machine_key(machine.id), model::to_json(machine).dump());
}

void put(store::Transaction& t, const model::Volume& volume, store::Revision expected) {
  t.expect(volume_key(volume.id), expected);
  t.put(volume_key(volume.id), model::to_json(volume).dump());
}

void put(store::Transaction& t, const AppName& app, std::string_view name,
         const SecretRecord& secret, store::Revision expected) {
  t.expect(secret_key(app, name), expected);
  t.put(secret_key(app, name), to_json(secret).dump());
}

void put(store::Transaction& t, const model::RegistryLogin& login, store::Revision expected) {
  t.expect(registry_key(login.registry), expected);
  t.put(registry_key(login.registry), model::to_json(login).dump());
}

void put(store::Transaction& t, const HostRecord& host, store::Revision expected) {
  t.expect(host_key(host.host), expected);
  t.put(host_key(host.host), to_json(host).dump());
}

void put(store::Transaction& t, const ReleaseRecord& release, store::Revision expected) {
  const std::string key = release_key(release.release.app, release.release.version);
  t.expect(key, expected);
  t.put(key, to_json(release).dump());
}

}  // namespace perigee::control
