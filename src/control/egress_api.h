// The public API's egress policy of an app: GET and PUT /v1/apps/{app}/egress. The nodes of its
// machines get it by their feeds and apply it to those that run.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class EgressApi {
 public:
  explicit EgressApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> replace(api::Call& call);

  const Context& context_;
};

}  // namespace perigee::control
