// Signals by name, as Linux numbers them: what stop_config, kill_signal and the API's calls take.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::model {

// "SIGTERM", "TERM", "sigterm" or "15" → 15. `invalid_argument` for anything else.
Result<int> signal_number(std::string_view name);
// 15 → "SIGTERM"; "signal 63" for one without a name.
std::string signal_name(int number);

}  // namespace perigee::model
