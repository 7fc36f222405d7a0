#include "control/publisher.h"

#include <algorithm>
#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"
#include "control/routes.h"
#include "mesh/address_plan.h"
#include "model/join.h"
#include "model/json.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

constexpr std::string_view kRoutes = "/routes/";
constexpr std::string_view kNodes = "/nodes/";

std::string route_key(const AppName& app) {
  return std::string(kRoutes) + app.str();
}

std::string names_key(const AppName& app) {
  return "/names/" + app.str();
}

const model::Release* release_at(const DesiredTable& desired, const AppName& app,
                                 std::int64_t version) {
  const auto found = desired.releases().find({app, version});
  return found == desired.releases().end() ? nullptr : &found->second.value.release;
}

// A node that has joined, as routers reach its machines.
json::Value route_node(const NodeId& id, const NodeRecord& record) {
  return model::to_json(model::RouteNode{.node = id,
                                         .region = record.region,
                                         .mesh_address = record.membership->mesh_address,
                                         .has_router = record.membership->runs("router"),
                                         .has_worker = record.membership->runs("worker"),
                                         .draining = record.draining});
}

}  // namespace

Publisher::Publisher(async::Loop& loop, const DesiredTable& desired, const ObservedTable& observed,
                     const Drains& drains, const secrets::KeyFile& keys, Changes& changes,
                     std::string epoch, std::string domain)
    : loop_(loop),
      desired_(desired),
      observed_(observed),
      drains_(drains),
      keys_(keys),
      changes_(changes),
      epoch_(std::move(epoch)),
      domain_(std::move(domain)),
      start_(loop.now()),
      routes_(loop, epoch_),
      fleet_(loop, epoch_) {}

// At once; but where much changes, as when a region is lost, or control starts and one node after
// the other reports, what is touched again and again is published together.
async::Task<void> Publisher::run() {
  for (;;) {
    refresh();
    co_await changes_.notify().wait();
    if (loop_.now() < next_at_) co_await loop_.sleep_until(next_at_);
  }
}

std::int64_t Publisher::refresh() {
  Touched touched = resolve(changes_.take());
  for (const AppName& app : touched.apps) renew_names(app);
  for (const NodeId& id : touched.feeds) {
    const auto node = nodes_.find(id);
    if (node != nodes_.end()) publish_node(id, node->second);
  }
  const json::Value keys = json::object({{"ids", json::strings(keys_.ring().key_ids())}});
  fleet_.set("/keys", keys.dump());
  for (const NodeId& id : touched.nodes) publish_member(id);
  for (const AppName& app : touched.apps) publish_route(app);
  const auto count = static_cast<Duration::rep>(touched.apps.size());
  const Duration pause = std::min<Duration>(kPublishPause * count, kMostPublishPause);
  next_at_ = std::max(next_at_, loop_.now() + pause);
  touched_apps_.merge(touched.apps);
  return routes_.revision();
}

std::set<AppName> Publisher::take_touched_apps() {
  return std::exchange(touched_apps_, {});
}

// What is touched, in terms of apps, nodes and feeds.
Touched Publisher::resolve(Touched touched) const {
  if (touched.everything) touch_all(touched);
  for (const std::string& host : touched.hosts) {
    if (host.ends_with("." + domain_))
      touched.apps.emplace(host.substr(0, host.size() - domain_.size() - 1));
  }
  for (const NodeId& id : touched.nodes) {
    touched.feeds.insert(id);
    for (const MachineId& machine : desired_.machines_on(id)) touched.machines.insert(machine);
  }
  for (const MachineId& id : touched.machines) {
    const auto machine = desired_.machines().find(id);
    if (machine != desired_.machines().end()) touched.apps.insert(machine->second.value.app);
  }
  return touched;
}

