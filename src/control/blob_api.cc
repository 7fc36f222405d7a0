#include "control/blob_api.h"

#include <array>

#include "api/endpoint.h"

namespace perigee::control {
namespace {

// So that a client that sends what is there already gets its answer on a living connection.
async::Task<Result<void>> discard(http::Body& body) {
  constexpr std::size_t kBuffer = 64 * 1024;
  std::vector<char> buffer(kBuffer);
  for (;;) {
    CO_TRY(const std::size_t n, co_await body.read(buffer));
    if (n == 0) co_return Result<void>();
  }
}

}  // namespace

void BlobApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.stream(
      "HEAD", "/v1/blobs/{digest}", guard,
      [this](api::Call& call, http::ResponseWriter& response) { return head(call, response); });
  table.stream(
      "PUT", "/v1/blobs/{digest}", guard,
      [this](api::Call& call, http::ResponseWriter& response) { return put(call, response); });
}

async::Task<Result<void>> BlobApi::head(api::Call& call, http::ResponseWriter& response) {
  const std::string digest = call.param("digest");
  CO_TRY(const bool there, co_await context_.images.has_blob(digest));
  if (!there) co_return fail(Code::not_found, "blob {} is not here", digest);
  co_return co_await response.send(api::response_head(call.request, 200, ""), {});
}

async::Task<Result<void>> BlobApi::put(api::Call& call, http::ResponseWriter& response) {
  const std::string digest = call.param("digest");
  CO_TRY(const bool there, co_await context_.images.has_blob(digest));
  if (there) {
    CO_TRY_VOID(co_await discard(call.request.body));
  } else {
    CO_TRY_VOID_AS(co_await context_.images.put_blob(digest, call.request.body),
                   fmt::format("blob {}", digest));
  }
  co_return co_await response.send(api::response_head(call.request, there ? 200 : 201, ""), {});
}

}  // namespace perigee::control
