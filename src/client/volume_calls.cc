// The client's calls on volumes.
#include "client/client.h"

namespace perigee::client {
namespace {

std::string volumes_path(std::string_view app) {
  return fmt::format("/v1/apps/{}/volumes", http::percent_encode(app));
}

std::string volume_path(std::string_view app, std::string_view id, std::string_view rest = {}) {
  return fmt::format("{}/{}{}", volumes_path(app), http::percent_encode(id), rest);
}

}  // namespace

async::Task<Result<std::vector<json::Value>>> Client::volumes(std::string app) {
  CO_TRY(const json::Value answer, co_await call("GET", volumes_path(app), {}));
  co_return std::vector<json::Value>(answer.items().begin(), answer.items().end());
}

async::Task<Result<json::Value>> Client::volume(std::string app, std::string id) {
  co_return co_await call("GET", volume_path(app, id), {});
}

async::Task<Result<json::Value>> Client::create_volume(std::string app, json::Value body) {
  co_return co_await call("POST", volumes_path(app), std::move(body));
}

async::Task<Result<json::Value>> Client::extend_volume(std::string app, std::string id,
                                                       json::Value size) {
  co_return co_await call("PUT", volume_path(app, id, "/extend"), std::move(size));
}

async::Task<Result<void>> Client::destroy_volume(std::string app, std::string id) {
  CO_TRY([[maybe_unused]] const auto answer, co_await call("DELETE", volume_path(app, id), {}));
  co_return Result<void>();
}

async::Task<Result<json::Value>> Client::snapshots(std::string app, std::string volume) {
  co_return co_await call("GET", volume_path(app, volume, "/snapshots"), {});
}

async::Task<Result<json::Value>> Client::create_snapshot(std::string app, std::string volume) {
  co_return co_await call("POST", volume_path(app, volume, "/snapshots"), {});
}

async::Task<Result<void>> Client::destroy_snapshot(std::string app, std::string volume,
                                                   std::string id) {
  const std::string rest = "/snapshots/" + http::percent_encode(id);
  CO_TRY([[maybe_unused]] const auto answer,
         co_await call("DELETE", volume_path(app, volume, rest), {}));
  co_return Result<void>();
}

}  // namespace perigee::client
