// The public API's machines: /v1/apps/{app}/machines and below, with the Machines API's paths and
// shapes.
#pragma once

#include <deque>

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class MachineApi {
 public:
  explicit MachineApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  using Machine = Stored<model::Machine>;
  Result<Machine> find(const api::Call& call) const;
  json::Value view(const model::Machine& machine) const;

  async::Task<Result<api::Reply>> list(api::Call& call);
  async::Task<Result<api::Reply>> create(api::Call& call);
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> update(api::Call& call);
  async::Task<Result<api::Reply>> destroy(api::Call& call);
  async::Task<Result<api::Reply>> start(api::Call& call);
  async::Task<Result<api::Reply>> stop(api::Call& call);
  async::Task<Result<api::Reply>> suspend(api::Call& call);
  async::Task<Result<api::Reply>> restart(api::Call& call);
  async::Task<Result<api::Reply>> cordon(api::Call& call, bool cordoned);
  async::Task<Result<api::Reply>> wait(api::Call& call);
  async::Task<Result<api::Reply>> events(api::Call& call);

  const Context& context_;
};

}  // namespace perigee::control
