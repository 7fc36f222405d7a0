#include "bin/router_drain.h"

#include <signal.h>

#include "base/log.h"

namespace perigee::bin {
namespace {

constexpr Duration kDrain = 10s;

}  // namespace

async::Task<void> drain_on_signal(sys::PosixHost& host, router::Router& router) {
  const int number = co_await host.wait_for_signal({SIGTERM, SIGINT});
  log_info("router", "draining on signal {}", number);
  co_await router.drain(host.loop().deadline_in(kDrain));
}

}  // namespace perigee::bin
