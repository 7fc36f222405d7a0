// Shared ports: which ports of addresses that several apps share an app needs for itself. 80 and
// 443 are found by a name, that of a request or of a TLS client; any other port is one app's.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/types.h"

namespace perigee::model {

// "tcp/5432", in order. An error where the services need what shared addresses can't give: port 80
// or 443 without a name to go by, or more than kMaxSharedPorts.
Result<std::vector<std::string>> shared_ports_of(const std::vector<Service>& services);

}  // namespace perigee::model
