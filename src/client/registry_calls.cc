// The client's calls on log-ins at registries.
#include "client/client.h"

namespace perigee::client {
namespace {

std::string registry_path(std::string_view registry) {
  return fmt::format("/v1/registries/{}", http::percent_encode(registry));
}

}  // namespace

async::Task<Result<json::Value>> Client::registries() {
  co_return co_await call("GET", "/v1/registries", {});
}

async::Task<Result<json::Value>> Client::set_registry_login(std::string registry,
                                                            json::Value login) {
  co_return co_await call("PUT", registry_path(registry), std::move(login));
}

async::Task<Result<void>> Client::remove_registry_login(std::string registry) {
  CO_TRY_VOID(co_await call("DELETE", registry_path(registry), {}));
  co_return Result<void>();
}

}  // namespace perigee::client
