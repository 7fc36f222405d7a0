#include "control/node_use.h"

namespace perigee::control {

int performance_cpus(const model::Guest& guest) {
  return guest.cpu_kind == "performance" ? guest.cpus : 0;
}

NodeUse use_of(const model::Machine& machine) {
  if (machine.desired != model::DesiredState::started) return {};
  const model::Guest& guest = machine.config.guest;
  return {1, guest.memory_mib, performance_cpus(guest)};
}

}  // namespace perigee::control
