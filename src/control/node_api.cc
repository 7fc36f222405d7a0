#include "control/node_api.h"

#include <algorithm>

#include "base/log.h"
#include "control/lease_api.h"
#include "control/machine_frontend.h"
#include "control/machine_view.h"
#include "control/node_removal.h"
#include "control/scale_view.h"
#include "geo/regions.h"
#include "model/json.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

std::string_view state_name(const Context& context, const NodeId& node, const NodeRecord& record) {
  if (!record.runs_machines()) return "edge";
  if (context.observed.lost(node)) return "lost";
  if (!context.observed.reported(node)) return "unknown";
  if (record.draining) return "draining";
  return record.cordoned ? "cordoned" : "ready";
}

// Why a machine doesn't leave a node that drains, whoever holds it; empty: it does.
std::string why_it_stays(const model::Machine& machine) {
  if (!machine.config.mounts.empty()) return "it holds a volume";
  if (machine.config.auto_destroy) return "it ends by itself (auto_destroy)";
  return {};
}

std::string_view rotation_name(const model::Membership& membership) {
  if (!membership.wireguard_next_key.empty()) return "announced";
  return membership.rotate_key ? "ordered" : "";
}

json::Value machine_line(const Context& context, const model::Machine& machine) {
  const model::MachineStatus* status = context.observed.status(machine.id);
  json::Value out = json::object({{"id", machine.id.str()},
                                  {"app", machine.app.str()},
                                  {"state", model::name(effective_state(machine, status))},
                                  {"memory_mib", machine.config.guest.memory_mib}});
  std::string why = why_it_stays(machine);
  if (const std::string lease = lease_in_the_way(context, machine.id); !lease.empty())
    why += fmt::format("{}it is {}", why.empty() ? "" : "; ", lease);
  if (!why.empty()) out.set("stays", why);
  return out;
}

}  // namespace

void NodeApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string one = "/v1/nodes/{node}";
  table.answer("GET", "/v1/nodes", guard, [this](Call&) { return list(); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("DELETE", one, guard, [this](Call& call) { return remove(call); });
  table.answer("POST", one + "/cordon", guard, [this](Call& call) { return cordon(call); });
  table.answer("POST", one + "/uncordon", guard, [this](Call& call) { return uncordon(call); });
  table.answer("POST", one + "/drain", guard, [this](Call& call) { return drain(call); });
  table.answer("POST", one + "/rotate-keys", guard,
               [this](Call& call) { return rotate_key(call); });
  table.answer(
      "GET", "/healthz", [](const http::Request&) { return Result<void>(); },
      [this](Call&) { return health(); });
}

Result<std::pair<NodeId, NodeApi::Node>> NodeApi::find(const Call& call) const {
  const NodeId id(call.param("node"));
  const auto found = context_.desired.nodes().find(id);
  if (found == context_.desired.nodes().end())
    return fail(Code::not_found, "there is no node \"{}\"; see `perigee nodes`", id);
  return std::pair(id, found->second);
}

json::Value NodeApi::view(const NodeId& id, const NodeRecord& record,
                          const std::vector<NodeRoom>& rooms) const {
  json::Value out = json::object({{"name", id.str()},
                                  {"region", record.region.str()},
                                  {"state", state_name(context_, id, record)},
                                  {"cordoned", record.cordoned},
                                  {"draining", record.draining}});
  if (const geo::Region* known = geo::find_region(record.region.str()))
    out.set("city", known->city);
  if (record.membership) {
    out.set("roles", json::strings(record.membership->roles));
    out.set("mesh_address", record.membership->mesh_address);
    out.set("wireguard_key", record.membership->wireguard_key);
    const std::string_view rotation = rotation_name(*record.membership);
    if (!rotation.empty()) out.set("key_rotation", rotation);
  }
  const ObservedTable::Node* node = context_.observed.node(id);
  const auto room = std::ranges::find(rooms, id, &NodeRoom::node);
  if (node == nullptr || room == rooms.end()) return out;
  out.set("cpus", node->report.cpus);
  out.set("memory_mib", node->report.memory_mib);
  out.set("memory_free_mib", node->report.memory_free_mib);
  out.set("memory_unused_mib", std::max<std::int64_t>(0, room->memory_mib - room->used_mib));
  out.set("disk_free_mib", node->report.disk_free_mib);
  out.set("accelerator", node->report.accelerator);
  out.set("machines", static_cast<std::int64_t>(node->report.machines.size()));
  out.set("last_report_ms_ago", to_ms(context_.observed.silence(id)));
  return out;
}

json::Value NodeApi::full_view(const NodeId& id, const NodeRecord& record) const {
  json::Value out = view(id, record, node_rooms(context_, {}, {}, {}));
  json::Value machines = json::array();
  for (const auto& [machine, stored] : context_.desired.machines()) {
    const bool goes = stored.value.desired == model::DesiredState::destroyed;
    if (stored.value.node == id && !goes) machines.push(machine_line(context_, stored.value));
  }
  json::Value volumes = json::array();
  for (const auto& [volume, stored] : context_.desired.volumes()) {
    if (stored.value.node != id) continue;
    volumes.push(json::object({{"id", volume.str()},
                               {"app", stored.value.app.str()},
                               {"size_mb", stored.value.size_mib}}));
  }
  out.set("machine_list", std::move(machines));
  out.set("volume_list", std::move(volumes));
  return out;
}

async::Task<Result<Reply>> NodeApi::list() {
  json::Value nodes = json::array();
  const std::vector<NodeRoom> rooms = node_rooms(context_, {}, {}, {});
  for (const auto& [id, stored] : context_.desired.nodes())
    nodes.push(view(id, stored.value, rooms));
  co_return Reply{200, json::object({{"nodes", std::move(nodes)}})};
}

async::Task<Result<Reply>> NodeApi::show(Call& call) {
  CO_TRY(const auto found, find(call));
  co_return Reply{200, full_view(found.first, found.second.value)};
}

async::Task<Result<void>> NodeApi::replace(NodeId id, Node stored, NodeRecord next) {
  if (stored.value == next) co_return Result<void>();
  store::Transaction transaction;
  transaction.expect(node_key(id), stored.revision);
  transaction.put(node_key(id), to_json(next).dump());
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<Reply>> NodeApi::cordon(Call& call) {
  CO_TRY(const auto found, find(call));
  NodeRecord next = found.second.value;
  next.cordoned = true;
  CO_TRY_VOID(co_await replace(found.first, found.second, next));
  co_return Reply{200, full_view(found.first, next)};
}

async::Task<Result<Reply>> NodeApi::uncordon(Call& call) {
  CO_TRY(const auto found, find(call));
  NodeRecord next = found.second.value;
  next.cordoned = next.draining = false;
  CO_TRY_VOID(co_await replace(found.first, found.second, next));
  co_return Reply{200, full_view(found.first, next)};
}

// Machines that can't move end here, and are there again when the node is: for a reboot. Those
// under a lease run on; the answer names them.
async::Task<Result<void>> NodeApi::stop_what_stays(NodeId id) {
  store::Transaction transaction;
  for (const auto& [machine, stored] : context_.desired.machines()) {
    const bool runs = stored.value.desired == model::DesiredState::started;
    if (stored.value.node != id || !runs || why_it_stays(stored.value).empty()) continue;
    if (!lease_in_the_way(context_, machine).empty()) continue;
    expect_same_lease(context_, transaction, machine);
    put(transaction, stopped(stored.value, context_.host.clock.wall()), stored.revision);
  }
  if (transaction.changes.empty()) co_return Result<void>();
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<Reply>> NodeApi::drain(Call& call) {
  CO_TRY(const auto found, find(call));
  CO_TRY(const bool stop, call.body.optional_bool("stop", false));
  NodeRecord next = found.second.value;
  next.cordoned = next.draining = true;
  CO_TRY_VOID(co_await replace(found.first, found.second, next));
  if (stop) CO_TRY_VOID(co_await stop_what_stays(found.first));
  co_return Reply{202, full_view(found.first, next)};
}

// The node does it itself: nobody else ever has its key.
async::Task<Result<Reply>> NodeApi::rotate_key(Call& call) {
  CO_TRY(const auto found, find(call));
  NodeRecord next = found.second.value;
  if (!next.membership) {
    co_return fail(Code::conflict, "node {} is in no fleet: it has no WireGuard key", found.first);
  }
  next.membership->rotate_key = true;
  CO_TRY_VOID(co_await replace(found.first, found.second, next));
  co_return Reply{202, full_view(found.first, next)};
}

async::Task<Result<Reply>> NodeApi::remove(Call& call) {
  CO_TRY(const auto found, find(call));
  const auto removal = call.flag("force") ? NodeRemoval::with_data : NodeRemoval::empty;
  CO_TRY(store::Transaction transaction, plan_node_removal(context_, found.first, removal));
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  context_.observed.forget(found.first);
  log_info("control", "node {} was removed from the fleet", found.first);
  co_return Reply{204, {}};
}

async::Task<Result<Reply>> NodeApi::health() {
  co_return Reply{200, json::object({{"status", "ok"}})};
}

}  // namespace perigee::control
