// Autostopper: puts machines to rest that autostop.h says are not needed, so that no request fails:
//
//   out of the routes → the routers have followed and have no request there → order in the store
//
// A request that comes meanwhile calls it off (router_api.h), one that comes later has the machine
// started again. Owned by Control.
#pragma once

#include <map>

#include "async/task_group.h"
#include "control/autostop.h"
#include "control/context.h"

namespace perigee::control {

class Autostopper {
 public:
  explicit Autostopper(const Context& context);
  async::Task<void> run();  // for ever

 private:
  struct AppView;
  void look();
  void note_running();
  std::map<AppName, AppView> apps_that_may_rest() const;
  bool is_deploying(const model::App& app) const;
  RegionCode primary_region(const model::App& app) const;
  static async::Task<void> rest(Autostopper& self, MachineId machine, model::Autostop kind);
  async::Task<bool> drained(MachineId machine, RouteMarks marks);
  async::Task<Result<void>> order(MachineId machine, model::Autostop kind);

  const Context& context_;
  std::map<MachineId, MonotonicTime> up_since_;
  async::TaskGroup tasks_;
};

}  // namespace perigee::control
