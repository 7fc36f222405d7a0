#include "control/internal_api.h"

#include "api/endpoint.h"
#include "model/json.h"

namespace perigee::control {
namespace {

constexpr std::string_view kJsonLines = "application/x-ndjson";
constexpr std::size_t kBlobPart = 256 * 1024;

}  // namespace

void InternalApi::add_routes(api::RouteTable& table) {
  using Writer = http::ResponseWriter;
  const api::Guard daemons = callers_.daemons();
  const api::Guard all = callers_.daemons_and_routers();
  table.stream("GET", "/internal/v1/feed/node/{node}", daemons,
               [this](api::Call& call, Writer& response) { return node_feed(call, response); });
  table.stream("GET", "/internal/v1/feed/routes", all,
               [this](api::Call& call, Writer& response) { return routes_feed(call, response); });
  table.stream("GET", "/internal/v1/feed/fleet", daemons,
               [this](api::Call& call, Writer& response) { return fleet_feed(call, response); });
  table.stream("GET", "/internal/v1/blobs/{digest}", daemons,
               [this](api::Call& call, Writer& response) { return blob(images_, call, response); });
  // To other controls, which ask each other for what they lack: what this one has, no more.
  table.stream(
      "GET", "/internal/v1/own-blobs/{digest}", callers_.controls(),
      [this](api::Call& call, Writer& response) { return blob(images_.own(), call, response); });
  table.answer("GET", "/internal/v1/reports", callers_.controls(),
               [this](api::Call&) { return reports(); });
  table.answer("POST", "/internal/v1/keys/ring", callers_.controls(),
               [this](api::Call& call) { return take_keys(call); });
  table.answer("POST", "/internal/v1/routes/share", callers_.controls(),
               [this](api::Call& call) { return share_routes(call); });
  table.answer("GET", "/internal/v1/keys/certificate-key", all,
               [this](api::Call&) { return certificate_keys(); });
  table.answer("GET", "/internal/v1/certificates", callers_.local_daemons(),
               [this](api::Call&) { return certificates(); });
  table.answer("POST", "/internal/v1/nodes/{node}/report", daemons,
               [this](api::Call& call) { return report(call); });
}

// For this node's metrics.
async::Task<Result<api::Reply>> InternalApi::certificates() {
  json::Value hosts = json::array();
  for (const auto& [host, stored] : context_.desired.hosts()) {
    const auto end = end_of(stored.value);
    hosts.push(json::object({{"host", host},
                             {"app", stored.value.app.str()},
                             {"end_seconds", end ? end->ns / 1'000'000'000 : std::int64_t{0}},
                             {"failed_orders", stored.value.failures}}));
  }
  co_return api::Reply{200, json::object({{"hosts", std::move(hosts)}})};
}

async::Task<Result<void>> InternalApi::node_feed(api::Call& call, http::ResponseWriter& response) {
  const NodeId node(call.param("node"));
  CO_TRY_VOID(callers_.check_speaks_for(call.request, node));
  CO_TRY_VOID(co_await response.start(api::response_head(call.request, 200, kJsonLines)));
  // Before that the names would lack machines that run.
  co_await context_.publisher.settled();
  Feed& feed = context_.publisher.node(node);
  co_return co_await feed.serve(call.query("from").value_or(""), response);
}

async::Task<Result<void>> InternalApi::routes_feed(api::Call& call,
                                                   http::ResponseWriter& response) {
  // The head at once, so that the receiver knows us to be there; the routes when they are whole.
  CO_TRY_VOID(co_await response.start(api::response_head(call.request, 200, kJsonLines)));
  co_await context_.publisher.settled();
  co_return co_await context_.publisher.routes().serve(call.query("from").value_or(""), response);
}

async::Task<Result<void>> InternalApi::fleet_feed(api::Call& call, http::ResponseWriter& response) {
  CO_TRY_VOID(co_await response.start(api::response_head(call.request, 200, kJsonLines)));
  co_return co_await context_.publisher.fleet().serve(call.query("from").value_or(""), response);
}

// An uploaded image's, for a worker on another node.
async::Task<Result<void>> InternalApi::blob(Images& images, api::Call& call,
                                            http::ResponseWriter& response) {
  CO_TRY(const auto body, co_await images.open_blob(call.param("digest")));
  http::ResponseHead head = api::response_head(call.request, 200, "application/octet-stream");
  head.headers.set("Content-Length", fmt::format("{}", body->length().value_or(0)));
  CO_TRY_VOID(co_await response.start(std::move(head)));
  std::vector<char> part(kBlobPart);
  for (;;) {
    CO_TRY(const std::size_t n, co_await body->read(part));
    if (n == 0) co_return co_await response.finish();
    CO_TRY_VOID(co_await response.write({part.data(), n}));
  }
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
  CO_TRY(const Callers::Hand hand, callers_.hand_of(call.request, report.node));
  CO_TRY_VOID(co_await remember(report));
  if (hand == Callers::Hand::first) peers_.tell(report);
  context_.observed.report(std::move(report));
  co_return api::Reply{204, {}};
}

// For a control that has just started.
async::Task<Result<api::Reply>> InternalApi::reports() {
  json::Value reports = json::array();
  const MonotonicTime now = context_.host.loop.now();
  for (const auto& [id, node] : context_.observed.nodes())
    reports.push(
        json::object({{"age_ms", to_ms(now - node.at)}, {"report", model::to_json(node.report)}}));
  co_return api::Reply{200, json::object({{"reports", std::move(reports)}})};
}

async::Task<Result<api::Reply>> InternalApi::share_routes(api::Call& call) {
  const std::string_view* const from = call.request.head.headers.find(api::kNodeHeader);
  if (from == nullptr) co_return fail(Code::invalid_argument, "{}: missing", api::kNodeHeader);
  CO_TRY(json::Value answer, co_await context_.sharing.take(NodeId(std::string(*from)), call.body));
  co_return api::Reply{200, std::move(answer)};
}

async::Task<Result<api::Reply>> InternalApi::take_keys(api::Call& call) {
  CO_TRY(std::string ring, call.body.require_string("key_ring"));
  CO_TRY_VOID(co_await context_.key_sharing.take(std::move(ring)));
  context_.changed.notify_all();
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
  co_return co_await context_.commit(std::move(transaction));
}

}  // namespace perigee::control
