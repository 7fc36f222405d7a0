#include "control/publisher.h"

#include <algorithm>

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

std::string route_key(const AppName& app) {
  return "/routes/" + app.str();
}

std::string names_key(const AppName& app) {
  return "/names/" + app.str();
}

const model::Release* release_at(const DesiredTable& desired, const AppName& app,
                                 std::int64_t version) {
  const auto found = desired.releases().find({app, version});
  return found == desired.releases().end() ? nullptr : &found->second.value.release;
}

// The objects of one kind that are of this node, as far as they have changed.
template <typename Objects, typename Key, typename Published>
void publish_objects(const NodeId& node, const Objects& objects, Key key_of, Published& published,
                     Feed& feed) {
  for (const auto& [id, stored] : objects) {
    if (stored.value.node != node) continue;
    store::Revision& revision = published[id];
    if (revision == stored.revision) continue;
    revision = stored.revision;
    feed.set(key_of(id), model::to_json(stored.value).dump());
  }
  std::erase_if(published, [&](const auto& each) {
    const auto found = objects.find(each.first);
    if (found != objects.end() && found->second.value.node == node) return false;
    feed.set(key_of(each.first), std::nullopt);
    return true;
  });
}

}  // namespace

Publisher::Publisher(async::Loop& loop, const DesiredTable& desired, const ObservedTable& observed,
                     const Drains& drains, const secrets::KeyFile& keys, async::Notify& changed,
                     std::string epoch, std::string domain)
    : loop_(loop),
      desired_(desired),
      observed_(observed),
      drains_(drains),
      keys_(keys),
      changed_(changed),
      epoch_(std::move(epoch)),
      domain_(std::move(domain)),
      start_(loop.now()),
      routes_(loop, epoch_),
      fleet_(loop, epoch_) {}

async::Task<void> Publisher::run() {
  for (;;) {
    refresh();
    co_await changed_.wait();
  }
}

std::int64_t Publisher::refresh() {
  collect_names();
  for (auto& [id, node] : nodes_) publish_node(id, node);
  publish_fleet();
  publish_members();
  publish_routes();
  return routes_.revision();
}

Feed& Publisher::node(const NodeId& id) {
  auto found = nodes_.find(id);
  if (found == nodes_.end()) {
    found = nodes_.emplace(id, NodeFeed(std::make_unique<Feed>(loop_, epoch_))).first;
    collect_names();
    publish_node(id, found->second);
  }
  return *found->second.feed;
}

// What a machine needs is told before it is.
void Publisher::publish_node(const NodeId& id, NodeFeed& node) {
  publish_registries(node);
  publish_objects(id, desired_.volumes(), volume_key, node.volumes, *node.feed);
  publish_machines(id, node);
  publish_names(node);
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
  for (const auto& [machine_id, stored] : desired_.machines()) {
    if (stored.value.node != id) continue;
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
    const auto found = desired_.machines().find(each.first);
    if (found != desired_.machines().end() && found->second.value.node == id) return false;
    node.feed->set(machine_key(each.first), std::nullopt);
    return true;
  });
}

// Where each app's running machines are.
void Publisher::collect_names() {
  names_.clear();
  for (const auto& [id, stored] : desired_.machines()) {
    model::AppNames& names = names_[stored.value.app];
    names.app = stored.value.app;
    const model::MachineStatus* status = observed_.status(id);
    const bool runs = status != nullptr && status->state == model::MachineState::started &&
                      !status->private_ip6.empty() && !observed_.lost(stored.value.node);
    if (!runs || names.machines.size() == model::kMaxNamedMachines) continue;
    names.machines.push_back({id, stored.value.region, status->private_ip6});
  }
}

// Of the apps with machines on this node.
void Publisher::publish_names(NodeFeed& node) {
  std::map<AppName, model::AppNames> names;
  for (const auto& [id, source] : node.machines) {
    const auto machine = desired_.machines().find(id);
    if (machine == desired_.machines().end()) continue;
    const auto found = names_.find(machine->second.value.app);
    if (found != names_.end()) names.insert(*found);
  }
  for (const auto& [app, value] : names) {
    const auto known = node.names.find(app);
    if (known != node.names.end() && known->second == value) continue;
    node.feed->set(names_key(app), model::to_json(value).dump());
  }
  for (const auto& [app, value] : node.names) {
    if (!names.contains(app)) node.feed->set(names_key(app), std::nullopt);
  }
  node.names = std::move(names);
}

