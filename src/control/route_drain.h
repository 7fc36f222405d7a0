// drain_routes: the time that routers and requests need after machines were taken out of the
// routes, before those machines may end. Of deploys and of what scales an app.
#pragma once

#include "control/context.h"

namespace perigee::control {

// Every router has been sent the routes as they are now, and requests that came before have had
// some time.
async::Task<void> drain_routes(const Context& context);

}  // namespace perigee::control
