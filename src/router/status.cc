#include "router/status.h"

#include <unistd.h>

#include "model/json.h"

namespace perigee::router {
namespace {

constexpr std::string_view kExplain = "/internal/v1/explain/";

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
                       {"tls", !route.certificates.empty()},
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
                       {"queued", counters.queued},
                       {"replays", counters.replays},
                       {"compressed", counters.compressed},
                       {"wakes", counters.wakes},
                       {"backhaul_requests", counters.backhaul_requests},
                       {"relayed", counters.relayed},
                       {"refusals", counters.refusals},
                       {"log_lines_dropped", counters.log_lines_dropped},
                       {"feed_connects", counters.feed_connects}});
}

// Who waits, who was set aside, and whose budget was used up.
json::Value care_json(const State& state) {
  json::Value refused = json::object();
  for (std::size_t i = 0; i < kResources; ++i) {
    const auto resource = static_cast<Resource>(i);
    refused.set(name(resource), state.budgets.refusals(resource));
  }
  return json::object({{"waiting", std::uint64_t{state.queue.waiting()}},
                       {"queue_full", state.queue.refusals()},
                       {"failing_machines", std::uint64_t{state.outliers.known()}},
                       {"ejections", state.outliers.ejections()},
                       {"over_budget", std::move(refused)}});
}

json::Value http2_json(const http2::Refusals& refusals) {
  json::Value out = json::object();
  for (std::size_t i = 0; i < http2::kRefusals; ++i) {
    const auto refusal = static_cast<http2::Refusal>(i);
    out.set(http2::name(refusal), refusals.of(refusal));
  }
  return out;
}

json::Value datagrams_json(const DatagramCounters& counters) {
  return json::object({{"from_users", counters.from_users},
                       {"to_users", counters.to_users},
                       {"to_machines", counters.to_machines},
                       {"from_machines", counters.from_machines},
                       {"refused", counters.refused},
                       {"no_service", counters.no_service},
                       {"too_large", counters.too_large},
                       {"unplaced", counters.unplaced},
                       {"too_many_flows", counters.too_many_flows},
                       {"sent_to_nodes", counters.link.sent},
                       {"received_from_nodes", counters.link.received},
                       {"relayed", counters.link.relayed},
                       {"from_strangers", counters.link.strangers},
                       {"malformed", counters.link.malformed}});
}

json::Value tcp_json(const TcpCounters& counters) {
  return json::object({{"accepted", counters.accepted},
                       {"passed_on", counters.passed_on},
                       {"to_http", counters.to_http},
                       {"no_service", counters.no_service},
                       {"failed_openings", counters.failed_openings},
                       {"unplaced", counters.unplaced},
                       {"too_many", counters.too_many},
                       {"idle", counters.idle},
                       {"bytes_to_users", counters.to_users},
                       {"bytes_to_machines", counters.to_machines}});
}

// What users of http or https reach.
const model::Service* http_service(const model::AppRoute& route) {
  for (const model::Service& service : route.services) {
    for (const model::Port& port : service.ports) {
      if (port.port == 80 || port.port == 443) return &service;
    }
  }
  return nullptr;
}

}  // namespace

json::Value status_json(const State& state, const RouteStore& store, std::size_t connections) {
  json::Value routes = json::array();
  state.table->apps().for_each([&](const std::string&, const routing::RoutePtr& route) {
    routes.push(route_json(*route, state.loads));
  });
  return json::object({{"version", 1},
                       {"epoch", store.epoch()},
                       {"revision", store.revision()},
                       {"feed_connected", state.feed_connected},
                       {"routes_from_disk", state.from_disk},
                       {"connections", static_cast<std::int64_t>(connections)},
                       {"counters", counters_json(state.counters)},
                       {"care", care_json(state)},
                       {"http2_refusals", http2_json(state.http2)},
                       {"tcp", tcp_json(state.tcp)},
                       {"datagrams", datagrams_json(state.datagrams)},
                       {"routes", std::move(routes)}});
}

async::Task<void> StatusHandler::handle(http::Request& request, http::ResponseWriter& response) {
  http::ResponseHead head;
  head.headers.add("Content-Type", "application/json");
  const bool is_get = request.head.method == "GET";
  Result<json::Value> body = is_get ? answer(request) : fail(Code::unsupported, "GET only");
  if (!body) {
    head.status = is_get ? info(body.error().code).http_status : 405;
    if (!is_get) head.headers.add("Allow", "GET");
    body =
        json::object({{"error", body.error().context}, {"status", info(body.error().code).name}});
  }
  std::ignore = co_await response.send(std::move(head), body->dump() + "\n");
}

Result<json::Value> StatusHandler::answer(const http::Request& request) const {
  if (!request.peer_uid || (*request.peer_uid != 0 && *request.peer_uid != ::geteuid())) {
    return fail(Code::permission_denied, "only root and the router's user may ask");
  }
  const std::string_view path = request.head.path();
  if (path == "/internal/v1/status") return status_json(state_, store_, connections_());
  if (path.starts_with(kExplain)) {
    return explain_request(http::percent_decode(path.substr(kExplain.size())));
  }
  if (path == kExplain.substr(0, kExplain.size() - 1)) {
    return explain_host(request.head.query("host").value_or(""), request.head.headers);
  }
  return fail(Code::not_found, "there are only /internal/v1/status and /internal/v1/explain");
}

Result<json::Value> StatusHandler::explain_request(const std::string& id) const {
  const Choice* choice = state_.decisions.find(id);
  if (choice != nullptr) return to_json(*choice);
  return fail(Code::not_found, "this router does not remember a request {}", id);
}

// The choice as it would be made now. Nothing is begun, no turn is taken.
Result<json::Value> StatusHandler::explain_host(std::string_view host,
                                                const http::Headers& headers) const {
  Choice choice;
  choice.at = clock_.wall();
  choice.host = routing::normal_host(host);
  choice.route = state_.table->find_host(choice.host);
  if (choice.route == nullptr) return fail(Code::not_found, "no app answers at {}", choice.host);
  const model::Service* service = http_service(*choice.route);
  if (service == nullptr) {
    return fail(Code::not_found, "app {} has no HTTP service", choice.route->app);
  }
  choice.policy = routing::Policy::of(service->concurrency);
  choice.candidates = candidates_.of(*choice.route, wish_of(headers), {});
  choice.decision = routing::choose(choice.candidates, choice.policy, state_.turn);
  return to_json(choice);
}

}  // namespace perigee::router