// What there is, and what was published and is there no more.
void Publisher::touch_all(Touched& touched) const {
  for (const auto& [name, app] : desired_.apps()) touched.apps.insert(name);
  for (const auto& [name, names] : names_) touched.apps.insert(name);
  for (const auto& [id, machine] : desired_.machines()) touched.apps.insert(machine.value.app);
  for (const auto& [id, record] : desired_.nodes()) touched.nodes.insert(id);
  for (const auto& [id, feed] : nodes_) touched.feeds.insert(id);
  for (const std::string& key : routes_.keys()) {
    if (key.starts_with(kRoutes)) touched.apps.emplace(key.substr(kRoutes.size()));
    if (key.starts_with(kNodes)) touched.nodes.emplace(key.substr(kNodes.size()));
  }
}

Feed& Publisher::node(const NodeId& id) {
  auto found = nodes_.find(id);
  if (found == nodes_.end()) {
    found = nodes_.emplace(id, NodeFeed(std::make_unique<Feed>(loop_, epoch_))).first;
    changes_.feed(id);
    refresh();
  }
  return *found->second.feed;
}

// What a machine needs is told before it is.
void Publisher::publish_node(const NodeId& id, NodeFeed& node) {
  publish_registries(node);
  publish_volumes(id, node);
  publish_machines(id, node);
  publish_names(node);
}

void Publisher::publish_volumes(const NodeId& id, NodeFeed& node) {
  const std::set<VolumeId>& there = desired_.volumes_on(id);
  for (const VolumeId& volume : there) {
    const auto& stored = desired_.volumes().at(volume);
    store::Revision& revision = node.volumes[volume];
    if (revision == stored.revision) continue;
    revision = stored.revision;
    node.feed->set(volume_key(volume), model::to_json(stored.value).dump());
  }
  std::erase_if(node.volumes, [&](const auto& each) {
    if (there.contains(each.first)) return false;
    node.feed->set(volume_key(each.first), std::nullopt);
    return true;
  });
}

void Publisher::publish_registries(NodeFeed& node) {
  const auto& logins = desired_.registries();
  for (const auto& [registry, stored] : logins) {
    store::Revision& revision = node.registries[registry];
    if (revision == stored.revision) continue;
    revision = stored.revision;
    node.feed->set(registry_key(registry), model::to_json(stored.value).dump());
  }
  std::erase_if(node.registries, [&](const auto& each) {
    if (logins.contains(each.first)) return false;
    node.feed->set(registry_key(each.first), std::nullopt);
    return true;
  });
}

// Empty where there is no fleet, or the node is not in it.
std::string Publisher::private_network(const NodeId& node, const model::App& app) const {
  const auto found = desired_.nodes().find(node);
  const bool joined = desired_.fleet() && found != desired_.nodes().end() &&
                      found->second.value.membership && app.number != 0;
  if (!joined) return "";
  const auto fleet = mesh::FleetPrefix::parse(desired_.fleet()->value.prefix + "::/48");
  const auto index = mesh::NodeIndex::make(found->second.value.membership->index);
  if (!fleet || !index) return "";
  return mesh::AppNetwork(*fleet, *index, app.number).str();
}

// Each with its app's egress policy and network.
void Publisher::publish_machines(const NodeId& id, NodeFeed& node) {
  const std::set<MachineId>& there = desired_.machines_on(id);
  for (const MachineId& machine_id : there) {
    const auto& stored = desired_.machines().at(machine_id);
    const auto app = desired_.apps().find(stored.value.app);
    const bool has_app = app != desired_.apps().end();
    const Source source{stored.revision, has_app ? app->second.revision : 0,
                        has_app ? private_network(id, app->second.value) : ""};
    Source& published = node.machines[machine_id];
    if (published == source) continue;
    published = source;
    model::Machine machine = stored.value;
    // Without its app it is about to be destroyed: nothing is open to it any more.
    machine.egress =
        has_app ? app->second.value.egress : model::EgressPolicy{.kind = model::EgressKind::closed};
    machine.private_network = source.private_network;
    node.feed->set(machine_key(machine_id), model::to_json(machine).dump());
  }
  std::erase_if(node.machines, [&](const auto& each) {
    if (there.contains(each.first)) return false;
    node.feed->set(machine_key(each.first), std::nullopt);
    return true;
  });
}

