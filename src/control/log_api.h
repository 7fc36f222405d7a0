// The public API's logs: GET /v1/apps/{app}/logs?follow=1&tail=N&machine=ID as server-sent events:
// the last lines of the app's machines in order of time, then, followed, what they write.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class LogApi {
 public:
  explicit LogApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<void>> logs(api::Call& call, http::ResponseWriter& response);

  const Context& context_;
};

}  // namespace perigee::control
