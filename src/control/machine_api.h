// The public API's machines: /v1/apps/{app}/machines, list, create, show, update and versions, with
// the Machines API's paths and shapes. Orders to a machine are in machine_order_api.h, its events
// and waiting in machine_watch_api.h.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class MachineApi {
 public:
  explicit MachineApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> list(api::Call& call);
  async::Task<Result<api::Reply>> create(api::Call& call);
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> update(api::Call& call);
  async::Task<Result<api::Reply>> versions(api::Call& call);

  const Context& context_;
};

}  // namespace perigee::control
