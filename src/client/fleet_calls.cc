// The client's calls on regions, scale and nodes.
#include "client/client.h"

namespace perigee::client {
namespace {

std::string app_path(std::string_view app, std::string_view rest) {
  return fmt::format("/v1/apps/{}/{}", http::percent_encode(app), rest);
}

std::string node_path(std::string_view node, std::string_view rest = {}) {
  return fmt::format("/v1/nodes/{}{}", http::percent_encode(node), rest);
}

}  // namespace

async::Task<Result<json::Value>> Client::regions() {
  co_return co_await call("GET", "/v1/regions", {});
}

async::Task<Result<json::Value>> Client::app_regions(std::string app) {
  co_return co_await call("GET", app_path(app, "regions"), {});
}

async::Task<Result<json::Value>> Client::set_app_regions(std::string app, json::Value body) {
  co_return co_await call("PUT", app_path(app, "regions"), std::move(body));
}

async::Task<Result<json::Value>> Client::change_app_regions(std::string app, json::Value body) {
  co_return co_await call("POST", app_path(app, "regions"), std::move(body));
}

async::Task<Result<json::Value>> Client::scale(std::string app) {
  co_return co_await call("GET", app_path(app, "scale"), {});
}

async::Task<Result<json::Value>> Client::set_scale(std::string app, json::Value body) {
  co_return co_await call("POST", app_path(app, "scale"), std::move(body));
}

async::Task<Result<json::Value>> Client::node(std::string name) {
  co_return co_await call("GET", node_path(name), {});
}

async::Task<Result<json::Value>> Client::act_on_node(std::string name, std::string action,
                                                     json::Value body) {
  co_return co_await call("POST", node_path(name, "/" + action), std::move(body));
}

async::Task<Result<void>> Client::remove_node(std::string name, Force force) {
  const std::string target = node_path(name, force == Force::yes ? "?force=true" : "");
  CO_TRY([[maybe_unused]] const auto answer, co_await call("DELETE", target, {}));
  co_return Result<void>();
}

}  // namespace perigee::client
