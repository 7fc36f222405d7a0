// NodeUse: what the machines that are wanted on a node ask of it. DesiredTable adds it up as they
// come and go, so that placing a machine does not count all that there are.
#pragma once

#include <cstdint>

#include "model/types.h"

namespace perigee::control {

struct NodeUse {
  int machines = 0;  // that are to run
  std::int64_t memory_mib = 0;
  int performance_cpus = 0;

  NodeUse& operator+=(const NodeUse& other) {
    machines += other.machines;
    memory_mib += other.memory_mib;
    performance_cpus += other.performance_cpus;
    return *this;
  }
  NodeUse& operator-=(const NodeUse& other) {
    machines -= other.machines;
    memory_mib -= other.memory_mib;
    performance_cpus -= other.performance_cpus;
    return *this;
  }
  bool operator==(const NodeUse&) const = default;
};

int performance_cpus(const model::Guest& guest);
// Nothing, where it is not to run.
NodeUse use_of(const model::Machine& machine);

}  // namespace perigee::control