// A node that has joined, so that routers can reach the machines there.
void Publisher::publish_fleet() {
  std::map<NodeId, model::RouteNode> fleet;
  for (const auto& [id, stored] : desired_.nodes()) {
    const NodeRecord& record = stored.value;
    if (!record.membership) continue;
    fleet[id] = {.node = id,
                 .region = record.region,
                 .mesh_address = record.membership->mesh_address,
                 .has_router = record.membership->runs("router"),
                 .has_worker = record.membership->runs("worker"),
                 .draining = record.draining};
  }
  for (const auto& [id, node] : fleet) {
    const auto found = published_fleet_.find(id);
    if (found != published_fleet_.end() && found->second == node) continue;
    routes_.set(node_key(id), model::to_json(node).dump());
  }
  for (const auto& [id, node] : published_fleet_) {
    if (!fleet.contains(id)) routes_.set(node_key(id), std::nullopt);
  }
  published_fleet_ = std::move(fleet);
}

// What the nodes' links need to know of each other, and when they need new keys.
void Publisher::publish_members() {
  const json::Value keys = json::object({{"ids", json::strings(keys_.ring().key_ids())}});
  fleet_.set("/keys", keys.dump());
  for (const auto& [id, stored] : desired_.nodes()) {
    if (!stored.value.membership) continue;
    store::Revision& revision = published_members_[id];
    if (revision == stored.revision) continue;
    revision = stored.revision;
    const model::FleetNode node{id, stored.value.region, *stored.value.membership};
    fleet_.set(node_key(id), model::to_json(node).dump());
  }
  std::erase_if(published_members_, [&](const auto& each) {
    const auto found = desired_.nodes().find(each.first);
    if (found != desired_.nodes().end() && found->second.value.membership) return false;
    fleet_.set(node_key(each.first), std::nullopt);
    return true;
  });
}

void Publisher::publish_routes() {
  std::map<AppName, RouteInput> inputs;
  for (const auto& [name, stored] : desired_.apps()) {
    RouteInput& input = inputs[name];
    input.app = stored.value;
    input.current = release_at(desired_, name, stored.value.current_release);
    input.last = release_at(desired_, name, stored.value.last_release);
    input.host = host_of(name);
    const auto certificate = desired_.certificates().find(input.host);
    if (certificate != desired_.certificates().end())
      input.certificate = &certificate->second.value;
  }
  for (const auto& [id, stored] : desired_.machines()) {
    const model::Machine& machine = stored.value;
    const auto input = inputs.find(machine.app);
    if (input == inputs.end() || machine.desired == model::DesiredState::destroyed) continue;
    input->second.machines.push_back({.machine = machine,
                                      .status = observed_.status(id),
                                      .node_lost = observed_.lost(machine.node),
                                      .draining = drains_.contains(id),
                                      .leaving = drains_.is(id, Drains::Phase::leaving)});
  }
  for (auto& [name, input] : inputs) {
    model::AppRoute route = derive_route(input);
    const auto found = published_.find(name);
    if (found != published_.end() && found->second == route) continue;
    routes_.set(route_key(name), model::to_json(route).dump());
    published_[name] = std::move(route);
  }
  std::erase_if(published_, [&](const auto& each) {
    if (inputs.contains(each.first)) return false;
    routes_.set(route_key(each.first), std::nullopt);
    return true;
  });
}

bool Publisher::all_reported() const {
  return std::ranges::all_of(desired_.nodes(), [&](const auto& node) {
    return !node.second.value.runs_machines() || observed_.reported(node.first);
  });
}

async::Task<bool> Publisher::wait_reported() {
  while (!all_reported()) co_await changed_.wait();
  co_return true;
}

async::Task<void> Publisher::settled() {
  const auto in_time = co_await async::until(loop_, start_ + kRoutesHoldBack, wait_reported());
  if (!in_time) log_warning("control", "not all nodes have reported; going on without them");
}

}  // namespace perigee::control
