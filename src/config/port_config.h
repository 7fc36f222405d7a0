// [[services]] ports and protocol: where users reach a service, with fly.toml's names. Read for
// app_config; what holds for ports from anywhere is checked by model::validate_ports.
#pragma once

#include <vector>

#include "base/result.h"
#include "config/toml.h"
#include "model/port.h"

namespace perigee::config {

// `protocol` of a service; tcp where it has none.
Result<model::Protocol> read_protocol(Section& service);
// Its [[ports]].
Result<std::vector<model::Port>> read_ports(Section& service);

}  // namespace perigee::config
