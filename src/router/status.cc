#include "router/status.h"

#include <unistd.h>

#include "model/json.h"

namespace perigee::router {
namespace {

json::Value target_json(const model::RouteTarget& target, const Loads& loads) {
  return json::object({{"machine", target.machine.str()},
                       {"instance_id", target.instance_id},
                       {"region", target.region.str()},
                       {"node", target.node.str()},
                       {"address", target.address},
                       {"state", model::name(target.state)},
                       {"listening", target.listening},
                       {"in_flight", loads.of(target.machine.str())}});
}

json::Value route_json(const model::AppRoute& route, const Loads& loads) {
  json::Value targets = json::array();
  for (const model::RouteTarget& target : route.targets) targets.push(target_json(target, loads));
  return json::object({{"app", route.app.str()},
                       {"hosts", json::strings(route.hosts)},
                       {"tls", !route.certificate_pem.empty()},
                       {"targets", std::move(targets)},
                       {"reason", route.reason}});
}

json::Value counters_json(const Counters& counters) {
  return json::object({{"requests", counters.requests},
                       {"ok", counters.informational_or_ok},
                       {"client_errors", counters.client_errors},
                       {"server_errors", counters.server_errors},
                       {"router_errors", counters.router_errors},
                       {"clients_gone", counters.clients_gone},
                       {"connect_failures", counters.connect_failures},
                       {"repeats", counters.repeats},
                       {"wakes", counters.wakes},
                       {"backhaul_requests", counters.backhaul_requests},
                       {"relayed", counters.relayed},
                       {"refusals", counters.refusals},
                       {"log_lines_dropped", counters.log_lines_dropped},
                       {"feed_connects", counters.feed_connects}});
}

}  // namespace

json::Value status_json(const State& state, const RouteStore& store, std::size_t connections) {
  json::Value routes = json::array();
  for (const auto& [name, route] : state.table->apps()) {
    routes.push(route_json(*route, state.loads));
  }
  return json::object({{"version", 1},
                       {"epoch", store.epoch()},
                       {"revision", store.revision()},
                       {"feed_connected", state.feed_connected},
                       {"routes_from_disk", state.from_disk},
                       {"connections", static_cast<std::int64_t>(connections)},
                       {"counters", counters_json(state.counters)},
                       {"routes", std::move(routes)}});
}

async::Task<void> StatusHandler::handle(http::Request& request, http::ResponseWriter& response) {
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/json");
  std::string body;
  if (!request.peer_uid || (*request.peer_uid != 0 && *request.peer_uid != ::geteuid())) {
    head.status = 403;
    body = R"({"error":"only root and the router's user may ask","status":"permission_denied"})";
  } else if (request.head.path() != "/internal/v1/status") {
    head.status = 404;
    body = R"({"error":"there is only GET /internal/v1/status","status":"not_found"})";
  } else if (request.head.method != "GET") {
    head.status = 405;
    head.headers.add("Allow", "GET");
    body = R"({"error":"GET only","status":"unsupported"})";
  } else {
    body = status_json(state_, store_, connections_()).dump();
  }
  std::ignore = co_await response.send(std::move(head), body + "\n");
}

}  // namespace perigee::router
