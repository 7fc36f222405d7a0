// The client's calls on apps' own hosts and their certificates.
#include "client/client.h"

namespace perigee::client {
namespace {

std::string hosts_path(std::string_view app) {
  return fmt::format("/v1/apps/{}/certificates", http::percent_encode(app));
}

std::string host_path(std::string_view app, std::string_view host) {
  return fmt::format("{}/{}", hosts_path(app), http::percent_encode(host));
}

}  // namespace

async::Task<Result<json::Value>> Client::certificates(std::string app) {
  co_return co_await call("GET", hosts_path(app), {});
}

async::Task<Result<json::Value>> Client::certificate(std::string app, std::string host) {
  co_return co_await call("GET", host_path(app, host), {});
}

async::Task<Result<json::Value>> Client::add_certificate(std::string app, std::string host) {
  json::Value body = json::object({{"hostname", std::move(host)}});
  co_return co_await call("POST", hosts_path(app) + "/acme", std::move(body));
}

async::Task<Result<json::Value>> Client::import_certificate(std::string app, json::Value body) {
  co_return co_await call("POST", hosts_path(app) + "/custom", std::move(body));
}

async::Task<Result<json::Value>> Client::check_certificate(std::string app, std::string host) {
  co_return co_await call("POST", host_path(app, host) + "/check", {});
}

async::Task<Result<void>> Client::remove_certificate(std::string app, std::string host) {
  CO_TRY_VOID(co_await call("DELETE", host_path(app, host), {}));
  co_return Result<void>();
}

}  // namespace perigee::client
