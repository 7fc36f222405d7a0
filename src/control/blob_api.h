// The public API's blobs: HEAD and PUT /v1/blobs/{digest}: how the CLI brings an image to the
// platform. A blob is there when it is whole and its digest is right.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class BlobApi {
 public:
  explicit BlobApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<void>> head(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<void>> put(api::Call& call, http::ResponseWriter& response);

  const Context& context_;
};

}  // namespace perigee::control
