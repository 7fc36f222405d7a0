// How a router ends, in a node and alone.
#pragma once

#include <functional>

#include "async/task.h"
#include "router/router.h"
#include "sys/posix_host.h"

namespace perigee::bin {

using Drain = std::function<async::Task<void>(Deadline deadline, router::Successor successor)>;

// At SIGTERM or SIGINT: no new connections, and a little time for the requests under way. At
// supervisor::kHandOver, which says that a successor serves: as hand_over().
async::Task<void> drain_on_signal(sys::PosixHost& host, Drain drain, Duration time);
// A successor serves: lets what is under way end, for so long at most, or until SIGTERM or SIGINT.
async::Task<void> hand_over(sys::PosixHost& host, Drain drain, Duration time);

}  // namespace perigee::bin
