#include "control/internal_api.h"

#include "api/endpoint.h"
#include "api/tokens.h"
#include "model/json.h"

namespace perigee::control {
namespace {

constexpr std::string_view kJsonLines = "application/x-ndjson";

}  // namespace

void InternalApi::add_routes(api::RouteTable& table, std::uint32_t own_uid,
                             std::uint32_t router_uid) {
  const api::Guard root = api::uid_guard({0, own_uid});
  const api::Guard root_or_router = api::uid_guard({0, own_uid, router_uid});
  table.stream("GET", "/internal/v1/feed/node/{node}", root,
               [this](api::Call& call, http::ResponseWriter& response) {
                 return node_feed(call, response);
               });
  table.stream("GET", "/internal/v1/feed/routes", root_or_router,
               [this](api::Call& call, http::ResponseWriter& response) {
                 return routes_feed(call, response);
               });
  table.answer("GET", "/internal/v1/keys/certificate-key", root_or_router,
               [this](api::Call&) { return certificate_keys(); });
  table.answer("POST", "/internal/v1/nodes/{node}/report", root,
               [this](api::Call& call) { return report(call); });
}

async::Task<Result<void>> InternalApi::node_feed(api::Call& call, http::ResponseWriter& response) {
  CO_TRY_VOID(co_await response.start(api::response_head(call.request, 200, kJsonLines)));
  Feed& feed = context_.publisher.node(NodeId(call.param("node")));
  co_return co_await feed.serve(call.query("from").value_or(""), response);
}

async::Task<Result<void>> InternalApi::routes_feed(api::Call& call,
                                                   http::ResponseWriter& response) {
  // The head at once, so that the receiver knows us to be there; the routes when they are whole.
  CO_TRY_VOID(co_await response.start(api::response_head(call.request, 200, kJsonLines)));
  co_await context_.publisher.settled();
  co_return co_await context_.publisher.routes().serve(call.query("from").value_or(""), response);
}

// What opens certificates' keys and nothing else.
async::Task<Result<api::Reply>> InternalApi::certificate_keys() {
  const auto kind = secrets::Kind::certificate_key;
  co_return api::Reply{200, context_.keys.ring().keys_of(kind).to_json()};
}

async::Task<Result<api::Reply>> InternalApi::report(api::Call& call) {
  CO_TRY_AS(model::NodeReport report, model::node_report_from(call.body), "report");
  if (report.node.str() != call.param("node"))
    co_return fail(Code::invalid_argument, "report of node {} under the name {}", report.node,
                   call.param("node"));
  CO_TRY_VOID(co_await remember(report));
  context_.observed.report(std::move(report));
  co_return api::Reply{204, {}};
}

// A node that reports for the first time, or from another region, is written down: the routes of a
// restarted control wait for the nodes that it should know.
async::Task<Result<void>> InternalApi::remember(const model::NodeReport& report) {
  const auto found = context_.desired.nodes().find(report.node);
  const bool known = found != context_.desired.nodes().end();
  if (known && found->second.value.region == report.region) co_return Result<void>();
  NodeRecord record = known ? found->second.value : NodeRecord{};
  record.region = report.region;
  if (!known) record.first_seen = context_.host.clock.wall();
  store::Transaction transaction;
  transaction.expect(node_key(report.node), known ? found->second.revision : 0);
  transaction.put(node_key(report.node), to_json(record).dump());
  co_return co_await context_.desired.commit(std::move(transaction));
}

}  // namespace perigee::control
