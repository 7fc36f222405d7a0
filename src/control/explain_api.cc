#include "control/explain_api.h"

#include <algorithm>
#include <set>

#include "async/combine.h"
#include "control/app_api.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

// What a request may wish for, of what this call was sent with.
http::Headers wishes_of(const http::Headers& headers) {
  http::Headers out;
  for (const std::string_view name :
       {"perigee-prefer-region", "perigee-force-region", "perigee-prefer-machine",
        "perigee-force-machine", "fly-prefer-region", "fly-force-region", "fly-prefer-instance-id",
        "fly-force-instance-id"}) {
    if (const std::string_view* value = headers.find(name)) out.set(name, *value);
  }
  return out;
}

async::Task<Result<json::Value>> ask_one(RouterLink& link, NodeId node, RegionCode region,
                                         std::string target, http::Headers headers) {
  CO_TRY(json::Value answer, co_await link.ask(node, std::move(target), std::move(headers)));
  answer.set("router", node.str());
  answer.set("router_region", region.str());
  co_return answer;
}

}  // namespace

void ExplainApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.answer("GET", "/v1/apps/{app}/explain", guard,
               [this](Call& call) { return explain(call); });
}

std::vector<ExplainApi::RouterAt> ExplainApi::routers() const {
  std::vector<RouterAt> out;
  for (const auto& [id, stored] : context_.desired.nodes()) {
    const auto& membership = stored.value.membership;
    if (membership && !membership->runs("router")) continue;
    out.push_back({id, stored.value.region});
  }
  return out;
}

Result<ExplainApi::RouterAt> ExplainApi::router_at(const std::string& from) const {
  std::set<std::string> regions;
  for (const RouterAt& router : routers()) {
    if (router.node.str() == from || router.region.str() == from) return router;
    regions.insert(router.region.str());
  }
  std::string known;
  for (const std::string& region : regions) known += (known.empty() ? "" : ", ") + region;
  return fail(Code::not_found, "from: there is no router in '{}'; there are some in: {}", from,
              known);
}

// Whichever router served it: all are asked at once.
async::Task<Result<json::Value>> ExplainApi::find_request(std::string id) {
  const std::string target = "/internal/v1/explain/" + http::percent_encode(id);
  std::vector<async::Task<Result<json::Value>>> asked;
  for (const RouterAt& router : routers()) {
    asked.push_back(ask_one(context_.routers, router.node, router.region, target, {}));
  }
  auto answers = co_await async::all_of(context_.host.loop, std::move(asked));
  std::string silent;
  for (auto& answer : answers) {
    if (answer) co_return std::move(answer);
    if (answer.error().code != Code::not_found) silent += "; " + answer.error().context;
  }
  co_return fail(Code::not_found,
                 "no router remembers a request {}: each keeps its last thousands, until it "
                 "restarts{}",
                 id, silent);
}

async::Task<Result<Reply>> ExplainApi::explain(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY_VOID(context_.desired.app(app));
  const auto request = call.query("request");
  const auto from = call.query("from");
  if (request.has_value() == from.has_value()) {
    co_return fail(Code::invalid_argument, "give either request=ID or from=REGION");
  }
  Result<json::Value> answer = json::Value();
  if (request) {
    answer = co_await find_request(*request);
  } else {
    CO_TRY(const RouterAt router, router_at(*from));
    const std::string host = context_.publisher.host_of(app);
    answer = co_await ask_one(context_.routers, router.node, router.region,
                              "/internal/v1/explain?host=" + http::percent_encode(host),
                              wishes_of(call.request.head.headers));
  }
  if (!answer) co_return fail(answer.error());
  if (answer->optional_string("app").value_or("") != app.str()) {
    co_return fail(Code::not_found, "request {} was not one of app {}", request.value_or(""), app);
  }
  co_return Reply{200, *std::move(answer)};
}

}  // namespace perigee::control
