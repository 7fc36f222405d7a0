#include "control/route_drain.h"

#include "control/limits.h"

namespace perigee::control {

async::Task<void> drain_routes(const Context& context) {
  async::Loop& loop = context.host.loop;
  const std::int64_t revision = context.publisher.refresh();
  co_await context.publisher.routes().delivered(revision, loop.now() + kRoutesDelivery);
  co_await loop.sleep(context.times.drain);
}

}  // namespace perigee::control
