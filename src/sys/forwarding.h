// Forwarding: lets the kernel carry packets between its interfaces, which virtual machines need to
// reach anything beyond their host. It stays on: other software may have come to rely on it.
#pragma once

#include <string>

#include "base/result.h"

namespace perigee::sys {

// IPv4 and, where the kernel has it, IPv6. An interface that takes its IPv6 routes from router
// advertisements goes on doing so, which a forwarding host would otherwise stop. `root`: where
// /proc is looked for, for tests.
Result<void> enable_forwarding(const std::string& root = "");

}  // namespace perigee::sys
