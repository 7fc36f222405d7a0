// Carries an exec session's bytes between a client and a server, unread. What flows is bounded by
// the sockets on both sides: a slow reader is felt at the other end.
#pragma once

#include "async/loop.h"
#include "async/task.h"
#include "sys/network.h"

namespace perigee::exec {

// Until the client is gone, or the server has ended the session and the client has been given all
// of it. Both streams outlive the task; the caller closes them.
async::Task<void> relay(async::Loop& loop, sys::Stream& client, sys::Stream& server);

}  // namespace perigee::exec
