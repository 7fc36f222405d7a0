// [mounts] or [[mounts]]: the volumes that each machine of the app mounts.
#pragma once

#include <vector>

#include "base/result.h"
#include "config/toml.h"
#include "model/types.h"

namespace perigee::config {

Result<std::vector<model::Mount>> read_mounts(Section& top);

}  // namespace perigee::config
