#include "control/node_api.h"

namespace perigee::control {

void NodeApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.answer("GET", "/v1/nodes", guard, [this](api::Call&) { return list(); });
  table.answer(
      "GET", "/healthz", [](const http::Request&) { return Result<void>(); },
      [this](api::Call&) { return health(); });
}

json::Value NodeApi::view(const NodeId& id, const NodeRecord& record) const {
  json::Value out = json::object({{"name", id.str()}, {"region", record.region.str()}});
  const ObservedTable::Node* node = context_.observed.node(id);
  if (node == nullptr || node->lost) {
    out.set("state", context_.observed.lost(id) ? "lost" : "unknown");
    if (node == nullptr) return out;
  } else {
    out.set("state", "ready");
  }
  out.set("cpus", node->report.cpus);
  out.set("memory_mib", node->report.memory_mib);
  out.set("memory_free_mib", node->report.memory_free_mib);
  out.set("accelerator", node->report.accelerator);
  out.set("machines", static_cast<std::int64_t>(node->report.machines.size()));
  out.set("last_report_ms_ago", to_ms(context_.host.loop.now() - node->at));
  return out;
}

async::Task<Result<api::Reply>> NodeApi::list() {
  json::Value nodes = json::array();
  for (const auto& [id, stored] : context_.desired.nodes()) nodes.push(view(id, stored.value));
  co_return api::Reply{200, json::object({{"nodes", std::move(nodes)}})};
}

async::Task<Result<api::Reply>> NodeApi::health() {
  co_return api::Reply{200, json::object({{"status", "ok"}})};
}

}  // namespace perigee::control
