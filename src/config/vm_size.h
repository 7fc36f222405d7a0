// [[vm]]: size presets with memory, cpus and cpu_kind on top (the names of the field: shared-cpu-1x
// …).
#pragma once

#include "base/result.h"
#include "config/toml.h"
#include "model/types.h"

namespace perigee::config {

Result<model::Guest> read_vm_size(Section& vm);
// cpu_percent, net_mbit, disk_iops, disk_mib_s: bounds other than the size's.
Result<model::MachineLimits> read_vm_limits(Section& vm);

}  // namespace perigee::config
