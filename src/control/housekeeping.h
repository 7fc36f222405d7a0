// Housekeeping: the small duties of control that no request starts: keys of destroyed machines go
// when their worker has removed them, machines with auto_destroy go when they have exited,
// certificates are renewed, old snapshots go, nodes are counted as lost.
#pragma once

#include "control/context.h"

namespace perigee::control {

class Housekeeping {
 public:
  explicit Housekeeping(const Context& context) : context_(context) {}
  async::Task<void> tend_machines();       // for ever
  async::Task<void> renew_certificates();  // for ever
  async::Task<void> expire_snapshots();    // for ever

 private:
  void tend(const MachineId& id, store::Transaction& transaction) const;
  void forget_volumes(store::Transaction& transaction) const;
  async::Task<Result<void>> renew(AppName app);

  const Context& context_;
};

// What must happen to a machine that nobody asked for. Pure.
enum class Duty { none, forget, destroy };
Duty duty_of(const model::Machine& machine, const model::MachineStatus* status);

}  // namespace perigee::control
