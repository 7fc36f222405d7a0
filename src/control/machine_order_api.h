// The public API's orders to one machine: start, stop, suspend, restart, destroy, cordon. Each is
// judged by machine_action.h and then one compare-and-swap of desired state.
#pragma once

#include "api/route_table.h"
#include "control/context.h"
#include "control/machine_calls.h"

namespace perigee::control {

class MachineOrderApi {
 public:
  explicit MachineOrderApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> start(api::Call& call);
  async::Task<Result<api::Reply>> stop(api::Call& call);
  async::Task<Result<api::Reply>> suspend(api::Call& call);
  async::Task<Result<api::Reply>> restart(api::Call& call);
  async::Task<Result<api::Reply>> destroy(api::Call& call);
  async::Task<Result<api::Reply>> cordon(api::Call& call, bool cordoned);

  const Context& context_;
};

}  // namespace perigee::control
