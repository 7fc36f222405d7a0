// One value below /proc/sys. Private to sys: what is set, and why, has a function of its own
// (forwarding.h, long_paths.h).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::sys {

std::string read_setting(const std::string& path);  // its first line; empty: there is none
// SAFETY: of this network namespace, or of the host; needs CAP_NET_ADMIN for those of the network.
Result<void> write_setting(const std::string& path, std::string_view value);

}  // namespace perigee::sys
