// The public API's nodes: GET /v1/nodes; and GET /healthz, which needs no token.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class NodeApi {
 public:
  explicit NodeApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> list();
  async::Task<Result<api::Reply>> health();
  json::Value view(const NodeId& id, const NodeRecord& record) const;

  const Context& context_;
};

}  // namespace perigee::control
