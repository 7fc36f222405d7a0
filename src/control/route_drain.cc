#include "control/route_drain.h"

namespace perigee::control {

async::Task<void> drain_routes(const Context& context) {
  co_await context.sharing.spread();
  co_await context.host.loop.sleep(context.times.drain);
}

}  // namespace perigee::control
