// What routers ask of control, on control.sock: to start a machine for a request that found none,
// and to take note of what the machines have to do.
#pragma once

#include <map>

#include "api/route_table.h"
#include "control/autostop.h"
#include "control/callers.h"
#include "control/context.h"
#include "control/control_peers.h"

namespace perigee::control {

class RouterApi {
 public:
  RouterApi(const Context& context, const Callers& callers, ControlPeers& peers)
      : context_(context), callers_(callers), peers_(peers) {}
  void add_routes(api::RouteTable& table);

 private:
  async::Task<Result<api::Reply>> wake(api::Call& call);
  async::Task<Result<MachineId>> start_one(AppName app, RegionCode region);
  async::Task<Result<MachineId>> ask_drainer(NodeId control, AppName app, RegionCode region);
  async::Task<Result<api::Reply>> loads(api::Call& call);
  std::vector<SleepingMachine> sleeping(const AppName& app) const;
  Error none_to_start(const AppName& app, const std::vector<SleepingMachine>& all) const;
  Result<void> take_turn(const AppName& app);

  // Of one app's wakes: how many are left, and since when.
  struct Allowance {
    double left = 0;
    MonotonicTime at;
  };
  const Context& context_;
  const Callers& callers_;
  ControlPeers& peers_;
  std::map<AppName, Allowance> allowances_;
};

}  // namespace perigee::control
