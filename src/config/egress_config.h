// [egress]: where the app's machines may connect to; nothing where the file does not say.
#pragma once

#include <optional>

#include "config/toml.h"
#include "model/types.h"

namespace perigee::config {

Result<std::optional<model::EgressPolicy>> read_egress(Section& top);

}  // namespace perigee::config
