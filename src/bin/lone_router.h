// `perigeed router --config FILE`: a router without a node around it. It opens its own listeners,
// gives up root, serves the apps that FILE names, and reads FILE anew on SIGHUP. On SIGUSR2 it
// starts its program anew, which takes over (docs/decisions/0035-handover.md).
#pragma once

#include <string>

#include "base/result.h"

namespace perigee::bin {

// Until SIGTERM or SIGINT, or a successor serves; requests under way then get their time. An error:
// it could not begin.
Result<void> lone_router_main(const std::string& config_file);

}  // namespace perigee::bin
