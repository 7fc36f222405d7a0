// What DNS says of a name here, for advice on the records that a host needs.
#pragma once

#include <string>
#include <vector>

#include "async/task.h"
#include "sys/host.h"

namespace perigee::cli {

// The addresses of `name`, sorted; none where there is no such name. Asked on the pool: it may take
// seconds.
async::Task<std::vector<std::string>> look_up(sys::Host& host, std::string name);

}  // namespace perigee::cli
