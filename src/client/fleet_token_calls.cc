// The client's calls about join tokens.
#include "client/client.h"

namespace perigee::client {

async::Task<Result<json::Value>> Client::create_join_token(json::Value options) {
  co_return co_await call("POST", "/v1/nodes/tokens", std::move(options));
}

async::Task<Result<json::Value>> Client::join_tokens() {
  co_return co_await call("GET", "/v1/nodes/tokens", {});
}

async::Task<Result<void>> Client::revoke_join_token(std::string id) {
  CO_TRY([[maybe_unused]] const json::Value answer,
         co_await call("DELETE", "/v1/nodes/tokens/" + http::percent_encode(id), {}));
  co_return Result<void>();
}

}  // namespace perigee::client
