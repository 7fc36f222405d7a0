// Signals by name, as Linux numbers them: what stop_config, kill_signal and the API's calls take.
#pragma once

#include <string_view>

#include "base/result.h"

namespace perigee::model {

// "SIGTERM", "TERM", "sigterm" or "15" → 15. `invalid_argument` for anything else.
Result<int> signal_number(std::string_view name);

}  // namespace perigee::model
