// Fabric: the host's side of the machines' network, as an interface. Taps are made and held by the
// VMs' monitors and go away with them; what is left for the worker is that the firewall between
// machines and host stands before the first VM boots.
#pragma once

#include <string>

#include "async/task.h"
#include "base/result.h"

namespace perigee::worker {

class Fabric {
 public:
  virtual ~Fabric() = default;
  // Idempotent; called at every start of the worker.
  virtual async::Task<Result<void>> ensure(std::string network, std::string gateway) = 0;
};

}  // namespace perigee::worker
