// The supervisor's main: what a plain `perigeed` does, and `perigeed down`.
#pragma once

#include <string>

#include "base/result.h"
#include "config/node_config.h"
#include "config/paths.h"

namespace perigee::bin {

// Makes the node's directories and token, starts or adopts the roles, keeps them until SIGTERM.
Result<void> node_main(const config::Paths& paths, const config::NodeConfig& node,
                       const std::string& config_file);

enum class Machines { stop, keep };
// Ends the node: through its supervisor, or, if that is gone, by adopting the roles itself.
Result<void> down_main(const config::Paths& paths, const config::NodeConfig& node,
                       const std::string& config_file, Machines machines);

}  // namespace perigee::bin
