// The client's calls on secrets and keys.
#include "client/client.h"

namespace perigee::client {
namespace {

std::string secrets_path(std::string_view app) {
  return fmt::format("/v1/apps/{}/secrets", http::percent_encode(app));
}

}  // namespace

async::Task<Result<json::Value>> Client::secrets(std::string app) {
  co_return co_await call("GET", secrets_path(app), {});
}

async::Task<Result<json::Value>> Client::set_secrets(std::string app, json::Value values) {
  json::Value body = json::object({{"values", std::move(values)}});
  co_return co_await call("POST", secrets_path(app), std::move(body));
}

async::Task<Result<ReleaseInfo>> Client::redeploy(std::string app) {
  const std::string target = fmt::format("/v1/apps/{}/releases", http::percent_encode(app));
  CO_TRY(const json::Value answer,
         co_await call("POST", target, json::object({{"redeploy", true}})));
  co_return release_info_from(answer);
}

async::Task<Result<json::Value>> Client::keys() {
  co_return co_await call("GET", "/v1/keys", {});
}

async::Task<Result<json::Value>> Client::rotate_key() {
  co_return co_await call("POST", "/v1/keys/rotate", {});
}

}  // namespace perigee::client
