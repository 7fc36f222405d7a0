// The internal API on control.sock: the feeds to workers and routers, and the workers' reports.
// Callers are known by their user id.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class InternalApi {
 public:
  explicit InternalApi(const Context& context) : context_(context) {}
  // `router_uid` may read the routes feed and the keys of certificates, nothing else.
  void add_routes(api::RouteTable& table, std::uint32_t own_uid, std::uint32_t router_uid);

 private:
  async::Task<Result<void>> node_feed(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<void>> routes_feed(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<api::Reply>> certificate_keys();
  async::Task<Result<api::Reply>> report(api::Call& call);
  async::Task<Result<void>> remember(const model::NodeReport& report);

  const Context& context_;
};

}  // namespace perigee::control
