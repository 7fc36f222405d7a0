// How a router ends, in a node and alone.
#pragma once

#include "async/task.h"
#include "router/router.h"
#include "sys/posix_host.h"

namespace perigee::bin {

// At SIGTERM or SIGINT: no new connections, and a little time for the requests under way. At
// supervisor::kHandOver, which says that a successor serves: as hand_over().
async::Task<void> drain_on_signal(sys::PosixHost& host, router::Router& router, Duration drain);
// A successor serves: lets what is under way end, for so long at most, or until SIGTERM or SIGINT.
async::Task<void> hand_over(sys::PosixHost& host, router::Router& router, Duration drain);

}  // namespace perigee::bin
