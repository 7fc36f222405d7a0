// How a router ends, in a node and alone.
#pragma once

#include "async/task.h"
#include "router/router.h"
#include "sys/posix_host.h"

namespace perigee::bin {

// At SIGTERM or SIGINT: no new connections, and time for the requests under way.
async::Task<void> drain_on_signal(sys::PosixHost& host, router::Router& router);

}  // namespace perigee::bin
