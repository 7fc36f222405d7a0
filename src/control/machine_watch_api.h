// The public API's views of what happens to a machine: its events, waiting for a state, and
// what it uses now.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class MachineWatchApi {
 public:
  explicit MachineWatchApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> wait(api::Call& call);
  async::Task<Result<api::Reply>> events(api::Call& call);
  async::Task<Result<api::Reply>> usage(api::Call& call);

  const Context& context_;
};

}  // namespace perigee::control
