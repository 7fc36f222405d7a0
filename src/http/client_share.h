// Whose share of a loop's time a client's connections take (async/shares.h). Programs of this
// machine are one client; by a Unix socket they count as the program's own work.
#pragma once

#include "async/loop.h"
#include "sys/address.h"

namespace perigee::http {

async::ShareId client_share(const async::Loop& loop, const sys::Address& client);

}  // namespace perigee::http