// Where the app's running machines are.
model::AppNames Publisher::names_of(const AppName& app) const {
  model::AppNames names{.app = app, .machines = {}};
  for (const MachineId& id : desired_.machine_ids_of(app)) {
    const model::Machine& machine = desired_.machines().at(id).value;
    const model::MachineStatus* status = observed_.status(id);
    const bool runs = status != nullptr && status->state == model::MachineState::started &&
                      !status->private_ip6.empty() && !observed_.lost(machine.node);
    if (!runs || names.machines.size() == model::kMaxNamedMachines) continue;
    names.machines.push_back({id, machine.region, status->private_ip6});
  }
  return names;
}

// Tells all nodes with machines of the app. Where the first one has just come, publish_names does.
void Publisher::renew_names(const AppName& app) {
  const std::set<MachineId>& machines = desired_.machine_ids_of(app);
  if (machines.empty()) {
    names_.erase(app);
    return;
  }
  std::string now = model::to_json(names_of(app)).dump();
  std::string& known = names_[app];
  if (known == now) return;
  known = std::move(now);
  for (const MachineId& id : machines) {
    const auto node = nodes_.find(desired_.machines().at(id).value.node);
    if (node != nodes_.end() && node->second.names.contains(app))
      node->second.feed->set(names_key(app), known);
  }
}

// Of the apps with machines on this node: those that have come, and those that have gone.
void Publisher::publish_names(NodeFeed& node) {
  std::set<AppName> apps;
  for (const auto& [id, source] : node.machines) apps.insert(desired_.machines().at(id).value.app);
  for (const AppName& app : apps) {
    if (!node.names.contains(app)) node.feed->set(names_key(app), names_.at(app));
  }
  for (const AppName& app : node.names) {
    if (!apps.contains(app)) node.feed->set(names_key(app), std::nullopt);
  }
  node.names = std::move(apps);
}

// A node that has joined: what routers know of it, and what the nodes' links do.
void Publisher::publish_member(const NodeId& id) {
  const auto found = desired_.nodes().find(id);
  if (found == desired_.nodes().end() || !found->second.value.membership) {
    routes_.set(node_key(id), std::nullopt);
    fleet_.set(node_key(id), std::nullopt);
    return;
  }
  const NodeRecord& record = found->second.value;
  routes_.set(node_key(id), route_node(id, record).dump());
  const model::FleetNode node{id, record.region, *record.membership};
  fleet_.set(node_key(id), model::to_json(node).dump());
}

void Publisher::publish_route(const AppName& app) {
  const auto stored = desired_.apps().find(app);
  if (stored == desired_.apps().end()) return routes_.set(route_key(app), std::nullopt);
  RouteInput input;
  input.app = stored->second.value;
  input.current = release_at(desired_, app, input.app.current_release);
  input.last = release_at(desired_, app, input.app.last_release);
  input.host = host_of(app);
  const auto certificate = desired_.certificates().find(input.host);
  if (certificate != desired_.certificates().end()) input.certificate = &certificate->second.value;
  for (const std::string& host : desired_.hosts_of(app)) {
    input.hosts.push_back(&desired_.hosts().at(host).value);
  }
  for (const MachineId& id : desired_.machine_ids_of(app)) {
    const model::Machine& machine = desired_.machines().at(id).value;
    if (machine.desired == model::DesiredState::destroyed) continue;
    input.machines.push_back({.machine = machine,
                              .status = observed_.status(id),
                              .node_lost = observed_.lost(machine.node),
                              .draining = drains_.contains(id),
                              .leaving = drains_.is(id, Drains::Phase::leaving)});
  }
  routes_.set(route_key(app), model::to_json(derive_route(input)).dump());
}

bool Publisher::all_reported() const {
  return std::ranges::all_of(desired_.nodes(), [&](const auto& node) {
    return !node.second.value.runs_machines() || observed_.reported(node.first);
  });
}

async::Task<bool> Publisher::wait_reported() {
  while (!all_reported()) co_await changes_.notify().wait();
  co_return true;
}

async::Task<void> Publisher::settled() {
  const auto in_time = co_await async::until(loop_, start_ + kRoutesHoldBack, wait_reported());
  if (!in_time && !std::exchange(told_, true))
    log_warning("control", "not all nodes have reported; going on without them");
  refresh();
}

}  // namespace perigee::control
