// Fabric: the host's side of the machines' network, as an interface. Taps are made and held by the
// VMs' monitors and go away with them; what is left for the worker is that the firewall knows every
// machine before its VM boots, and whatever else lets packets through the host.
#pragma once

#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "vm/firewall.h"

namespace perigee::worker {

class Fabric {
 public:
  virtual ~Fabric() = default;
  // From now on these machines are known, and no others. Idempotent.
  virtual async::Task<Result<void>> apply(std::vector<vm::FirewallMachine> machines) = 0;
  // Nothing of this node is left in the host's network. Idempotent; apply() makes it anew.
  virtual async::Task<Result<void>> remove() = 0;
};

}  // namespace perigee::worker
