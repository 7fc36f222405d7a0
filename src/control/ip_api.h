// The public API's addresses of apps: GET and POST /v1/apps/{app}/ip_assignments, DELETE …/{ip}.
// They come out of the operator's networks (address_prefixes), which lead to the nodes; routers
// know from the routes whose each is.
#pragma once

#include <vector>

#include "api/route_table.h"
#include "control/address_pool.h"
#include "control/context.h"

namespace perigee::control {

class IpApi {
 public:
  IpApi(const Context& context, std::vector<sys::IpPrefix> prefixes)
      : context_(context), prefixes_(std::move(prefixes)) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> list(api::Call& call);
  async::Task<Result<api::Reply>> allocate(api::Call& call);
  async::Task<Result<api::Reply>> release(api::Call& call);

  const Context& context_;
  std::vector<sys::IpPrefix> prefixes_;
};

}  // namespace perigee::control
