// [[vm]]: size presets with memory, cpus and cpu_kind on top (the names of the field: shared-cpu-1x
// …).
#pragma once

#include "base/result.h"
#include "config/toml.h"
#include "model/types.h"

namespace perigee::config {

Result<model::Guest> read_vm_size(Section& vm);

}  // namespace perigee::config
