// Scheduler: starts machines that have a schedule when a slot of it comes. The slot that was seen
// to is written with the order, in one compare-and-swap: a restart of control neither misses nor
// doubles a start. A machine that still runs then is left alone until the next slot.
#pragma once

#include "control/context.h"

namespace perigee::control {

class Scheduler {
 public:
  explicit Scheduler(const Context& context) : context_(context) {}
  async::Task<void> run();  // for ever

 private:
  async::Task<Result<void>> start(MachineId machine, WallTime slot);
  Duration until_next(WallTime now) const;

  const Context& context_;
};

}  // namespace perigee::control
