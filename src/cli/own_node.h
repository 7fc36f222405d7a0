// The API of the control that runs on this very server, for whoever may read its token: root.
#pragma once

#include "config/cli_config.h"
#include "config/node_config.h"
#include "config/paths.h"

namespace perigee::cli {

config::CliConfig own_api(const config::Paths& paths, const config::NodeConfig& node);
// The same from the server's configuration; empty where it runs no control, or the token is not to
// be read.
config::CliConfig own_api(const config::Paths& paths);

}  // namespace perigee::cli
