#include "bin/router_drain.h"

#include <signal.h>

#include "async/combine.h"
#include "base/log.h"
#include "supervisor/supervisor.h"

namespace perigee::bin {
namespace {

constexpr Duration kLastDrain = 10s;

async::Task<void> told_to_end(sys::PosixHost& host) {
  co_await host.wait_for_signal({SIGTERM, SIGINT});
}

}  // namespace

async::Task<void> drain_on_signal(sys::PosixHost& host, router::Router& router, Duration drain) {
  const int number = co_await host.wait_for_signal({SIGTERM, SIGINT, supervisor::kHandOver});
  if (number == supervisor::kHandOver) co_return co_await hand_over(host, router, drain);
  log_info("router", "draining on signal {}", number);
  co_await router.drain(host.loop().deadline_in(kLastDrain));
}

async::Task<void> hand_over(sys::PosixHost& host, router::Router& router, Duration drain) {
  log_info("router", "handed over; draining for up to {} s", to_ms(drain) / 1000);
  const Deadline deadline = host.loop().deadline_in(drain);
  const auto ended = co_await async::first_of(
      host.loop(), router.drain(deadline, router::Successor::serves), told_to_end(host));
  if (ended == async::Winner::first) co_return;
  co_await router.drain(host.loop().deadline_in(0s), router::Successor::serves);
}

}  // namespace perigee::bin
